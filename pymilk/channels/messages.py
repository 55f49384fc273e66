"""`MessageLog`: messages of one or many for any number of readers, each at its own pace."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from .._types import Array
from ..arguments import check_count, shown
from ..errors import ChannelArgumentError, ChannelFormatError, ChannelNotFoundError
from ..system.forks import tell_after_fork
from ..system.signals import held_signals
from .base import Channel, check_start
from .files import (
    Kind,
    channel_name,
    channel_path,
    checked_size,
    create_channel,
    let_others_write,
    lock_channel,
    open_channel,
    remove_channel,
)
from .log import HEADER_NBYTES, LogFile, Message, new_header

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Batch", "Message", "MessageLog"]

#: Bytes of a new log: header and records.
DEFAULT_NBYTES = 1 << 20

_LEAST_NBYTES = HEADER_NBYTES + 1024

#: Bit of `Batch.rows["flags"]`: the message is text.
TEXT = 1


def _many(writers: str) -> bool:
    if writers not in ("one", "many"):
        raise ChannelArgumentError(
            f"writers is 'one' or 'many', not {shown(writers)}", argument="writers", found=writers
        )
    return writers == "many"


class Batch:
    """Messages that were read at once.

    Attributes
    ----------
    rows : ndarray
        One row a message: ``number``, ``time_ns`` (UTC since 1970), ``offset`` and ``length`` of its bytes in
        `payload`, ``flags`` (1: text).
    payload : memoryview
        Read-only. There are other bytes between those of the messages.
    lost : int
        Messages that were overwritten between the one that was read before and the first of these.
    """

    def __init__(self, rows: Array, payload: bytes, lost: int) -> None:
        self.rows, self.lost = rows, lost
        self.payload = memoryview(payload)

    def __reduce__(self) -> tuple[Any, ...]:
        return Batch, (self.rows, bytes(self.payload), self.lost)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> bytes | str:
        row = self.rows[index]
        start = int(row["offset"])
        content = self.payload[start : start + int(row["length"])]
        return str(content, "utf-8", "replace") if row["flags"] & TEXT else bytes(content)

    def __iter__(self) -> Iterator[bytes | str]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        return f"<Batch of {len(self)} messages, {self.lost} lost before>"


class MessageLog(LogFile, Channel):
    """Messages of any length, from one writer, or many, to any number of readers.

    A writer never waits for readers: the oldest messages give way to new ones. Each reader has its own place,
    and is told how many messages it missed. Made by `create` or `attach`.

    Attributes
    ----------
    name, path : str
    writing : bool
        This object appends. A child after fork does not: its copy is closed.
    lost : int
        Messages that this reader missed since it was attached.

    Notes
    -----
    Calls of a closed object raise `ChannelClosedError`, and timeouts that are no number of seconds
    `StreamArgumentError`.

    Examples
    --------
    >>> from pymilk.channels import MessageLog
    >>> with MessageLog.create("doc_log", replace=True) as log, MessageLog.attach("doc_log") as reader:
    ...     _ = log.append("shutter open")
    ...     print(reader.read(timeout=1).data)
    ...     log.remove()
    shutter open
    """

    def __init__(self) -> None:
        raise TypeError("a MessageLog is made by MessageLog.create or MessageLog.attach")

    @classmethod
    def create(
        cls,
        name: str | os.PathLike[str],
        nbytes: int = DEFAULT_NBYTES,
        *,
        replace: bool = False,
        mode: int = 0o666,
        writers: str = "one",
    ) -> Self:
        """Make a log, and write it.

        Parameters
        ----------
        name : str or PathLike
            Or the path of its file, which ends in ``.msg.shm``.
        nbytes : int, default 1 MiB
            Size of the file. A message takes its bytes and 32 more, and at most half of the room.
        replace : bool, default False
            Take the place of a log of that name. Readers of that one get a `ChannelRemovedError` once they
            have read it to its end.
        mode : int, default 0o666
            Permissions, less the umask. Readers that may not write to the file look every half millisecond
            instead of being woken.
        writers : {"one", "many"}, default "one"
            Whether others may write it while this object does: see `attach`.

        Raises
        ------
        ChannelExistsError, ChannelInUseError, ChannelPermissionError, ChannelStorageError
        ChannelArgumentError, StreamNameError
        """
        many = _many(writers)
        path = channel_path(name, Kind.msg)
        plain = channel_name(path, Kind.msg)
        size = checked_size(nbytes, _LEAST_NBYTES, plain)
        with held_signals(), contextlib.ExitStack() as stack:  # until an object has the descriptor
            old = None
            if replace:
                with contextlib.suppress(ChannelNotFoundError, ChannelFormatError):
                    old = stack.enter_context(cls.attach(path, write=True))
            fd = create_channel(path, plain, new_header(Kind.msg, size), size, replace=replace, mode=mode)
            if old is not None:
                old._retire()
            if many:
                let_others_write(fd)
            return cls._of(fd, path, plain, True, True, many)

    @classmethod
    def attach(
        cls,
        name: str | os.PathLike[str],
        *,
        write: bool = False,
        start: str = "now",
        writers: str = "one",
    ) -> Self:
        """Attach a log that exists.

        Parameters
        ----------
        name : str or PathLike
        write : bool, default False
            Go on writing it.
        start : {"now", "oldest"}, default "now"
            Where a reader begins: behind the newest message, or at the oldest one that is there.
        writers : {"one", "many"}, default "one"
            Of who writes. One keeps all others out. Many take turns, message by message, and each has to say
            "many"; a message then costs two system calls more. A writer that dies in its turn ends it; one
            that is stopped in it holds up the others. Turns are not given in order.

        Raises
        ------
        ChannelNotFoundError, ChannelPermissionError, ChannelFormatError
        ChannelArgumentError, StreamNameError
        ChannelInUseError
            Another object writes it, and one of the two keeps others out.
        """
        check_start(start)
        many = _many(writers)
        path = channel_path(name, Kind.msg)
        plain = channel_name(path, Kind.msg)
        with held_signals():  # until an object has the descriptor
            fd, shared = open_channel(path, plain, True if write else None)
            try:
                if write:
                    lock_channel(fd, plain, path, others=many)
            except BaseException:
                os.close(fd)
                raise
            log = cls._of(fd, path, plain, shared, write, many and write)
        if start == "oldest":
            log.join_oldest()
        elif not write:
            log.join_now()
        return log

    @classmethod
    def _of(cls, fd: int, path: str, name: str, shared: bool, write: bool, many: bool) -> Self:
        """Make the object of an open file. A writer keeps the descriptor: its lock ends with that."""
        log = cls.__new__(cls)
        log._fd = fd if write else -1
        try:
            LogFile.__init__(log, fd, path, name, Kind.msg, shared, write, many)
        except BaseException:
            log._fd = -1
            os.close(fd)
            raise
        if write:
            tell_after_fork(log)
        else:
            os.close(fd)
        return log

    def _after_fork(self) -> None:
        """Leave writing to the parent: its lock and its place in the file would be shared."""
        self.close()

    def read_many(self, limit: int | None = None) -> Batch:
        """Return the messages that are there, at most 4 MiB of them. Waits for nothing.

        Parameters
        ----------
        limit : int, optional
            Most messages.

        Returns
        -------
        Batch
            A copy. Of a message that is longer than 4 MiB, that one.

        Raises
        ------
        ChannelDamagedError, ChannelClosedError, StreamArgumentError
        """
        most = 1 << 62
        if limit is not None:
            most = min(most, check_count("limit", limit, "messages"))
        taken: list[tuple[int, int, int, int, int]] = []
        try:
            batch = Batch(*self._take_many(most, taken))
        except BaseException:  # of a signal handler too: what is not handed over is unread
            self._go_back(taken)
            self._tell()
            raise
        return batch

    def append_many(self, messages: Iterable[bytes | str]) -> int:
        """Write several messages; returns the number of the last one written so far.

        One that does not fit raises as `append` does; those before it are written then. What cannot be
        iterated over is a `ChannelArgumentError`.
        """
        number = self.count
        try:
            given = iter(messages)
        except TypeError:
            raise ChannelArgumentError(
                f"channel {self.name!r}: messages is an iterable of messages, not {shown(messages)}; "
                "append writes one",
                channel=self.name,
                path=self.path,
                argument="messages",
                found=messages,
            ) from None
        for each in given:
            number = self.append(each)
        return number

    async def read_async(self, timeout: float | None = None) -> Message:
        """Return the next message, as `read`, without blocking the event loop of asyncio.

        One thread of the process waits for all tasks. Cancelling the task ends its wait at once, and loses no
        message.
        """
        return await self._later(lambda: self.read(0), timeout)

    def remove(self) -> None:
        """Delete the file, and close. Readers get a `ChannelRemovedError` once they have read to its end."""
        self._retire()
        remove_channel(self.path, self.name)
        self.close()

    def close(self) -> None:
        """Let go of the file. It stays, and another object may write it."""
        super().close()
        self._close_descriptor()
        self._let_go()

    _fd = -1

    def _let_go(self, _close: Callable[[int], None] = os.close) -> None:
        """Let others write: the lock of a writer ends with its descriptor."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            _close(fd)  # at interpreter exit `os` may be gone

    def __del__(self) -> None:
        self._let_go()

    def __iter__(self) -> Iterator[Message]:
        return self

    async def __anext__(self) -> Message:
        return await self.read_async()

    def __repr__(self) -> str:
        state = "closed" if self.closed else "writing" if self.writing else "reading"
        return f"<MessageLog {self.name!r} {state}>"
