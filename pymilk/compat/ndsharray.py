"""`NdShArray`: the interface of the library ndsharray, on ImageStreamIO streams.

An array of any number of axes goes from a writer to readers in other processes. Scripts written for
ndsharray import it from here, or call `install` first and then ``import ndsharray`` as before. Both ends have
to be pymilk: the original has files of its own.

The array called ``tag`` is the stream ``tag``, which every ISIO program can read. An array of another shape
or dtype takes the place of that stream, as a stream of the same name.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import uuid
import warnings
from typing import Any, Literal

import numpy as np

from .._core import FLAG_TORN, Stream
from .._types import Array
from ..errors import (
    StreamDamagedError,
    StreamFormatError,
    StreamInUseError,
    StreamNotFoundError,
    StreamNotReadyError,
    StreamReplacedError,
)
from ..names import SUFFIX, stream_directory
from ..times import now_ns
from .installing import give_import_name

__all__ = ["NdShArray", "supported_types"]

#: Version of ndsharray whose interface this is.
__version__ = "1.1.4"
__author__ = "pymilk"
__email__ = ""

#: What an array may consist of.
supported_types: list[type] = [
    np.int8,
    np.int16,
    np.int32,
    np.int64,
    np.uint8,
    np.uint16,
    np.uint32,
    np.uint64,
    np.float16,
    np.float32,
    np.float64,
    np.complex64,
    np.complex128,
    bool,
]

#: Bytes of an integer in the original's files.
n_bytes_for_int = 8

#: The array of a writer, or reader, that is given none.
EMPTY: Array = np.empty((0,), np.uint8)

#: NumPy's number of each type, with its place in the list. C has two integers of 64 bits.
_TYPES = {np.dtype(each).num: index for index, each in enumerate(supported_types)}
_TYPES.setdefault(np.dtype(np.longlong).num, 3)
_TYPES.setdefault(np.dtype(np.ulonglong).num, 7)

#: Most axes of an array of NumPy: an integer keyword for each.
_AXES_MAX = 64

#: Room for keywords in addition: those of the user.
_FREE_KEYWORDS = 16

#: The one pixel of a stream whose array has none.
_NO_PIXEL: Array = np.zeros(1, np.uint8)


def int_to_bytes(i: int, *, signed: bool = False) -> bytes:
    """Return an integer as the original's files hold it: `n_bytes_for_int` bytes, big-endian."""
    return i.to_bytes(n_bytes_for_int, "big", signed=signed)


def bytes_to_int(b: bytes, *, signed: bool = False) -> int:
    """Return the integer in big-endian bytes."""
    return int.from_bytes(b, "big", signed=signed)


def str_to_bytes(s: str) -> bytearray:
    """Return a text as UTF-8."""
    return bytearray(s.encode())


def bytes_to_str(b: bytes | bytearray) -> str:
    """Return the text in bytes of UTF-8."""
    return b.decode()


class Layout:
    """What is told about an array in the keywords of its stream.

    Attributes
    ----------
    dtype, shape
        Of the array.
    mmap_name : str
    stored_dtype, stored_shape
        Of the stream, which has no boolean pixels, one to three axes, and at least one pixel. The first axes
        of many become one.
    plain : bool
        Both are the same: the usual case, and the fast one.
    """

    def __init__(self, dtype: np.dtype[Any], shape: tuple[int, ...], mmap_name: str) -> None:
        self.dtype, self.shape, self.mmap_name = dtype, shape, mmap_name
        self.stored_dtype = np.dtype(np.uint8) if dtype == np.bool_ else dtype
        self.stored_shape = shape if len(shape) <= 3 else (math.prod(shape[:-2]), *shape[-2:])
        self._empty = 0 in shape
        if self._empty or not shape:
            self.stored_shape = (1,)
        self.plain = (self.stored_shape, self.stored_dtype) == (shape, dtype)

    def is_of(self, other: Layout) -> bool:
        """Tell whether shape and dtype are the same."""
        return (self.dtype, self.shape) == (other.dtype, other.shape)

    def stored(self, array: Array) -> Array:
        """Return an array as its stream takes it: itself, a view, or a copy."""
        if self._empty:
            return _NO_PIXEL.astype(self.stored_dtype)
        return array.reshape(self.stored_shape).view(self.stored_dtype)

    def given(self, frame: Array) -> Array:
        """Return what was written, from what the stream returned."""
        array = frame[:0] if self._empty else frame
        return array.view(self.dtype).reshape(self.shape)


