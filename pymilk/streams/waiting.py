"""How receivers wait: by which policy, on which core, and for a stream that is being made again."""

from __future__ import annotations

import time
from collections.abc import Callable

from .._core import Stream
from ..errors import StreamArgumentError, StreamDamagedError, StreamNotFoundError, StreamNotReadyError

__all__ = ["WAIT_POLICIES", "find_successor", "frames_behind", "spin_of"]

#: What each wait policy means to the core (`spin_ns`). A sleeping reader is woken some 10 to 20 us after the
#: frame; one that spins sees it at once and uses a core. "auto" does both: it learns the rhythm of the
#: stream, sleeps until the next frame is due, and spins only then. Streams faster than 25 kHz it watches all
#: the time, irregular ones never.
WAIT_POLICIES = {"auto": -2, "spin": -1, "sleep": 0}

#: How often it is looked whether to stop while a stream is being made again, in seconds.
_SUCCESSOR_WAIT = 0.1


def spin_of(wait: str) -> int:
    """Return the nanoseconds to spin for a wait policy, or raise `StreamArgumentError`."""
    try:
        return WAIT_POLICIES[wait]
    except (KeyError, TypeError):
        raise StreamArgumentError(
            f"wait is one of {', '.join(map(repr, WAIT_POLICIES))}, not {wait!r}",
            argument="wait",
            found=wait,
        ) from None


def find_successor(
    stream: Stream, timeout: float | None, stopping: Callable[[], bool]
) -> Stream | None:
    """Wait for the stream that takes the place of this one.

    Parameters
    ----------
    stream : Stream
    timeout : float or None
        Seconds; None waits for ever.
    stopping : callable
        Asked about every 0.1 s; true ends the wait.

    Returns
    -------
    Stream or None
        None if it was stopped.

    Raises
    ------
    StreamNotFoundError, StreamNotReadyError
        It did not come in time.
    StreamChangedError, StreamFormatError
        See `Stream.successor`.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    while not stopping():
        try:
            left = (
                _SUCCESSOR_WAIT if deadline is None else max(0.0, deadline - time.monotonic())
            )
            return stream.successor(min(left, _SUCCESSOR_WAIT))
        except (StreamNotFoundError, StreamNotReadyError):
            if deadline is not None and time.monotonic() >= deadline:
                raise
    return None


def frames_behind(stream: Stream, last: int) -> int:
    """Count the frames that a stream still had behind number `last`; 0 if it was damaged and cannot tell."""
    try:
        return max(0, stream.counter - last)
    except StreamDamagedError:
        return 0
