"""A name of a series that a living recorder writes is taken, whether its file is there or not."""

from __future__ import annotations

import os
import re

from ..errors import RecordingInUseError, StreamError
from ..system.output_lock import check_outputs
from .series import parts_of
from .sinks import sink_of

__all__ = ["check_no_living_series"]

#: What is behind the name of a series in the names of its files.
_NUMBER = re.compile(r"_\d{6,}$")


def check_no_living_series(path: str) -> None:
    """Raise `RecordingInUseError` if this is the name of a file of a series that is being recorded.

    Files that only look like it, ``cam_20261129.fits``, are recorded beside each other as ever.

    Parameters
    ----------
    path : str
    """
    base, suffix = os.path.splitext(path)
    series = _NUMBER.sub("", base) + suffix
    if series == path:
        return
    seen: list[str] = []
    # At any moment one file is locked: if none was, and none has come meanwhile, nobody records.
    while (parts := [part for part in parts_of(series) if part != path]) != seen:
        _check_parts(path, series, parts)
        seen = parts


def _check_parts(path: str, series: str, parts: list[str]) -> None:
    kind = sink_of(path)
    for part in parts:
        try:
            check_outputs(kind.files(part))
        except RecordingInUseError as error:
            if _is_part(part):
                raise RecordingInUseError(
                    f"{path} is a name of the series {series}, of which {error}", path=path, pids=error.pids
                ) from None


def _is_part(path: str) -> bool:
    """Return whether a file that is being recorded is one of a series; also if it cannot be read just now."""
    try:
        stored = sink_of(path).read(path)
    except (OSError, StreamError, KeyError, ValueError):
        return True
    stored.close()
    return stored.header.get("part") is not None
