"""Names of streams and their paths.

A stream called ``cam0`` is the file ``cam0.im.shm`` in the stream directory. The directory is looked up
at each call, so that a changed ``$MILK_SHM_DIR`` takes effect at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from fnmatch import fnmatchcase

from .arguments import shown
from .errors import StreamNameError, StreamNotFoundError

__all__ = [
    "SUFFIX",
    "check_name",
    "is_pattern",
    "matches",
    "stream_directory",
    "stream_name",
    "stream_path",
]

#: End of the file name of every stream.
SUFFIX = ".im.shm"

#: Longest name in bytes: the name field of the header is 80 bytes with its NUL.
NAME_MAX = 79

#: Directories that are tried when ``$MILK_SHM_DIR`` is not set, as ImageStreamIO does.
FALLBACK_DIRECTORIES = ("/milk/shm", "/tmp")


def stream_directory() -> str:
    """Return the directory that streams live in.

    Returns
    -------
    str
        ``$MILK_SHM_DIR`` if it is set, else ``/milk/shm`` if that is a directory, else ``/tmp``.

    Raises
    ------
    StreamNotFoundError
        ``$MILK_SHM_DIR`` is set but is not a directory. ImageStreamIO prints a warning and goes on to
        the next candidate; here a mistyped directory never puts streams somewhere else.
    """
    chosen = os.environ.get("MILK_SHM_DIR")
    if chosen is not None:
        if not os.path.isdir(chosen):
            raise StreamNotFoundError(
                f"MILK_SHM_DIR is set to {chosen!r}, which is not a directory; "
                "create it or unset the variable",
                path=chosen,
            )
        return chosen
    for candidate in FALLBACK_DIRECTORIES:
        if os.path.isdir(candidate):
            return candidate
    raise StreamNotFoundError(
        f"no stream directory: MILK_SHM_DIR is not set and none of {FALLBACK_DIRECTORIES} exists",
        path=FALLBACK_DIRECTORIES[0],
    )


def _no_str(name: object) -> StreamNameError:
    return StreamNameError(f"a stream name is a str, not {type(name).__name__}", name=shown(name))


def _encodable(text: str) -> str:
    """Return `text` if it can be part of a path, else raise `StreamNameError`."""
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        raise StreamNameError(f"{shown(text)} cannot be part of a path", name=text) from None
    return text


def check_name(name: str) -> str:
    """Return `name` if it is a valid stream name, else raise `StreamNameError`.

    A name is 1 to 79 bytes of UTF-8 without ``/``, NUL, line ends and other control characters, and not
    ``.`` or ``..``.
    """
    if not isinstance(name, str):
        raise _no_str(name)
    nbytes = len(os.fsencode(_encodable(name)))
    if not name:
        raise StreamNameError("the name of a stream must not be empty", name=name)
    if "/" in name or "\0" in name:
        raise StreamNameError(f"stream name {shown(name)} contains '/' or NUL; use a plain name", name=name)
    if any(letter < " " or letter == "\x7f" for letter in name):
        raise StreamNameError(
            f"stream name {shown(name)} contains a control character; it would garble every list of streams",
            name=name,
        )
    if name in (".", ".."):
        raise StreamNameError(f"stream name {shown(name)} is a directory", name=name)
    if nbytes > NAME_MAX:
        raise StreamNameError(
            f"stream name {shown(name)} has {nbytes} bytes; the format stores at most {NAME_MAX}", name=name
        )
    return name


def stream_name(path: str | os.PathLike[str]) -> str:
    """Return the name of a stream from the path of its file: the file name without the suffix.

    Raises
    ------
    StreamNameError
        It is neither str nor a PathLike of text.
    """
    given: object = path
    text = os.fspath(given) if isinstance(given, os.PathLike) else given
    if not isinstance(text, str):
        raise _no_str(path)
    return os.path.basename(text).removesuffix(SUFFIX)


def stream_path(name_or_path: str | os.PathLike[str]) -> str:
    """Turn a name or a path into the path of the stream file.

    Parameters
    ----------
    name_or_path : str or PathLike
        A name (``"cam0"`` or ``"cam0.im.shm"``), which is looked for in `stream_directory`, or a path
        that ends in ``.im.shm``. A str with a ``/`` in it and every PathLike is a path.

    Returns
    -------
    str

    Raises
    ------
    StreamNameError
        It is neither: empty, too long, NUL in it, or a path without the suffix.
    StreamNotFoundError
        It is a name and there is no stream directory.
    """
    given: object = name_or_path
    text = os.fspath(given) if isinstance(given, os.PathLike) else given
    if not isinstance(text, str):
        raise _no_str(name_or_path)
    _encodable(text)
    if "/" not in text and isinstance(name_or_path, str):
        return os.path.join(stream_directory(), check_name(text.removesuffix(SUFFIX)) + SUFFIX)
    name = os.path.basename(text)
    if not name.endswith(SUFFIX) or "\0" in text:
        raise StreamNameError(
            f"{shown(text)} is not the path of a stream file: it has to end in {SUFFIX!r}", name=text
        )
    check_name(name.removesuffix(SUFFIX))
    return text


def is_pattern(name: str) -> bool:
    """Return whether a name has wildcards, as the shell has them."""
    return any(letter in name for letter in "*?[")


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Return whether a name is one of these, or matches one."""
    return any(fnmatchcase(name, each) if is_pattern(each) else name == each for each in patterns)
