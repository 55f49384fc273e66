"""`Image`: a stream through the interface of ImageStreamIO's own Python wrapper.

Scripts that use ImageStreamIOWrap find its names, return codes and axis order here: arrays have the first
index fastest, as the axes stand in the file. What crashed there raises here.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import operator
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

from ._core import FLAG_TORN, ArrayExporter, Stream
from .errors import (
    CaptureMemoryError,
    FrameMismatchError,
    ImageNotInitializedError,
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
from .imagetypes import Image_kw, ImageStreamIODataType, ImageStreamIOType
from .notices import warn_of_tear
from .times import StreamTime, from_user, to_local

__all__ = ["Image", "Image_md", "Proc_trace", "image_over"]

Array = npt.NDArray[Any]
P = ParamSpec("P")
T = TypeVar("T")

# Return codes of the C library.
DONE = 0
BAD_ARGUMENT = 1
REFUSED = 10
UNUSABLE = 40
NO_SPACE = 42
NO_MAPPING = 50
BAD_VERSION = 100

#: Most pixels that the C library opens.
NELEMENT_MAX = 10**10


def _not_initialized(name: str | None = None) -> ImageNotInitializedError:
    # The text is the old one: existing scripts look for it.
    return ImageNotInitializedError("image not initialized", stream=name)


def _open_only(method: Callable[P, T]) -> Callable[P, T]:
    """Let a method say "image not initialized" also if another thread closes the stream meanwhile."""

    @functools.wraps(method)
    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(*args, **kwargs)
        except StreamClosedError as error:
            raise _not_initialized(error.stream) from None

    return called


class Image(ArrayExporter):
    """A stream as ImageStreamIO's wrapper has it: made empty, then bound by `open` or `create`.

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

    A stream that was replaced by a new file is not followed: `open` it again. An `Image` goes through
    fork, but cannot be pickled. Threads may share one; they publish one after the other.

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

    # Two underscores: subclasses of existing scripts have attributes of any other name. Defaults of the
    # class: they need not call __init__.
    __stream: Stream | None = None
    __created = False
    __error: StreamError | None = None
    __lock: tuple[int, contextlib.AbstractContextManager[Any]]

    def __init__(self) -> None:
        super().__init__()

    def __repr__(self) -> str:
        stream = self.__stream
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
            0; 1 if the name cannot be one, 10 for another argument that is out of range, 42 if there is
            no space, 40 for what else the system refuses. `last_error` says why. The image is closed then.

        Raises
        ------
        FrameMismatchError
            A TypeError: `buffer` is no array.
        ImageUnsupportedError
            A RuntimeError: streams cannot have this dtype, or the pixels are to be on a GPU.
            After an exception the image is as it was.

        Notes
        -----
        The call of the oldest scripts, ``create(name, [x, y], ImageStreamIODataType.FLOAT, shared, NBkw)``,
        makes a stream of zeros with counter 0.
        """
        if isinstance(buffer, (list, tuple)) and isinstance(location, ImageStreamIODataType.Type):
            # NBkw, the fifth parameter there, has the place of NBsem here.
            axes, dtype, frame = tuple(buffer)[::-1], ImageStreamIODataType(location).dtype, None
            location, NBsem, NBkw = -1, 10, NBsem
        else:
            frame = _frame(buffer, name)
            axes, dtype = frame.shape[::-1], frame.dtype
        if operator.index(location) >= 0:
            raise ImageUnsupportedError(
                f"unsupported location: stream {name!r} cannot be put on GPU {location}, no GPU library is "
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
        Where the file permits reading only it is attached read-only; `write` and semaphores then raise
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

    def _bind(self, stream: Stream, created: bool) -> None:
        self.__stream, self.__created = stream, created
        self.__lock = os.getpid(), threading.RLock()

    def __failed(self, error: StreamError, code: int) -> int:
        self.__release()
        self.__error = error
        return code

    def __release(self) -> None:
        if self.__stream is not None:
            self.__stream.close()
        self.__stream = self.__error = None
        self.__created = False

    def __live(self) -> Stream:
        stream = self.__stream
        if stream is None or stream.closed:
            raise _not_initialized(stream.name if stream else None)
        return stream

    def __turn(self) -> contextlib.AbstractContextManager[Any]:
        """Return what one thread at a time publishes under."""
        if self.__lock[0] != os.getpid():  # after fork; a thread that is not here may have held it
            self.__lock = os.getpid(), threading.RLock()
        return self.__lock[1]

    def close(self) -> int:
        """Let go of the stream; returns 0. Arrays over its memory stay valid."""
        self.__live()
        self.__release()
        return DONE

    @_open_only
    def destroy(self) -> int:
        """Delete the stream, if this object created it; returns 0.

        A stream that was opened stays, as does one that another process has put in its place. Processes
        that wait for a semaphore of it are woken.
        """
        stream = self.__live()
        if self.__created:
            # What this object made may be gone already.
            with contextlib.suppress(StreamReplacedError, StreamNotFoundError):
                stream.destroy()
            self.__release()
        return DONE

    # -- metadata ------------------------------------------------------------------------------

    @property
    def used(self) -> int:
        """1 after `create`, else 0."""
        return int(self.__created and self.__stream is not None and not self.__stream.closed)

    @property
    def memsize(self) -> int:
        """Bytes of the stream, 0 unless it is open."""
        stream = self.__stream
        return 0 if stream is None or stream.closed else stream.file_nbytes

    @property
    def last_error(self) -> StreamError | None:
        """Why the last `open` or `create` did not return 0."""
        return self.__error

    @property
    def md(self) -> Image_md:
        """The metadata, live."""
        md = Image_md.__new__(Image_md)
        md._stream = self.__live()
        return md

    @property
    @_open_only
    def shape(self) -> tuple[int, ...]:
        """Axes in the order of the file, fastest first."""
        return self.__live().size

    @property
    @_open_only
    def semReadPID(self) -> list[int]:
        """For each semaphore the process that waits on it; 0 or -1 if it is free."""
        return _listed(self.__live(), "sem_read_pid")

    @property
    @_open_only
    def semWritePID(self) -> list[int]:
        """For each semaphore the process that posted it last, -1 if none did."""
        return _listed(self.__live(), "sem_write_pid")

    @property
    @_open_only
    def acqtimearray(self) -> list[StreamTime]:
        """Acquisition time of each slice of a temporal circular cube."""
        return _slice_times(self.__live(), "acqtimearray", "slice_atime")

    @property
    @_open_only
    def writetimearray(self) -> list[StreamTime]:
        """Time at which each slice of a temporal circular cube was published."""
        return _slice_times(self.__live(), "writetimearray", "slice_writetime")

    @property
    @_open_only
    def cntarray(self) -> list[int]:
        """Counter of the frame in each slice of a temporal circular cube."""
        stream = self.__live()
        _need_slices(stream, "cntarray")
        return _listed(stream, "slice_cnt0")

    @property
    def streamproctrace0(self) -> Proc_trace:
        """What is stored about the last update: who did it, and upon which trigger."""
        stream = self.__live()
        if not stream.nbproctrace:
            raise ImageUnsupportedError(
                f"streamproctrace0 not initialized: stream {stream.name!r} has no trace", stream=stream.name
            )
        trace = Proc_trace.__new__(Proc_trace)
        trace._stream = stream
        return trace

    # -- pixels --------------------------------------------------------------------------------

    def view(self) -> Array:
        """Return the pixels in place: shape `shape`, first index fastest, writable if the stream is.

        What is written to it is counted and announced by `update`. The memory stays valid after `close`.
        """
        return self.__pixels()

    @_open_only
    def __pixels(self) -> Array:
        stream = self.__live()
        if stream.location != -1:
            raise _on_gpu(stream, "viewed")
        pixels: Array = stream.view(writable=stream.writable).T
        return pixels

    def _exported(self) -> Array:
        return self.__pixels()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        # NumPy asks for this only where the buffer protocol has failed, and forgets why: raise it here.
        if copy is None:  # which NumPy 1 does not take
            return np.asarray(self.__pixels(), dtype=dtype)
        return np.array(self.__pixels(), dtype=dtype, copy=copy)

    @_open_only
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
            warn_of_tear(stream.name, stream.frame_counter)
        pixels: Array = frame.T
        return pixels

    @_open_only
    def write(self, buffer: Any) -> None:
        """Publish a frame.

        Parameters
        ----------
        buffer : array, shape `shape`, dtype of the stream
            Any memory and byte order; bool where the stream is uint8.

        Raises
        ------
        FrameMismatchError
            A ValueError and TypeError: no array, or dtype, number of axes or shape differ; nothing was
            written.
        StreamReadOnlyError
        StreamBusyError
            The image is that of an `SHM`, and a claim of it is open.

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

    @_open_only
    def update(self) -> int:
        """Announce the pixels as they are: times, counter, semaphores; returns 0."""
        stream = self.__live()
        with self.__turn():
            stream.announce()
        return DONE

    @_open_only
    def update_atime(self, atime: datetime.datetime | float) -> int:
        """Announce the pixels as they are, with this acquisition time; returns 0.

        Parameters
        ----------
        atime : datetime or float
            A naive datetime is local time; a number is seconds since 1970. Stored without conversion.

        Raises
        ------
        StreamArgumentError
            It is no time.
        """
        stream = self.__live()
        moment = from_user(atime, stream.name)
        with self.__turn():
            stream.announce(atime_ns=moment)
        return DONE

    # -- semaphores ----------------------------------------------------------------------------

    @_open_only
    def getsemwaitindex(self, index: int) -> int:
        """Return the semaphore of this object; it takes `index` or, if that is not free, the lowest free.

        Returns
        -------
        int
            -1 if none is free, or the stream is read-only.

        Notes
        -----
        It is given back by `close`. Another `Image` of this process gets another one, and so does this one
        in a child after fork.
        """
        taken = self.__live().take_semaphore(operator.index(index))
        return -1 if taken is None else taken

    @_open_only
    def semwait(self, index: int) -> int:
        """Wait for a post of a semaphore, and take it; 0, or 1 for a bad index. Releases the GIL."""
        return _semwait(self.__live(), index, None)

    @_open_only
    def semtimedwait(self, index: int, timeoutsec: float) -> int:
        """Wait `timeoutsec` seconds for a post: 0, -1 on a timeout, 1 for a bad index. Releases the GIL."""
        return _semwait(self.__live(), index, max(timeoutsec, 0.0))

    @_open_only
    def semtrywait(self, index: int) -> int:
        """Take a post if there is one: 0, -1 if there is none, 1 for a bad index."""
        return _semwait(self.__live(), index, 0.0)

    @_open_only
    def sempost(self, index: int = -1) -> int:
        """Post a semaphore, or all of them (negative), where below 10; 0, or 1 for a bad index."""
        stream = self.__live()
        number = operator.index(index)
        if number >= stream.nbsem:
            return BAD_ARGUMENT
        stream.post(None if number < 0 else number)
        return DONE

    @_open_only
    def semflush(self, index: int) -> int:
        """Take all posts off a semaphore, or off every one (negative); 0, or 1 for a bad index."""
        stream = self.__live()
        number = operator.index(index)
        if number >= stream.nbsem:
            return BAD_ARGUMENT
        stream.flush(None if number < 0 else number)
        return DONE

    @_open_only
    def semvalue(self, index: int) -> int:
        """Return how many posts of a semaphore nobody has taken, -1 for a bad index."""
        stream = self.__live()
        number = operator.index(index)
        return stream.sem_value(number) if 0 <= number < stream.nbsem else -1

    # -- keywords ------------------------------------------------------------------------------

    @_open_only
    def get_kws(self) -> dict[str, Image_kw]:
        """Return the keywords by name, in byte order of the names. Copies."""
        keywords = sorted(self.__live().read_keywords(), key=lambda each: _in_bytes(each.name))
        return {keyword.name: Image_kw._of(keyword) for keyword in keywords}

    @_open_only
    def get_kws_list(self) -> list[Image_kw]:
        """Return the keywords in the order of the stream. Copies."""
        return [Image_kw._of(keyword) for keyword in self.__live().read_keywords()]

    @_open_only
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
                f"stream {stream.name!r}: set_kws takes a dict of str to Image_kw, not {keywords!r}",
                stream=stream.name,
            )
        _store(stream, [keywords[key] for key in sorted(keywords, key=_in_bytes)])

    @_open_only
    def set_kws_list(self, keywords: Iterable[Image_kw]) -> None:
        """Replace all keywords, in the order given; errors as `set_kws`."""
        stream = self.__live()
        if isinstance(keywords, (str, bytes, Mapping)) or not isinstance(keywords, Iterable):
            raise KeywordError(
                f"stream {stream.name!r}: set_kws_list takes a list of Image_kw, not {keywords!r}",
                stream=stream.name,
            )
        _store(stream, list(keywords))


