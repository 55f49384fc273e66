"""What is wrong with process information, and what to do about it; for ``pymilk doctor``."""

from __future__ import annotations

import contextlib

from ..errors import ProcessInfoError, StreamStorageError
from ..system.findings import Finding, finding
from .listing import list_processes
from .process_folders import ProcessList, process_directories
from .status import ProcessStatus

__all__ = ["process_findings"]

_TOPIC = "processes"

#: Entries that are named.
_NAMED = 8

#: Part of the process list that may be in use before it is worth a note.
_FULL = 0.9


def process_findings() -> list[Finding]:
    """Look for entries of processes that have ended, files that cannot be read, and full process lists.

    Returns
    -------
    list of dict
        ``topic``, ``level`` ("ok", "note" or "problem"), ``found``, ``todo``. Nothing is written.
    """
    findings = []
    for folder in process_directories():
        try:
            processes = list_processes(folder)
        except ProcessInfoError as error:
            todo = "set MILK_PROC_DIR to a directory that this user may read"
            findings.append(finding(_TOPIC, str(error), todo))
            continue
        findings += _entries(folder, processes) + _list(folder)
    return findings or [finding(_TOPIC, "no process information")]


def _entries(folder: str, processes: list[ProcessStatus]) -> list[Finding]:
    """Tell of the entries of one directory."""
    findings = []
    living = [each for each in processes if not each.stale and each.error is None]
    if living:
        found = f"{len(living)} with process information in {folder}"
        findings.append(finding(_TOPIC, found))
    dead = [f"{each.name} ({each.pid})" for each in processes if each.stale and each.error is None]
    if dead:
        more = f" and {len(dead) - _NAMED} more" if len(dead) > _NAMED else ""
        findings.append(
            finding(_TOPIC, f"{len(dead)} of ended processes in {folder}: {', '.join(dead[:_NAMED])}{more}",
                  "start the processes again, or remove the entries: pymilk ps --remove-stale; "
                  "in another container they may be alive")
        )  # fmt: skip
    for each in processes:
        if each.error is not None:
            findings.append(finding(_TOPIC, each.error, "remove the file if its process has ended"))
    return findings


def _list(folder: str) -> list[Finding]:
    """Tell of a process list that is nearly full, or cannot be read."""
    with contextlib.suppress(FileNotFoundError):
        try:
            with ProcessList(folder, False) as slots:
                used, count, path = len(slots.read()), slots.slots, slots.path
        except (ProcessInfoError, StreamStorageError) as error:
            if isinstance(error, FileNotFoundError):
                return []
            todo = "remove it when no process of milk runs: the next one makes a new one"
            return [finding(_TOPIC, str(error), todo)]
        if used > _FULL * count:
            return [finding(_TOPIC, f"{path}: {used} of {count} slots in use",
                          "free those whose files are gone: pymilk ps --remove-stale")]  # fmt: skip
    return []
