"""Read message logs of other machines."""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from collections.abc import Iterator

from .._core import checked_timeout
from ..arguments import check_count
from ..channels import MessageLog
from ..channels.log import HEADER_NBYTES
from ..channels.messages import DEFAULT_NBYTES
from ..errors import (
    BridgeError,
    BridgeMessageError,
    ChannelNotFoundError,
    StreamArgumentError,
    StreamTimeoutError,
)
from ..native.alone import Alone
from ..system.blocks import Block
from ..system.ending import close_at_exit
from ..system.forks import tell_after_fork
from ..system.latch import Latch
from ..system.signals import unbroken
from .connections import Connections
from .engine import Engine, Registration
from .header import MAX_FRAME, nbytes_most
from .keys import LOG, NEWS, key_of, source_of
from .links import Links
from .log_reports import TailReport
from .log_wire import LogAnswer, LogQuestion, LogRecord
from .telling import refused
from .zenoh import open_engine

__all__ = ["LogRecord", "Tail", "TailReport"]

#: Seconds to wait for an answer, for the first one if new messages are not waited for, for news, and after a
#: question without an answer.
_ANSWER_SECONDS, _FIRST_SECONDS, _NEWS_SECONDS, _AGAIN_SECONDS = 5.0, 10.0, 1.0, 0.2

#: Most bytes of messages that are asked for at a time.
_PIECE_NBYTES = 1 << 20

_LAST_MOST = 2**62

#: Bytes that a message takes in a log besides its own, rounded up.
_AROUND = 64


