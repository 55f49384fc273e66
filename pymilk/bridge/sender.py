"""Send streams of this machine to others."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from .._core import checked_timeout, read_header
from ..arguments import check_kind, check_texts
from ..errors import BridgeError, NotStartedError, StreamArgumentError, StreamError
from ..names import SUFFIX, check_name, is_pattern, matches, stream_directory, stream_name
from ..system.blocks import Block
from ..system.ending import close_at_exit
from ..system.faults import fault_of
from ..system.forks import left_with_parent, tell_after_fork
from ..system.latch import Latch
from ..system.signals import unbroken
from ..system.threads import do_all, join_thread, start_thread
from ..times import now_ns
from .clocks import answer_clock
from .codecs import check_codec
from .connections import Connections
from .engine import Engine, Registration
from .header import MAX_FRAME, nbytes_most
from .history import past
from .keys import (
    ABOUT,
    CLOCK,
    HERE,
    LIKE,
    OPTIONS,
    PAST,
    RECORDINGS,
    host_name,
    key_fitting,
    key_of,
    names_in,
)
from .line import Line
from .links import Links
from .log_desk import LogDesk
from .numbers import Family
from .options import Options
from .parameters import ParameterDesk, ParameterOffer
from .reports import SenderReport
from .shelf import Shelf
from .telling import like, refusal
from .zenoh import open_engine

__all__ = ["Sender"]

#: Seconds between two looks for new streams.
_LOOK_SECONDS = 0.5

#: Most kinds of frames that are sent of one stream at a time, besides the plain ones; seconds after which a
#: kind that nobody wants any more is forgotten.
_KINDS_MOST, _KIND_SECONDS = 16, 30.0

_PLAIN = Options()


class Sender(Block):
    """Send streams to all who listen, until it is stopped.

    A context manager: it sends from its beginning to its end. Or `start`, `stop` and `wait`; it ends with the
    interpreter. Each stream has a thread that reads it as any other reader does: its writer notices nothing,
    also if nobody listens or a link is slow. While nobody listens, nothing is read.

    Parameters
    ----------
    patterns : tuple of str
        Names of streams, or patterns of them (``wfs*``). Streams that come later are sent as well.
    links : Links, optional
        Where to listen, or whom to connect to.
    host : str, optional
        What this machine is called. Default: its host name up to the first dot.
    serve : str or PathLike, optional
        A folder: whoever listens may fetch its recordings of these streams. Default: none.
    log : tuple of str, optional
        Names of message logs, or patterns of them, that others may read; there need be no streams then.
    params : ParameterOffer, optional
        Parameters (FPS) to offer; there need be no streams then. Default: none.
    engine : Engine, optional
        Instead of one of its own; it stays the caller's.

    Attributes
    ----------
    error : StreamError or None
        What ended it, if it was not `stop`.

    Raises
    ------
    StreamArgumentError, StreamNameError
        There are no patterns, or the host has no usable name.
    LibraryMissingError, BridgeError, BridgeKeyError
        From `start`.
    StreamNotFoundError
        From `start`: there is no folder to serve.
    """

    _single = "its threads belong to this process; make another one"

    def __init__(
        self,
        patterns: tuple[str, ...],
        links: Links | None = None,
        *,
        host: str | None = None,
        serve: str | os.PathLike[str] | None = None,
        log: tuple[str, ...] = (),
        params: ParameterOffer | None = None,
        engine: Engine | None = None,
    ) -> None:
        wanted = "a tuple of names or patterns"
        self.patterns = check_texts("patterns", () if patterns is None else patterns, wanted)
        self.log = check_texts("log", log, wanted)
        if not (self.patterns or self.log or params):
            raise StreamArgumentError(
                "patterns is a tuple with a name or a pattern at least, unless logs are sent or parameters "
                "offered", argument="patterns", found=patterns,
            )  # fmt: skip
        check_kind("params", params, ParameterOffer, "a pymilk.bridge.ParameterOffer")
        check_kind("links", links, Links, "a pymilk.bridge.Links")
        self.host = check_name(host_name() if host is None else host)
        self._links, self._engine, self._owned = links or Links(), engine, engine is None
        self._family = Family()
        self._number = self._family.number
        self._serve = serve
        self._shelf: Shelf | None = None
        self._logs: LogDesk | None = None
        self._params = params
        self._desk: ParameterDesk | None = None
        self._begun: set[str] = set()  # streams that there are answers about
        self._lines: dict[str, Line] = {}
        self._kinds: dict[tuple[str, Options], Line] = {}
        self._asked: dict[tuple[str, Options], float] = {}  # and when it was wanted last
        self._said: list[Registration] = []
        self._over, self._news = Latch(), Latch()
        self._ending = False
        self._started = self._ended = 0.0
        self._connections: Connections | None = None
        self._thread: threading.Thread | None = None
        self.error: StreamError | None = None

    def start(self) -> Sender:
        """Send from now on; returns itself.

        Raises
        ------
        StreamArgumentError
            It was started before.
        StreamError
            See the class.
        """
        if self._started:
            raise StreamArgumentError("the sender was started already", argument="start", found=None)
        try:
            self._open()
            self._thread = threading.Thread(target=self._run, name="pymilk-bridge", daemon=True)
            self._started = time.monotonic()
            tell_after_fork(self)
            close_at_exit(self)
            start_thread(self._thread)
        except BaseException:
            unbroken(self._undo)
            raise
        return self

    def _open(self) -> None:
        """Open the engine, and begin with all but the streams."""
        self._shelf = None if self._serve is None else Shelf(self._serve, self._fits)
        if self._engine is None:
            self._engine = open_engine(self._links, nbytes_most(MAX_FRAME))
            self._connections = Connections(self._links, self._engine).watch()
        if self._shelf is not None:
            self._serve_absent(self._engine, self._shelf)
        if self.log:
            self._logs = LogDesk(self.log, self.host, self._number, self._engine)
        if self._params is not None:
            self._desk = ParameterDesk(self._params, self.host, self._engine)

    def _undo(self) -> None:
        """Undo a start; it may be started again."""
        self._ending = True
        self._news.set()
        if self._thread is not None:
            join_thread(self._thread)
        do_all(self._shut)
        self._ending, self._thread, self._started = False, None, 0.0

    def _shut(self) -> None:
        """Take back what `_open` and the thread did."""
        lines = [*self._lines.values(), *self._kinds.values()]
        ends: list[Any] = [self._shelf, self._logs, self._desk, self._connections]
        if self._owned:
            ends.append(self._engine)
            self._engine = None
        fault = do_all(
            *(line.stop for line in lines),
            *(each.close for each in (*lines, *self._said)),
            *(end.close for end in ends if end is not None),
        )
        self._said.clear()
        if fault is not None:
            raise fault

    @property
    def running(self) -> bool:
        """Whether it sends, or waits for somebody who listens."""
        return bool(self._started) and not self._over.is_set()

    @property
    def report(self) -> SenderReport:
        """What was sent so far."""
        kinds = dict(self._kinds)
        lines = [self._lines[name] for name in sorted(self._lines)]
        lines += [kinds[each] for each in sorted(kinds, key=str)]
        duration = (self._ended or time.monotonic()) - self._started if self._started else 0.0
        busy = sum(line.cpu_seconds for line in lines)
        return SenderReport(
            host=self.host, duration=duration, cpu_share=busy / duration if duration > 0 else 0.0,
            streams=[line.report for line in lines],
            logs=[] if self._logs is None else self._logs.reports,
            parameters=None if self._desk is None else self._desk.report,
            error=None if self.error is None else str(self.error),
            **(self._connections.told() if self._connections else {}),
        )  # fmt: skip

    def stop(self) -> SenderReport:
        """End; returns the report. A second call does nothing more."""
        self._ending = True
        self._news.set()
        if self._thread is None:
            self._over.set()  # it was never started
        elif self._thread is not threading.current_thread():
            join_thread(self._thread)
        return self.report

    def close(self) -> None:
        """Do the same as `stop`."""
        self.stop()

    def wait(self, timeout: float | None = None) -> SenderReport:
        """Wait for the end: that of another thread that calls `stop`, or an error.

        Parameters
        ----------
        timeout : float, optional
            Seconds; None waits without limit.

        Returns
        -------
        SenderReport

        Raises
        ------
        StreamError
            What ended it.
        NotStartedError
            Neither `start` nor `stop` was called.
        """
        limit = checked_timeout(timeout)
        if not (self._started or self._over.is_set()):
            raise NotStartedError("the sender was never started; call start(), or use it in a with statement")
        if self._over.wait(limit) and self.error is not None:
            raise self.error
        return self.report

    def _after_fork(self) -> None:
        # Connections and threads stayed with the parent.
        over = self._over.is_set()
        self._over, self._thread, self._lines, self._kinds = Latch(), None, {}, {}
        self._shelf = self._logs = self._desk = self._connections = None
        self._over.set()
        if not over:
            self.error = left_with_parent("sender of the bridge", ", ".join((*self.patterns, *self.log)))

    # -- the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        engine = self._engine
        assert engine is not None
        try:
            while not self._ending:
                self._news.clear()
                self._look(engine)
                if not self._ending:
                    self._news.wait(_LOOK_SECONDS)
        except BaseException as error:  # noqa: BLE001 (for `wait`)
            self._failed(error)
        finally:
            self._failed(do_all(self._shut))
            self._ended = time.monotonic()
            self._over.set()

    def _failed(self, error: BaseException | None) -> None:
        """Keep the first thing that went wrong."""
        if error is not None and self.error is None:
            self.error = fault_of(error, f"the sender of {self.host!r}", BridgeError)

    def _look(self, engine: Engine) -> None:
        """Begin with streams that are new, and kinds of frames that are asked for; end unwanted kinds."""
        for name in self._names():
            if name not in self._lines:
                self._begin(engine, name)
        now = time.monotonic()
        for each, wanted in list(self._asked.items()):
            if each not in self._kinds:
                self._kinds[each] = self._line(engine, *each)
            elif self._kinds[each].report.wanted:
                self._asked[each] = now
            elif now - wanted > _KIND_SECONDS:
                del self._asked[each]
                self._kinds.pop(each).close()

    def _names(self) -> list[str]:
        """Return the streams to send: those that there are, and those that were named."""
        named = [each for each in self.patterns if not is_pattern(each)]
        try:
            found = [stream_name(each) for each in os.listdir(stream_directory()) if each.endswith(SUFFIX)]
        except (OSError, StreamError):
            found = []  # the directory is gone, or not there yet
        fitting = [name for name in found if not name.startswith(".") and self._fits(name)]
        return sorted({*named, *fitting})

    def _fits(self, name: str) -> bool:
        return matches(name, self.patterns)

    def _begin(self, engine: Engine, name: str) -> None:
        self._begun.add(name)
        answers: dict[str, Callable[[str, bytes], bytes]] = {
            LIKE: lambda *_: like(name, self._number, _PLAIN),
            ABOUT: lambda *_: self._about(name),
            OPTIONS: lambda _, question: self._ask(name, question),
            CLOCK: answer_clock,
            PAST: lambda _, question: past(name, self._number, question),
        }
        if self._shelf is not None:
            answers[RECORDINGS] = self._shelf.answer
        for last, say in answers.items():
            self._said.append(engine.answer(key_of(self.host, name, last), say))
        # Before the first frame: to a receiver that has another sender, this one would be gone already.
        self._said.append(engine.appear(f"{key_of(self.host, name, HERE)}/{self._number:x}"))
        self._lines[name] = self._line(engine, name, _PLAIN)

    def _serve_absent(self, engine: Engine, shelf: Shelf) -> None:
        """Answer about recordings of streams that are not there now, under a key for each pattern.

        Rules let pass what they include whole: one key for all streams would be dropped by most of them.
        """

        def say(key: str, question: bytes) -> bytes | None:
            names = names_in(key)
            return None if names is not None and names[1] in self._begun else shelf.answer(key, question)

        for key in sorted({key_fitting(self.host, each, RECORDINGS) for each in self.patterns}):
            if "*" in key:
                self._said.append(engine.answer(key, say))

    def _line(self, engine: Engine, name: str, options: Options) -> Line:
        key = key_of(self.host, name, options.last)
        # A line that ends and begins again counts from 0: then it is another sender.
        number = self._family.next() if options.special else self._number
        return Line(name, number, lambda heard: engine.outlet(key, heard), options)

    def _ask(self, name: str, question: bytes) -> bytes:
        """Let a kind of frames be sent; says what they are like, or why not. Never raises."""
        try:
            options = Options.read(question).line
            check_codec(options.compress or "")
        except StreamError as error:
            return refusal(str(error))
        if not options.special:
            return refusal("nothing is asked for")
        if (name, options) not in self._asked and self._count_kinds(name) >= _KINDS_MOST:
            return refusal(f"{_KINDS_MOST} kinds of frames of this stream are sent already")
        self._asked[name, options] = time.monotonic()
        self._news.set()
        return like(name, self._number, options)

    def _count_kinds(self, name: str) -> int:
        return sum(each == name for each, _ in list(self._asked))

    def _about(self, name: str) -> bytes:
        """Return what is known of a stream, as JSON; never raises."""
        about: dict[str, Any] = {"pid": os.getpid()}
        with contextlib.suppress(StreamError):
            header = read_header(name)
            written = header["write_time_ns"]
            about |= {
                "shape": list(header["shape"]), "dtype": str(header["dtype"]), "counter": header["counter"],
                "age": (now_ns() - written) / 1e9 if written else None,
            }  # fmt: skip
        line = self._lines.get(name)
        if line is not None:
            about |= {"sent": line.report.sent, "missing": line.report.missing, "wanted": line.report.wanted}
            lines = [line, *(kind for (each, _), kind in list(self._kinds.items()) if each == name)]
            about["trouble"] = next((each.report.trouble for each in lines if each.report.trouble), "")
        return json.dumps(about).encode()

    def __repr__(self) -> str:
        what = (*self.patterns, *self.log, *(self._params.fps if self._params else ()))
        return f"<Sender of {', '.join(what)} on {self.host!r}>"
