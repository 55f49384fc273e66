"""How the frames of a growing file get to the disk: when the kernel likes, directly, or once a second."""

from __future__ import annotations

import os
from typing import Any

from ...system.durable import DirectFile, write_out
from .base import write_all

__all__ = ["Outward"]


class Outward:
    """Writes into one file.

    Parameters
    ----------
    descriptor : int
        Opened for reading and writing; it stays open.

    Attributes
    ----------
    held : bool
        Items are to count once `sync` has brought them to the disk.
    early : bool
        The kernel begins at once to write each item to the disk, so that little is left to wait for.
    """

    def __init__(self, descriptor: int) -> None:
        self._file = descriptor
        self._direct: DirectFile | None = None
        self._from = self._to = 0  # what was written since the last `sync`
        self.held = self.early = False

    def begin_direct(self) -> bool:
        """Write past the page cache from now on; False if the file system cannot."""
        self._direct = DirectFile.open(self._file)
        return self._direct is not None

    def write(self, content: Any, place: int) -> None:
        """Write all bytes of a buffer at a place in the file."""
        if self._direct is not None:
            self._direct.write(content, place)
            return
        write_all(self._file, content, place)
        if self.early:
            nbytes = memoryview(content).nbytes
            write_out(self._file, place, nbytes)
            self._from, self._to = min(self._from, place), max(self._to, place + nbytes)

    def sync(self) -> None:
        """Wait until all that was written is on the disk."""
        os.fdatasync(self._file)
        if self._to > self._from:
            write_out(self._file, self._from, self._to - self._from)
        self._from = self._to

    def close(self) -> None:
        """Close what was opened for direct writes."""
        if self._direct is not None:
            self._direct.close()
