"""The process trace of a stream: which process made its newest frame, from which frame of which other stream.

Entry 0 describes the last update. A step that makes stream B from stream A copies the entries 0 to n-2 of A
to the entries 1 to n-1 of B first, so that the entries of B, from 0 on, lead back to the source.
"""

from __future__ import annotations

import os
import struct
from typing import Any, NamedTuple

from .._core import Stream
from ..errors import ProcessInfoArgumentError
from .process_layout import TriggerMode, TriggerStatus

__all__ = [
    "TraceEntry",
    "TraceWriter",
    "read_trace",
    "root_time_ns",
    "stream_of",
    "trace_view",
    "used_entries",
]

#: STREAM_PROC_TRACE of ImageStreamIO: trigger mode, PID, inode, two times, semaphore, status, counter.
_ENTRY = struct.Struct("<iiQqqqqiiQ")

_SECOND = 1_000_000_000

# As plain numbers, which are packed faster.
_BY_SEMAPHORE, _RECEIVED = int(TriggerMode.SEMAPHORE), int(TriggerStatus.RECEIVED)


class TraceEntry(NamedTuple):
    """One step of a pipeline.

    Attributes
    ----------
    trigger_mode : int
        See `TriggerMode`.
    pid : int
        Process that updated the stream.
    trigger_inode : int
        Inode of the stream that triggered it; 0 without, as a camera.
    started_ns, updated_ns : int
        When the processing began, and when the stream was updated: nanoseconds of CLOCK_TAI, 0 for never.
    semaphore : int
        That triggered the step; -1 without.
    status : int
        See `TriggerStatus`.
    counter : int
        Of the stream that triggered it, when it did.
    """

    trigger_mode: int
    pid: int
    trigger_inode: int
    started_ns: int
    updated_ns: int
    semaphore: int
    status: int
    counter: int

    @property
    def used(self) -> bool:
        """Whether a process has written the entry."""
        return bool(self.pid or self.trigger_inode or self.started_ns or self.updated_ns)


def stream_of(item: Any) -> Stream | None:
    """Return the stream behind an SHM, or a `Stream` itself; None for anything else."""
    if isinstance(item, Stream):
        return item
    live = getattr(item, "live_source", None)  # of SHM, which is a floor above
    return None if live is None else live()[0]


def read_trace(source: Any) -> list[TraceEntry]:
    """Read all entries of the process trace of a stream, unused ones included.

    Parameters
    ----------
    source : SHM or Stream
        May be attached read-only.

    Raises
    ------
    ProcessInfoArgumentError
        It is no stream.
    StreamDamagedError, StreamClosedError

    Notes
    -----
    Writers do not lock; the table is copied until two copies agree, four times at most.
    """
    stream = stream_of(source)
    if stream is None:
        raise ProcessInfoArgumentError(
            f"a process trace is that of an SHM or a Stream, not {source!r}", argument="source", found=source
        )
    section = stream.section("trace")
    content = section.tobytes()
    for _ in range(4):
        again = section.tobytes()
        if again == content:
            break
        content = again
    stream.check_whole()
    entries = []
    for mode, pid, inode, s0, n0, s1, n1, semaphore, status, counter in _ENTRY.iter_unpack(content):
        started, updated = s0 * 1_000_000_000 + n0, s1 * 1_000_000_000 + n1
        entries.append(TraceEntry(mode, pid, inode, started, updated, semaphore, status, counter))
    return entries


def used_entries(entries: list[TraceEntry]) -> list[TraceEntry]:
    """Return the entries from the newest step back to the source: up to the first unused one."""
    for at, entry in enumerate(entries):
        if not entry.used:
            return entries[:at]
    return entries


def root_time_ns(entries: list[TraceEntry]) -> int | None:
    """Tell when the frame at the source of a pipeline was there, as far as the trace tells.

    Parameters
    ----------
    entries : list of TraceEntry
        From `used_entries`.

    Returns
    -------
    int or None
        Nanoseconds of CLOCK_TAI. If the source writes its own trace: when it published the frame. Else: when
        the first step began to work on it.
    """
    if not entries:
        return None
    oldest = entries[-1]
    first, second = oldest.started_ns, oldest.updated_ns
    if oldest.trigger_inode == 0:
        first, second = second, first
    return first or second or None


def trace_view(stream: Stream, *, writable: bool = False) -> memoryview:
    """Return the process trace of a stream in shared memory, as bytes; it holds the memory as arrays do.

    Memory views take half the time of arrays here.
    """
    if not stream.nbproctrace:
        return memoryview(b"")
    section: Any = stream.section("trace", writable=writable)
    return memoryview(section.view("u1"))


class TraceWriter:
    """Writes entry 0 of one stream that is made from another one.

    Parameters
    ----------
    output, source : Stream
        A stream without room for a trace, or one that is its own source, gets none.

    Raises
    ------
    StreamReadOnlyError
        `output` was attached read-only.
    """

    def __init__(self, output: Stream, source: Stream) -> None:
        self._inode = source.inode
        self._entry: Any = None
        #: Whether there is a trace to write.
        self.writes = bool(output.nbproctrace) and output.inode != source.inode
        if not self.writes:
            return
        target = trace_view(output, writable=True)
        nbytes = min(output.nbproctrace - 1, source.nbproctrace) * _ENTRY.size
        self._entry = target[: _ENTRY.size]
        self._target = target[_ENTRY.size : _ENTRY.size + nbytes]
        self._older = trace_view(source)[:nbytes]
        self._nbytes = nbytes
        self._pid = os.getpid()

    def write(
        self, started_ns: int, updated_ns: int, counter: int, semaphore: int, older: bytes | None = None
    ) -> None:
        """Take over the trace of the source and put this step in front; below 2 us.

        `older` is the trace of the source as it was with the frame that the step began with. Default: as it
        is now.
        """
        if not self.writes:
            return
        if older is None:
            self._target[:] = self._older
        else:
            self._target[:] = older[: self._nbytes]
        _ENTRY.pack_into(
            self._entry, 0, _BY_SEMAPHORE, self._pid, self._inode,
            started_ns // _SECOND, started_ns % _SECOND, updated_ns // _SECOND, updated_ns % _SECOND,
            semaphore, _RECEIVED, counter,
        )  # fmt: skip
