"""What an object makes, such as a reader or a capture, keeps it open as long as it works."""

from __future__ import annotations

__all__ = ["Kept"]


class Kept:
    """A reference to the object that made this one; the other way there are weak references only."""

    def __init__(self) -> None:
        self._owner: object = None

    def keep(self, owner: object) -> None:
        """Keep an object open, until `let_go`."""
        self._owner = owner

    def let_go(self) -> None:
        """Drop the reference: an object that nobody else refers to closes itself."""
        self._owner = None
