"""How much goes into a file, and how long the disk has room."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass

from .report import StreamReport

__all__ = ["Split", "free_bytes", "room_for", "seconds_of_room"]


@dataclass(frozen=True)
class Split:
    """When a recorder begins the next file of a series: as soon as one of these is reached.

    Attributes
    ----------
    frames, nbytes : int or None
        Frames of a file, and bytes of their pixels.
    seconds : float
        Since the first frame of the file; infinity: not by time.
    """

    frames: int | None = None
    nbytes: int | None = None
    seconds: float = math.inf

    @property
    def asked(self) -> bool:
        """Whether there is a series at all."""
        return self.frames is not None or self.nbytes is not None or self.seconds < math.inf

    def most_frames(self, frame_nbytes: int) -> int | None:
        """Return how many frames go into a file, 1 at least; None: any number."""
        if self.nbytes is None:
            return self.frames
        fit = max(1, self.nbytes // max(1, frame_nbytes))
        return fit if self.frames is None else min(fit, self.frames)


def free_bytes(path: str) -> int | None:
    """Return how many bytes this user may still write beside a file; None if that cannot be said."""
    try:
        found = os.statvfs(os.path.dirname(path) or ".")
    except OSError:
        return None
    return found.f_bavail * found.f_frsize


def seconds_of_room(reports: Iterable[StreamReport]) -> dict[str, float]:
    """Return for how many seconds the disk of each stream has room, at the rates measured so far.

    Parameters
    ----------
    reports : iterable of StreamReport
        Of streams that are recorded; those on one disk share its room.

    Returns
    -------
    dict of str to float
        By name of the stream. Streams without files or without a rate are left out. Headers, rows (64 bytes
        a frame) and compression are not counted.
    """
    disks: dict[int, float] = {}
    found: dict[str, tuple[int, int]] = {}
    for each in reports:
        if not each.paths or not each.rate > 0 or not each.recorded:
            continue
        try:
            device = os.stat(os.path.dirname(each.paths[-1]) or ".").st_dev
        except OSError:
            continue
        free = free_bytes(each.paths[-1])
        if free is not None:
            found[each.stream] = (device, free)
            disks[device] = disks.get(device, 0.0) + each.rate * each.nbytes / each.recorded
    return {name: free / disks[device] for name, (device, free) in found.items() if disks[device] > 0}


def room_for(path: str, nbytes: int) -> str:
    """Return what to say before the start if so many bytes find no room; "" if they do, or nobody knows."""
    free = free_bytes(path)
    if free is None or free >= nbytes:
        return ""
    return (
        f"the frames asked for are {nbytes / 1e9:.3g} GB, and {os.path.dirname(path) or '.'} has room for "
        f"{free / 1e9:.3g} GB"
    )
