"""Other processes, as far as their numbers tell: which of them are alive, and what they are called."""

from __future__ import annotations

import os
from collections.abc import Sequence

__all__ = ["named_processes", "process_alive"]


def process_alive(pid: int) -> bool:
    """Tell whether a process exists and has not ended (a zombie has).

    Processes of another PID namespace look dead: ImageStreamIO has the same limit.
    """
    if not 0 < pid < 2**31:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # another user's
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The state follows the command, which is in parentheses and may hold anything.
            return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return True  # it exists, and more cannot be known


def named_processes(pids: Sequence[int]) -> str:
    """Write processes with their commands: ``process 12 (python3)``."""
    texts = []
    for pid in pids:
        try:
            with open(f"/proc/{pid}/comm", errors="replace") as file:
                texts.append(f"{pid} ({file.read().strip()})")
        except OSError:
            texts.append(str(pid))
    return ("process " if len(pids) == 1 else "processes ") + ", ".join(texts)
