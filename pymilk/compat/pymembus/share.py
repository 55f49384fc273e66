"""What a handle has open: a stream, who may unlink it, and which views are out."""

from __future__ import annotations

import contextlib
import os
import weakref
from typing import Any

import numpy as np

from ..._core import Stream
from ..._types import Array
from ...errors import StreamError

__all__ = ["Lease", "LeasedArray", "Share", "remove_stream"]


class Share:
    """A stream that a handle has open.

    The name of one that was made here goes with the last reference: that of the handle, or of a view. A
    process that ends lets go of it too; a child after fork does not.

    Attributes
    ----------
    stream : Stream
    made : bool
        This object made it.
    """

    def __init__(self, stream: Stream, made: bool) -> None:
        self.stream, self.made = stream, made
        if made:
            weakref.finalize(self, _unlink, os.getpid(), stream)

    @property
    def writable(self) -> bool:
        """Whether the handle may change what is in it."""
        return self.stream.writable

    def lend(self, array: Array) -> LeasedArray:
        """Return a view that keeps all of this alive, and whose lease tells how long it is."""
        leased = array.view(LeasedArray)
        leased.lease = Lease(self)
        return leased


class Lease:
    """Held by a view, and by whatever was made of it."""

    __slots__ = ("__weakref__", "share")

    def __init__(self, share: Share) -> None:
        self.share = share


class LeasedArray(np.ndarray[Any, Any]):
    """An array that holds a lease. It is exported through the buffer protocol only, never handed out."""

    lease: Lease


def _unlink(pid: int, stream: Stream) -> None:
    if os.getpid() == pid:
        # It compares the file: the name may be that of another share by now.
        with contextlib.suppress(StreamError):
            stream.destroy()


def remove_stream(name: str) -> bool:
    """Remove a stream by name; those who have it go on. Returns whether it was there."""
    try:
        with Stream.attach(name, writable=False) as stream:
            os.unlink(stream.path)
    except (StreamError, FileNotFoundError, PermissionError):
        return False
    return True
