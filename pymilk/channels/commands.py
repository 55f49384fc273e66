"""`CommandQueue`: commands from any process to those that take them, each taken once and answered."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Generator, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ..arguments import check_count, is_number, shown
from ..errors import (
    ChannelArgumentError,
    ChannelClosedError,
    ChannelError,
    ChannelFormatError,
    ChannelNotFoundError,
    ChannelRemovedError,
    ChannelTimeoutError,
)
from ..native.bell import Bell
from ..native.checks import checked_timeout
from ..streams.waiting import Awaited
from ..streams.watching import read_later
from ..system.forks import tell_after_fork
from ..system.signals import held_signals
from ..system.single import Single
from .base import Channel
from .file import HEADER_NBYTES, new_header
from .files import Kind, channel_name, channel_path, create_channel, open_channel, remove_channel, trouble
from .queue import SLOT_NBYTES, QueueFile

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Command", "CommandQueue", "Reply", "Ticket", "look_at", "slots_in_use"]

#: What can be given as data of commands and replies.
Data = bytes | str | bytearray | memoryview

#: What has become of a command.
State = Literal["waiting", "started", "done", "not started", "started, unknown"]

#: By the states of a slot: see _queue.pxd.
_WORDS: dict[int, State] = {2: "waiting", 3: "started", 5: "done", 6: "started, unknown"}

#: Slots without a command, or with one that is not there yet; and started ones whose callers wait no more.
_EMPTY, _LEFT = (0, 1), 4

_LIMITS = {"slots": (1, 4096), "size": (8, 1 << 24)}

#: A task that waits for a reply looks this often whether the taker still lives, in seconds.
_LOOK_SECONDS = 0.05


def _check_spin(spin: float) -> None:
    """Raise an error if so long a time cannot be spun; a queue that could not be attached is not made."""
    if not is_number(spin) or not 0 <= spin <= 1:
        raise ChannelArgumentError(
            f"spin is a time from 0 to 1 s, not {shown(spin)}", argument="spin", found=spin
        )


@contextlib.contextmanager
def _kept_descriptor(path: str, name: str) -> Iterator[None]:
    """Keep a file descriptor of this process for later."""
    try:
        fd = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise trouble(error, name, path, "made") from None
    try:
        yield
    finally:
        os.close(fd)


class Reply(NamedTuple):
    """What has become of a command.

    Attributes
    ----------
    state : {"done", "not started", "started, unknown"}
        "not started": it was withdrawn in time, nobody will do it. "started, unknown": who took it has
        died, or had not answered in time.
    data : bytes, str or None
        The answer of the taker; None if there is none.
    error : bool
        The taker says that it failed.
    """

    state: State
    data: bytes | str | None
    error: bool


class Ticket(Single):
    """A command that was sent. If it is thrown away the command stays, and its reply is thrown away.

    Attributes
    ----------
    number : int
        Of the command in its queue, from 1.
    """

    _single = "its caller waits in this process; wait for the reply, and pass that"

    def __init__(self, queue: CommandQueue, slot: int, word: int, number: int) -> None:
        self._queue, self._slot, self._word, self.number = queue, slot, word, number
        self._reply: Reply | None = None

    @property
    def state(self) -> State:
        """What has become of it: "waiting", "started", or the state of the `Reply` that `wait` returns."""
        with self._queue._turn:
            if self._reply is not None:
                return self._reply.state
            return _WORDS[self._queue._state(self._slot, self._word)]

    def wait(self, timeout: float | None = None) -> Reply:
        """Wait for the reply, without the GIL.

        Parameters
        ----------
        timeout : float or None, default None
            Seconds; None waits for ever.

        Returns
        -------
        Reply
            If it is "done", or if the taker died.

        Raises
        ------
        ChannelTimeoutError
            Nothing yet; the command stays.
        ChannelRemovedError
            The queue was removed and the command was not taken. It was withdrawn.
        ChannelDamagedError, ChannelClosedError
        """
        if self._reply is None:
            state = self._waited(timeout)
            if state == "waiting" and self._queue._is_gone() and self.withdraw():
                raise self._queue._removed()
            if state in ("waiting", "started"):
                raise ChannelTimeoutError(
                    f"channel {self._queue.name!r}: command {self.number} is {state}, "
                    f"without a reply after {timeout} s",
                    channel=self._queue.name,
                    path=self._queue.path,
                    timeout=timeout,
                )
            self._close(state)
        assert self._reply is not None
        return self._reply

    def _waited(self, timeout: float | None) -> State:
        """Wait for another state; that of the reply if another thread has taken it meanwhile."""
        try:
            return _WORDS[self._queue._wait(self._slot, self._word, timeout)]
        except ChannelFormatError:
            with self._queue._turn:
                if self._reply is None:
                    raise
                return self._reply.state

    async def wait_async(self, timeout: float | None = None) -> Reply:
        """Wait for the reply, as `wait`, without blocking the event loop of asyncio; or ``await ticket``.

        A task that is cancelled waits no longer; the command stays, and can be waited for again.
        """
        return await read_later(lambda: self.wait(0), self._awaited, timeout, look=_LOOK_SECONDS)

    def __await__(self) -> Generator[Any, None, Reply]:
        return self.wait_async().__await__()

    def _awaited(self) -> Awaited:
        """Return what `pymilk.wait_any` waits for: see `pymilk.streams.waiting.Awaited`."""
        if self._reply is not None:
            return Bell(), 0, lambda: True
        return self._queue._reply_awaited(self._slot, self._word)

    def _close(self, state: State) -> None:
        with self._queue._turn:
            if self._reply is not None:
                return  # another thread was faster
            if state == "done":
                data, error = self._queue._collect(self._slot, self._word)
                self._reply = Reply("done", data, error)
            else:
                self._queue._leave(self._slot, self._word)
                self._reply = Reply(state, None, False)

    def withdraw(self) -> bool:
        """Take the command back; False if it was taken before."""
        with self._queue._turn:
            if self._reply is None and self._queue._withdraw(self._slot, self._word):
                self._reply = Reply("not started", None, False)
            return self._reply is not None and self._reply.state == "not started"

    def leave(self) -> Reply:
        """Wait no longer: take the command back, or say that it was started.

        Returns
        -------
        Reply
            "done", if the reply came just now.
        """
        with self._queue._turn:
            if not self.withdraw() and self._reply is None:
                state = self.state
                self._close("done" if state == "done" else "started, unknown")
        assert self._reply is not None
        return self._reply

    def __del__(self) -> None:
        if getattr(self, "_reply", self) is None:
            with contextlib.suppress(ChannelClosedError, ChannelFormatError):
                self._queue._leave(self._slot, self._word)

    def __repr__(self) -> str:
        return f"<Ticket of command {self.number} of {self._queue.name!r}>"


class Command(Single):
    """A command that this process has taken, to be answered once.

    Attributes
    ----------
    data : bytes or str
        As it was sent.
    number : int
    time_ns : int
        When it was sent, in nanoseconds UTC since 1970.

    Notes
    -----
    At the end of ``with`` a command without an answer gets an empty one; after an exception its text,
    as an error.
    """

    _single = "it is answered by the process that took it; pass its data"

    def __init__(
        self, queue: CommandQueue, slot: int, word: int, number: int, time_ns: int, data: bytes | str
    ) -> None:
        self._queue, self._slot, self._word = queue, slot, word
        self.number, self.time_ns, self.data = number, time_ns, data
        self.answered = False

    def reply(self, data: Data = b"", *, error: bool = False) -> bool:
        """Answer.

        Parameters
        ----------
        data : bytes, str or buffer
        error : bool, default False
            It failed, and `data` says why.

        Returns
        -------
        bool
            False if the caller waits no longer.

        Raises
        ------
        RecordTooLongError
            It can be answered again.
        ChannelArgumentError
            It was answered before, or `data` is something else.
        ChannelDamagedError, ChannelClosedError
        """
        if self.answered:
            raise ChannelArgumentError(
                f"channel {self._queue.name!r}: command {self.number} was answered before",
                channel=self._queue.name,
                argument="data",
                found=data,
            )
        wanted = self._queue._finish(self._slot, self._word, data, error)
        self.answered = True
        return wanted

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.answered:
            if error is None:
                self.reply()
            else:
                self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """Answer that it failed, with the text of an exception, which goes on: nothing is raised instead."""
        text = f"{type(error).__name__}: {error}".encode(errors="replace")[: self._queue.size]
        # The queue may be closed; or it was answered, and the exception came just behind that.
        with contextlib.suppress(ChannelError):
            self.reply(text.decode(errors="ignore"), error=True)

    def __repr__(self) -> str:
        return f"<Command {self.number} of {self._queue.name!r}: {self.data!r}>"


class CommandQueue(QueueFile, Channel):
    """Commands from any number of callers to any number of takers, in the order in which they were sent.

    Each command is taken once, and its caller learns what has become of it. Made by `create` or `attach`.

    Attributes
    ----------
    name, path : str
    slots : int
        Commands that can be in the queue at once, replies that nobody has read yet among them.
    size : int
        Most bytes of a command or reply.

    Notes
    -----
    Calls of a closed object raise `ChannelClosedError`, and timeouts that are no number of seconds
    `StreamArgumentError`.

    Examples
    --------
    >>> from pymilk.channels import CommandQueue
    >>> with CommandQueue.create("doc_queue", replace=True) as queue:
    ...     ticket = queue.send("open shutter")
    ...     with queue.take(timeout=1) as command:
    ...         _ = command.reply(f"did {command.data}")
    ...     print(ticket.wait(timeout=1).data)
    ...     queue.remove()
    did open shutter
    """

    _life = -1

    def __init__(self) -> None:
        raise TypeError("a CommandQueue is made by CommandQueue.create or CommandQueue.attach")

    @classmethod
    def create(
        cls,
        name: str | os.PathLike[str],
        slots: int = 64,
        size: int = 1024,
        *,
        spin: float = 2e-6,
        replace: bool = False,
        mode: int = 0o666,
    ) -> Self:
        """Make a queue, and attach it.

        Parameters
        ----------
        name : str or PathLike
            Or the path of its file, which ends in ``.cmd.shm``.
        slots : int, default 64
            From 1 to 4096.
        size : int, default 1024
            Most bytes of a command or reply, rounded up to a multiple of 8; up to 16 MiB.
        spin : float, default 2e-6
            See `attach`.
        replace : bool, default False
            Take the place of a queue of that name; who uses that one gets a `ChannelRemovedError`.
        mode : int, default 0o666
            Permissions, less the umask. Callers and takers need to write.

        Raises
        ------
        ChannelExistsError, ChannelPermissionError, ChannelStorageError
        ChannelArgumentError, StreamArgumentError, StreamNameError
        """
        path = channel_path(name, Kind.cmd)
        plain = channel_name(path, Kind.cmd)
        for argument, found in (("slots", slots), ("size", size)):
            least, most = _LIMITS[argument]
            if not least <= check_count(argument, found, argument) <= most:
                raise ChannelArgumentError(
                    f"channel {plain!r}: {argument} is a number from {least} to {most}, not {found}",
                    channel=plain,
                    argument=argument,
                    found=found,
                )
        _check_spin(spin)
        size = (size + 7) // 8 * 8
        nbytes = HEADER_NBYTES + max(1024, slots * (SLOT_NBYTES + size))
        with contextlib.ExitStack() as stack:
            old = None
            if replace:
                with contextlib.suppress(ChannelNotFoundError, ChannelFormatError):
                    old = stack.enter_context(cls.attach(path))
            header = new_header(Kind.cmd, nbytes, slots, size)
            with held_signals():  # the file is there, and the old one retired, or neither
                with _kept_descriptor(path, plain):  # to attach it takes one more than to make it
                    os.close(create_channel(path, plain, header, nbytes, replace=replace, mode=mode))
                if old is not None:
                    old._retire()
        return cls.attach(path, spin=spin)

    @classmethod
    def attach(cls, name: str | os.PathLike[str], *, spin: float = 2e-6) -> Self:
        """Attach a queue that exists, to send or to take.

        Parameters
        ----------
        name : str or PathLike
        spin : float, default 2e-6
            Seconds for which a wait watches the queue before it sleeps. 0.001 saves the time of waking up,
            and costs that of a core.

        Raises
        ------
        ChannelNotFoundError, ChannelPermissionError, ChannelFormatError
        ChannelArgumentError, StreamNameError
        """
        _check_spin(spin)
        return cls._open(name, True, spin)

    @classmethod
    def _look(cls, path: str) -> Self:
        """Attach it only to look at its numbers."""
        return cls._open(path, False, 0.0)

    @classmethod
    def _open(cls, name: str | os.PathLike[str], use: bool, spin: float) -> Self:
        path = channel_path(name, Kind.cmd)
        plain = channel_name(path, Kind.cmd)
        with held_signals():  # until an object has the descriptors
            return cls._opened(path, plain, use, spin)

    @classmethod
    def _opened(cls, path: str, plain: str, use: bool, spin: float) -> Self:
        queue = cls.__new__(cls)
        queue._turn = threading.RLock()
        fd, _ = open_channel(path, plain, use)
        try:
            if use:
                # No memory is mapped through this one: the lock ends when it is closed.
                queue._life, _ = open_channel(path, plain, True)
                if not os.path.sameopenfile(fd, queue._life):
                    raise ChannelRemovedError(
                        f"channel {plain!r} was made anew meanwhile; attach it again",
                        channel=plain,
                        path=path,
                    )
            QueueFile.__init__(queue, fd, queue._life, path, plain, Kind.cmd, use, spin)
        except BaseException:
            queue._let_go()
            raise
        finally:
            os.close(fd)
        tell_after_fork(queue)
        return queue

    def _in_use(self) -> set[tuple[State | None, int, int, int]]:
        """Return state, owner, time in ns and bytes of each used slot; a state of None is damage."""
        return {
            ("started" if state == _LEFT else _WORDS.get(state), owner, time_ns, length)
            for state, owner, time_ns, length in self._slots()
            if state not in _EMPTY
        }

    def _after_fork(self) -> None:
        """Close the copy of a child: the lock that shows that the queue is used is that of the parent."""
        self._turn = threading.RLock()  # a thread of the parent may hold it
        self.close()

    def _let_go(self) -> None:
        life, self._life = self._life, -1
        if life >= 0:
            os.close(life)

    def send(self, data: Data, timeout: float | None = 0.0) -> Ticket:
        """Put a command into the queue.

        Parameters
        ----------
        data : bytes, str or buffer
            A str comes as str. Copied.
        timeout : float or None, default 0
            Seconds to wait for a free slot; None waits for ever.

        Returns
        -------
        Ticket

        Raises
        ------
        ChannelFullError
            No slot became free.
        RecordTooLongError, ChannelArgumentError
        ChannelRemovedError, ChannelDamagedError, ChannelClosedError
        """
        sent: list[tuple[int, int]] = []
        try:
            ticket = Ticket(self, *self._send(data, timeout, sent))
        except BaseException:  # of a signal handler too: nobody would have the ticket
            for slot, word in sent:
                with contextlib.suppress(ChannelError):  # the exception that came goes on
                    if not self._withdraw(slot, word):
                        self._leave(slot, word)
            raise
        return ticket

    def call(self, data: Data, timeout: float | None = None) -> Reply:
        """Send a command, and wait for what becomes of it. Not later than the timeout that is known.

        Parameters
        ----------
        data : bytes, str or buffer
        timeout : float or None, default None
            Seconds, for a free slot and the reply; None waits for ever. A command that nobody has taken by
            then is withdrawn.

        Returns
        -------
        Reply

        Raises
        ------
        ChannelFullError, RecordTooLongError, ChannelArgumentError
        ChannelRemovedError, ChannelDamagedError, ChannelClosedError
        """
        limit, began = checked_timeout(timeout), time.monotonic()
        ticket = self.send(data, limit)
        try:
            return ticket.wait(None if limit is None else max(0.0, began + limit - time.monotonic()))
        except ChannelTimeoutError:
            return ticket.leave()
        except BaseException:  # of a signal handler too
            with contextlib.suppress(ChannelError):
                ticket.withdraw()
            raise

    def take(self, timeout: float | None = None) -> Command:
        """Take the oldest command; wait for one without the GIL.

        Parameters
        ----------
        timeout : float or None, default None
            Seconds; None waits for ever, 0 only looks.

        Returns
        -------
        Command
            To be answered: ``with queue.take() as command: command.reply(...)``.

        Raises
        ------
        ChannelTimeoutError
        ChannelRemovedError
            There are no more, and none will come.
        ChannelDamagedError, ChannelClosedError
        """
        begun: list[tuple[int, int]] = []
        try:
            found = self._take(timeout, begun)
            self._tell()
            command = None if found is None else Command(self, *found)
        except BaseException as error:  # of a signal handler too: its caller waits for an answer
            for slot, word in begun:
                Command(self, slot, word, 0, 0, "")._fail(error)
            self._tell()
            raise
        if command is not None:
            return command
        raise ChannelTimeoutError(
            f"channel {self.name!r}: no command within {timeout} s",
            channel=self.name,
            path=self.path,
            timeout=timeout,
        )

    async def take_async(self, timeout: float | None = None) -> Command:
        """Take the oldest command, as `take`, without blocking the event loop of asyncio.

        One thread of the process waits for all tasks. Cancelling the task ends its wait at once, and takes no
        command.
        """
        return await self._later(lambda: self.take(0), timeout)

    def __iter__(self) -> Iterator[Command]:
        while True:
            yield self.take()

    async def __anext__(self) -> Command:
        return await self.take_async()

    def serve(self, function: Callable[[bytes | str], Data | None]) -> None:
        """Answer commands by a function, until the queue is removed or Ctrl-C.

        Parameters
        ----------
        function : callable
            Called with the data of each command; what it returns is the reply (None: an empty one). An
            exception is an error reply with its text, and the next command is taken.
        """
        with contextlib.suppress(ChannelRemovedError):
            while True:
                command = self.take()
                try:
                    answer = function(command.data)
                    command.reply(b"" if answer is None else answer)
                except BaseException as error:
                    if not command.answered:
                        command._fail(error)
                    if not isinstance(error, Exception):
                        raise

    def remove(self) -> None:
        """Delete the file, and close. What was sent can be taken; then there is a `ChannelRemovedError`."""
        self._retire()
        remove_channel(self.path, self.name)
        self.close()

    def close(self) -> None:
        """Let go of the file. Commands that this object took and did not answer become "started, unknown"."""
        super().close()
        self._close_descriptor()
        self._let_go()

    def __del__(self) -> None:
        self._let_go()

    def __repr__(self) -> str:
        return f"<CommandQueue {self.name!r}{' closed' if self.closed else ''}>"


def look_at(path: str) -> CommandQueue:
    """Attach a queue only to look at its numbers: neither as a caller nor as a taker."""
    return CommandQueue._look(path)


def slots_in_use(queue: CommandQueue) -> set[tuple[State | None, int, int, int]]:
    """Return state, owner, time in ns and bytes of each used slot; a state of None is damage."""
    return queue._in_use()
