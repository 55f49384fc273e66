"""What `memvid`, `memaud` and `mempkt` have in common: opening, the ring, identity, views that are out."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
import weakref
from typing import Any

import numpy as np

from ..._core import Stream
from ...errors import StreamError, StreamFormatError, StreamNotFoundError
from ...system.forks import tell_after_fork
from .arguments import integer, milliseconds, share_name
from .errors import errc, failed, set_error
from .layout import COMMON, PAGE, Kind, Layout, aligned_bytes, round_up
from .share import Share, Single, remove_stream

__all__ = ["LONG", "MOST_COUNT", "OpenRing", "Ring"]

#: Least and most of an int64 argument.
LONG = (-(2**63), 2**63 - 1)

#: What no counter of a share reaches; a file that says so is damaged.
MOST_COUNT = 1 << 62

#: Seconds between two looks at the counter.
_LOOK = 0.0005


class OpenRing:
    """A share that a handle has open.

    Attributes
    ----------
    share : Share
    layout : Layout
    data : ndarray of uint8
        All bytes.
    words : ndarray of int64
    writable : bool
    session : int
    """

    def __init__(self, share: Share, kind: Kind, layout: Layout, writable: bool) -> None:
        self.share, self.layout, self.writable = share, layout, writable
        stream = share.stream
        self.data = aligned_bytes(stream.view(writable=writable))
        self.words = self.data[: kind.nbytes].view(np.int64)
        self.session = int(self.words[COMMON["session"]])
        self.meta_at = kind.nbytes

    @property
    def seq(self) -> int:
        """How many were published."""
        return int(self.words[COMMON["seq"]])

    @property
    def slot(self) -> int:
        """The slot that is written next."""
        return int(self.words[COMMON["slot"]]) % self.layout.bufs

    def move(self, slot: int) -> int:
        """Make a slot the one that is written next; returns it."""
        place = slot % self.layout.bufs
        self.words[COMMON["slot"]] = place
        return place

    def publish(self, seq: int) -> bool:
        """Publish a sequence number, and wake those who wait for frames of the stream.

        False, with invalid_layout, if the file was cut or is another by now.
        """
        self.words[COMMON["seq"]] = seq
        try:
            self.share.stream.announce()
        except StreamError:
            return failed(errc.invalid_layout)
        return True


class Ring(Single):
    """A handle on a share with a ring.

    Another thread may close it at any time, so that a method looks at `_ring` once, and goes on with what it
    found there.
    """

    _kind: Kind

    def __init__(self) -> None:
        set_error(errc.ok)
        self._ring: OpenRing | None = None
        self._existing = False
        self._lent: weakref.WeakSet[Any] = weakref.WeakSet()
        self._turn = threading.RLock()
        tell_after_fork(self)

    def _after_fork(self) -> None:
        self._turn = threading.RLock()  # a thread of the parent may hold it

    # -- opening

    def _let_go(self, what: str) -> None:
        """Close, or raise RuntimeError while views are alive."""
        if self._lent:
            raise RuntimeError(f"cannot {what} {type(self).__name__} while exported buffer views exist")
        self._ring = None

    def _open(self, sName: object, create: bool, layout: Layout | None, meta: bytes) -> bool:
        """Make a share, or attach one of this layout. The old one is closed already."""
        name = share_name(sName)
        if layout is None:
            return failed(errc.invalid_argument)
        if name is None:
            return failed(errc.create_failed if create else errc.open_failed)
        return self._make(name, layout, meta) if create else self._attach(name, layout)

    def _make(self, name: str, layout: Layout, meta: bytes) -> bool:
        remove_stream(name)
        shape = (round_up(layout.total, PAGE) // PAGE + 1, PAGE)
        try:
            share = Share(Stream.create(name, shape, np.uint8, replace=False), True)
        except PermissionError:
            return failed(errc.access_denied)
        except StreamError:
            return failed(errc.create_failed)
        session = secrets.randbits(64) - 2**63 or 1
        self._kind.write(aligned_bytes(share.stream.view(writable=True)), layout, session, meta)
        self._ring, self._existing = OpenRing(share, self._kind, layout, True), False
        set_error(errc.ok)
        return True

    def _attach(self, name: str, wanted: Layout | None) -> bool:
        """Attach to write one of a layout, or (None) to read any."""
        writable = wanted is not None
        try:
            stream = Stream.attach(name, writable=writable)
        except PermissionError:
            return failed(errc.access_denied)
        except StreamNotFoundError:
            return failed(errc.open_failed)
        except StreamFormatError:
            return failed(errc.invalid_layout)
        except StreamError:
            return failed(errc.open_failed)
        layout = None
        if stream.dtype == np.uint8 and stream.shape[-1] == PAGE:
            with contextlib.suppress(StreamError):
                layout = self._kind.read(aligned_bytes(stream.view()))
        if layout is None:
            stream.close()
            return failed(errc.invalid_layout)
        if wanted is not None and not self._kind.same(layout, wanted):
            stream.close()
            return failed(errc.size_mismatch)
        self._ring, self._existing = OpenRing(Share(stream, False), self._kind, layout, writable), True
        set_error(errc.ok)
        return True

    def open_existing(self, sName: str) -> bool:
        """Attach a share to read it, whatever its parameters.

        Returns
        -------
        bool
            False: open_failed, invalid_layout (the file is another), access_denied.

        Raises
        ------
        RuntimeError
            Views of the last share are alive.
        """
        name = share_name(sName)
        self._let_go("reopen")
        return failed(errc.open_failed) if name is None else self._attach(name, None)

    @staticmethod
    def remove(sName: str) -> bool:
        """Remove a share by name; handles that have it go on. Returns whether there was one."""
        name = share_name(sName)
        set_error(errc.ok)
        return name is not None and remove_stream(name)

    def close(self) -> None:
        """Let go of the share; its name goes if this handle made it, and it is not another's by now.

        Raises
        ------
        RuntimeError
            Views of it are alive.
        """
        self._let_go("close")

    def existing(self) -> bool:
        """Tell whether the share was there before: False for the handle that made it."""
        return self._existing

    def isOpen(self) -> bool:
        """Tell whether a share is open."""
        return self._ring is not None

    # -- the ring

    def __len__(self) -> int:
        return self.getBufs()

    def __bool__(self) -> bool:
        return True

    def getBufs(self) -> int:
        """Return the number of slots; 0 if closed."""
        ring = self._ring
        return 0 if ring is None else ring.layout.bufs

    def getPtr(self, offset: int) -> int:
        """Return the slot so far from the one that is written next; -1 if closed."""
        distance = integer(offset, "offset", *LONG)
        ring = self._ring
        return -1 if ring is None else (ring.slot + distance) % ring.layout.bufs

    def getSeq(self) -> int:
        """Return how many were published; -1 if closed."""
        ring = self._ring
        return -1 if ring is None else ring.seq

    def waitForFrame(self, wait_ms: int, lastSeq: int) -> bool:
        """Wait until `getSeq` is higher than `lastSeq`; others run meanwhile. False: timeout, not_open."""
        deadline = time.monotonic() + milliseconds(wait_ms, "wait_ms")
        last = integer(lastSeq, "lastSeq", *LONG)
        while self.getSeq() <= last:
            if self._ring is None:
                return failed(errc.not_open)
            left = deadline - time.monotonic()
            if left <= 0:
                return failed(errc.timeout)
            time.sleep(min(_LOOK, left))
        set_error(errc.ok)
        return True

    # -- identity

    def getSessionId(self) -> int:
        """Return the random number of this share, of 64 bits with a sign; 0 if closed."""
        ring = self._ring
        return 0 if ring is None else ring.session

    def getVersion(self) -> int:
        """Return the version of the layout; -1 if closed."""
        return -1 if self._ring is None else self._kind.version

    def getFourcc(self) -> int:
        """Return the four characters that its maker gave, as a number; 0 if none, or closed."""
        ring = self._ring
        return 0 if ring is None else ring.layout.fourcc

    def getGuid(self) -> bytes | None:
        """Return the 16 bytes that its maker gave; None if none, or closed."""
        ring = self._ring
        return None if ring is None else ring.layout.guid or None

    def getMeta(self) -> bytes | None:
        """Return the bytes that its maker gave: a copy; None if none, or closed."""
        ring = self._ring
        if ring is None or not ring.layout.meta_nbytes:
            return None
        return ring.data[ring.meta_at : ring.meta_at + ring.layout.meta_nbytes].tobytes()

    def getMetaSize(self) -> int:
        """Return how many those are; 0 if none, or closed."""
        ring = self._ring
        return 0 if ring is None else ring.layout.meta_nbytes

    # -- for the kinds

    def _field(self, name: str, closed: int = 0) -> int:
        """Return a word of the kind that does not change."""
        ring = self._ring
        return closed if ring is None else ring.layout.fields[name]

    def _to_write(self) -> OpenRing | None:
        """Return the open ring if it can be written; None with an error."""
        ring = self._ring
        if ring is None or not ring.writable:
            set_error(errc.not_open if ring is None else errc.access_denied)
            return None
        if not 0 <= ring.seq < MOST_COUNT:
            set_error(errc.invalid_layout)
            return None
        return ring

    def __repr__(self) -> str:
        ring = self._ring
        state = "closed" if ring is None else repr(ring.share.stream.name)
        return f"<{type(self).__name__} {state}>"
