"""Names of FPS, their files, and the keywords of their parameters.

An FPS called ``loop`` is the file ``loop.fps.shm`` in the stream directory, which is looked up at each call.
"""

from __future__ import annotations

import os

from ..arguments import shown
from ..errors import FPSNameError, FPSNotFoundError, StreamNotFoundError
from ..names import stream_directory

__all__ = [
    "KEYWORD_MOST",
    "PART_MOST",
    "SUFFIX",
    "check_fps_name",
    "check_keyword",
    "encode",
    "fps_directory",
    "fps_name",
    "fps_path",
    "full_keyword",
    "name_index",
]

#: End of the file name of every FPS.
SUFFIX = ".fps.shm"

#: Longest part of a keyword in bytes, and so the longest name of an FPS that is made here: 64 less the NUL.
PART_MOST = 63

#: Longest name that the header has room for. Programs that do not look may have made such an FPS.
_NAME_MOST = 99

#: Longest keyword in bytes, and most parts of it.
KEYWORD_MOST = 1279
_PARTS_MOST = 20

#: milk stores at most so many parts of a name, each up to 15 bytes, into rows of 10 bytes.
_INDEX_PARTS, _INDEX_ROW, _INDEX_TEXT = 10, 10, 15


def fps_directory() -> str:
    """Tell the directory that FPS live in: the stream directory.

    Raises
    ------
    FPSNotFoundError
        MILK_SHM_DIR is set, but is no directory.
    """
    try:
        return stream_directory()
    except StreamNotFoundError as error:
        raise FPSNotFoundError(str(error), path=error.path) from error


def encode(text: str) -> bytes:
    """Return a text as files hold it: UTF-8. Bytes that were read and are no UTF-8 come out as they were.

    Raises
    ------
    FPSNameError
        It has half of a surrogate pair in it.
    """
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise FPSNameError(f"{text!r} cannot be encoded as UTF-8", name=text) from None


def _wrong_letters(text: str) -> bool:
    return any(letter <= " " or letter == "\x7f" for letter in text)


def check_fps_name(name: object, most: int = PART_MOST) -> str:
    """Return `name` if an FPS can be called so.

    A name is 1 to `most` bytes without ``.``, ``/``, spaces and control characters: it is the first part of
    each keyword, which ends at a dot, and stands in command lines.

    Raises
    ------
    FPSNameError
    """
    if not isinstance(name, str):
        raise FPSNameError(f"the name of an fps is a str, not {type(name).__name__}", name=shown(name))
    if not name:
        raise FPSNameError("the name of an fps must not be empty", name=name)
    if "." in name or "/" in name or _wrong_letters(name):
        raise FPSNameError(
            f"fps name {name!r} has a dot, a slash, a space or a control character in it; use a plain name",
            fps=name,
            name=name,
        )
    nbytes = len(encode(name))
    if nbytes > most:
        raise FPSNameError(f"fps name {name!r} has {nbytes} bytes; at most {most} fit", fps=name, name=name)
    return name


def fps_path(name_or_path: str | os.PathLike[str]) -> str:
    """Return the path of the file of an FPS.

    Parameters
    ----------
    name_or_path : str or PathLike
        A name, looked for in `fps_directory`; or a path that ends in ``.fps.shm``. A str with a ``/`` in it
        and every PathLike is a path.

    Raises
    ------
    FPSNameError
        It is neither.
    FPSNotFoundError
        It is a name, and there is no stream directory.
    """
    given: object = os.fspath(name_or_path) if isinstance(name_or_path, os.PathLike) else name_or_path
    if isinstance(given, str) and ("/" in given or isinstance(name_or_path, os.PathLike)):
        if not given.endswith(SUFFIX) or "\0" in given:
            raise FPSNameError(
                f"{given!r} is not the path of a parameter file: it has to end in {SUFFIX!r}", name=given
            )
        check_fps_name(fps_name(given), _NAME_MOST)
        return given
    name = given.removesuffix(SUFFIX) if isinstance(given, str) else given
    return os.path.join(fps_directory(), check_fps_name(name, _NAME_MOST) + SUFFIX)


def fps_name(path: str) -> str:
    """Return the name that belongs to a path: the file name less its suffix."""
    return os.path.basename(path).removesuffix(SUFFIX)


def full_keyword(key: object, name: str) -> str:
    """Return the keyword that a new parameter gets.

    The name of the FPS is put in front, unless the key begins with it.
    """
    if not isinstance(key, str):
        raise FPSNameError(f"a key is a str, not {shown(key)}", fps=name, name=shown(key))
    if key.startswith("."):
        return check_keyword(name + key, name)
    return check_keyword(key if key.startswith(name + ".") else f"{name}.{key}", name)


def check_keyword(keyword: str, name: str) -> str:
    """Return a keyword if it can be stored whole.

    Raises
    ------
    FPSNameError
        A part is empty, has more than 63 bytes, a space or a control character, or there are too many parts.
    """
    parts = keyword.split(".")
    if not all(parts) or _wrong_letters(keyword):
        raise FPSNameError(
            f"fps {name!r}: keyword {keyword!r} has an empty part, a space or a control character in it",
            fps=name,
            name=keyword,
        )
    longest = max(len(encode(part)) for part in parts)
    if longest > PART_MOST or len(parts) > _PARTS_MOST or len(encode(keyword)) > KEYWORD_MOST:
        raise FPSNameError(
            f"fps {name!r}: keyword {keyword!r} is too long: at most {_PARTS_MOST} parts of {PART_MOST} "
            "bytes fit, "
            f"{KEYWORD_MOST} bytes in all",
            fps=name,
            name=keyword,
        )
    return keyword


def name_index(name: str) -> tuple[str, list[str], bytes]:
    """Cut a name at its dashes, as milk does when it connects to an FPS.

    Returns
    -------
    str
        First part, member pname.
    list of str
        Further parts, at most 10.
    bytes
        Member nameindexW. Rows have 10 bytes and parts up to 15: a long one runs into the next row, and is
        cut when that row is written (measured).
    """
    first, *parts = name.split("-")
    parts = parts[:_INDEX_PARTS]
    rows = bytearray(160)
    for number, part in enumerate(parts):
        stored = encode(part)[:_INDEX_TEXT] + b"\0"
        at = number * _INDEX_ROW
        rows[at : at + len(stored)] = stored
    return first, parts, bytes(rows)
