"""`SHM`: the familiar object that users hold. Composes the floors below; touches no pointers."""

from __future__ import annotations

import contextlib
import datetime
import math
import os
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from .._core import FLAG_TORN, Stream, turn_copy
from .._types import Array
from ..arguments import bad_argument, check_number
from ..axes import Orientation, Which3DState, encode, gen_squeeze_unsqueeze_slices
from ..capture import Capture
from ..errors import (
    FrameMismatchError,
    SemaphoresExhaustedError,
    StreamArgumentError,
    StreamClosedError,
    StreamNotFoundError,
    StreamNotReadyError,
    StreamReadOnlyError,
    StreamReplacedError,
    StreamTimeoutError,
    StreamTimeoutWarning,
)
from ..fits import multi_write, stream_header
from ..names import SUFFIX, stream_directory
from ..ring import RingReader
from ..streams.buffers import as_target
from ..streams.metadata import metadata_of
from ..streams.rings import ring_layout
from ..streams.waiting import SUCCESSOR_WAIT, Awaited, Follower, spin_of
from ..system.forks import tell_after_fork
from ..system.masks import unmasked
from ..system.notices import warn_caller, warn_of_tear
from ..times import from_user
from .access import FrameAccess
from .familiar import FamiliarCalls
from .keywords import KeywordCalls
from .making import check_ring, check_SHM_name, shape_and_dtype, wait_limit

__all__ = ["SHM"]

#: Reads look a little longer than a sleeping wake-up takes before they sleep.
_SPIN_NS = spin_of("auto")

#: Frames that are copied in search of one whose times are still there after the copy.
_STAMP_TRIES = 5


