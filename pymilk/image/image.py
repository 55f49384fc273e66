"""`Image`: a stream through the interface of ImageStreamIO's own Python wrapper.

Scripts that use ImageStreamIOWrap find its names, return codes and axis order here: arrays have the first
index fastest, in the order of the file. Calls that crash there raise an error here.
"""

from __future__ import annotations

import contextlib
import datetime
import operator
import os
import threading
import weakref
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np

from .._core import FLAG_TORN, FLAG_UNCERTAIN, ArrayExporter, Stream
from .._types import Array
from ..arguments import shown
from ..errors import (
    CaptureMemoryError,
    FrameMismatchError,
    ImageUnsupportedError,
    KeywordError,
    StreamArgumentError,
    StreamClosedError,
    StreamError,
    StreamFormatError,
    StreamNameError,
    StreamNotFoundError,
    StreamReplacedError,
    StreamStorageError,
)
from ..system.arrays import as_pixels, on_gpu, unmasked
from ..system.notices import warn_of_tear
from ..times import StreamTime, from_user
from .metadata import Image_md, Proc_trace
from .opened import listed, need_slices, not_initialized, open_only, slice_times
from .types import Image_kw, ImageStreamIODataType, ImageStreamIOType

__all__ = ["Image", "image_over"]

# Return codes of the C library.
DONE = 0
BAD_ARGUMENT = 1
REFUSED = 10
UNUSABLE = 40
NO_SPACE = 42
NO_MAPPING = 50
BAD_VERSION = 100

#: Seconds that a stream which is being made again has to become complete.
_SUCCESSOR_WAIT = 0.1

#: Most pixels that the C library opens.
NELEMENT_MAX = 10**10


class Owner(Protocol):
    """An object that follows a stream: an SHM."""

    def live_source(self) -> tuple[Stream, object]:
        """Return its stream, after following it to a new file."""


