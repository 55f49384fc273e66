"""A thread that does one thing again and again, and can be paused."""

from __future__ import annotations

import logging
import os
import sys
import threading
import weakref
from collections.abc import Callable
from typing import TypeVar

from ..arguments import check_number
from ..errors import StreamClosedError, StreamForkedError
from ..system.forks import tell_after_fork
from ..system.threads import start_thread

__all__ = ["ThreadHandler"]

_log = logging.getLogger("pymilk")

_Self = TypeVar("_Self", bound="ThreadHandler")


class _Orders:
    """Orders for the thread. Without a reference to the handler, which the thread would keep alive."""

    def __init__(self) -> None:
        # Reentrant: the garbage collector may end a handler in a thread that holds the lock. It is taken
        # itself, not through the condition: Ctrl-C within the Python code of that would leave it taken.
        self.running = False
        self.ended = False
        self.parent = 0  # the process that has the thread, if it has forked this one
        self.new_lock()

    def new_lock(self) -> None:
        """Make the lock, free."""
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)

    def end(self) -> None:
        """Tell the thread to end after its present call."""
        with self.lock:
            self.ended = True
            self.changed.notify_all()

    def owner_gone(self, _: object, _ends: Callable[[], bool] = sys.is_finalizing) -> None:
        """End the thread; called when the handler is gone, in any thread and at any point."""
        # At exit a daemon thread may have been stopped while it held the lock.
        if not _ends():
            self.end()


class ThreadHandler:
    """Calls `threadCall`, which a subclass defines, repeatedly in a thread of its own.

    The thread starts with the object, and starts paused.

    Parameters
    ----------
    sleep_ms : float, default 10
        Milliseconds, 1 at least, between two checks whether the interpreter exits; only while paused, and
        with `daemonize` false. Pausing and resuming do not poll.
    daemonize : bool, default True
        True: the interpreter exits without waiting for the thread. False: it waits for the end of the present
        call, after which the thread ends.
    re_raise_exceptions : bool, default True
        Any exception in `threadCall` pauses the thread and is kept in `exception_to_raise`. True: the next
        `threadPause`, `threadRun` or `close` raises it. False: it is logged, by the logger "pymilk".

    Attributes
    ----------
    thread : threading.Thread
    exception_to_raise : BaseException or None
        Exception of `threadCall` that was not raised yet.

    Notes
    -----
    The thread ends with `close`, at the end of a ``with`` block, or with the object. An object with an
    exception in `exception_to_raise` is part of a reference cycle: without `close` it stays until the garbage
    collector runs.

    Examples
    --------
    >>> class Counter(ThreadHandler):
    ...     count = 0
    ...
    ...     def threadCall(self):
    ...         self.count += 1
    ...         self.threadPause()
    >>> with Counter() as counter:
    ...     counter.threadRun()
    """

    exception_to_raise: BaseException | None = None

    def __init__(
        self, sleep_ms: float = 10, daemonize: bool = True, *, re_raise_exceptions: bool = True
    ) -> None:
        check_number("sleep_ms", sleep_ms, "milliseconds, 0 to 1e9", 0.0, 1e9)
        self._orders = _Orders()
        self._re_raise = re_raise_exceptions
        thread = threading.Thread(
            target=_work,
            args=(
                weakref.ref(self, self._orders.owner_gone),
                self._orders,
                None if daemonize else max(sleep_ms, 1) / 1000,
            ),
            name=type(self).__name__,
            daemon=bool(daemonize),
        )
        start_thread(thread)
        self.thread = thread
        tell_after_fork(self)

    def _after_fork(self) -> None:
        # The thread stayed with the parent, and perhaps it had the lock.
        orders = self._orders
        orders.new_lock()
        if not orders.ended:
            orders.ended, orders.parent = True, os.getppid()

    def threadCall(self) -> None:
        """Do the work once; subclasses define it."""
        raise NotImplementedError("ThreadHandler.threadCall: This method must be overloaded.")

    def threadRun(self) -> None:
        """Call `threadCall` repeatedly from now on.

        Raises
        ------
        StreamClosedError
            The handler is closed.
        StreamForkedError
            Its thread stayed with the process that forked this one.
        BaseException
            The exception of the last `threadCall`; the thread stays paused. Call again to continue.
        """
        with self._orders.lock:
            self._raise_kept()
            if self._orders.parent:
                parent = self._orders.parent
                raise StreamForkedError(
                    f"this ThreadHandler goes on in process {parent}, which forked this one; threads are not "
                    "copied. Make a new one here, or begin it after the fork",
                    pid=parent,
                )
            if self._orders.ended:
                raise StreamClosedError("the ThreadHandler is closed; make a new one")
            self._orders.running = True
            self._orders.changed.notify_all()

    def threadPause(self) -> None:
        """Begin no further `threadCall`; the present one continues to its end.

        Raises
        ------
        BaseException
            The exception of the last `threadCall`.
        """
        with self._orders.lock:
            self._orders.running = False
            self._raise_kept()

    def close(self) -> None:
        """End the thread, and wait for its end. A second call does nothing.

        Raises
        ------
        BaseException
            The exception of the last `threadCall`. The thread has ended nevertheless.
        """
        self._end()
        self._raise_kept()

    def _end(self) -> None:
        self._orders.end()
        if self.thread is not threading.current_thread():
            self.thread.join()

    def _raise_kept(self) -> None:
        if self._re_raise and self.exception_to_raise is not None:
            kept, self.exception_to_raise = self.exception_to_raise, None
            try:
                raise kept
            finally:
                del kept  # its traceback has this frame: a reference cycle otherwise

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        # An exception of the block must not be hidden by a later one.
        if kind is None:
            self.close()
        else:
            self._end()

    def __del__(self, _ends: Callable[[], bool] = sys.is_finalizing) -> None:
        # The thread is not in a call, which would keep the object alive; it ends by itself.
        if self.exception_to_raise is not None and self._re_raise and not _ends():
            _report(self.exception_to_raise)


def _report(error: BaseException) -> None:
    _log.error("exception in ThreadHandler.threadCall", exc_info=error)


def _work(owner: weakref.ref[ThreadHandler], orders: _Orders, look_every: float | None) -> None:
    """Body of the thread; `look_every` in seconds, or None if the interpreter does not wait for it."""
    while True:
        with orders.lock:
            while not (orders.running or orders.ended or _exiting(look_every)):
                orders.changed.wait(look_every)
            if orders.ended or _exiting(look_every):
                return
        _call(owner)


def _exiting(look_every: float | None) -> bool:
    return look_every is not None and not threading.main_thread().is_alive()


def _call(owner: weakref.ref[ThreadHandler]) -> None:
    """Call once if the handler still exists; in a function, so that no reference to it remains."""
    handler = owner()
    if handler is None:
        return
    try:
        handler.threadCall()
    except BaseException as error:  # noqa: BLE001 (handed to the thread that waits for it)
        with handler._orders.lock:
            handler._orders.running = False
            handler.exception_to_raise = error
        if not handler._re_raise:
            _report(error)
