"""Access to a stream that must be open, for `Image` and its metadata."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from .._core import Stream
from .._types import Array
from ..errors import ImageNotInitializedError, ImageUnsupportedError, StreamClosedError
from ..times import StreamTime, to_local

__all__ = ["listed", "need_slices", "not_initialized", "open_only", "section_of", "slice_times", "stamp_of"]

P = ParamSpec("P")
T = TypeVar("T")


def not_initialized(name: str | None = None) -> ImageNotInitializedError:
    """Return the error of an image that is not open."""
    # Existing scripts look for this text.
    return ImageNotInitializedError("image not initialized", stream=name)


def open_only(method: Callable[P, T]) -> Callable[P, T]:
    """Make a method raise "image not initialized" also if another thread closes the stream."""

    @functools.wraps(method)
    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(*args, **kwargs)
        except StreamClosedError as error:
            raise not_initialized(error.stream) from None

    return called


def section_of(stream: Stream, section: str) -> Array:
    """Copy a section."""
    found: Array = stream.section(section).copy()
    stream.check_whole()
    return found


def listed(stream: Stream, section: str) -> list[int]:
    """Return a section as a list."""
    found: list[int] = section_of(stream, section).tolist()
    return found


def need_slices(stream: Stream, what: str) -> None:
    """Raise if a stream has no records of slices."""
    if not stream.temporal:
        raise ImageUnsupportedError(
            f"{what} not initialized: stream {stream.name!r} is no temporal circular cube",
            stream=stream.name,
        )


def slice_times(stream: Stream, what: str, section: str) -> list[StreamTime]:
    """Return the times in a section of the slices of a temporal circular cube."""
    need_slices(stream, what)
    return [to_local(stamp_of(stamp)) for stamp in section_of(stream, section)]


def stamp_of(stamp: Any) -> int:
    """Return a stored time in nanoseconds."""
    return int(stamp["sec"]) * 1_000_000_000 + int(stamp["nsec"])
