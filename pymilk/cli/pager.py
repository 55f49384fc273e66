"""`read_lines`: text that is longer than the terminal, with keys to scroll."""

from __future__ import annotations

import time
from collections.abc import Sequence

from .scroll import Scroll
from .tables import cut
from .terminal import ERASE, Terminal

__all__ = ["read_lines"]

#: Seconds between two looks at the size of the terminal; keys are noticed at once.
_IDLE = 60.0

_ENDS = ("q", "Q", "escape", "\r", "\n")
_KEYS = "q back  arrows, page keys, home, end"


def read_lines(lines: Sequence[str]) -> None:
    """Show lines until q, escape or return.

    Parameters
    ----------
    lines : sequence of str
        Of text that a terminal can show; those that are too long are cut.

    Raises
    ------
    KeyboardInterrupt
        Ctrl-C.
    """
    scroll = Scroll()
    with Terminal() as terminal:
        while True:
            room = max(1, terminal.lines - 1)
            # The place is the first line: there is nothing to choose.
            last = max(0, len(lines) - room)
            scroll.at = min(scroll.at, last)
            shown = [cut(line, terminal.columns) for line in lines[scroll.at : scroll.at + room]]
            shown += [""] * (room - len(shown)) + [cut(_KEYS, terminal.columns)]
            terminal.draw([ERASE + line for line in shown])
            keys = terminal.wait(time.monotonic() + _IDLE)
            if keys is None or any(key in _ENDS for key in keys):
                return
            for key in keys:
                scroll.press(key, last + 1, room)
