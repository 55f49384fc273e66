"""A name of a series that a living recorder writes is taken, whether its file is there or not."""

from __future__ import annotations

import time

from ..errors import RecordingInUseError, StreamError
from ..system.output_lock import check_outputs
from .series import parts_of, series_of
from .sinks import sink_of

__all__ = ["check_no_living_series"]

#: How often a header is looked at that says of no series, and seconds between.
_LOOKS, _LOOK_SECONDS = 10, 0.01


def check_no_living_series(path: str) -> None:
    """Raise `RecordingInUseError` if this is the name of a file of a series that is being recorded.

    Files that only look like it, ``cam_20261129.fits``, are recorded beside each other as ever.

    Parameters
    ----------
    path : str
    """
    series = series_of(path)
    if series is None:
        return
    seen: list[str] = []
    # At any moment one file is locked, this one or another: if none was, and none has come, nobody records.
    while (parts := parts_of(series)) != seen:
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
    """Return whether a file that is being recorded is one of a series.

    While it is begun, or finished, its header may say nothing of that: it is looked at again.
    """
    for look in range(_LOOKS):
        time.sleep(_LOOK_SECONDS if look else 0)
        if _says_part(path):
            return True
    return False


def _says_part(path: str) -> bool:
    """Return whether the header of a file has its number in a series, or cannot be read just now."""
    try:
        stored = sink_of(path).read(path)
    except (OSError, StreamError, KeyError, ValueError):
        return True
    stored.close()
    return stored.header.get("part") is not None
