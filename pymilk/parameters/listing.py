"""All processes that have process information, and removing what ended ones left."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace

from ..errors import ProcessInfoError, ProcessInfoNotFoundError, StreamStorageError
from ..system.processes import process_alive
from .process_folders import ProcessList, find_files, process_directories
from .processinfo import ProcessInfo
from .status import ProcessStatus

__all__ = ["list_processes", "remove_stale_processes"]


def list_processes(directory: str | None = None) -> list[ProcessStatus]:
    """Describe the processes that have process information.

    Parameters
    ----------
    directory : str, optional
        Default: all that programs of milk use, see `pymilk.parameters.process_directories`.

    Returns
    -------
    list of ProcessStatus
        Sorted by name and PID, those whose process has ended included. A file that cannot be read has
        `error`.

    Raises
    ------
    ProcessInfoNotFoundError, ProcessInfoPermissionError
        There is no such directory, or it cannot be listed.

    Notes
    -----
    The files themselves are looked for, not the process list: programs that started at once may share a slot
    there. Nothing is written. Processes of another PID namespace look as if they had ended.
    """
    found = [
        _status_of(name, path, pid)
        for folder in (process_directories() if directory is None else [directory])
        for name, path, pid in find_files(folder)
    ]
    return sorted(
        (status for status in found if status is not None), key=lambda each: (each.name, each.pid, each.path)
    )


def _status_of(name: str, path: str, pid: int) -> ProcessStatus | None:
    """Read one file for a list; None if it went away meanwhile."""
    try:
        with ProcessInfo(path, writable=False) as process:
            return replace(process.status(), name=name, pid=pid)
    except ProcessInfoNotFoundError:
        return None
    except (ProcessInfoError, StreamStorageError) as error:
        return ProcessStatus(name, pid, path, "running" if process_alive(pid) else "gone", str(error))


def remove_stale_processes(directory: str | None = None) -> list[str]:
    """Remove the files of processes that have ended, and free their slots of the process list.

    Parameters
    ----------
    directory : str, optional
        Default: all that programs of milk use.

    Returns
    -------
    list of str
        Paths of the files that were removed. Those that this user may not remove stay, and so do files that
        are no process information.
    """
    removed = []
    for folder in process_directories() if directory is None else [directory]:
        for status in list_processes(folder):
            if status.stale and status.error is None:
                with contextlib.suppress(OSError):
                    os.unlink(status.path)
                    removed.append(status.path)
        with contextlib.suppress(ProcessInfoError, StreamStorageError), ProcessList(folder, True) as slots:
            slots.free_unused()
    return removed
