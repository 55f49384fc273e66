"""Many files as one recording, chosen by a pattern."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable
from typing import Any

from ..arguments import bad_argument, check_items
from ..errors import StreamNotFoundError
from .recording import Recording, open_together
from .sinks import SUFFIXES, sink_of

__all__ = ["open_mfrecording"]


def open_mfrecording(
    pattern: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    hdu: int | str | tuple[str, int] | None = None,
    frame_axes: int | None = None,
    strict: bool = False,
) -> Recording:
    """Open many files as one recording: ``open_mfrecording("night/wfs_*.fits")``.

    Parameters
    ----------
    pattern : str or PathLike, or a list of them
        Paths, with ``*``, ``?``, ``[...]`` and ``**`` as the shell has them. A path that exists is that file.
        Files beside a recording (``cam.info.npy``) are left out.
    hdu, frame_axes, strict
        See `load`.

    Returns
    -------
    Recording
        Of all frames, one behind the other: an array of shape (n, *shape). Files are in the order of their
        names, where numbers count as numbers: ``cam_9`` is before ``cam_10``. Those of a list of patterns are
        in the order of the list. What is missing between two files is in `Recording.gaps`; `complete` and
        `missing` tell whether they belong together. A single file of a series that is all that a pattern
        has found is not complete.

    Raises
    ------
    StreamNotFoundError
        A pattern matches nothing.
    StreamError
        As for `load`; files of other shapes or types are a StreamFormatError.

    Notes
    -----
    Opening reads the rows of all files. Frames are read when they are indexed.
    """
    asked = "a path with wildcards, or a list of them"
    alone = isinstance(pattern, (str, os.PathLike))
    patterns = [pattern] if alone else check_items("pattern", pattern, asked)
    paths: list[Any] = []
    for each in patterns:
        if not isinstance(each, (str, os.PathLike)):
            raise bad_argument("pattern", each, "a path with wildcards")
        paths += _matching(os.fsdecode(each))
    found = not all(map(os.path.exists, map(os.fspath, patterns)))
    return open_together(paths, hdu, frame_axes, strict, whole=found)


def _matching(pattern: str) -> list[str]:
    """Return the recordings that a pattern matches, in order."""
    if os.path.exists(pattern):
        return [pattern]
    found = glob.glob(pattern, recursive=True)
    known = [path for path in found if os.path.splitext(path)[1].lower() in SUFFIXES]
    beside = {each for path in known for each in sink_of(path).files(path)[1:]}
    paths = sorted((path for path in found if path not in beside), key=_natural)
    if not paths:
        raise StreamNotFoundError(f"there is no recording {pattern}", path=pattern)
    return paths


def _natural(path: str) -> list[Any]:
    """Return what a path is sorted by: text, and numbers by their value."""
    return [int(part) if at % 2 else part for at, part in enumerate(re.split(r"(\d+)", path))]
