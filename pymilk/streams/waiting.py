"""How receivers wait: by which policy, on which core, and for a stream that is being made again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol, TypeAlias, runtime_checkable

from .._core import PrivateRing, Reader, Stream
from ..arguments import check_choice
from ..errors import StreamDamagedError, StreamNotFoundError, StreamNotReadyError

__all__ = [
    "SUCCESSOR_WAIT",
    "WAIT_POLICIES",
    "Awaited",
    "CanBeAwaited",
    "Follower",
    "awaited",
    "frames_behind",
    "spin_of",
]

#: What each wait policy means to the core (`spin_ns`). A sleeping reader is woken some 10 to 20 us after the
#: frame; one that spins sees it at once and uses a core. "auto" does both: it learns the rhythm of the
#: stream, sleeps until the next frame is due, and spins only then. Streams faster than 25 kHz it watches all
#: the time, irregular ones never.
WAIT_POLICIES = {"auto": -2, "spin": -1, "sleep": 0}

#: Seconds that a stream which is being made again has to become complete. Longer waits are cut into such
#: slices, between which a stop is noticed.
SUCCESSOR_WAIT = 0.1


def spin_of(wait: str) -> int:
    """Return the nanoseconds to spin for a wait policy, or raise `StreamArgumentError`."""
    check_choice("wait", wait, tuple(WAIT_POLICIES))
    return WAIT_POLICIES[wait]


#: What `pymilk.wait_any` waits for: a source of wake-ups, the number of the last frame known, a function
#: that tells whether a frame is there.
Awaited: TypeAlias = tuple[Reader | PrivateRing, int, Callable[[], bool]]


@runtime_checkable
class CanBeAwaited(Protocol):
    """An object that `pymilk.wait_any` can wait for."""

    def _awaited(self) -> Awaited: ...


def awaited(item: CanBeAwaited) -> Awaited:
    """Return what an item says it has to be waited for by; to be asked again after each wake-up."""
    return item._awaited()


class Follower:
    """A stream that is followed to the files that take its place, and what was missed on the way.

    A writer that starts again makes a new file under the same name. A reader goes over to that one; frames
    that the old file still had, and that nobody received, are missed.

    Parameters
    ----------
    stream : Stream
    owned : bool, default False
        Close the stream when it is left, and at the end. Streams that took its place are always closed.
    keep : bool, default False
        Never close a stream that is left: other threads may wait in it, and follow by themselves.
    any_frames : bool, default False
        Follow also to a file with frames of another shape or dtype.
    missed : int, optional
        Frames of an earlier file that were missed.

    Attributes
    ----------
    stream : Stream
        The present one.
    new_files : int
        Times that it was replaced and followed.
    missed : int or None
        Frames of older files that were missed; None where nothing is to be told: there was no older file, or
        a frame was received since, whose row tells it.
    """

    def __init__(
        self,
        stream: Stream,
        *,
        owned: bool = False,
        keep: bool = False,
        any_frames: bool = False,
        missed: int | None = None,
    ) -> None:
        self.stream = stream
        self.new_files = 0
        self.missed = missed
        self._owned = owned
        self._keep = keep
        self._any_frames = any_frames

    def follow(
        self,
        timeout: float | None = 0.0,
        *,
        begin: Callable[[Stream], object],
        missed: Callable[[Stream], int] | None = None,
        stopping: Callable[[], bool] | None = None,
    ) -> bool:
        """Go over to the stream that takes the place of this one.

        Parameters
        ----------
        timeout : float or None
            Seconds to wait for it; None waits for ever.
        begin : callable
            Called with the new stream, before the old one is closed. If it raises, the old stream stays.
        missed : callable, optional
            Counts the frames that the old stream had and nobody received; it is called with that.
        stopping : callable, optional
            Asked about every 0.1 s; true ends the wait.

        Returns
        -------
        bool
            False if it was stopped.

        Raises
        ------
        StreamNotFoundError, StreamNotReadyError
            The new stream did not come in time.
        StreamChangedError, StreamFormatError
            See `Stream.successor`.
        """
        old = self.stream
        new = self._successor(timeout, stopping or _never)
        if new is None:
            return False
        try:
            count = None if missed is None else missed(old)
            begin(new)
        except BaseException:
            new.close()
            raise
        missing = self.missed if count is None else (self.missed or 0) + count
        left = old if self._owned and not self._keep else None
        # Nothing is called between these, so no signal handler comes in between.
        self.stream = new
        self.missed = missing
        self._owned = True
        self.new_files += 1
        if left is not None:
            left.close()
        return True

    def _successor(self, timeout: float | None, stopping: Callable[[], bool]) -> Stream | None:
        if self._any_frames:
            return Stream.attach(self.stream.path, writable=self.stream.writable)
        deadline = None if timeout is None else time.monotonic() + timeout
        while not stopping():
            left = SUCCESSOR_WAIT if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                return self.stream.successor(min(left, SUCCESSOR_WAIT))
            except (StreamNotFoundError, StreamNotReadyError):
                if deadline is not None and time.monotonic() >= deadline:
                    raise
        return None

    def take_missed(self) -> int | None:
        """Return `missed`, which is told by what is done with it."""
        missed, self.missed = self.missed, None
        return missed

    def close(self) -> None:
        """Close the stream, unless it is the one that was given and is not owned."""
        if self._owned:
            self.stream.close()


def _never() -> bool:
    return False


def frames_behind(stream: Stream, last: int) -> int:
    """Count the frames that a stream still had behind number `last`; 0 if it was damaged and cannot tell."""
    try:
        return max(0, stream.counter - last)
    except StreamDamagedError:
        return 0
