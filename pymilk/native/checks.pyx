"""Arguments of callers: numbers, times and arrays, each checked once and worded once; and the errors of a handle."""

from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_WRITABLE, PyBuffer_Release, PyObject_CheckBuffer, PyObject_GetBuffer,
)
from cpython.number cimport PyNumber_Index
from libc.stdint cimport int64_t
from libc.string cimport strchr

from ..protocol.clock cimport FOREVER
from ..protocol.layout cimport Header

import math

import numpy as np

from ..arguments import shown
from ..errors import (
    FrameMismatchError,
    StreamArgumentError,
    StreamClosedError,
    StreamDamagedError,
    StreamFormatError,
)
from .formats import DTYPES

__all__ = ["checked_timeout"]


cdef object closed_error(str name):
    return StreamClosedError(
        f"stream {name!r}: the handle is closed; attach the stream again", stream=name)


cdef object damaged_error(str name):
    return StreamDamagedError(
        f"stream {name!r}: its file was cut, or its header rewritten, while it was attached: another program "
        "made a stream in the same file, or damaged it; attach it again once it is whole",
        stream=name, field="file", expected="as attached", found="cut or rewritten")


cdef object on_gpu_error(str name, int location):
    return StreamFormatError(
        f"stream {name!r}: its pixels are on GPU {location}, not in the file; "
        "this build reaches metadata, keywords and semaphores only",
        stream=name, field="location", expected=-1, found=location)


cdef object bad_argument(str name, str argument, object found, str wanted):
    return StreamArgumentError(
        f"stream {name!r}: {argument} is {wanted}, not {shown(found)}",
        stream=name, argument=argument, found=found)


cdef object whole_number(object value):
    """Return an integer as int, and None for anything else: arrays and classes have __index__ too.

    As `pymilk.arguments.whole_number`, but for bool, which counts as 0 and 1 in arguments of `Stream`.
    """
    try:
        return PyNumber_Index(value)
    except TypeError:
        return None


cdef object index_argument(str name, str argument, object value, object below):
    """Return an argument as an int of 0 to below - 1."""
    whole = whole_number(value)
    if whole is None or not 0 <= whole < below:
        raise bad_argument(name, argument, value, f"an int of 0 to {below - 1}")
    return whole


cdef int64_t timeout_ns(object timeout, str name) except? -2:
    """Turn seconds into nanoseconds; None is FOREVER."""
    if timeout is None:
        return FOREVER
    try:
        seconds = float(timeout)
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    if math.isnan(seconds) or seconds < 0:
        whose = f"stream {name!r}: " if name else ""
        raise StreamArgumentError(
            f"{whose}timeout is seconds (0 or more) or None for ever, not {shown(timeout)}",
            stream=name, argument="timeout", found=timeout,
        )
    return FOREVER if seconds > 9e9 else <int64_t>(seconds * 1e9)


def checked_timeout(timeout, name=""):
    """Return a timeout in seconds as float, or None; anything else raises `StreamArgumentError`."""
    cdef int64_t limit = timeout_ns(timeout, name)
    return None if limit == FOREVER else float(timeout)


cdef int64_t time_argument(str name, object value) except? -1:
    """Return a time given in nanoseconds."""
    whole = whole_number(value)
    if whole is None or not -2**63 <= whole < 2**63:
        raise bad_argument(name, "atime_ns", value, "nanoseconds of CLOCK_TAI as an int")
    return whole


cdef int take_buffer(object array, Py_buffer *view, bint writable, str name, str what) except -1:
    """Get the buffer of an array: C-contiguous numbers. The caller releases it."""
    if not PyObject_CheckBuffer(array):
        raise FrameMismatchError(
            f"stream {name!r}: {what} has to be an array, not {type(array).__name__}",
            stream=name, field="dtype", expected="array", found=type(array).__name__)
    try:
        PyObject_GetBuffer(
            array, view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (PyBUF_WRITABLE if writable else 0))
    except (BufferError, ValueError) as error:
        try:
            readonly = writable and memoryview(array).readonly
        except (BufferError, ValueError):  # arrays of dates have no buffer
            raise FrameMismatchError(
                f"stream {name!r}: {what} cannot be used as pixels: {error}",
                stream=name, field="dtype", expected="numbers", found=type(array).__name__) from None
        raise FrameMismatchError(
            f"stream {name!r}: {what} has to be C-contiguous"
            f"{' and writable' if writable else ''}; it is "
            f"{'read-only' if readonly else 'not contiguous'}",
            stream=name, field="writeable" if readonly else "order", expected="C-contiguous",
            found="read-only" if readonly else "not contiguous") from None
    if view.format != NULL and strchr(view.format, c"O") != NULL:
        PyBuffer_Release(view)
        raise FrameMismatchError(
            f"stream {name!r}: {what} holds Python objects, which pixels must not overwrite",
            stream=name, field="dtype", expected="numbers", found="object")
    return 0


cdef object count_frames(object out, Py_buffer *view, const Header *h, tuple shape, str name, str what):
    """Return how many frames an array of shape (n, *shape) holds. `h` is the header of their stream."""
    dtype = DTYPES[h.datatype]
    if isinstance(out, np.ndarray):
        if out.dtype != dtype:
            raise FrameMismatchError(
                f"stream {name!r}: {what} is {out.dtype}, the stream is {dtype}",
                stream=name, field="dtype", expected=dtype, found=out.dtype)
        if out.shape[1:] != shape:
            raise FrameMismatchError(
                f"stream {name!r}: {what} has shape {out.shape}, needed is (n, {str(shape)[1:-1]})",
                stream=name, field="shape", expected=shape, found=out.shape)
    elif view.len % <Py_ssize_t>h.unit_nbytes:
        raise FrameMismatchError(
            f"stream {name!r}: {what} has {view.len} bytes, not a multiple of {h.unit_nbytes}",
            stream=name, field="nbytes", expected=h.unit_nbytes, found=view.len)
    return view.len // <Py_ssize_t>h.unit_nbytes
