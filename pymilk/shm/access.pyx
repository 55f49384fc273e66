"""The usual case of reading and writing frames with `SHM`, without a Python call in between."""

cimport cython
from libc.stdint cimport int64_t, uint64_t

from .._core cimport Stream, not_entered
from .._isio cimport CLOCK_MONOTONIC, IMAGE_METADATA, __ATOMIC_ACQUIRE, atomic_load_u64
from ..native.file cimport StreamFile
from ..native.reader cimport Terms, terms_of
from ..protocol.clock cimport clock_ns
from ..protocol.frame cimport _TORN, _UNCERTAIN
from ..protocol.waiting cimport LEARNED

import numpy as np

from .. import _core
from ..errors import StreamBusyError, StreamReplacedError, StreamTimeoutError
from ..streams.silence import check_on_timeout
from ..system.notices import warn_of_tear
from .making import wait_limit
from .spellings import FRAME_OPTIONS, frame_options, positional_too

__all__ = ["FrameAccess"]

# What is asked of NumPy on hot paths, looked up once.
cdef object _ndarray = np.ndarray
cdef object _view_of = np.ndarray.view

# The default of on_timeout.
cdef object _OLD = "old"

# What is wrong with a claim that nobody made.
cdef str _MADE_BY = "a FrameClaim is made by SHM.claim()"

# Instead of a frame: this is no usual case.
cdef object _UNUSUAL = object()


