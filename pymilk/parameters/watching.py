"""Changes of parameters: waiting for one, and following all of them, in a loop or in asyncio."""

from __future__ import annotations

import asyncio
import concurrent.futures
import math
import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ..arguments import shown, whole_number
from ..errors import FPSArgumentError, FPSTimeoutError
from ..native.alone import Alone
from ..system.forks import tell_after_fork
from ..system.signals import unbroken
from ..system.single import Single
from ..system.threads import no_thread
from .table import Entry, ParameterTable

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Change", "ChangeLoop", "Watch", "deadline_of", "keys_of", "wait_for_change"]

#: How often a watch looks for new parameters, and whether it was closed, in ns.
_LOOK_NS = 250_000_000


class Change(NamedTuple):
    """A parameter that was written."""

    key: str
    #: As it stands when the change is handed out.
    value: Any
    #: How often it was written by now.
    counter: int
    #: Writes since the previous change whose values were overwritten unseen.
    missed: int


def deadline_of(timeout: float | None, fps: str) -> int:
    """Return the time of CLOCK_MONOTONIC in ns that is so many seconds from now; -1 (never) for None.

    Raises
    ------
    FPSArgumentError
    """
    if timeout is None:
        return -1
    try:
        seconds = float(timeout)
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    if math.isnan(seconds) or seconds < 0:
        raise FPSArgumentError(
            f"fps {fps!r}: timeout is seconds (0 or more) or None for ever, not {shown(timeout)}",
            fps=fps,
            argument="timeout",
            found=timeout,
        )
    return -1 if seconds > 9e9 else time.monotonic_ns() + int(seconds * 1e9)


def keys_of(keys: str | Iterable[str], fps: str) -> tuple[str, ...]:
    """Return one key, or several, as a tuple.

    Raises
    ------
    FPSArgumentError
        It is neither.
    """
    if isinstance(keys, str):
        return (keys,)
    try:
        return tuple(keys)
    except TypeError:
        raise FPSArgumentError(
            f"fps {fps!r}: keys is a key, or several of them, not {shown(keys)}",
            fps=fps,
            argument="keys",
            found=keys,
        ) from None


def wait_for_change(
    table: ParameterTable, keys: Iterable[str], timeout: float | None, since: dict[str, int] | None = None
) -> dict[str, Any]:
    """Wait until one or more parameters are written; see `FPS.wait_for_change`."""
    deadline = deadline_of(timeout, table.name)
    if not (since is None or isinstance(since, Mapping)):
        raise FPSArgumentError(
            f"fps {table.name!r}: since is a mapping of keys to counters, not {shown(since)}",
            fps=table.name,
            argument="since",
            found=since,
        )
    entries = [table.entry(key) for key in keys]
    seen = [_known(table, entry, since) for entry in entries]
    if not entries:
        raise FPSArgumentError(
            f"fps {table.name!r}: there is no parameter to wait for",
            fps=table.name,
            argument="keys",
            found=[],
        )
    if not table.wait_for_counters(entries, seen, deadline):
        assert timeout is not None
        raise FPSTimeoutError(
            f"fps {table.name!r}: none of {', '.join(repr(entry.key) for entry in entries)} was written in "
            f"{float(timeout):g} s",
            fps=table.name,
            timeout=timeout,
        )
    changed = [entry for entry, count in zip(entries, seen, strict=True) if table.counter(entry) != count]
    return {entry.key: table.get(entry.keyword) for entry in changed}


def _known(table: ParameterTable, entry: Entry, since: dict[str, int] | None) -> int:
    known = None if since is None else since.get(entry.key)
    if known is None:
        return table.counter(entry)
    count = whole_number(known)
    if count is None or not -(2**63) <= count < 2**63:
        raise FPSArgumentError(
            f"fps {table.name!r}: since has counters, such as those of Parameter.cnt0, not {shown(known)} "
            f"for {entry.key!r}",
            fps=table.name,
            argument="since",
            found=known,
        )
    return count


