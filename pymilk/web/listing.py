"""The list of streams that the page shows, with their rates."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

from ..arguments import shown
from ..errors import StreamError, StreamNotFoundError
from ..inspection import measure_rates, survey
from ..names import matches
from .sources import path_of

__all__ = ["Listing", "plain"]

#: What the page gets of a stream.
_KEPT = (
    "name", "shape", "dtype", "counter", "rate", "age", "writer_pid", "writer_alive", "readers", "ring",
    "ring_kind", "content", "nbytes", "counter_set", "error",
)  # fmt: skip

#: Seconds that a list is good for.
_FRESH_SECONDS = 0.5


class Listing:
    """Streams of the stream directory, looked at again when a list is asked for and the last one is old.

    Parameters
    ----------
    patterns : tuple of str
        Names, or patterns of them; empty: all.
    """

    def __init__(self, patterns: tuple[str, ...]) -> None:
        self._patterns = patterns
        self._found: list[dict[str, Any]] = []
        self._looked = -float("inf")
        self._lock = asyncio.Lock()

    def shows(self, name: str) -> bool:
        """Tell whether a stream may be looked at."""
        return not self._patterns or matches(name, self._patterns)

    def checked(self, name: str) -> str:
        """Return the name of a stream, or of an FPS, that may be looked at.

        Raises
        ------
        StreamNotFoundError
            It may not, or is no name.
        """
        if not self.shows(name):
            raise StreamNotFoundError(f"{shown(name, 80)} is not shown here", stream=name[:80])
        if not name or name != os.path.basename(name) or name.startswith(".") or "\0" in name:
            raise StreamNotFoundError(f"{shown(name, 80)} is no name", stream=name[:80])
        return name

    def path(self, name: str) -> str:
        """Return the path of a stream that may be looked at; raises as `checked` does."""
        return path_of(self.checked(name))

    async def streams(self) -> list[dict[str, Any]]:
        """Return what is known of each stream."""
        async with self._lock:
            if time.monotonic() - self._looked >= _FRESH_SECONDS:
                try:
                    found = await asyncio.to_thread(survey)
                except StreamError:
                    found = []  # the directory is gone, or not there yet
                measure_rates(self._found, found)
                self._found, self._looked = found, time.monotonic()
            return [_short(entry) for entry in self._found if self.shows(entry["name"])]


def _short(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: plain(entry[name]) for name in _KEPT if name in entry}


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it: tuples as lists, other numbers as Python's own, NaN as None."""
    if isinstance(value, dict):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and (value != value or value in (float("inf"), -float("inf"))):
        return None
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
