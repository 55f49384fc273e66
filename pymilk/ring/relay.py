"""A relay: copies a plain stream into a ring stream, so that all its readers share one lossless history."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass, field
from typing import Any

from .._core import Keyword, Reader, Stream, checked_timeout
from ..arguments import FORCED, Replace, said_as
from ..errors import (
    StreamArgumentError,
    StreamClosedError,
    StreamDamagedError,
    StreamError,
    StreamExistsError,
    StreamGoneWarning,
    StreamNotFoundError,
    StreamReplacedError,
)
from ..reports import LossReport, counter_set_text
from ..streams.rings import check_slots, ring_layout
from ..streams.waiting import spin_of
from ..system.ending import close_at_exit
from ..system.journal import GapTeller
from ..system.notices import warn_always
from ..system.processes import process_alive
from ..system.signals import held_signals, unbroken
from ..system.threads import do_all
from ..verdicts import relay_reasons
from .receiver import Beginning, ReceiverThread

__all__ = ["Relay", "RelayReport"]


@dataclass(kw_only=True, repr=False, eq=False)
class RelayReport(LossReport):
    """The account of a relay.

    Attributes
    ----------
    source, target : str
    relayed : int
        Frames published in the target.
    lost : int
        Frames of the source that are not in the target: overwritten before they were copied, or torn. The
        numbers of the target skip them.
    lag : int
        Frames that the source has published and the relay has not copied yet: usually 0 or 1.
    duration : float
        Seconds since the relay began.
    rate : float
        Frames relayed a second, since the relay began.
    cpu_share : float
        Processor time of the relay's thread as a share of `duration`.
    counter_set : int
        Times that another program set the counter of the source forward. What was lost there is not known;
        the numbers of the target go on by one.
    uncertain : int
        Frames that may be those with the next number, relayed before the writer of the source was seen to
        post frames before it counts them. Nothing in the target says so; later ones are left out, and lost.
    """

    source: str
    target: str
    relayed: int
    lost: int
    lag: int
    duration: float
    rate: float = field(init=False)
    cpu_share: float
    counter_set: int = 0
    uncertain: int = 0

    def __post_init__(self) -> None:
        self.rate = self.relayed / self.duration if self.duration > 0 else 0.0

    def __str__(self) -> str:
        return self.told(
            f"{self.source} -> {self.target}: {self.relayed} frames, {self.lost} lost, "
            f"{self.rate:.1f} frames/s, {self.cpu_share:.1%} of a core, {self.duration:.1f} s"
            + (f"; {counter_set_text(self.counter_set)}" if self.counter_set else "")
            + (f"; {self.uncertain} may be frames with the next number: the writer of the source posts them "
               "before it counts, and stores no times" if self.uncertain else "")
        )

    def reasons(self) -> list[str]:
        """Return why frames are missing, and what to do."""
        return relay_reasons(self.lost, self.cpu_share)

    def __repr__(self) -> str:
        return f"<RelayReport {self.source} -> {self.target}: {self.relayed} frames, {self.lost} lost>"


class Relay:
    """Copy each frame of a stream into a new stream with a ring, in a thread that never needs the GIL.

    Parameters
    ----------
    source : str
        Name of the stream to copy. A new file of the same name, shape and dtype is followed.
    target : str
        Name of the stream to create, with the same shape, dtype and room for keywords. Deleted at the end.
    depth : int
        Slots of its ring, 1 or more.
    kind : {"fast", "temporal"}
        See `pymilk.SHM`.
    wait : {"auto", "spin", "sleep"}
        How to wait for frames: see `pymilk.streams.waiting.WAIT_POLICIES`.
    cpu, priority : int, optional
        Core and SCHED_FIFO priority of the thread.
    force : bool, default False
        Replace the target also if the process that created it is alive, or another one writes it.

    Raises
    ------
    StreamNotFoundError, StreamFormatError
        The source does not exist, or is a ring already (a temporal circular cube).
    StreamExistsError
        The target exists, its creator is alive, and `force` is false.
    StreamInUseError
        The target exists, a living process writes it, here or in another container, and `force` is false.
    StreamArgumentError, StreamStorageError
        The target cannot be created.

    Notes
    -----
    Frames keep their acquisition time, or, if the source stores none, get the time of their publishing. The
    first frame relayed is the newest one of the source, and has the same number in both. A lost or torn frame
    leaves a gap in the numbers of the target, so that its readers count it as lost. When the source restarts,
    its numbers begin at 1 again and those of the target continue.

    A relay that is not closed ends with the interpreter, which deletes the target.
    """

    _made = False  # whether there is a target

    def __init__(
        self,
        source: str,
        target: str,
        depth: int,
        *,
        kind: str = "fast",
        wait: str = "auto",
        cpu: int | None = None,
        priority: int | None = None,
        force: bool = False,
    ) -> None:
        spin = spin_of(wait)
        self._relayed = self._counter_set = self._uncertain = 0
        self._keywords: list[Keyword] = []
        self._last_counter = 0
        self._maker = os.getpid()
        self._ended: float | None = None
        self._gone = False  # a warning said that the target was deleted or replaced
        self._thread: ReceiverThread | None = None
        self._gaps = GapTeller(source)
        self.source = Stream.attach(source)
        try:
            with held_signals():  # until somebody is sure to delete it
                self.target = self._make(target, depth, kind, force)
                self._made = True
            self._begin(spin, (cpu, priority))
            close_at_exit(self)
        except BaseException:
            unbroken(self.close)
            raise

    def _begin(self, spin: int, scheduling: tuple[int | None, int | None]) -> None:
        """Start the thread."""
        self._began = time.monotonic()
        # The first frame relayed has the same number in the target.
        self._base = max(0, self.source.counter - 1)
        made = self.target

        def work(reader: Reader, after: int, missed: int | None) -> None:
            try:
                reader.relay(made, after=after, spin_ns=spin, missed=missed)
            finally:
                self._relayed += reader.received
                self._counter_set += reader.counter_set
                self._uncertain += reader.uncertain

        self._copy_keywords(self.source)
        self._thread = ReceiverThread(self.source, work, begin=Beginning("newest"), scheduling=scheduling)

    def _make(self, target: str, depth: int, kind: str, force: bool) -> Stream:
        """Create the target."""
        source = self.source
        check_slots("depth", depth)
        if source.temporal:
            raise StreamArgumentError(
                f"stream {source.name!r} is a ring already (temporal circular cube); read it directly",
                stream=source.name,
                argument="source",
                found=source.name,
            )
        lead, ring = ring_layout(source.name, source.shape, depth, kind, ("depth", "kind"))
        self._check_target(target, force)
        shape = (*lead, *source.shape)
        policy: Replace = True if force else "if-free"
        with said_as(FORCED):
            return Stream.create(target, shape, source.dtype, nbkw=source.nbkw, replace=policy, **ring)

    def _check_target(self, target: str, force: bool) -> None:
        """Raise if the target is a stream that must not be replaced."""
        try:
            old = Stream.attach(target, writable=False)
        except StreamError:
            return  # no such file, or not a stream
        with old:
            if old.path == self.source.path:
                raise StreamArgumentError(
                    f"stream {old.name!r} cannot be relayed to itself",
                    stream=old.name,
                    argument="target",
                    found=target,
                )
            if process_alive(old.creator_pid) and not force:
                raise StreamExistsError(
                    f"stream {old.name!r} exists, and process {old.creator_pid} that created it is alive; "
                    "choose another name, or force it",
                    stream=old.name,
                    path=old.path,
                    argument="force",
                )

    def _copy_keywords(self, source: Stream) -> None:
        """Copy the keywords of the source to the target if they changed."""
        keywords = source.read_keywords()
        if keywords != self._keywords:
            self.target.write_keywords(keywords)
            self._keywords = keywords

    @property
    def report(self) -> RelayReport:
        """What was relayed so far."""
        thread = self._thread
        relayed, counter_set, uncertain = self._relayed, self._counter_set, self._uncertain
        cpu_seconds = 0.0
        lag = 0
        if thread is not None:
            reader = thread.reader
            cpu_seconds = thread.cpu_seconds
            if thread.running:
                relayed += reader.received
                counter_set += reader.counter_set
                uncertain += reader.uncertain
                if not (thread.stream.closed or thread.stream.damaged):
                    lag = max(0, thread.stream.counter - reader.progress)
        gone = self.target.closed or self.target.damaged
        counter = self._last_counter if gone else self.target.counter
        duration = (self._ended or time.monotonic()) - self._began
        return RelayReport(
            source=self.source.name,
            target=self.target.name,
            relayed=relayed,
            lost=max(0, counter - self._base - relayed) if relayed else 0,
            lag=lag,
            duration=duration,
            cpu_share=cpu_seconds / duration if duration > 0 else 0.0,
            counter_set=counter_set,
            uncertain=uncertain,
        )

    def start(self) -> Relay:
        """Do nothing: a relay runs since it was made; returns itself."""
        return self

    @property
    def running(self) -> bool:
        """Whether it copies frames."""
        return self._thread is not None and self._thread.running

    def stop(self) -> RelayReport:
        """Close it; returns the report. A second call does nothing more."""
        self.close()
        return self.report

    def wait(self, timeout: float | None = None) -> RelayReport:
        """Wait for the end: that of another thread that calls `stop`, or an error.

        Parameters
        ----------
        timeout : float, optional
            Seconds; None waits without limit.

        Returns
        -------
        RelayReport

        Raises
        ------
        StreamChangedError
            The source was recreated with another shape or dtype; and other errors that ended it. Not after
            `stop`.
        """
        thread, limit = self._thread, checked_timeout(timeout)
        if thread is not None and thread.wait(limit) and thread.error is not None and self._ended is None:
            raise thread.error
        return self.report

    def tend(self) -> None:
        """Copy changed keywords, and raise the error that ended the relay; call it about once a second.

        Warns once, with a `StreamGoneWarning`, if the target was deleted or replaced by another program.

        Raises
        ------
        StreamChangedError
            The source was recreated with another shape or dtype.
        StreamClosedError
            The relay was closed.
        """
        thread = self._thread
        if thread is None or self.target.closed:
            raise StreamClosedError(
                f"the relay of stream {self.source.name!r} is closed", stream=self.source.name
            )
        if not thread.running:
            raise thread.error or StreamClosedError(
                f"the relay of stream {self.source.name!r} has ended", stream=self.source.name
            )
        if not self._gone and (self.target.deleted or self.target.replaced()):
            self._gone = True
            warn_always(
                f"stream {self.target.name!r}: its file was deleted or replaced, and nobody sees what is "
                "relayed; make a new relay",
                StreamGoneWarning,
            )
        self._gaps.tend(self.report.lost)
        # The thread may be following the source to a new file at this moment.
        with contextlib.suppress(StreamClosedError, StreamDamagedError):
            self._copy_keywords(thread.stream)

    def close(self) -> None:
        """End the relay and delete the target; its readers keep their memory.

        In a child after fork only the handles are closed: the relay continues in the parent.
        """
        if self._thread is not None:
            self._thread.stop()
        if self._ended is None:
            self._ended = time.monotonic()
        made = (self._delete, self.target.close) if self._made else ()
        fault = do_all(*made, self.source.close)
        if fault is not None:
            raise fault

    def _delete(self) -> None:
        if self.target.closed:
            return
        with contextlib.suppress(StreamDamagedError):
            self._last_counter = self.target.counter
        if self._maker == os.getpid():
            with contextlib.suppress(StreamNotFoundError, StreamReplacedError):
                self.target.destroy()

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError(
            f"the relay of stream {self.source.name!r} cannot be pickled: its thread belongs to this "
            "process; pass the names, and make a relay on the other side"
        )

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, *exc: object) -> None:
        unbroken(self.close)

    def __repr__(self) -> str:
        return f"<Relay {self.source.name!r} -> {self.target.name!r}>"