@cython.auto_pickle(False)
cdef class FrameAccess:
    """Base of `SHM`: the usual cases of reads and writes, compiled: a Python method costs as much as the copy.

    Every other case (another orientation, a replaced stream, other kinds of memory) goes to `_get_frame` and
    `_set_frame` of the subclass.

    Attributes
    ----------
    _stream : Stream or None
        None once it is closed.
    _view : ndarray or None
        The pixels as the user sees them.
    _plain : bool
        Frames, or slices of a temporal cube, are given and taken as the stream has them.
    _seen : int
        Number of the frame that was read or waited for last.
    """

    cdef public object _stream
    cdef public object _view
    cdef public bint _plain
    cdef public uint64_t _seen

    def get_data(self, check=False, *positional, timeout=5.0, copy=True, checkSemAndFlush=True,
                 autorelink_if_need=True, return_none_on_timeout=False, cube=False, out=None, on_timeout="old",
                 reform=True, sleepT=0.001):
        """Return a frame: the newest one, or the next one.

        Parameters
        ----------
        check : bool, default False
            Wait for a new frame first. The GIL is released, Ctrl-C ends the wait.
        timeout : float or None, default 5.0
            Seconds to wait; None, 0 and negative wait for ever.
        copy : bool, default True
            False gives a view: memory that stays valid for ever, and holds the frame until the writer begins the
            next one. Nothing checks that it is whole. Every process sees what is written to it; `repost`
            announces it. It is read-only if the stream is.
        checkSemAndFlush : bool, default True
            Wait for a frame published after the call. False also takes one that was published since
            this object last waited or read one.
        autorelink_if_need : bool, default True
            Follow a stream that was replaced. False keeps reading the old file; waiting in it raises
            `StreamReplacedError`.
        return_none_on_timeout : bool, default False
            On a timeout return None instead of the old frame: ``on_timeout="none"``.
        cube : bool, default False
            Of a temporal circular cube, return all slices in the order of the file instead of the newest one.
            The slice behind the newest may be changing, because the writer does not wait.
        out : array or buffer, shape `shape`, stream dtype, optional
            Filled and returned; nothing is allocated. Any object with the buffer protocol, or with DLPack on the
            CPU: NumPy arrays, memory-mapped files, shared memory. Memory without a shape needs as many bytes.
            C-contiguous is fastest. With `cube`: shape (slices, *shape).
        on_timeout : {"old", "raise", "none"}
            What a timeout leads to: the old frame again, with a warning, as in existing scripts; a
            `StreamTimeoutError`; or None. `timeouts` counts all of them. New code is safest with "raise".
        reform, sleepT
            Without effect. Older calls pass them, also by position (a bool after `check` is `reform`).

        Returns
        -------
        ndarray, shape `shape`, or None
            A copy is never torn, unless a `FrameTornWarning` says so. Of a temporal circular cube: its
            newest slice, or with `cube` all of them, shape (slices, *shape).

        Raises
        ------
        StreamChangedError
            The stream was recreated with another shape or dtype.
        FrameMismatchError
            `out` does not fit, or is given with ``copy=False``.
        StreamTimeoutError
            No new frame in time, with ``on_timeout="raise"``.
        StreamClosedError

        Warns
        -----
        StreamTimeoutWarning
            No new frame in time, and the old one is returned. As long as none comes the 1st, 2nd, 4th, 8th time
            and so on warn, each in other words, so that Python shows them.
        FrameTornWarning
            The writer died in this frame, leaves no time to copy one, or counts frames late: see docs/reliability.md.

        Notes
        -----
        Copies of 128 KiB and more are in page-aligned memory of earlier frames that were freed; at most 8 such blocks
        and 256 MiB are kept. Copies of 512 KiB and more release the GIL.
        """
        cdef Stream stream
        if (check is False and cube is False and self._plain and not positional and on_timeout is _OLD
                and type(self._stream) is Stream):
            stream = <Stream>self._stream
            # `stream.file` goes into no local variable here, which costs 5 % of a view: from the question to the
            # door no Python code runs.
            if stream.file.mapping is not None and not (autorelink_if_need and stream.is_replaced()):
                if out is None and copy is True:
                    return self.seen_frame(stream, stream.fill(stream.new_frame()))
                if out is None and copy is False and not stream.file.h.temporal:
                    self._seen = atomic_load_u64(&(<IMAGE_METADATA *>stream.file.use()).cnt0, __ATOMIC_ACQUIRE)
                    return _view_of(self._view)
                if copy is True and type(out) is _ndarray and stream.fits(out):
                    return self.seen_frame(stream, stream.fill(out))
        if positional:
            given = {"timeout": timeout, "copy": copy, "checkSemAndFlush": checkSemAndFlush,
                     "autorelink_if_need": autorelink_if_need, "return_none_on_timeout": return_none_on_timeout,
                     "reform": reform, "sleepT": sleepT}
            (timeout, copy, checkSemAndFlush, autorelink_if_need,
             return_none_on_timeout) = frame_options(positional, given, FrameAccess.get_data)
        act = check_on_timeout(on_timeout, return_none_on_timeout, self.FNAME)
        if check is True and cube is False and self._plain and type(self._stream) is Stream:
            frame = self.next_frame(timeout, copy, checkSemAndFlush, autorelink_if_need, act, out)
            if frame is not _UNUSUAL:
                return frame
        return self._get_frame(check, timeout, copy, checkSemAndFlush, autorelink_if_need, act, cube, out)

    cdef object next_frame(self, object timeout, object copy, bint fresh, bint follow, object act, object out):
        """Wait for a frame and return it, as `get_data` does; _UNUSUAL: nothing was done.

        All that can be done before the wait is done before it: what runs behind it has left the caches, and delays
        the frame.
        """
        cdef Stream stream = <Stream>self._stream
        cdef Terms terms
        cdef int64_t began = clock_ns(CLOCK_MONOTONIC)
        cdef bint viewed = copy is False and out is None and not stream.file.h.temporal
        cdef bint silent
        frame, view, silence = out, self._view, self._silence
        if view is None or stream.file.mapping is None or (follow and stream.is_replaced()):
            return _UNUSUAL
        if not viewed and (copy is not True or not (out is None or type(out) is _ndarray)):
            return _UNUSUAL
        silent = silence.is_on
        limit = wait_limit(timeout, self.FNAME)
        known = None if fresh else self._known(stream)
        terms = terms_of(stream.name, limit, known, LEARNED, None)
        try:
            if viewed:
                frame = _view_of(view)
            elif out is None:
                frame = stream.new_frame()
            elif not stream.fits(out):
                return _UNUSUAL
            stream.idle_reader().await_frame(stream.file, &terms)
            if not viewed:
                stream.fill(frame)
        except (StreamTimeoutError, StreamReplacedError) as error:
            replaced = isinstance(error, StreamReplacedError)
            if replaced and not follow:
                raise
            if limit is not None:
                limit = max(limit - (clock_ns(CLOCK_MONOTONIC) - began) / 1e9, 0.0)
            if replaced and self._wait(stream, limit, known, True):
                silence.end()
            elif not silence.timed_out(self._stream or self._live(), timeout, act):
                return None
            return self._get_frame(False, None, copy, True, False, act, False, out)
        if silent:
            silence.end()
        if viewed:
            self._seen = atomic_load_u64(&(<IMAGE_METADATA *>stream.file.use()).cnt0, __ATOMIC_ACQUIRE)
            return frame
        return self.seen_frame(stream, frame)

    cdef object seen_frame(self, Stream stream, object frame):
        """Note the frame that was copied last, and return it."""
        cdef uint64_t number = stream.frame_counter
        if stream.frame_flags & _TORN:
            warn_of_tear(stream.name, number, stream.frame_flags & _UNCERTAIN != 0)
        self._seen = number  # last: the warning may be an error, and then the frame is not seen
        return frame

    def set_data(self, data, check_dt=False, autorelink_if_need=False):
        """Publish a frame.

        Parameters
        ----------
        data : array_like, shape `shape`
            Any memory and byte order. An array must have the dtype of the stream; lists and scalars are
            converted, to integers if that changes no value, and to floating-point numbers by rounding.
            Masked pixels become NaN; with integers they are a StreamArgumentError.
        check_dt : bool, default False
            Convert an array of another dtype, with NumPy's usual (unsafe) rules.
        autorelink_if_need : bool, default False
            Follow a stream that was replaced. False raises `StreamReplacedError`, because no reader could attach
            the old file.

        Raises
        ------
        FrameMismatchError
            Shape or dtype differ; nothing was written.
        StreamReadOnlyError, StreamClosedError, StreamReplacedError, StreamChangedError
        """
        cdef Stream stream
        cdef StreamFile file
        if self._plain and type(data) is _ndarray and type(self._stream) is Stream:
            stream = <Stream>self._stream
            file = stream.file
            if (file.mapping is not None and data.dtype is file.dtype and not stream.is_replaced()
                    and not (file.h.temporal and data.shape != file.frame_shape)):
                stream.publish_frame(data, False, 0)
                return
        self._set_frame(data, check_dt, autorelink_if_need)

    def claim(self, *, atime_ns=None, autorelink_if_need=False):
        """Fill the next frame in place: nothing is copied.

        Parameters
        ----------
        atime_ns : int, optional
            Acquisition time, nanoseconds of CLOCK_TAI. Default: when the block is left.
        autorelink_if_need : bool, default False
            As for `set_data`.

        Returns
        -------
        context manager
            Entering it gives an ndarray of shape `shape`: a writable view of the pixels, or of the next slice of a
            temporal ring. Leaving the block publishes the frame; after an exception it is not published, but changed
            pixels stay changed.

        Raises
        ------
        StreamBusyError
            A frame is being written through this object already.
        StreamReadOnlyError, StreamClosedError, StreamReplacedError
            As the block is entered.
        """
        cdef FrameClaim claim = FrameClaim.__new__(FrameClaim)
        claim.shm = self
        claim.atime_ns = atime_ns
        claim.follow = autorelink_if_need
        return claim


