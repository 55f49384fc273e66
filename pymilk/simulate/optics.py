"""The optics of a simulated loop: moving air, a mirror, a Shack-Hartmann sensor, and the control between.

The mirror's actuators stand at the corners of the lenslets (Fried's geometry), and push the surface at their
place alone. Everything is in micrometres of wavefront.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .scenes import PEAK, detected, spots

__all__ = ["ACTUATORS", "SENSOR", "Air", "Controller", "Sensor"]

_Floats = npt.NDArray[np.float64]

#: Lenslets along a side, and pixels of one.
_LENSLETS, _PITCH = 10, 12

#: Shape of a frame of the sensor, and of commands of the mirror.
SENSOR = (_LENSLETS * _PITCH, _LENSLETS * _PITCH)
ACTUATORS = (_LENSLETS + 1, _LENSLETS + 1)

#: Pixels that a spot moves for a slope of 1 micrometre from one actuator to the next.
_PIXELS = 12.0

#: Seconds after which the air has forgotten its shape, and its rms in micrometres.
_MEMORY, _STRENGTH = 0.4, 0.6

#: Frames of noise, used in turn: drawing new ones takes longer than everything else.
_NOISES = 16


class Air:
    """Smooth aberrations that change at random, with a memory.

    Parameters
    ----------
    rate : float
        Steps per second.
    random : numpy.random.Generator
    """

    def __init__(self, rate: float, random: np.random.Generator) -> None:
        y, x = np.mgrid[0 : 1 : ACTUATORS[0] * 1j, 0 : 1 : ACTUATORS[1] * 1j]
        orders = [(m, n) for m in range(4) for n in range(4) if 0 < m + n < 5]
        modes = np.array([np.cos(math.pi * m * y) * np.cos(math.pi * n * x) for m, n in orders])
        weight = np.array([(m * m + n * n) ** -0.9 for m, n in orders])
        scale = _STRENGTH / math.sqrt(float((weight**2 * modes.var(axis=(1, 2))).sum()))
        self._modes = modes * (scale * weight)[:, None, None]
        self._keep = math.exp(-1 / (rate * _MEMORY))
        self._random = random
        self._amplitudes = random.standard_normal(len(orders))

    def step(self) -> _Floats:
        """Return the next wavefront, shape `ACTUATORS`."""
        fresh = self._random.standard_normal(len(self._amplitudes))
        self._amplitudes = self._keep * self._amplitudes + math.sqrt(1 - self._keep**2) * fresh
        found: _Floats = np.tensordot(self._amplitudes, self._modes, 1)
        return found


def _slopes(surface: _Floats) -> _Floats:
    """Return the slopes of each lenslet, down and to the right: shape (2, lenslets)."""
    down = (surface[1:, 1:] + surface[1:, :-1] - surface[:-1, 1:] - surface[:-1, :-1]) / 2
    right = (surface[1:, 1:] - surface[1:, :-1] + surface[:-1, 1:] - surface[:-1, :-1]) / 2
    return np.stack([down.ravel(), right.ravel()])


class Sensor:
    """Makes frames of a wavefront.

    Parameters
    ----------
    random : numpy.random.Generator
    """

    def __init__(self, random: np.random.Generator) -> None:
        self._brightness = random.uniform(0.8, 1.0, _LENSLETS**2) * PEAK
        self._noise = random.standard_normal((_NOISES, *SENSOR))
        self._count = 0

    def frame(self, wavefront: _Floats) -> npt.NDArray[np.uint16]:
        """Return the frame, shape `SENSOR`, of a wavefront of shape `ACTUATORS`."""
        shift = (_PIXELS * _slopes(wavefront)).clip(-0.4 * _PITCH, 0.4 * _PITCH)
        image = PEAK * 0.03 + spots(shift, self._brightness, _PITCH, (_LENSLETS, _LENSLETS))
        self._count += 1
        return detected(image, PEAK, self._noise[self._count % _NOISES]).astype(np.uint16)


class Controller:
    """An integrator: from a frame of the sensor to the next command of the mirror.

    Parameters
    ----------
    gain : float
    """

    def __init__(self, gain: float) -> None:
        self._gain = gain
        push = np.eye(ACTUATORS[0] * ACTUATORS[1]).reshape(-1, *ACTUATORS)
        effect = np.array([_slopes(each).ravel() for each in push]).T
        # Piston and waffle move no spot: they are left alone.
        self._command = np.linalg.pinv(effect, rcond=0.05)
        place = np.arange(_PITCH) - (_PITCH - 1) / 2
        self._places = np.stack(np.meshgrid(place, place, indexing="ij"))

    def next(self, frame: npt.NDArray[Any], mirror: _Floats) -> _Floats:
        """Return the command, shape `ACTUATORS`, that follows `mirror` after this frame."""
        each = frame.reshape(_LENSLETS, _PITCH, _LENSLETS, _PITCH).swapaxes(1, 2).reshape(-1, _PITCH, _PITCH)
        light = (each.astype(np.float64) - PEAK * 0.15).clip(0)
        shift = np.einsum("lyx,ayx->al", light, self._places) / light.sum(axis=(1, 2)).clip(1)
        error = (self._command @ (shift / _PIXELS).ravel()).reshape(ACTUATORS)
        following: _Floats = mirror + self._gain * error
        return following
