"""What simulated cameras see: wavefront sensors, a focal plane, a mirror, a row of numbers, a ramp."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import StreamArgumentError

__all__ = ["SCENES", "Scene", "SceneFrames", "detected", "ramp", "ramp_modulus", "shack_hartmann", "spots"]

_Frames = npt.NDArray[Any]
_Floats = npt.NDArray[np.float64]

#: Frames of a scene that repeats itself.
CYCLE = 256

#: Brightest pixel without noise, in counts, where the dtype holds it.
PEAK = 3000.0


class Scene(NamedTuple):
    """A kind of simulated frames.

    Attributes
    ----------
    make : callable
        ``make(shape, dtype, count, seed)`` gives frames of shape (count, *shape), which repeat themselves.
    shape : tuple of int
        The usual one.
    dtype : str
        The usual one.
    what : str
        In words.
    """

    make: Callable[[tuple[int, ...], np.dtype[Any], int, int], _Frames]
    shape: tuple[int, ...]
    dtype: str
    what: str


def _top(kind: np.dtype[Any]) -> float:
    """Return the brightness of the brightest pixel."""
    return PEAK if kind.kind == "f" else min(PEAK, float(np.iinfo(kind).max) * 0.6)


def _check(scene: str, shape: tuple[int, ...], kind: np.dtype[Any], axes: int, least: int) -> None:
    """Raise unless frames have so many axes, of so many pixels at least, and a dtype of numbers."""
    if len(shape) != axes or min(shape) < least or kind.kind not in "uif":
        size = "x".join([str(least)] * axes)
        given = "x".join(map(str, shape))
        raise StreamArgumentError(
            f"simulated frames ({scene}) are at least {size} pixels of an integer or float dtype, "
            f"not {given} {kind}",
            argument="shape",
            found=shape,
        )


def detected(image: _Floats, top: float, noise: _Floats) -> _Floats:
    """Add photon noise, which is close to normal for bright pixels, and clip to what the detector holds."""
    noisy: _Floats = image + noise * np.sqrt(image)
    return noisy.clip(0, top / 0.6)


def shack_hartmann(
    shape: tuple[int, ...], dtype: npt.DTypeLike, count: int, seed: int = 1
) -> _Frames:
    """Compute frames like those of a Shack-Hartmann sensor: a grid of moving spots, and noise.

    Parameters
    ----------
    shape : (int, int)
        Height and width in pixels, at least 4 each.
    dtype : dtype
        Of the frames; spots are scaled to what it holds.
    count : int
    seed : int, default 1
        The same seed gives the same frames.

    Returns
    -------
    ndarray, shape (count, *shape)
        C-contiguous. The motion is periodic, so that the last frame is followed by the first.

    Raises
    ------
    StreamArgumentError
        Frames are too small, or not of numbers.
    """
    kind = np.dtype(dtype)
    _check("shack-hartmann", shape, kind, 2, 4)
    height, width = shape
    top = _top(kind)
    random = np.random.default_rng(seed)
    pitch = max(4, min(shape) // 10)
    rows, columns = height // pitch, width // pitch
    # Each lenslet's spot wanders around its centre with two slow periodic motions: one common to all
    # (tip and tilt), one of its own.
    turn = 2 * np.pi * np.arange(count)[:, None] / count
    phase = random.uniform(0, 2 * np.pi, (2, 1, rows * columns))
    reach = pitch * 0.12
    common = np.stack([np.sin(2 * turn), np.cos(3 * turn)])
    shift = reach * (common + np.sin(turn + phase))  # (axis, frame, lenslet)
    brightness = random.uniform(0.6, 1.0, rows * columns) * top
    frames = np.zeros((count, height, width), kind)
    for k in range(count):
        image = np.full((height, width), top * 0.03)
        image[: rows * pitch, : columns * pitch] += spots(shift[:, k], brightness, pitch, (rows, columns))
        frames[k] = detected(image, top, random.standard_normal(image.shape))
    return frames


def spots(
    shift: _Floats, brightness: _Floats, pitch: int, grid: tuple[int, int]
) -> _Floats:
    """Draw the spots of a grid of lenslets.

    Parameters
    ----------
    shift : ndarray, shape (2, lenslets)
        Of each spot from its centre, down and to the right, in pixels.
    brightness : ndarray, shape (lenslets,)
    pitch : int
        Pixels of a lenslet.
    grid : (int, int)
        Rows and columns of lenslets.

    Returns
    -------
    ndarray of float64, shape (rows * pitch, columns * pitch)
    """
    rows, columns = grid
    pixel = np.arange(pitch) - (pitch - 1) / 2
    profile = np.exp(-(((pixel - shift[..., None]) / (pitch * 0.1)) ** 2) / 2)  # (axis, lenslet, pixel)
    each = brightness[:, None, None] * profile[0, :, :, None] * profile[1, :, None, :]
    blocks = each.reshape(rows, columns, pitch, pitch).swapaxes(1, 2)
    image: _Floats = blocks.reshape(rows * pitch, columns * pitch)
    return image


def _waves(height: int, width: int, count: int, random: np.random.Generator) -> _Floats:
    """Compute a wavefront that moves, and comes back: shape (count, height, width), rms about 1."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    turn = 2 * np.pi * np.arange(count)[:, None, None] / count
    total = np.zeros((count, height, width))
    for order in range(1, 7):
        angle, phase = random.uniform(0, 2 * np.pi, 2)
        along = np.pi * order / 2 * (x * math.cos(angle) + y * math.sin(angle))
        total += np.sin(along + phase + turn * random.choice([-2, -1, 1, 2])) / order
    return total


