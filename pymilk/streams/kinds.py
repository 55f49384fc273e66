"""What the frames of a stream are besides frames: rows of a table, pictures, blocks of sound.

A keyword says so, whose value is the kind. The others that belong to it are read by `pymilk.channels`.
"""

from __future__ import annotations

from .._core import Stream

__all__ = ["FRAMES", "KIND", "KINDS", "kind_of"]

#: Name of the keyword.
KIND = "PMKIND"

#: Its values.
KINDS = ("table", "video", "audio")

#: Kind of a stream without that keyword.
FRAMES = "frames"


def kind_of(stream: Stream) -> str:
    """Return one of `KINDS`, or `FRAMES`: also for a keyword with another value."""
    found = next((each.value for each in stream.read_keywords() if each.name == KIND), None)
    return found if isinstance(found, str) and found in KINDS else FRAMES
