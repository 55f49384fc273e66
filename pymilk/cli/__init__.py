"""The ``pymilk`` command, and those that existing scripts call. Their libraries are the extra ``cli``."""

from .start import creashmim, main, shmImshow, shmPlot, shmTermshow, updatekw

__all__ = ["creashmim", "main", "shmImshow", "shmPlot", "shmTermshow", "updatekw"]
