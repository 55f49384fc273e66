"""Colours that mean something: where they are wanted, and texts that carry one."""

from __future__ import annotations

import os
from typing import Any

__all__ = ["STYLES", "Meaning", "paint", "wants_colours"]

#: What colours and weights say, as codes of a terminal.
STYLES = {"head": "1", "quiet": "2", "chosen": "7", "bad": "31", "good": "32", "doubtful": "33"}

#: Styles that are no colours, and stay where colours are not wanted.
_COLOURLESS = ("head", "quiet", "chosen")


class Meaning(str):
    """A text with a style of `STYLES`; a plain text everywhere else.

    Parameters
    ----------
    text : str
    style : str
    """

    __slots__ = ("style",)

    style: str

    def __new__(cls, text: str, style: str) -> Meaning:
        """Make the text."""
        made = super().__new__(cls, text)
        made.style = style
        return made


def wants_colours(stream: Any) -> bool:
    """Return whether a stream is a terminal with colours, and ``NO_COLOR`` is not set, or empty."""
    return bool(
        stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"
    )


def paint(text: str, style: str, *, colours: bool = True) -> str:
    """Return a text with the codes of a style around it.

    Parameters
    ----------
    text : str
    style : str
        One of `STYLES`.
    colours : bool, default True
        False: bold, dim and reversed text only.
    """
    return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if colours or style in _COLOURLESS else text
