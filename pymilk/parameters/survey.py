"""All FPS of a directory at a glance, and what is wrong with them."""

from __future__ import annotations

import fnmatch
import os
from typing import Any

from ..errors import FPSError
from ..system.findings import MAKE_AGAIN, Finding, finding
from .control import process_state, registered, status_text
from .fps import FPS
from .manager import list_fps
from .naming import SUFFIX, fps_directory
from .words import Status

__all__ = ["describe_fps", "fps_findings", "survey_fps"]


def survey_fps(pattern: str = "*", label: str = "*", directory: str | None = None) -> list[dict[str, Any]]:
    """Describe the FPS of a directory. Nothing is written.

    Parameters
    ----------
    pattern, label : str, default "*"
        For names and labels, as shells have it; ``*`` includes those without labels.
    directory : str, optional
        Default: the stream directory.

    Returns
    -------
    list of dict
        Sorted by name; a file that is no usable FPS has ``name``, ``path`` and ``error`` only.

    Raises
    ------
    FPSNotFoundError, FPSPermissionError
        There is no such directory, or it cannot be listed.
    """
    folder = fps_directory() if directory is None else directory
    found: list[dict[str, Any]] = []
    for name in list_fps(folder):
        if not fnmatch.fnmatchcase(name, pattern):
            continue
        path = os.path.join(folder, f"{name}{SUFFIX}")
        try:
            with FPS(path, writable=False) as fps:
                entry = describe_fps(fps)
        except FPSError as error:
            found.append({"name": name, "path": path, "error": str(error)})
            continue
        if label == "*" or any(fnmatch.fnmatchcase(each, label) for each in entry["labels"]):
            found.append(entry)
    return found


def describe_fps(fps: FPS) -> dict[str, Any]:
    """Describe one FPS: an entry of `survey_fps`."""
    table = fps.table
    return {
        "name": fps.name,
        "path": fps.path,
        "description": fps.description,
        "labels": fps.labels,
        "parameters": len(fps),
        "slots": fps.slots,
        "layout": fps.layout,
        "conf": process_state(table, "conf"),
        "conf_pid": registered(table, "conf")[0],
        "run": process_state(table, "run"),
        "run_pid": registered(table, "run")[0],
        "check": status_text(table).rpartition("check ")[2],
        "status": [str(bit.name) for bit in Status if bit in fps.status],
        "messages": [message.text for message in fps.messages()] if not fps.status & Status.CHECKOK else [],
    }


def fps_findings(directory: str | None = None) -> list[Finding]:
    """Look for FPS whose process has died, and files that are no FPS.

    Returns
    -------
    list of dict
        ``topic``, ``level``, ``found`` and ``todo``, as `pymilk.inspection.doctor.examine` has them.
    """
    findings = []
    entries = survey_fps(directory=directory)
    for entry in entries:
        if "error" in entry:
            findings.append(finding("fps", entry["error"], MAKE_AGAIN))
            continue
        for role in ("conf", "run"):
            if entry[role] == "died":
                found = f"{entry['name']}: its {role} process {entry[f'{role}_pid']} died"
                todo = (
                    f"start it again: pymilk fps {role} {entry['name']} start; "
                    f"or remove the fps: pymilk fps rm {entry['name']}"
                )
                findings.append(finding("fps", found, todo, "problem"))
    good = sum("error" not in entry for entry in entries)
    return [finding("fps", f"{good} usable"), *findings] if entries else []
