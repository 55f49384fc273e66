"""When a session that is connected, and through which nothing comes, has to be opened anew."""

from __future__ import annotations

import time

from .engine import Engine
from .links import Links

__all__ = ["Deafness"]

#: Seconds without anything until then; twice as many the next time, up to the second number.
_SECONDS, _MOST = 3.0, 60.0


class Deafness:
    """Watch for the state that Zenoh stays in if a link is cut as soon as it is there again: docs/bridge.md.

    It looks as if the other end were not there at all, so sessions are opened anew less and less often; and
    never those that others connect to, or that are not one's own.

    Parameters
    ----------
    links : Links or None
        None: the session is somebody else's.
    """

    def __init__(self, links: Links | None) -> None:
        self._may = links is not None and not links.listen
        self.heard()

    def heard(self) -> None:
        """Take down that something came through."""
        self._since, self._patience = time.monotonic(), _SECONDS

    def lasts(self, engine: Engine) -> bool:
        """Tell whether it is time for another session: not before somebody is connected."""
        now = time.monotonic()
        if not self._may or now - self._since < self._patience:
            return False
        self._since, self._patience = now, min(2 * self._patience, _MOST)
        return bool(engine.neighbours())
