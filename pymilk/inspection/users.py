"""Find the processes that use a stream."""

from __future__ import annotations

import os

from .._core import Stream
from ..errors import StreamInUseError
from ..system.living import PATIENCE, Writers, living_writers
from ..system.locks import check_stream
from ..system.mappings import FileId, mapped_by, mapped_lately
from ..system.processes import numbered, process_alive, shows_all_processes

__all__ = ["check_unwritten", "known_alive", "owners_of", "processes_using", "writer_of", "writers_of"]


def owners_of(stream: Stream) -> list[int]:
    """Return the reader of each semaphore: a process number, or 0 or less for none."""
    return [int(pid) for pid in stream.section("sem_read_pid")]


def known_alive(pid: int) -> bool | None:
    """Return whether the process that stored its number is alive; None if it may be, in another container."""
    if process_alive(pid):
        return True
    if not shows_all_processes():
        return None
    return bool(numbered(pid))


def writer_of(stream: Stream) -> tuple[int | None, bool | None]:
    """Return the process that publishes in a stream, if known, and whether it is alive.

    None where that is not known: no process of that number is visible from here, but one may be in another
    container.
    """
    traces = stream.traces()
    candidates = traces.posters or [pid for pid in (traces.creator,) if pid > 0]
    alive = [pid for pid in candidates if process_alive(pid)]
    for pid in (*alive, *(below for number in candidates for below in numbered(number))):
        if mapped_lately(pid, traces.file):
            return pid, True
    for pid in alive:
        if mapped_lately(pid, traces.file) is None:
            return pid, True
    if not candidates:
        return None, None
    unknown = not shows_all_processes() or any(map(numbered, candidates))
    return candidates[0], None if unknown else False


def writers_of(stream: Stream, patience: float = PATIENCE) -> Writers:
    """Find the living writers of a stream, also those that are not visible from here; without this process.

    Parameters
    ----------
    stream : Stream
    patience : float, default 0.1
        Seconds for which its counter is watched if no process is found.
    """
    return living_writers(stream.traces, patience)


def check_unwritten(stream: Stream, advice: str) -> None:
    """Raise `StreamInUseError` if another living process writes a stream.

    Parameters
    ----------
    stream : Stream
    advice : str
        What the user can do, for the message.
    """
    writers = writers_of(stream)
    if writers.any:
        raise StreamInUseError(
            f"stream {stream.name!r} {writers}; {advice}",
            stream=stream.name,
            path=stream.path,
            pids=writers.pids,
        )
    traces = stream.traces()
    check_stream(stream.path, traces.file.device, traces.file.inode, stream.name)


def processes_using(stream: Stream) -> list[int]:
    """Find the living processes that have a stream mapped, this one not counted.

    Parameters
    ----------
    stream : Stream

    Returns
    -------
    list of int
        In ascending order. A process of another user, whose mappings cannot be read, is included if it holds
        a semaphore or created the stream.

    Notes
    -----
    Reads ``/proc/*/maps``: milliseconds to some tenths of a second, by the number of processes. Processes of
    other containers do not show, if this one is in a container itself: see `writers_of`.
    """
    traces = stream.traces()
    named = {*owners_of(stream), *traces.pids}
    # The inode of the file itself: the header of a copied or linked stream has the old one.
    name = os.path.basename(os.path.realpath(stream.path))
    mapped, unknown = mapped_by(FileId(traces.file.device, traces.file.inode, name))
    return sorted([*mapped, *(pid for pid in unknown if pid in named and process_alive(pid))])
