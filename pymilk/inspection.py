"""Streams looked at from outside: who writes, who reads, how old, how fast; and their safe removal.

Nothing here takes a semaphore or writes into a stream, so that looking never disturbs those who use it.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from ._core import IMAGETYPES, Stream
from .axes import Orientation, Which3DState, encode
from .directory import list_streams
from .errors import (
    StreamArgumentError,
    StreamError,
    StreamExistsError,
    StreamInUseError,
    StreamTimeoutError,
)
from .metadata import metadata_of
from .processes import named_processes, process_alive
from .times import now_ns, to_utc

__all__ = [
    "create_stream",
    "describe_stream",
    "measure_rates",
    "measure_stream",
    "new_stream",
    "processes_using",
    "remove_stream",
    "stream_details",
    "survey",
]

#: Sections of the file that `Stream.section` gives, in the order of the file.
_SECTIONS = ("keywords", "sem_read_pid", "sem_write_pid", "semctrl", "semstatus", "trace", "slice_atime",
             "slice_writetime", "slice_cnt0", "ring_records", "ring_slots", "history")  # fmt: skip

#: Part of the time in which writes are watched without sleeping.
_SPIN_SHARE = 0.2

#: A watch begins so many seconds before a frame is due: at first, and, where the write had begun by then, at
#: most. It goes on for half as long after that.
_SPIN_SECONDS = 0.0025
_SPIN_MOST = 0.3

#: A write is left out where two looks at it were further apart than this, in nanoseconds, and than that part
#: of it: this process was held up.
_LOOK_NS = 500
_HELD_UP_SHARE = 0.1


def describe_stream(stream: Stream) -> dict[str, Any]:
    """Tell what a stream is and who uses it.

    Parameters
    ----------
    stream : Stream
        May be attached read-only.

    Returns
    -------
    dict
        ``name``, ``path``, ``shape`` (C order), ``frame_shape`` (as `SHM` gives frames, axes of length
        1 included), ``size`` (order of the file), ``dtype`` (its name), ``counter``, ``age`` (seconds
        since the last frame, by CLOCK_TAI; None before the first), ``last_frame_ns`` (its time),
        ``writer_pid`` and ``writer_alive`` (None if no process left its number), ``creator_pid``,
        ``readers`` (numbers of living processes that hold a semaphore, one for each semaphore),
        ``dead_readers`` (those of processes that have ended), ``writing`` (the writer says that it is
        within a frame), ``ring`` (slots, 0 without), ``ring_kind`` ("fast", "temporal" or None),
        ``nbytes`` (of the file), ``inode``, ``looked_ns`` (monotonic clock).

    Raises
    ------
    StreamDamagedError, StreamClosedError
        The file was cut, or its header rewritten, until now; or the stream is closed.

    Notes
    -----
    The writer is the process that rang the semaphores, or, before it did, the creator. A semaphore that
    nobody waits on keeps the number of the process that filled it: a later writer of the same file is seen
    as soon as somebody reads. Readers without a semaphore, such as those that watch the counter, and
    processes in other PID namespaces do not show; `processes_using` finds more of them.
    """
    counter = stream.counter
    looked = time.monotonic_ns()
    # The wrapper of ImageStreamIO stamps the access only, C programs the write only.
    stamp = max(stream.write_time_ns, stream.last_access_time_ns)
    age = (now_ns() - stamp) / 1e9 if counter and stamp else None
    pid, alive = _writer(stream)
    owners = [owner for owner in _owners(stream) if owner > 0]
    temporal = stream.temporal
    ring = stream.shape[0] if temporal else stream.cb_size
    kind = "temporal" if temporal else "fast" if ring else None
    found = {
        "name": stream.name,
        "path": stream.path,
        "shape": stream.shape,
        "frame_shape": Orientation(stream.frame_shape).shape,
        "size": stream.size,
        "dtype": stream.dtype.name,
        "counter": counter,
        "age": age,
        "last_frame_ns": stamp if counter and stamp else None,
        "writer_pid": pid,
        "writer_alive": alive,
        "creator_pid": stream.creator_pid,
        "readers": [owner for owner in owners if process_alive(owner)],
        "dead_readers": [owner for owner in owners if not process_alive(owner)],
        "writing": bool(stream.write),
        "ring": ring,
        "ring_kind": kind,
        "nbytes": stream.file_nbytes,
        "inode": stream.inode,
        "looked_ns": looked,
    }
    stream.check_whole()
    return found


def _owners(stream: Stream) -> list[int]:
    """Tell the numbers at the semaphores; 0 and below is nobody."""
    return [int(pid) for pid in stream.section("sem_read_pid")]


def _posters(stream: Stream) -> list[int]:
    """Tell the processes that rang semaphores, most semaphores first."""
    numbers = Counter(int(pid) for pid in stream.section("sem_write_pid") if pid > 0)
    trace = stream.section("trace")
    if len(trace) and trace["procwrite_PID"][0] > 0:
        numbers[int(trace["procwrite_PID"][0])] += 0
    return [pid for pid, _ in numbers.most_common()]


def _writer(stream: Stream) -> tuple[int | None, bool | None]:
    candidates = _posters(stream) or [pid for pid in (stream.creator_pid,) if pid > 0]
    for pid in candidates:
        if process_alive(pid):
            return pid, True
    return (candidates[0], False) if candidates else (None, None)


def survey(directory: str | None = None) -> list[dict[str, Any]]:
    """Describe all streams of a directory, with those who use them.

    Parameters
    ----------
    directory : str, optional
        Default `stream_directory`.

    Returns
    -------
    list of dict
        Sorted by name. As `describe_stream` gives them; a file that is not a usable stream has ``name``,
        ``path`` and ``error`` only.

    Raises
    ------
    StreamNotFoundError, StreamPermissionError
        There is no stream directory, or it cannot be listed.

    Notes
    -----
    Each stream is attached read-only for a moment, which takes some 0.1 ms however large it is. No pixel is
    read.
    """
    found: list[dict[str, Any]] = []
    for entry in list_streams(directory):
        if "error" not in entry:
            try:
                with Stream.attach(entry["path"], writable=False, prefault=False) as stream:
                    entry = describe_stream(stream)
            except StreamError as error:
                entry = {"name": entry["name"], "path": entry["path"], "error": str(error)}
        if "error" not in entry or os.path.lexists(entry["path"]):  # else deleted meanwhile
            found.append(entry)
    return found


def measure_rates(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> None:
    """Add ``rate`` to the streams of a survey: frames per second since an earlier one.

    Parameters
    ----------
    before, after : list of dict
        From `survey`. ``rate`` of a stream in `after` is None where `before` does not have the same file,
        or its counter went back.
    """
    known = {entry["path"]: entry for entry in before if "error" not in entry}
    for entry in after:
        if "error" in entry:
            continue
        old = known.get(entry["path"])
        entry["rate"] = None
        if old is not None and old["inode"] == entry["inode"] and entry["counter"] >= old["counter"]:
            seconds = (entry["looked_ns"] - old["looked_ns"]) / 1e9
            entry["rate"] = (entry["counter"] - old["counter"]) / seconds if seconds > 0 else None


def stream_details(stream: Stream) -> dict[str, Any]:
    """Tell everything about a stream: what `describe_stream` does, and the whole of its header.

    Parameters
    ----------
    stream : Stream
        May be attached read-only.

    Returns
    -------
    dict
        In addition: ``layout``; ``metadata``, see `pymilk.metadata.metadata_of`; ``orientation``, sentences
        that set file against NumPy axes; ``sections``, a list of ``name``, ``offset``, ``nbytes`` in the
        order of the file; ``semaphores``, a list of ``index``, ``value``, ``owner_pid`` (None if it is
        free), ``owner_alive``, ``poster_pid``; ``keywords``, a list of ``name``, ``value``, ``comment``;
        ``written_utc`` and ``created_utc``, ISO 8601 or None; ``used_by``, see `processes_using`.

    Raises
    ------
    StreamDamagedError, StreamClosedError
        As `describe_stream`.
    """
    details = describe_stream(stream)
    details["layout"] = stream.layout
    details["metadata"] = metadata_of(stream)
    details["orientation"] = _orientation(stream)
    details["sections"] = _sections(stream)
    posters = [int(pid) for pid in stream.section("sem_write_pid")]
    details["semaphores"] = [
        {
            "index": index,
            "value": stream.sem_value(index),
            "owner_pid": owner if owner > 0 else None,
            "owner_alive": process_alive(owner) if owner > 0 else None,
            "poster_pid": posters[index] if posters[index] > 0 else None,
        }
        for index, owner in enumerate(_owners(stream))
    ]
    details["keywords"] = [
        {"name": keyword.name, "value": keyword.value, "comment": keyword.comment}
        for keyword in stream.read_keywords()
    ]
    details["written_utc"] = _utc(stream.write_time_ns)
    details["created_utc"] = _utc(stream.creation_time_ns)
    details["used_by"] = processes_using(stream)
    stream.check_whole()
    return details


def _utc(stamp_ns: int) -> str | None:
    moment = to_utc(stamp_ns)
    return None if np.isnat(moment) else f"{moment}Z"


def _orientation(stream: Stream) -> list[str]:
    """Say in words which axis of the file is which axis of the NumPy arrays."""
    names = "xyz"[: stream.naxis][::-1]
    file = ", ".join(f"{name} = {length}" for name, length in zip("xyz", stream.size, strict=False))
    lines = [
        f"file: {file}; x runs fastest",
        f"pymilk.Stream: shape {stream.shape}, indices [{', '.join(names)}]",
    ]
    if stream.temporal:
        lines.append(f"z is time: a ring of {stream.shape[0]} frames")
    frame_names = names[-len(stream.frame_shape) :]
    turn = Orientation(stream.frame_shape, squeeze=True)
    line = (
        f"pymilk.SHM: shape {turn.shape}, indices [{', '.join(frame_names[axis] for axis in turn.axes)}], "
        f"with symcode 4 and triDim {Which3DState.LAST2LAST.name}, the defaults"
    )
    lines.append(line + ("; axes of length 1 are dropped" if 1 in stream.frame_shape else ""))
    return lines


def _sections(stream: Stream) -> list[dict[str, Any]]:
    """Tell where the parts of the file begin, from the addresses at which they are mapped."""
    # The history is the last section, and ends where the file does, also where it is empty.
    history = stream.section("history")
    base = _address(history) + _rounded(history.nbytes) - stream.file_nbytes
    keywords = stream.section("keywords")
    on_gpu = stream.location != -1
    pixels = _address(keywords if on_gpu else stream.view())
    places = [("metadata", 0, pixels - base)]
    if not on_gpu:
        places.append(("pixels", pixels - base, stream.nbytes))
    for name in _SECTIONS:
        array = stream.section(name)
        if name == "sem_read_pid":
            # What is between the keywords and these is not handed out: nobody copies a semaphore.
            begin = _address(keywords) - base + _rounded(keywords.nbytes)
            places.append(("semaphores", begin, _address(array) - base - begin))
        if array.nbytes:
            places.append((name, _address(array) - base, array.nbytes))
    return [{"name": name, "offset": offset, "nbytes": nbytes} for name, offset, nbytes in places]


def _rounded(nbytes: int) -> int:
    """Tell the room of a section: whole units of 8 bytes."""
    return -(-nbytes // 8) * 8


def _address(array: npt.NDArray[Any]) -> int:
    return int(array.__array_interface__["data"][0])


def measure_stream(stream: Stream, seconds: float = 1.0) -> dict[str, Any]:
    """Measure rate and jitter of a stream by watching its counter.

    Parameters
    ----------
    stream : Stream
        Attached read-only, it takes no semaphore.
    seconds : float, default 1.0
        How long to watch; more than 0.

    Returns
    -------
    dict
        ``seconds`` (watched), ``frames`` (published meanwhile), ``rate`` (frames per second), ``intervals``
        (pairs of neighbours of which both were seen), and of these in microseconds ``mean_us``,
        ``jitter_us`` (standard deviation), ``min_us``, ``max_us``: None without an interval. ``writes``
        (frames whose writing was timed), and of these in microseconds ``write_p50_us``, ``write_max_us``
        and ``write_error_us`` (by how much any of them may be wrong): None if none was.

    Raises
    ------
    StreamArgumentError
        `seconds` is not a positive, finite number.
    StreamReplacedError, StreamNotFoundError
        The writer made a new file, or deleted it, meanwhile.
    StreamDamagedError
        The file was cut, or its header rewritten, meanwhile.

    Notes
    -----
    Intervals are those between the times that the writer stored, where it stores any (``intervals`` is 0
    for the wrapper of ImageStreamIO, which does not). Above some 10 kHz not every frame is seen; the rate
    is right all the same.

    The duration of a write is the time for which the writer holds ``write`` at 1: from before the first
    pixel until the frame counts. What comes before (the exposure, the transfer from the camera) and after it
    (ringing the semaphores) leaves no trace in the stream, and cannot be measured from outside. The flag is
    watched without sleeping, in up to a fifth of the time, for some of the frames. Writers that never set it,
    and writes of less than some 0.1 us, are not seen. Times in which this process was held up are left out.
    """
    if not 0 < seconds < float("inf"):
        raise StreamArgumentError(
            f"stream {stream.name!r}: seconds to measure must be more than 0 and finite, not {seconds!r}",
            stream=stream.name,
            argument="seconds",
            found=seconds,
        )
    begin = time.monotonic()
    deadline = begin + seconds
    first = seen = stream.counter
    stamp = 0  # the time of the first frame says nothing of when it was due
    intervals: list[int] = []
    writes: list[tuple[int, int]] = []
    spun, lead = 0.0, _SPIN_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        if spun <= (time.monotonic() - begin) * _SPIN_SHARE:
            timed, watching = _time_write(stream, seen, intervals, lead, left)
            spun += watching
            if timed is None and watching:
                lead = _longer(lead, intervals)
            elif timed is not None and timed[1] <= max(_LOOK_NS, timed[0] * _HELD_UP_SHARE):
                writes.append(timed)
            left = max(0.0, deadline - time.monotonic())
        try:
            now = stream.wait(left, after=seen)
        except StreamTimeoutError:
            break
        newest = stream.write_time_ns
        whole = stream.counter == now  # else the time may be that of the next frame
        if whole and now == seen + 1 and stamp and newest > stamp:
            intervals.append(newest - stamp)
        stamp = newest if whole else 0
        seen = now
    last = stream.counter
    stream.check_whole()
    watched = time.monotonic() - begin
    spans = np.array(intervals) / 1e3
    known = len(spans) > 0
    return {
        "seconds": watched,
        "frames": last - first,
        "rate": (last - first) / watched,
        "intervals": len(spans),
        "mean_us": float(spans.mean()) if known else None,
        "jitter_us": float(spans.std()) if known else None,
        "min_us": float(spans.min()) if known else None,
        "max_us": float(spans.max()) if known else None,
        **_durations(writes),
    }


def _usual(intervals: list[int]) -> float:
    """Tell how long an interval is of late, in seconds; 0 if none is known."""
    return float(np.median(intervals[-16:])) / 1e9 if intervals else 0.0


def _longer(lead: float, intervals: list[int]) -> float:
    """Tell how long before a frame is due to begin the next watch, if this one was too short."""
    return min(2 * lead, max(lead, 1.5 * _usual(intervals)), _SPIN_MOST)


def _time_write(
    stream: Stream, seen: int, intervals: list[int], lead: float, left: float
) -> tuple[tuple[int, int] | None, float]:
    """Time the writing of the frame behind `seen`; see `Stream.clock_write`.

    Sleeps until `lead` seconds before the frame is due, where the rhythm is known. Returns the times and the
    seconds that were watched: none if it came before.
    """
    if (usual := _usual(intervals)) > 1.5 * lead:
        with contextlib.suppress(StreamTimeoutError):
            stream.wait(min(usual - lead, left), after=seen)
            return None, 0.0  # it came early
    began = time.monotonic()
    timed = stream.clock_write(min(1.5 * lead, left))
    return timed, time.monotonic() - began


def _durations(writes: list[tuple[int, int]]) -> dict[str, Any]:
    """Sum up the writes that were timed."""
    held = np.array([each for each, _ in writes]) / 1e3
    known = len(writes) > 0
    return {
        "writes": len(writes),
        "write_p50_us": float(np.median(held)) if known else None,
        "write_max_us": float(held.max()) if known else None,
        "write_error_us": max(step for _, step in writes) / 1e3 if known else None,
    }


def processes_using(stream: Stream) -> list[int]:
    """Find the living processes that have a stream mapped, this one not counted.

    Parameters
    ----------
    stream : Stream

    Returns
    -------
    list of int
        In order. Where the mappings of a process cannot be read, since it belongs to another user, it
        counts if its number is at a semaphore or if it created the stream.

    Notes
    -----
    Reads ``/proc/*/maps``: milliseconds to some tenths of a second, by the number of processes.
    """
    named = {*_owners(stream), *_posters(stream), stream.creator_pid}
    end = "/" + os.path.basename(os.path.realpath(stream.path))
    # The inode of the file itself: a stream that was copied or linked still has that of its first place.
    try:
        inode = str(os.stat(stream.path).st_ino)
    except OSError:  # it was deleted
        inode = str(stream.inode)
    users = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        mapped = _has_mapped(entry, inode, end)
        if mapped or (mapped is None and int(entry) in named and process_alive(int(entry))):
            users.append(int(entry))
    return sorted(users)


def _has_mapped(pid: str, inode: str, end: str) -> bool | None:
    """Tell whether a process has a file mapped; None if it does not let us see that."""
    try:
        with open(f"/proc/{pid}/maps", errors="surrogateescape") as lines:
            for line in lines:
                # Address, permissions, offset, device, inode, path, which may hold spaces.
                fields = line.rstrip("\n").split(maxsplit=5)
                if len(fields) < 6 or fields[4] != inode:
                    continue
                if fields[5].removesuffix(" (deleted)").endswith(end):
                    return True
    except PermissionError:
        return None
    except OSError:
        return False  # it has ended
    return False


def remove_stream(name_or_path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Delete a stream that nobody uses.

    Parameters
    ----------
    name_or_path : str or PathLike
    force : bool, default False
        Delete it although living processes use it. They keep their memory, and are told.

    Raises
    ------
    StreamInUseError
        Living processes other than this one have it mapped, and `force` is false.
    StreamNotFoundError, StreamFormatError, StreamPermissionError, StreamNameError
        As `pymilk.Stream.attach`: what is not a stream is not deleted.
    """
    with Stream.attach(name_or_path, prefault=False) as stream:
        users = [] if force else processes_using(stream)
        if users:
            raise StreamInUseError(
                f"stream {stream.name!r} is in use by {named_processes(users)}; end "
                f"{'it' if len(users) == 1 else 'them'} first, or force the removal",
                stream=stream.name,
                path=stream.path,
                pids=users,
            )
        stream.destroy()


def create_stream(
    name: str,
    shape: tuple[int, ...],
    dtype: npt.DTypeLike,
    *,
    ring: int = 0,
    ring_kind: str = "fast",
    nbkw: int = 50,
    mode: int | None = None,
    force: bool = False,
) -> None:
    """Create a stream of zeros that stays when this process ends.

    Parameters
    ----------
    name : str
    shape : tuple of int
        Of a frame, as `SHM` gives it by default.
    dtype : dtype
    ring : int, default 0
        Slots of a ring.
    ring_kind : {"fast", "temporal"}
        See `pymilk.SHM`.
    nbkw : int, default 50
        Room for keywords.
    mode : int, optional
        Permissions, like ``0o600``. Default: 0666 less the umask.
    force : bool, default False
        Replace a stream of that name. Its readers follow if shape and dtype are the same.

    Raises
    ------
    StreamExistsError
        There is a file of that name, and `force` is false.
    StreamArgumentError, StreamStorageError, StreamNameError, StreamPermissionError
        See `pymilk.Stream.create`.

    Notes
    -----
    Its counter is 0: no frame has been published.
    """
    axes: tuple[int, ...] = shape
    if len(shape) == 3:
        axes = encode(np.broadcast_to(np.uint8(0), shape), 4, Which3DState.LAST2LAST).shape[::-1]
    try:
        new_stream(
            name, axes, dtype, ring=ring, ring_kind=ring_kind, nbkw=nbkw, mode=mode, exist_ok=force
        ).close()
    except StreamExistsError as error:
        raise StreamExistsError(
            f"stream {error.stream!r} exists at {error.path}; choose another name, or force it",
            stream=error.stream,
            path=error.path,
        ) from None


def new_stream(
    name: str,
    shape: tuple[int, ...],
    dtype: npt.DTypeLike,
    *,
    ring: int = 0,
    ring_kind: str = "fast",
    nbkw: int = 50,
    mode: int | None = None,
    exist_ok: bool = False,
) -> Stream:
    """Create a stream for frames of a shape, with or without a ring.

    Parameters
    ----------
    name : str
    shape : tuple of int
        Of a frame, in C order of the stream.
    dtype : dtype
    ring, ring_kind, nbkw, mode
        As for `create_stream`.
    exist_ok : bool, default False

    Returns
    -------
    Stream

    Raises
    ------
    StreamArgumentError
        A temporal ring needs a number of slots, and frames of 2 axes.
    StreamError
        See `pymilk.Stream.create`.
    """
    if ring_kind not in ("fast", "temporal"):
        raise StreamArgumentError(
            f"stream {name!r}: ring_kind is 'fast' or 'temporal', not {ring_kind!r}",
            stream=name,
            argument="ring_kind",
            found=ring_kind,
        )
    if ring_kind == "fast":
        return Stream.create(name, shape, dtype, nbkw=nbkw, cb_size=ring, mode=mode, exist_ok=exist_ok)
    if not ring or len(shape) != 2:
        raise StreamArgumentError(
            f"stream {name!r}: a temporal ring has a number of slots and frames of 2 axes, not {ring} slots "
            f"and frames of shape {shape}",
            stream=name,
            argument="ring" if len(shape) == 2 else "ring_kind",
            found=ring,
        )
    bits = IMAGETYPES["CIRCULAR_BUFFER"] | IMAGETYPES["ZAXIS_TEMPORAL"]
    return Stream.create(name, (ring, *shape), dtype, nbkw=nbkw, imagetype=bits, mode=mode, exist_ok=exist_ok)
