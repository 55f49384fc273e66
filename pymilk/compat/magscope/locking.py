"""The lock of a buffer, as its users gave it."""

from __future__ import annotations

import multiprocessing.synchronize
from typing import Any

__all__ = ["Locked"]


class Locked:
    """Something with one lock, which each call takes once.

    Attributes
    ----------
    lock : Lock
        Any context manager.
    """

    @property
    def lock(self) -> Any:
        """The lock. It is not re-entrant: do not call a method with it held."""
        return self._lock

    @lock.setter
    def lock(self, lock: Any) -> None:
        self._lock = lock
        # The same lock without two calls of Python around it: they would take half the time of a small write.
        plain = type(lock) is multiprocessing.synchronize.Lock
        self._guard: Any = getattr(lock, "_semlock", lock) if plain else lock
