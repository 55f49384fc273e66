"""Names of recordings with fields: ``night/{date}/{stream}_{utc}_{seq:04d}.fits``."""

from __future__ import annotations

import itertools
import os
import re
import time

from ..errors import StreamArgumentError
from ..system.files import file_error
from .series import taken_by
from .sinks import sink_of

__all__ = ["FIELDS", "expanded", "has_fields"]

#: What can stand in braces.
FIELDS = {
    "stream": "name of the stream",
    "date": "UTC date, 2026-11-29",
    "utc": "UTC date and time, 20261129T014512",
    "seq": "first number from 0 on that is free, with {seq:04d} of at least four digits",
}

#: A field: its name, and how many digits.
_FIELD = re.compile(r"\{(\w*)(?::0?(\d{1,2})d)?\}")


def has_fields(path: str) -> bool:
    """Return whether a path has fields other than the stream."""
    return any(name != "stream" for name, _ in _FIELD.findall(path))


def expanded(path: str, stream: str, when: float) -> str:
    """Return the path of a recording with its fields filled in; the folders of such a name are made.

    Parameters
    ----------
    path : str
        With ``{stream}``, ``{date}``, ``{utc}`` and ``{seq}`` or ``{seq:04d}``, each as often as wanted.
    stream : str
        Name of the stream.
    when : float
        Seconds since 1970, UTC.

    Raises
    ------
    StreamArgumentError
        There is no such field.
    StreamPermissionError, StreamStorageError
        A folder cannot be made.
    """
    for name, digits in _FIELD.findall(path):
        if name not in FIELDS or (digits and name != "seq"):
            known = "; ".join(f"{{{each}}}: {what}" for each, what in FIELDS.items())
            raise StreamArgumentError(
                f"path: {path!r} has a field {{{name}}} that is not known here; known are {known}",
                argument="path",
                found=path,
            )
    moment = time.gmtime(when)
    values = {
        "stream": stream,
        "date": time.strftime("%Y-%m-%d", moment),
        "utc": time.strftime("%Y%m%dT%H%M%S", moment),
    }

    def filled(number: int) -> str:
        return _FIELD.sub(
            lambda found: f"{number:0{found[2] or 1}d}" if found[1] == "seq" else values[found[1]], path
        )

    if not has_fields(path):
        return filled(0)
    numbered = "seq" in {name for name, _ in _FIELD.findall(path)}
    result = next(each for each in map(filled, itertools.count()) if not numbered or _is_free(each))
    try:
        os.makedirs(os.path.dirname(result) or ".", exist_ok=True)
    except OSError as error:
        raise file_error(error, os.path.dirname(result), "made", "path") from error
    return result


def _is_free(path: str) -> bool:
    """Return whether no file of a recording of this path, or of a series of this name, is there."""
    sink_of(path)  # raises if the suffix is none
    return not any(map(os.path.lexists, taken_by(path)))
