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
from functools import partial
from typing import Any, Literal

import numpy as np

from .._core import FLAG_TORN, FLAG_UNCERTAIN, Stream, turn_copy
from .._types import Array
from ..arguments import Replace, bad_argument, check_rate, older_words, whole_number
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
)
from ..names import SUFFIX, stream_directory
from ..ring import RingReader
from ..streams.buffers import as_target
from ..streams.metadata import metadata_of
from ..streams.rings import ring_layout
from ..streams.silence import Silence
from ..streams.waiting import SUCCESSOR_WAIT, Awaited, Follower, spin_of
from ..system.arrays import as_pixels, unmasked
from ..system.forks import tell_after_fork
from ..system.notices import warn_of_tear
from ..times import from_user
from .access import FrameAccess
from .familiar import FamiliarCalls
from .keywords import KeywordCalls
from .making import check_replace, check_ring, check_SHM_name, shape_and_dtype, wait_limit
from .pixels import PixelCalls

__all__ = ["SHM"]

#: Attempts to copy a frame together with its times.
_STAMP_TRIES = 5


class SHM(FrameAccess, PixelCalls, KeywordCalls, FamiliarCalls):
    """A stream: attach or create, read, write, capture. An array for NumPy and others: see `PixelCalls`.

    Parameters
    ----------
    fname : str
        ``"name"``, ``"name.im.shm"``, or a path directly in the stream directory, with or without the
        extension.
    data : ndarray or (shape, dtype), optional
        Create the stream, replacing one of that name (see `replace`), and publish this (zeros for a shape)
        as its first frame. None attaches the existing stream.
    nbkw : int, default 50
        Room for keywords of a new stream.
    shared : bool, default True
        False creates an image of this process only: without a file, otherwise the same.
    location : int, default -1
        Must be -1: pixels in memory. 0 and up would be a GPU, which is not supported.
    verbose, packed : bool
        No effect; accepted for existing calls.
    autoSqueeze : bool, default True
        When attaching, drop axes of length 1. No effect on a new stream.
    symcode : int, default 4
        Orientation, 0 to 7; see `pymilk.axes`. With 4 an image in C order keeps its bytes.
    triDim : Which3DState, default LAST2LAST
        Stack axis of 3D streams.
    ring : int, optional
        Create the stream with a ring of so many slots, so that readers in any process can be late
        without losing frames. See `ring_reader`.
    ring_kind : {"fast", "temporal"}, default "fast"
        "fast": every ISIO program sees a plain stream; each publish copies the frame once more.
        "temporal": a circular cube whose slices are the slots; a publish costs no more, but programs that
        do not know such cubes see a 3D stream.
    exclusive : bool, default False
        Only this object may write the stream, until it is closed or its process ends in any way. Other
        objects of pymilk, in any process, get `StreamLockedError` when they publish their first frame,
        replace the stream, or attach it exclusively. Readers and the file are not affected. ISIO programs,
        and objects that have published before, are not kept out. A child after fork is refused like others;
        a pickled object attaches without it.
    mode : int, optional
        Permissions of a new stream, whatever the umask: 0o600 keeps other users out, 0o644 lets them read.
        Default: those of the stream that it replaces, else 0o666 less the umask.
    replace : bool or "if-free", optional
        What becomes of an existing stream when `data` is given. "if-free" replaces it unless another living
        process writes it: the safe choice. True replaces it in any case, with a warning if one does. False
        never does. Default: as the environment variable PYMILK_REPLACE says, else True, which old scripts
        rely on. To use the stream that is there, leave `data` out.

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
    nptype, dtype : dtype
        Of the pixels.
    nDim, ndim : int
        Number of axes of `shape`.
    readSlice, writeSlice : tuple or Ellipsis
        Indices that drop the axes of length 1 from an array of shape `shape_c`, and bring them back.
    timeouts : int
        How often `get_data` had no new frame in time.
    symcode, triDimState, location, shared
        As given.

    Raises
    ------
    StreamNotFoundError, StreamFormatError, StreamPermissionError, StreamNameError
        See `pymilk.Stream.attach`.
    StreamArgumentError, StreamStorageError
        See `pymilk.Stream.create`.
    StreamLockedError
        Another object writes the stream exclusively, and this one replaces it or is exclusive too.
    StreamInUseError, StreamExistsError
        The stream is there, and `replace` forbids to replace it.

    Warns
    -----
    StreamInUseWarning
        The stream that is replaced is written by another living process, which the warning names: it goes on
        writing into a file that nobody sees. Shown each time.
    StreamGoneWarning
        In a later `set_data`: the file of the stream was deleted by somebody.

    Notes
    -----
    Unpickling attaches the stream again by name.

    Calls of a closed object raise `StreamClosedError`. Where another program has cut the file they raise
    `StreamDamagedError`, or `StreamFormatError` while what is left is no stream, until it is whole again.

    A stream that was replaced by a new file of the same shape and dtype is followed: at once if pymilk
    replaced it, within 4 ms if another program did (50 ms during a wait). With another shape or dtype
    every access raises `StreamChangedError`. A stream that was deleted keeps its last frame readable.

    Several threads may use one object. A thread that waits while another one waits takes a semaphore of its
    own for the call; give threads that wait all the time an object each.

    Examples
    --------
    >>> import numpy as np
    >>> with SHM("doc_shm", np.zeros((2, 3), np.float32), replace="if-free") as shm:
    ...     shm.set_data(np.ones((2, 3), np.float32))
    ...     print(shm.get_data().mean(), shm.get_counter())
    ...     shm.destroy()
    1.0 2
    """

    FNAME = "?"  # for messages of subclasses that have not called __init__ yet
    _lent = False  # whether it made something that keeps it open

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
        replace: Replace | None = None,
    ) -> None:
        self._stream = None
        if whole_number(location) != -1:
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
        self._silence = Silence()
        self._captures: weakref.WeakSet[Capture | RingReader] = weakref.WeakSet()
        tell_after_fork(self)
        check_ring(name, ring, ring_kind, data is not None)
        check_replace(name, replace, data is not None)
        if data is None:
            self._adopt(Stream.attach(path, exclusive=exclusive))
            self._seen = self._live().counter
            return
        data = unmasked(data, "data")
        shape, dtype = shape_and_dtype(data)
        # Encode an array of that shape, without memory, to see what becomes of its axes.
        raw = encode(np.broadcast_to(np.uint8(0), shape), symcode, triDim)
        axes = raw.shape[::-1]
        create = partial(Stream.local, name)
        if shared:
            create = partial(Stream.create, path, exclusive=exclusive, mode=mode, replace=replace)
        lead, layout = ring_layout(name, shape, ring or 0, ring_kind)
        self._adopt(create((*lead, *axes), dtype, nbkw=nbkw, **layout))
        self._made = True
        self.set_data(data if isinstance(data, np.ndarray) else np.zeros(self.shape, self.nptype))

    # -- the stream behind it ------------------------------------------------------------------

    def _adopt(self, stream: Stream) -> None:
        """Use this stream from now on.

        The previous one is not closed: waits and captures in it follow by themselves.
        """
        orientation = Orientation(stream.frame_shape, self.symcode, self.triDimState, self._squeeze)
        # Of a temporal cube: (slices, *shape). First of all: without pixels the object stays as it was.
        view = orientation.view(stream.view(writable=stream.writable))
        slices = gen_squeeze_unsqueeze_slices(stream.size, self._squeeze)
        axes, size = len(orientation.shape), math.prod(stream.frame_shape)
        # Nothing is called from here on, so no signal handler comes in between.
        self._stream = stream
        self._made = False
        self._seen = 0
        self.FNAME = stream.name
        self.FILEPATH = stream.path
        self._turn = orientation
        self.shape = orientation.shape
        self.shape_c = stream.size
        self.nDim = axes
        self.readSlice, self.writeSlice = slices
        self.nptype = self._dtype = stream.dtype
        self._native_shape = stream.frame_shape
        self._view = view
        self._temporal = stream.temporal
        self._plain = orientation.identity
        self._size = size

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

    def _after_fork(self) -> None:
        self._lock = threading.Lock()  # a thread of the parent may hold it

    def __reduce__(self) -> tuple[Any, ...]:
        # Pickled as name and options; unpickling attaches the stream.
        if not self.shared:
            raise TypeError(f"stream {self.FNAME!r} is local to its process, and cannot be pickled")
        self._live()
        attach = partial(SHM, autoSqueeze=self._squeeze, symcode=self.symcode, triDim=self.triDimState)
        return attach, (self.FNAME,)

    def _again(self) -> SHM:
        """Attach the stream anew, whatever it is by now, as this object saw it."""
        return SHM(self.FNAME, autoSqueeze=self._squeeze, symcode=self.symcode, triDim=self.triDimState)

    def close(self) -> None:
        """Close the stream. Waits and captures in other threads end; views and frames stay valid."""
        stream, self._stream = self._stream, None
        self._view = None  # memory that is not mapped any more shows others that this process has left
        if stream is not None:
            stream.close()
            for capture in list(self._captures):
                capture.close()

    def destroy(self) -> None:
        """Delete the stream, and close. Does nothing if this object is closed.

        A stream that another program has put in its place is not deleted; `Stream.destroy` raises there.

        Raises
        ------
        StreamNotFoundError
            The file was deleted by somebody else; this object stays open.
        """
        stream = self._stream
        if stream is None:
            return
        if not stream.closed:  # as its IMAGE may have done
            with contextlib.suppress(StreamReplacedError):
                stream.destroy()
        self.close()

    def __enter__(self) -> SHM:
        self._live()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self, _ends: Any = sys.is_finalizing, _warn: Any = warnings.warn) -> None:
        # A stream that was handed out as IMAGE stays open as long as that object.
        if getattr(self, "_stream", None) is None or self._image is not None:
            return
        if not _ends():  # modules that `close` needs may be gone; the system frees everything
            self.close()
        if not self._lent:  # nobody forgot to close what a reader or a capture kept open
            # Hidden by the default filters, so that scripts that never close get no output.
            # Only the name: at interpreter exit other attributes may not be printable.
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
        on_timeout: str,
        cube: bool,
        out: Any,
    ) -> Any:
        """Handle every call of `get_data` but the usual cases, which are compiled.

        `_seen` is set last: a frame that an exception keeps from being returned is not seen.
        """
        stream = self._stream
        if stream is None or (autorelink_if_need and stream.replaced()):
            stream = self._live()
        if check:
            known = None if checkSemAndFlush else self._known(stream)
            if self._wait(self._stream, wait_limit(timeout, self.FNAME), known, autorelink_if_need):
                self._silence.end()
            elif not self._silence.timed_out(self._stream or self._live(), timeout, on_timeout):
                return None
            stream = self._stream or self._live()
        if out is None:
            if not copy:
                view = self._view
                if view is None:
                    self._live()  # raises: another thread has closed it
                seen = stream.counter
                # With Ellipsis it is a view also of a single pixel.
                frame = view.view() if not self._temporal or cube else view[stream.cnt1 % len(view), ...]
                self._seen = seen
                return frame
            if not cube or not self._temporal:
                frame, flags, seen = stream.read()
                if flags & FLAG_TORN:
                    warn_of_tear(self.FNAME, seen, bool(flags & FLAG_UNCERTAIN))
                if not self._turn.identity:
                    frame = self._turn.view(frame)
                self._seen = seen
                return frame
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
        shape = (stream.shape[0], *self.shape) if cube else self.shape
        if out is None:
            out = np.empty(shape, self._dtype)
        target = as_target(out, shape, self._dtype, self.FNAME)
        native = self._turn.native(target)
        direct = native.flags.c_contiguous
        if not direct:
            native = np.empty((len(target), *self._native_shape) if cube else self._native_shape, self._dtype)
        before = stream.counter  # what comes while a cube is copied is not seen
        flags = stream.copy_frame(native)
        if flags & FLAG_TORN:
            warn_of_tear(self.FNAME, stream.frame_counter, bool(flags & FLAG_UNCERTAIN))
        if not direct:
            turn_copy(target, self._turn.view(native))
        self._seen = before if cube else stream.frame_counter
        return out

    def _known(self, stream: Stream) -> int:
        """Return the number of the newest frame that was read, waited for, or whose post was taken."""
        told = stream.told
        # A number above the counter is one of before the counter was set back.
        return told if self._seen < told <= stream.counter else self._seen

    def _wait(self, first: Stream | None, timeout: float | None, after: int | None, follow: bool) -> bool:
        """Wait for a frame newer than number `after` of `first`; returns False on a timeout."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                stream = self._stream if not follow else None
                stream = stream or self._live()
                if first is not stream and first is not None:
                    # Whatever the new file holds was not there when the wait began.
                    after = 0
                stream.wait(left, after=after, spin_ns=spin_of("auto"))
                return True
            except StreamReplacedError:
                if not follow:
                    raise
            except (StreamNotFoundError, StreamNotReadyError):
                # Other programs delete the old file before they make the new one.
                if left == 0:
                    return False
            except StreamTimeoutError:
                return False

    @older_words(n="frames")
    def capture(
        self,
        frames: int,
        out: Any = None,
        timeout: float | None = 5.0,
        wait: str = "auto",
        *,
        background: bool = False,
        wait_on: str = "count",
    ) -> Capture:
        """Receive the next n frames into one cube, with an exact account.

        Parameters
        ----------
        frames : int
            How many, n: 1 or more.
        out : array or buffer, shape (n, *shape), stream dtype, optional
            Filled instead of a new array, and pre-faulted: as for `get_data`. If the orientation turns
            pixels, a C-contiguous `out` costs a second pass over them at the end.
        timeout : float or None, default 5.0
            Longest wait for one frame, in seconds; None waits without limit.
        wait : {"auto", "spin", "sleep"}
            How to wait for frames: see `pymilk.streams.waiting.WAIT_POLICIES`. "spin" uses a core.
        background : bool, default False
            Return at once; `Capture.join` waits for the end. It keeps this object open until then.
        wait_on : {"count", "post"}
            "post": each post is a frame, for a writer that posts and never counts. Rows have
            ``FLAG_UNCERTAIN``, and are numbered by posts; `lost` knows only frames whose post was seen.

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
            `out`, `frames` or `wait` do not fit; `wait_on` is "post" with a ring, or without a semaphore.
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
        return self._capture(frames, out, timeout, wait, wait_on=wait_on, background=background)

    def held_capture(
        self, frames: int, out: Any, timeout: float | None, wait: str, room: int | None = None
    ) -> Capture:
        """Return a capture that is started by `Capture.begin`; `room` is that of `Capture`."""
        return self._capture(frames, out, timeout, wait, held=True, room=room)

    def _capture(
        self,
        frames: int,
        out: Any,
        timeout: float | None,
        wait: str,
        *,
        wait_on: str = "count",
        background: bool = False,
        held: bool = False,
        room: int | None = None,
    ) -> Capture:
        goes_on = background or held
        return Capture(
            self._live(),
            frames,
            out,
            timeout=timeout,
            wait=wait,
            wait_on=wait_on,
            orientation=self._turn,
            register=self._keep_open_for if goes_on else self._captures.add,
            background=background,
            held=held,
            room=room,
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
            Frames that are kept for a stream without a ring. Default: what fits into 256 MiB, but 16 to
            8192.
        policy : {"every", "newest"}
        start : {"next", "oldest", "newest"}
        on_lost, wait, source, cpu, priority
            See `RingReader`.

        Returns
        -------
        RingReader
            A context manager; closed with this object at the latest. It keeps this object open: ``with
            SHM("cam0").ring_reader() as ring`` is right.

        Raises
        ------
        StreamError
            As for `RingReader`.

        Examples
        --------
        >>> with shm.ring_reader(depth=8192) as ring:                       # doctest: +SKIP
        ...     for block in ring.blocks(frames=512):
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
        self._keep_open_for(ring)
        return ring

    def _keep_open_for(self, child: Capture | RingReader) -> None:
        """Close this with the object, and keep the object open for it."""
        self._captures.add(child)
        self._lent = True
        child.kept.keep(self)

    def _awaited(self) -> Awaited:
        """Return what `wait_any` waits for: see `pymilk.streams.waiting.Awaited`."""
        stream = self._live()
        seen = self._known(stream)
        return stream.free_reader(), seen, lambda: self._live().counter != seen

    # -- writing -------------------------------------------------------------------------------

    def _set_frame(self, data: Any, check_dt: bool, autorelink_if_need: bool) -> None:
        """Handle every call of `set_data` but the usual case, which is compiled."""
        stream = self._target(autorelink_if_need)
        data = unmasked(data, "data", self._dtype if check_dt else None)
        frame = as_pixels(data, "data")
        if not check_dt and not isinstance(data, np.ndarray):
            frame = self._converted(frame)
        if frame.dtype != self._dtype and (check_dt or frame.dtype.newbyteorder("=") == self._dtype):
            frame = self._cast(frame)
        if frame.dtype != self._dtype and not (frame.dtype == np.bool_ and self._dtype == np.uint8):
            raise FrameMismatchError(
                f"stream {self.FNAME!r}: the frame is {frame.dtype}, the stream {self._dtype}; convert it "
                "first, or pass check_dt=True",
                stream=self.FNAME,
                field="dtype",
                expected=self._dtype,
                found=frame.dtype,
            )
        # publish refuses other shapes, except that of a whole temporal cube.
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
        """Return the stream to write to: not one that was replaced, which no reader sees."""
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
            Frames per second; a late frame shifts the following ones. Default: as fast as possible.
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
        Frames in C order that the orientation does not turn are published without a copy. Writers never wait
        for readers: give a rate, or give the stream a ring.
        """
        stream = self._target(autorelink_if_need)
        frames = unmasked(frames, "frames")
        given = as_pixels(frames, "frames")
        if not isinstance(frames, np.ndarray):
            given = self._converted(given)
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
            check_rate("rate", rate, wanted, 1e9, above=True, stream=self.FNAME)
        times = None
        if atimes is not None:
            times = as_pixels(atimes, "atimes")
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

    def _cast(self, frame: Array) -> Array:
        """Convert pixels as `check_dt` asks for it: by the unsafe rules of NumPy."""
        try:
            return frame.astype(self._dtype)
        except (TypeError, ValueError, OverflowError) as error:
            raise FrameMismatchError(
                f"stream {self.FNAME!r}: the data ({frame.dtype}) cannot be converted to {self._dtype}: "
                f"{error}",
                stream=self.FNAME,
                field="dtype",
                expected=self._dtype,
                found=frame.dtype,
            ) from None

    def _converted(self, given: Array) -> Array:
        """Convert data that was not an array: to integers exactly, to floating-point pixels by rounding."""
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
        """Publish the newest frame again in place: counter, times and semaphores.

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
        self, fitsname: str | os.PathLike[str], *, header: bool = True, check: bool = False,
        timeout: float | None = 5.0, checkSemAndFlush: bool = True, return_none_on_timeout: bool = False,
        on_timeout: Literal["old", "raise", "none"] = "old", cube: bool = False,
    ) -> int:  # fmt: skip
        """Write a frame into a FITS file, replacing one of that name.

        Parameters
        ----------
        fitsname : str or PathLike
        header : bool, default True
            Put the keywords of the stream, the times and the number of the frame into the header: see
            `pymilk.fits.stream_header`.
        check, timeout, checkSemAndFlush, return_none_on_timeout, on_timeout, cube
            Which frame: as for `get_data`.

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
            No new frame in time, and `on_timeout` is not "old"; no file was written.
        StreamNotFoundError, StreamPermissionError, StreamStorageError
            The directory does not exist, is not writable, or is full.

        Notes
        -----
        The axes of the file are those of the stream, so that viewers show x to the right and row 0 at the
        bottom. `pymilk.interfacing.fits.multi_read` gives back what `get_data` gave, with the same symcode
        and triDim. The file is complete when it appears under its name.
        """
        from ..fits import multi_write, stream_header  # here, so that `import pymilk` does not load them

        for _ in range(_STAMP_TRIES):
            frame = self.get_data(
                check, timeout=timeout, checkSemAndFlush=checkSemAndFlush, cube=cube, on_timeout=on_timeout,
                return_none_on_timeout=return_none_on_timeout,
            )  # fmt: skip
            if frame is None:
                raise StreamTimeoutError(
                    f"stream {self.FNAME!r}: no new frame within {timeout} s, and nothing was written to "
                    f"{os.fspath(fitsname)}",
                    stream=self.FNAME,
                    timeout=timeout,
                    counter=self.get_counter(),
                )
            stream = self._live()
            times = {"atime_ns": stream.acquisition_time_ns, "wtime_ns": stream.write_time_ns}
            number = stream.frame_counter
            if not header or stream.counter == number:
                break  # the times belong to the frame
            check = False
        else:
            times = {}  # the writer is too fast: the times may belong to another frame
        cards = header and stream_header(
            stream.read_keywords(),
            name=self.FNAME,
            symcode=self.symcode,
            tri_dim=self.triDimState,
            cnt0=number,
            **times,
        )
        # The slices of a temporal cube are stacked along the first axis.
        stack = Which3DState.FRONT2LAST if self._temporal else self.triDimState
        multi_write(fitsname, frame, self.symcode, stack, upright=True, header=cards or None)
        return 0

    # -- semaphores ----------------------------------------------------------------------------

    def _semaphore(self) -> tuple[Stream, int]:
        """Return the stream and the index of the semaphore of this object."""
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
        """Take a post of this object's semaphore if there is one; returns whether there was.

        Raises
        ------
        SemaphoresExhaustedError
            Every semaphore belongs to another reader.
        StreamReadOnlyError, StreamClosedError
        """
        stream, index = self._semaphore()
        return stream.sem_try_wait(index)

    def check_sem_value(self) -> int:
        """Return the number of posts of this object's semaphore that were not taken; errors as above."""
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
            Whether it came in time. A post says nothing about frames: see `get_data`. A stream that was made
            again with a first frame has posted it.

        Raises
        ------
        StreamArgumentError
            `timeout` is no number of seconds.
        SemaphoresExhaustedError, StreamReadOnlyError, StreamClosedError
            As for `check_sem_trywait`.
        """
        return self._wait_for_post(timeout)

    # -- metadata -----------------------------------------------------------------

    def get_counter(self) -> int:
        """Return the number of frames published so far (cnt0)."""
        return self._live().counter

    @property
    def timeouts(self) -> int:
        """How often `get_data` of this object had no new frame in time, whatever that led to."""
        return self._silence.timeouts

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