class Image(ArrayExporter):
    """A stream through the interface of ImageStreamIO's wrapper: made empty, then `open` or `create`.

    Attributes
    ----------
    used : int
        1 after `create`, 0 otherwise.
    memsize : int
        Bytes of the stream; 0 unless it is open.
    last_error : StreamError or None
        Why the last `open` or `create` did not return 0.
    md : Image_md
        The metadata, live.
    shape : tuple of int
        Axes in the order of the file, fastest first.

    Raises
    ------
    ImageNotInitializedError
        A RuntimeError, "image not initialized": by every method and attribute but `create`, `open`,
        `used`, `memsize` and `last_error` before `open` or `create`, and after `close`.

    Notes
    -----
    Its buffer protocol gives the pixels in place: ``np.array(image, copy=False)``, first index fastest,
    writable if the stream is. Such arrays stay valid memory after `close`.

    A stream that was replaced by a new file is not followed: `open` it again. Only the one of `SHM.IMAGE`
    follows, as its SHM does. An `Image` goes through fork, but cannot be pickled. Threads may share one; they
    publish one after the other.

    The class can be subclassed: own attributes and overridden methods do not change how the others work.

    Examples
    --------
    >>> import numpy as np
    >>> image = Image()
    >>> image.create("doc_image", np.zeros((4, 3), np.float32, order="F"))
    0
    >>> image.write(np.ones((4, 3), np.float32))
    >>> image.md.cnt0, image.shape, float(np.asarray(image).sum())
    (2, (4, 3), 12.0)
    >>> image.destroy()
    0
    """

    # Two underscores: subclasses in existing scripts may use any other name. Defaults at the class, because
    # such subclasses may not call __init__.
    __stream: Stream | None = None
    __owner: weakref.ref[Owner] | None = None  # the SHM that has it
    __created = False
    __error: StreamError | None = None
    __lock: tuple[int, contextlib.AbstractContextManager[Any]]

    def __init__(self) -> None:
        super().__init__()

    def __repr__(self) -> str:
        stream = self.__present()
        if stream is None or stream.closed:
            return f"<{type(self).__name__} not initialized>"
        return f"<{type(self).__name__} {stream.name!r} shape={stream.size} dtype={stream.dtype}>"

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError(
            "an Image cannot be pickled; pass the name of its stream and open it on the other side"
        )

    # -- life ----------------------------------------------------------------------------------

    def create(
        self,
        name: str,
        buffer: Any,
        location: int = -1,
        shared: int = 1,
        NBsem: int = 10,
        NBkw: int = 1,
        imagetype: int = ImageStreamIOType.MATH_DATA_TYPE,
        CBsize: int = 0,
    ) -> int:
        """Create a stream, replacing one of that name, and write its first frame.

        Parameters
        ----------
        name : str
        buffer : array
            The first frame, of 1 to 3 axes; its shape and dtype are those of the stream. Any memory and
            byte order; bool is stored as uint8.
        location : int, default -1
            Must be -1: pixels in shared memory.
        shared : int, default 1
            0 makes a stream of this process alone.
        NBsem, NBkw : int
            Semaphores, and room for keywords.
        imagetype : int or ImageStreamIOType.Type
        CBsize : int, default 0
            Slots of the fast circular buffer.

        Returns
        -------
        int
            0; 1 for an invalid name, 10 for another invalid argument, 42 if there is no space, 40 for any
            other error. `last_error` says why. The image is closed then.

        Raises
        ------
        FrameMismatchError
            A TypeError: `buffer` is not an array.
        ImageUnsupportedError
            A RuntimeError: streams have no such dtype, or `location` is a GPU.
            After an exception the image is unchanged.

        Notes
        -----
        The call of the oldest scripts, ``create(name, [x, y], ImageStreamIODataType.FLOAT, shared, NBkw)``,
        makes a stream of zeros with counter 0.
        """
        if isinstance(buffer, (list, tuple)) and isinstance(location, ImageStreamIODataType.Type):
            # The fifth parameter was NBkw; here it is NBsem.
            axes, dtype, frame = tuple(buffer)[::-1], ImageStreamIODataType(location).dtype, None
            location, NBsem, NBkw = -1, 10, NBsem
        else:
            frame = _frame(buffer, name)
            axes, dtype = frame.shape[::-1], frame.dtype
        if operator.index(location) >= 0:
            raise ImageUnsupportedError(
                f"unsupported location: stream {name!r} cannot be on GPU {location}: no GPU library is "
                "there; use location=-1",
                stream=str(name),
            )
        try:
            if not axes or location < -1:
                raise StreamArgumentError(
                    f"stream {name!r}: a frame has 1 to 3 axes and location -1, not shape {axes[::-1]} and "
                    f"location {location}",
                    stream=name,
                    argument="buffer" if not axes else "location",
                    found=location if axes else axes,
                )
            make = Stream.create if shared else Stream.local
            stream = make(name, axes, dtype, nbkw=NBkw, nbsem=NBsem, imagetype=imagetype, cb_size=CBsize)
        except StreamArgumentError as error:
            if error.argument == "dtype":
                raise ImageUnsupportedError(f"Not implemented datatype: {error}", stream=name) from None
            return self.__failed(error, REFUSED)
        except StreamNameError as error:
            return self.__failed(error, BAD_ARGUMENT if name else REFUSED)
        except (StreamStorageError, CaptureMemoryError) as error:
            return self.__failed(error, NO_SPACE)
        except StreamError as error:
            return self.__failed(error, UNUSABLE)
        self.__release()
        self._bind(stream, True)
        if frame is not None:
            _publish(stream, frame)
        return DONE

    def open(self, name: str) -> int:
        """Attach a stream.

        Returns
        -------
        int
            0; 40 if it is missing or unusable, 50 if it cannot be mapped, 100 if its version is not 2, 1
            if it has too many pixels or none in memory (a GPU holds them). `last_error` says why. The
            image is closed then.

        Notes
        -----
        Attached read-only where the file permits no more; `write` and semaphores then raise
        `StreamReadOnlyError`.
        """
        self.__release()
        try:
            stream = Stream.attach(name)
        except StreamFormatError as error:
            if error.field == "version":
                return self.__failed(error, BAD_VERSION)
            too_many = error.field == "nelement" and error.found > NELEMENT_MAX
            return self.__failed(error, BAD_ARGUMENT if too_many else UNUSABLE)
        except StreamStorageError as error:
            return self.__failed(error, NO_MAPPING)
        except StreamError as error:
            return self.__failed(error, UNUSABLE)
        if stream.location != -1:
            stream.close()
            return self.__failed(_on_gpu(stream, "opened"), BAD_ARGUMENT)
        self._bind(stream, False)
        return DONE

    def _bind(self, stream: Stream, created: bool, owner: Owner | None = None) -> None:
        self.__stream, self.__created = stream, created
        # Weak: the SHM refers to this object.
        self.__owner = None if owner is None else weakref.ref(owner)
        self.__lock = os.getpid(), threading.RLock()

    def __failed(self, error: StreamError, code: int) -> int:
        self.__release()
        self.__error = error
        return code

    def __release(self) -> None:
        if self.__stream is not None:
            self.__stream.close()
        self.__stream = self.__owner = self.__error = None
        self.__created = False

    def __live(self) -> Stream:
        """Return the stream, which is open; that of an SHM after following it to a new file."""
        stream = self.__held()
        if self.__owner is None:
            return stream
        owner = self.__owner()
        try:
            if owner is not None:
                stream = owner.live_source()[0]
            elif stream.replaced():  # the SHM is gone
                stream = stream.successor(_SUCCESSOR_WAIT)
        except StreamClosedError as error:
            self.__release()
            raise not_initialized(error.stream) from None
        if stream is not self.__stream:
            self.__stream, self.__created = stream, False
        return self.__held()

    def __held(self) -> Stream:
        """Return the stream, which is open, without following it."""
        stream = self.__stream
        if stream is None or stream.closed:
            raise not_initialized(stream.name if stream else None)
        return stream

    def __present(self) -> Stream | None:
        """Return the stream for calls that never raise: the last one that fitted, maybe closed."""
        with contextlib.suppress(StreamError):
            self.__live()
        return self.__stream

    def __turn(self) -> contextlib.AbstractContextManager[Any]:
        """Return the lock that a thread holds while it publishes."""
        if self.__lock[0] != os.getpid():  # a forked child; a thread of the parent may hold the lock
            self.__lock = os.getpid(), threading.RLock()
        return self.__lock[1]

    def close(self) -> int:
        """Close the stream; returns 0. Arrays over its memory stay valid."""
        self.__present()  # of an SHM: the stream that it has now
        self.__held()
        self.__release()
        return DONE

    @open_only
    def destroy(self) -> int:
        """Delete the stream, if this object created it; returns 0.

        A stream that was opened stays, as does one that another process has put in its place. Processes
        that wait for a semaphore of it are woken.
        """
        stream = self.__held()
        if self.__created:
            # The stream may be deleted or replaced already.
            try:
                stream.destroy()
            except StreamNotFoundError:
                pass
            except StreamReplacedError:
                if self.__owner is not None:  # the SHM goes on with the new one, which is not its own
                    self.__created = False
                    return DONE
            self.__release()
        return DONE

    # -- metadata ------------------------------------------------------------------------------

    @property
    def used(self) -> int:
        """1 after `create`, else 0."""
        stream = self.__present()
        return int(self.__created and stream is not None and not stream.closed)

    @property
    def memsize(self) -> int:
        """Bytes of the stream, 0 unless it is open."""
        stream = self.__stream
        return 0 if stream is None or stream.closed else self.__live().file_nbytes

    @property
    def last_error(self) -> StreamError | None:
        """Why the last `open` or `create` did not return 0."""
        return self.__error

    @property
    def md(self) -> Image_md:
        """The metadata, live."""
        return Image_md._of(self.__live(), self.__live if self.__owner else None)

    @property
    @open_only
    def shape(self) -> tuple[int, ...]:
        """Axes in the order of the file, fastest first."""
        return self.__live().size

    @property
    @open_only
    def semReadPID(self) -> list[int]:
        """Process that waits on each semaphore; 0 or -1 if it is free."""
        return listed(self.__live(), "sem_read_pid")

    @property
    @open_only
    def semWritePID(self) -> list[int]:
        """Process that posted each semaphore last; -1 if none did."""
        return listed(self.__live(), "sem_write_pid")

    @property
    @open_only
    def acqtimearray(self) -> list[StreamTime]:
        """Acquisition time of each slice of a temporal circular cube."""
        return slice_times(self.__live(), "acqtimearray", "slice_atime")

    @property
    @open_only
    def writetimearray(self) -> list[StreamTime]:
        """Time at which each slice of a temporal circular cube was published."""
        return slice_times(self.__live(), "writetimearray", "slice_writetime")

    @property
    @open_only
    def cntarray(self) -> list[int]:
        """Counter of the frame in each slice of a temporal circular cube."""
        stream = self.__live()
        need_slices(stream, "cntarray")
        return listed(stream, "slice_cnt0")

    @property
    def streamproctrace0(self) -> Proc_trace:
        """Record of the last update: the process that made it, and its trigger."""
        stream = self.__live()
        if not stream.nbproctrace:
            raise ImageUnsupportedError(
                f"streamproctrace0 not initialized: stream {stream.name!r} has no trace", stream=stream.name
            )
        return Proc_trace._of(stream, self.__live if self.__owner else None)

    # -- pixels --------------------------------------------------------------------------------

    def view(self) -> Array:
        """Return the pixels in place: shape `shape`, first index fastest, writable if the stream is.

        What is written to it is counted and announced by `update`. The memory stays valid after `close`.
        """
        return self.__pixels()

    @open_only
    def __pixels(self) -> Array:
        stream = self.__live()
        if stream.location != -1:
            raise _on_gpu(stream, "viewed")
        pixels: Array = stream.view(writable=stream.writable).T
        return pixels

    def _exported(self) -> Array:
        return self.__pixels()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        # NumPy calls this only after the buffer protocol has failed, and drops that error: raise it here.
        if copy is None:  # NumPy 1 has no such parameter
            return np.asarray(self.__pixels(), dtype=dtype)
        return np.array(self.__pixels(), dtype=dtype, copy=copy)

    @open_only
    def copy(self) -> Array:
        """Return a copy of the newest frame, not torn: shape `shape`, first index fastest.

        Warns
        -----
        FrameTornWarning
            The writer died in this frame, or leaves no time to copy one.

        Notes
        -----
        A temporal circular cube is copied with all its slices, while its writer may be in one of them.
        """
        stream = self.__live()
        if stream.location != -1:
            raise _on_gpu(stream, "copied")
        frame = np.empty(stream.shape, stream.dtype)
        if stream.copy_frame(frame) & FLAG_TORN:
            warn_of_tear(stream.name, stream.frame_counter, bool(stream.frame_flags & FLAG_UNCERTAIN))
        pixels: Array = frame.T
        return pixels

    @open_only
    def write(self, buffer: Any) -> None:
        """Publish a frame.

        Parameters
        ----------
        buffer : array, shape `shape`, dtype of the stream
            Any memory and byte order; bool where the stream is uint8.

        Raises
        ------
        FrameMismatchError
            A ValueError and TypeError: not an array, or dtype, number of axes or shape differ; nothing was
            written.
        StreamReadOnlyError
        StreamBusyError
            The image belongs to an `SHM` that has an open claim.

        Notes
        -----
        Pixels, times and rings come before the counter, the semaphores last. cnt1 grows with cnt0, but
        for a temporal circular cube, where it is the slice written last.
        """
        stream = self.__live()
        frame = _frame(buffer, stream.name)
        for what, field, expected, found in (
            ("type", "dtype", stream.dtype, frame.dtype),
            ("number of axis", "shape", stream.naxis, frame.ndim),
            ("shape", "shape", stream.size, frame.shape),
        ):
            if expected != found:
                raise FrameMismatchError(
                    f"incompatible {what}: stream {stream.name!r} has {expected}, the buffer {found}; "
                    "convert it, or create the stream anew",
                    stream=stream.name,
                    field=field,
                    expected=expected,
                    found=found,
                )
        with self.__turn():
            _publish(stream, frame)

    @open_only
    def update(self) -> int:
        """Publish the pixels in place: set times, increment the counter, post semaphores; returns 0."""
        stream = self.__live()
        with self.__turn():
            stream.announce()
        return DONE

    @open_only
    def update_atime(self, atime: datetime.datetime | float) -> int:
        """Publish the pixels in place with this acquisition time; returns 0.

        Parameters
        ----------
        atime : datetime or float
            A naive datetime is local time; a number is seconds since 1970. Stored without conversion.

        Raises
        ------
        StreamArgumentError
            It is not a time.
        """
        stream = self.__live()
        moment = from_user(atime, stream.name)
        with self.__turn():
            stream.announce(atime_ns=moment)
        return DONE

    # -- semaphores ----------------------------------------------------------------------------

    @open_only
    def getsemwaitindex(self, index: int) -> int:
        """Return the semaphore of this object: `index`, or the lowest free one if that is taken.

        Returns
        -------
        int
            -1 if none is free, or the stream is read-only.

        Notes
        -----
        `close` frees it. Each `Image` of a process has its own; a child after fork takes another.
        """
        taken = self.__live().take_semaphore(operator.index(index))
        return -1 if taken is None else taken

    @open_only
    def semwait(self, index: int) -> int:
        """Wait for a post of a semaphore, and take it; 0, or 1 for a bad index. Releases the GIL."""
        return _semwait(self.__live(), index, None)

    @open_only
    def semtimedwait(self, index: int, timeoutsec: float) -> int:
        """Wait `timeoutsec` seconds for a post: 0, -1 on a timeout, 1 for a bad index. Releases the GIL."""
        return _semwait(self.__live(), index, max(timeoutsec, 0.0))

    @open_only
    def semtrywait(self, index: int) -> int:
        """Take a post if there is one: 0, -1 if there is none, 1 for a bad index."""
        return _semwait(self.__live(), index, 0.0)

    @open_only
    def sempost(self, index: int = -1) -> int:
        """Post a semaphore, or all of them (negative), where below 10; 0, or 1 for a bad index."""
        stream = self.__live()
        number = operator.index(index)
        if number >= stream.nbsem:
            return BAD_ARGUMENT
        stream.post(None if number < 0 else number)
        return DONE

    @open_only
    def semflush(self, index: int) -> int:
        """Take all posts off a semaphore, or off every one (negative); 0, or 1 for a bad index."""
        stream = self.__live()
        number = operator.index(index)
        if number >= stream.nbsem:
            return BAD_ARGUMENT
        stream.flush(None if number < 0 else number)
        return DONE

    @open_only
    def semvalue(self, index: int) -> int:
        """Return the number of posts of a semaphore that were not taken, -1 for a bad index."""
        stream = self.__live()
        number = operator.index(index)
        return stream.sem_value(number) if 0 <= number < stream.nbsem else -1

    # -- keywords ------------------------------------------------------------------------------

    @open_only
    def get_kws(self) -> dict[str, Image_kw]:
        """Return the keywords by name, in byte order of the names. Copies."""
        keywords = sorted(self.__live().read_keywords(), key=lambda each: _in_bytes(each.name))
        return {keyword.name: Image_kw._of(keyword) for keyword in keywords}

    @open_only
    def get_kws_list(self) -> list[Image_kw]:
        """Return the keywords in the order of the stream. Copies."""
        return [Image_kw._of(keyword) for keyword in self.__live().read_keywords()]

    @open_only
    def set_kws(self, keywords: Mapping[str, Image_kw]) -> None:
        """Replace all keywords, in byte order of the keys; the name is that of each `Image_kw`.

        Raises
        ------
        KeywordError
            They cannot be stored; nothing was changed. Too many: `KeywordTableFullError`, also a
            RuntimeError.
        """
        stream = self.__live()
        if not isinstance(keywords, Mapping) or not all(isinstance(key, str) for key in keywords):
            raise KeywordError(
                f"stream {stream.name!r}: set_kws takes a dict of str to Image_kw, not {shown(keywords)}",
                stream=stream.name,
            )
        _store(stream, [keywords[key] for key in sorted(keywords, key=_in_bytes)])

    @open_only
    def set_kws_list(self, keywords: Iterable[Image_kw]) -> None:
        """Replace all keywords, in the order given; errors as `set_kws`."""
        stream = self.__live()
        if isinstance(keywords, (str, bytes, Mapping)) or not isinstance(keywords, Iterable):
            raise KeywordError(
                f"stream {stream.name!r}: set_kws_list takes a list of Image_kw, not {shown(keywords)}",
                stream=stream.name,
            )
        _store(stream, list(keywords))


