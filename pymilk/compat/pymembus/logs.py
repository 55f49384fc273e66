"""`Log`: what `memmsg` and `memcmd` have in common, on a message log that many may write."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from typing import Any, ClassVar, TypeVar

from ...channels import Batch, MessageLog
from ...errors import (
    ChannelClosedError,
    ChannelDamagedError,
    ChannelError,
    ChannelExistsError,
    ChannelFormatError,
    ChannelInUseError,
    ChannelNotFoundError,
    ChannelPermissionError,
    ChannelRemovedError,
    StreamError,
)
from ...system.forks import tell_after_fork
from .arguments import content, integer, milliseconds, share_name
from .errors import errc, failed, set_error
from .share import ChannelHandle, remove_file

__all__ = ["Log"]

_Data = TypeVar("_Data", str, bytes)

#: A log for messages of `size` bytes altogether has this many times its bytes, and these in addition: what
#: is within `size` is never overwritten, and a message of `size` bytes fits. `Log.kind` is added: who expects
#: another kind finds another layout.
_TIMES, _MORE = 3, 4096 + 1024

#: Batches to take at once, at most: a fast writer must not hold up a reader for ever.
_BATCHES = 64


def cost(nbytes: int) -> int:
    """Return how much of `size` a message takes."""
    return (16 + nbytes + 7) & ~7


class Log(ChannelHandle):
    """A handle on a share for messages. Derived classes say how it is opened.

    A reader that is behind by more than `size` bytes of messages is told so (overrun), and goes on behind the
    newest one. Each message takes 16 bytes more than it has, up to a multiple of 8.

    Notes
    -----
    The name goes when the handle that made it is closed or collected, or by `remove`. Handles that have the
    share go on with it, in the process that opened them; a child after fork only reads then.
    """

    #: Below `_TIMES`; of the derived class.
    kind: ClassVar[int]

    #: What a closed handle that is to write says.
    closed: ClassVar[errc]

    def __init__(self) -> None:
        set_error(errc.ok)
        self._reader: MessageLog | None = None
        self._writer: MessageLog | None = None
        self._size = 0
        self._writes = self._existing = False
        self._turn = threading.RLock()
        tell_after_fork(self)
        self._forget()

    def _after_fork(self) -> None:
        self._turn = threading.RLock()  # a thread of the parent may hold it

    def _forget(self) -> None:
        self._unread: deque[bytes] = deque()
        self._batch: Batch | None = None  # read, and not in `_unread` yet
        self._behind = 0
        self._begun = self._overrun = self._lost = False

    def _open(self, sName: object, size: object, writes: bool, create: bool) -> bool:
        """Attach a share, or make it; False with an error."""
        name, nbytes = share_name(sName), integer(size, "size", -(2**63), 2**63 - 1)
        self.close()
        if nbytes <= 0:
            return failed(errc.invalid_argument)
        if name is None:
            return failed(errc.create_failed if create else errc.open_failed)
        made = False
        try:
            with contextlib.suppress(ChannelExistsError):
                if create:
                    MessageLog.create(name, _TIMES * nbytes + _MORE + self.kind).close()
                    made = True
            log = MessageLog.attach(name, start="oldest")
        except ChannelPermissionError:
            return failed(errc.access_denied)
        except ChannelFormatError:
            return failed(errc.invalid_layout)
        except StreamError as error:
            absent = isinstance(error, ChannelNotFoundError) or not create
            return failed(errc.open_failed if absent else errc.create_failed)
        try:
            there, rest = divmod(os.stat(log.path).st_size - _MORE - self.kind, _TIMES)
        except FileNotFoundError:  # removed just now
            log.close()
            return failed(errc.open_failed)
        if (there, rest) != (nbytes, 0):
            log.close()
            return failed(errc.size_mismatch if rest == 0 and nbytes < there else errc.invalid_layout)
        log._go_on_unnamed()
        self._reader, self._size, self._writes, self._existing = log, nbytes, writes, not made
        if writes:
            # Later it might have no name. `write` tells a process that may not write.
            with contextlib.suppress(ChannelError):
                self._writer = self._attach_writer(log)
        if made:
            self._unlink_with(log)
        set_error(errc.ok)
        return True

    @staticmethod
    def remove(sName: str) -> bool:
        """Remove a share by name. Returns whether there was one."""
        name = share_name(sName)
        set_error(errc.ok)
        return name is not None and remove_file(lambda: MessageLog.attach(name))

    def close(self) -> None:
        """Let go of the share; its name goes if this handle made it."""
        for log in (self._reader, self._writer):
            if log is not None:
                log.close()
        self._reader = self._writer = None
        self._writes = False
        with self._turn:
            self._forget()
        self._let_go()

    def _channel(self) -> MessageLog | None:
        return self._reader

    def write(self, sMsg: str | bytes) -> bool:
        """Write a message.

        Returns
        -------
        bool
            False: invalid_argument (empty), message_too_large (`size` bytes or more), access_denied (a
            handle to read), lock_timeout (another handle does not get on with its message for 5 s), not_open
            (a child after fork: the name is gone). A closed memmsg says access_denied, a closed memcmd
            not_open.
        """
        return self._write(sMsg if isinstance(sMsg, str) else content(sMsg, "sMsg"))

    def write_bytes(self, data: bytes) -> bool:
        """Write a message of bytes; as `write`."""
        if not isinstance(data, bytes):
            raise TypeError(f"data is bytes, not {type(data).__name__}")
        return self._write(data)

    def _write(self, data: str | bytes) -> bool:
        nbytes, reader = len(content(data, "sMsg")), self._reader
        if reader is None:
            return failed(self.closed)
        if not self._writes:
            return failed(errc.access_denied)
        if not nbytes:
            return failed(errc.invalid_argument)
        if nbytes >= self._size:
            return failed(errc.message_too_large)
        try:
            writer = self._writer
            if writer is None or writer.closed:
                self._writer = writer = self._attach_writer(reader)
            writer.append(data)
        except ChannelInUseError:
            return failed(errc.lock_timeout)
        except ChannelClosedError:
            return failed(self.closed)
        except (ChannelRemovedError, ChannelNotFoundError):
            return failed(errc.not_open)
        except ChannelFormatError:
            return failed(errc.invalid_layout)
        except ChannelPermissionError:
            return failed(errc.access_denied)
        return True

    @staticmethod
    def _attach_writer(share: MessageLog) -> MessageLog:
        log = MessageLog.attach(share.path, write=True, writers="many")
        if log.identity == share.identity:
            log._go_on_unnamed()
            return log
        log.close()
        raise ChannelRemovedError(f"channel {share.name!r} was made anew", channel=share.name)

    def read(self, wait: int = 0) -> str:
        """Return the next message as text; "" with timeout, overrun or not_open.

        Parameters
        ----------
        wait : int, default 0
            Milliseconds.

        Raises
        ------
        UnicodeDecodeError
            It is no text; the next read returns the one behind it.
        """
        return self._next(wait, "")[0]

    def read_with_overrun(self, wait: int = 0) -> tuple[str, bool]:
        """Return the next message as text, and whether messages were lost: then there is none."""
        return self._next(wait, "")

    def read_bytes(self, wait: int = 0) -> bytes:
        """Return the next message; b"" with timeout, overrun or not_open."""
        return self._next(wait, b"")[0]

    def read_bytes_with_overrun(self, wait: int = 0) -> tuple[bytes, bool]:
        """Return the next message, and whether messages were lost: then there is none."""
        return self._next(wait, b"")

    def _next(self, wait: int, nothing: _Data) -> tuple[_Data, bool]:
        """Return the next message, or this, as bytes or text like this; and whether messages were lost."""
        deadline = time.monotonic() + milliseconds(wait)
        while True:
            taken: bytes | None = None
            told = False
            try:
                with self._turn:
                    if not self._look():
                        return nothing, False
                    if self._overrun:
                        set_error(errc.overrun)
                        told = True
                        self._overrun = False
                        return nothing, True
                    if self._unread:
                        data = self._unread[0]
                        behind = self._behind - cost(len(data))
                        set_error(errc.ok)
                        try:
                            found: Any = data.decode() if isinstance(nothing, str) else data
                        except UnicodeDecodeError:
                            self._behind = behind
                            del self._unread[0]
                            raise
                        taken = data
                        self._behind = behind
                        del self._unread[0]
                        return found, False
            except BaseException:
                # Of a signal handler, which can come behind each call, also behind that which ends the turn.
                self._put_back(taken, told)
                raise
            if not self._wait(deadline):
                set_error(errc.timeout)
                return nothing, False

    def _put_back(self, taken: bytes | None, told: bool) -> None:
        """Undo a read whose message, or word that some were lost, did not reach the caller."""
        with self._turn:
            self._overrun = self._overrun or told
            if taken is not None:
                self._behind += cost(len(taken))
                self._unread.appendleft(taken)

    def poll(self) -> bool:
        """Tell whether `read` has something to return at once."""
        with self._turn:
            return self._look() and bool(self._overrun or self._unread)

    def _wait(self, deadline: float) -> bool:
        left, reader = deadline - time.monotonic(), self._reader
        try:
            return left > 0 and reader is not None and reader.wait(left)
        except ChannelRemovedError:
            return False
        except ChannelClosedError:
            return True  # by another thread: `_look` says so

    def _look(self) -> bool:
        """Take in what is there, in a turn: threads may share the handle. False with an error."""
        reader = self._reader  # another thread may close meanwhile
        if reader is None:
            return failed(errc.not_open)
        try:
            self._keep_newest()  # of a look that was interrupted
            for _ in range(_BATCHES):
                if self._batch is None:
                    self._batch = reader.read_many()
                if not len(self._batch):
                    self._batch = None
                    break
                self._take_in(self._batch)
                self._keep_newest()
        except ChannelDamagedError:
            return failed(errc.invalid_layout)
        except ChannelError:
            return failed(errc.not_open)
        # A message that is alone there is readable, however long it is.
        if self._begun and (self._lost or (self._behind > self._size and len(self._unread) > 1)):
            self._overrun = True
            self._behind = 0
            self._unread.clear()
        self._lost = False
        self._begun = True
        return True

    def _take_in(self, batch: Batch) -> None:
        """Put all messages of a batch behind those that are unread, or none of them."""
        starts = batch.rows["offset"].tolist()
        lengths = batch.rows["length"].tolist()
        found = [
            bytes(batch.payload[start : start + length])
            for start, length in zip(starts, lengths, strict=True)
        ]
        behind = self._behind + sum(map(cost, lengths))
        # An exception of a signal handler can come behind each call: none is within these.
        self._behind = behind
        self._lost = self._lost or batch.lost > 0
        self._batch = None
        self._unread += found

    def _keep_newest(self) -> None:
        """Before the first read: forget the oldest, without a word, until the others take `size` or less."""
        while not self._begun and self._behind > self._size and len(self._unread) > 1:
            behind = self._behind - cost(len(self._unread[0]))
            self._behind = behind  # no exception of a signal handler comes between these two
            del self._unread[0]

    def __repr__(self) -> str:
        name, reader = type(self).__name__, self._reader
        if reader is None:
            return f"<{name} closed>"
        return f"<{name} {reader.name!r} {'writing' if self._writes else 'reading'}>"
