"""`Job`: one stream that is recorded, its thread and its files."""

from __future__ import annotations

import atexit
import contextlib
import functools
import math
import os
import threading
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._core import (
    FLAG_COUNTER_SET,
    FLAG_NEW_FILE,
    FLAG_TORN,
    FLAG_UNCERTAIN,
    FLAG_VERIFIED,
    FRAME_ROW,
    Keyword,
    allocate,
)
from .._types import Array
from ..axes import Orientation, Which3DState
from ..errors import (
    OutputChangedError,
    StreamChangedError,
    StreamError,
    StreamStorageError,
    StreamTimeoutError,
)
from ..ring import RingReader
from ..shm import SHM
from ..system.durable import sync_files
from ..system.files import check_room_for, file_error, memory_error
from ..system.forks import left_with_parent, tell_after_fork
from ..system.journal import GapTeller, tell, warn
from ..system.latch import Latch
from ..system.locks import WriterLock
from ..system.output_lock import check_outputs, hold_output
from ..system.threads import do_all, join_thread, start_thread
from ..times import now_ns
from .aside import Aside
from .headers import FileAccount, first_time, header_of
from .living_series import check_no_living_series
from .naming import Names
from .replacing import check_replaceable
from .report import StreamReport
from .room import Split
from .series import GOES_ON, is_part_of, others_of, part_path, taken_by
from .sinks import Header, Sink, sink_of
from .sinks.base import batch_of
from .sinks.packed import Packed

__all__ = ["Job", "JobOptions"]

#: Seconds between two checks whether to stop, if no frames come.
_TICK = 0.1

#: Longest sleep between two batches, in seconds, and as a share of the time that the ring holds.
_GATHER_SECONDS = 0.005
_GATHER_SHARE = 0.25

#: Approximate bytes of frames that are copied at a time.
_BATCH_NBYTES = 1 << 20

#: Longest time, in seconds, that first frames stay in the ring until the order of their writer is known, and
#: once all frames that were asked for are there.
_HOLD_SECONDS, _HOLD_LAST_SECONDS = 5.0, 0.5

#: Frames that may be held: behind so many the order of a writer is not looked for any more.
_HOLD_FRAMES = 128

#: Share of the ring from which on it is nearly full, and below which it is not any more.
_NEARLY_FULL, _HALF = 0.8, 0.5

#: Share of the ring from which on frames are stored as they are and not packed, if it has grown by so
#: much or to that, and below which they are packed again.
_HURRY, _GROWN, _LATE, _CALM = 0.75, 0.1, 0.9, 0.2

#: Seconds that `stop` allows for writing the frames that are in the ring.
_STOP_SECONDS = 0.5

_NO_ROWS = np.zeros(0, FRAME_ROW)


@dataclass(frozen=True)
class JobOptions:
    """Checked parameters of `Recorder`."""

    frames: int | None
    split: Split
    force: bool
    compress: bool | str
    depth: int | None
    start: str
    timeout: float | None
    wait: str
    cpu: int | None
    priority: int | None
    keywords: tuple[Keyword, ...] = ()
    restart: bool = False
    direct: bool = False
    sync: str | None = None


