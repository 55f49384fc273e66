"""Names of recordings that consist of several files."""

from __future__ import annotations

import glob
import os
import re

from ..system.files import delete
from .sinks import sink_of

__all__ = ["GOES_ON", "is_part_of", "part_names", "part_path", "remove_others", "taken_by"]

#: What the header of a file says that ended it, where the series goes on in another one.
GOES_ON = "next file"


def part_path(path: str, part: int) -> str:
    """Return the path of a file of a series: ``cam.fits`` becomes ``cam_000003.fits``."""
    base, suffix = os.path.splitext(path)
    return f"{base}_{part:06d}{suffix}"


def part_names(path: str, beside: bool = False) -> re.Pattern[str]:
    """Return what names of `part_path` look like, or of files beside them; group 1 is the number."""
    base, suffix = os.path.splitext(path)
    return re.compile(re.escape(base) + r"_(\d{6,})" + (r"\..*" if beside else re.escape(suffix)))


def is_part_of(path: str, series: str) -> bool:
    """Return whether a path is that of a file of a series."""
    return part_names(series).fullmatch(path) is not None


def parts_of(path: str) -> list[str]:
    """Return the paths of the series of this name that are there, in order."""
    base, suffix = os.path.splitext(path)
    found = glob.glob(f"{glob.escape(base)}_*{glob.escape(suffix)}")
    names = part_names(path)
    numbered = [(int(match[1]), each) for each in found if (match := names.fullmatch(each))]
    return [each for _, each in sorted(numbered)]


def taken_by(path: str) -> list[str]:
    """Return the paths of all files that a recording of this path has, or a series of this name.

    Of a series also what a recorder left that was killed at the beginning of a file: rows without frames.
    """
    kind = sink_of(path)
    base, suffix = os.path.splitext(path)
    names = part_names(path, beside=True)
    found = glob.glob(f"{glob.escape(base)}_*")
    numbers = {match[1] for each in found if (match := names.fullmatch(each))}
    parts = [f"{base}_{number}{suffix}" for number in sorted(numbers, key=int)]
    left = [part for part in parts if not set(kind.files(part)).isdisjoint(found)]
    return [each for one in (path, *left) for each in kind.files(one)]


def remove_others(path: str, kept: str) -> None:
    """Delete the files of `taken_by`, but for those of one recording."""
    mine = sink_of(kept).files(kept)
    for each in taken_by(path):
        if each not in mine:
            delete(each)
