"""What goes wrong on purpose in a simulated camera."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ..arguments import check_number

__all__ = ["NONE", "Faults", "hits", "next_hit"]


@dataclass(frozen=True)
class Faults:
    """What goes wrong on purpose. Fractions are of all frames, evenly spaced; 0 is never.

    Parameters
    ----------
    drop : float
        Fraction of frames that are missing: the numbers jump, and every reader counts one frame as lost.
    tear : float
        Fraction of frames that are counted and posted when half of their pixels are there; the rest comes
        60 ms later. Readers wait for 50 ms, and then get such a frame marked as torn. Plain streams only.
    late : float
        Fraction of frames that come half an interval late; the next one is on time again.
    die : float
        Seconds until the camera is killed within a frame: `write` stays raised, its file stays. 0: never.
    restart : float
        Seconds after which the camera makes its stream anew, again and again. 0: never.

    Raises
    ------
    StreamArgumentError
        A fraction is not within 0 to 1, or a time is below 0.
    """

    drop: float = 0.0
    tear: float = 0.0
    late: float = 0.0
    die: float = 0.0
    restart: float = 0.0

    def __post_init__(self) -> None:
        for name in ("drop", "tear", "late"):
            check_number(name, getattr(self, name), "a fraction of frames, 0 to 1", 0.0, 1.0)
        for name in ("die", "restart"):
            check_number(name, getattr(self, name), "seconds, 0 for never", 0.0, 1e9)

    def options(self) -> list[str]:
        """Return them as options of ``pymilk simulate``."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        return [f"--{name}={value!r}" for name, value in given.items() if value]


#: Nothing goes wrong.
NONE = Faults()


def hits(fraction: float, number: int) -> bool:
    """Return whether a fault of this fraction meets the frame of this number, from 1 on."""
    return int(number * fraction) > int((number - 1) * fraction)


def next_hit(fraction: float, number: int) -> int:
    """Return the first number from `number` on that a fault of this fraction meets; 0 if there is none."""
    if fraction < 1e-12:
        return 0
    guess = max(number, int((int((number - 1) * fraction) + 1) / fraction) - 1)
    while not hits(fraction, guess):
        guess += 1
    return guess
