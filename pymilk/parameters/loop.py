"""The loop of a process: wait for a trigger, obey the control word, count and time each iteration.

One iteration, in this order: look at limit and control word; wait for the trigger, in slices, so that the
control word is obeyed meanwhile; note the trigger; note the start; the caller's code, whose frames get their
process trace as they are published; note the end and count.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from .._core import Stream
from ..arguments import shown
from ..errors import (
    ProcessInfoArgumentError,
    StreamNotFoundError,
    StreamNotReadyError,
    StreamReplacedError,
    StreamTimeoutError,
)
from ..native.checks import checked_timeout
from ..streams.waiting import WAIT_POLICIES
from .process_fields import nanoseconds
from .process_file import LoopRecord
from .process_layout import Control, TriggerMode
from .trace import stream_of
from .tracing import Tracing, output_stream

if TYPE_CHECKING:
    from .processinfo import ProcessInfo

__all__ = ["Loop"]

#: Longest wait between two looks at the control word, in seconds.
_SLICE = 0.1

#: Seconds between two looks for a stream that is being made again.
_SUCCESSOR_LOOK = 0.005

# As plain numbers, which are compared in a third of the time; the loop does that four times a frame.
_PAUSE, _STEP, _EXIT, _IDLE = int(Control.PAUSE), int(Control.STEP), int(Control.EXIT), int(Control.IDLE)

#: What the format stores for "no trigger stream".
_NO_STREAM: dict[str, Any] = {
    "triggerstreamname": " ",
    "triggerstreamID": -1,
    "triggerstreaminode": 0,
    "triggersem": 0,
}


class Trigger(Protocol):
    """What starts an iteration."""

    #: Number of the trigger that `take` took, and how many passed unseen before it.
    counter: int
    missed: int
    #: Set when the fields of the file have to be written anew.
    changed: bool

    def fields(self) -> dict[str, Any]:
        """Return what the file tells of the trigger, by the names of the fields in C."""

    def wait(self, seconds: float) -> bool:
        """Wait so long at most; tell whether there is a trigger. Takes nothing."""

    def take(self) -> Any:
        """Return what the iteration gets."""


class Frames:
    """Trigger by a new frame of a stream. An iteration gets the newest frame."""

    def __init__(self, source: Any, stream: Stream, copy: bool) -> None:
        self._source, self._copy = source, copy
        self.stream = stream
        self._seen = self.counter = stream.counter
        self.missed = 0
        self.changed = True

    def fields(self) -> dict[str, Any]:
        stream = self.stream
        semaphore = stream.sem_index
        return {
            "triggermode": TriggerMode.SEMAPHORE,
            "triggerstreamname": stream.name,
            # An index into a table of C programs; 0 only says that there is a stream.
            "triggerstreamID": 0,
            "triggerstreaminode": stream.inode,
            "triggersem": -1 if semaphore is None else semaphore,
        }

    def wait(self, seconds: float) -> bool:
        stream = self.stream
        if stream.counter != self._seen and not stream.replaced():
            return True
        try:
            stream.wait(seconds, after=self._seen, spin_ns=WAIT_POLICIES["auto"])
        except StreamTimeoutError:
            return False
        except StreamReplacedError:
            if self._source is stream:
                raise
            return self._follow(seconds)
        if self._source is stream:
            return True
        return stream is stream_of(self._source) or self._follow(seconds)

    def _follow(self, seconds: float) -> bool:
        """Go over to the new file of the stream; False if it is not there yet."""
        try:
            found = stream_of(self._source)
        except (StreamNotFoundError, StreamNotReadyError):
            time.sleep(min(seconds, _SUCCESSOR_LOOK))
            return False
        assert found is not None
        if found is not self.stream:
            # Every frame of the new file is new.
            self.stream, self._seen, self.changed = found, 0, True
        return self.stream.counter != self._seen

    def take(self) -> Any:
        stream = self.stream
        if self._source is stream:
            frame, _, counter = stream.read() if self._copy else (stream.view(), 0, stream.counter)
        else:
            frame = self._source.get_data(copy=self._copy)
            counter = stream.frame_counter if self._copy else stream.counter
        missed = counter - self._seen - 1
        self.missed = missed if missed > 0 else 0  # a third of the price of max()
        self._seen = self.counter = counter
        return frame


class Items:
    """Trigger by the next item of an iterable."""

    def __init__(self, source: Iterable[Any]) -> None:
        self._items = iter(source)
        self._held: list[Any] = []
        self.counter = self.missed = 0
        self.changed = True
        self.ended = False

    def fields(self) -> dict[str, Any]:
        return {**_NO_STREAM, "triggermode": TriggerMode.IMMEDIATE}

    def wait(self, seconds: float) -> bool:
        if not self._held and not self.ended:
            try:
                self._held.append(next(self._items))
            except StopIteration:
                self.ended = True
        return bool(self._held)

    def take(self) -> Any:
        self.counter += 1
        return self._held.pop()


class Clock:
    """Trigger by time: at once, or each `period` seconds from start to start."""

    def __init__(self, period: float | None) -> None:
        self._period = period
        self._due = time.monotonic()
        self.counter = self.missed = 0
        self.changed = True

    def fields(self) -> dict[str, Any]:
        if self._period is None:
            return {**_NO_STREAM, "triggermode": TriggerMode.IMMEDIATE}
        delay = round(self._period * 1e9)
        return {**_NO_STREAM, "triggermode": TriggerMode.DELAY, "triggerdelay": delay}

    def wait(self, seconds: float) -> bool:
        if self._period is None:
            return True
        left = self._due - time.monotonic()
        if left > 0:
            time.sleep(min(left, seconds))
        return left <= seconds

    def take(self) -> int:
        if self._period is not None:
            # Late by periods: those are missed, and the rhythm is kept.
            late = time.monotonic() - self._due
            self.missed = max(0, int(late / self._period))
            self._due += (self.missed + 1) * self._period
        self.counter += 1
        return self.counter - 1


def trigger_of(source: Any, period: float | None, copy: bool) -> Trigger:
    """Return the trigger for what the caller gave to `ProcessInfo.loop`."""
    if period is not None:
        nanoseconds("period", period)  # raises if it is not a time
        if source is not None:
            raise ProcessInfoArgumentError(
                "period goes without a source: with one, its frames are the rhythm",
                argument="period",
                found=period,
            )
    if source is None:
        return Clock(period)
    stream = stream_of(source)
    if stream is not None:
        return Frames(source, stream, copy)
    if isinstance(source, Iterable):
        return Items(source)
    raise ProcessInfoArgumentError(
        f"a loop takes an SHM, a Stream or an iterable, not {shown(source)}", argument="source", found=source
    )


class Loop:
    """One run of `ProcessInfo.loop`; its parameters are documented there."""

    def __init__(
        self,
        process: ProcessInfo,
        record: LoopRecord,
        source: Any,
        output: Any,
        timeout: float | None,
        period: float | None,
        copy: bool,
    ) -> None:
        self._process, self._record = process, record
        self._timeout = checked_timeout(timeout)
        self._trigger = trigger_of(source, period, copy)
        items = [] if output is None else list(output) if isinstance(output, Sequence) else [output]
        self._tracing: Tracing | None = None
        if isinstance(self._trigger, Frames):
            self._tracing = Tracing(self._trigger, items)
        elif items:
            raise self._no_source(items[0])

    def _no_source(self, item: Any) -> ProcessInfoArgumentError:
        return ProcessInfoArgumentError(
            "output needs a stream as source: the process trace tells which frame a result was made from",
            argument="output",
            found=item,
        )

    def run(self) -> Iterator[Any]:
        """Yield what each iteration gets."""
        process, record, trigger = self._process, self._record, self._trigger
        tracing = self._tracing
        process._begin_loop(self)
        if tracing is not None:
            tracing.begin_run()
        try:
            while not record.at_limit() and self._await():
                item = trigger.take()
                record.triggered(trigger.counter, trigger.missed)
                if late := record.begin():
                    process._exceeded("dtiter", late)
                if record.asked() == _IDLE:
                    pass
                elif tracing is None:
                    yield item
                else:
                    entered = tracing.enter(record.began_ns)
                    try:
                        yield item
                    finally:
                        tracing.leave(entered)
                    tracing.note_outputs()
                if late := record.end():
                    process._exceeded("dtexec", late)
        finally:
            if tracing is not None:
                tracing.end_run()
            process._end_loop()

    def _await(self) -> bool:
        """Wait until the loop may go on and the trigger is there; False if the loop has to end."""
        record, trigger = self._record, self._trigger
        asked = record.gate()
        if trigger.changed:
            self._describe()
        deadline = None if self._timeout is None else time.monotonic() + self._timeout
        record.waiting()
        while asked != _EXIT:
            left = _SLICE if deadline is None else min(_SLICE, max(0.0, deadline - time.monotonic()))
            there = trigger.wait(left)
            now = record.asked()
            # Paused during the wait: the frame is left, and the loop gets the one that is newest then.
            if there and now != _EXIT and (now != _PAUSE or asked == _STEP):
                if trigger.changed:
                    self._describe()
                return True
            if isinstance(trigger, Items) and trigger.ended:
                return False
            if not there and deadline is not None and time.monotonic() >= deadline:
                self._give_up()
            if asked != _STEP:
                paused = now == _PAUSE
                asked = record.gate()
                if paused and deadline is not None:
                    deadline = time.monotonic() + (self._timeout or 0.0)
            elif now == _EXIT:
                asked = now
        return False

    def _give_up(self) -> None:
        """Count a wait that ended without a frame, and raise."""
        self._record.timed_out()
        name = self._trigger.fields()["triggerstreamname"].strip()
        raise StreamTimeoutError(
            f"stream {name!r}: no new frame for process {self._process.name!r} within {self._timeout} s",
            stream=name or None,
            timeout=self._timeout,
            counter=self._trigger.counter,
        )

    def _describe(self) -> None:
        """Write what the file tells of the trigger."""
        put = self._process._put
        for name, value in self._trigger.fields().items():
            put(name, value)
        put("triggertimeout", round(min(self._timeout or 0.0, 9e9) * 1e9))
        self._trigger.changed = False

    def publish(self, item: Any, frame: Any) -> None:
        """Publish a frame of the loop with its process trace; see `ProcessInfo.publish`."""
        if self._tracing is None:
            raise self._no_source(item)
        stream = output_stream(item)
        with self._tracing.in_this_thread():
            if item is stream:
                stream.publish(frame)
            else:
                item.set_data(frame)
