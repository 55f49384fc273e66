"""Streams as pictures: levels, colours, sizes, curves, terminals. Needs NumPy only, and prints nothing.

`Feed` has the newest frame of a stream, `Display` makes text for a terminal or an RGB picture of it, and
`save_png` writes that. The parts that they are made of are in the modules of this package.

Frames are drawn as ds9 draws upright FITS files and as matplotlib does with ``origin="lower"``: row 0, the
first NumPy axis of what `pymilk.SHM` gives, is at the bottom, and columns run to the right.
"""

from __future__ import annotations

from .display import Display
from .feed import Feed
from .png import save_png

__all__ = ["Display", "Feed", "save_png"]
