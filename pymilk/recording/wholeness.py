"""Whether a recording is complete: one definition, for `load`, `play` and ``pymilk info FILE``.

A recording is complete if its recorder ended as asked (all frames, time over, stopped), if header, rows and
frames agree in number, if every file of a series and every chunk that the shape counts is there, and if the
numbers of frames go on from file to file. docs/recording.md says the same to users.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from .._core import (
    FLAG_COUNTER_RESET,
    FLAG_COUNTER_SET,
    FLAG_NEW_FILE,
    FLAG_REPEATED_POST,
    FLAG_UNCERTAIN,
)
from .._types import Array
from ..native.formats import dtype_name
from .headers import first_time
from .series import GOES_ON
from .sinks import Stored

__all__ = ["count_frames", "mark_seams", "what_is_missing"]

#: Flags of a frame whose number says nothing about the one before.
_NEW_NUMBERS = FLAG_NEW_FILE | FLAG_COUNTER_RESET | FLAG_COUNTER_SET

#: The same, and of a frame that may have the number of another one.
_ANY_NUMBERS = _NEW_NUMBERS | FLAG_REPEATED_POST | FLAG_UNCERTAIN

#: How a file of a complete recording ended.
_ENDINGS = ("complete", "time", "stopped", GOES_ON)


def count_frames(stored: Stored) -> int:
    """Return how many frames of a file count: those that have a row."""
    if stored.info is None:
        return int(stored.frames.shape[0])
    rows = np.flatnonzero(stored.info["arrival_ns"] == 0)  # every frame arrived at some time
    return min(int(stored.frames.shape[0]), int(rows[0]) if len(rows) else len(stored.info))


def what_is_missing(paths: Sequence[str], stored: Sequence[Stored], series: bool) -> str:
    """Say in one sentence why a recording is not complete; "" if it is.

    Parameters
    ----------
    paths : sequence of str
    stored : sequence of Stored
        The files, in the order of `paths`.
    series : bool
        The name of a series was asked for: all of its files have to be there.
    """
    faults = (_fault_of_file(path, each) for path, each in zip(paths, stored, strict=True))
    fault = next(filter(None, faults), "")
    if not fault and (series or len(paths) > 1):
        fault = _fault_of_series(paths, stored)
    return fault


def _fault_of_file(path: str, stored: Stored) -> str:
    """Say what is wrong with one file."""
    if stored.plain:
        return f"{path} is a reduced copy: {stored.remark}" if stored.remark else ""
    if not stored.header:
        return "" if stored.info is None else f"{path} has no header, which says how the recording ended"
    fault = _fault_of_end(stored)
    if fault:
        return f"{path}{fault}"
    fault = stored.missing or _fault_of_pixels(stored) or _fault_of_counts(stored) or _fault_of_rows(stored)
    return f"{path}: {fault}" if fault else ""


def _fault_of_end(stored: Stored) -> str:
    """Say why a recording did not end as asked; follows the path of the file."""
    ended = stored.header.get("ended")
    if ended == "error":
        return ": its recorder ended with an error"
    if ended == "running" or not stored.complete:
        return " is being recorded, or its recorder was killed"
    found = stored.header.get("complete")
    if ended not in _ENDINGS or found is not True:
        named = f"complete is {str(found)[:40]}, ended {str(ended)[:40]!r}"
        return f": its header does not say how the recording ended ({named})"
    return ""


def _fault_of_pixels(stored: Stored) -> str:
    """Say whether pixels are no numbers that the recorder wrote, nor floats that were made of them."""
    stated, found = stored.header.get("dtype"), dtype_name(stored.dtype)
    if stated == found or stored.dtype.kind in "fc":
        return ""
    return f"its pixels are read as {found}, and the recorder wrote {str(stated)[:40]}"


def _fault_of_counts(stored: Stored) -> str:
    """Say whether header, rows and frames differ in number."""
    info, stated, frames = stored.info, stored.header.get("frames"), int(stored.frames.shape[0])
    rows = stored.rows if stored.rows is not None else 0 if info is None else len(info)
    if not (stated == rows == frames and type(stated) is int):
        return f"the header counts {stated} frames, there are {rows} rows and {frames} frames"
    if frames != count_frames(stored):
        return f"there are {rows} frames, and {count_frames(stored)} rows that were written"
    lost = stored.header.get("lost")
    if info is not None and lost != int(info["lost"].sum()):
        return f"the header counts {lost} lost frames, and the rows {int(info['lost'].sum())}"
    return ""


def _fault_of_rows(stored: Stored) -> str:
    """Say whether rows are of another recording, or in another order."""
    info, first = stored.info, stored.header.get("first_ns")
    if info is None or not len(info):
        return ""
    if type(first) is not int or first != first_time(info):
        return (
            f"header and rows are of two recordings: the first frame is of {str(first)[:40]} ns in the "
            f"header, of {first_time(info)} ns in its row"
        )
    back = (info["cnt0"][1:] <= info["cnt0"][:-1]) & ((info["flags"][1:] & _ANY_NUMBERS) == 0)
    if back.any():
        row = int(np.flatnonzero(back)[0]) + 1
        before, number = info["cnt0"][row - 1], info["cnt0"][row]
        return f"its rows are not in order: frame {number} of row {row} follows frame {before}"
    return ""


def _fault_of_series(paths: Sequence[str], stored: Sequence[Stored]) -> str:
    """Say what is wrong with files that are taken for one recording."""
    if all(each.plain for each in stored):
        return ""
    names = [os.path.realpath(path) for path in paths]
    twice = next((path for path, name in zip(paths, names, strict=True) if names.count(name) > 1), None)
    if twice is not None:
        return f"{twice} is given twice"
    goes_on = f"the file behind {paths[-1]} is missing, or not there yet: it says that the series goes on"
    unfinished = stored[-1].header.get("ended") == GOES_ON
    parts = [each.header.get("part") for each in stored]
    if all(part is None for part in parts):
        return goes_on if unfinished else _fault_of_seams(paths, stored)
    for wanted, (path, part) in enumerate(zip(paths, parts, strict=True)):
        if part != wanted:
            found = "no file of a series" if part is None else f"file {part}"
            return f"file {wanted} of the series is not where it should be: {path} is {found}"
    early = [
        path for path, each in zip(paths[:-1], stored, strict=False) if each.header.get("ended") != GOES_ON
    ]
    if early:
        return f"{early[0]} is the last file of its series, and another one follows"
    if unfinished:
        return goes_on
    began = stored[0].header.get("series_ns")
    for path, each in zip(paths, stored, strict=True):
        if each.header.get("series_ns") != began:
            return f"{path} is of another recording than {paths[0]}, though its numbers would go on"
    return _fault_of_seams(paths, stored)


def _fault_of_seams(paths: Sequence[str], stored: Sequence[Stored]) -> str:
    """Say where the numbers of frames do not go on from one file to the next."""
    filled = [(path, each) for path, each in zip(paths, stored, strict=True) if count_frames(each)]
    for (earlier, before), (later, after) in itertools.pairwise(filled):
        if before.header.get("stream") != after.header.get("stream"):
            return f"{later} has another stream than {earlier}"
        lost = _lost_between(before, after)
        if lost is not None and (after.info is None or lost != int(after.info["lost"][0])):
            return f"the numbers of {later} do not go on where {earlier} ends"
    return ""


def _lost_between(before: Stored, after: Stored) -> int | None:
    """Return how many frames are missing between two files; below 0: they overlap; None: nothing tells."""
    if before.info is None or after.info is None:
        return None
    first: Any = after.info[0]
    if int(first["flags"]) & _NEW_NUMBERS:
        return None
    return int(first["cnt0"]) - int(before.info["cnt0"][count_frames(before) - 1]) - 1


def mark_seams(info: Array, stored: Sequence[Stored]) -> None:
    """Count frames that are missing between two files in the row of the frame behind: they show as gaps.

    Parameters
    ----------
    info : ndarray of FRAME_ROW
        Rows of all files, one behind the other; changed.
    stored : sequence of Stored
    """
    row = 0
    for before, after in itertools.pairwise(each for each in stored if count_frames(each)):
        row += count_frames(before)
        lost = _lost_between(before, after)
        same = before.header.get("stream") == after.header.get("stream")
        if same and lost is not None and lost > int(info["lost"][row]):
            info["lost"][row] = lost