def _disc(height: int, width: int, radius: float) -> npt.NDArray[np.bool_]:
    y, x = np.ogrid[:height, :width]
    far = np.hypot(y - (height - 1) / 2, x - (width - 1) / 2)
    return (far <= radius) & (far >= radius * 0.25)


def pyramid(shape: tuple[int, ...], dtype: npt.DTypeLike, count: int, seed: int = 1) -> _Frames:
    """Compute frames like those of a pyramid sensor: four images of the pupil, brighter or darker by slopes.

    Parameters, result and errors are those of `shack_hartmann`; at least 16x16 pixels.
    """
    kind = np.dtype(dtype)
    _check("pyramid", shape, kind, 2, 16)
    height, width = shape
    top, random = _top(kind), np.random.default_rng(seed)
    half = (height // 2, width // 2)
    pupil = _disc(*half, 0.42 * min(half))
    waves = 0.3 * _waves(half[0], half[1], count, random)
    down, right = np.asarray(np.gradient(waves, axis=(1, 2)))
    size = max(float(np.abs(down).max()), float(np.abs(right).max()))
    frames = np.zeros((count, height, width), kind)
    for k in range(count):
        image = np.full((height, width), top * 0.03)
        for number, (up, left) in enumerate(((1, 1), (1, -1), (-1, 1), (-1, -1))):
            light: _Floats = 0.6 + 0.19 * (up * down[k] + left * right[k]) / size
            row, column = number // 2 * half[0], number % 2 * half[1]
            image[row : row + half[0], column : column + half[1]] += top * light * pupil
        frames[k] = detected(image, top, random.standard_normal(image.shape))
    return frames


def psf(shape: tuple[int, ...], dtype: npt.DTypeLike, count: int, seed: int = 1) -> _Frames:
    """Compute frames of a star in the focal plane, corrected but not quite: a core and speckles.

    Parameters, result and errors are those of `shack_hartmann`; at least 16x16 pixels.
    """
    kind = np.dtype(dtype)
    _check("psf", shape, kind, 2, 16)
    height, width = shape
    top, random = _top(kind), np.random.default_rng(seed)
    pupil = _disc(height, width, 0.08 * min(shape))
    waves = 0.7 * _waves(height, width, count, random)
    best = abs(pupil.sum()) ** 2
    frames = np.zeros((count, height, width), kind)
    for k in range(count):
        field = np.fft.fftshift(np.fft.fft2(pupil * np.exp(1j * waves[k])))
        image = np.abs(field) ** 2 / best * top + top * 0.01
        frames[k] = detected(image, top, random.standard_normal(image.shape))
    return frames


def mirror(shape: tuple[int, ...], dtype: npt.DTypeLike, count: int, seed: int = 1) -> _Frames:
    """Compute commands of a deformable mirror: a smooth surface that moves, some tenths of a micrometre.

    Parameters, result and errors are those of `shack_hartmann`; at least 2x2 actuators. Integers: nanometres.
    """
    kind = np.dtype(dtype)
    _check("dm", shape, kind, 2, 2)
    surface = 0.15 * _waves(shape[0], shape[1], count, np.random.default_rng(seed))
    if kind.kind == "f":
        return surface.astype(kind)
    lowest = 0 if kind.kind == "u" else np.iinfo(kind).min
    middle = min(1000, np.iinfo(kind).max // 2) if kind.kind == "u" else 0
    return (middle + 1000 * surface).clip(lowest, np.iinfo(kind).max).astype(kind)


def telemetry(shape: tuple[int, ...], dtype: npt.DTypeLike, count: int, seed: int = 1) -> _Frames:
    """Compute rows of numbers, one axis: slow and fast oscillations with noise, a channel an element.

    Parameters, result and errors are those of `shack_hartmann`, with one axis of 1 or more.
    """
    kind = np.dtype(dtype)
    _check("telemetry", shape, kind, 1, 1)
    random = np.random.default_rng(seed)
    channel = np.arange(shape[0])
    turn = 2 * np.pi * np.arange(count)[:, None] / count
    value = np.sin(turn * (1 + channel % 8) + channel) + 0.05 * random.standard_normal((count, shape[0]))
    if kind.kind == "f":
        return value.astype(kind)
    top = _top(kind) / 2
    lowest = 0 if kind.kind == "u" else np.iinfo(kind).min
    return (top * (0.9 * value + (kind.kind == "u"))).clip(lowest, np.iinfo(kind).max).astype(kind)


def ramp(shape: tuple[int, ...], dtype: npt.DTypeLike, first: int, count: int) -> _Frames:
    """Compute frames whose pixels carry the number of the frame.

    Parameters
    ----------
    shape : tuple of int
        One to three axes.
    dtype : dtype
        An integer or float dtype.
    first : int
        Number of the first frame.
    count : int

    Returns
    -------
    ndarray, shape (count, *shape)
        Pixel k, counted in C order, of frame n is ``(n + k) % modulus``, with the modulus `ramp_modulus`.
    """
    kind = np.dtype(dtype)
    if not 1 <= len(shape) <= 3 or min(shape) < 1 or kind.kind not in "uif":
        raise StreamArgumentError(
            f"a ramp has one to three axes and an integer or float dtype, not {shape} of {kind}",
            argument="shape",
            found=shape,
        )
    pixels = np.arange(math.prod(shape), dtype=np.int64)
    numbers = np.arange(first, first + count, dtype=np.int64)[:, None]
    return ((numbers + pixels) % ramp_modulus(kind)).astype(kind).reshape(count, *shape)


def ramp_modulus(dtype: npt.DTypeLike) -> int:
    """Return where the pixels of a ramp begin again at 0: behind the whole numbers that the dtype holds."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return 1 << min(int(np.finfo(kind).nmant) + 1, 62)
    return min(int(np.iinfo(kind).max) + 1, 1 << 62)


def _no_cycle(shape: tuple[int, ...], dtype: npt.DTypeLike, count: int, seed: int = 1) -> _Frames:
    return ramp(shape, dtype, 1, count)


#: Kinds of frames by name.
SCENES: dict[str, Scene] = {
    "shack-hartmann": Scene(shack_hartmann, (120, 120), "uint16", "moving spots of a Shack-Hartmann sensor"),
    "pyramid": Scene(pyramid, (120, 120), "uint16", "four pupil images of a pyramid sensor"),
    "psf": Scene(psf, (128, 128), "uint16", "a star in the focal plane, with speckles"),
    "dm": Scene(mirror, (12, 12), "float32", "commands of a deformable mirror, micrometres"),
    "telemetry": Scene(telemetry, (64,), "float32", "one axis: oscillations, a channel an element"),
    "ramp": Scene(_no_cycle, (120, 120), "uint16", "pixel k of frame n is n + k: each carries the number"),
}


class SceneFrames:
    """Frames of a scene by number.

    Parameters
    ----------
    kind : str
        A name in `SCENES`.
    shape : tuple of int
    dtype : dtype
    seed : int, default 1
        The same seed gives the same frames.

    Attributes
    ----------
    cycle : ndarray or None
        Frames that repeat, shape (n, *shape); None: each is computed.

    Raises
    ------
    StreamArgumentError
        Such frames are not possible.
    """

    def __init__(self, kind: str, shape: tuple[int, ...], dtype: np.dtype[Any], seed: int = 1) -> None:
        self._shape, self._dtype = shape, dtype
        self.cycle: _Frames | None = None
        if kind == "ramp":
            ramp(shape, dtype, 1, 1)  # raises where it cannot be
        else:
            self.cycle = np.ascontiguousarray(SCENES[kind].make(shape, dtype, CYCLE, seed))

    def take(self, first: int, count: int) -> _Frames:
        """Return up to `count` frames, at least one, from number `first` (1 is the first of all) on.

        Those of a cycle are a view; others are computed, `CYCLE` at most.
        """
        if self.cycle is None:
            return ramp(self._shape, self._dtype, first, min(count, CYCLE))
        at = (first - 1) % len(self.cycle)
        return self.cycle[at : at + count]