def image_over(stream: Stream, created: bool, image: Image | None = None) -> Image:
    """Return an `Image` of a stream that is attached already; `image` is given that stream, if any.

    The stream that `image` had is not closed: its owner does that.
    """
    if image is None:
        image = Image()
    image._bind(stream, created)
    return image


def _on_gpu(stream: Stream, done: str) -> ImageUnsupportedError:
    return ImageUnsupportedError(
        f"unsupported location: stream {stream.name!r} has its pixels on GPU {stream.location}; without a "
        f"GPU library they cannot be {done}",
        stream=stream.name,
    )


def _frame(buffer: Any, name: str) -> Array:
    """Return what offers an array or a buffer as array of the dtype it is stored in; a list is neither."""
    if isinstance(buffer, np.ndarray):
        frame: Array = buffer
    elif hasattr(buffer, "__array__"):
        frame = np.asarray(buffer)
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


def _section(stream: Stream, section: str) -> Array:
    """Copy a section."""
    found: Array = stream.section(section).copy()
    stream.check_whole()
    return found


def _listed(stream: Stream, section: str) -> list[int]:
    found: list[int] = _section(stream, section).tolist()
    return found


def _need_slices(stream: Stream, what: str) -> None:
    if not stream.temporal:
        raise ImageUnsupportedError(
            f"{what} not initialized: stream {stream.name!r} is no temporal circular cube",
            stream=stream.name,
        )


