"""`memmap`: a named block of shared memory, as a stream of bytes."""

from __future__ import annotations

import contextlib
import weakref

import numpy as np

from ..._core import ArrayExporter, Stream
from ..._types import Array
from ...errors import StreamError, StreamExistsError, StreamFormatError, StreamNotFoundError
from .arguments import content, integer, share_name
from .errors import errc, failed, set_error
from .share import Lease, LeasedArray, Share, Single, remove_stream

__all__ = ["memmap"]


class memmap(ArrayExporter, Single):
    """A named block of bytes, for any number of processes.

    As a buffer it has one axis of signed bytes. The block is a stream of int8; `write` publishes a frame.

    Notes
    -----
    `close` lets go of the handle. Views stay valid; the name goes with the last of them.
    """

    def __init__(self) -> None:
        set_error(errc.ok)
        self._share: Share | None = None
        self._name = ""
        self._existing = False
        self._lent: weakref.WeakSet[Lease] = weakref.WeakSet()

    def open(
        self, sName: str, nSize: int, bCreate: bool = False, bNew: bool = False, bReadOnly: bool = False
    ) -> bool:
        """Attach a block, or make it.

        Parameters
        ----------
        sName : str
        nSize : int
            Bytes of a new block. One that exists keeps its size.
        bCreate : bool, default False
            Make it if it is not there.
        bNew : bool, default False
            Remove an old one first.
        bReadOnly : bool, default False
            Attach to read; nothing is made.

        Returns
        -------
        bool
            False: open_failed, map_failed (a size of 0 or less), create_failed, access_denied.

        Raises
        ------
        RuntimeError
            Views of the last block are alive.
        """
        name, size = share_name(sName), integer(nSize, "nSize", -(2**63), 2**63 - 1)
        if self._lent:
            raise RuntimeError("cannot reopen memmap while exported buffer views or aliases exist")
        self._share = None
        create = bool(bCreate) and not bReadOnly
        if name is None:
            return failed(errc.create_failed if create else errc.open_failed)
        if bNew and not bReadOnly:
            remove_stream(name)
        try:
            share = None if bNew and create else self._attached(name, not bReadOnly)
            if share is None and create:
                if size <= 0:
                    return failed(errc.map_failed)
                share = self._made(name, size)
        except PermissionError:
            return failed(errc.access_denied)
        except StreamFormatError:
            return failed(errc.invalid_layout)
        except StreamError:
            return failed(errc.create_failed)
        if share is None:
            return failed(errc.open_failed)
        self._share, self._existing = share, not share.made
        self._name = content(sName, "sName").decode("utf-8", "surrogateescape")
        set_error(errc.ok)
        return True

    @staticmethod
    def _attached(name: str, writable: bool) -> Share | None:
        with contextlib.suppress(StreamNotFoundError):
            return Share(Stream.attach(name, writable=writable), False)
        return None

    @classmethod
    def _made(cls, name: str, size: int) -> Share | None:
        try:
            return Share(Stream.create(name, (size,), np.int8, replace=False), True)
        except StreamExistsError:  # another process was faster
            return cls._attached(name, True)

    @staticmethod
    def remove(sName: str) -> bool:
        """Remove a block by name; handles that have it go on. Returns whether there was one."""
        name = share_name(sName)
        set_error(errc.ok)
        return name is not None and remove_stream(name)

    def close(self) -> None:
        """Let go of the block. Views stay valid; the maker's name goes with the last of them."""
        self._share = None

    def existing(self) -> bool:
        """Tell whether the block was there before: False for the handle that made it."""
        return self._existing

    def isOpen(self) -> bool:
        """Tell whether a block is open."""
        return self._share is not None

    def name(self) -> str:
        """Return the name that it was opened with. RuntimeError if closed."""
        self._opened()
        return self._name

    def size(self) -> int:
        """Return its bytes. RuntimeError if closed."""
        return len(_bytes(self._opened()))

    def read(self, sz: int = -1) -> str:
        """Return its first bytes as text; all of them for 0 and less, or more than there are.

        Raises
        ------
        UnicodeDecodeError
        RuntimeError
            Closed.
        """
        return self.read_bytes(sz).decode()

    def read_bytes(self, sz: int = -1) -> bytes:
        """Return its first bytes: a copy; all of them for 0 and less, or more than there are."""
        count = integer(sz, "sz", -(2**63), 2**63 - 1)
        found = _bytes(self._opened())
        return found[: count if 0 < count < len(found) else len(found)].tobytes()

    def write(self, data: str | bytes, /) -> int:
        """Copy into its beginning, as much as fits; returns the number of bytes.

        0 with access_denied if it was opened to be read.
        """
        given = np.frombuffer(content(data, "data"), np.int8)
        share = self._opened()
        if not share.writable:
            set_error(errc.access_denied)
            return 0
        place = _bytes(share)
        count = min(len(given), len(place))
        place[:count] = given[:count]
        share.stream.announce()
        return count

    def _opened(self) -> Share:
        """Return what is open: another thread may close it meanwhile."""
        share = self._share
        if share is None:
            set_error(errc.not_open)
            raise RuntimeError("memmap is closed")
        return share

    def _exported(self) -> LeasedArray:
        share = self._share
        if share is None:
            raise BufferError("memmap is closed")
        leased = share.lend(_bytes(share))
        self._lent.add(leased.lease)
        return leased

    def __repr__(self) -> str:
        share = self._share
        state = "closed" if share is None else f"{self._name!r}, {len(_bytes(share))} bytes"
        return f"<memmap {state}>"


def _bytes(share: Share) -> Array:
    stream = share.stream
    return stream.view(writable=stream.writable).reshape(-1).view(np.int8)
