"""A thread that receives from a stream until it is stopped, and follows the stream to new files."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from .._core import Reader, Stream, checked_timeout
from ..errors import StreamReplacedError, StreamStorageError
from ..streams.waiting import Follower, frames_behind
from ..system.forks import left_with_parent, tell_after_fork
from ..system.journal import tell
from ..system.latch import Latch
from ..system.single import Single
from ..system.threads import (
    check_scheduling,
    do_all,
    join_thread,
    schedule_thread,
    start_thread,
    warn_of_scheduling,
)

__all__ = ["NEXT_FRAME", "Beginning", "ReceiverThread"]

#: Called with the reader, the number of the last frame known, and the frames missed in an older file.
Work = Callable[[Reader, int, int | None], object]

#: Seconds to wait for a stopped thread; it ends within 0.1 s.
_PATIENCE = 2.0


class Beginning(NamedTuple):
    """The first frame of a receiver.

    Attributes
    ----------
    start : {"next", "newest", "oldest"}
        The next one published, the newest one there is, or the oldest in the ring of the stream.
    after : int or None
        Begin behind the frame with this number instead; frames that are gone since then count as lost.
    missed : int or None
        Begin with the first frame of the file; it replaced another one, of which so many were missed.
    """

    start: str = "next"
    after: int | None = None
    missed: int | None = None


NEXT_FRAME = Beginning()


class ReceiverThread(Single):
    """Do `work` with a reader of a stream, in a thread that takes the GIL only to begin and to follow.

    Parameters
    ----------
    stream : Stream
        Stays the caller's. A new file with frames of the same shape and dtype is followed.
    work : callable
        ``work(reader, after, missed)`` receives without end: `Reader.collect` or `Reader.relay`.
    begin : Beginning, default NEXT_FRAME
        First frame.
    scheduling : (int or None, int or None)
        Core that the thread runs on, and its SCHED_FIFO priority. Where that is not permitted,
        `SchedulingWarning` says so.
    finished : callable, optional
        Called at the end, in the thread, and in a child after fork.
    what : str, default "relay"
        Name of its owner, for messages.

    Attributes
    ----------
    error : BaseException or None
        The exception that ended the thread, if it was not `stop`.
    reader : Reader
        The present one.
    """

    _single = "it belongs to this process; make another one"

    def __init__(
        self,
        stream: Stream,
        work: Work,
        *,
        begin: Beginning = NEXT_FRAME,
        scheduling: tuple[int | None, int | None] = (None, None),
        finished: Callable[[], object] | None = None,
        what: str = "relay",
    ) -> None:
        check_scheduling(*scheduling)
        self.error: BaseException | None = None
        self._source = Follower(stream, missed=begin.missed)
        self.reader = stream.reader()
        self._work = work
        self._begin = begin
        self._over = False
        self._scheduling = scheduling
        self._finished = finished
        self._what = what
        self._stopping = False
        self._refused = ""
        self._cpu_seconds: float | None = None
        self._armed = Latch()
        self._thread = threading.Thread(
            target=self._run, name=f"pymilk-receiver-{stream.name}", daemon=True
        )
        tell_after_fork(self)
        try:
            start_thread(self._thread)
            self._armed.wait()
            warn_of_scheduling(self._refused)
        except StreamStorageError as error:  # there is no thread
            self.error = error
            self._wake()
            raise
        except BaseException:
            self.stop()
            raise

    @property
    def stream(self) -> Stream:
        """The stream that frames come from now."""
        return self._source.stream

    @property
    def new_files(self) -> int:
        """Times that the stream was replaced and followed."""
        return self._source.new_files

    @property
    def running(self) -> bool:
        """Whether the thread receives."""
        return not self._over and self._thread.is_alive()

    @property
    def cpu_seconds(self) -> float:
        """Processor time that the thread has used so far, in seconds."""
        if self._cpu_seconds is None:
            identity = self._thread.ident
            if identity is not None and self._thread.is_alive():
                try:
                    return time.clock_gettime(time.pthread_getcpuclockid(identity))
                except OSError:
                    pass  # it ended this very moment
        return self._cpu_seconds or 0.0

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end of the thread; returns whether it has ended."""
        limit = checked_timeout(timeout)
        if not self._over:
            join_thread(self._thread, limit)
        return not self.running

    def stop(self) -> None:
        """End the thread, and wait for its end (0.1 s at most)."""
        self._stopping = True
        self.reader.stop()
        thread = self._thread
        deadline = time.monotonic() + _PATIENCE
        while thread.is_alive() and thread is not threading.current_thread():
            join_thread(thread, 0.05)
            self.reader.stop()  # it may be a new one
            if time.monotonic() > deadline:
                break  # in a forked child the thread does not exist

    def _after_fork(self) -> None:
        over, self._over = self._over, True
        self._armed = Latch()
        self._armed.set()
        if not over:
            self.error = left_with_parent(self._what, self.stream.name)
        if self._finished is not None:
            self._finished()

    # -- the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._refused = schedule_thread(*self._scheduling)
            after = self._first()
            self._armed.set()
            while not self._stopping:
                try:
                    self._work(self.reader, after, self._source.missed)
                    return
                except StreamReplacedError as error:
                    if error.stream != self.stream.name:
                        raise  # the error belongs to the target of a relay
                    self._follow(after)
                    after = 0
        except BaseException as error:  # noqa: BLE001 (the owner raises it)
            self.error = error
        finally:
            self._cpu_seconds = time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID)
            self._wake()

    def _wake(self) -> None:
        """Let go of the reader, and let all go on that wait for this thread."""
        fault = do_all(self.reader.close, self._source.close)
        self.error = self.error or fault
        self._over = True
        self._armed.set()
        if self._finished is not None:
            self._finished()

    def _first(self) -> int:
        """Return the number of the frame before the first one."""
        counter = self.reader.arm()
        if self._source.missed is not None:
            return 0
        if self._begin.after is not None:
            return self._begin.after
        if self._begin.start == "oldest":
            cursor = self.stream.ring_cursor()
            if cursor is not None:
                cursor.begin("oldest")
                return cursor.last
        return counter if self._begin.start == "next" else max(0, counter - 1)

    def _follow(self, after: int) -> None:
        """Continue with the new file; unread frames of the old one are missed."""
        if self.reader.last != after:
            self._source.take_missed()  # reported with a frame that was received
        self._source.follow(
            None,
            begin=self._begin_new,
            missed=lambda old: frames_behind(old, self.reader.last),
            stopping=lambda: self._stopping,
        )

    def _begin_new(self, stream: Stream) -> None:
        self.reader.close()
        self.reader = stream.reader()
        tell("stream %r: its writer made it anew; the %s goes on", stream.name, self._what)
