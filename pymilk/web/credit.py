"""Credit for frames: what was sent to a page, what it says to have painted, and what it may get next."""

from __future__ import annotations

from collections import deque

from ..arguments import shown
from ..errors import StreamArgumentError
from .account import Account, frame_of
from .sources import Shown

__all__ = ["PROTOCOL", "Credit"]

#: Version of the messages between page and server: what a page says in its first one.
PROTOCOL = 2

#: Frames on their way to a page, whatever it asks for.
_ON_THE_WAY = 2


class Credit:
    """The frames of one page.

    A page asks for a frame and says which one it painted last. It may ask for a second one while the first is
    on its way. What it did not paint is not shown: it counts as skipped once a later frame is painted.

    Parameters
    ----------
    account : Account, optional
        Of an earlier connection of the same page.

    Attributes
    ----------
    account : Account
        Of what the page has painted.
    """

    def __init__(self, account: Account | None = None) -> None:
        self.account = account or Account()
        self._number = 0
        self._on_the_way: deque[tuple[int, int]] = deque()
        # A page shows the last frame sent, or the one before while the last is on its way.
        self._sent: deque[tuple[int, Shown]] = deque(maxlen=_ON_THE_WAY)

    def send(self, shown: Shown) -> int:
        """Note that a frame is sent; returns its number among those of this page."""
        self._number += 1
        self._sent.append((self._number, shown))
        self._on_the_way.append((shown.counter, shown.file))
        return self._number

    def sent(self, number: int) -> Shown | None:
        """Return one of the last two frames sent; None of others."""
        return dict(self._sent).get(number)

    def take(self, painted: object) -> bool:
        """Take what a page says when it asks for a frame.

        Parameters
        ----------
        painted : object
            ``{"cnt0", "file"}`` of the last frame that it painted; None before the first.

        Returns
        -------
        bool
            Whether a frame may be sent: not if two are on their way.

        Raises
        ------
        StreamArgumentError
            No such frame was sent, or a later one was painted before.
        """
        frame = None if painted is None else frame_of(painted)
        if frame is not None and frame in self._on_the_way:
            while self._on_the_way.popleft() != frame:
                pass  # it was not painted
            self.account.note(*frame)
        elif frame != self.account.last:
            raise StreamArgumentError(
                f"the last frame painted is {shown(painted, 60)}, which was not sent, or is older "
                "than one before",
                argument="ready", found=painted,
            )  # fmt: skip
        return len(self._on_the_way) < _ON_THE_WAY
