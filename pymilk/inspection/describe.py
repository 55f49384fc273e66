"""Describe streams from outside: state, writer, readers, layout.

Nothing here takes a semaphore or writes into a stream: readers and writers are not disturbed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from .._core import Stream, counter_was_set
from ..axes import Orientation, Which3DState
from ..errors import StreamError
from ..native.formats import dtype_name
from ..notebooks import table_html
from ..streams.directory import list_streams
from ..streams.kinds import kind_of
from ..streams.metadata import metadata_of
from ..system.causes import ended_resources
from ..times import now_ns, to_utc
from .users import known_alive, owners_of, processes_using, writer_of

__all__ = ["describe_stream", "each_stream", "stream_details", "survey"]

#: Sections of the file that `Stream.section` gives, in the order of the file.
_SECTIONS = ("keywords", "sem_read_pid", "sem_write_pid", "semctrl", "semstatus", "trace", "slice_atime",
             "slice_writetime", "slice_cnt0", "ring_records", "ring_slots", "history")  # fmt: skip


def describe_stream(stream: Stream) -> dict[str, Any]:
    """Describe a stream and the processes that use it.

    Parameters
    ----------
    stream : Stream
        May be attached read-only.

    Returns
    -------
    dict
        ``name``, ``path``, ``shape`` (C order), ``frame_shape`` (as `SHM` gives frames, axes of length 1
        included), ``size`` (order of the file), ``dtype`` (its name), ``counter``,
        ``counter_set`` (another program has set it: so many frames cannot have come since the stream was
        made; False if that is not known), ``age`` (seconds since
        the last frame, by CLOCK_TAI; None before the first), ``last_frame_ns`` (its time), ``writer_pid``
        and ``writer_alive`` (None if no process number is stored, or no such process is visible from
        here: it may live in another container), ``creator_pid``, ``readers`` (numbers of living processes
        that hold a semaphore, one for each semaphore), ``dead_readers`` (those of processes that have
        ended), ``hidden_readers`` (those of processes that are not visible from here), ``writing`` (the
        flag of a writer within a frame), ``ring`` (slots, 0 without), ``ring_kind`` ("fast", "temporal"
        or None), ``nbytes`` (of the file), ``inode``, ``looked_ns`` (monotonic clock), ``content``
        ("frames"; "table", "video" or "audio": see `pymilk.channels`).

    Raises
    ------
    StreamDamagedError, StreamClosedError
        The file was cut, or its header rewritten; or the stream is closed.

    Notes
    -----
    The writer is the process that posted the semaphores last, or the creator if none did. A full semaphore
    keeps the number of the process that filled it: a later writer shows once a reader takes posts. Readers
    without a semaphore (they watch the counter) do not show; `processes_using` finds more of them.
    """
    counter = stream.counter
    looked = time.monotonic_ns()
    # The wrapper of ImageStreamIO stamps the access only, C programs the write only.
    stamp = max(stream.write_time_ns, stream.last_access_time_ns)
    age = (now_ns() - stamp) / 1e9 if counter and stamp else None
    pid, alive = writer_of(stream)
    readers: dict[bool | None, list[int]] = {True: [], False: [], None: []}
    for owner in owners_of(stream):
        if owner > 0:
            readers[known_alive(owner)].append(owner)
    temporal = stream.temporal
    ring = stream.shape[0] if temporal else stream.cb_size
    kind = "temporal" if temporal else "fast" if ring else None
    found = {
        "name": stream.name,
        "path": stream.path,
        "shape": stream.shape,
        "frame_shape": Orientation(stream.frame_shape).shape,
        "size": stream.size,
        "dtype": dtype_name(stream.dtype),
        "counter": counter,
        "counter_set": _counter_set(stream, counter),
        "age": age,
        "last_frame_ns": stamp if counter and stamp else None,
        "writer_pid": pid,
        "writer_alive": alive,
        "creator_pid": stream.creator_pid,
        "readers": readers[True],
        "dead_readers": readers[False],
        "hidden_readers": readers[None],
        "writing": bool(stream.write),
        "ring": ring,
        "ring_kind": kind,
        "nbytes": stream.file_nbytes,
        "inode": stream.inode,
        "looked_ns": looked,
        "content": kind_of(stream),
    }
    stream.check_whole()
    return found


def _counter_set(stream: Stream, counter: int) -> bool:
    since = now_ns() - stream.creation_time_ns
    # Without a time of creation, or with one of another clock, it is not known.
    return 0 <= since < now_ns() and counter_was_set(counter, since)


class StreamTable(list[dict[str, Any]]):
    """Descriptions of streams, as a list; a table in notebooks."""

    def _repr_html_(self) -> str:
        columns = ("name", "shape", "dtype", "counter", "age", "ring", "writer_pid", "error")
        rows = [["" if entry.get(each) is None else entry[each] for each in columns] for entry in self]
        return table_html(columns, rows)


def survey(directory: str | None = None) -> list[dict[str, Any]]:
    """Describe all streams of a directory, and the processes that use them.

    Parameters
    ----------
    directory : str, optional
        Default `stream_directory`.

    Returns
    -------
    StreamTable
        A list of dict, sorted by name; notebooks show it as a table. As `describe_stream` gives them; a file
        that is not a usable stream has ``name``, ``path`` and ``error`` only.

    Raises
    ------
    StreamNotFoundError, StreamPermissionError
        There is no stream directory, or it cannot be listed.
    StreamStorageError
        This process has no file descriptors left.

    Notes
    -----
    Each stream is attached read-only for a moment, which takes some 0.1 ms however large it is. No pixel is
    read.
    """
    return StreamTable(each_stream(directory))


def each_stream(directory: str | None = None) -> Iterator[dict[str, Any]]:
    """Describe the streams of a directory one after the other, as `survey` does.

    For a caller that has something else to do between two of them. The files are listed, and their headers
    read, when the first one is asked for.
    """
    for entry in list_streams(directory):
        if "error" not in entry:
            try:
                with Stream.attach(entry["path"], writable=False, prefault=False) as stream:
                    entry = describe_stream(stream)
            except StreamError as error:
                if ended_resources(error) is not None:
                    raise
                entry = {"name": entry["name"], "path": entry["path"], "error": str(error)}
        if "error" not in entry or os.path.lexists(entry["path"]):  # else deleted meanwhile
            yield entry


def stream_details(stream: Stream) -> dict[str, Any]:
    """Describe a stream in full: `describe_stream` and the rest of its header.

    Parameters
    ----------
    stream : Stream
        May be attached read-only.

    Returns
    -------
    dict
        In addition: ``layout``; ``metadata``, see `pymilk.streams.metadata.metadata_of`; ``orientation``,
        sentences that map file axes to NumPy axes; ``sections``, a list of ``name``, ``offset``,
        ``nbytes`` in the order of the file; ``semaphores``, a list of ``index``, ``value``, ``owner_pid``
        (None if it is free), ``owner_alive`` (None if it is not visible from here), ``poster_pid``;
        ``keywords``, a list of ``name``, ``value``, ``comment``; ``written_utc`` and ``created_utc``, ISO
        8601 or None; ``used_by``, see `processes_using`.

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
            "owner_alive": known_alive(owner) if owner > 0 else None,
            "poster_pid": posters[index] if posters[index] > 0 else None,
        }
        for index, owner in enumerate(owners_of(stream))
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
    """Return where the parts of the file begin, from the addresses at which they are mapped."""
    # The history is the last section: it ends with the file, even if it is empty.
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
            # `Stream.section` does not give the semaphores, which lie before this section.
            begin = _address(keywords) - base + _rounded(keywords.nbytes)
            places.append(("semaphores", begin, _address(array) - base - begin))
        if array.nbytes:
            places.append((name, _address(array) - base, array.nbytes))
    return [{"name": name, "offset": offset, "nbytes": nbytes} for name, offset, nbytes in places]


def _rounded(nbytes: int) -> int:
    """Return the room of a section: whole units of 8 bytes."""
    return -(-nbytes // 8) * 8


def _address(array: npt.NDArray[Any]) -> int:
    return int(array.__array_interface__["data"][0])
