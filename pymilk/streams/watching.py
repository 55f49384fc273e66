"""Waiting beside other work: one thread of this process waits for all that asked, and tells each once.

It feeds descriptors for select, epoll and the loops of graphical interfaces, and wakes tasks of asyncio. It
sleeps without the GIL; it begins with the first one that asks, and ends some time after the last, or with the
interpreter.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from .._core import Bell, PrivateRing, Reader, checked_timeout, wait_for_any
from ..errors import ChannelTimeoutError, StreamError
from ..system.ending import close_at_exit
from ..system.eventfds import new_eventfd
from ..system.forks import tell_after_fork
from ..system.journal import warn
from ..system.threads import join_thread, start_thread
from .waiting import Awaited

__all__ = ["Descriptor", "read_later"]

_T = TypeVar("_T")

Source: TypeAlias = Reader | PrivateRing | Bell

#: Seconds that the thread goes on without anything to wait for.
_LINGER = 0.1

#: Longest sleep of a task, in seconds: files that are gone are noticed between two of them.
_SLICE = 0.5


class Watch:
    """One thing that the thread waits for, and whom it calls then. Compared by identity."""

    __slots__ = ("call", "number", "source")

    def __init__(self, source: Source, number: int, call: Callable[[], object]) -> None:
        self.source, self.number, self.call = source, number, call


class Watcher:
    """The thread and what it waits for."""

    def __init__(self) -> None:
        self._begin()
        tell_after_fork(self)
        close_at_exit(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._bell = Bell()
        self._watches: list[Watch] = []
        self._thread: threading.Thread | None = None
        self._closed = False

    def _after_fork(self) -> None:
        # The thread stayed with the parent, and so did those who asked it.
        self._begin()

    def add(self, source: Source, number: int, call: Callable[[], object]) -> Watch:
        """Wait for what comes after `number`; call once, in the thread, when it is there or never comes."""
        watch = Watch(source, number, call)
        with self._lock:
            if self._thread is None and not self._closed:
                thread = threading.Thread(target=self._run, name="pymilk-watcher", daemon=True)
                start_thread(thread)
                self._thread = thread
            self._watches.append(watch)
        self._bell.ring()
        return watch

    def discard(self, watch: Watch) -> None:
        """Do not call any more. A call that has begun goes on."""
        with self._lock, contextlib.suppress(ValueError):
            self._watches.remove(watch)

    def close(self) -> None:
        """End the thread."""
        with self._lock:
            self._closed, thread = True, self._thread
        self._bell.ring()
        if thread is not None:
            join_thread(thread)

    def _run(self) -> None:
        try:
            self._serve()
        except BaseException as error:  # noqa: BLE001 (nobody looks at this thread)
            with self._lock:
                left, self._thread = list(self._watches), None  # whoever asks next begins a new one
            warn("waiting for channels failed, and all who wait look for themselves: %r", error)
            time.sleep(_LINGER)  # it may fail again
            for watch in left:
                self._tell(watch)

    def _serve(self) -> None:
        while True:
            with self._lock:
                known = self._bell.counted
                groups: dict[int, list[Watch]] = {}
                for watch in self._watches:  # a reader can be waited for once at a time
                    groups.setdefault(id(watch.source), []).append(watch)
                if self._closed:
                    return
            # The oldest of a group knows least: if it has nothing new, none has.
            waiting = [group[0] for group in groups.values()]
            for watch in self._wait(known, waiting):
                for each in groups[id(watch.source)]:
                    self._tell(each)
            with self._lock:
                if not groups and not self._watches and self._bell.counted == known:
                    self._thread = None
                    return

    def _wait(self, known: int, waiting: list[Watch]) -> list[Watch]:
        """Return those that have something new; those that cannot be waited for have, too."""
        sources = [(watch.source, watch.number) for watch in waiting]
        try:
            found = wait_for_any([(self._bell, known), *sources], None if sources else _LINGER)
            return [waiting[index - 1] for index in found if index]
        except StreamError:
            return [watch for watch in waiting if _has_news(watch)]

    def _tell(self, watch: Watch) -> None:
        with self._lock:
            if watch not in self._watches:
                return
            self._watches.remove(watch)
        try:
            watch.call()
        except (OSError, RuntimeError):
            pass  # the descriptor or the loop was closed meanwhile
        except Exception as error:  # noqa: BLE001 (the others wait on)
            warn("somebody who waits for a channel could not be told: %r", error)


def _has_news(watch: Watch) -> bool:
    try:
        return bool(wait_for_any([(watch.source, watch.number)], 0))
    except StreamError:
        return True


_watcher = Watcher()


class Descriptor:
    """An eventfd that is readable while a channel may have something to read.

    Parameters
    ----------
    ask : bound method
        `_awaited` of the channel, to which no reference is kept.

    Notes
    -----
    It may be readable without anything to read; what is read then is a timeout, after which it is not.
    """

    def __init__(self, ask: Callable[[], Awaited]) -> None:
        self._ask = weakref.WeakMethod(ask)
        self._lock = threading.Lock()
        self._fd = new_eventfd(0, "this channel")
        self._readable = False
        self._watch: Watch | None = None
        tell_after_fork(self)
        self.update()

    def _after_fork(self) -> None:
        # The parent has the same file behind its descriptor.
        self._lock, self._watch = threading.Lock(), None
        self.close()

    def fileno(self) -> int:
        """Return the descriptor; -1 once it is closed."""
        return self._fd

    def update(self) -> None:
        """Look whether there is something to read: to be called after each read."""
        awaited: Awaited | None = None
        ask = self._ask()
        with contextlib.suppress(StreamError):  # it is told who reads
            found = ask() if ask is not None else None
            if found is not None and not found[2]():
                awaited = found
        me = weakref.ref(self)
        with self._lock:
            if self._watch is not None:
                _watcher.discard(self._watch)
                self._watch = None
            if self._fd < 0:
                return
            if awaited is None:
                self._set()
                return
            if self._readable:
                self._readable = False  # before: an exception of a signal handler can come behind a call
                os.eventfd_read(self._fd)
            self._watch = _watcher.add(awaited[0], awaited[1], lambda: _rung(me))

    def ring(self) -> None:
        """Make it readable."""
        with self._lock:
            if self._fd >= 0:
                self._set()

    def _set(self) -> None:
        if not self._readable:
            self._readable = True
            os.eventfd_write(self._fd, 1)

    def close(self) -> None:
        """Close it. Whoever waits for it has to be told before."""
        with self._lock:
            watch, self._watch = self._watch, None
            fd, self._fd = self._fd, -1
        if watch is not None:
            _watcher.discard(watch)
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        if getattr(self, "_fd", -1) >= 0:
            os.close(self._fd)


def _rung(reference: weakref.ref[Descriptor]) -> None:
    descriptor = reference()
    if descriptor is not None:
        descriptor.ring()


async def read_later(
    read: Callable[[], _T], ask: Callable[[], Awaited], timeout: float | None, *, look: float = _SLICE
) -> _T:
    """Read from a channel as soon as there is something, without blocking the event loop.

    Parameters
    ----------
    read : callable
        Reads, and waits for nothing: raises `ChannelTimeoutError` if there is nothing.
    ask : callable
        `_awaited` of the channel.
    timeout : float or None
        Seconds.
    look : float, default 0.5
        Read this often although nothing was told, in seconds: whoever died tells nothing.

    Raises
    ------
    ChannelTimeoutError
    """
    limit = checked_timeout(timeout)
    deadline = None if limit is None else time.monotonic() + limit
    while True:
        try:
            return read()
        except ChannelTimeoutError as error:
            left = look if deadline is None else deadline - time.monotonic()
            if left <= 0:
                raise ChannelTimeoutError(
                    f"channel {error.channel!r}: nothing new within {limit:g} s",
                    channel=error.channel,
                    path=error.path,
                    timeout=limit,
                ) from None
        await _until_there(ask, min(left, look))


async def _until_there(ask: Callable[[], Awaited], seconds: float) -> None:
    """Wait until there is something to read, or for so long."""
    import asyncio  # here, because it takes longer to import than all of pymilk

    source, number, is_there = ask()
    if is_there():
        return
    loop = asyncio.get_running_loop()
    event: asyncio.Future[None] = loop.create_future()
    watch = _watcher.add(source, number, lambda: loop.call_soon_threadsafe(_finish, event))
    try:
        await asyncio.wait([event], timeout=seconds)
    finally:
        _watcher.discard(watch)


def _finish(event: Any) -> None:
    if not event.done():
        event.set_result(None)