def _slice_times(stream: Stream, what: str, section: str) -> list[StreamTime]:
    _need_slices(stream, what)
    return [to_local(_stamp(stamp)) for stamp in _section(stream, section)]


def _stamp(stamp: Any) -> int:
    """Return a stored time in nanoseconds."""
    return int(stamp["sec"]) * 1_000_000_000 + int(stamp["nsec"])


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
                f"stream {stream.name!r}: keywords are given as Image_kw, not {keyword!r}",
                stream=stream.name,
            )
    # Without the counts they were read with: what is written now counts on.
    stream.write_keywords([keyword._keyword._replace(cnt=None) for keyword in keywords])


def _of_stream(read: Callable[[Stream], Any], doc: str) -> Any:
    """Make a property of `Image_md` or `Proc_trace`: read at each access."""

    @_open_only
    def value(self: Image_md | Proc_trace) -> Any:
        if self._stream.closed:  # what does not stand in the mapping could be read even then
            raise _not_initialized(self._stream.name)
        return read(self._stream)

    return property(value, doc=doc)


class Image_md:
    """The metadata of a stream; every attribute is read anew at each access. Made by `Image.md`.

    Notes
    -----
    Times are naive local datetimes that are also numbers (see `pymilk.times.StreamTime`). They are as the
    writer stored them: nothing is converted from TAI to UTC.
    """

    __slots__ = ("_stream",)

    _stream: Stream

    def __init__(self) -> None:
        raise TypeError("an Image_md is made by Image.md")

    version = _of_stream(lambda s: s.version, "Version of the structure.")
    name = _of_stream(lambda s: s.stored_name, "Name, as stored.")
    naxis = _of_stream(lambda s: s.naxis, "Number of axes.")
    size = _of_stream(lambda s: list(s.size), "Axes as a list, fastest first.")
    nelement = _of_stream(lambda s: s.nelement, "Number of pixels.")
    datatype = _of_stream(lambda s: ImageStreamIODataType.Type(s.datatype), "Code of the pixel type.")
    imagetype = _of_stream(lambda s: ImageStreamIOType(s.imagetype).type, "Low 4 bits of the type.")
    creationtime = _of_stream(lambda s: to_local(s.creation_time_ns), "When the stream was created.")
    lastaccesstime = _of_stream(
        lambda s: to_local(s.last_access_time_ns), "Last access, by writers that note it."
    )
    acqtime = _of_stream(lambda s: to_local(s.acquisition_time_ns), "When the newest frame was acquired.")
    writetime = _of_stream(lambda s: to_local(s.write_time_ns), "When the newest frame was published.")
    shared = _of_stream(lambda s: s.shared, "1; 0 if the stream is local to this process.")
    inode = _of_stream(lambda s: s.inode, "Inode of the file when it was created.")
    location = _of_stream(lambda s: s.location, "-1, or the number of a GPU.")
    location_str = _of_stream(
        lambda s: "CPU RAM" if s.location < 0 else f"GPU{s.location} RAM", "Where the pixels are."
    )
    status = _of_stream(lambda s: s.status, "Status bits.")
    flag = _of_stream(lambda s: s.flag, "Flag of the writer.")
    logflag = _of_stream(lambda s: s.logflag, "Whether a logger is to record the stream.")
    sem = _of_stream(lambda s: s.nbsem, "Number of semaphores.")
    cnt0 = _of_stream(lambda s: s.counter, "Frames published.")
    cnt1 = _of_stream(lambda s: s.cnt1, "Slice written last, where the writer keeps it.")
    cnt2 = _of_stream(lambda s: s.cnt2, "Counter of synchronisation schemes.")
    write = _of_stream(lambda s: s.write, "1 while a frame is being written.")
    NBkw = _of_stream(lambda s: s.nbkw, "Room for keywords.")

    @_open_only
    def __repr__(self) -> str:
        stream = self._stream
        lines = {
            "Name": self.name,
            "Version": self.version,
            "Size": self.size,
            "nelement": self.nelement,
            "creationtime": _shown(stream.creation_time_ns),
            "lastaccesstime": _shown(stream.last_access_time_ns),
            "acqtime": _shown(stream.acquisition_time_ns),
            "shared": self.shared,
            "location": self.location_str,
            "flag": self.flag,
            "logflag": self.logflag,
            "sem": self.sem,
            "cnt0": self.cnt0,
            "cnt1": self.cnt1,
            "cnt2": self.cnt2,
        }
        return "\n".join(f"{label}: {value}" for label, value in lines.items())


