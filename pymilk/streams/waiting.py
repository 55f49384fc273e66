"""How readers wait: wait policies, following replaced streams, waiting for any of several."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol, TypeAlias, runtime_checkable

from .._core import Bell, PrivateRing, Reader, Stream
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

#: A counter that is further ahead was set by another program.
_SET_FRAMES = 1_000_000_000

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
#: that tells whether a frame is there. The source of a channel is a `Bell`, made by `bell_in_file` of
#: native/bell.pxd from three words of its file: the futex that rings with each record, a count that has
#: changed before, and a mark that nothing comes any more. The number is the value of the count up to which
#: all was read.
Awaited: TypeAlias = tuple[Reader | PrivateRing | Bell, int, Callable[[], bool]]


@runtime_checkable
class CanBeAwaited(Protocol):
    """An object that `pymilk.wait_any` can wait for."""

    def _awaited(self) -> Awaited:
        """Return what to wait for now. Raises what its own wait would raise if nothing can come any more."""
        ...


def awaited(item: CanBeAwaited) -> Awaited:
    """Return what to wait for to wait for an item; ask again after each wake-up."""
    return item._awaited()


class Follower:
    """Follow a stream to the files that replace it, and count the frames missed on the way.

    A writer that restarts makes a new file of the same name. The reader continues with that one; unread
    frames of the old file are missed.

    Parameters
    ----------
    stream : Stream
    owned : bool, default False
        Close the stream when it is left, and at the end. Streams that replaced it are always closed.
    keep : bool, default False
        Never close a stream that is left: other threads may still wait in it.
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
        Missed frames that no row reports yet; None if there are none.
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
        """Wait for the file that replaced this one, and continue with it.

        Parameters
        ----------
        timeout : float or None
            Seconds to wait for it; None waits without limit.
        begin : callable
            Called with the new stream, before the old one is closed. If it raises, the old stream stays.
        missed : callable, optional
            Called with the old stream: returns how many of its frames were not received.
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
        """Return `missed` and reset it: the caller reports it."""
        missed, self.missed = self.missed, None
        return missed

    def close(self) -> None:
        """Close the stream, unless it belongs to the caller."""
        if self._owned:
            self.stream.close()


def _never() -> bool:
    return False


def frames_behind(stream: Stream, last: int) -> int:
    """Return how many frames a stream published after number `last`; 0 if it is damaged."""
    try:
        lost = max(0, stream.counter - last)
        return 0 if lost > _SET_FRAMES else lost
    except StreamDamagedError:
        return 0
