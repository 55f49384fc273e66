"""What a simulated camera, or a simulated loop, is asked to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arguments import (
    bad_argument,
    check_choice,
    check_count,
    check_items,
    check_number,
    check_rate,
    whole_number,
)
from ..errors import StreamArgumentError
from .faults import NONE, Faults
from .scenes import SCENES

__all__ = ["CameraOptions", "LoopOptions"]


@dataclass(frozen=True)
class CameraOptions:
    """What a camera publishes.

    Attributes
    ----------
    name : str
        Stream that it makes.
    kind : str
        A name in `SCENES`.
    shape : tuple of int, optional
        Default: that of the scene, as is `dtype`.
    dtype : str, optional
    rate : float
        Frames per second; 0 is as fast as possible.
    frames : int, optional
        Stop publishing after so many.
    ring : int
        Slots of a fast circular buffer; 0 for none.
    seed : int
        The same seed gives the same frames.
    faults : Faults

    Raises
    ------
    StreamArgumentError
    """

    name: str
    kind: str = "shack-hartmann"
    shape: tuple[int, ...] | None = None
    dtype: str | None = None
    rate: float = 2000.0
    frames: int | None = None
    ring: int = 0
    seed: int = 1
    faults: Faults = NONE

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, tuple(SCENES))
        wanted = "frames per second, or 0 for as fast as possible"
        object.__setattr__(self, "rate", check_rate("rate", self.rate, wanted, 1e9))
        if not isinstance(self.faults, Faults):
            raise bad_argument("faults", self.faults, "a pymilk.simulate.Faults")
        if self.shape is not None:
            axes = [whole_number(axis) for axis in check_items("shape", self.shape, "a tuple of axes")]
            if not all(axis is not None and axis >= 1 for axis in axes):
                raise bad_argument("shape", self.shape, "a tuple of axes, each 1 or more")
        if self.frames is not None:
            check_count("frames", self.frames, "frames", least=0, below=2**62)
        check_count("ring", self.ring, "slots, or 0 for no ring", least=0, below=2**32)
        check_count("seed", self.seed, least=0, below=2**63)
        if self.ring and self.faults.tear:
            raise StreamArgumentError(
                "tear: frames are torn in plain streams only; a ring has whole frames in its slots",
                argument="tear",
                found=self.faults.tear,
            )

    def scene(self) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Return shape and dtype of a frame."""
        scene = SCENES[self.kind]
        return self.shape or scene.shape, np.dtype(self.dtype or scene.dtype)

    def arguments(self) -> list[str]:
        """Return them as arguments of ``python -m pymilk.simulate``."""
        given = [self.name, f"--kind={self.kind}", f"--rate={self.rate!r}", f"--seed={self.seed}"]
        if self.ring:
            given.append(f"--ring={self.ring}")
        if self.shape is not None:
            given.append(f"--shape={'x'.join(map(str, self.shape))}")
        if self.dtype is not None:
            given.append(f"--dtype={self.dtype}")
        if self.frames is not None:
            given.append(f"--frames={self.frames}")
        return given + self.faults.options()


@dataclass(frozen=True)
class LoopOptions:
    """What a simulated loop is.

    Attributes
    ----------
    name : str
        Its streams are NAME_wfs, NAME_dm and NAME_res.
    rate : float
        Iterations per second.
    gain : float
        Of the integrator; 0 leaves the mirror to other processes.
    frames : int, optional
        Stop after so many iterations.
    seed : int

    Raises
    ------
    StreamArgumentError
    """

    name: str
    rate: float = 300.0
    gain: float = 0.4
    frames: int | None = None
    seed: int = 1

    def __post_init__(self) -> None:
        rate = check_rate("rate", self.rate, "iterations per second, above 0", 1e5, above=True)
        object.__setattr__(self, "rate", rate)
        gain = check_number("gain", self.gain, "a gain of 0 (open loop) to 2", 0.0, 2.0)
        object.__setattr__(self, "gain", gain)
        if self.frames is not None:
            check_count("frames", self.frames, "iterations", least=0, below=2**62)
        check_count("seed", self.seed, least=0, below=2**63)

    def arguments(self) -> list[str]:
        """Return them as arguments of ``python -m pymilk.simulate``."""
        given = [self.name, "--loop", f"--rate={self.rate!r}", f"--gain={self.gain!r}", f"--seed={self.seed}"]
        return given if self.frames is None else [*given, f"--frames={self.frames}"]
