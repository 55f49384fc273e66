"""A disk whose power fails, and disks that can write past the page cache."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pymilk.system.durable import DirectFile


def direct_or_skip(folder: Path) -> None:
    """Skip the test if this file system has no direct writes."""
    descriptor = os.open(folder / "probe", os.O_RDWR | os.O_CREAT)
    try:
        made = DirectFile.open(descriptor)
        if made is None:
            pytest.skip("this file system has no direct writes")
        made.close()
        made.close()
    finally:
        os.close(descriptor)
        os.unlink(folder / "probe")


class FailingDisk:
    """What a folder has on the disk: contents of files, and names in folders, at the last sync of each.

    `left` gives what a power failure may leave of what was done since: any of the new names, and of new
    contents nothing.

    Attributes
    ----------
    before : callable
        Called before each sync.
    failures : int
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder.mkdir()
        self.folder = folder
        self.failures = 0
        self.before: Callable[[], None] = lambda: None
        self._contents: dict[int, bytes] = {}  # of an inode
        self._names: dict[int, dict[str, int]] = {}  # in the folder that is an inode
        self._open: list[int] = []  # so that no number is used again
        for name in ("fsync", "fdatasync"):
            monkeypatch.setattr(os, name, self._sync)

    def _sync(self, descriptor: int) -> None:
        self.before()
        path = Path(f"/proc/self/fd/{descriptor}")
        inode = os.fstat(descriptor).st_ino
        if path.is_dir():
            self._names[inode] = self._entries(path)
        else:
            self._contents[inode] = path.read_bytes()
        self._open.append(os.dup(descriptor))

    @staticmethod
    def _entries(path: Path) -> dict[str, int]:
        return {entry.name: entry.inode() for entry in os.scandir(path)}

    def left(self) -> Iterator[Path]:
        """Make the folders that power failures may leave now."""
        ways: list[Callable[[str], bool]] = [
            lambda name: False,  # no new name is on the disk
            lambda name: True,
            lambda name: name == "zarr.json",
            lambda name: name != "zarr.json",
        ]
        for new in ways:
            self.failures += 1
            to = self.folder.parent / f"left{self.failures}"
            self._copy(self.folder, to, new)
            yield to

    def _copy(self, folder: Path, to: Path, new: Callable[[str], bool]) -> None:
        to.mkdir()
        now = self._entries(folder)
        names = dict(self._names.get(folder.stat().st_ino, now))
        names |= {name: inode for name, inode in now.items() if new(name)}
        for name, inode in names.items():
            if (folder / name).is_dir():
                self._copy(folder / name, to / name, new)
            else:
                (to / name).write_bytes(self._contents.get(inode, b""))

    def __enter__(self) -> FailingDisk:
        return self

    def __exit__(self, *args: object) -> None:
        while self._open:
            os.close(self._open.pop())