class ChangeLoop(Single):
    """Changes one by one in a ``for`` loop, until `close`, or until none comes in time.

    Parameters
    ----------
    fps : str
        For messages.
    timeout : float or None
        Seconds to wait for a change; None waits for ever.
    """

    _single = "what it has seen belongs to this process; watch again"

    def __init__(self, fps: str, timeout: float | None) -> None:
        deadline_of(timeout, fps)
        self._fps, self._timeout = fps, timeout
        self._closed = False
        self._alone = Alone(f"the watch of fps {fps!r}", fps)
        self._ready: deque[Change] = deque()

    def _wait(self, deadline: int) -> bool:
        """Wait for a change, and append it to `_ready`; False when the watch is over."""
        raise NotImplementedError

    def _deadline(self) -> int:
        return deadline_of(self._timeout, self._fps)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Change:
        taken: Change | None = None
        try:
            with self._alone:
                if not self._ready and not self._wait(self._deadline()):
                    self.close()
                    raise StopIteration
                change = taken = self._ready[0]
                del self._ready[0]
                return change
        except BaseException:
            if taken is not None:  # a signal handler raised before it reached the caller
                self._ready.appendleft(taken)
            raise

    def close(self) -> None:
        """End the loop, also from another thread."""
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        unbroken(self.close)


class Watch(ChangeLoop):
    """Changes of some parameters, one by one, in a ``for`` or an ``async for`` loop; see `FPS.watch`.

    Changes count from the moment that the watch was made. It ends after `close`, and when no change comes in
    time; an error of the FPS (closed, replaced, damaged) is raised by the loop. One loop at a time: another
    thread that takes a change meanwhile gets `StreamBusyError`.
    """

    def __init__(self, table: ParameterTable, keys: tuple[str, ...], timeout: float | None) -> None:
        super().__init__(table.name, timeout)
        self._table = table
        self._keys = keys
        self._thread: concurrent.futures.ThreadPoolExecutor | None = None
        self._entries: list[Entry] = []
        self._seen: dict[int, int] = {}
        self._look(first=True)
        tell_after_fork(self)

    def _after_fork(self) -> None:
        self._thread = None  # its thread stayed with the parent
        self._alone.after_fork()

    def _look(self, first: bool = False) -> None:
        """Find the parameters to look at; those that are new count from 0, but for the first time."""
        table = self._table
        self._next_look = time.monotonic_ns() + _LOOK_NS
        self._entries = [table.entry(key) for key in self._keys] if self._keys else table.entries()
        for entry in self._entries:
            if entry.slot not in self._seen:
                self._seen[entry.slot] = table.counter(entry) if first else 0

    def _take(self) -> bool:
        """Note all changes since the last look; tells whether there is one."""
        for entry in self._entries:
            count = self._table.counter(entry)
            before = self._seen[entry.slot]
            if count != before:
                missed = max(0, count - before - 1)
                change = Change(entry.key, self._table.get(entry.keyword), count, missed)
                self._seen[entry.slot] = count  # no exception of a signal handler can come between these two
                self._ready.append(change)
        return bool(self._ready)

    def _wait(self, deadline: int) -> bool:
        """Wait in pieces; False when the watch is over."""
        while not self._closed:
            now = time.monotonic_ns()
            if now >= self._next_look:
                self._look()
            if self._take():
                return True
            if 0 <= deadline <= now:
                self._look()
                return self._take()
            piece = min(self._next_look, deadline) if deadline >= 0 else self._next_look
            self._table.wait_for_counters(
                self._entries, [self._seen[entry.slot] for entry in self._entries], piece
            )
        return False

    def __aiter__(self) -> Watch:
        return self

    async def __anext__(self) -> Change:
        with self._alone:
            return await self._next()

    async def _next(self) -> Change:
        if not self._ready:
            if self._closed:
                raise StopAsyncIteration
            # A thread of its own: several watches would fill the pool of the event loop.
            self._thread = self._thread or concurrent.futures.ThreadPoolExecutor(1, "pymilk-fps-watch")
            loop = asyncio.get_running_loop()
            try:
                coming = loop.run_in_executor(self._thread, self._wait, self._deadline())
            except RuntimeError as error:
                self._thread = None
                raise no_thread() from error
            try:
                came = await coming
            except asyncio.CancelledError:
                self.close()
                raise
            if not came:
                self.close()
                raise StopAsyncIteration
        return self._ready.popleft()

    def close(self) -> None:
        """End the loop, also from another thread, within a quarter of a second."""
        super().close()
        if self._thread is not None:
            self._thread.shutdown(wait=False)
