"""Colour maps: tables of 256 colours, and one for pixels that are not finite."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from .._types import Array
from ..arguments import bad_argument
from ..errors import StreamArgumentError
from ..system.extras import optional_library

__all__ = ["BAD", "COLOURS", "colour_table", "paint"]

#: Colour of pixels that are not finite; in none of the maps here.
BAD = (190, 0, 190)

_REVERSED = "_r"


def _gray(x: Array) -> tuple[Array, Array, Array]:
    return x, x, x


def _heat(x: Array) -> tuple[Array, Array, Array]:
    return 3 * x, 3 * x - 1, 3 * x - 2


def _ice(x: Array) -> tuple[Array, Array, Array]:
    return 3 * x - 2, 3 * x - 1, 3 * x


def _green(x: Array) -> tuple[Array, Array, Array]:
    return 2 * x - 1, 1.2 * x, 2 * x - 1


def _polar(x: Array) -> tuple[Array, Array, Array]:
    # Black in the middle: below it blue to cyan, above it red to yellow.
    return 4 * x - 2, np.abs(4 * x - 2) - 1, 2 - 4 * x


def _spectrum(x: Array) -> tuple[Array, Array, Array]:
    # Blue, cyan, green, yellow, red, each as far from the next.
    return 4 * x - 2, 2 - np.abs(4 * x - 2), 2 - 4 * x


#: Maps that need no library, in the order in which the key selects them.
COLOURS: dict[str, Callable[[Array], tuple[Array, Array, Array]]] = {
    "gray": _gray,
    "heat": _heat,
    "ice": _ice,
    "green": _green,
    "polar": _polar,
    "spectrum": _spectrum,
}


def colour_table(name: str) -> Array:
    """Return the table of a colour map.

    Parameters
    ----------
    name : str
        One of `COLOURS`, with ``_r`` behind it for the reverse; or a colour map of matplotlib.

    Returns
    -------
    ndarray, uint8, shape (257, 3)
        Red, green and blue from the lowest to the highest level; the last one is for pixels that are not
        finite. Read-only.

    Raises
    ------
    StreamArgumentError
        There is no such map.
    LibraryMissingError
        The map is not in `COLOURS`, and matplotlib is not installed.
    """
    if not isinstance(name, str):  # before the cache, which cannot look up what has no hash
        known = ", ".join(COLOURS)
        raise bad_argument("colours", name, f"the name of a colour map: {known}, or one of matplotlib")
    return _colour_table(name)


@lru_cache(maxsize=32)
def _colour_table(name: str) -> Array:
    x = np.linspace(0.0, 1.0, 256)
    make = COLOURS.get(name.removesuffix(_REVERSED))
    if make is not None:
        channels = np.stack(make(1 - x if name.endswith(_REVERSED) else x), axis=1)
    else:
        maps = optional_library(
            "matplotlib", "plot", f"colour maps other than {', '.join(COLOURS)} (such as {name!r})"
        ).colormaps
        if name not in maps:
            raise StreamArgumentError(
                f"there is no colour map {name!r}, neither among {', '.join(COLOURS)} nor in matplotlib",
                argument="colours",
                found=name,
            )
        channels = maps[name](x)[:, :3]
    table = np.empty((257, 3), np.uint8)
    table[:256] = np.rint(255 * np.clip(channels, 0, 1))
    table[256] = BAD
    table.flags.writeable = False
    return table


def paint(parts: Array, table: Array) -> Array:
    """Return the colour of each pixel.

    Parameters
    ----------
    parts : ndarray, shape (height, width)
        From 0 to 1, or NaN.
    table : ndarray, uint8, shape (257, 3)

    Returns
    -------
    ndarray, uint8, shape (height, width, 3)
    """
    return table[np.where(np.isnan(parts), 256, np.rint(np.nan_to_num(parts) * 255)).astype(np.intp)]
