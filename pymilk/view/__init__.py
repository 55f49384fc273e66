"""Streams as pictures: levels, colours, sizes, curves, terminals. Needs NumPy only, and prints nothing.

`Feed` gives the newest frame of a stream, `Display` turns it into text for a terminal or an RGB picture, and
`save_png` writes the picture.

Frames are drawn as ds9 draws upright FITS files and as matplotlib does with ``origin="lower"``: row 0, the
first NumPy axis of what `pymilk.SHM` gives, is at the bottom, and columns run to the right.
"""

from __future__ import annotations

from .display import Display
from .feed import Feed
from .film import write_video
from .plot import plot, plot_frames
from .png import save_png
from .thumbnail import thumbnail

__all__ = ["Display", "Feed", "plot", "plot_frames", "save_png", "thumbnail", "write_video"]