class Job:
    """One stream, its thread, and its files."""

    def __init__(self, source: SHM | str, names: Names, options: JobOptions) -> None:
        self.path = path = names.first
        self._others = names.others
        # The script may change its working directory during the recording.
        self._folder = os.getcwd()
        self._options = options
        self._owned = isinstance(source, str)
        shm = SHM(source) if isinstance(source, str) else source
        try:
            self._shm = shm
            self.stream, self._turn = shm.live_source()
            self.name = self.stream.name
            self._format = sink_of(path, options.compress)
            self._where = os.path.join(self._folder, path)
            self._limit = options.frames
            frame = math.prod(self.stream.frame_shape) * self.stream.dtype.itemsize
            self._part_limit = self._format.most_frames(options.split.most_frames(frame), self._limit)
            self._in_parts = options.split.asked
            self.check()
        except BaseException:
            if self._owned:
                shm.close()
            raise
        self.paths: list[str] = []
        self.error: BaseException | None = None
        self.ended = "running"
        self.complete = False
        self.over = Latch()
        self._stop = Latch()
        self._stopped_at = math.inf
        self._ring: RingReader | None = None
        self._sink: Sink | None = None
        self._aside = Aside([])
        self._lock: WriterLock | None = None  # of the present file, or the last one
        self._thread: threading.Thread | None = None
        self._recorded = self._lost = self._torn = self._new_files = self._unwritten = 0
        self._counter_set = self._uncertain = 0
        self._part = self._part_lost = 0
        self._parts = 0
        self._part_ends = math.inf  # time.monotonic() at which the present file is old enough
        self._first_arrival = self._last_arrival = self._first_ns = 0
        self._started_ns = self._series_ns = 0
        self._keywords: list[list[Any]] = []
        self._replaces = False
        self._peak = 0.0
        self._held_until = math.inf
        self._cached = False  # direct writes were asked for, and the file system has none
        self._crowded = False  # the ring was nearly full, and has not been half empty since
        self._lowest = math.inf  # how full the ring was at least
        self._hurried = False  # frames are not packed, since the ring fills up
        self._packed: Packed | None = None  # into the files that are finished
        self._overtaken = False  # the same, of frames that were overwritten while they were written
        self._gaps = GapTeller(self.name)
        self._began = 0.0
        self._duration: float | None = None
        self._deadline: float | None = None
        self._interval = math.inf
        self._flushed = 0.0
        self._last_seen = 0.0
        tell_after_fork(self)

    # -- before anything is recorded -----------------------------------------------------------

    def check(self) -> None:
        """Raise any error that is known before a file is made and a frame is waited for."""
        stream = self.stream
        self._format.check(stream.frame_shape, stream.dtype, self._options.compress)
        self._format.check_disk(self._options.direct, self._options.sync)
        check_outputs(self._in_the_way(self._where))
        check_no_living_series(self._where)
        others = [] if self._options.force else self._in_the_way(self.path)
        check_room_for(self.path, others, stream.name)
        if self._options.force:
            check_replaceable(self._where)

    def _in_the_way(self, path: str) -> list[str]:
        """Return the paths that this recording would replace."""
        files = taken_by(path)
        numbered = self._in_parts and self._others is None
        return [*files, *self._format.files(part_path(path, 0))] if numbered else files

    def collides_with(self, other: Job) -> bool:
        """Return whether this job may write or remove files of the other."""
        mine, theirs = (
            {os.path.realpath(each) for each in job._format.files(job._where)} for job in (self, other)
        )
        series = self._in_parts or self._options.force
        return not mine.isdisjoint(theirs) or (
            series and is_part_of(os.path.realpath(other._where), os.path.realpath(self._where))
        )

    @property
    def asked_nbytes(self) -> int:
        """Bytes of pixels of all frames asked for; 0: there is no such number."""
        return (self._limit or 0) * math.prod(self.stream.frame_shape) * self.stream.dtype.itemsize

    # -- from other threads --------------------------------------------------------------------

    def prepare(self) -> None:
        """Arm the ring. Create the first file, unless it replaces one."""
        self._replaces = self._options.force and any(map(os.path.lexists, self._in_the_way(self._where)))
        self._started_ns = self._series_ns = now_ns()
        if not self.stream.closed:
            self._format.check_keywords(self._all_keywords())
        if not self._replaces:
            self._open()
        options = self._options
        self._ring = RingReader(
            self.stream,
            depth=options.depth,
            start=options.start,
            wait=options.wait,
            cpu=options.cpu,
            priority=options.priority,
            # Frames stay in the order of the stream: this orientation turns nothing.
            orientation=Orientation(self.stream.frame_shape, 4, Which3DState.FRONT2LAST),
        )

    def begin(self, deadline: float | None) -> None:
        """Start the thread, which records the frames in the ring and all later ones."""
        self._deadline = deadline
        self._began = self._last_seen = self._flushed = time.monotonic()
        thread = threading.Thread(target=self._run, name=f"pymilk-record-{self.name}", daemon=True)
        _running.add(self)
        self._thread = thread
        try:
            start_thread(thread)
        except StreamStorageError:  # too many threads
            self._thread = None
            raise

    def abandon(self) -> None:
        """Undo a start: delete files without frames."""
        interrupt: BaseException | None = None
        if self._thread is not None:
            self.stop()
            # After an interrupt the thread may never have begun; and another one may come here.
            wait = functools.partial(self.over.wait, 2 * _STOP_SECONDS)
            interrupt = do_all(wait, wait)
        if self._thread is not None and self.over.is_set():
            if not self._recorded:
                self._remove()
        else:
            _running.discard(self)
            steps = [each.close for each in (self._ring, self._sink) if each is not None]
            fault = do_all(*steps, self._remove, self._unlock, self.let_go)
            interrupt = interrupt or fault
            self.ended = "stopped"
            self.over.set()
        if interrupt is not None and not isinstance(interrupt, OSError):
            raise interrupt

    def _remove(self) -> None:
        """Remove the files that were made."""
        for each in self.paths:
            with contextlib.suppress(OSError):
                self._format.remove(os.path.join(self._folder, each))
        self.paths = []
        self._aside.put_back()

    def _unlock(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()

    def _after_fork(self) -> None:
        _running.discard(self)
        if self._thread is None or self.over.is_set():
            return
        self.over = Latch()
        self.over.set()
        self._aside = Aside([])  # the parent's
        self.ended = "error"
        self.error = left_with_parent("recorder", self.name)

    def stop(self) -> None:
        """Tell the thread to end."""
        if not self._stop.is_set():
            self._stopped_at = time.monotonic()
            self._stop.set()

    def join(self) -> None:
        """Wait for the thread, whose `over` is set."""
        if self._thread is not None:
            join_thread(self._thread)

    @property
    def report(self) -> StreamReport:
        """The account so far."""
        arrivals = self._last_arrival - self._first_arrival
        frame = math.prod(self.stream.frame_shape) * self.stream.dtype.itemsize
        ring = self._ring
        duration = self._duration
        if duration is None:
            duration = time.monotonic() - self._began if self._began else 0.0
        return StreamReport(
            stream=self.name,
            paths=list(self.paths),
            requested=self._limit,
            recorded=self._recorded,
            lost=self._lost,
            torn=self._torn,
            counter_set=self._counter_set,
            uncertain=self._uncertain,
            unwritten=self._unwritten,
            new_files=self._new_files,
            nbytes=self._recorded * frame,
            duration=duration,
            rate=(self._recorded - 1) / (arrivals / 1e9) if arrivals > 0 and self._recorded > 1 else math.nan,
            source="none" if ring is None else ring.source,
            ring_peak=self._peak,
            depth=0 if ring is None else ring.depth,
            last_age=(now_ns() - self._last_arrival) / 1e9 if self._recorded else None,
            ended=self.ended,
            error=None if self.error is None else str(self.error),
            complete=self.complete,
            packed=self._packed_so_far(),
            cached=self._cached,
        )

    def _packed_so_far(self) -> Packed | None:
        """Return what was packed into all files; None: frames are not compressed."""
        sink = self._sink
        return Packed.together([self._packed, None if sink is None else sink.packed])

    # -- the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        ending = "error"
        try:
            ending = self._record()
        except BaseException as error:  # noqa: BLE001 (for `wait`)
            self._failed(error)
            if self.replaced:
                ending = "stopped"
        finally:
            fault = self._close(ending)
            if fault is not None:
                ending = "error"
                self._failed(fault)
            self._duration = time.monotonic() - self._began
            self.ended = ending
            _running.discard(self)
            self.over.set()

    def _close(self, ending: str) -> BaseException | None:
        """Finish the file, and close the ring and the stream; returns what went wrong."""
        ring = self._ring
        assert ring is not None
        return do_all(
            lambda: self._count_left(ring),
            ring.close,
            lambda: self._gaps.tend(self._lost, last=True),
            lambda: self._finish(ending),
            self._unlock,
            self.let_go,
        )

    def _count_left(self, ring: RingReader) -> None:
        """Count the frames in the ring that an error kept out of the files."""
        if self.error is not None and not ring.closed:
            self._unwritten += ring.lag

    @property
    def replaced(self) -> bool:
        """Whether it ended since the stream is another one now, which a new job may record."""
        return self._options.restart and isinstance(self.error, StreamChangedError)

    def _failed(self, error: BaseException) -> None:
        """Keep the first thing that went wrong; or that a file was changed, the cause of others."""
        if self.error is None or isinstance(error, OutputChangedError):
            self.error = error
            with contextlib.suppress(Exception):  # as there is no memory for the words
                self.error = self._said(error)

    def _said(self, error: BaseException) -> BaseException:
        """Return the error in words of pymilk, where it is one of the system."""
        path = self.paths[-1] if self.paths else self.path
        made: StreamError
        if isinstance(error, StreamError):
            return error
        if isinstance(error, OSError):
            made = file_error(error, path, "written")
        elif isinstance(error, MemoryError):
            made = memory_error(path, "written")
        else:
            return error
        made.__cause__ = error
        return made

    def let_go(self) -> None:
        """Close the stream, unless it is the user's."""
        if self._owned:
            self._shm.close()

    def _record(self) -> str:
        """Record until it is over; returns why it ended."""
        ring = self._ring
        assert ring is not None
        while True:
            now = time.monotonic()
            if self._limit is not None and self._recorded >= self._limit:
                return "complete"
            if self._stop.is_set():
                self._drain(ring, self._stopped_at + _STOP_SECONDS)
                return "stopped"
            if self._deadline is not None and now >= self._deadline:
                self._drain(ring, None)
                return "time"
            lag = ring.lag
            self._watch_ring(ring.level)
            if lag and self._holds(ring, lag):
                self._stop.wait(_GATHER_SECONDS)
                continue
            if lag:
                self._take(ring, lag, _TICK)
                continue
            left = _TICK if self._deadline is None else max(0.0, min(_TICK, self._deadline - now))
            if self._recorded < _HOLD_FRAMES and ring.source == "collector":  # the next one may be held, too
                with contextlib.suppress(StreamTimeoutError):
                    ring.wait(left)
                    continue
                left = 0.0
            if self._take(ring, 1, left):
                # A wake-up for each frame would take processor time from other threads.
                rest = min(_GATHER_SECONDS, self._interval * ring.depth * _GATHER_SHARE)
                self._stop.wait(rest)

    def _holds(self, ring: RingReader, lag: int) -> bool:
        """Return whether frames stay in the ring for a while, since their rows may still be flagged."""
        if not ring.unsettled or ring.level >= _HALF:
            return False
        now = time.monotonic()
        last = self._limit is not None and lag >= self._limit - self._recorded
        self._held_until = min(self._held_until, now + (_HOLD_LAST_SECONDS if last else _HOLD_SECONDS))
        return now < self._held_until

    def _watch_ring(self, level: float) -> None:
        """Keep how full the ring was at most, and say when it is nearly full."""
        self._peak = max(self._peak, level)
        if level >= _NEARLY_FULL and not self._crowded:
            self._crowded = True
            warn("stream %r: the ring of its recorder is %.0f %% full", self.name, 100 * level)
        elif level < _HALF:
            self._crowded = self._overtaken = False
        if self._options.compress and self._format.hurries:
            self._hurry(level)

    def _hurry(self, level: float) -> None:
        """Have the file take frames as they are while packing them is too slow for the stream.

        A ring that is full at the start, and is emptied, is no reason.
        """
        lowest = self._lowest = min(self._lowest, level)
        grows = level > lowest and level >= min(lowest + _GROWN, _LATE)
        if level >= _HURRY and grows and not self._hurried:
            words = "stream %r: the ring is %.0f %% full; frames are not compressed until it is %.0f %% full"
            warn(words, self.name, 100 * level, 100 * _CALM)
            self._hurried = True
        elif level < _CALM:
            self._hurried = False
        if self._sink is not None:
            self._sink.hurried = self._hurried

    def _drain(self, ring: RingReader, until: float | None) -> None:
        """Record what is in the ring now."""
        left = ring.lag
        if self._limit is not None:
            left = min(left, self._limit - self._recorded)
        while left > 0:
            if (until is not None and time.monotonic() > until) or (until is None and self._stop.is_set()):
                self._unwritten = left
                return
            left -= max(1, self._take(ring, left, 0.0))

    def _take(self, ring: RingReader, count: int, timeout: float) -> int:
        """Record up to `count` of the next frames; returns how many."""
        if self._limit is not None:
            count = min(count, self._limit - self._recorded)
        sink = self._sink
        if self._part_limit is not None:
            count = min(count, self._part_limit - self._part)
        # `count` stays above 0: the first frame of the next file is read alone.
        if count == 0 or (self._part and time.monotonic() >= self._part_ends):
            count, sink = 1, None
        failure: BaseException | None = None
        room: Array | None = None
        info = _NO_ROWS if sink is None else self._write_in_place(ring, sink, count)
        if not len(info):
            # Create the next file, or one that replaces another, only when there is a frame for it.
            room = self._room(sink, count)
            info, failure = self._copied(ring, room, timeout)
        if len(info):
            try:
                if sink is None:
                    self._finish(GOES_ON)
                    sink = self._open()
                    assert room is not None
                    np.copyto(sink.room(1), room)
                self._add(sink, info)
            except BaseException:
                # The sink has dropped these frames, and those it had not written yet.
                self._unwritten += len(info)
                raise
        now = time.monotonic()
        if self._sink is not None and now - self._flushed > self._sink.flush_seconds:
            self._sink.flush()
            self._sink.verify()
            self._replace(self._sink)
            if self._options.sync == "second":
                self._sink.sync()
            self._flushed = now
        if failure is not None and not isinstance(failure, StreamTimeoutError):
            raise failure
        patience: float | None = self._options.timeout
        if len(info):
            self._last_seen = now
        elif patience is not None and now - self._last_seen >= patience and failure is not None:
            raise ring.timeout_error(patience) from None
        return len(info)

    def _room(self, sink: Sink | None, count: int) -> Array:
        """Return memory for 1 to `count` frames: of the sink, if there is one yet."""
        shape, dtype = self.stream.frame_shape, self.stream.dtype
        if sink is None:
            return allocate((1, *shape), dtype)
        return sink.room(min(count, batch_of(shape, dtype, _BATCH_NBYTES)))

    def _copied(self, ring: RingReader, room: Array, timeout: float) -> tuple[Array, BaseException | None]:
        """Copy the next frames; returns their rows, and what ended that early."""
        try:
            return ring.read(len(room), out=room, timeout=timeout).info, None
        except StreamTimeoutError as error:
            return error.capture.info, error
        except BaseException as error:  # the caller raises it, once the frames before it are written
            capture = getattr(error, "capture", None)
            if capture is None:
                raise
            return capture.info, error

    def _write_in_place(self, ring: RingReader, sink: Sink, count: int) -> Array:
        """Have the sink write the next frames where they lie in the ring, and look whether they are whole.

        Returns
        -------
        ndarray of FRAME_ROW
            Of the frames that were written; the sink counts them with `commit`. Empty: none, and they are
            to be copied: the sink wants that, it failed, or the writer of the stream overwrote one meanwhile.
        """
        wanted = 0 if self._overtaken else sink.in_place(min(count, ring.lag))
        if not wanted:
            return _NO_ROWS
        try:
            block = next(ring.blocks(wanted, timeout=0.0))
        except StreamTimeoutError:
            return _NO_ROWS
        try:
            if sink.in_place(len(block)) == len(block):
                # Fails as well if the stream was cut: the copy finds out.
                with contextlib.suppress(OSError):
                    sink.write(block.frames)
                    if block.intact():
                        info = block.info
                        if ring.source != "collector":  # its rows have it
                            info["flags"] |= FLAG_VERIFIED
                        return info
                    self._overtaken = True
        except BaseException:
            block.unread()
            raise
        block.unread()
        return _NO_ROWS

    def _add(self, sink: Sink, info: Array) -> None:
        """Give the frames to the sink, and count them."""
        sink.commit(info)
        last = int(info["arrival_ns"][-1])
        if self._recorded == 0:
            self._first_arrival = int(info["arrival_ns"][0])
        if self._part == 0:
            self._first_ns = first_time(info)
            self._part_ends = time.monotonic() + self._options.split.seconds
        if self._last_arrival:
            self._interval = max(0, last - self._last_arrival) / len(info) / 1e9
        self._last_arrival = last
        lost = int(info["lost"].sum())
        self._lost += lost
        if lost:
            self._gaps.tend(self._lost)
        self._part_lost += lost
        self._torn += int(np.count_nonzero(info["flags"] & FLAG_TORN))
        self._uncertain += int(np.count_nonzero(info["flags"] & FLAG_UNCERTAIN))
        self._counter_set += int(np.count_nonzero(info["flags"] & FLAG_COUNTER_SET))
        anew = int(np.count_nonzero(info["flags"] & FLAG_NEW_FILE))
        if anew:
            self._new_files += anew
            tell("stream %r: its writer made it anew; the recording goes on", self.name)
        self._part += len(info)
        self._recorded += len(info)

    # -- files ---------------------------------------------------------------------------------

    def _all_keywords(self) -> list[Keyword]:
        """Return the keywords of the stream, and those that were given, which have precedence."""
        stream = self.stream if self._ring is None else self._ring.stream
        given = {each.name: each for each in self._options.keywords}
        found = [given.pop(each.name, each) for each in stream.read_keywords()]
        return [*found, *given.values()]

    def _next_path(self) -> str:
        """Return the path of the next file, or of the only one."""
        if not self._in_parts:  # there are others only if a file of the format holds no more
            return part_path(self.path, self._parts) if self._parts else self.path
        if self._others is None:
            return part_path(self.path, self._parts)
        return next(self._others) if self._parts else self.path

    def _open(self) -> Sink:
        """Begin a new file."""
        path = self._next_path()
        where = os.path.join(self._folder, path)
        self._part = self._part_lost = 0
        self._part_ends = math.inf
        self._first_ns = now_ns()
        if self._parts:
            self._started_ns = self._first_ns
        stream = self.stream if self._ring is None else self._ring.stream
        if not stream.closed:
            self._keywords = [[each.name, each.value, each.comment] for each in self._all_keywords()]
        left = None if self._limit is None else self._limit - self._recorded
        if self._part_limit is not None:
            left = self._part_limit if left is None else min(left, self._part_limit)
        replaces, self._replaces = self._replaces, False
        if replaces:
            check_outputs(taken_by(self._where))
            check_replaceable(self._where)
        try:
            self._aside = Aside(self._format.files(where) if replaces else [])
            sink = self._format(
                where,
                self.stream.frame_shape,
                self.stream.dtype,
                self._header("running"),
                compress=self._options.compress,
                frames=left,
                replace=replaces,
            )
            self._aside.take(sink)
        except BaseException as error:
            self._aside.put_back()
            if isinstance(error, OSError):
                raise file_error(error, path, "written") from error
            raise
        self.paths.append(path)
        self._sink = sink
        self._parts += 1
        try:
            if replaces:
                self._aside.hide(others_of(self._where, where))
            lock = hold_output(where)
        except OSError as error:
            raise file_error(error, path, "written") from error
        self._unlock()  # of the file before: at any moment one is locked
        self._lock = lock
        self.complete = False
        self._choose_way(sink, where)
        return sink

    def _replace(self, sink: Sink) -> None:
        """Delete what the new recording replaces, once it has frames."""
        if sink.written:
            self._aside.forget()

    def _choose_way(self, sink: Sink, where: str) -> None:
        """Tell a new file how its frames get to the disk."""
        try:
            if self._options.direct and not sink.begin_direct() and not self._cached:
                self._cached = True
                warn("stream %r: %s cannot be written past the page cache", self.name, where)
            if self._options.sync is not None:
                sink.begin_early()
            if self._options.sync == "second":
                sink.hold()
                sync_files(self._format.files(where))
        except OSError as error:
            raise file_error(error, where, "written") from error

    def _header(self, ended: str) -> Header:
        several = self._in_parts or self._parts > 1 or ended == GOES_ON
        account = FileAccount(
            started_ns=self._started_ns,
            first_ns=self._first_ns,
            frames=self._part,
            lost=self._part_lost,
            ended=ended,
            part=self._parts - (self._sink is not None) if self._in_parts else None,
            series_ns=self._series_ns if several else None,
        )
        return header_of(self.name, self.stream.dtype, self._turn, keywords=self._keywords, account=account)

    def _finish(self, ending: str) -> None:
        """Finish the present file; if that fails, it stays unfinished."""
        sink = self._sink
        if sink is None:
            self.complete = self.complete or not self._parts
            return
        failure: Exception | None = None
        try:
            try:
                sink.flush()
                self._bring_to_disk(sink)
            except (OSError, MemoryError) as error:
                failure, ending = error, "error"
            sink.verify()
            self._settle(sink)
            if self._recorded:
                sink.finish(self._header(ending))
                if failure is None:
                    self._bring_to_disk(None)
            else:
                sink.close()
                self._remove()  # a file without frames would be in the way of the next try
        except OutputChangedError:
            self._disown(sink)
            raise
        except BaseException:
            self._settle(sink)
            do_all(sink.close, *([] if self._recorded else [self._remove]))
            raise
        finally:
            self._sink, self._packed = None, self._packed_so_far()
        self.complete = True
        if self._recorded and failure is None:
            words = "stream %r: file %s is finished, with %d frames, %d lost (%s)"
            tell(words, self.name, self.paths[-1], self._part, self._part_lost, ending)
        if failure is not None:
            raise failure

    def _settle(self, sink: Sink) -> None:
        """Do not count frames that did not get into the present file; with others it replaces the old one."""
        dropped = self._part - sink.written
        self._part -= dropped
        self._recorded -= dropped
        self._unwritten += dropped
        self._replace(sink)

    def _bring_to_disk(self, sink: Sink | None) -> None:
        """Wait until the disk has the present file, if that was asked for; `sink`: one to be finished."""
        if self._options.sync is None or not self._recorded:
            return
        if sink is not None and self._options.sync == "second":
            sink.sync()
        else:
            sync_files(self._format.files(os.path.join(self._folder, self.paths[-1])))

    def _disown(self, sink: Sink) -> None:
        """Leave a file alone that another program has changed; its frames are in no file."""
        self.paths.pop()
        self._recorded -= self._part
        self._unwritten += self._part
        self._part = 0
        self._aside.forget()  # their name is taken
        with contextlib.suppress(Exception):  # a library that finds its file cut
            sink.close()


#: Jobs whose threads may be at work.
_running: set[Job] = set()


@atexit.register
def _stop_all() -> None:
    """Finish the files of running recorders at exit, before Python ends their threads."""
    jobs = list(_running)
    for job in jobs:
        job.stop()
    for job in jobs:
        job.over.wait(2 * _STOP_SECONDS)
