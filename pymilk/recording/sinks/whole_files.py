"""`WholeFiles`: files that are written once and then get their name, and how they get to the disk."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from ...system.durable import DirectFile, direct_memory, sync_files, write_out
from ...system.files import delete, replace_regular
from ...system.hidden import hidden_name
from .base import reserve, write_all

__all__ = ["WholeFiles"]

#: Bytes from which on all blocks of a file are reserved at once, which is faster.
_RESERVED_NBYTES = 64 << 10


class WholeFiles:
    """Writes files under hidden names, and renames them.

    Attributes
    ----------
    held : bool
        Files are to count once `sync` has brought them to the disk. A file that takes the place of another
        is there before it gets the name: after a power failure the name leads to the old file or to the
        new one, never to one without content.
    early : bool
        The kernel begins at once to write each file to the disk, and forgets what is there already.
    """

    def __init__(self) -> None:
        self._memory: Any = None  # for direct writes
        self._since: list[str] = []  # files that got their names since the last `sync`
        self.held = self.early = False

    def begin_direct(self, folder: str) -> bool:
        """Write past the page cache from now on; False if the file system of the folder cannot."""
        hidden = hidden_name(os.path.join(folder, "probe"))
        descriptor = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            file = DirectFile.open(descriptor)
        finally:
            os.close(descriptor)
            delete(hidden)
        if file is None:
            return False
        file.close()
        self._memory = direct_memory()
        return True

    def write(self, path: str, parts: Iterable[Any]) -> str:
        """Write buffers, one behind the other, into a file that is to get this path.

        Returns
        -------
        str
            Its hidden name. It is deleted if the disk has no room for it.
        """
        views = [memoryview(part).cast("B") for part in parts]
        nbytes = sum(view.nbytes for view in views)
        hidden = hidden_name(path)
        descriptor = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            if nbytes >= _RESERVED_NBYTES:
                reserve(descriptor, 0, nbytes)
            self._write_into(descriptor, views, nbytes)
        except BaseException:
            delete(hidden)
            raise
        finally:
            os.close(descriptor)
        return hidden

    def _write_into(self, descriptor: int, views: list[memoryview], nbytes: int) -> None:
        direct = None if self._memory is None else DirectFile(descriptor, self._memory)
        place = 0
        try:
            for view in views:
                if direct is None:
                    write_all(descriptor, view, place)
                else:
                    direct.write(view, place)
                place += view.nbytes
        finally:
            if direct is not None:
                direct.close()
        if direct is not None:
            os.ftruncate(descriptor, nbytes)  # direct writes end at whole blocks
        elif self.early:
            write_out(descriptor, 0, nbytes)

    def put(self, hidden: str, path: str) -> None:
        """Give a file that `write` made its name; it takes the place of another."""
        if self.held:
            if os.path.lexists(path):
                sync_files([hidden], names=False)
            self._since.append(path)
        replace_regular(hidden, path)

    def replace(self, path: str, content: Any) -> None:
        """Write a file of one buffer, and give it its name."""
        hidden = self.write(path, [content])
        try:
            self.put(hidden, path)
        except BaseException:
            delete(hidden)
            raise

    def sync(self) -> None:
        """Wait until all files that got their names since the last call are on the disk, and the names."""
        since, self._since = self._since, []
        sync_files(since, forget=True)
