"""Create streams that have a ring."""

from __future__ import annotations

from typing import Any, TypedDict

from .._core import IMAGETYPES
from ..arguments import RING_KINDS, bad_argument, check_choice, check_count

__all__ = ["TEMPORAL_CUBE", "RingLayout", "check_slots", "ring_layout"]

#: Imagetype of a temporal circular cube: any further bit takes its per-slice records away.
TEMPORAL_CUBE = IMAGETYPES["CIRCULAR_BUFFER"] | IMAGETYPES["ZAXIS_TEMPORAL"]


class RingLayout(TypedDict, total=False):
    """Options of `Stream.create` that give a stream its ring."""

    cb_size: int
    imagetype: int


def check_slots(argument: str, found: Any, stream: str = "") -> int:
    """Return the number of slots of a ring as int, or raise `StreamArgumentError`."""
    return check_count(argument, found, "slots", below=2**32, stream=stream)


def ring_layout(
    name: str,
    shape: tuple[int, ...],
    slots: int,
    kind: str,
    arguments: tuple[str, str] = ("ring", "ring_kind"),
) -> tuple[tuple[int, ...], RingLayout]:
    """Return what gives a stream its ring: axes in front of those of a frame, options of `Stream.create`.

    Parameters
    ----------
    name : str
        Of the stream, for messages.
    shape : tuple of int
        Of a frame.
    slots : int
        0 without a ring.
    kind : {"fast", "temporal"}
        See `pymilk.SHM`.
    arguments : (str, str)
        What the caller's users call `slots` and `kind`.

    Raises
    ------
    StreamArgumentError
        A temporal ring needs slots, and frames of 2 axes.
    """
    check_choice(arguments[1], kind, RING_KINDS, name)
    if kind == "fast":
        return (), {"cb_size": slots}
    slots = check_slots(arguments[0], slots, name)
    if len(shape) != 2:
        wanted = f"'fast' for frames of shape {shape} (a temporal ring has frames of 2 axes)"
        raise bad_argument(arguments[1], kind, wanted, name)
    return (slots,), {"imagetype": TEMPORAL_CUBE}