def image_over(
    stream: Stream,
    created: bool,
    image: Image | None = None,
    *,
    owner: Owner | None = None,
) -> Image:
    """Return an `Image` of an attached stream.

    Parameters
    ----------
    stream : Stream
    created : bool
        Its owner created it.
    image : Image, optional
        Returned with that stream. Its previous one is not closed: the owner does that. Default: a new one.
    owner : SHM, optional
        Asked for its stream at each call: it follows a replaced one, or raises where that does not fit.
        Once it is gone, the image follows by itself.
    """
    if image is None:
        image = Image()
    image._bind(stream, created, owner)
    return image


def _on_gpu(stream: Stream, done: str) -> ImageUnsupportedError:
    return ImageUnsupportedError(
        f"unsupported location: stream {stream.name!r} has its pixels on GPU {stream.location}; without a "
        f"GPU library they cannot be {done}",
        stream=stream.name,
    )


def _frame(buffer: Any, name: str) -> Array:
    """Return an array or buffer as an array with the dtype that is stored; lists are refused."""
    buffer = unmasked(buffer, "buffer")
    if isinstance(buffer, np.ndarray):
        frame: Array = buffer
    elif hasattr(buffer, "__array__") or on_gpu(buffer):
        frame = as_pixels(buffer, "buffer")
    else:
        try:
            frame = np.asarray(memoryview(buffer))
        except TypeError:
            raise FrameMismatchError(
                f"incompatible type: a frame of stream {name!r} has to be an array, not a "
                f"{type(buffer).__name__}; convert it with numpy.asarray",
                stream=name,
                field="dtype",
                expected="array",
                found=type(buffer).__name__,
            ) from None
    if frame.dtype == np.bool_:
        return frame.view(np.uint8)
    return frame if frame.dtype.isnative else frame.astype(frame.dtype.newbyteorder("="))


def _publish(stream: Stream, frame: Array) -> None:
    if stream.temporal:  # cnt1 is the slice written last
        stream.publish(frame.T)
        return
    cnt1 = stream.cnt1
    stream.cnt1 = (cnt1 + 1) % 2**64  # before any reader wakes
    try:
        stream.publish(frame.T)
    except StreamError:
        stream.cnt1 = cnt1
        raise


def _semwait(stream: Stream, index: int, timeout: float | None) -> int:
    number = operator.index(index)
    if not 0 <= number < stream.nbsem:
        return BAD_ARGUMENT
    return DONE if stream.sem_wait(number, timeout) else -1


def _in_bytes(name: str) -> bytes:
    """Return a name for sorting."""
    return name.encode("utf-8", "surrogatepass")


def _store(stream: Stream, keywords: list[Image_kw]) -> None:
    for keyword in keywords:
        if not isinstance(keyword, Image_kw):
            raise KeywordError(
                f"stream {stream.name!r}: keywords are given as Image_kw, not {shown(keyword)}",
                stream=stream.name,
            )
    # Without the old update counts, so that they continue from those in the stream.
    stream.write_keywords([keyword._keyword._replace(cnt=None) for keyword in keywords])
