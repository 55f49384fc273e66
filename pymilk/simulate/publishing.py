"""How a simulated camera publishes: each frame at its time, and faults where they were asked for."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable

from .._core import FrameFeed, Stream
from ..system.latch import Latch
from ..system.signals import held_signals
from ..system.threads import start_thread
from .faults import Faults, hits, next_hit
from .scenes import SceneFrames

__all__ = ["Publisher"]

#: Seconds that a torn frame takes: longer than readers wait for its writer.
_TORN = 0.06

#: Frames that are ready ahead of time, at most.
_AHEAD = 64


class Publisher:
    """Publishes frames of a scene into a stream, and makes the stream anew if it is asked to.

    Parameters
    ----------
    make : callable
        Makes the stream: ``make(False)`` at first, ``make(True)`` at each restart.
    frames : SceneFrames
    rate : float
        Frames per second; 0 is as fast as possible.
    limit : int
        Frames to publish in all.
    faults : Faults

    Attributes
    ----------
    stream : Stream
        The one in use.
    """

    def __init__(
        self, make: Callable[[bool], Stream], frames: SceneFrames, rate: float, limit: int, faults: Faults
    ) -> None:
        self._make = make
        self._frames = frames
        self._interval_ns = round(1e9 / rate) if rate > 0 else 0
        self._limit = limit
        self._faults = faults
        self._done = 0  # frames, those that are missing included
        self._due_ns = 0  # of the next frame, CLOCK_MONOTONIC
        self.stream = make(False)

    def run(self) -> None:
        """Publish all frames."""
        faults = self._faults
        if self._frames.cycle is not None and faults == Faults():
            self.stream.publish_many(self._frames.cycle, self._limit, interval_ns=self._interval_ns)
            return
        now = time.monotonic()
        dies = now + faults.die if faults.die else float("inf")
        restarts = now + faults.restart if faults.restart else float("inf")
        while self._done < self._limit:
            self._segment(min(dies, restarts))
            now = time.monotonic()
            if now >= dies:
                self._die()
            if now >= restarts:
                restarts += faults.restart
                with held_signals():  # the stream that is there is the one to delete at the end
                    old, self.stream = self.stream, self._make(True)
                old.close()
            elif self._done < self._limit:
                self._special()

    def destroy(self) -> None:
        """Delete the stream."""
        self.stream.destroy()

    def _segment(self, until: float) -> None:
        """Publish frames up to the next one that is special, or until a time of the monotonic clock."""
        first = self._done + 1
        special = [next_hit(each, first) for each in (self._faults.drop, self._faults.tear)]
        count = min([self._limit + 1, *filter(None, special)]) - first
        if not count:
            return
        stream = self.stream
        feed = FrameFeed(min(_AHEAD, count), stream.frame_shape, stream.dtype, self._interval_ns or None)
        over = Latch()
        faults: list[BaseException] = []

        def fill() -> None:
            try:
                self._fill(feed, count, until, over)
            except BaseException as error:  # noqa: BLE001 (raised below)
                faults.append(error)
                feed.stop()

        filler = threading.Thread(target=fill, name="pymilk-simulate", daemon=True)
        self._wait()
        start_thread(filler)
        try:
            stream.publish_feed(feed)
        finally:
            over.set()
            filler.join()
        for fault in faults:
            raise fault
        self._done += feed.done
        if feed.done:
            self._next(int(feed.dues[(feed.done - 1) % len(feed.dues)]))

    def _wait(self) -> None:
        """Sleep until the next frame is due."""
        time.sleep(max(0, self._due_ns - time.monotonic_ns()) / 1e9)

    def _next(self, due_ns: int) -> None:
        """Note when the last frame was due; one that is late by more than an interval delays the next."""
        now = time.monotonic_ns()
        self._due_ns = (due_ns if now - due_ns < self._interval_ns else now) + self._interval_ns

    def _fill(self, feed: FrameFeed, count: int, until: float, over: Latch) -> None:
        """Put frames into the feed; the stream's own numbers are those in the pixels of a ramp."""
        depth, given = len(feed.slots), 0
        number, first = self.stream.counter + 1, self._done + 1
        while given < count and time.monotonic() < until and not over.is_set():
            at = given % depth
            room = min(depth - at, depth - (given - feed.done), count - given)
            if room:
                frames = self._frames.take(number + given, room)
                feed.slots[at : at + len(frames)] = frames
                new = len(frames)
                feed.steps[at : at + new] = [self._step(first + given + k) for k in range(new)]
                feed.hand_over(new)
                given += new
            else:
                over.wait(min(0.002, self._interval_ns / 4e9))
        if given < count:
            while time.monotonic() < until and not over.is_set():
                over.wait(0.001)
            feed.stop()
        else:
            feed.end()

    def _step(self, number: int) -> int:
        """Return the nanoseconds from the frame before to this one."""
        late = self._faults.late
        return self._interval_ns + (hits(late, number) - hits(late, number - 1)) * (self._interval_ns // 2)

    def _special(self) -> None:
        """Publish a frame that is torn, or behind one that is missing."""
        faults, stream = self._faults, self.stream
        dropped = hits(faults.drop, self._done + 1) and self._done + 1 < self._limit
        if dropped:
            self._done += 1
            self._due_ns += self._interval_ns
        torn = hits(faults.tear, self._done + 1) and not dropped
        frame = self._frames.take(stream.counter + 1 + dropped, 1)[0]
        self._wait()
        claim = stream.claim(missed=int(dropped))
        with claim as pixels:
            if torn:
                half = -(-len(pixels) // 2)
                pixels[:half] = frame[:half]
                claim.count_early()
                time.sleep(_TORN)
            pixels[...] = frame
        self._done += 1
        self._next(self._due_ns)

    def _die(self) -> None:
        """End as a killed camera does, in the middle of a frame."""
        with self.stream.claim() as pixels:
            pixels[: len(pixels) // 2] = 0
            sys.stdout.flush()
            os.kill(os.getpid(), signal.SIGKILL)
