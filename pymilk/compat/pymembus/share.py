"""What a handle has open: a stream or channel, who may unlink it, and which views are out."""

from __future__ import annotations

import contextlib
import os
import weakref
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from ..._core import Stream
from ..._types import Array
from ...channels import MessageLog, SharedState
from ...errors import ChannelClosedError, StreamError

__all__ = ["ChannelHandle", "Lease", "LeasedArray", "Share", "Single", "remove_file", "remove_stream"]


class Single:
    """An object that is not pickled, and has no copy: two would share one place to read, and both let go."""

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"cannot pickle {type(self).__name__!r} object; open the share by its name there")


class Share:
    """A stream that a handle has open.

    Handles of `memmap` close while views are out; those of `memvid` and `memaud` raise. Both hold
    the leases of their views in a weak set.

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


def remove_file(attach: Callable[[], Any]) -> bool:
    """Remove the file of what `attach` gives; others that have it go on. Returns whether it was there."""
    try:
        with attach() as found:
            os.unlink(found.path)
    except (StreamError, OSError):
        return False
    return True


def remove_stream(name: str) -> bool:
    """Remove a stream by name, as `remove_file` does."""
    return remove_file(lambda: Stream.attach(name, writable=False))


class ChannelHandle(Single):
    """A handle on a channel, whose name goes with the handle that made it."""

    _existing = False
    _unlink: Callable[[], object] | None = None

    def _channel(self) -> MessageLog | SharedState | None:
        """Return what is open."""
        raise NotImplementedError

    def _unlink_with(self, channel: MessageLog | SharedState) -> None:
        """Have the name removed when this is collected, or by `_let_go`: not by a child after fork."""
        self._unlink = weakref.finalize(
            self, _unlink_channel, os.getpid(), type(channel), channel.path, channel.identity
        )

    def _let_go(self) -> None:
        """Remove the name if this handle made it, and if it is not that of another channel by now."""
        unlink, self._unlink = self._unlink, None
        if unlink is not None:
            unlink()

    def existing(self) -> bool:
        """Tell whether the share was there before: False for the handle that made it."""
        return self._existing

    def isOpen(self) -> bool:
        """Tell whether a share is open."""
        return self._channel() is not None

    def getSessionId(self) -> int:
        """Return the random number of this share, of 64 bits with a sign; 0 if closed."""
        channel = self._channel()
        number = 0
        if channel is not None:
            with contextlib.suppress(ChannelClosedError):  # by another thread
                number = channel.identity
        return number - 2**64 if number >= 2**63 else number


def _unlink_channel(pid: int, kind: type[MessageLog | SharedState], path: str, identity: int) -> None:
    if os.getpid() == pid:
        with contextlib.suppress(StreamError, OSError), kind.attach(path) as channel:
            if channel.identity == identity:
                os.unlink(path)
