"""Which channels a directory has, and what is known of each without attaching it for long."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable
from typing import Any

from .._core import Stream
from ..errors import ChannelError, ChannelFormatError, ChannelInUseError
from ..names import stream_directory
from ..streams.kinds import FRAMES, kind_of
from ..system.locks import holder_of, processes_called
from ..system.processes import named_processes
from .commands import CommandQueue, look_at
from .files import LIVES_AT, LIVES_NBYTES, Kind, channel_name, channel_path, suffix
from .formats import audio_text, video_text
from .messages import MessageLog
from .schema import columns_text, read_columns
from .states import SharedState

__all__ = [
    "MOST_OWNERS",
    "channel_details",
    "channel_files",
    "channel_kind",
    "content_text",
    "list_channels",
    "owners_of",
    "pids_here",
    "remove",
    "users_of",
    "writer_of",
]

#: Callers and takers of a queue that are looked for.
MOST_OWNERS = 1000

#: What tells in words what the frames of each kind are.
_CONTENTS = {
    "table": lambda stream: columns_text(read_columns(stream)),
    "video": video_text,
    "audio": audio_text,
}


def channel_kind(name: str) -> Kind | None:
    """Return of which kind of channel this is the file name or path; None if of none."""
    return next((kind for kind in Kind if name.endswith(suffix(kind)) and name != suffix(kind)), None)


def content_text(stream: Stream) -> str | None:
    """Return what the frames of a stream are, in words; None for plain frames."""
    kind = kind_of(stream)
    if kind == FRAMES:
        return None
    try:
        return f"{kind}: {_CONTENTS[kind](stream)}"
    except ChannelFormatError as error:
        return str(error)


def list_channels() -> list[dict[str, Any]]:
    """Return a dict for each channel of the stream directory, sorted by name; nothing is changed.

    Returns
    -------
    list of dict
        With ``path``, ``name``, ``kind``; and what `channel_details` tells, or ``error``: why it is none.
    """
    return [channel_details(path, kind) for path, kind in channel_files(stream_directory())]


def channel_files(folder: str) -> list[tuple[str, Kind]]:
    """Return path and kind of each channel of a directory, sorted by name."""
    kinds = [(entry, channel_kind(entry)) for entry in sorted(os.listdir(folder)) if entry[0] != "."]
    return [(os.path.join(folder, entry), kind) for entry, kind in kinds if kind is not None]


def channel_details(path: str, kind: Kind) -> dict[str, Any]:
    """Return what is known of a channel: see `list_channels`."""
    details: dict[str, Any] = {"path": path, "name": channel_name(path, kind), "kind": kind.name}
    try:
        if kind is Kind.cmd:
            return {**details, **_queue_details(path)}
        if kind is Kind.state:
            return {**details, **_state_details(path)}
        with MessageLog.attach(path) as log:
            details["nbytes"] = os.stat(path).st_size
            details["count"] = log.count
            details["abandoned"] = log.abandoned
            details["created_ns"] = log.created_ns
            details["age"] = _age(log.last_ns)
            details["writer"] = writer_of(path)
    except (ChannelError, OSError) as error:
        details["error"] = str(error)
    return details


def _queue_details(path: str) -> dict[str, Any]:
    """Return what is known of a command queue."""
    with look_at(path) as queue:
        return {
            "nbytes": os.stat(path).st_size,
            "count": queue.count,
            "abandoned": queue.abandoned,
            "created_ns": queue.created_ns,
            "slots": queue.slots,
            "size": queue.size,
            "waiting": queue.waiting,
            "started": queue.started,
            "users": users_of(path),
        }


def _state_details(path: str) -> dict[str, Any]:
    """Return what is known of a shared state."""
    with SharedState.attach(path, write=False) as state:
        return {
            "nbytes": os.stat(path).st_size,
            "count": state.epoch,
            "abandoned": state.abandoned,
            "created_ns": state.created_ns,
            "age": _age(state.last_ns),
            "keys": len(state),
            "fixed": state.fixed,
        }


def _age(last_ns: int) -> float | None:
    """Return how many seconds ago a time was; None if there is none."""
    return max(0.0, (time.time_ns() - last_ns) / 1e9) if last_ns else None


def users_of(path: str) -> list[int]:
    """Return the PIDs of those who have a queue attached, 0 for one that does not tell; some 1000 at most."""
    return pids_here(path, owners_of(path).values())


def pids_here(path: str, pids: Iterable[int]) -> list[int]:
    """Return processes by their numbers here, sorted, 0 for one that does not show.

    Locks tell numbers as they are in the PID namespace of their holder.
    """
    told = list(pids)
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        known = {pid: (processes_called(fd, pid) or [0])[0] for pid in set(told)}
    finally:
        os.close(fd)
    return sorted(known[pid] for pid in told)


def owners_of(path: str) -> dict[int, int]:
    """Return callers and takers: their numbers in the file, and what they call themselves."""
    found: dict[int, int] = {}
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        parts = [(LIVES_AT, LIVES_AT + LIVES_NBYTES)]
        while parts and len(found) < MOST_OWNERS:
            start, end = parts.pop()
            lock = holder_of(fd, start=start, length=end - start) if start < end else None
            if lock is None:
                continue
            found[(lock.start - LIVES_AT) >> 32] = lock.pid
            # The kernel tells any of those in a part, not the first one. Each begins at a multiple of 2**32.
            parts += [(start, lock.start), (((lock.start >> 32) + 1) << 32, end)]
    finally:
        os.close(fd)
    return found


def writer_of(path: str) -> int | None:
    """Return the PID of a process that writes a log; 0 if it does not tell, None if there is none."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        lock = holder_of(fd)
        return None if lock is None else (processes_called(fd, lock.pid) or [0])[0]
    finally:
        os.close(fd)


def remove(path: str, *, force: bool = False) -> None:
    """Remove a log that nobody writes, a queue that nobody has attached, or a state.

    Parameters
    ----------
    path : str
    force : bool, default False
        Also if somebody does.

    Raises
    ------
    ChannelInUseError, ChannelNotFoundError, ChannelPermissionError
    ChannelFormatError
        The file is no channel.
    """
    kind = channel_kind(path)
    assert kind is not None
    if "/" not in path:
        path = channel_path(path, kind)
    name = channel_name(path, kind)
    if kind is Kind.cmd:
        _remove_queue(path, name, force)
        return
    if kind is Kind.state:
        with SharedState.attach(path, write=True) as state:
            state.remove(force=force)
        return
    try:
        with MessageLog.attach(path, write=True) as log:
            log.remove()
    except ChannelInUseError as error:
        if not force:
            raise ChannelInUseError(
                f"{error}, or force the removal", channel=name, path=path, pids=error.pids
            ) from None
        with MessageLog.attach(path) as log:
            log.remove()


def named_users(pids: Collection[int]) -> str:
    """Write processes with their commands; 0 is one that is not visible here."""
    shown = sorted(set(pids) - {0})
    hidden = ["processes that are not visible here (other container, other user)"] if 0 in pids else []
    return " and ".join(([named_processes(shown)] if shown else []) + hidden)


def _remove_queue(path: str, name: str, force: bool) -> None:
    with look_at(path):
        users = users_of(path)
    if users and not force:
        raise ChannelInUseError(
            f"channel {name!r}: {len(users)} handles have it attached "
            f"({named_users(users)}); end these first, or force the removal",
            channel=name,
            path=path,
            pids=users,
        )
    with CommandQueue.attach(path) as queue:
        queue.remove()