def new_layout(array: Array, tag: str) -> Layout:
    """Return the layout of an array, with a new name."""
    return Layout(array.dtype, array.shape, f"{tag}_{uuid.uuid4().hex}")


def layout_keywords(layout: Layout) -> list[tuple[str, int, str]]:
    """Return the keywords that tell a layout."""
    number = int(layout.mmap_name[-32:], 16)
    halves = np.array([number >> 64, number % 2**64], np.uint64).view(np.int64).tolist()
    return [
        ("ND_NDIM", len(layout.shape), "axes of the array"),
        ("ND_DTYPE", _TYPES[layout.dtype.num], "its dtype: index in supported_types"),
        ("ND_ID_1", halves[0], "first half of the hex digits of its name"),
        ("ND_ID_2", halves[1], "second half"),
        *((f"ND_AXIS_{index}", axis, "") for index, axis in enumerate(layout.shape)),
    ]


def layout_of(stream: Stream, tag: str) -> Layout:
    """Read the layout of the array in a stream. A stream of another program is an array too.

    Raises
    ------
    ValueError
        The keywords do not fit the stream.
    """
    found = {keyword.name: keyword.value for keyword in stream.read_keywords()}
    if "ND_NDIM" not in found:
        return Layout(stream.dtype, stream.frame_shape, tag)
    names = ("ND_DTYPE", "ND_ID_1", "ND_ID_2")
    ndim, index, first, second = (_whole(found.get(name), name) for name in ("ND_NDIM", *names))
    if not (0 <= ndim <= _AXES_MAX and 0 <= index < len(supported_types)):
        raise ValueError(f"stream {stream.name!r}: no array has {ndim} axes and type {index}")
    shape = tuple(_whole(found.get(f"ND_AXIS_{axis}"), f"ND_AXIS_{axis}") for axis in range(ndim))
    number = (first % 2**64) << 64 | second % 2**64
    layout = Layout(np.dtype(supported_types[index]), shape, f"{tag}_{number:032x}")
    if min(shape, default=0) < 0 or (layout.stored_shape, layout.stored_dtype) != (
        stream.shape,
        stream.dtype,
    ):
        raise ValueError(
            f"stream {stream.name!r} has shape {stream.shape} and dtype {stream.dtype}, but its keywords "
            f"tell of an array of shape {shape} and dtype {layout.dtype}"
        )
    return layout


def _whole(value: object, name: str) -> int:
    if not isinstance(value, int):
        raise ValueError(f"keyword {name} is {value!r}, not an integer")
    return value


