"""Text in pictures: a scale of the colours beside a frame, and lines about it below."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np

from .._types import Array
from ..system.extras import optional_library

__all__ = ["LINE", "captioned", "write_line"]

#: Rows of pixels of a line of text, columns of a letter, and pixels around text.
LINE = 14
_LETTER = 6
_EDGE = 4

#: Columns of the scale, and of the numbers beside it.
_BAR, _NUMBERS = 14, 12 * _LETTER

#: Least width of a picture with a caption, and least height of one with a scale.
_WIDTH, _HEIGHT = 320, 2 * LINE

_WHITE = (230, 230, 230)


def write_line(
    picture: Array, row: int, text: str, *, column: int = _EDGE, colour: Sequence[int] = _WHITE
) -> Array:
    """Return a picture with a line of text.

    Parameters
    ----------
    picture : ndarray, uint8, shape (height, width, 3)
    row, column : int
        Where the text begins: its upper left corner.
    text : str
    colour : sequence of int
        Red, green and blue.

    Raises
    ------
    LibraryMissingError
        Pillow is not installed (``pip install Pillow``; it comes with matplotlib).
    """
    image = optional_library("PIL.Image", "plot", "text in pictures").fromarray(picture)
    draw = optional_library("PIL.ImageDraw", "plot", "text in pictures").Draw(image)
    draw.text((column, row), text, fill=tuple(colour))
    return np.asarray(image)


def captioned(
    picture: Array, table: Array, levels: tuple[float, float] | None, lines: Sequence[str]
) -> Array:
    """Return a picture with a scale at its right, and lines of text below.

    Parameters
    ----------
    picture : ndarray, uint8, shape (height, width, 3)
        It is not changed, and stays at the upper left.
    table : ndarray, uint8, shape (257, 3)
        Its colours: see `colours.colour_table`.
    levels : (low, high) or None
        Values of the first and the last colour; None: no scale.
    lines : sequence of str
        Those that are too long are wrapped.

    Returns
    -------
    ndarray, uint8, shape (height + more, width + more, 3)

    Raises
    ------
    LibraryMissingError
        Pillow is not installed (``pip install Pillow``; it comes with matplotlib).
    """
    height, width = picture.shape[:2]
    right = 0 if levels is None else _EDGE + _BAR + _EDGE + _NUMBERS
    wide = max(width + right, _WIDTH)
    wrapped = [part for line in lines for part in textwrap.wrap(line, (wide - 2 * _EDGE) // _LETTER) or [""]]
    tall = max(height, _HEIGHT if levels is not None else 1)
    canvas = np.zeros((tall + 2 * _EDGE + LINE * len(wrapped), wide, 3), np.uint8)
    canvas[:height, :width] = picture
    if levels is not None:
        begin = width + _EDGE
        canvas[:tall, begin : begin + _BAR] = table[np.linspace(255, 0, tall).astype(np.intp)][:, None]
        column = begin + _BAR + _EDGE
        canvas = write_line(canvas, 0, f"{levels[1]:.6g}", column=column)
        canvas = write_line(canvas, tall - LINE + 2, f"{levels[0]:.6g}", column=column)
    for at, line in enumerate(wrapped):
        canvas = write_line(canvas, tall + _EDGE + at * LINE, line)
    return canvas
