"""Players: recordings, cubes, images and videos published as a live stream, each frame at its time.

One thread reads frames into slots in memory, ahead of time and in bounded pieces. Another one publishes them
from there without the GIL, so that neither the disk nor busy Python code delays a frame while the slots are
filled.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from .._core import FrameFeed, Stream, checked_timeout
from .._types import Array
from ..arguments import check_rate
from ..errors import (
    NotStartedError,
    StreamArgumentError,
    StreamError,
    StreamExistsError,
    StreamFormatError,
    StreamNotFoundError,
    StreamReplacedError,
    carry,
)
from ..inspection import check_unwritten, describe_stream, new_stream
from ..streams.keywords import Keywords
from ..system.ending import close_at_exit
from ..system.forks import left_with_parent, tell_after_fork
from ..system.latch import Latch
from ..system.signals import held_signals, unbroken
from ..system.single import Single
from ..system.threads import (
    check_scheduling,
    do_all,
    join_thread,
    schedule_thread,
    start_thread,
    warn_of_scheduling,
)
from .footage import Footage, open_footage
from .report import PlayReport, Timing

__all__ = ["Player", "play"]

#: Limits of read-ahead, in bytes and frames; two frames at least.
_AHEAD_NBYTES = 64 << 20
_AHEAD_FRAMES = 4096


#: Limits of the sleep of the reading thread while all slots are full, in seconds, and its share of the time
#: that the slots last.
_NAP_SECONDS = (0.001, 0.05)
_NAP_SHARE = 0.1

#: Seconds to wait for stopped threads; they end within 0.1 s, unless the disk hangs.
_PATIENCE = 5.0


class Player(Single):
    """Publish frames of a file or an array as a live stream, in the background.

    A context manager that starts at its beginning and stops at its end; or use `start`, `stop` and `wait`.

    Parameters
    ----------
    source : str, PathLike, list of them, Recording, or array_like of shape (n, *shape)
        A path is that of a recording or an array (NPY, FITS, HDF5, Zarr, see `pymilk.load`), of a folder of
        images, of an image file, or of a video. Recorded frames keep their orientation; images and videos
        are turned over, so that their bottom row is row 0. Colours become brightness. Masked pixels of an
        array become NaN.
    stream : str, optional
        Name of the stream. Default: the one that was recorded, or the name of the file.
    rate : float, optional
        Frames per second; 0 is as fast as possible. Default: the times of the recording or video, gaps
        included; a recording of a single frame has an interval of 1 s.
    loop : bool, default False
        Begin again at the end, until `stop`, with the usual interval between the last frame and the first.
    ring : int, default 0
        Slots of a ring for a new stream.
    ring_kind : {"fast", "temporal"}
        See `pymilk.SHM`.
    force : bool, default False
        Replace any stream of that name. False publishes in an existing stream of the same shape, dtype and
        ring, unless a living process writes it.
    remove : bool, default False
        Delete the stream at the end. False leaves it with its last frame, as a camera does.
    cpu, priority : int, optional
        Core and SCHED_FIFO priority of the thread that publishes.
    hdu : int, str or (str, int), optional
        Which image of a FITS file, see `pymilk.load`.
    frame_axes : int, optional
        How many axes a frame has, see `pymilk.load`. An array has one axis more, or as many: a single frame.

    Attributes
    ----------
    source : str
        What is played, in words: frames, shape and dtype, what is done to the pixels, and which options
        decide.

    Raises
    ------
    StreamNotFoundError, StreamPermissionError, StreamFormatError, LibraryMissingError
        The source does not exist, cannot be read, or needs a library.
    StreamArgumentError
        The source has no times and no rate is given, or an argument is not one of those.
    StreamNameError
        The name is not valid.
    StreamExistsError
        A stream of that name does not fit, or the file is not a stream, and `force` is false.
    StreamInUseError
        The stream fits, but another living process writes it, here or in another container.
    StreamStorageError, CaptureMemoryError
        There is no room for the stream, or for the read-ahead.

    Notes
    -----
    Keywords of a recording are written to the stream. Frames get new numbers and times. At most 64 MiB (or
    two frames) are read ahead. A frame that is late by more than an interval shifts the following ones. If
    another program replaces the stream, the player ends with `StreamReplacedError`. A player that is not
    closed ends with the interpreter.

    Examples
    --------
    >>> with pymilk.Player("cam.fits", "replay", rate=500, loop=True) as player:    # doctest: +SKIP
    ...     observe()
    >>> print(player.report)                                                        # doctest: +SKIP
    """

    _single = "its thread belongs to this process; make another one, for another stream"
    _made = False  # whether there is a stream

    def __init__(
        self,
        source: Any,
        stream: str | None = None,
        *,
        rate: float | None = None,
        loop: bool = False,
        ring: int = 0,
        ring_kind: str = "fast",
        force: bool = False,
        remove: bool = False,
        cpu: int | None = None,
        priority: int | None = None,
        hdu: int | str | tuple[str, int] | None = None,
        frame_axes: int | None = None,
    ) -> None:
        if rate is not None:
            wanted = "frames per second, 0 for as fast as possible, or None for the times of the recording"
            check_rate("rate", rate, wanted, 1e9)
        check_scheduling(cpu, priority)
        self._rate = None if rate is None else float(rate)
        self._loop = bool(loop)
        self._remove = remove
        self._cpu, self._priority = cpu, priority
        self._lock = threading.Lock()
        self._timing = Timing()
        self._collected = 0
        self._length = 0  # frames of a loop, once all were read
        self._refused = ""
        self._ended = "running"
        self._error: BaseException | None = None
        self._stopping = Latch()
        self._filled = Latch()
        self._over = Latch()
        self._threads: list[threading.Thread] = []
        self._footage = open_footage(source, hdu=hdu, frame_axes=frame_axes)
        try:
            if rate is None and self._footage.interval_ns is None:
                raise StreamArgumentError(
                    f"{self._footage.name} has no times; give a rate in frames per second, or 0 for as fast "
                    "as possible",
                    argument="rate",
                    found=rate,
                )
            with held_signals():  # until somebody is sure to delete it
                self._stream = _target(self._footage, stream, ring, ring_kind, force)
                self._made, self._maker = True, os.getpid()
            self.name = self._stream.name
            keywords = self._footage.keywords
            if keywords:
                table = {name: (value, comment) for name, value, comment in keywords}
                Keywords(self._stream).merge(table)
            self._feed = self._make_feed()
            close_at_exit(self)
        except BaseException:
            unbroken(self._let_go)
            raise

    def _make_feed(self) -> FrameFeed:
        stream = self._stream
        nbytes = math.prod(stream.frame_shape) * stream.dtype.itemsize
        depth = max(2, min(_AHEAD_FRAMES, _AHEAD_NBYTES // nbytes))
        if self._footage.count is not None and not self._loop:
            depth = min(depth, self._footage.count)
        self._interval_ns = self._footage.interval_ns if self._rate is None else 0
        if self._rate:
            self._interval_ns = max(1, round(1e9 / self._rate))
        return FrameFeed(depth, stream.frame_shape, stream.dtype, self._interval_ns or None)

    # -- use -----------------------------------------------------------------------------------

    def start(self) -> Player:
        """Begin to publish, once the slots are filled; returns the player itself.

        Raises
        ------
        StreamArgumentError
            It was started before.
        """
        if self._threads or self._over.is_set():
            raise StreamArgumentError("a player starts once; make a new one", argument="start", found=True)
        for work in (self._fill, self._publish):
            self._threads.append(
                threading.Thread(target=work, name=f"pymilk-play{work.__name__}-{self.name}", daemon=True)
            )
        try:
            for thread in self._threads:
                start_thread(thread)
        except BaseException as error:
            self._failed(error if isinstance(error, StreamError) else None)
            self.close()
            raise
        tell_after_fork(self)
        self._await(self._filled)
        warn_of_scheduling(self._refused)
        return self

    def stop(self) -> None:
        """End within 0.1 s; `wait` does not raise for that. Before `start`: close stream and source."""
        self._stopping.set()
        self._feed.stop()
        if not self._threads:
            self._never_published()

    def wait(self, timeout: float | None = None) -> PlayReport:
        """Wait for the end.

        Parameters
        ----------
        timeout : float, optional
            Seconds; None waits without limit.

        Returns
        -------
        PlayReport

        Raises
        ------
        StreamFormatError, StreamStorageError, ...
            The error that ended it before the last frame; it has the `report`.
        StreamReplacedError
            Another program has replaced the stream.
        StreamForkedError
            This is a child after fork; the parent continues to play.
        NotStartedError
            Neither `start` nor `stop` was called: nothing is published that could end.
        KeyboardInterrupt
            Ctrl-C, or any exception of a signal handler; it was stopped first, and the `report` of the
            exception says what was published.
        """
        if not self._threads and not self._over.is_set():
            raise NotStartedError(
                f"the player of {self._footage.name} was never started and has published nothing; call "
                "start(), or use it in a with statement",
                stream=self.name,
            )
        if self._threads and self._await(self._over, timeout) and self._error is not None:
            if isinstance(self._error, StreamError):
                self._error.report = self.report
            raise self._error
        return self.report

    def close(self) -> None:
        """Stop, and close the stream and the source."""
        self.stop()
        for thread in self._threads:
            if thread is not threading.current_thread():
                join_thread(thread, _PATIENCE)
        if self._threads and self._threads[-1].ident is None:  # the publishing thread has not begun
            self._never_published()

    def _never_published(self) -> None:
        self._ended = "stopped" if self._error is None else "error"
        try:
            self._let_go()
        finally:
            self._over.set()

    @property
    def source(self) -> str:
        """What is played, in words."""
        return self._footage.describe()

    @property
    def source_for_command(self) -> str:
        """The same, with options as on the command line."""
        return self._footage.describe(command=True)

    @property
    def running(self) -> bool:
        """Whether it publishes."""
        return bool(self._threads) and not self._over.is_set()

    @property
    def frames(self) -> int | None:
        """Number of frames to publish; None for a loop, or if it is not known."""
        return None if self._loop else self._footage.count

    @property
    def published(self) -> int:
        """Frames published so far."""
        return self._feed.done

    @property
    def report(self) -> PlayReport:
        """The account of what was published so far."""
        self._collect()
        with self._lock:
            timing = self._timing
            late, jitter = timing.percentiles() if self._interval_ns else ({}, {})
            duration = (timing.last - timing.first) / 1e9
            frames = timing.frames
            shifted = timing.shifted / 1e9
        return PlayReport(
            stream=self.name,
            source=self._footage.name,
            requested_rate=self._rate,
            published=frames,
            loops=frames // self._length if self._length else 0,
            duration=duration,
            rate=(frames - 1) / duration if duration > 0 else math.nan,
            late_us=late,
            jitter_us=jitter,
            shifted=shifted,
            starved=self._feed.starved,
            ended=self._ended,
            error=None if self._error is None else str(self._error),
        )

    def __enter__(self) -> Player:
        try:
            return self.start()
        except BaseException:
            unbroken(self.close)
            raise

    def __exit__(self, *exc: object) -> None:
        unbroken(self.close)

    def __del__(self, _ends: Callable[[], bool] = sys.is_finalizing) -> None:
        # Its threads refer to it: it was never started.
        if self._made and not self._over.is_set() and not _ends():
            self._never_published()

    def __repr__(self) -> str:
        state = "running" if self.running else self._ended if self._threads else "not started"
        return f"<Player {self._footage.name} -> {self.name!r}: {self.published} frames, {state}>"

    def _after_fork(self) -> None:
        # A thread that is not here may have held the lock.
        self._lock = threading.Lock()
        if not self._over.is_set():
            self._over = Latch()
            self._over.set()
            self._ended = "error"
            self._error = left_with_parent("player", self.name)

    def _await(self, event: Latch, timeout: float | None = None) -> bool:
        """Wait for an event; any exception stops the player."""
        timeout = checked_timeout(timeout, self.name)
        try:
            return event.wait(timeout)
        except BaseException as error:
            self.close()
            carry(error, report=self.report)
            raise

    # -- the thread that publishes -------------------------------------------------------------

    def _publish(self) -> None:
        try:
            self._refused = schedule_thread(self._cpu, self._priority)
            self._filled.wait()
            self._stream.publish_feed(self._feed)
            self._threads[0].join()  # it ends too, and sets the error
        except BaseException as error:  # noqa: BLE001 (for `wait`)
            self._failed(error)
        finally:
            self._stopping.set()
            # Before the source is closed, from which the other thread may be reading.
            self._failed(do_all(lambda: self._threads[0].join(_PATIENCE), self._collect))
            whole = self._length > 0 and not self._loop and self._feed.done == self._feed.ready
            self._ended = "complete" if whole else "stopped"
            self._failed(do_all(self._let_go))
            if self._error is not None:
                self._ended = "error"
            self._over.set()

    def _let_go(self) -> None:
        steps = (self._delete, self._stream.close) if self._made else ()
        fault = do_all(self._footage.close, *steps)
        if fault is not None:
            raise fault

    def _delete(self) -> None:
        if self._remove and not self._stream.closed and self._maker == os.getpid():
            # The stream may have been deleted or replaced by another program.
            with contextlib.suppress(StreamNotFoundError, StreamReplacedError):
                self._stream.destroy()

    def _failed(self, error: BaseException | None) -> None:
        """Keep the first error."""
        if self._error is None:
            self._error = error

    # -- the thread that reads -----------------------------------------------------------------

    def _fill(self) -> None:
        try:
            limit = max(1, len(self._feed.slots) // 4)
            while not self._stopping.is_set():
                for frames, steps in self._footage.pieces(limit):
                    if not self._hand_over(frames, steps):
                        return
                self._length = self._length or self._feed.ready
                if not self._loop:
                    return
        except BaseException as error:  # noqa: BLE001 (for `wait`, once the frames before it are out)
            self._failed(error)
        finally:
            self._feed.end()
            self._filled.set()

    def _hand_over(self, frames: Array, steps: Array | None) -> bool:
        """Copy frames into slots as these become free; returns False if the player stops."""
        feed, depth = self._feed, len(self._feed.slots)
        at = 0
        while at < len(frames):
            self._collect()  # before slots are used again
            free = depth - (feed.ready - self._collected)
            slot = feed.ready % depth
            count = min(len(frames) - at, free, depth - slot)
            if count:
                feed.slots[slot : slot + count] = frames[at : at + count]
                part = slice(slot, slot + count)
                if self._rate is None and steps is not None:
                    feed.steps[part] = steps[at : at + count]
                else:
                    feed.steps[part] = self._interval_ns or 0
                feed.hand_over(count)
                at += count
            if free == count:
                self._filled.set()
                least, most = _NAP_SECONDS
                nap = depth * (self._interval_ns or 0) / 1e9 * _NAP_SHARE
                if self._stopping.wait(min(max(nap, least), most)):
                    return False
                if self._stream.replaced():
                    self._feed.stop()
                    raise StreamReplacedError(
                        f"stream {self.name!r} was replaced by another program: its readers no longer see "
                        "what is played",
                        stream=self.name,
                        field="inode",
                        expected=self._stream.inode,
                    )
        return not self._stopping.is_set()

    def _collect(self) -> None:
        """Add the times of newly published frames to the account."""
        feed = self._feed
        with self._lock:
            done, depth = feed.done, len(feed.slots)
            while self._collected < done:
                slot = self._collected % depth
                count = min(done - self._collected, depth - slot)
                part = slice(slot, slot + count)
                steps = feed.steps[part] if self._interval_ns else None
                self._timing.add(feed.dues[part], feed.moments[part], steps)
                self._collected += count


def _target(footage: Footage, name: str | None, ring: int, ring_kind: str, force: bool) -> Stream:
    """Attach an existing stream that fits, or create one."""
    name = footage.stream_name if name is None else name
    if name is None:
        raise StreamArgumentError(
            f"{footage.name} has no name for its stream; give one",
            argument="stream",
            found=name,
        )
    shape, dtype = footage.turn.stream_shape, footage.dtype
    room = max(50, len(footage.keywords))
    if not force:
        try:
            old = Stream.attach(name, prefault=False)
        except StreamNotFoundError:
            pass
        except StreamFormatError as error:  # a file that is no stream
            raise StreamExistsError(
                f"{error}; choose another name, or force it", stream=name, path=error.path, argument="force"
            ) from error
        else:
            try:
                _check_target(old, shape, dtype, ring, ring_kind)
            except BaseException:
                old.close()
                raise
            return old
    return new_stream(name, shape, dtype, ring=ring, ring_kind=ring_kind, nbkw=room, replace=bool(force))


def _check_target(
    old: Stream, shape: tuple[int, ...], dtype: np.dtype[Any], ring: int, ring_kind: str
) -> None:
    """Raise if such frames cannot be published in an existing stream."""
    found = describe_stream(old)
    misfits = [
        f"{what} {has}, not {wanted}"
        for what, has, wanted in (("shape", old.frame_shape, shape), ("dtype", old.dtype, dtype))
        if has != wanted
    ]
    if ring and (found["ring"], found["ring_kind"]) != (ring, ring_kind):
        misfits.append(f"ring {found['ring_kind'] or 'none'} {found['ring']}, not {ring_kind} {ring}")
    if misfits:
        raise StreamExistsError(
            f"stream {old.name!r} exists with {'; '.join(misfits)}; choose another name, or force it",
            stream=old.name,
            path=old.path,
            argument="force",
        )
    check_unwritten(old, "choose another name, or force it, which makes a new stream")


def play(
    source: Any,
    stream: str | None = None,
    *,
    rate: float | None = None,
    loop: bool = False,
    ring: int = 0,
    ring_kind: str = "fast",
    force: bool = False,
    remove: bool = False,
    cpu: int | None = None,
    priority: int | None = None,
    hdu: int | str | tuple[str, int] | None = None,
    frame_axes: int | None = None,
) -> PlayReport:
    """Publish frames of a file or an array as a live stream, and wait for the end.

    Parameters
    ----------
    source, stream, rate, loop, ring, ring_kind, force, remove, cpu, priority, hdu, frame_axes
        See `Player`. With ``loop=True`` it ends with Ctrl-C only.

    Returns
    -------
    PlayReport

    Raises
    ------
    StreamError
        See `Player` and `Player.wait`.
    KeyboardInterrupt
        Ctrl-C; the player was stopped first.

    Examples
    --------
    >>> print(pymilk.play("cam.fits", "replay", rate=500))                # doctest: +SKIP
    """
    player = Player(
        source,
        stream,
        rate=rate,
        loop=loop,
        ring=ring,
        ring_kind=ring_kind,
        force=force,
        remove=remove,
        cpu=cpu,
        priority=priority,
        hdu=hdu,
        frame_axes=frame_axes,
    )
    with player:
        return player.wait()
