"""A thread that does one thing again and again, and can be paused."""

from __future__ import annotations

import logging
import sys
import threading
import weakref
from collections.abc import Callable
from typing import TypeVar

from ..arguments import check_number
from ..errors import StreamClosedError

__all__ = ["ThreadHandler"]

_log = logging.getLogger("pymilk")

_Self = TypeVar("_Self", bound="ThreadHandler")


class _Orders:
    """What the thread is to do. It knows no handler, so that the thread keeps none alive."""

    def __init__(self) -> None:
        # Reentrant: the garbage collector may end a handler in a thread that is just holding it.
        self.changed = threading.Condition(threading.RLock())
        self.running = False
        self.ended = False

    def end(self) -> None:
        """Make the thread end after the call that it is in."""
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def owner_gone(self, _: object, _ends: Callable[[], bool] = sys.is_finalizing) -> None:
        """End, called when the handler is gone: in any thread, and in the middle of anything it does."""
        # A daemon thread may have been stopped for good while it held the lock.
        if not _ends():
            self.end()


class ThreadHandler:
    """Calls `threadCall`, which a subclass has to define, back to back in a thread of its own.

    The thread starts with the object, and starts paused.

    Parameters
    ----------
    sleep_ms : float, default 10
        Milliseconds, 1 at least, between two looks whether the interpreter is about to exit; only while
        paused, and with `daemonize` false. Pausing and going on take no polling.
    daemonize : bool, default True
        True: the interpreter exits without regard to the thread. False: it first lets the call that is under
        way end; the thread ends then.
    re_raise_exceptions : bool, default True
        Any exception in `threadCall` pauses the thread and is kept in `exception_to_raise`. True: the next
        `threadPause`, `threadRun` or `close` raises it. False: it is logged, by the logger "pymilk".

    Attributes
    ----------
    thread : threading.Thread
    exception_to_raise : BaseException or None
        What `threadCall` raised and nobody was told of yet.

    Notes
    -----
    The thread ends with `close`, at the end of a ``with`` block, or when the object is gone. An object with
    an exception in `exception_to_raise` is part of a reference cycle: without `close` it is gone when the
    garbage collector comes by.

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
        thread.start()
        self.thread = thread

    def threadCall(self) -> None:
        """Do the work once; to be defined by a subclass."""
        raise NotImplementedError("ThreadHandler.threadCall: This method must be overloaded.")

    def threadRun(self) -> None:
        """Call `threadCall` back to back from now on.

        Raises
        ------
        StreamClosedError
            The handler is closed.
        BaseException
            What the last `threadCall` raised; the thread stays paused then. Call again to go on.
        """
        with self._orders.changed:
            self._raise_kept()
            if self._orders.ended:
                raise StreamClosedError("the ThreadHandler is closed; make a new one")
            self._orders.running = True
            self._orders.changed.notify_all()

    def threadPause(self) -> None:
        """Begin no further `threadCall`; one that is under way goes on to its end.

        Raises
        ------
        BaseException
            What the last `threadCall` raised.
        """
        with self._orders.changed:
            self._orders.running = False
            self._raise_kept()

    def close(self) -> None:
        """End the thread, and wait until it has. Does nothing the second time.

        Raises
        ------
        BaseException
            What the last `threadCall` raised. The thread has ended all the same.
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
        # An exception of the block is the cause of what comes, and not to be hidden by a later one.
        if kind is None:
            self.close()
        else:
            self._end()

    def __del__(self, _ends: Callable[[], bool] = sys.is_finalizing) -> None:
        # The thread is in no call, since that would hold the object; it ends by itself.
        if self.exception_to_raise is not None and self._re_raise and not _ends():
            _report(self.exception_to_raise)


def _report(error: BaseException) -> None:
    _log.error("exception in ThreadHandler.threadCall", exc_info=error)


def _work(owner: weakref.ref[ThreadHandler], orders: _Orders, look_every: float | None) -> None:
    """Body of the thread; `look_every` in seconds, or None where the interpreter does not wait for it."""
    while True:
        with orders.changed:
            while not (orders.running or orders.ended or _exiting(look_every)):
                orders.changed.wait(look_every)
            if orders.ended or _exiting(look_every):
                return
        _call(owner)


def _exiting(look_every: float | None) -> bool:
    return look_every is not None and not threading.main_thread().is_alive()


def _call(owner: weakref.ref[ThreadHandler]) -> None:
    """Call once, if there is still somebody to call; here, so that nothing holds the handler afterwards."""
    handler = owner()
    if handler is None:
        return
    try:
        handler.threadCall()
    except BaseException as error:  # noqa: BLE001 (handed to the thread that waits for it)
        with handler._orders.changed:
            handler._orders.running = False
            handler.exception_to_raise = error
        if not handler._re_raise:
            _report(error)
