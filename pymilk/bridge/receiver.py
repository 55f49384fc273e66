"""Receive a stream of another machine into an ordinary stream of this one."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np

from .._core import Keyword, checked_timeout
from .._types import Array
from ..arguments import Replace, check_count, check_kind
from ..errors import (
    BridgeError,
    BridgeMessageError,
    NotStartedError,
    StreamArgumentError,
    StreamError,
    StreamGoneWarning,
)
from ..names import check_name
from ..streams.rings import check_slots
from ..system.blocks import Block
from ..system.ending import close_at_exit
from ..system.faults import fault_of, words_of_fault
from ..system.forks import left_with_parent, tell_after_fork
from ..system.journal import GapTeller
from ..system.latch import Latch
from ..system.notices import warn_always
from ..system.signals import unbroken
from ..system.threads import do_all, join_thread, start_thread
from ..times import now_ns
from .account import Account, Arrival
from .clocks import Clock, ask_clock
from .codecs import check_codec
from .connections import Connections
from .directory import read_about
from .engine import Engine
from .header import MAX_FRAME, Message, decode, nbytes_most
from .history import Held, ask_past
from .keys import ABOUT, CLOCK, HERE, LIKE, OPTIONS, PAST, key_of, source_of
from .links import Links
from .numbers import family_of
from .options import Options
from .reports import ReceiverReport
from .target import Target
from .telling import refused
from .zenoh import open_engine

__all__ = ["BRIDGE_ROW", "FLAG_AWAY", "FLAG_BEFORE", "FLAG_ON_WAY", "FLAG_SKIPPED", "Receiver"]

#: Frames before this one were lost at the sender's end, on the way, while sender or receiver were not there.
FLAG_BEFORE, FLAG_ON_WAY, FLAG_AWAY = 1 << 16, 1 << 17, 1 << 18

#: Frames before this one were left out because this receiver asked for the newest: they are not lost.
FLAG_SKIPPED = 1 << 20

#: One row for each frame: its counter here, then what the source says of it, then what is known here. Times
#: are nanoseconds of CLOCK_TAI; `atime_ns` and `writetime_ns` by the clock of the source.
BRIDGE_ROW = np.dtype(
    [
        ("counter", "<u8"),
        ("cnt0", "<u8"),
        ("cnt1", "<u8"),
        ("atime_ns", "<i8"),
        ("writetime_ns", "<i8"),
        ("arrival_ns", "<i8"),
        ("lost", "<u8"),
        ("on_way", "<u8"),
        ("skipped", "<u8"),
        ("flags", "<u4"),
    ],
    align=True,
)

#: Rows that are kept.
_ROWS = 4096

#: Seconds to wait for an answer what the stream is like.
_ASK_SECONDS = 1.0

#: Round trips that follow each other soon, and seconds between them; later ones are as far apart as questions
#: may take.
_CLOCK_FIRST, _CLOCK_SOON_SECONDS = 8, 0.05

#: Seconds to wait for an answer with frames, and how often it is asked for.
_ANSWER_SECONDS, _ATTEMPTS = 5.0, 3
#: A sender that is there says something each second; after so many without a word another one may follow it.
_SILENCE_SECONDS = 5.0

#: Frames beyond this number have no counter; no honest stream comes to it.
_COUNTER_MOST = 1 << 61

#: Seconds between two looks whether the file is still that of the stream.
_LOOK_SECONDS = 1.0


_OLD = "it is older than what is here, or its sender was followed by another one"


class Receiver(Block):
    """Publish the frames of a stream of another machine in a stream of this one, with the same account.

    A context manager: it receives from its beginning to its end. Or `start`, `stop` and `wait`; it ends with
    the interpreter. The stream is made when the first message comes, and deleted at the end.

    Parameters
    ----------
    source : str
        ``HOST/STREAM``, as `directory` has them.
    links : Links, optional
        Whom to connect to, or where to listen.
    name : str, optional
        Of the stream here. Default: that at the source, with ``_HOST`` behind it.
    ring : int, optional
        Slots of its ring. Default: what fits into 256 MiB, but 16 to 4096.
    max_frame : int, default 64_000_000
        Bytes that a frame may have; larger ones are refused before memory is asked for.
    force : bool, default False
        Replace a stream of that name also if it is in use.
    options : Options, optional
        What the sender is asked for: fewer, smaller or compressed frames, the past.
    engine : Engine, optional
        Instead of one of its own; it stays the caller's.

    Attributes
    ----------
    error : StreamError or None
        What ended it, if it was not `stop`.

    Raises
    ------
    BridgeAddressError, StreamNameError, StreamArgumentError
        From the beginning.
    LibraryMissingError, BridgeError, BridgeKeyError
        From `start`. `BridgeError` from `wait` as well, if the sender refuses what it is asked for.

    Notes
    -----
    Within one file of the source, counters here differ from those at the source by a constant, which the
    keyword PMBROFF has: usually 0. Acquisition times are those of the source, by its clock. Frames that are
    missing leave a gap in the counters, so that every reader counts them. Those that are left out on purpose
    leave none: PMBROFF is that of the newest frame then.

    The stream of a receiver that was killed is taken over with its counters.
    """

    _single = "its threads belong to this process; make another one, with another name="

    def __init__(
        self,
        source: str,
        links: Links | None = None,
        *,
        name: str | None = None,
        ring: int | None = None,
        max_frame: int = MAX_FRAME,
        force: bool = False,
        options: Options | None = None,
        engine: Engine | None = None,
    ) -> None:
        check_kind("options", options, Options, "a pymilk.bridge.Options")
        check_kind("links", links, Links, "a pymilk.bridge.Links")
        self.options = options or Options()
        self.source = source
        self._host, self._stream = source_of(source)
        self.name = check_name(f"{self._stream}_{self._host}" if name is None else name)
        self._ring = None if ring is None else check_slots("ring", ring)
        self._most = check_count("max_frame", max_frame, "bytes", below=2**31)
        self._replace: Replace = True if force else "if-free"
        self._links, self._engine, self._owned = links or Links(), engine, engine is None
        self.error: StreamError | None = None
        self._lock = threading.Lock()
        self._over = Latch()
        self._news = Latch()
        self._unasked: set[str] = set()  # senders that have not been asked for what the options say
        self._thread: threading.Thread | None = None
        self._started = self._ended = 0.0
        self._open: list[Any] = []
        self._connections: Connections | None = None
        self._account = Account()
        self._target: Target | None = None
        self._senders: set[str] = set()
        self._rows: Array = np.zeros(_ROWS, BRIDGE_ROW)
        self._received = self._repeated = self._refused = self._skipped = 0
        self._lost = {"before": 0, "on_way": 0, "away": 0}
        self._held: Held | None = Held() if self.options.history else None
        self._past = 0
        self._clock = Clock()
        self._trouble = self._silent = ""
        self._looked = self._heard = 0.0
        self._gaps = GapTeller(self.name)

    def start(self) -> Receiver:
        """Receive from now on; returns itself.

        Raises
        ------
        StreamArgumentError
            It was started before.
        StreamError
            See the class.
        """
        if self._started:
            raise StreamArgumentError("the receiver was started already", argument="start", found=None)
        check_codec(self.options.compress or "")
        try:
            engine = self._connect()
            self._thread = threading.Thread(
                target=self._begin, args=(engine,), name=f"pymilk-bridge-{self.name}", daemon=True
            )
            self._started = time.monotonic()
            tell_after_fork(self)
            close_at_exit(self)
            start_thread(self._thread)
        except BaseException:
            unbroken(self._undo)
            raise
        return self

    def _connect(self) -> Engine:
        """Open a session, if none was given, and look for senders."""
        engine = self._engine
        if engine is None:
            engine = self._engine = open_engine(self._links, nbytes_most(self._most))
            self._connections = Connections(self._links, engine).watch()
        here = key_of(self._host, self._stream, HERE) + "/*"
        self._open.append(engine.notice(here, self._notice))
        return engine

    def _listen(self, engine: Engine) -> None:
        frames = key_of(self._host, self._stream, self.options.last)
        self._open.append(engine.listen(frames, self._take))

    @property
    def running(self) -> bool:
        """Whether it receives."""
        return bool(self._started) and not self._over.is_set()

    @property
    def report(self) -> ReceiverReport:
        """The account so far."""
        until = self._ended or time.monotonic()
        return ReceiverReport(
            source=self.source, target=self.name, received=self._received, repeated=self._repeated,
            skipped=self._skipped, history=self._past, refused=self._refused,
            trouble=self._trouble or self._silent,
            senders=len(self._senders), clock=self._clock.read(),
            duration=until - self._started if self._started else 0.0, before=self._lost["before"],
            on_way=self._lost["on_way"], away=self._lost["away"],
            error=None if self.error is None else str(self.error),
            **(self._connections.told() if self._connections else {}),
        )  # fmt: skip

    def rows(self) -> Array:
        """Return the rows of the newest frames, oldest first.

        Returns
        -------
        ndarray of BRIDGE_ROW
            A copy, of the last 4096 at most. ``lost`` are all frames missing before it, ``on_way`` those of
            them that the sender had sent; FLAG_BEFORE, FLAG_ON_WAY and FLAG_AWAY say where they went.
            ``skipped`` are those that were left out on purpose, FLAG_SKIPPED.
        """
        with self._lock:
            end = self._received % _ROWS
            kept = np.concatenate([self._rows[end:], self._rows[:end]])
            return kept[max(0, _ROWS - self._received) :]

    def stop(self) -> ReceiverReport:
        """End, and delete the stream; its readers keep their memory. Returns the report."""
        self._end(None)
        if self._thread is not None and self._thread is not threading.current_thread():
            join_thread(self._thread)
        fault = do_all(self._shut, self._delete)
        if fault is not None:
            raise fault
        return self.report

    def _undo(self) -> None:
        """Undo a start; it may be started again."""
        if self._thread is not None:
            self._over.set()
            self._news.set()
            join_thread(self._thread)
        do_all(self._shut, self._delete)
        self._thread, self._started, self._over = None, 0.0, Latch()

    def _shut(self) -> None:
        """Take back what `_connect` and the thread did."""
        ends: list[Any] = [] if self._connections is None else [self._connections]
        ends += self._open
        self._open = []
        if self._owned and self._engine is not None:
            ends.append(self._engine)
            self._engine = None
        fault = do_all(*(each.close for each in ends))
        if fault is not None:
            raise fault

    def _delete(self) -> None:
        """Delete the stream."""
        with self._lock:
            target, self._target = self._target, None
            if target is not None:
                target.close(delete=True)

    def close(self) -> None:
        """Do the same as `stop`."""
        self.stop()

    def wait(self, timeout: float | None = None) -> ReceiverReport:
        """Wait for the end: that of another thread that calls `stop`, or an error.

        Parameters
        ----------
        timeout : float, optional
            Seconds; None waits without limit.

        Returns
        -------
        ReceiverReport

        Raises
        ------
        StreamError
            What ended it: the stream cannot be made, or is in use.
        NotStartedError
            Neither `start` nor `stop` was called.
        """
        limit = checked_timeout(timeout)
        if not (self._started or self._over.is_set()):
            raise NotStartedError(
                f"the receiver of {self.source} was never started; call start(), or use it in a with "
                "statement",
                stream=self.name,
            )
        if self._over.wait(limit) and self.error is not None:
            raise self.error
        return self.report

    def _end(self, error: StreamError | None) -> None:
        if not self._over.is_set():
            self._ended, self.error = time.monotonic(), error
            self._over.set()
        self._news.set()

    def _after_fork(self) -> None:
        # Connections and their threads stayed with the parent, and so did the stream.
        self._lock = threading.Lock()
        self._engine, self._open, self._target, self._thread = None, [], None, None
        self._connections = None
        over, self._over = self._over.is_set(), Latch()
        self._over.set()
        if not over:
            self.error = left_with_parent("receiver of the bridge", self.name)

    def _begin(self, engine: Engine) -> None:
        """Make the stream before frames come: it takes long enough to lose some. Then listen."""
        self._news.wait()
        if self._over.is_set():
            return
        try:
            if not self.options.special:
                for answer in engine.ask(key_of(self._host, self._stream, LIKE), _ASK_SECONDS):
                    self._learn(answer.message)
            else:
                self._ask(engine)
            if not self._over.is_set():
                self._listen(engine)
            if self.options.history and not self._over.is_set():
                self._join(engine)
            while not self._over.is_set():
                self._news.clear()
                self._ask(engine)
                self._inquire(engine)
                known = ask_clock(engine, key_of(self._host, self._stream, CLOCK), self._clock, _ASK_SECONDS)
                if not self._over.is_set():
                    begins = known and len(self._clock) < _CLOCK_FIRST
                    self._news.wait(_CLOCK_SOON_SECONDS if begins else _ASK_SECONDS)
        except BaseException as error:  # noqa: BLE001 (for `wait`)
            self._end(fault_of(error, f"the receiver of {self.source}", BridgeError))

    def _join(self, engine: Engine) -> None:
        """Publish the past, then what came meanwhile: it is held, and begins before the past ends."""
        held = self._held
        assert held is not None
        deadline = time.monotonic() + _ASK_SECONDS
        while held.first is None and time.monotonic() < deadline and not self._over.is_set():
            self._news.clear()
            if held.first is None:
                self._news.wait(max(0.0, deadline - time.monotonic()))

        def ask(question: bytes) -> list[bytes]:
            key = key_of(self._host, self._stream, PAST)
            for _ in range(_ATTEMPTS):
                answers = engine.ask(key, _ANSWER_SECONDS, question)
                if answers:
                    return [each.message for each in answers]
            return []

        try:
            for message in ask_past(ask, self.options, self._most, held.reached):
                with self._lock:
                    if self._over.is_set():
                        return
                    self._past += self._put(message, now_ns())
        except (BridgeError, BridgeMessageError) as error:
            self._trouble = str(error)
        with self._lock:
            self._account.join()
            for data, arrived in held:
                if not self._over.is_set():
                    self._put(decode(data, self._most), arrived)
            self._held = None

    def _ask(self, engine: Engine) -> None:
        """Ask senders that have come for what the options say; each until it answers."""
        asked = set(self._unasked)
        if not asked or not self.options.special:
            return
        key = key_of(self._host, self._stream, OPTIONS)
        answers = engine.ask(key, _ASK_SECONDS, self.options.question)
        for answer in answers:
            why = refused(answer.message)
            if why:
                raise BridgeError(f"{self._host} refuses to send {self._stream} with {self.options}: {why}")
            self._learn(answer.message)
        if answers:
            self._unasked -= asked
            self._trouble = self._trouble if self._refused else ""
        elif self._senders:
            self._trouble = (
                f"{self._host} does not answer whether it sends {self._stream} with {self.options}; an older "
                "pymilk does not know that"
            )

    def _inquire(self, engine: Engine) -> None:
        """Ask why no message comes, once there was none for some seconds."""
        if time.monotonic() - max(self._heard, self._started) < _SILENCE_SECONDS:
            self._silent = ""
            return
        answers = engine.ask(key_of(self._host, self._stream, ABOUT), _ASK_SECONDS)
        found = [read_about(each.key, each.message) for each in answers]
        troubles = [each.trouble for each in found if each and each.kind == "stream" and each.trouble]
        self._silent = f"{self._host} cannot send {self._stream}: {troubles[0]}" if troubles else ""

    def _learn(self, answer: bytes) -> None:
        """Take an answer what the stream is like; an empty one says that there is none now."""
        if answer:
            self._take(answer)

    # -- in a thread of the engine --------------------------------------------------------------

    def _notice(self, key: str, there: bool) -> None:
        for among in (self._senders, self._unasked):
            (among.add if there else among.discard)(key)
        if there:
            self._news.set()

    def _take(self, data: bytes) -> None:
        if self._over.is_set():
            return
        arrived = now_ns()
        try:
            message = decode(data, self._most)
            with self._lock:
                if self._over.is_set():
                    return
                if self._held is not None and len(message.rows):
                    self._held.put(data, arrived, message)
                    self._news.set()
                else:
                    self._put(message, arrived)
        except BridgeMessageError as error:
            self._refuse(str(error))
        except MemoryError:
            self._refuse("there is no memory for it")
        except StreamError as error:
            self._end(error)
        except BaseException as error:  # noqa: BLE001 (the engine would print it, and go on)
            self._refuse(words_of_fault(error))

    def _refuse(self, why: str) -> None:
        self._refused += 1
        self._trouble = why

    def _put(self, message: Message, arrived: int) -> int:
        """Publish what is new in a message; returns how many frames that are."""
        why = self._why_not(message)
        if why:  # before the stream is made anew for it
            self._refuse(why)
            return 0
        target = self._target_for(message)
        arrival = self._account.take(message)
        if arrival is None:
            self._refuse(_OLD)
            return 0
        self._heard = time.monotonic()
        self._repeated += arrival.first
        if arrival.first < len(message.rows):
            counters = target.publish(message, arrival)
            self._note(message, arrival, counters, arrived)
        if message.keywords is not None:
            self._keep(target, message.keywords)
        self._gaps.tend(sum(self._lost.values()))
        if time.monotonic() - self._looked > _LOOK_SECONDS:
            self._looked = time.monotonic()
            self._look()
        return len(message.rows) - arrival.first

    def _keep(self, target: Target, words: list[Keyword]) -> None:
        """Store keywords; some that no stream can have do not end what receives the frames."""
        try:
            target.keep(words)
        except StreamError as error:
            self._refuse(f"keywords of a message were refused: {error}")

    def _why_not(self, message: Message) -> str:
        """Return why a message is not for this receiver; "" if it may be."""
        sender = self._account.sender
        family = None if sender is None else family_of(sender)
        rival = family is not None and family_of(message.sender) != family
        if rival and time.monotonic() - self._heard < _SILENCE_SECONDS:
            here = f"{key_of(self._host, self._stream, HERE)}/{family:x}"
            if here in self._senders:
                return f"another sender of {self.source} is there, and was here first"
        if self._account.weigh(message) is None:
            return _OLD
        if self._target is not None and self._target.stream.counter > _COUNTER_MOST:
            return f"the counter of {self.name} has come to its end"
        return ""

    def _target_for(self, message: Message) -> Target:
        """Return the stream for a message: the present one, or a new one for frames of another kind."""
        target = self._target
        if target is None:
            target = Target(self.name, message, self._ring, self._replace)
            if target.known is not None:
                self._account = Account((message.epoch, target.known))
        elif not target.fits(message):
            self._target = None
            target.close(delete=True)
            target = Target(self.name, message, self._ring, self._replace)
        self._target = target
        return target

    def _note(self, message: Message, arrival: Arrival, counters: Array, arrived: int) -> None:
        """Keep the rows, and add up what is missing."""
        source = message.rows[arrival.first :]
        rows = np.zeros(len(source), BRIDGE_ROW)
        for name in ("cnt0", "cnt1", "atime_ns", "writetime_ns", "lost", "flags"):
            rows[name] = source[name]
        rows["counter"], rows["arrival_ns"] = counters, arrived
        rows["flags"][rows["lost"] > 0] |= FLAG_BEFORE
        rows["lost"][0], rows["on_way"][0] = arrival.lost, arrival.on_way
        rows["skipped"] = source["skipped"]
        rows["skipped"][0] = arrival.skipped
        rows["flags"][rows["skipped"] > 0] |= FLAG_SKIPPED
        self._skipped += int(rows["skipped"].sum())
        flags = int(rows["flags"][0])
        for flag, count in (
            (FLAG_BEFORE, arrival.before), (FLAG_ON_WAY, arrival.on_way), (FLAG_AWAY, arrival.away)
        ):  # fmt: skip
            flags |= flag if count else 0
        rows["flags"][0] = flags
        self._rows[(self._received + np.arange(len(rows))) % _ROWS] = rows
        self._received += len(rows)
        self._lost["before"] += arrival.before + int(rows["lost"][1:].sum())
        self._lost["on_way"] += arrival.on_way
        self._lost["away"] += arrival.away

    def _look(self) -> None:
        """Make the stream anew if another program deleted it, or took its name."""
        target = self._target
        if target is not None and target.lose():
            self._target = None
            target.close(delete=False)
            warn_always(
                f"stream {self.name!r}: its file was deleted or replaced by another program; it is made anew",
                StreamGoneWarning,
            )

    def __repr__(self) -> str:
        return f"<Receiver {self.source!r} -> {self.name!r}>"
