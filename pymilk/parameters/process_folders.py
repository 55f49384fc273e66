"""Directories of process information: where files are made, where they are looked for, and the process list.

A program of milk puts its files into ``$MILK_PROC_DIR`` if that is a directory, else into its stream
directory, else into ``/tmp``. Programs started through Python bindings were measured to use ``/tmp`` although
a stream directory was set. So a listing looks in all three.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import struct
import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..errors import (
    ProcessInfoDamagedError,
    ProcessInfoError,
    ProcessInfoFormatError,
    ProcessInfoNameError,
    ProcessInfoNotFoundError,
    ProcessInfoPermissionError,
    ProcessInfoStorageError,
    ProcessListFullError,
    StreamNotFoundError,
)
from ..names import stream_directory
from ..system.causes import cause_of, ended_resources
from ..system.files import checked_path, put_in_place
from ..system.hidden import temporary_path
from ..system.processes import process_alive
from ..system.signals import held_signals
from .process_file import MappedFile
from .process_layout import LIST_FILE, LIST_SLOTS, SLOT_NBYTES, SlotState

__all__ = [
    "ListSlot",
    "ProcessList",
    "check_process_name",
    "find_files",
    "new_file",
    "not_made",
    "process_directories",
    "process_directory",
    "process_path",
]

#: Longest name in bytes: its field is 80 bytes with the NUL.
NAME_MAX = 79

#: Permissions of both kinds of files, whatever the umask: any user may pause or stop a loop.
MODE = 0o666

_FILE = re.compile(r"proc\.(.+)\.(\d{6,10})\.shm", re.DOTALL)

#: Seconds to wait for another process of ours that takes a slot of the list.
_LOCK_SECONDS = 0.5

#: Most slots that are believed; the list of milk has 50000.
_SLOTS_MAX = 1_000_000


def process_directory() -> str:
    """Return the directory that new process information is put into.

    Returns
    -------
    str
        ``$MILK_PROC_DIR`` if it is a directory, else the stream directory, else ``/tmp``.
    """
    return process_directories()[0]


def process_directories() -> list[str]:
    """Return all directories that process information may be in, the one for new files first, each once."""
    candidates = [os.environ.get("MILK_PROC_DIR", "")]
    with contextlib.suppress(StreamNotFoundError):
        candidates.append(stream_directory())
    candidates.append("/tmp")
    found: dict[tuple[int, int], str] = {}
    for candidate in candidates:
        if candidate and os.path.isdir(candidate):
            status = os.stat(candidate)
            found.setdefault((status.st_dev, status.st_ino), candidate)
    if not found:
        raise ProcessInfoNotFoundError(
            "there is no directory for process information: MILK_PROC_DIR and the stream directory are no "
            "directories, and /tmp is missing; set MILK_PROC_DIR to a directory",
            path="/tmp",
        )
    return list(found.values())


def check_process_name(name: object) -> str:
    """Return the name of a process if it fits into the format, else raise `ProcessInfoNameError`.

    It is 1 to 79 bytes of UTF-8 without "/", NUL and control characters. Dots are allowed.
    """
    if not isinstance(name, str):
        raise ProcessInfoNameError(f"a process name is a str, not {type(name).__name__}", process=repr(name))
    try:
        nbytes = len(name.encode())
    except UnicodeEncodeError:
        raise ProcessInfoNameError(f"process name {name!r} is not valid text", process=name) from None
    if not 1 <= nbytes <= NAME_MAX:
        raise ProcessInfoNameError(
            f"process name {name!r} has {nbytes} bytes; the format stores 1 to {NAME_MAX}", process=name
        )
    if "/" in name or not name.isprintable():
        raise ProcessInfoNameError(
            f"process name {name!r} contains '/' or a control character; use a plain name", process=name
        )
    return name


def process_path(directory: str, name: str, pid: int) -> str:
    """Return the path of the file of a process."""
    return os.path.join(directory, f"proc.{name}.{pid:06d}.shm")


def find_files(directory: str) -> Iterator[tuple[str, str, int]]:
    """Yield name, path and PID of each process-information file of a directory, as the file names tell them.

    Raises
    ------
    ProcessInfoNotFoundError, ProcessInfoPermissionError
        There is no such directory, or it cannot be listed.
    """
    directory = checked_path(directory, "a directory of process information", "directory")
    try:
        entries = sorted(os.listdir(directory))
    except PermissionError as error:
        raise ProcessInfoPermissionError(
            f"{directory}: no permission to list it; set MILK_PROC_DIR to another one", path=directory
        ) from error
    except OSError as error:
        if ended_resources(error) is not None:
            text = f"{directory} cannot be listed: {cause_of(error)}"
            raise ProcessInfoStorageError(text, path=directory) from error
        raise ProcessInfoNotFoundError(
            f"{directory}: there is no such directory; create it, or name another one", path=directory
        ) from error
    for entry in entries:
        match = _FILE.fullmatch(entry)
        if match is not None:
            yield match[1], os.path.join(directory, entry), int(match[2])


def not_made(path: str, error: OSError, process: str | None = None) -> ProcessInfoError:
    """Return the error for a file of process information that cannot be made."""
    text = f"{path} cannot be made: {cause_of(error, path)}"
    denied = isinstance(error, (PermissionError, FileNotFoundError, NotADirectoryError))
    if denied or error.errno == errno.EROFS:
        text += "; set MILK_PROC_DIR to a directory that this user may write to"
        return ProcessInfoPermissionError(text, process=process, path=path)
    return ProcessInfoStorageError(text, process=process, path=path)


def new_file(path: str, content: bytes) -> None:
    """Put a complete file in place in one go.

    Raises
    ------
    FileExistsError
        There is one of that name, which is left as it is.
    OSError
    """
    temporary = temporary_path(path)
    fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        try:
            # Reserved, so that a full file system is an error here instead of SIGBUS at the first store.
            os.posix_fallocate(fd, 0, len(content))
            os.write(fd, content)
            os.fchmod(fd, MODE)
        finally:
            os.close(fd)
        put_in_place(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


class ListSlot(NamedTuple):
    """One slot of the process list that is in use."""

    at: int
    pid: int
    state: SlotState | int
    name: str
    created: float


class ProcessList:
    """The file that lists the processes of a directory.

    How a slot is taken
    -------------------
    The format has no lock: two programs that start at once may take the same slot. Of our processes one at a
    time takes a slot (flock on the file). A slot with the PID of a living process is left alone although it
    is marked free, since a program of milk stores its PID some time before it marks the slot. And a slot is
    looked at again after it was taken (`holds`): if another program has overwritten it, it is left to that
    one, and another is taken.

    Parameters
    ----------
    directory : str
    writable : bool

    Raises
    ------
    ProcessInfoNotFoundError, ProcessInfoPermissionError, ProcessInfoFormatError
        There is no list, it may not be opened, or its size is not that of a list.
    """

    def __init__(self, directory: str, writable: bool) -> None:
        self.path = os.path.join(directory, LIST_FILE)
        self._file = MappedFile(self.path, writable)
        self.slots, rest = divmod(self._file.nbytes, SLOT_NBYTES)
        if rest or self.slots > _SLOTS_MAX:
            found = self._file.nbytes
            self._file.close()
            raise ProcessInfoFormatError(
                f"{self.path}: not a process list: its size of {found} bytes is not that of up to "
                f"{_SLOTS_MAX} slots of {SLOT_NBYTES} bytes",
                path=self.path,
                field="file size",
                expected=LIST_SLOTS * SLOT_NBYTES,
                found=found,
            )

    @classmethod
    def open_or_make(cls, directory: str) -> ProcessList:
        """Open the list for writing; make one with free slots if there is none."""
        with contextlib.suppress(ProcessInfoNotFoundError):
            return cls(directory, True)
        path = os.path.join(directory, LIST_FILE)
        try:
            with contextlib.suppress(FileExistsError):  # another process was faster
                new_file(path, bytes(LIST_SLOTS * SLOT_NBYTES))
        except OSError as error:
            raise not_made(path, error) from error
        return cls(directory, True)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def __enter__(self) -> ProcessList:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def read(self) -> list[ListSlot]:
        """Return the slots that are not free."""
        states = self._numbers(self.slots * 4)
        return [self.slot(int(index)) for index in np.flatnonzero(states)]

    def slot(self, index: int) -> ListSlot:
        """Return one slot."""
        n = self.slots
        (pid,) = struct.unpack("<i", self._file.get(4 * index, 4))
        (state,) = struct.unpack("<i", self._file.get(4 * (n + index), 4))
        name = self._file.get(8 * n + 80 * index, 80).partition(b"\0")[0]
        (created,) = struct.unpack("<d", self._file.get(88 * n + 8 * index, 8))
        known = state in SlotState._value2member_map_
        return ListSlot(
            index, pid, SlotState(state) if known else state, name.decode(errors="replace"), created
        )

    def take(self, pid: int, name: str, created_ns: int) -> int:
        """Take a slot for a process whose file is in place.

        Returns
        -------
        int
            Its index.

        Raises
        ------
        ProcessListFullError
            Every slot belongs to a living process, or to one whose file is still there.
        """
        with self._alone():
            for index in self._candidates():
                self._fill(index, pid, name, created_ns)
                if self.holds(index, pid, name):
                    return index
        raise ProcessListFullError(
            f"{self.path}: all {self.slots} slots are in use; remove entries of ended processes with "
            "'pymilk ps --remove-stale', or set MILK_PROC_DIR to another directory",
            process=name,
            pid=pid,
            path=self.path,
            slots=self.slots,
        )

    def holds(self, index: int, pid: int, name: str) -> bool:
        """Tell whether a slot is still that of a process."""
        found = self.slot(index)
        return found.pid == pid and found.name == name and found.state == SlotState.ACTIVE

    def free_unused(self) -> int:
        """Free the slots whose files are gone, as milk's monitor does; returns their number.

        A slot whose process has ended and whose file is still there is marked as such.
        """
        freed = 0
        folder = os.path.dirname(self.path)
        with self._alone():
            for slot in self.read():
                there = os.path.lexists(process_path(folder, slot.name, slot.pid))
                if there and process_alive(slot.pid):
                    continue
                state = SlotState.PROCESS_GONE if there else SlotState.FREE
                self._file.put(4 * (self.slots + slot.at), struct.pack("<i", state))
                freed += not there
        return freed

    def _candidates(self) -> Iterator[int]:
        """Yield slots that may be taken: the free ones in order, then those whose files are gone."""
        states = self._numbers(self.slots * 4)
        pids = self._numbers(0)
        free = states == SlotState.FREE
        for index in np.flatnonzero(free):
            if not process_alive(int(pids[index])):
                yield int(index)
        folder = os.path.dirname(self.path)
        for index in np.flatnonzero(~free):
            slot = self.slot(int(index))
            if not os.path.lexists(process_path(folder, slot.name, slot.pid)):
                yield slot.at

    def _fill(self, index: int, pid: int, name: str, created_ns: int) -> None:
        """Store an entry; its state last, which shows it to others."""
        n = self.slots
        self._file.put(4 * index, struct.pack("<i", pid))
        self._file.put(8 * n + 80 * index, name.encode().ljust(80, b"\0"))
        self._file.put(88 * n + 8 * index, struct.pack("<d", created_ns / 1e9))
        self._file.put(4 * (n + index), struct.pack("<i", SlotState.ACTIVE))

    def _numbers(self, offset: int) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
        return np.frombuffer(self._file.get(offset, 4 * self.slots), "<i4")

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes of ours from taking a slot meanwhile; goes on without after a while."""
        with contextlib.ExitStack() as undo:
            try:
                with held_signals():  # until it is sure to be closed
                    fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
                    undo.callback(os.close, fd)
            except OSError as error:
                raise self._replaced() from error
            if os.fstat(fd).st_ino != self._file.inode:
                raise self._replaced()
            deadline = time.monotonic() + _LOCK_SECONDS
            while time.monotonic() < deadline:
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                time.sleep(0.002)
            yield

    def _replaced(self) -> ProcessInfoDamagedError:
        return ProcessInfoDamagedError(
            f"{self.path} was removed or replaced while it was in use; try again",
            path=self.path,
            field="inode",
            expected=self._file.inode,
            found=None,
        )
