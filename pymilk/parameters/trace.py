"""The process trace of a stream: which process made its newest frame, from which frame of which other stream.

Entry 0 describes the last update. A step that makes stream B from stream A copies the entries 0 to n-2 of A
to the entries 1 to n-1 of B first, so that the entries of B, from 0 on, lead back to the source.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

from .._core import Stream
from ..arguments import shown
from ..errors import ProcessInfoArgumentError

__all__ = ["TraceEntry", "read_trace", "root_time_ns", "stream_of", "trace_view", "used_entries"]

#: STREAM_PROC_TRACE of ImageStreamIO: trigger mode, PID, inode, two times, semaphore, status, counter.
_ENTRY = struct.Struct("<iiQqqqqiiQ")


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
            f"a process trace is that of an SHM or a Stream, not {shown(source)}",
            argument="source",
            found=source,
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