class Tail(Block):
    """Read a message log of another machine: an iterator of its messages, from `start` to `stop`.

    A context manager that starts and stops. The sender there, `Sender(log=...)` or `pymilk bridge send
    --log`, says that there is news, and messages are asked for: what got lost on the way is asked for again
    as long as the log has it, also after a link or a sender failed. A log that is made anew is followed.

    Parameters
    ----------
    source : str
        ``HOST/LOG``.
    links : Links, optional
        Whom to connect to.
    last : int, default 10
        Begin with so many messages that are there.
    follow : bool, default True
        Wait for new messages. Without it, the iterator ends behind those that are there.
    engine : Engine, optional
        Instead of one of its own; it stays the caller's.

    Raises
    ------
    BridgeAddressError, StreamArgumentError
    LibraryMissingError, BridgeKeyError, BridgeError
        From `start`.

    Notes
    -----
    One thread reads, a second one gets `StreamBusyError`; others may call `stop` and `report`. A child after
    fork has none of it: its copy has ended.
    """

    _single = "its threads belong to this process; make another one"

    def __init__(
        self,
        source: str,
        links: Links | None = None,
        *,
        last: int = 10,
        follow: bool = True,
        engine: Engine | None = None,
    ) -> None:
        self.source, self.follow = source, follow
        self._host, self._log = source_of(source)
        self._last = check_count("last", last, "messages", least=0, below=_LAST_MOST)
        self._links, self._engine, self._owned = links or Links(), engine, engine is None
        self._connections: Connections | None = None
        self._listening: Registration | None = None
        self._news, self._over, self._lock = Latch(), Latch(), threading.Lock()
        self._alone = Alone(f"the tail of {source}", source)
        self._waiting: deque[LogRecord] = deque()
        self._asker = secrets.randbits(62) + 1
        self._file = self._after = self._goal = self._sender = self.longest = 0
        self._heard = self._away = False
        self._counts = dict.fromkeys(
            ("received", "before", "on_way", "away", "again", "remade", "cut_short", "refused"), 0
        )
        self._trouble = ""
        self._started = self._ended = self._due = 0.0

    def start(self) -> Tail:
        """Connect; returns itself.

        Raises
        ------
        StreamArgumentError
            It was started before.
        StreamError
            See the class.
        """
        if self._started:
            raise StreamArgumentError("the tail was started already", argument="start", found=None)
        try:
            self._open()
            self._started = time.monotonic()
            tell_after_fork(self)
            close_at_exit(self)
        except BaseException:
            unbroken(self._shut)
            self._started = 0.0  # it may be started again
            raise
        return self

    def _open(self) -> None:
        """Connect, and listen for news."""
        if self._engine is None:
            self._engine = open_engine(self._links, nbytes_most(MAX_FRAME) + _PIECE_NBYTES)
            self._connections = Connections(self._links, self._engine).watch()
        news = key_of(self._host, self._log, NEWS)
        self._listening = self._engine.listen(news, lambda _: self._news.set())

    @property
    def running(self) -> bool:
        """Whether it was started and not stopped."""
        return bool(self._started) and not self._over.is_set()

    @property
    def report(self) -> TailReport:
        """The account so far."""
        until, counts = self._ended or time.monotonic(), self._counts
        return TailReport(
            source=self.source, trouble=self._trouble, received=counts["received"], before=counts["before"],
            on_way=counts["on_way"], away=counts["away"], again=counts["again"], remade=counts["remade"],
            cut_short=counts["cut_short"], refused=counts["refused"],
            duration=until - self._started if self._started else 0.0,
            **(self._connections.told() if self._connections else {}),
        )  # fmt: skip

    def stop(self) -> TailReport:
        """End; a `read` of another thread ends within a second. Returns the report."""
        if not self._over.is_set():
            self._ended = time.monotonic()
        self._over.set()
        self._news.set()
        with self._lock:
            self._shut()
        return self.report

    def _shut(self) -> None:
        """Take back what `_open` did."""
        if self._connections is not None:
            self._connections.close()
        engine, self._engine = self._engine, None
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.close()
        if engine is not None and self._owned:
            engine.close()

    def close(self) -> None:
        """Do the same as `stop`."""
        self.stop()

    def read(self, timeout: float | None = None) -> LogRecord:
        """Return the next message.

        Parameters
        ----------
        timeout : float, optional
            Seconds; None waits without limit. A question that is under way is waited for: 5 s at most.

        Raises
        ------
        StreamTimeoutError
            There is none yet.
        BridgeUnreachableError, BridgeError
            Without `follow`: nobody answers, or it is refused. Else `report` says so, and it goes on.
        StreamArgumentError
            It was not started, or has ended.
        StreamBusyError
            Another thread is reading.
        """
        limit = checked_timeout(timeout)
        taken: LogRecord | None = None
        try:
            with self._alone:
                self._wait(limit)
                message = taken = self._waiting[0]
                del self._waiting[0]
                self._counts["received"] += 1
                return message
        except BaseException:
            if taken is not None:  # a signal handler raised before it reached the caller
                self._waiting.appendleft(taken)
                self._counts["received"] -= 1
            raise

    def _wait(self, limit: float | None) -> None:
        """Wait until a message is there."""
        deadline = None if limit is None else time.monotonic() + limit
        while not self._waiting:
            if self._news.is_set() or time.monotonic() >= self._due:
                if self._ask():
                    break
                self._due = time.monotonic() + (_AGAIN_SECONDS if self._away else _NEWS_SECONDS)
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                raise StreamTimeoutError(
                    f"{self.source}: no message within {limit:g} s", stream=self.source, timeout=limit or 0.0
                )
            self._news.wait(max(0.0, min(self._due, self._due if deadline is None else deadline) - now))

    def local_log(self, name: str) -> MessageLog:
        """Make a log of this machine for messages that were read here, or go on writing it.

        Parameters
        ----------
        name : str

        Returns
        -------
        MessageLog
            Writing; the caller closes it. It has room for the longest message of the other log. Numbers and
            times of what is appended to it are its own.

        Raises
        ------
        ChannelError
            It is in use, cannot be made, or is no log.
        """
        try:
            return MessageLog.attach(name, write=True)
        except ChannelNotFoundError:
            longest = min(self.longest, MAX_FRAME)
            return MessageLog.create(name, max(DEFAULT_NBYTES, HEADER_NBYTES + 2 * (longest + _AROUND)))

    def __iter__(self) -> Iterator[LogRecord]:
        if not self.follow:
            yield from self._there()
            return
        while self.running:
            try:
                message = self.read(_NEWS_SECONDS)
            except StreamTimeoutError:
                continue
            except StreamArgumentError:
                return  # it was stopped meanwhile
            yield message

    def _there(self) -> Iterator[LogRecord]:
        """Yield what the log has when it is asked first."""
        began = time.monotonic()
        while not self._heard:
            with self._alone:
                self._ask()
            if not self._heard and time.monotonic() - began > _FIRST_SECONDS:
                self._give_up()
            if not self._heard and self._over.wait(_AGAIN_SECONDS):
                return
        file, goal = self._file, self._goal
        while self._waiting or (self._file == file and self._after < goal):
            message = self.read(_FIRST_SECONDS)
            if message.new_log:
                return
            yield message

    def _give_up(self) -> None:
        if self._connections is not None:
            self._connections.check()
        raise BridgeError(
            self._trouble
            or f"nobody sends the log {self.source}: `pymilk bridge send` there needs --log {self._log}, and "
            "access rules must let this machine receive it"
        )

    def _after_fork(self) -> None:
        # Connections stayed with the parent.
        self._engine = self._listening = self._connections = None
        self._over, self._news, self._lock = Latch(), Latch(), threading.Lock()
        self._alone.after_fork()
        self._over.set()

    # -- questions ---------------------------------------------------------------------------------

    def _ask(self) -> bool:
        """Ask for the next messages; returns whether any came."""
        engine = self._engine
        if engine is None:
            raise StreamArgumentError("the tail was not started, or has ended", argument="read", found=None)
        self._news.clear()
        question = LogQuestion(self._asker, self._file, self._after, self._last, _PIECE_NBYTES)
        try:
            answers = engine.ask(key_of(self._host, self._log, LOG), _ANSWER_SECONDS, question.question)
        except BridgeError:
            if not self._over.is_set():
                raise
        if self._over.is_set():
            return False
        try:
            answer = self._chosen([each.message for each in answers], question)
        except BridgeMessageError as error:
            self._counts["refused"] += 1
            self._trouble, answer = str(error), None
        if answer is None:
            self._away = True
            self._counts["again"] += self._heard
            return False
        self._take(answer, question)
        return bool(answer.records)

    def _chosen(self, messages: list[bytes], question: LogQuestion) -> LogAnswer | None:
        """Return the answer of the sender that answered before, else of any."""
        found = []
        self._trouble = "" if messages else f"nobody answers for {self.source}"
        for each in messages:
            why = refused(each)
            if why:
                self._trouble = f"the sender of {self.source} refuses: {why}"
            else:
                found.append(LogAnswer.decode(each, question))
        if found:
            self._trouble = ""
        return next((each for each in found if each.sender == self._sender), found[0] if found else None)

    def _take(self, answer: LogAnswer, question: LogQuestion) -> None:
        """Count what is missing, and keep what came."""
        same = answer.log == question.log
        new_log = bool(question.log) and not same
        if answer.records:
            counts = self._counts
            first, *others = answer.records
            came = [first._replace(lost=answer.lost, new_log=new_log), *others]
            # No exception of a signal handler can come between here and the last store.
            counts["on_way"] += answer.on_way
            counts["away" if self._away else "before"] += answer.lost - answer.on_way
            counts["remade"] += new_log
            counts["cut_short"] += new_log and not answer.whole
            self._file, self._after = answer.log, came[-1].number
            self._waiting += came
        elif not question.log:
            # Nothing is there yet, or nothing was asked for: what comes is counted from here on.
            self._file, self._after = answer.log, answer.written
        self._goal = answer.written if not self._heard else self._goal
        self._heard, self._away = True, False
        self._sender, self.longest = answer.sender, answer.longest

    def __repr__(self) -> str:
        return f"<Tail of {self.source!r}>"
