"""`Scroll`: which of many lines is chosen, and which are in sight."""

from __future__ import annotations

__all__ = ["Scroll"]

_STEPS = {"up": -1, "down": 1}


class Scroll:
    """A place in a list that is longer than the terminal.

    Attributes
    ----------
    at : int
        The chosen line.
    first : int
        The first line in sight.
    """

    def __init__(self) -> None:
        self.at = self.first = 0

    def press(self, key: str, count: int, room: int) -> bool:
        """Move by a key.

        Parameters
        ----------
        key : str
            "up", "down", "pageup", "pagedown", "home", "end".
        count : int
            Lines of the list.
        room : int
            Lines in sight.

        Returns
        -------
        bool
            False if the key moves nothing.
        """
        if key in ("home", "end"):
            self.at = 0 if key == "home" else count - 1
        elif key in ("pageup", "pagedown"):
            self.at += room if key == "pagedown" else -room
        elif key in _STEPS:
            self.at += _STEPS[key]
        else:
            return False
        self.sight(count, room)
        return True

    def sight(self, count: int, room: int) -> slice:
        """Return the lines in sight, the chosen one among them; both stay within the list."""
        self.at = min(max(0, self.at), max(0, count - 1))
        self.first = min(max(self.first, self.at - room + 1), self.at)
        self.first = min(self.first, max(0, count - room))
        return slice(self.first, min(count, self.first + room))