class SHM(FrameAccess, KeywordCalls, FamiliarCalls):
    """A stream as its users know it: attach or create, read, write, capture.

    Parameters
    ----------
    fname : str
        ``"name"``, ``"name.im.shm"``, or a path directly in the stream directory, with or without the
        extension.
    data : ndarray or (shape, dtype), optional
        Create the stream, replacing one of that name, and publish this (zeros for a shape) as its first
        frame. None attaches the existing stream.
    nbkw : int, default 50
        Room for keywords of a new stream.
    shared : bool, default True
        False creates an image of this process alone: no file, the same object otherwise.
    location : int, default -1
        Must be -1: pixels in memory. Number 0 and up would be a GPU, for which there is no library here.
    verbose, packed : bool
        Accepted because existing calls pass them; without effect.
    autoSqueeze : bool, default True
        When attaching, drop axes of length 1. Has no effect on a stream that is created.
    symcode : int, default 4
        Orientation, 0 to 7; see `pymilk.axes`. With 4 an image in C order keeps its bytes.
    triDim : Which3DState, default LAST2LAST
        Stack axis of 3D streams.
    ring : int, optional
        Create the stream with a ring of so many slots, so that readers in any process can be late
        without losing frames. See `ring_reader`.
    ring_kind : {"fast", "temporal"}, default "fast"
        "fast": every ISIO program sees a plain stream; each publish costs one more copy of the frame.
        "temporal": a circular cube whose slices are the slots; a publish costs nothing more, but programs
        that do not know such cubes see a 3D stream.
    exclusive : bool, default False
        Have the stream for writing to this object alone, until it is closed or its process ends, however that
        ends. Other objects of pymilk, in this process or another one, are refused with `StreamLockedError`
        when they publish their first frame, replace the stream, or want it exclusively too. Readers and the
        file notice nothing. ISIO programs are not kept out; nor is an object that has published before. A
        child after fork is refused like others; a pickled object attaches without it.
    mode : int, optional
        Permissions of a new stream, whatever the umask: 0o600 keeps other users out, 0o644 lets them read.
        Default 0o666 less the umask.

    Attributes
    ----------
    FNAME : str
        Name of the stream.
    FILEPATH : str
        Path of its file.
    shape : tuple of int
        Of a frame as this object gives and takes it. A temporal circular cube has 2D frames, its slices.
    shape_c : tuple of int
        Axes in the order of the file, fastest first.
    nptype : dtype
        Of the pixels.
    nDim : int
        Number of axes of `shape`.
    readSlice, writeSlice : tuple or Ellipsis
        Indices that drop the axes of length 1 from an array of shape `shape_c`, and bring them back.
    symcode, triDimState, location, shared
        As given.

    Raises
    ------
    StreamNotFoundError, StreamFormatError, StreamPermissionError, StreamNameError
        See `pymilk.Stream.attach`.
    StreamArgumentError, StreamStorageError
        See `pymilk.Stream.create`.
    StreamLockedError
        Another object has the stream to itself, and this one is to replace it or have it exclusively.

    Notes
    -----
    A pickled object is attached again by name where it is unpickled.

    A stream that was replaced by a new file of the same shape and dtype is followed: at once if pymilk
    replaced it, within 4 ms if another program did (50 ms during a wait). With another shape or dtype
    every access raises `StreamChangedError`. A stream that was deleted keeps its last frame readable.

    One object may be used by several threads. While one of them waits, another that waits too takes a
    semaphore of its own for the time of its call; threads that wait all the time had better have an object
    each.

    Examples
    --------
    >>> import numpy as np
    >>> with SHM("doc_shm", np.zeros((2, 3), np.float32)) as shm:
    ...     shm.set_data(np.ones((2, 3), np.float32))
    ...     print(shm.get_data().mean(), shm.get_counter())
    ...     shm.destroy()
    1.0 2
    """

    FNAME = "?"  # for messages of subclasses that have not called __init__ yet

    def __init__(
        self,
        fname: str,
        data: Array | tuple[Any, Any] | None = None,
        nbkw: int = 50,
        shared: bool = True,
        location: int = -1,
        verbose: bool = False,
        packed: bool = False,
        autoSqueeze: bool = True,
        symcode: int = 4,
        triDim: int = Which3DState.LAST2LAST,
        *,
        ring: int | None = None,
        ring_kind: str = "fast",
        exclusive: bool = False,
        mode: int | None = None,
    ) -> None:
        self._stream = None
        if location != -1:
            raise StreamArgumentError(
                f"stream {fname!r}: location={location} would put its pixels on a GPU, and no GPU library is "
                "there; leave location at -1",
                stream=str(fname),
                argument="location",
                found=location,
            )
        name = check_SHM_name(fname)
        path = os.path.join(stream_directory(), name + SUFFIX)
        self.location = location
        self.shared = shared
        self.symcode = symcode
        self.triDimState = triDim
        self._squeeze = autoSqueeze and data is None
        self._lock = threading.Lock()
        self._seen = 0
        self._captures: weakref.WeakSet[Capture | RingReader] = weakref.WeakSet()
        tell_after_fork(self)
        check_ring(name, ring, ring_kind, data is not None)
        if data is None:
            self._adopt(Stream.attach(path, exclusive=exclusive))
            self._seen = self._live().counter
            return
        data = unmasked(data, "data")
        shape, dtype = shape_and_dtype(data)
        # What encode does to the axes shows on any array of that shape, without memory behind it.
        raw = encode(np.broadcast_to(np.uint8(0), shape), symcode, triDim)
        axes = raw.shape[::-1]
        create = partial(Stream.local, name)
        if shared:
            create = partial(Stream.create, path, exclusive=exclusive, mode=mode)
        lead, layout = ring_layout(name, shape, ring or 0, ring_kind)
        self._adopt(create((*lead, *axes), dtype, nbkw=nbkw, **layout))
        self._made = True
        self.set_data(data if isinstance(data, np.ndarray) else np.zeros(self.shape, self.nptype))

    # -- the stream behind it ------------------------------------------------------------------

    def _adopt(self, stream: Stream) -> None:
        """Make this stream the one behind the object.

        The one before is let go of and not closed: waits and captures that are on it follow by
        themselves.
        """
        orientation = Orientation(
            stream.frame_shape, self.symcode, self.triDimState, self._squeeze
        )
        # Of a temporal cube: (slices, *shape). First of all: without pixels the object stays as it was.
        view = orientation.view(stream.view(writable=stream.writable))
        self._stream = stream
        self.FNAME = stream.name
        self.FILEPATH = stream.path
        self._turn = orientation
        self.shape = orientation.shape
        self.shape_c = stream.size
        self.nDim = len(self.shape)
        self.readSlice, self.writeSlice = gen_squeeze_unsqueeze_slices(stream.size, self._squeeze)
        self.nptype = self._dtype = stream.dtype
        self._native_shape = stream.frame_shape
        self._view = view
        self._temporal = stream.temporal
        self._plain = orientation.identity
        self._size = math.prod(stream.frame_shape)

    def _live(self) -> Stream:
        """Return the stream, after following it to a new file if there is one."""
        stream = self._stream
        if stream is None:
            raise StreamClosedError(
                f"stream {self.FNAME!r}: the object is closed; make a new SHM", stream=self.FNAME
            )
        if stream.replaced():
            self._follow(stream)
            return self._live()
        return stream

    def live_source(self) -> tuple[Stream, Orientation]:
        """Return the stream, after following it to a new file, and how this object turns its frames."""
        stream = self._live()
        return stream, self._turn

    def _follow(self, old: Stream) -> None:
        with self._lock:
            if self._stream is old:  # no other thread was faster
                Follower(old, keep=True).follow(SUCCESSOR_WAIT, begin=self._adopt)
                self._made = False
                self._seen = 0

    def _after_fork(self) -> None:
        self._lock = threading.Lock()  # a thread of the parent may hold it

    def __reduce__(self) -> tuple[Any, ...]:
        # The object travels as its name and options, and attaches on the other side.
        if not self.shared:
            raise TypeError(f"stream {self.FNAME!r} is local to its process, and cannot be pickled")
        self._live()
        attach = partial(
            SHM, autoSqueeze=self._squeeze, symcode=self.symcode, triDim=self.triDimState
        )
        return attach, (self.FNAME,)

    def _again(self) -> SHM:
        """Attach the stream anew, whatever it is by now, as this object saw it."""
        return SHM(
            self.FNAME, autoSqueeze=self._squeeze, symcode=self.symcode, triDim=self.triDimState
        )

    def close(self) -> None:
        """Let go of the stream. Waits and captures in other threads end; views and frames stay valid."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()
            for capture in list(self._captures):
                capture.close()

    def destroy(self) -> None:
        """Delete the stream, and close.

        Raises
        ------
        StreamReplacedError
            Another process has put its own stream there; it is not deleted.
        StreamNotFoundError
            It is deleted already.
        """
        stream = self._stream
        if stream is None:
            self._live()  # raises
            return
        stream.destroy()
        self.close()

    def __enter__(self) -> SHM:
        self._live()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self, _ends: Any = sys.is_finalizing, _warn: Any = warnings.warn) -> None:
        # A stream that was handed out as IMAGE belongs to that too, and ends with the last of them.
        if getattr(self, "_stream", None) is not None and self._image is None:
            if not _ends():  # modules that `close` needs may be gone by then; the process gives all back
                self.close()
            # The default filters hide it; scripts that never close stay quiet, as they always were.
            # Only the name: at interpreter exit little else can be formatted any more.
            _warn(f"unclosed <SHM {self.FNAME!r}>", ResourceWarning, stacklevel=2, source=self)

    def __repr__(self) -> str:
        if self._stream is None:
            return f"<SHM {getattr(self, 'FNAME', '?')!r} closed>"
        note = f", {self._stream.note}" if self._stream.note else ""
        return f"<SHM {self.FNAME!r} shape={self.shape} dtype={self._dtype}{note}>"

    # -- reading -------------------------------------------------------------------------------

    def _get_frame(
        self,
        check: Any,
        timeout: float | None,
        copy: bool,
        checkSemAndFlush: bool,
        autorelink_if_need: bool,
        return_none_on_timeout: bool,
        cube: bool,
        out: Any,
    ) -> Any:
        """Do what `get_data` leaves to it: anything but the newest frame as the stream has it."""
        stream = self._stream
        if stream is None or (autorelink_if_need and stream.replaced()):
            stream = self._live()
        if check and not self._wait(
            wait_limit(timeout, self.FNAME), None if checkSemAndFlush else self._seen, autorelink_if_need
        ):
            if return_none_on_timeout:
                return None
            # A file that was cut has no frame any more, and reading says so.
            if self._stream is None or not self._stream.damaged:
                warn_caller(
                    f"stream {self.FNAME!r}: no new frame within {timeout} s; this is the previous one",
                    StreamTimeoutWarning,
                )
        if check:
            stream = self._stream or self._live()
        if out is None:
            if not copy:
                self._seen = stream.counter
                if not self._temporal or cube:
                    return self._view.view()
                return self._view[stream.cnt1 % len(self._view), ...]  # a view also of a single pixel
            if not cube or not self._temporal:
                frame, flags, self._seen = stream.read()
                if flags & FLAG_TORN:
                    warn_of_tear(self.FNAME, self._seen)
                return frame if self._turn.identity else self._turn.view(frame)
        return self._read_into(stream, out, copy, cube and self._temporal)

    def _read_into(self, stream: Stream, out: Any, copy: bool, cube: bool) -> Any:
        """Copy a frame, or all slices of a temporal cube, into memory of the caller or new memory."""
        if not copy:
            raise FrameMismatchError(
                f"stream {self.FNAME!r}: out is filled with a copy; leave out copy=False",
                stream=self.FNAME,
                field="copy",
                expected=True,
                found=copy,
            )
        shape = (len(self._view), *self.shape) if cube else self.shape
        if out is None:
            out = np.empty(shape, self._dtype)
        target = as_target(out, shape, self._dtype, self.FNAME)
        native = self._turn.native(target)
        direct = native.flags.c_contiguous
        if not direct:
            native = np.empty((len(target), *self._native_shape) if cube else self._native_shape, self._dtype)
        if stream.copy_frame(native) & FLAG_TORN:
            warn_of_tear(self.FNAME, stream.frame_counter)
        if not direct:
            turn_copy(target, self._turn.view(native))
        self._seen = stream.counter if cube else stream.frame_counter
        return out

    def _wait(self, timeout: float | None, after: int | None, follow: bool) -> bool:
        """Wait for a frame newer than number `after`; returns False on a timeout."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                stream = self._stream if not follow else None
                stream = stream or self._live()
                stream.wait(left, after=after, spin_ns=_SPIN_NS)
                return True
            except StreamReplacedError:
                if not follow:
                    raise
                # Whatever the new file holds was not there when the wait began.
                after = 0
            except (StreamNotFoundError, StreamNotReadyError):
                # The new file is on its way: other programs delete the old one first.
                if left == 0:
                    return False
            except StreamTimeoutError:
                return False

    def capture(
        self,
        n: int,
        out: Any = None,
        timeout: float | None = 5.0,
        wait: str = "auto",
        *,
        background: bool = False,
    ) -> Capture:
        """Receive the next n frames into one cube, with an exact account.

        Parameters
        ----------
        n : int
            Frames, 1 or more.
        out : array or buffer, shape (n, *shape), stream dtype, optional
            Filled instead of a new array, and pre-faulted: anything that `get_data` takes. Where the
            orientation turns pixels, an `out` that is C-contiguous costs a second pass over them at the
            end.
        timeout : float or None, default 5.0
            Longest wait for one frame, in seconds; None waits without limit.
        wait : {"auto", "spin", "sleep"}
            How to wait for frames: see `pymilk.streams.waiting.WAIT_POLICIES`. "spin" uses a core.
        background : bool, default False
            Return at once; `Capture.join` waits for the end.

        Returns
        -------
        Capture
            With `frames` (n, *shape), `info` (one row a frame) and `report`.

        Raises
        ------
        StreamTimeoutError
            A frame did not come in time; its `capture` holds those that did.
        StreamChangedError
            The stream was recreated with another shape or dtype.
        FrameMismatchError, StreamArgumentError
            `out`, `n` or `wait` do not fit.
        CaptureMemoryError
            The frames need more memory than there is.

        Notes
        -----
        Memory is reserved and pre-faulted before the first frame is waited for. Ctrl-C ends a capture
        within 0.1 s.

        Examples
        --------
        >>> capture = shm.capture(1000)                     # doctest: +SKIP
        >>> capture.frames.mean(axis=0), capture.report.lost  # doctest: +SKIP
        """
        return self._capture(n, out, timeout, wait, background=background)

    def held_capture(self, n: int, out: Any, timeout: float | None, wait: str) -> Capture:
        """Make a capture that `Capture.begin` begins; arguments as for `capture`."""
        return self._capture(n, out, timeout, wait, held=True)

    def _capture(self, n: int, out: Any, timeout: float | None, wait: str, **how: bool) -> Capture:
        return Capture(
            self._live(),
            n,
            out,
            timeout=timeout,
            wait=wait,
            orientation=self._turn,
            register=self._captures.add,
            **how,
        )

    def ring_reader(
        self,
        depth: int | None = None,
        policy: str = "every",
        start: str = "next",
        *,
        on_lost: str = "count",
        wait: str = "auto",
        source: str = "auto",
        cpu: int | None = None,
        priority: int | None = None,
    ) -> RingReader:
        """Read every frame in order, in place, even while Python is busy: see `RingReader`.

        Parameters
        ----------
        depth : int, optional
            Frames that are kept for a stream without a ring: as many as come while Python is busy
            elsewhere. Default: what fits into 256 MiB, 16 at least and 8192 at most.
        policy : {"every", "newest"}
        start : {"next", "oldest", "newest"}
        on_lost, wait, source, cpu, priority
            See `RingReader`.

        Returns
        -------
        RingReader
            A context manager; closed with this object at the latest.

        Examples
        --------
        >>> with shm.ring_reader(depth=8192) as ring:                       # doctest: +SKIP
        ...     for block in ring.blocks(max_frames=512):
        ...         total += block.frames.sum(axis=0)
        ...         if not block.intact():
        ...             print("too slow by", block.overwritten, "frames")
        """
        ring = RingReader(
            self._live(),
            depth=depth,
            policy=policy,
            on_lost=on_lost,
            start=start,
            wait=wait,
            source=source,
            cpu=cpu,
            priority=priority,
            orientation=self._turn,
        )
        self._captures.add(ring)
        return ring

    def _awaited(self) -> Awaited:
        """Tell `wait_any` what to wait for, from which number on, and how to see that it is there."""
        stream = self._live()
        seen = self._seen
        return stream.free_reader(), seen, lambda: self._live().counter != seen

    # -- writing -------------------------------------------------------------------------------

    def _set_frame(self, data: Any, check_dt: bool, autorelink_if_need: bool) -> None:
        """Do what `set_data` leaves to it: anything but an array that is as the stream has it."""
        stream = self._target(autorelink_if_need)
        data = unmasked(data, "data")
        if isinstance(data, np.ndarray):
            frame = data
        else:
            frame = np.asarray(data) if check_dt else self._converted(data)
        if frame.dtype != self._dtype and (check_dt or frame.dtype.newbyteorder("=") == self._dtype):
            frame = frame.astype(self._dtype)
        if frame.dtype != self._dtype and not (frame.dtype == np.bool_ and self._dtype == np.uint8):
            raise FrameMismatchError(
                f"stream {self.FNAME!r}: the frame is {frame.dtype}, the stream {self._dtype}; convert it "
                "first, or pass check_dt=True",
                stream=self.FNAME,
                field="dtype",
                expected=self._dtype,
                found=frame.dtype,
            )
        # A frame of another shape is refused by publish; to a temporal cube it might be a whole cube.
        if self._turn.identity and (not self._temporal or frame.shape == self.shape):
            stream.publish(frame)
            return
        if frame.shape != self.shape and not (frame.size == 1 and self._size == 1):
            raise FrameMismatchError(
                f"stream {self.FNAME!r}: the frame has shape {frame.shape}, the stream {self.shape}",
                stream=self.FNAME,
                field="shape",
                expected=self.shape,
                found=frame.shape,
            )
        stream.publish(self._turn.native(frame.reshape(self.shape)))

    def _target(self, follow: bool) -> Stream:
        """Return the stream to write to, which must be the one that readers find."""
        stream = self._stream
        if stream is None or stream.replaced():
            if stream is not None and not follow:
                raise StreamReplacedError(
                    f"stream {self.FNAME!r} was replaced by a new file; "
                    "attach it again, or pass autorelink_if_need=True",
                    stream=self.FNAME,
                    field="inode",
                    expected=stream.inode,
                )
            stream = self._live()
        return stream

    def set_many(
        self,
        frames: Any,
        atimes: Any = None,
        *,
        rate: float | None = None,
        autorelink_if_need: bool = False,
    ) -> int:
        """Publish many frames, one by one in order, without the GIL between them.

        Parameters
        ----------
        frames : array_like, shape (n, *shape)
            An array must have the dtype of the stream; others are converted as `set_data` does.
        atimes : array_like of int, shape (n,), optional
            Acquisition times, nanoseconds of CLOCK_TAI. Default: as each is published.
        rate : float, optional
            Frames per second, with accurate pacing: a frame that is late shifts those behind it. Default:
            as fast as possible.
        autorelink_if_need : bool, default False
            As for `set_data`.

        Returns
        -------
        int
            The counter of the last frame.

        Raises
        ------
        FrameMismatchError, StreamArgumentError
            They do not fit; nothing was written.
        StreamReadOnlyError, StreamClosedError, StreamReplacedError, StreamChangedError

        Notes
        -----
        Frames in C order and without an orientation to turn are published from where they are; others are
        copied first. Writers never wait for readers: pace yourself, or give the stream a ring.
        """
        stream = self._target(autorelink_if_need)
        frames = unmasked(frames, "frames")
        given = frames if isinstance(frames, np.ndarray) else self._converted(frames)
        if given.dtype != self._dtype and given.dtype.newbyteorder("=") == self._dtype:
            given = given.astype(self._dtype)
        if given.shape[1:] != self.shape or given.ndim != len(self.shape) + 1 or not len(given):
            raise FrameMismatchError(
                f"stream {self.FNAME!r}: set_many takes frames of shape (n, {str(self.shape)[1:-1]}), n 1 or "
                f"more, not {given.shape}",
                stream=self.FNAME,
                field="shape",
                expected=self.shape,
                found=given.shape,
            )
        if rate is not None:
            wanted = "frames per second, above 0 and up to 1e9"
            check_number("rate", rate, wanted, 0.0, 1e9, above=True, stream=self.FNAME)
        times = None
        if atimes is not None:
            times = np.asarray(atimes)
            if times.dtype.kind not in "iu" or times.shape != (len(given),):
                wanted = f"{len(given)} integer nanoseconds of CLOCK_TAI"
                raise bad_argument("atimes", atimes, wanted, self.FNAME)
            times = times.astype(np.int64)
        native = self._turn.native(given)
        if not native.flags.c_contiguous:
            turned = np.empty(native.shape, native.dtype)
            turn_copy(turned, native)
            native = turned
        interval = 0 if rate is None else round(1e9 / rate)
        return stream.publish_many(native, interval_ns=interval, atimes_ns=times)

    @contextlib.contextmanager
    def claim(
        self, *, atime_ns: int | None = None, autorelink_if_need: bool = False
    ) -> Iterator[Array]:
        """Fill the next frame in place: nothing is copied.

        Parameters
        ----------
        atime_ns : int, optional
            Acquisition time, nanoseconds of CLOCK_TAI. Default: when the block is left.
        autorelink_if_need : bool, default False
            As for `set_data`.

        Yields
        ------
        ndarray, shape `shape`
            A writable view of the pixels, or of the next slice of a temporal ring. Leaving the block
            publishes the frame; an exception abandons it: it is not announced, but what was changed
            stays changed.

        Raises
        ------
        StreamBusyError
            A frame is being written through this object already.
        StreamReadOnlyError, StreamClosedError, StreamReplacedError
        """
        with self._target(autorelink_if_need).claim(atime_ns=atime_ns) as pixels:
            yield self._turn.view(pixels)

    def _converted(self, data: Any) -> Array:
        """Convert what is not an array: exactly, or to the nearest number that floating-point pixels have."""
        given = np.asarray(data)
        if given.dtype.kind == "c" and self._dtype.kind != "c" and not given.imag.any():
            given = given.real
        kind, own = given.dtype.kind, self._dtype.kind
        if kind in "biuf" or kind == own == "c":
            with np.errstate(all="ignore"):
                frame = given.astype(self._dtype)
            if own in "fc":
                if np.array_equal(np.isfinite(frame), np.isfinite(given)):
                    return frame
            elif np.array_equal(frame, given):
                return frame
        raise FrameMismatchError(
            f"stream {self.FNAME!r}: the data ({given.dtype}) cannot be stored as {self._dtype} "
            "without changing values; convert it, or pass check_dt=True",
            stream=self.FNAME,
            field="dtype",
            expected=self._dtype,
            found=given.dtype,
        )

    def repost(
        self, atime: datetime.datetime | float | None = None, *, autorelink_if_need: bool = False
    ) -> None:
        """Publish the newest frame once more, as it stands: counter, times and semaphores.

        Parameters
        ----------
        atime : datetime or float, optional
            Acquisition time; a number is seconds since 1970. It is stored as given: no leap seconds are
            added. Default: now.
        autorelink_if_need : bool, default False
            As for `set_data`.

        Raises
        ------
        StreamArgumentError
            It is not a time.
        StreamReadOnlyError, StreamClosedError, StreamReplacedError
        """
        stream = self._target(autorelink_if_need)
        atime_ns = None if atime is None else from_user(atime, self.FNAME)
        if self._temporal:
            frame = np.empty(self._native_shape, self._dtype)
            stream.copy_frame(frame)
            stream.publish(frame, atime_ns=atime_ns)
        else:
            stream.announce(atime_ns=atime_ns)

    # -- files ---------------------------------------------------------------------------------

    def save_as_fits(
        self, fitsname: str | os.PathLike[str], *, header: bool = True, **options: Any
    ) -> int:
        """Write a frame into a FITS file, replacing one of that name.

        Parameters
        ----------
        fitsname : str or PathLike
        header : bool, default True
            Put the keywords of the stream, the times and the number of the frame into the header: see
            `pymilk.fits.stream_header`.
        **options
            Of `get_data`: which frame.

        Returns
        -------
        int
            0.

        Raises
        ------
        LibraryMissingError
            An ImportError: astropy, the extra ``fits``, is not installed.
        StreamUnsupportedError
            FITS has no such pixels: complex and float16.
        StreamTimeoutError
            With `return_none_on_timeout`: no frame came in time, and no file was written.
        StreamNotFoundError, StreamPermissionError, StreamStorageError
            The directory is not there, not writable, or full.

        Notes
        -----
        The axes of the file are those of the stream, so that viewers show x to the right and row 0 at the
        bottom. `pymilk.interfacing.fits.multi_read` gives back what `get_data` gave, with the same symcode
        and triDim. The file is complete when it appears under its name.
        """
        options["copy"] = True
        for _ in range(_STAMP_TRIES):
            frame = self.get_data(**options)
            if frame is None:
                limit = options.get("timeout", 5.0)
                raise StreamTimeoutError(
                    f"stream {self.FNAME!r}: no new frame within {limit} s, and nothing was written to "
                    f"{os.fspath(fitsname)}",
                    stream=self.FNAME,
                    timeout=limit,
                    counter=self.get_counter(),
                )
            stream = self._live()
            times = {"atime_ns": stream.acquisition_time_ns, "wtime_ns": stream.write_time_ns}
            number = stream.frame_counter
            if not header or stream.counter == number:
                break  # the times are those of the frame
            options["check"] = False
        else:
            times = {}  # the writer is too fast to tell
        cards = header and stream_header(
            stream.read_keywords(),
            name=self.FNAME,
            symcode=self.symcode,
            tri_dim=self.triDimState,
            cnt0=number,
            **times,
        )
        # All slices of a temporal cube stand one behind the other.
        stack = Which3DState.FRONT2LAST if self._temporal else self.triDimState
        multi_write(fitsname, frame, self.symcode, stack, upright=True, header=cards or None)
        return 0

    # -- semaphores ----------------------------------------------------------------------------

    def _semaphore(self) -> tuple[Stream, int]:
        """Return the stream, and the semaphore of this object."""
        stream = self._live()
        index = stream.sem_index
        if index is not None:
            return stream, index
        if not stream.writable:
            raise StreamReadOnlyError(
                f"stream {self.FNAME!r} is attached read-only: its semaphores cannot be taken; wait with "
                "get_data(check=True), which watches the counter",
                stream=self.FNAME,
            )
        raise SemaphoresExhaustedError(
            f"stream {self.FNAME!r}: all {stream.nbsem} semaphores belong to live readers; close one of "
            "them, or wait with get_data(check=True), which then watches the counter",
            stream=self.FNAME,
            count=stream.nbsem,
        )

    def check_sem_trywait(self) -> bool:
        """Take one post off the semaphore of this object, if there is one; returns whether there was.

        Raises
        ------
        SemaphoresExhaustedError
            Every semaphore belongs to another reader.
        StreamReadOnlyError, StreamClosedError
        """
        stream, index = self._semaphore()
        return stream.sem_try_wait(index)

    def check_sem_value(self) -> int:
        """Return how many posts of this object's semaphore nobody has taken; errors as above."""
        stream, index = self._semaphore()
        return stream.sem_value(index)

    def check_sem_timedwait(self, timeout: float | None) -> bool:
        """Wait for a post of this object's semaphore, and take it.

        Parameters
        ----------
        timeout : float or None
            Seconds; None waits without limit, 0 only looks.

        Returns
        -------
        bool
            Whether it came in time. A post says nothing about frames: see `get_data`.
        """
        stream, index = self._semaphore()
        return stream.sem_wait(index, timeout)

    # -- metadata -----------------------------------------------------------------

    def get_counter(self) -> int:
        """Return how many frames were published so far (cnt0)."""
        return self._live().counter

    @property
    def semID(self) -> int | None:
        """Index of the semaphore of this object, taken if it has none yet; None if all are taken."""
        return self._live().sem_index

    @property
    def mtdata(self) -> dict[str, Any]:
        """The metadata now, as a dict of plain values.

        ``size`` is in the order of the file, fastest axis first. Times are integer nanoseconds of
        CLOCK_TAI (``pymilk.times.to_utc`` converts them).
        """
        return metadata_of(self._live())
