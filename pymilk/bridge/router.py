"""A router: what senders send to it, it hands on to all who listen to it."""

from __future__ import annotations

import time

from .._core import checked_timeout
from ..arguments import check_count
from ..errors import NotStartedError, StreamArgumentError
from ..system.blocks import Block
from ..system.ending import close_at_exit
from ..system.forks import tell_after_fork
from ..system.latch import Latch
from ..system.signals import unbroken
from .connections import Connections
from .engine import Engine
from .header import MAX_FRAME, nbytes_most
from .links import Links
from .reports import RouterReport
from .zenoh import open_engine

__all__ = ["Router"]


class Router(Block):
    """Let senders and receivers that connect to it find each other, without a service to install.

    A context manager, or `start`, `stop` and `wait`; it ends with the interpreter.

    Parameters
    ----------
    links : Links
        Where to listen, and further routers to connect to.
    max_frame : int, default 64_000_000
        Bytes of the largest frame that it hands on.

    Raises
    ------
    LibraryMissingError, BridgeError, BridgeKeyError
        From `start`.
    """

    _single = "its threads belong to this process; make another one"

    def __init__(self, links: Links, *, max_frame: int = MAX_FRAME) -> None:
        self._links = links
        self._most = check_count("max_frame", max_frame, "bytes", below=2**31)
        self._engine: Engine | None = None
        self._connections: Connections | None = None
        self._started = self._ended = 0.0
        self._over = Latch()

    def start(self) -> Router:
        """Hand on from now on; returns itself.

        Raises
        ------
        StreamArgumentError
            It was started before.
        StreamError
            See the class.
        """
        if self._engine is not None or self._over.is_set():
            raise StreamArgumentError("the router was started already", argument="start", found=None)
        try:
            self._engine = open_engine(self._links, nbytes_most(self._most))
            self._connections = Connections(self._links, self._engine).watch()
            self._started = time.monotonic()
            tell_after_fork(self)
            close_at_exit(self)
        except BaseException:
            unbroken(self._shut)
            self._started = 0.0  # it may be started again
            raise
        return self

    @property
    def running(self) -> bool:
        """Whether it hands on."""
        return self._engine is not None and not self._over.is_set()

    @property
    def report(self) -> RouterReport:
        """Who is connected."""
        duration = (self._ended or time.monotonic()) - self._started if self._started else 0.0
        return RouterReport(duration=duration, **(self._connections.told() if self._connections else {}))

    def stop(self) -> None:
        """End. A second call does nothing."""
        self._ended = self._ended or time.monotonic()
        self._over.set()
        self._shut()

    close = stop

    def _shut(self) -> None:
        """Take back what `start` did."""
        if self._connections is not None:
            self._connections.close()
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    def _after_fork(self) -> None:
        # Connections and their threads stayed with the parent: here it has ended.
        self._engine = self._connections = None
        self._ended = self._ended or time.monotonic()
        self._over = Latch()
        self._over.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until another thread calls `stop`; returns whether it has ended.

        Parameters
        ----------
        timeout : float, optional
            Seconds; None waits without limit.

        Raises
        ------
        NotStartedError
            Neither `start` nor `stop` was called.
        """
        limit = checked_timeout(timeout)
        if not (self._started or self._over.is_set()):
            raise NotStartedError("the router was never started; call start(), or use it in a with statement")
        return self._over.wait(limit)
