"""The cores of a process, as milk's commands ``csetpmove`` and ``tsetpmove`` choose them."""

from __future__ import annotations

import os
import subprocess

__all__ = ["COMMANDS", "core_numbers", "move"]

#: Commands that `move` knows.
COMMANDS = ("csetpmove", "tsetpmove")

#: Most cores that a list may name.
_MOST = 8192

#: Seconds for the program cset.
_CSET_SECONDS = 10.0


def core_numbers(text: str) -> set[int]:
    """Read a list of cores as ``taskset -c`` has it: ``"1-3,8"``, ``"0-10:2"``.

    Raises
    ------
    ValueError
        The text is not such a list.
    """
    found: set[int] = set()
    for part in text.split(","):
        numbers, _, step = part.partition(":")
        first, dash, last = numbers.partition("-")
        low, high = int(first), int(last if dash else first)
        if not 0 <= low <= high < _MOST or (step and int(step) < 1):
            raise ValueError(part)
        found.update(range(low, high + 1, int(step or 1)))
    return found


def move(command: str, where: str) -> str:
    """Move this process to a cpuset (csetpmove) or to some cores (tsetpmove).

    Parameters
    ----------
    command : {"csetpmove", "tsetpmove"}
    where : str
        Name of the set, or list of cores. Cores that this machine lacks are left out.

    Returns
    -------
    str
        Why it was not done; empty if it was. A program of milk goes on in both cases.
    """
    if command == "csetpmove":
        return _move_to_set(where)
    try:
        os.sched_setaffinity(0, core_numbers(where))
    except ValueError:
        return f"{where!r} is no list of cores"
    except OSError as error:
        return f"the process cannot run on cores {where}: {error.strerror}"
    return ""


def _move_to_set(name: str) -> str:
    command = ["cset", "proc", "--move", f"--pid={os.getpid()}", f"--toset={name}"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_CSET_SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"cset cannot be run: {error}"
    return done.stderr.strip() or "cset failed" if done.returncode else ""
