"""`SharedState`: keys and values that any process sets and reads, several of them in one step."""

from __future__ import annotations

import contextlib
import os
from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import TYPE_CHECKING, Any, NamedTuple

from ..arguments import check_number, shown, whole_number
from ..errors import (
    ChannelArgumentError,
    ChannelFormatError,
    ChannelInUseError,
    ChannelKeyError,
    ChannelNotFoundError,
    ChannelTimeoutError,
)
from ..system.forks import tell_after_fork
from ..system.locks import unlock
from ..system.signals import held_signals
from .base import Channel
from .file import HEADER_NBYTES, new_header
from .files import (
    Kind,
    channel_name,
    channel_path,
    checked_size,
    create_channel,
    open_channel,
    remove_channel,
)
from .state import StateFile, first_image
from .values import pairs_of

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Changes", "Entry", "SharedState"]

#: Bytes of a new state: header, and two images of all keys and values.
DEFAULT_NBYTES = 1 << 16

_LEAST_NBYTES = HEADER_NBYTES + 1024


class Entry(NamedTuple):
    """A value, and when it was set.

    Attributes
    ----------
    value : int, float, bool, str, bytes or ndarray
        An array is a copy.
    sequence : int
        How often the key was set, from 1; anew after it was removed.
    epoch : int
        Of the state, when it was set last.
    time_ns : int
        When that was, in nanoseconds UTC since 1970.
    """

    value: Any
    sequence: int
    epoch: int
    time_ns: int


class Changes(NamedTuple):
    """What has changed in a state, all of it as it was at one moment.

    Attributes
    ----------
    epoch : int
        Of that moment.
    values : dict
        Of the keys that were set.
    keys : tuple of str
        All that there were, in the order in which they were set first.
    removed : bool
        Some key was removed; those that are left are in `keys`.
    """

    epoch: int
    values: dict[str, Any]
    keys: tuple[str, ...]
    removed: bool


