"""Hidden names: what files are called while they are being made, and before they are deleted.

==================================================  ==================================================
``.cam.im.shm.<pid>.<random>.new``                  a stream that is being made
``.cam.im.shm.aside<inode>.<pid>.<random>.new``     a stream that was taken aside, to be deleted
``.pymilk.<pid>.<random>.new[.gz]``                 any other file or directory that is being made
==================================================  ==================================================

The dot and the ending keep them out of listings of streams. The number is that of the process that works on
the file. A process that is killed leaves such a file: see `pymilk.system.temporary` for streams, and
`pymilk.system.files.remove_unfinished` for others.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

__all__ = ["YOUNG", "HiddenName", "aside_path", "hidden_name", "read_name", "temporary_path"]

#: Age in seconds below which a hidden file is left alone. The number of a process does not tell all about its
#: maker: numbers are used again, and mean nothing for another container or machine.
YOUNG = 60.0

#: Endings by which libraries know that they have to compress.
_COMPRESSED = (".gz", ".bz2", ".xz", ".lzma", ".zip")

_FILE = re.compile(r"\.pymilk\.(\d+)\.[0-9a-f]{8}\.new(\.\w+)?")
_STREAM = re.compile(r"\.(?!pymilk\.\d).+\.(\d+)\.[0-9a-f]{8}\.new")
_ASIDE = re.compile(r"\.(.+)\.aside(\d+)\.\d+\.[0-9a-f]{8}\.new")


class HiddenName(NamedTuple):
    """What a hidden name tells.

    Attributes
    ----------
    pid : int
        Process that made it.
    stream : bool
        The file is a stream, or going to be one.
    aside : (str, int) or None
        Name that the file had, and inode that was meant, if it was taken aside.
    """

    pid: int
    stream: bool
    aside: tuple[str, int] | None


def read_name(entry: str) -> HiddenName | None:
    """Return what the name of a directory entry tells, or None if it is no hidden name."""
    match = _FILE.fullmatch(entry)
    if match is not None:
        return HiddenName(int(match[1]), False, None)
    match = _STREAM.fullmatch(entry)
    if match is None:
        return None
    aside = _ASIDE.fullmatch(entry)
    return HiddenName(int(match[1]), True, None if aside is None else (aside[1], int(aside[2])))


def _ours() -> str:
    """Return the part of a new name that no other has."""
    return f"{os.getpid()}.{os.urandom(4).hex()}.new"


def temporary_path(path: str) -> str:
    """Make a new name beside a stream, for one that is being made."""
    directory, file = os.path.split(path)
    return os.path.join(directory, f".{file[:60]}.{_ours()}")


def aside_path(path: str, inode: int) -> str:
    """Make a new name for a stream that is taken aside, to be deleted if it has this inode."""
    directory, file = os.path.split(path)
    return os.path.join(directory, f".{file}.aside{inode}.{_ours()}")


def hidden_name(path: str) -> str:
    """Make a new name beside a file that is no stream, for one that is being made."""
    directory, file = os.path.split(path)
    ending = os.path.splitext(file)[1]
    return os.path.join(directory, f".pymilk.{_ours()}{ending if ending in _COMPRESSED else ''}")
