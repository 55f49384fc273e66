"""Memory of the machine: how much of it this process can get."""

from __future__ import annotations

import os

from ..errors import StreamError, StreamStorageError
from .causes import cause_of

__all__ = ["free_memory"]


def free_memory() -> int:
    """Return how many bytes of memory this process can get now.

    Returns
    -------
    int
        MemAvailable of the kernel, or what the limits of the control groups (containers, services, batch
        jobs) leave, if that is less.
    """
    try:
        with open("/proc/meminfo", "rb") as table:
            for line in table:
                if line.startswith(b"MemAvailable:"):
                    return min(int(line.split()[1]) * 1024, _group_memory())
    except OSError as error:
        raise StreamStorageError(
            f"/proc/meminfo, which tells how much memory is free, cannot be read: {cause_of(error)}",
            path="/proc/meminfo",
        ) from error
    raise StreamError("/proc/meminfo has no MemAvailable; Linux 3.14 or later is needed")


def _group_memory() -> int:
    """Return how many bytes the limits of our control group, and of the groups around it, leave."""
    left: int = 2**63
    try:
        with open("/proc/self/cgroup") as table:
            group = next((line.strip()[3:] for line in table if line.startswith("0::")), None)
        while group is not None:
            folder = f"/sys/fs/cgroup{group if group != '/' else ''}"
            try:
                with open(f"{folder}/memory.max") as file:
                    limit = file.read().strip()
                with open(f"{folder}/memory.current") as file:
                    used = int(file.read())
                with open(f"{folder}/memory.stat") as file:
                    # The kernel drops unused pages of files when memory is needed.
                    used -= sum(int(line.split()[1]) for line in file if line.startswith("inactive_file "))
                if limit != "max":
                    left = min(left, max(0, int(limit) - used))
            except FileNotFoundError:
                pass  # the root has no limit
            group = None if group in ("", "/") else os.path.dirname(group)
    except (OSError, ValueError):
        pass  # no control groups of version 2, or no permission: no limit is known
    return left