class SharedState(StateFile, Channel):
    """Keys and values that any number of processes set and read. Made by `create` or `attach`.

    What is set in one step, by `update`, is seen as a whole or not at all. Reading takes no lock and never
    waits for a writer. Values are int (64 bits), float, bool, str, bytes, and arrays; what is read is a copy.
    Setting costs a copy of all keys and values and two system calls.

    Attributes
    ----------
    name, path : str
    fixed : bool
        Keys, and the types of their values, cannot change.
    writing : bool
        This object may set values.
    epoch : int
        How many steps there were since the state was made.
    seen : int
        Epoch up to which this object has read changes.
    room : int
        Bytes for all keys and values together. Each key takes 32 more; keys and values take a multiple of 8.

    Notes
    -----
    Calls of a closed object raise `ChannelClosedError`, and timeouts that are no number of seconds
    `StreamArgumentError`.

    Examples
    --------
    >>> from pymilk.channels import SharedState
    >>> with SharedState.create("doc_state", {"exposure": 0.1}, replace=True) as state:
    ...     epoch = state.epoch
    ...     state["filter"] = "open"
    ...     print(state["exposure"], state.changed_since(epoch).values)
    ...     state.remove()
    0.1 {'filter': 'open'}
    """

    def __init__(self) -> None:
        raise TypeError("a SharedState is made by SharedState.create or SharedState.attach")

    @classmethod
    def create(
        cls,
        name: str | os.PathLike[str],
        values: Mapping[str, Any] | None = None,
        nbytes: int = DEFAULT_NBYTES,
        *,
        fixed: bool = False,
        replace: bool = False,
        mode: int = 0o666,
        timeout: float = 1.0,
    ) -> Self:
        """Make a state, and attach it.

        Parameters
        ----------
        name : str or PathLike
            Or the path of its file, which ends in ``.state.shm``.
        values : mapping, optional
            What it holds from the beginning; then its epoch is 1.
        nbytes : int, default 64 KiB
            Size of the file. Keys and values have half of it, less 4 KiB.
        fixed : bool, default False
            It has these keys for ever, and values of these types; arrays keep their axes, too.
        replace : bool, default False
            Take the place of a state of that name; who uses that one gets a `ChannelRemovedError`.
        mode : int, default 0o666
            Permissions, less the umask. Readers that may not write to the file look every half millisecond
            instead of being woken.
        timeout : float, default 1.0
            See `attach`.

        Raises
        ------
        ChannelExistsError, ChannelInUseError, ChannelPermissionError, ChannelStorageError
        ChannelArgumentError, RecordTooLongError, StreamArgumentError, StreamNameError
        """
        path = channel_path(name, Kind.state)
        plain = channel_name(path, Kind.state)
        size = checked_size(nbytes, _LEAST_NBYTES, plain)
        check_number("timeout", timeout, "a time from 0 to 86400 seconds", 0, 86400)
        if fixed and not values:
            raise ChannelArgumentError(
                f"channel {plain!r}: fixed keys are those of values, and there are none",
                channel=plain,
                argument="values",
                found=values,
            )
        fixed = bool(fixed)
        image = (size - HEADER_NBYTES) // 16 * 8
        content = new_header(Kind.state, size, int(fixed), image, 1 if values else 0)
        if values:
            content = content.ljust(HEADER_NBYTES + image, b"\0") + first_image(plain, values, image)
        with contextlib.ExitStack() as stack:
            old = None
            if replace:
                with contextlib.suppress(ChannelNotFoundError, ChannelFormatError):
                    old = stack.enter_context(cls.attach(path, write=True, timeout=timeout))
            if old is not None:
                # Nobody sets something in the old one that nobody will see.
                old._lock()
                stack.callback(old._unlock)
            with held_signals():  # until an object has the descriptor
                fd = create_channel(path, plain, content, size, replace=replace, mode=mode)
                unlock(fd)
                if old is not None:
                    old._retire()
                return cls._of(fd, path, plain, True, timeout)

    @classmethod
    def attach(cls, name: str | os.PathLike[str], *, write: bool | None = None, timeout: float = 1.0) -> Self:
        """Attach a state that exists.

        Parameters
        ----------
        name : str or PathLike
        write : bool or None, default None
            True: raise if this user may not set values; False: this object sets none. None: if this user may.
        timeout : float, default 1.0
            Seconds that a step waits for another process which is writing. That takes microseconds, unless
            the process is stopped just then.

        Raises
        ------
        ChannelNotFoundError, ChannelPermissionError, ChannelFormatError
        StreamArgumentError, StreamNameError
        """
        check_number("timeout", timeout, "a time from 0 to 86400 seconds", 0, 86400)
        path = channel_path(name, Kind.state)
        plain = channel_name(path, Kind.state)
        with held_signals():  # until an object has the descriptor
            fd, shared = open_channel(path, plain, write or None)
            return cls._of(fd, path, plain, shared, timeout, write is not False)

    @classmethod
    def _of(cls, fd: int, path: str, name: str, shared: bool, timeout: float, write: bool = True) -> Self:
        """Make the object of an open file, and close that."""
        state = cls.__new__(cls)
        try:
            StateFile.__init__(state, fd, path, name, Kind.state, shared, shared and write, timeout)
        finally:
            os.close(fd)
        tell_after_fork(state)
        return state

    # -- reading

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys())

    def as_dict(self) -> dict[str, Any]:
        """Return all keys and values as they were at one moment."""
        return {key: value for key, value, *_ in self._read_from(0)[2]}

    def keys(self) -> KeysView[str]:
        """Return the keys as they are now, in the order in which they were set first."""
        return dict.fromkeys(self._keys()).keys()

    def items(self) -> ItemsView[str, Any]:
        """Return keys and values as they were at one moment: those of `as_dict`."""
        return self.as_dict().items()

    def values(self) -> ValuesView[Any]:
        """Return the values as they were at one moment."""
        return self.as_dict().values()

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value, or `default` if there is no such key."""
        try:
            return self[key]
        except ChannelKeyError:
            return default

    def entry(self, key: str) -> Entry:
        """Return a value, how often it was set, and when last.

        Parameters
        ----------
        key : str

        Returns
        -------
        Entry
            A copy.

        Raises
        ------
        ChannelKeyError
            There is no such key.
        ChannelRemovedError, ChannelDamagedError, ChannelClosedError
        """
        return Entry(*self._entry(key))

    def entries(self) -> dict[str, Entry]:
        """Return an `Entry` for each key, all as they were at one moment."""
        return {key: Entry(*rest) for key, *rest in self._read_from(0)[2]}

    def changed_since(self, epoch: int) -> Changes:
        """Return what was set after an epoch, waiting for nothing; after 0: everything.

        Parameters
        ----------
        epoch : int
            0 or more; nothing has changed after one that is not reached yet.

        Returns
        -------
        Changes
            Copies.

        Raises
        ------
        ChannelArgumentError
            It is no number from 0 on.
        ChannelRemovedError, ChannelDamagedError, ChannelClosedError
        """
        self._check_epoch(epoch)
        return _changes(self._read_from(epoch + 1), epoch)

    def wait_for_change(self, epoch: int, timeout: float | None = None) -> int:
        """Wait, without the GIL, until the epoch is another one; returns that.

        Parameters
        ----------
        epoch : int
            The one that is known, from `epoch`, `update` or `Changes.epoch`.
        timeout : float or None, default None
            Seconds; None waits for ever, 0 only looks.

        Raises
        ------
        ChannelTimeoutError, ChannelArgumentError
        ChannelRemovedError, ChannelDamagedError, ChannelClosedError
        """
        self._check_epoch(epoch)
        if not self._wait_beyond(epoch, timeout):
            raise self._too_late(timeout)
        return self.epoch

    def read(self, timeout: float | None = None) -> Changes:
        """Return what has changed since this object read last, at first everything; wait for something.

        Parameters
        ----------
        timeout : float or None, default None
            Seconds; None waits for ever, 0 only looks.

        Raises
        ------
        ChannelTimeoutError
        ChannelRemovedError, ChannelDamagedError, ChannelClosedError
        """
        before = self.seen
        try:
            while (found := self._read_changes()) is None and self.wait(timeout):
                pass
            changes = None if found is None else _changes(found, before)
        except BaseException:  # of a signal handler too: what is not handed over is unread
            self._go_back(before)
            self._tell()
            raise
        if changes is not None:
            return changes
        raise self._too_late(timeout)

    async def read_async(self, timeout: float | None = None) -> Changes:
        """Return what `read` returns, without blocking the event loop of asyncio.

        One thread of the process waits for all tasks. Cancelling the task ends its wait at once.
        """
        return await self._later(lambda: self.read(0), timeout)

    def _check_epoch(self, epoch: int) -> None:
        number = whole_number(epoch)
        if number is None or not 0 <= number < 1 << 63:
            raise ChannelArgumentError(
                f"channel {self.name!r}: an epoch is a number from 0 on, not {shown(epoch)}",
                channel=self.name,
                path=self.path,
                argument="epoch",
                found=epoch,
            )

    def _too_late(self, timeout: float | None) -> ChannelTimeoutError:
        assert timeout is not None
        return ChannelTimeoutError(
            f"channel {self.name!r}: nothing was set within {float(timeout):g} s",
            channel=self.name,
            path=self.path,
            timeout=timeout,
        )

    # -- writing

    def update(self, values: Any = (), /, **more: Any) -> int:
        """Set several keys in one step: readers see all of it, or nothing.

        Parameters
        ----------
        values : mapping or iterable of pairs
            Values are int of 64 bits, float, bool, str, bytes, or an array of numbers, bool, dates, or text
            of fixed length. Numbers of NumPy come back as those of Python.
        **more
            As for dict.

        Returns
        -------
        int
            The epoch of this step.

        Raises
        ------
        RecordTooLongError
            All keys and values together are longer than the room.
        ChannelKeyError
            The keys are fixed, and this is none of them.
        ChannelArgumentError
            A key or value cannot be stored, or has another type and the keys are fixed.
        ChannelInUseError
            Another process was in the middle of a step for longer than the timeout.
        ChannelReadOnlyError, ChannelRemovedError, ChannelDamagedError, ChannelClosedError
        """
        return self._set(pairs_of(self.name, values, more).items())

    def __setitem__(self, key: str, value: Any) -> None:
        self._set(((key, value),))

    def __delitem__(self, key: str) -> None:
        self.delete(key)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Let no other process, object or thread set anything: to read, and set what follows from that.

        Readers are not held off; each `update` within is a step of its own. Others wait as long as their
        timeout, so be short.

        Raises
        ------
        ChannelInUseError
            Another one was writing for longer than the timeout.
        ChannelReadOnlyError, ChannelRemovedError, ChannelClosedError

        Examples
        --------
        >>> from pymilk.channels import SharedState
        >>> with SharedState.create("doc_count", {"count": 0}, replace=True) as state:
        ...     with state.locked():
        ...         state["count"] += 1
        ...     state.remove()
        """
        self._lock()
        try:
            yield
        finally:
            self._unlock()

    def delete(self, *keys: str) -> int:
        """Remove keys in one step, or none if one is not there; returns the epoch.

        Raises
        ------
        ChannelKeyError
            One of them is not there.
        ChannelArgumentError
            The keys are fixed.
        ChannelInUseError, ChannelReadOnlyError, ChannelRemovedError, ChannelDamagedError, ChannelClosedError
            As for `update`.
        """
        return self._set((), keys)

    def remove(self, *, force: bool = False) -> None:
        """Delete the file, and close. Others that use it get a `ChannelRemovedError`.

        Parameters
        ----------
        force : bool, default False
            Also while another process is in the middle of a step.

        Raises
        ------
        ChannelInUseError
            One was for longer than the timeout.
        ChannelReadOnlyError, ChannelRemovedError, ChannelClosedError
        """
        try:
            self._lock()
        except ChannelInUseError:
            if not force:
                raise
        try:
            self._retire()
            remove_channel(self.path, self.name)
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the file. It stays."""
        super().close()
        self._close_descriptor()

    async def __anext__(self) -> Changes:
        return await self.read_async()

    def __repr__(self) -> str:
        return f"<SharedState {self.name!r}{' closed' if self.closed else ''}>"


def _changes(found: tuple[int, int, list[tuple[Any, ...]]], since: int) -> Changes:
    epoch, removed, entries = found
    values = {entry[0]: entry[1] for entry in entries if len(entry) > 1}
    return Changes(epoch, values, tuple(entry[0] for entry in entries), removed > since)
