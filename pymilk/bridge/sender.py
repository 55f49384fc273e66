"""Send streams of this machine to others."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import threading
import time
from fnmatch import fnmatchcase
from types import TracebackType
from typing import Any

from .._core import read_header
from ..errors import StreamArgumentError, StreamError
from ..names import SUFFIX, check_name, stream_directory, stream_name
from ..system.ending import close_at_exit
from ..system.forks import left_with_parent, tell_after_fork
from ..system.latch import Latch
from ..system.threads import join_thread, start_thread
from ..times import now_ns
from .connections import Connections
from .engine import Engine, Registration
from .header import MAX_FRAME, nbytes_most
from .keys import ABOUT, FRAMES, HERE, LIKE, host_name, key_of
from .line import Line
from .links import Links
from .reports import SenderReport
from .zenoh import open_engine

__all__ = ["Sender"]

#: Seconds between two looks for new streams.
_LOOK_SECONDS = 0.5


class Sender:
    """Send streams to all who listen, until it is stopped.

    A context manager: it sends from its beginning to its end. Or `start`, `stop` and `wait`; it ends with the
    interpreter. Each stream has a thread that reads it as any other reader does: its writer notices nothing,
    also if nobody listens or a link is slow. While nobody listens, nothing is read.

    Parameters
    ----------
    patterns : tuple of str
        Names of streams, or patterns of them (``wfs*``). Streams that come later are sent as well.
    links : Links
        Where to listen, or whom to connect to.
    host : str, optional
        What this machine is called. Default: its host name up to the first dot.
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
    """

    def __init__(
        self,
        patterns: tuple[str, ...],
        links: Links | None = None,
        *,
        host: str | None = None,
        engine: Engine | None = None,
    ) -> None:
        if isinstance(patterns, str) or not patterns:
            raise StreamArgumentError(
                "patterns is a tuple with a name or a pattern at least", argument="patterns", found=patterns
            )
        self.patterns = tuple(patterns)
        self.host = check_name(host_name() if host is None else host)
        self._links, self._engine, self._owned = links or Links(), engine, engine is None
        self._number = secrets.randbits(63)
        self._lines: dict[str, Line] = {}
        self._said: list[Registration] = []
        self._over, self._ending = Latch(), Latch()
        self._started = self._ended = 0.0
        self._connections: Connections | None = None
        self._thread: threading.Thread | None = None
        self.error: StreamError | None = None

    def start(self) -> Sender:
        """Send from now on; returns itself."""
        if self._started:
            raise StreamArgumentError("the sender was started already", argument="start", found=None)
        if self._engine is None:
            self._engine = open_engine(self._links, nbytes_most(MAX_FRAME))
            self._connections = Connections(self._links, self._engine).watch()
        self._started = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="pymilk-bridge", daemon=True)
        tell_after_fork(self)
        close_at_exit(self)
        start_thread(self._thread)
        return self

    @property
    def running(self) -> bool:
        """Whether it sends, or waits for somebody who listens."""
        return bool(self._started) and not self._over.is_set()

    @property
    def report(self) -> SenderReport:
        """What was sent so far."""
        lines = [self._lines[name] for name in sorted(self._lines)]
        duration = (self._ended or time.monotonic()) - self._started if self._started else 0.0
        busy = sum(line.cpu_seconds for line in lines)
        return SenderReport(
            host=self.host, duration=duration, cpu_share=busy / duration if duration > 0 else 0.0,
            streams=[line.report for line in lines],
            **(self._connections.told() if self._connections else {}),
        )  # fmt: skip

    def stop(self) -> SenderReport:
        """End; returns the report. A second call does nothing more."""
        self._ending.set()
        if self._thread is not None and self._thread is not threading.current_thread():
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

        Raises
        ------
        StreamError
            What ended it.
        """
        if self._over.wait(timeout) and self.error is not None:
            raise self.error
        return self.report

    def _after_fork(self) -> None:
        # Connections and threads stayed with the parent.
        over = self._over.is_set()
        self._over, self._thread, self._lines = Latch(), None, {}
        self._connections = None
        self._over.set()
        if not over:
            self.error = left_with_parent("sender of the bridge", ", ".join(self.patterns))

    # -- the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        engine = self._engine
        assert engine is not None
        try:
            while True:
                self._look(engine)
                if self._ending.wait(_LOOK_SECONDS):
                    return
        except StreamError as error:
            self.error = error
        finally:
            lines = list(self._lines.values())
            for line in lines:
                line.stop()
            for each in (*lines, *self._said):
                each.close()
            if self._connections is not None:
                self._connections.close()
            if self._owned:
                engine.close()
            self._ended = time.monotonic()
            self._over.set()

    def _look(self, engine: Engine) -> None:
        """Begin with streams that are new."""
        for name in self._names():
            if name not in self._lines:
                self._begin(engine, name)

    def _names(self) -> list[str]:
        """Return the streams to send: those that there are, and those that were named."""
        named = [each for each in self.patterns if not any(letter in each for letter in "*?[")]
        try:
            found = [stream_name(each) for each in os.listdir(stream_directory()) if each.endswith(SUFFIX)]
        except (OSError, StreamError):
            found = []  # the directory is gone, or not there yet
        fitting = [
            name
            for name in found
            if not name.startswith(".") and any(fnmatchcase(name, each) for each in self.patterns)
        ]
        return sorted({*named, *fitting})

    def _begin(self, engine: Engine, name: str) -> None:
        key = key_of(self.host, name, FRAMES)
        line = self._lines[name] = Line(name, self._number, lambda heard: engine.outlet(key, heard))
        self._said.append(engine.answer(key_of(self.host, name, LIKE), line.like))
        self._said.append(engine.answer(key_of(self.host, name, ABOUT), lambda: self._about(name)))
        self._said.append(engine.appear(f"{key_of(self.host, name, HERE)}/{self._number:x}"))

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
        return json.dumps(about).encode()

    def __enter__(self) -> Sender:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<Sender of {', '.join(self.patterns)} on {self.host!r}>"