def _shown(stamp_ns: int) -> str:
    """Show a stored time as C's ctime does."""
    return time.ctime(stamp_ns // 1_000_000_000)


def _of_trace(field: str, doc: str) -> Any:
    return _of_stream(lambda s: int(_section(s, "trace")[0][field]), doc)


class Proc_trace:
    """Entry 0 of the processing trace of a stream, read at each access. Made by `Image.streamproctrace0`."""

    __slots__ = ("_stream",)

    _stream: Stream

    def __init__(self) -> None:
        raise TypeError("a Proc_trace is made by Image.streamproctrace0")

    triggermode = _of_trace("triggermode", "How the process is triggered.")
    pid_write = _of_trace("procwrite_PID", "Process that updated the stream.")
    trigger_inode = _of_trace("trigger_inode", "Inode of the stream that triggered it.")
    trigger_semindex = _of_trace("trigsemindex", "Semaphore that triggered it, -1: none.")
    trigger_status = _of_trace("triggerstatus", "How the trigger came.")
    cnt0 = _of_trace("cnt0", "Counter of the stream that triggered it.")
    ts_procstart = _of_stream(
        lambda s: to_local(_stamp(_section(s, "trace")[0]["ts_procstart"])), "When the processing began."
    )
    ts_streamupdate = _of_stream(
        lambda s: to_local(_stamp(_section(s, "trace")[0]["ts_streamupdate"])), "When the stream was updated."
    )