def checked_array(array: object) -> Array:
    """Return an ndarray of a supported type, as plain ndarray.

    Raises
    ------
    TypeError, NotImplementedError
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"array is a numpy.ndarray, not {type(array).__name__}")
    if array.dtype.num not in _TYPES or not array.dtype.isnative:
        raise NotImplementedError(f"dtype {array.dtype} is not in supported_types")
    if type(array) is np.ndarray:
        return array
    return array.filled() if isinstance(array, np.ma.MaskedArray) else np.asarray(array)


class NdShArray:
    """An array that one process writes and others read.

    Parameters
    ----------
    name : str
        The tag under which writer and readers find each other: the name of the stream.
    array : ndarray, any shape, dtype in `supported_types`
        Writer: the first array. Reader: what `read` returns until there is one.
    r_w : {"r", "w"}
        Read or write; upper case too.

    Raises
    ------
    ValueError
        `r_w` is neither; or the tag cannot be the name of a stream (StreamNameError).
    TypeError, NotImplementedError
        `array` is no ndarray, or its dtype not supported.
    FileNotFoundError
        Reader: there is no such array. Writer: no directory for it; the tag has a slash in it.
    StreamInUseError
        Another living process writes a stream of that name, which is no array of this interface.

    Notes
    -----
    There is no ``close``: an object lets go of its memory when it is collected. The stream stays, so that a
    reader that comes later finds the last array; ``pymilk rm TAG`` removes it. Memory of earlier shapes is
    freed as soon as no reader has it.

    Two writers of one tag do not wait for each other; readers follow the one that wrote last.
    """

    def __init__(
        self, name: str, array: Array = EMPTY, r_w: Literal["r", "w", "R", "W"] | None = None
    ) -> None:
        if r_w not in ("r", "w", "R", "W"):
            raise ValueError(f"r_w is 'r' or 'w', not {r_w!r}")
        self._array = checked_array(array)
        self._tag = name
        self._access = "r" if r_w in ("r", "R") else "w"
        self._stream: Stream | None = None
        self._seen = 0
        self._read_time_ms = 0.0
        if "/" in str(name):
            raise FileNotFoundError(f"the name of an array has no slash in it: {name!r}")
        self._path = os.path.join(stream_directory(), f"{name}{SUFFIX}")
        self._set_layout(Layout(self._array.dtype, self._array.shape, ""))
        if self._access == "w":
            self._create(self._array)
        else:
            with contextlib.suppress(StreamFormatError):  # `read` says so
                self._attach(Stream.attach(self._path, writable=False))

    @property
    def name(self) -> str:
        """The tag."""
        return self._tag

    @property
    def access(self) -> str:
        """``"r"`` or ``"w"``."""
        return self._access

    @property
    def ndarray_mmap_name(self) -> str:
        """The tag, and 32 hex digits that are new with each shape and dtype. Empty before the first array."""
        return self._layout.mmap_name

    @property
    def read_time_ms(self) -> float:
        """Milliseconds from write to read of the last new array; 0.0 before."""
        return self._read_time_ms

    @property
    def is_valid(self) -> bool:
        """Whether a reader has an array. False for a writer."""
        return self._access == "r" and self._stream is not None and not self._stream.damaged

    def write(self, array: Array) -> None:
        """Write an array: a copy.

        Parameters
        ----------
        array : ndarray, any shape, dtype in `supported_types`
            Any memory order; it arrives in C order. Of a masked array its filled values. Another shape or
            dtype than the last one makes a new stream, which costs much more than a write.

        Raises
        ------
        TypeError
            It is no ndarray; or this object reads.
        NotImplementedError
            Its dtype is not supported. Nothing is written.
        """
        if self._access != "w":
            raise TypeError(f"array {self._tag!r} was opened to be read: r_w='r'")
        if type(array) is not np.ndarray or array.dtype != self._dtype:
            array = checked_array(array)
        stream = self._stream
        if array.shape != self._shape or array.dtype != self._dtype or stream is None:
            self._create(array)
            return
        try:
            if stream.replaced():
                stream = self._adopt()
            stream.publish(array if self._plain else self._layout.stored(array))
        except (StreamReplacedError, StreamNotFoundError, StreamNotReadyError):
            self._create(array)

    def read(self) -> tuple[bool, Array]:
        """Return whether there is a new array, and the newest one.

        Returns
        -------
        status : bool
            True for an array that was not returned before, and is whole.
        array : ndarray, read-only
            A copy. With False the same object as the last time; of a writer the last one with a new shape or
            dtype.

        Warns
        -----
        BytesWarning
            What is under the tag is no array. The result then is an empty array of float64.
        """
        if self._access == "w":
            return False, self._array
        try:
            stream = self._stream
            if stream is None or stream.replaced():
                stream = self._follow()
            if stream is None or stream.counter == self._seen:
                return False, self._array
            frame, flags, number = stream.read()
        except StreamDamagedError:
            self._stream = None
            return False, self._array
        if flags & FLAG_TORN:
            return False, self._array
        took = (now_ns() - stream.write_time_ns) / 1e6
        self._read_time_ms = took if took > 0.0 else 0.0
        self._seen = number
        if not self._plain:
            frame = self._layout.given(frame)
        frame.setflags(write=False)
        self._array = frame
        return True, frame

    def _set_layout(self, layout: Layout) -> None:
        self._layout = layout
        self._dtype, self._shape, self._plain = layout.dtype, layout.shape, layout.plain

    def _create(self, array: Array) -> None:
        """Make a stream for an array, in the place of the last one, and write the array."""
        layout = new_layout(array, str(self._tag))
        keywords = layout_keywords(layout)

        def made(replace: bool | Literal["if-free"]) -> Stream:
            return Stream.create(
                self._path,
                layout.stored_shape,
                layout.stored_dtype,
                nbkw=len(keywords) + _FREE_KEYWORDS,
                replace=replace,
                keywords=keywords,
            )

        with warnings.catch_warnings():
            # It is what this interface promises, if the other one is an array too.
            warnings.filterwarnings("ignore", "stream .* is replaced")
            if self._holds_array():
                stream = made(True)
            else:
                try:
                    stream = made("if-free")
                except StreamInUseError:
                    if not self._holds_array():  # another writer may have begun just now
                        raise
                    stream = made(True)
        stream.publish(layout.stored(array))
        self._stream, self._array = stream, array
        self._set_layout(layout)

    def _holds_array(self) -> bool:
        """Tell whether the stream that is there is an array of this interface."""
        try:
            with Stream.attach(self._path, writable=False) as stream:
                return any(keyword.name == "ND_NDIM" for keyword in stream.read_keywords())
        except (StreamNotFoundError, StreamFormatError, StreamDamagedError):
            return False

    def _adopt(self) -> Stream:
        """Go on in the stream that another writer made; one of another layout raises StreamReplacedError."""
        other = Stream.attach(self._path)
        try:
            layout = layout_of(other, str(self._tag))
        except ValueError:
            layout = None
        if layout is None or not layout.is_of(self._layout) or layout.mmap_name == self._tag:
            other.close()
            raise StreamReplacedError(f"stream {self._tag!r} was replaced", stream=str(self._tag))
        self._stream = other
        self._set_layout(layout)
        return other

    def _follow(self) -> Stream | None:
        """Attach what is under the tag now. The old stream stays as long as there is nothing."""
        try:
            return self._attach(Stream.attach(self._path, writable=False))
        except (StreamNotFoundError, StreamNotReadyError):
            return self._stream
        except StreamFormatError as error:
            self._misfit(error)
            return None

    def _attach(self, stream: Stream) -> Stream | None:
        """Read from a stream, if it has an array by now."""
        if not stream.counter:
            stream.close()
            return self._stream
        try:
            layout = layout_of(stream, str(self._tag))
        except ValueError as error:
            stream.close()
            self._misfit(error)
            return None
        self._stream, self._seen = stream, 0
        self._set_layout(layout)
        return stream

    def _misfit(self, error: ValueError) -> None:
        warnings.warn(f"no array under {self._tag!r}: {error}", BytesWarning, stacklevel=4)
        self._stream = None
        self._array = np.empty((0,), np.float64)

    def __repr__(self) -> str:
        array = self._layout
        return f"<NdShArray {self._tag!r} {self._access} shape={array.shape} dtype={array.dtype}>"


def install() -> None:
    """Make ``import ndsharray`` find this module.

    Scripts call this explicitly, in each process. A second call does nothing.

    Raises
    ------
    StreamArgumentError
        The real ndsharray is imported already. If it is installed only, it is hidden.
    """
    module = sys.modules[__name__]
    give_import_name(
        "ndsharray", {"ndsharray": module}, whole=module, instead="from pymilk.compat import ndsharray"
    )