@cython.final
@cython.auto_pickle(False)
cdef class FrameClaim:
    """A frame of an `SHM` that is filled in place; made by `SHM.claim`."""

    cdef FrameAccess shm
    cdef object atime_ns
    cdef object follow
    cdef object begun       # Claim of the stream; None: not entered, or left

    def __init__(self):
        raise TypeError(_MADE_BY)

    def __enter__(self):
        """Begin the frame; returns a writable view of shape `SHM.shape`."""
        cdef FrameAccess shm = self.shm
        cdef Stream stream
        if shm is None:
            raise TypeError(_MADE_BY)
        if self.begun is not None:
            raise StreamBusyError(f"stream {shm.FNAME!r}: this claim was entered already", stream=shm.FNAME)
        if type(shm._stream) is Stream and not (<Stream>shm._stream).is_replaced():
            stream = <Stream>shm._stream
        else:
            stream = shm._target(self.follow)
        claim = stream.claim(atime_ns=self.atime_ns)
        frame = claim.__enter__()
        if not shm._plain:
            try:
                frame = shm._turn.view(frame)
            except BaseException as error:
                claim.__exit__(type(error), error, None)
                raise
        self.begun = claim
        return frame

    def __exit__(self, kind, error, trace):
        claim, self.begun = self.begun, None
        if claim is None:
            raise not_entered(None if self.shm is None else self.shm.FNAME)
        claim.__exit__(kind, error, trace)

    def __del__(self):
        # Entered, and dropped before it was left: the frame is abandoned, or the next one could not be begun.
        if self.begun is not None:
            self.begun.__exit__(GeneratorExit, None, None)


# For editors and help: the parameters that are read from *positional may be given by position.
positional_too(*FRAME_OPTIONS)(FrameAccess.get_data)

# Importable from the core as before; the core itself imports nothing from up here.
_core.FrameAccess = FrameAccess
_core.FRAME_OPTIONS = FRAME_OPTIONS
_core.positional_too = positional_too
