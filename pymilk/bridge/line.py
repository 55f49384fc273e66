"""One stream of a sender: a thread that reads its frames in order, and sends them while somebody listens."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import threading
import time
from collections.abc import Callable

import numpy as np

from .._core import FLAG_NEW_FILE, Keyword, Stream
from .._types import Array
from ..errors import (
    BridgeError,
    StreamChangedError,
    StreamError,
    StreamTimeoutError,
)
from ..ring import Block, RingReader
from ..system.faults import words_of_fault
from ..system.latch import Latch
from ..system.threads import join_thread, start_thread
from ..times import now_ns
from .engine import Outlet
from .header import LOST_MOST, REPEATED, SKIPPED_MOST, TOGETHER_NBYTES, Epoch, Message, encode
from .options import Options
from .reports import LineReport
from .telling import NO_ROWS, epoch_of, slots_of, wire_rows, words_of

__all__ = ["Line"]

#: Frames that have come already go into one message, up to so many: it costs less.
_TOGETHER = 64

#: Seconds between two looks at what tells nothing: who listens, keywords, a stream that is not there yet.
_LOOK_SECONDS = 0.25

#: Seconds after which keywords are sent again although nothing changed.
_KEYWORDS_SECONDS = 1.0


class Line:
    """Send the frames of a stream.

    Parameters
    ----------
    name : str
        Of the stream, which need not be there yet. New files are followed, also with other frames.
    sender : int
        A number that no other sender has.
    open_outlet : callable
        Returns the outlet; gets a function to call when somebody begins or ceases to listen.
    options : Options
        What those who listen asked for.
    """

    def __init__(
        self,
        name: str,
        sender: int,
        open_outlet: Callable[[Callable[[], object]], Outlet],
        options: Options | None = None,
    ) -> None:
        self.name = name
        self.options = options or Options()
        self._sender = sender
        self._period = 1 / self.options.rate if self.options.rate else 0.0
        self._due = 0.0
        self._skipped = 0  # of the reader, before the frame that is sent next
        self._ending = False
        self._news = Latch()
        self._report = LineReport(stream=name, options=str(self.options))
        self._reader: RingReader | None = None
        self._missing = 0
        self._last: tuple[Epoch, int] | None = None  # the frame that was sent last
        self._place: Stream | None = None
        self._epoch = Epoch(b"", 0, 0, 0)
        self._words: list[Keyword] = []
        self._words_sent = -math.inf
        self._words_read = -math.inf
        self._cpu_seconds = 0.0
        self._outlet = open_outlet(self._news.set)
        self._thread = threading.Thread(target=self._run, name=f"pymilk-bridge-{name}", daemon=True)
        try:
            start_thread(self._thread)
        except BaseException:
            self._outlet.close()
            raise

    @property
    def report(self) -> LineReport:
        """What was sent so far."""
        report = self._report
        report.missing, report.wanted = self._missing, self._outlet.wanted
        return report

    @property
    def cpu_seconds(self) -> float:
        """Processor time of the thread, as of its last look."""
        return self._cpu_seconds

    def stop(self) -> None:
        """End the thread, without waiting for it."""
        self._ending = True
        self._news.set()
        reader = self._reader
        if reader is not None:
            reader.close()  # it ends a wait

    def close(self) -> None:
        """Stop it, wait for it, and close the outlet."""
        self.stop()
        join_thread(self._thread)
        self._outlet.close()

    # -- the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        start = "newest"
        while not self._ending:
            self._cpu_seconds = time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID)
            self._news.clear()
            try:
                if not self._outlet.wanted:
                    start, self._report.trouble = "newest", ""
                    self._news.wait(_LOOK_SECONDS)
                    continue
                policy = "newest" if self.options.decimated else "every"
                with RingReader(self.name, start=start, wait="sleep", policy=policy) as reader:
                    self._reader, self._skipped = reader, 0
                    self._report.trouble = ""
                    self._send_from(reader)
            except StreamChangedError:
                start = "first"  # what the new file had before is missing, and counted
                continue
            except BridgeError as error:
                self._report.trouble = str(error)
                return
            except StreamError as error:
                if self._ending:
                    return
                # Not there, not yet, damaged, or no memory for it: the next writer may mend it.
                self._report.trouble = str(error)
                self._news.wait(_LOOK_SECONDS)
            except MemoryError:
                self._report.trouble = "there is no memory for the frames"
                self._news.wait(_LOOK_SECONDS)
            # Also what is no Exception, as when the engine fails within itself: a thread that ends in silence
            # looks like a camera at rest.
            except BaseException as error:  # noqa: BLE001
                self._report.trouble = words_of_fault(error)
                self._news.wait(_LOOK_SECONDS)

    def _send_from(self, reader: RingReader) -> None:
        """Send until nobody listens."""
        self.options.kind_of(reader.shape, reader.dtype)
        frame_nbytes = math.prod(reader.shape) * reader.dtype.itemsize
        most = max(1, min(_TOGETHER, TOGETHER_NBYTES // frame_nbytes))
        self._place = None
        self._words_sent = self._words_read = -math.inf
        while not self._ending and self._outlet.wanted:
            words = self._changed_words(reader.stream)
            self._pause()
            try:
                block = next(reader.blocks(most, _LOOK_SECONDS))
            except StreamTimeoutError:
                if words is not None:
                    self._say(reader, words)
                if reader.stream.deleted and not os.path.exists(reader.stream.path):
                    self._report.trouble = "its file was deleted"
                continue
            self._report.trouble = ""
            for part in _of_one_file(block):
                self._send(reader, block, part, words)
                words = None

    def _send(self, reader: RingReader, block: Block, part: slice, words: list[Keyword] | None) -> None:
        """Send frames of one file; those that are overwritten before they are copied are missing."""
        first = self._place is None
        new_file = bool(block.info["flags"][part.start] & FLAG_NEW_FILE)
        if first or new_file:
            self._enter(reader.stream)
        rows = wire_rows(block.info[part])
        if self.options.decimated:
            self._leave_out(reader, rows)
        if first:
            self._resume(rows, new_file)
        frames = self.options.made_of(block.frames[part])
        if self.options.compress and self.options.bin == 1:
            frames = frames.copy()
        data = self._encoded(self._epoch, reader.stream, rows, frames, words)
        gone = min(max(0, block.overwritten - part.start), len(rows))
        if gone:
            # The copy of the others is whole, but they may be overwritten by now: take it from there.
            self._missing += gone + int(rows["lost"][:gone].sum())
            rows = rows[gone:]
            if not len(rows):
                return
            kept = frames[gone:]
            if not self.options.special:
                own = np.frombuffer(data, frames.dtype, kept.size, len(data) - kept.nbytes)
                kept = own.reshape(kept.shape)
            data = self._encoded(self._epoch, reader.stream, rows, kept, words)
        self._outlet.put(data)
        again = int(bool(rows["flags"][0] & REPEATED))
        self._report.sent += len(rows) - again
        self._report.repeated += again
        self._report.nbytes += len(data)
        self._missing += int(rows["lost"].sum())
        self._report.skipped += int(rows["skipped"].sum())
        self._last = (self._epoch, int(rows["cnt0"][-1]))

    def _enter(self, stream: Stream) -> None:
        """Take down which file it is that frames come from."""
        self._place = stream
        self._epoch = epoch_of(stream)

    def _resume(self, rows: Array, new_file: bool) -> None:
        """Count what was published while nobody listened, in front of the first rows of a reader."""
        last, number = self._last, int(rows["cnt0"][0])
        name, most = ("skipped", SKIPPED_MOST) if self.options.decimated else ("lost", LOST_MOST)
        if last is None or new_file:  # then the reader has counted
            return
        if last[0] != self._epoch:
            rows[name][0] = min(most, max(0, number - 1))
            rows["flags"][0] |= FLAG_NEW_FILE
        elif number == last[1]:
            rows[name][0] = 0
            rows["flags"][0] |= REPEATED
        elif number > last[1]:
            rows[name][0] = min(most, number - last[1] - 1)

    def _leave_out(self, reader: RingReader, rows: Array) -> None:
        """Count what is not sent as left out, however that came: the newest frame was asked for."""
        skipped = reader.report.skipped
        rows["skipped"] = np.minimum(rows["lost"] + max(0, skipped - self._skipped), SKIPPED_MOST)
        rows["lost"] = 0
        self._skipped = skipped

    def _pause(self) -> None:
        """Wait until the next frame is due."""
        while not self._ending and (left := self._due - time.monotonic()) > 0:
            self._news.clear()
            if not self._ending:
                self._news.wait(left)
        now = time.monotonic()
        self._due = (self._due if now - self._due < self._period else now) + self._period

    def _encoded(
        self, epoch: Epoch, stream: Stream, rows: Array, frames: Array, words: list[Keyword] | None
    ) -> bytes:
        report = self._report
        return encode(
            Message(
                epoch, self._sender, report.sent, self._missing, frames.shape[1:], frames.dtype,
                slots_of(stream), rows, words, frames, now_ns(), report.skipped,
            ),
            self.options.compress is not None,
        )  # fmt: skip

    def _say(self, reader: RingReader, words: list[Keyword]) -> None:
        """Send keywords alone."""
        epoch = self._epoch if self._place is not None else epoch_of(reader.stream)
        shape, dtype = self.options.kind_of(reader.shape, reader.dtype)
        data = self._encoded(epoch, reader.stream, NO_ROWS, np.zeros((0, *shape), dtype), words)
        self._outlet.put(data)
        self._report.nbytes += len(data)

    def _changed_words(self, stream: Stream) -> list[Keyword] | None:
        """Return the keywords if they have to be sent."""
        now = time.monotonic()
        if now - self._words_read < _LOOK_SECONDS:
            return None
        self._words_read = now
        self._cpu_seconds = time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID)
        with contextlib.suppress(StreamError):  # the reader says so
            words = words_of(stream)
            if words != self._words or now - self._words_sent >= _KEYWORDS_SECONDS:
                self._words, self._words_sent = words, now
                return words
        return None


def _of_one_file(block: Block) -> list[slice]:
    """Return the parts of a block that begin with a new file."""
    new = np.flatnonzero(block.info["flags"][1:] & FLAG_NEW_FILE) + 1
    bounds = [0, *new.tolist(), len(block)]
    return [slice(first, end) for first, end in itertools.pairwise(bounds)]
