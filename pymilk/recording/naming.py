"""Names of recordings with fields: ``night/{date}/{stream}_{utc}_{seq:04d}.fits``."""

from __future__ import annotations

import itertools
import os
import re
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ..errors import StreamArgumentError
from ..system.files import file_error
from .series import taken_by
from .sinks import sink_of

__all__ = ["FIELDS", "Names", "expanded", "has_fields"]

#: What can stand in braces.
FIELDS = {
    "stream": "name of the stream",
    "date": "UTC date, 2026-11-29",
    "utc": "UTC date and time, 20261129T014512",
    "seq": "first number from 0 on that is free, with {seq:04d} of at least four digits",
}

#: A field: its name, and how many digits.
_FIELD = re.compile(r"\{(\w*)(?::0?(\d{1,2})d)?\}")


class Names(NamedTuple):
    """Names of the files of a recording.

    Attributes
    ----------
    first : str
        Path of the recording, or of its first file.
    others : iterator of str or None
        Paths of further files, if ``{seq}`` in the name of the file counts them: the next number that is
        free when it is asked for. None: they are those of `part_path`.
    """

    first: str
    others: Iterator[str] | None = None


def has_fields(path: str) -> bool:
    """Return whether a path has fields other than the stream."""
    return any(name != "stream" for name, _ in _FIELD.findall(path))


def expanded(path: str, stream: str, when: float) -> Names:
    """Return the names of a recording with their fields filled in; the folders of such names are made.

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
                f"{path!r} has a field {{{name}}} that is not known here; known are {known}",
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
        return Names(filled(0))
    numbered = "seq" in {name for name, _ in _FIELD.findall(path)}
    free = _free(filled, os.getcwd()) if numbered else iter([filled(0)])
    first = next(free)
    try:
        os.makedirs(os.path.dirname(first) or ".", exist_ok=True)
    except OSError as error:
        raise file_error(error, os.path.dirname(first), "made", "path") from error
    counts_files = any(name == "seq" for name, _ in _FIELD.findall(os.path.basename(path)))
    return Names(first, free if counts_files else None)


def _free(filled: Callable[[int], str], folder: str) -> Iterator[str]:
    """Go through the free names in `folder`: the script may change its working directory meanwhile."""
    for number in itertools.count():
        path = filled(number)
        if _is_free(os.path.join(folder, path)):
            yield path


def _is_free(path: str) -> bool:
    """Return whether no file of a recording of this path, or of a series of this name, is there."""
    sink_of(path)  # raises if the suffix is none
    return not any(map(os.path.lexists, taken_by(path)))
