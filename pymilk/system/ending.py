"""Objects with threads that go on, and streams that they delete, at the end of the interpreter."""

from __future__ import annotations

import atexit
import weakref
from typing import Protocol

from ..errors import StreamError
from .journal import warn

__all__ = ["close_at_exit"]


class Closable(Protocol):
    """An object with a thread of its own."""

    def close(self) -> None:
        """End the thread, and clean up; does nothing the second time."""


_open: weakref.WeakSet[Closable] = weakref.WeakSet()


def close_at_exit(item: Closable) -> None:
    """Close an object at interpreter exit, before Python ends its threads; its thread has to refer to it."""
    _open.add(item)


@atexit.register
def _close_all() -> None:
    for item in list(_open):
        try:
            item.close()
        except StreamError:
            pass
        except Exception as error:  # noqa: BLE001 (the others have to end, too)
            warn("%r could not be closed at the end: %r", item, error)
