"""`memcmd`: commands that any handle writes and any handle reads, each at a place of its own."""

from __future__ import annotations

import os
import random

from ...channels import MessageLog
from ...channels.files import life_of, open_channel
from ...channels.listing import owners_of
from ...errors import ChannelError
from ...system.locks import WriterLock, take_lock
from .errors import errc, failed
from .logs import Log

__all__ = ["memcmd"]


class memcmd(Log):
    """Commands of any number of handles. Each handle gets all of them, its own included."""

    kind = 1
    closed = errc.not_open

    def __init__(self) -> None:
        super().__init__()
        self._counted: WriterLock | None = None

    def open(self, sName: str, size: int, bReader: bool = False, bCreate: bool = False) -> bool:
        """Attach a share, or make it.

        Parameters
        ----------
        sName : str
        size : int
            Bytes for commands; that of a share which exists has to be the same.
        bReader : bool, default False
            `readerCount` counts this handle. Any other one reads as well.
        bCreate : bool, default False
            Make it if it is not there.

        Returns
        -------
        bool
            False: invalid_argument, open_failed, create_failed, access_denied, size_mismatch (a smaller size
            than that of the share), invalid_layout (a larger one, or another file).
        """
        if not self._open(sName, size, True, bool(bCreate)):
            return False
        reader = self._reader
        if bReader and reader is not None:
            try:
                self._counted = count_in(reader)
            except ChannelError:  # removed meanwhile
                self.close()
                return failed(errc.open_failed)
        return True

    def close(self) -> None:
        """Let go of the share; its name goes if this handle made it."""
        counted, self._counted = self._counted, None
        if counted is not None:
            counted.release()
        super().close()

    def readerCount(self) -> int:
        """Return how many handles are open with bReader, in all processes that live; 0 if closed.

        A process that may not write to the file is not counted, nor is a child after fork, which has to open
        a handle of its own.
        """
        reader, writer = self._reader, self._writer
        if reader is None:
            return 0
        try:
            if writer is not None and not writer.closed:  # also without a name
                return len(owners_of(f"/proc/self/fd/{writer._fd}"))
            return len(owners_of(reader.path)) if still_there(reader) else 0
        except (ChannelError, OSError):
            return 0


def still_there(share: MessageLog) -> bool:
    """Tell whether the name is that of the share, and not of a newer one."""
    with MessageLog.attach(share.path) as log:
        return log.identity == share.identity


def count_in(share: MessageLog) -> WriterLock | None:
    """Take a lock that is counted until it is released or the process ends; None if that is not permitted.

    Raises
    ------
    ChannelNotFoundError
    """
    fd, writable = open_channel(share.path, share.name, None)
    if not writable:
        os.close(fd)
        return None
    lock = WriterLock(fd)
    while True:
        try:
            take_lock(fd, start=life_of(random.randrange(1, 1 << 27)))
        except BlockingIOError:
            continue
        return lock
