"""What a child after fork has of the objects of its parent.

A fork copies memory, and only the thread that calls it. The threads that capture, collect and relay stay
with the parent, and so may a lock that another thread held. So each object that has a thread or a lock is
told in the child: it takes new locks, and where its thread is missing it ends with an error that says so,
instead of waiting for ever. The parent notices nothing.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol

from ..errors import StreamForkedError

__all__ = ["left_with_parent", "tell", "tell_after_fork"]


class Forkable(Protocol):
    """An object with threads or locks."""

    def _after_fork(self) -> None:
        """Put right what the child has not; called in the child, before anything else runs there."""


# By identity: some of them compare by value, and have no hash.
_told: weakref.WeakValueDictionary[int, Forkable] = weakref.WeakValueDictionary()


def tell_after_fork(item: Forkable) -> None:
    """Have `item` told in each child that is forked while it lives."""
    _told[id(item)] = item


def tell(item: Forkable) -> None:
    """Tell an object that this is a child after fork; it may be told again."""
    item._after_fork()


def left_with_parent(what: str, stream: str) -> StreamForkedError:
    """Make the error of an object whose thread stayed with the parent.

    Parameters
    ----------
    what : str
        The object, for the message: "capture".
    stream : str
        Name of its stream.
    """
    parent = os.getppid()
    return StreamForkedError(
        f"stream {stream!r}: this {what} goes on in process {parent}, which forked this one; threads are not "
        "copied, so nothing comes here any more. Make a new one here, or begin it after the fork",
        stream=stream,
        pid=parent,
    )


def _tell() -> None:
    for item in list(_told.values()):
        tell(item)


os.register_at_fork(after_in_child=_tell)
