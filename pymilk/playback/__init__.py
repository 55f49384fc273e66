"""Playing recordings and arrays as live streams."""

from .footage import Footage, open_footage
from .player import Player, play
from .report import PlayReport

__all__ = ["Footage", "PlayReport", "Player", "open_footage", "play"]
