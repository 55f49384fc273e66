"""Names of recordings that consist of several files."""

from __future__ import annotations

import glob
import os
import re

from .sinks import sink_of

__all__ = [
    "GOES_ON", "is_part_of", "others_of", "part_names", "part_path", "parts_behind", "parts_of",
    "recordings_at", "series_of", "taken_by",
]  # fmt: skip

#: Value of ``ended`` in the header of a file that is followed by another one of its series.
GOES_ON = "next file"

#: What is behind the name of a series in the names of its files.
_NUMBER = re.compile(r"_\d{6,}$")


def part_path(path: str, part: int) -> str:
    """Return the path of a file of a series: ``cam.fits`` becomes ``cam_000003.fits``."""
    base, suffix = os.path.splitext(path)
    return f"{base}_{part:06d}{suffix}"


def part_names(path: str, beside: bool = False) -> re.Pattern[str]:
    """Return a pattern for names of `part_path`, or of files beside them; group 1 is the number."""
    base, suffix = os.path.splitext(path)
    return re.compile(re.escape(base) + r"_(\d{6,})" + (r"\..*" if beside else re.escape(suffix)))


def is_part_of(path: str, series: str) -> bool:
    """Return whether a path is that of a file of a series."""
    return part_names(series).fullmatch(path) is not None


def series_of(path: str) -> str | None:
    """Return the name of the series that a file may belong to by its own name; None if it has no number."""
    base, suffix = os.path.splitext(path)
    name = _NUMBER.sub("", base)
    return None if name == base else name + suffix


def parts_of(path: str) -> list[str]:
    """Return the existing paths of the series of this name, in order."""
    base, suffix = os.path.splitext(path)
    found = glob.glob(f"{glob.escape(base)}_*{glob.escape(suffix)}")
    names = part_names(path)
    numbered = [(int(match[1]), each) for each in found if (match := names.fullmatch(each))]
    return [each for _, each in sorted(numbered)]


def parts_behind(path: str) -> list[str]:
    """Return the existing paths of the series of this name from file 1 on: file 0 has the name itself."""
    return [each for each in parts_of(path) if each != part_path(path, 0)]


def recordings_at(path: str) -> list[str]:
    """Return the paths of the recordings that a recording of this path, or a series of this name, replaces.

    Includes those of which a killed recorder left the beginning only: rows without frames.
    """
    kind = sink_of(path)
    base, suffix = os.path.splitext(path)
    names = part_names(path, beside=True)
    found = glob.glob(f"{glob.escape(base)}_*")
    numbers = {match[1] for each in found if (match := names.fullmatch(each))}
    parts = [f"{base}_{number}{suffix}" for number in sorted(numbers, key=int)]
    return [path, *(part for part in parts if not set(kind.files(part)).isdisjoint(found))]


def taken_by(path: str) -> list[str]:
    """Return the paths of all files of `recordings_at`."""
    kind = sink_of(path)
    return [each for one in recordings_at(path) for each in kind.files(one)]


def others_of(path: str, kept: str) -> list[str]:
    """Return the paths of `taken_by`, except those of one recording."""
    mine = sink_of(kept).files(kept)
    return [each for each in taken_by(path) if each not in mine]
