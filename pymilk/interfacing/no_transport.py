"""What stands for the transport engine of other builds: its classes refuse, and say what to do instead."""

from __future__ import annotations

from typing import Any, NoReturn

from ..errors import StreamUnsupportedError

__all__ = ["ComputeUnit", "CopybackComputeUnit"]


class ComputeUnit:
    """A receiver and a sender of frames with work between them; pymilk has no such engine.

    Raises
    ------
    StreamUnsupportedError
        Always. The message says what to do instead.
    """

    def __init__(self, name: str, *how: Any, **more: Any) -> None:
        raise StreamUnsupportedError(
            f"{name!r}: pymilk has no transport engine. Copy a stream within this machine with pymilk.Relay, "
            "work on frames in a loop over SHM.ring_reader().blocks(), record with pymilk.record and play "
            "the file on the other machine with pymilk.play; for a live stream over a network run the "
            "original engine, in an own environment",
            stream=str(name),
        )

    def loop(self, n: int = -1) -> NoReturn:
        """Raise NotImplementedError: there is no such object."""
        raise NotImplementedError("pymilk has no transport engine")


class CopybackComputeUnit(ComputeUnit):
    """As `ComputeUnit`: frames are only handed on."""
