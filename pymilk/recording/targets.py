"""Sort out which stream is recorded to which file."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from ..arguments import bad_argument, check_items
from ..errors import StreamArgumentError
from ..names import stream_name
from ..shm import SHM
from ..system.files import checked_path
from .naming import Names, expanded
from .sinks import SUFFIXES, suffix_of, with_suffix

__all__ = ["targets_of"]


def targets_of(source: Any, path: Any, kind: str | None = None) -> list[tuple[SHM | str, Names]]:
    """Sort out which streams go to which files; `kind` is the format of names without a suffix."""
    suffix = suffix_of(kind)
    if isinstance(source, Mapping) and source:
        if path is not None:
            raise StreamArgumentError(
                "path: the mapping has the paths already", argument="path", found=path
            )
        pairs = list(source.items())
    elif path is None:
        raise StreamArgumentError(
            "path: where to? Give a file, or a mapping of streams to files", argument="path", found=None
        )
    else:
        where = checked_path(path, "a recording")
        if os.path.isdir(where) and os.path.splitext(where)[1].lower() not in SUFFIXES:
            where = os.path.join(where, f"{{stream}}{suffix or '.npy'}")
        if isinstance(source, (str, SHM)):
            several = [source]
        else:
            several = check_items("source", source, "one or more streams, as str or SHM")
        streams = all(isinstance(each, (str, SHM)) for each in several)
        if streams and len(several) > 1 and "{stream}" not in where:
            raise StreamArgumentError(
                f"path: {where!r} is one file for {len(several)} streams; put {{stream}} into it, or give a "
                "directory that exists",
                argument="path",
                found=path,
            )
        pairs = [(each, where) for each in several]
    if not pairs or not all(isinstance(each, (str, SHM)) for each, _ in pairs):
        raise bad_argument("source", source, "one or more streams, as str or SHM")
    targets = []
    now = time.time()  # one for all streams
    for each, target in pairs:
        name = each.FNAME if isinstance(each, SHM) else stream_name(each)
        wanted = with_suffix(checked_path(target, "a recording"), suffix)
        targets.append((each, expanded(wanted, name, now)))
    return targets
