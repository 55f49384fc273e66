"""How bad files are refused: every way to a header, and what the error must say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pymilk._core import Stream, read_header
from pymilk.errors import StreamFormatError, StreamNotReadyError


def attach_writable(path: Path) -> None:
    Stream.attach(path).close()


def attach_read_only(path: Path) -> None:
    Stream.attach(path, writable=False).close()


#: Every way to a header; all make the same checks.
DOORS = pytest.mark.parametrize("door", [attach_writable, attach_read_only, read_header])


def refuse(
    door: Callable[[Path], object], path: Path, field: str, found: object, *words: str
) -> StreamFormatError:
    """Check that a file is refused, and how: exact class, every attribute, words of the message."""
    before = path.read_bytes()
    with pytest.raises(StreamFormatError) as caught:
        door(path)
    error = caught.value
    unfinished = error.found in ("empty", 0) and error.field in ("version", "file size")
    assert type(error) is (StreamNotReadyError if unfinished else StreamFormatError)
    assert isinstance(error, ValueError)
    assert error.stream == path.name.removesuffix(".im.shm")
    assert error.path == str(path)
    assert error.field == field
    assert error.found == found
    message = str(error)
    assert message.startswith(f"{path}: not a usable stream: {field} is {found}, expected ")
    assert str(error.expected) in message
    for word in words:
        assert word in message
    assert path.read_bytes() == before
    return error
