"""What footage is: frames of one kind, in order, that can be read again and again."""

from __future__ import annotations

import abc
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from .._types import Array
from ..axes import Orientation, Which3DState, encode
from ..errors import StreamFormatError
from ..system.causes import ended_resources
from ..system.files import file_error, memory_error
from ..system.single import Single

__all__ = ["Footage", "Sequence", "damaged", "stem", "usual_orientation"]


class Footage(Single, abc.ABC):
    """Frames of one shape and dtype, in order, that can be read again and again.

    Attributes
    ----------
    name : str
        What it is, for messages.
    stream_name : str or None
        What a stream of it may be called.
    turn : Orientation
        Of the stream that its frames are to be in: `turn.stream_shape` is the shape of a frame there.
    dtype : dtype
        That the stream has.
    count : int or None
        Frames; None if that is known only after reading them.
    interval_ns : int or None
        Usual time from frame to frame; None if its frames have no times.
    keywords : list of (name, value, comment)
    notes : list of str
        What is done to the pixels.
    choices : list of (str, str, value)
        What the source leaves open: what was decided, with ``{}`` for the option that decides otherwise;
        the name of that option; and a value of it.
    """

    _single = "its files are open in this process; open them again with open_footage"

    name: str
    stream_name: str | None = None
    turn: Orientation
    dtype: np.dtype[Any]
    count: int | None = None
    interval_ns: int | None = None
    keywords: list[tuple[Any, ...]]
    notes: list[str]
    choices: list[tuple[str, str, Any]]

    @abc.abstractmethod
    def pieces(self, limit: int) -> Iterator[tuple[Array, Array | None]]:
        """Go through all frames once.

        Parameters
        ----------
        limit : int
            Frames of a piece, at most.

        Yields
        ------
        (ndarray of shape (n, *turn.stream_shape), ndarray of int64 of shape (n,), or None)
            Frames, and the nanoseconds that passed before each, since the one before; None without times.
            That of the first frame is the usual interval, for those who begin again.

        Raises
        ------
        StreamFormatError
            A frame is damaged, or of another shape or dtype than the first; or there are fewer frames than
            the file says.
        """

    def close(self) -> None:
        """Close its files."""

    def describe(self, *, command: bool = False) -> str:
        """Say in one line what it is, and what is done to it.

        Parameters
        ----------
        command : bool, default False
            Write options as on the command line, and not as arguments.
        """
        size = "x".join(map(str, self.turn.shape)) or "1"
        frames = "frames" if self.count is None else f"{self.count} frame{'s' if self.count > 1 else ''}"
        notes = list(self.notes)
        for text, option, value in self.choices:
            spelled = f"--{option.replace('_', '-')} {value}" if command else f"{option}={value!r}"
            notes.append(text.format(spelled))
        return f"{self.name}: {frames} of {size} {self.dtype}" + "".join(f"; {note}" for note in notes)


def usual_orientation(shape: tuple[int, ...]) -> Orientation:
    """Return the orientation of frames that `SHM` shows with this shape by default."""
    raw = encode(np.broadcast_to(np.uint8(0), shape), 4, Which3DState.LAST2LAST)
    return Orientation(raw.shape[::-1])


class Sequence(Footage):
    """Pictures that come one after the other, their top row first.

    In a stream the bottom row is first, as in FITS: each picture is turned over, so that `pymilk show` and
    FITS viewers show it upright.
    """

    def _note(self, text: str) -> None:
        """Keep what is done to pixels, once."""
        if text and text not in self.notes:
            self.notes.append(text)

    @abc.abstractmethod
    def pictures(self) -> Iterator[tuple[Array, int | None]]:
        """Go through all pictures, top row first: each with the nanoseconds before it."""

    def look(self) -> None:
        """Learn from the first frame."""
        for picture, _ in self.pictures():
            self.turn, self.dtype = usual_orientation(picture.shape), picture.dtype
            return
        raise StreamFormatError(
            f"{self.name} has no frames", path=self.name, field="frames", expected="1 or more", found=0
        )

    def pieces(self, limit: int) -> Iterator[tuple[Array, Array | None]]:
        """See `Footage`."""
        for number, (picture, step) in enumerate(self.pictures()):
            if picture.shape != self.turn.shape or picture.dtype != self.dtype:
                raise StreamFormatError(
                    f"{self.name}: frame {number} is {picture.shape} of {picture.dtype}, the first one "
                    f"{self.turn.shape} of {self.dtype}; a stream has frames of one kind",
                    path=self.name,
                    field="shape",
                    expected=self.turn.shape,
                    found=picture.shape,
                )
            yield self.turn.native(picture[None, ::-1]), None if step is None else np.array([step])


def damaged(error: Exception, path: str, what: str) -> Exception:
    """Return the error of ours for what a library says of a file."""
    if isinstance(error, MemoryError):
        return memory_error(path, "read")
    ended = ended_resources(error)
    if ended is not None:
        return file_error(ended, path, "read", "source")
    if isinstance(error, OSError) and error.errno is not None and not os.path.isfile(path):
        return file_error(error, path, "read", "source")
    said = getattr(error, "strerror", None) or str(error)  # numbers of libraries tell nothing
    return StreamFormatError(
        f"{path} is no {what} that can be read, or it is damaged: {said}",
        path=path,
        field="file",
        expected=what,
        found=said,
    )


def stem(path: str) -> str:
    """Return the file name without suffix."""
    return os.path.splitext(os.path.basename(os.path.abspath(path)))[0]
