"""`Latch`: what one thread sets and others wait for, and no signal can leave broken."""

from __future__ import annotations

import contextlib
import threading
import time

__all__ = ["Latch"]

#: Seconds between two looks for signals, which may have been delivered to another thread.
_SLICE_SECONDS = 0.05


class Latch:
    """A flag that one thread sets and others wait for.

    It is used like `threading.Event` and stands in its place. The lock within an event is taken by Python
    code: a signal whose handler raises at that instant, as Ctrl-C does, leaves it taken, and `set` of
    another thread never returns. A thread that waits again and again met that once in some thousand
    interrupts. A handler that sets an event for which its own thread waits can stand still likewise.

    Nothing is lost here, whatever is interrupted: `set` stores the flag before it opens the lock, and the
    flag alone decides.
    """

    def __init__(self) -> None:
        self._is_set = False
        # Taken while the flag is down: to wait for the flag is to wait for the lock.
        self._lock = threading.Lock()
        self._lock.acquire()

    def is_set(self) -> bool:
        """Tell whether it is set."""
        return self._is_set

    def set(self) -> None:
        """Set it, and wake all that wait."""
        self._is_set = True
        self._open()

    def clear(self) -> None:
        """Take it down again."""
        self._is_set = False
        self._lock.acquire(blocking=False)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, or a signal handler raises; returns whether it is set.

        Parameters
        ----------
        timeout : float, optional
            Seconds; None waits without limit.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._is_set:
            left = _SLICE_SECONDS if deadline is None else deadline - time.monotonic()
            if left <= 0:
                break
            if self._lock.acquire(timeout=min(left, _SLICE_SECONDS)) and self._is_set:
                self._open()  # for the next one that waits
        return self._is_set

    def _open(self) -> None:
        with contextlib.suppress(RuntimeError):  # it is open
            self._lock.release()
