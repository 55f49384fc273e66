"""What a recording may replace, if it is told to: other recordings, and nothing else."""

from __future__ import annotations

import os
import re
from typing import Any

from ..errors import StreamError, StreamExistsError, StreamFormatError
from ..foreign.contents import content_of
from ..system.files import is_device
from ..system.hidden import read_name
from ..system.regular import read_regular
from .series import recordings_at
from .sinks import sink_of
from .sinks.base import HEADER_NBYTES, header_of_json

__all__ = ["check_replaceable"]

#: What a Zarr recording has in its folder, and in each of its arrays.
_ZARR_ENTRIES = re.compile(r"zarr\.json|frames|info|time|cnt0")
_ARRAY_ENTRIES = re.compile(r"zarr\.json|c(\.\d+)+")


def check_replaceable(path: str) -> None:
    """Raise unless whatever is replaced by a recording of this path, or a series of it, is one itself.

    Parameters
    ----------
    path : str

    Raises
    ------
    StreamExistsError
        A file or folder of that name is something else, or a folder holds something else besides.
    """
    kind = sink_of(path)
    for each in recordings_at(path):
        main, *beside = kind.files(each)
        why = ""
        if os.path.islink(main):
            continue  # the link is replaced, and not what it leads to
        if os.path.isdir(main):
            why = _why_no_zarr(main)
        elif os.path.lexists(main):
            why = _why_no_file(main)
        else:
            why = _why_no_header(beside)
        if why:
            raise StreamExistsError(
                f"{main} is no recording of pymilk ({why}), and only recordings are replaced; move it "
                "elsewhere, or choose another name",
                path=main,
            )


def _why_no_file(path: str) -> str:
    """Return why a file is no recording; empty for one, also for one that is damaged."""
    if is_device(path):
        return "it is a pipe, a socket or a device"
    try:
        content = content_of(path)
        if content.kind == "empty":
            return ""
        kind = sink_of(path)
        own = kind.__module__.rpartition(".")[2]  # "npy", "fits", ...
        if own == "zarr" or content.packed or content.kind not in (own, "unknown"):
            return content.words
        stored = kind.read(path)
    except StreamFormatError as error:
        return f"it has {', '.join(error.found)}" if error.field == "data sets" else ""
    except (OSError, StreamError, KeyError, ValueError, TypeError, MemoryError):
        return ""  # what is left of one
    stored.close()
    return "it has frames without rows" if stored.plain else ""


def _why_no_zarr(folder: str) -> str:
    """Return why a folder is no Zarr recording, or what else it holds."""
    names = os.listdir(folder)
    if not names:
        return ""
    if not _is_header(os.path.join(folder, "zarr.json"), "attributes"):
        return "a folder without the header of a recording"
    arrays = {name: _ARRAY_ENTRIES for name in ("frames", "info", "time", "cnt0")}
    for part, known in {"": _ZARR_ENTRIES, **arrays}.items():
        where = os.path.join(folder, part)
        for name in os.listdir(where) if os.path.isdir(where) else ():
            if known.fullmatch(name) is None and read_name(name) is None:
                return f"it holds {os.path.join(part, name)}"
    return ""


def _why_no_header(beside: list[str]) -> str:
    """Return why files beside a missing one are not what a killed recorder left."""
    for path in beside:
        if path.endswith(".json") and os.path.lexists(path) and not _is_header(path):
            return f"{path} has no header of a recording"
    return ""


def _is_header(path: str, member: str | None = None) -> bool:
    """Return whether a JSON file holds the header of a recording."""
    try:
        found: Any = header_of_json(read_regular(path, HEADER_NBYTES), path)
    except (OSError, StreamError):
        return False
    header = found if member is None else found.get(member)
    return isinstance(header, dict) and "pymilk" in header
