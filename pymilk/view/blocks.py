"""Pictures as text for terminals: half blocks in 16 million or 256 colours, or letters."""

from __future__ import annotations

import numpy as np

from .._types import Array

__all__ = ["half_blocks", "letters", "of_256"]

#: Letters from dark to bright, and the one for pixels that are not finite.
_RAMP = " .:-=+*#%@"
_BAD_LETTER = "?"

#: Red, green and blue of the 6x6x6 colours of terminals, and where they and the 24 grays begin.
_CUBE = np.array([0, 95, 135, 175, 215, 255])
_GRAYS = np.arange(8, 239, 10)
_FIRST_CUBE, _FIRST_GRAY = 16, 232

#: Nearest step of the cube for each value.
_STEP = np.abs(np.arange(256)[:, None] - _CUBE).argmin(axis=1)

_RESET = "\x1b[0m"

#: A pixel that is not there: the background of the terminal.
_NONE = -1


def of_256(rgb: Array) -> Array:
    """Return the nearest of the 256 colours of a terminal.

    Parameters
    ----------
    rgb : ndarray, uint8, shape (..., 3)

    Returns
    -------
    ndarray, int64, shape (...)
        16 to 255: the first 16 look different on each terminal.
    """
    steps = _STEP[rgb]
    colour = _FIRST_CUBE + 36 * steps[..., 0] + 6 * steps[..., 1] + steps[..., 2]
    wanted = rgb.astype(np.int64)
    gray = np.clip((wanted.mean(axis=-1) - 3) // 10, 0, 23).astype(np.int64)
    off_cube = ((_CUBE[steps] - wanted) ** 2).sum(axis=-1)
    off_gray = ((_GRAYS[gray][..., None] - wanted) ** 2).sum(axis=-1)
    codes: Array = np.where(off_gray < off_cube, _FIRST_GRAY + gray, colour)
    return codes


def half_blocks(rgb: Array, *, true_colour: bool = True) -> list[str]:
    """Draw a picture with half blocks: two pixels, one above the other, for each cell.

    Parameters
    ----------
    rgb : ndarray, uint8, shape (height, width, 3)
        The first row is drawn at the top.
    true_colour : bool, default True
        False: the nearest of 256 colours.

    Returns
    -------
    list of str
        (height + 1) // 2 lines of `width` cells, without line feeds. Each ends with the colours of the
        terminal, and names a colour only where it changes.
    """
    if true_colour:
        wide = rgb.astype(np.int64)
        codes = wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]
        name = _true_colour
    else:
        codes = of_256(rgb)
        name = "5;{}".format
    if len(codes) % 2:
        codes = np.vstack([codes, np.full((1, codes.shape[1]), _NONE)])
    # Each colour is put into words once.
    words = {code: name(code) for code in np.unique(codes).tolist() if code != _NONE}
    return [
        _line(above, below, words)
        for above, below in zip(codes[::2].tolist(), codes[1::2].tolist(), strict=True)
    ]


def _true_colour(code: int) -> str:
    return f"2;{code >> 16};{code >> 8 & 255};{code & 255}"


def _line(above: list[int], below: list[int], words: dict[int, str]) -> str:
    pieces: list[str] = []
    upper = lower = _NONE
    for top, bottom in zip(above, below, strict=True):
        if top == bottom:
            if bottom != lower:
                pieces.append(f"\x1b[48;{words[bottom]}m")
            pieces.append(" ")
        else:
            if top != upper and bottom != lower:
                pieces.append(f"\x1b[38;{words[top]};48;{words[bottom]}m▀")
            elif top != upper:
                pieces.append(f"\x1b[38;{words[top]}m▀")
            elif bottom != lower:
                pieces.append(f"\x1b[48;{words[bottom]}m▀")
            else:
                pieces.append("▀")
            upper = top
        lower = bottom
    pieces.append(_RESET)
    return "".join(pieces)


def letters(parts: Array) -> list[str]:
    """Draw a picture with ASCII letters, one for each pixel.

    Parameters
    ----------
    parts : ndarray, shape (height, width)
        Brightness from 0 to 1, or NaN. The first row is drawn at the top.

    Returns
    -------
    list of str
        `height` lines of `width` letters: the brighter, the more ink. NaN is a question mark.
    """
    ramp = np.array(list(_RAMP + _BAD_LETTER))
    steps = np.minimum(np.nan_to_num(parts) * len(_RAMP), len(_RAMP) - 1).astype(np.intp)
    return ["".join(line) for line in ramp[np.where(np.isnan(parts), len(_RAMP), steps)].tolist()]
