"""Changes of the parameters of an FPS, told to those who listen."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable
from typing import Any

from ...errors import StreamError
from ...parameters import FPS
from ..engine import Outlet
from .wire import encode, told_value

__all__ = ["ChangeOutlet", "file_of"]

#: Seconds between two looks whether the file is still the one, and for new parameters; and after which
#: something is said although nothing changed.
_LOOK_SECONDS, _ALIVE_SECONDS = 0.25, 1.0

#: Changes in one message.
_TOGETHER = 100


def file_of(fps: FPS) -> str:
    """Return which file an FPS is, as far as that can be told from others of the same name."""
    try:
        found = os.stat(fps.path)
    except OSError:
        return ""
    return f"{found.st_dev:x}.{found.st_ino:x}"


class ChangeOutlet:
    """Tell changes of one FPS: each time that `push` is called, those since the last time.

    Messages are numbered, so that who listens notices that one is missing, and asks for all parameters then;
    at least one comes each second. A parameter that was written twice since the last look is told once, with
    its counter.

    Parameters
    ----------
    name : str
        Of the FPS.
    open_outlet : callable
        Returns the outlet.
    """

    def __init__(self, name: str, open_outlet: Callable[[], Outlet]) -> None:
        self._name = name
        self._fps: FPS | None = None
        self._file = ""
        self._seen: dict[int, int] = {}
        self._number = 0
        self._looked = self._said = -math.inf
        self._outlet = open_outlet()

    def push(self) -> bool:
        """Tell what changed; returns whether anybody listens.

        Raises
        ------
        BridgeError
            The engine has ended.
        """
        if not self._outlet.wanted:
            self._forget()
            return False
        try:
            changes = self._changed()
        except StreamError:  # gone, damaged or made anew: the next look may find another one
            self._forget()
            return True
        now = time.monotonic()
        for first in range(0, len(changes), _TOGETHER):
            self._put(changes[first : first + _TOGETHER])
        if changes or now - self._said >= _ALIVE_SECONDS:
            self._said = now
            if not changes:
                self._put([])
        return True

    def close(self) -> None:
        """End it."""
        self._forget()
        self._outlet.close()

    def _put(self, changes: list[Any]) -> None:
        self._number += 1
        self._outlet.put(encode({"file": self._file, "number": self._number, "changes": changes}))

    def _changed(self) -> list[Any]:
        """Return key, type, value and counter of each parameter that was written since the last look."""
        now = time.monotonic()
        if now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            if self._fps is not None and not self._fps.is_current():
                self._forget()
        if self._fps is None:
            return self._attach()
        table, changes = self._fps.table, []
        for entry in table.entries():
            count = table.counter(entry)
            if count != self._seen.get(entry.slot, 0):
                kind = self._fps.param(entry.keyword).type_name
                changes.append([entry.key, kind, told_value(table.get(entry.keyword)), count])
            self._seen[entry.slot] = count
        return changes

    def _attach(self) -> list[Any]:
        """Begin with the file that there is now; who listens reads all of it."""
        self._fps = fps = FPS(self._name, writable=False)
        self._file, self._said = file_of(fps), -math.inf
        self._seen = {entry.slot: fps.table.counter(entry) for entry in fps.table.entries()}
        return []

    def _forget(self) -> None:
        fps, self._fps = self._fps, None
        self._seen.clear()
        if fps is not None:
            with contextlib.suppress(StreamError):
                fps.close()
