"""Signals that wait for the end of a step, as that which makes a file and notes who deletes it."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, TypeVar

__all__ = ["ENDS", "held_signals", "unbroken"]

#: What `signal.getsignal` returns.
_Handler = Callable[[int, FrameType | None], Any] | int | signal.Handlers

#: Signals that end a process, as users send them.
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

#: Signals whose handlers raise in some programs, as timeouts do. Their default action is left alone.
_OTHERS = (
    signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2,
)  # fmt: skip

#: Seconds that signals wait at most: one that comes later acts at once, so that no step that hangs, as on a
#: disk that does not answer, keeps a user from ending it.
_LONGEST_SECONDS = 5.0

_T = TypeVar("_T")


class _Held:
    """Handlers that note their signals as long as they are held, and hand them on from then on."""

    def __init__(self) -> None:
        self.holding = True
        self.gave_up = False  # whether a signal acted within the block, because it came so late
        self._until = time.monotonic() + _LONGEST_SECONDS
        self._before: dict[int, _Handler] = {}
        # Several of a kind count once, as those that are pending.
        self._noted: dict[int, FrameType | None] = {}

    def take(self) -> None:
        """Stand in for the handlers of Python, and for the default action."""
        for number in (*ENDS, *_OTHERS):
            handler = signal.getsignal(number)
            # An ignored signal stays so; the handler of another language (None) cannot be put back.
            if callable(handler) or (handler == signal.SIG_DFL and number in ENDS):
                self._before[number] = handler
                signal.signal(number, self._arrived)

    def give_back(self) -> None:
        """Let the handlers from before act again, first of all upon what came meanwhile."""
        self.holding = False
        for number, handler in self._before.items():
            signal.signal(number, handler)  # an interrupt here leaves handlers of ours, which hand on
        self._hand_on()

    def _hand_on(self) -> None:
        """Let what came act; each of them, whatever the others raise."""
        if self._noted:
            number = next(iter(self._noted))
            frame = self._noted.pop(number)
            try:
                self._act(number, frame)
            finally:
                self._hand_on()

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        if self.holding and time.monotonic() < self._until:
            self._noted[number] = frame
        else:
            self.gave_up = self.gave_up or self.holding
            self._act(number, frame)

    def _act(self, number: int, frame: FrameType | None) -> None:
        """Do what the handler from before does.

        The signal is not sent once more: who hears of signals by a file descriptor, as asyncio, knows of it.
        """
        handler = self._before[number]
        if callable(handler):
            handler(number, frame)
        else:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)


@contextlib.contextmanager
def held_signals() -> Iterator[_Held]:
    """Let SIGINT, SIGTERM and SIGHUP wait until the end of a block; their handlers act behind it.

    So do others that have a handler of Python, which may raise, as that of SIGALRM. One that comes after five
    seconds in the block does not wait.

    A mask of the thread would not do: the system gives the signal of a process to any thread that does not
    block it, as those that NumPy's libraries start, and Python runs its handler in the main thread all the
    same. In other threads the block runs as it is: Python never runs handlers there.
    """
    held = _Held()
    if threading.current_thread() is not threading.main_thread():
        yield held
        return
    try:
        held.take()
        yield held
    finally:
        held.give_back()


def unbroken(step: Callable[[], _T]) -> _T:
    """Do a step that no signal may tear apart, as one that deletes what an object has made.

    Signals act behind it. One that comes just before they are held raises first: then the step is done all
    the same, as it is once more after any other exception, but for that of a signal that waited no longer.

    Parameters
    ----------
    step : callable
        It has nothing to do the second time.
    """
    held: _Held | None = None
    try:
        with held_signals() as held:
            return step()
    except BaseException:
        if held is None or not held.gave_up:
            with held_signals():
                step()
        raise
