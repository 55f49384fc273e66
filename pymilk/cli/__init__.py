"""The ``pymilk`` command, and two that existing scripts call. Their libraries are the extra ``cli``."""

from .start import creashmim, main, updatekw

__all__ = ["creashmim", "main", "updatekw"]
