"""Frames that check themselves: each carries its number, all over.

A stamp is 8 bytes of a pattern that depends on its place, combined with the number of the frame. Stamps cover
the frame up to its last bytes. A frame thus contains its own number, and a frame that is made of two is
recognised, independent of the counters and flags of its stream.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import StreamArgumentError

__all__ = ["STAMPS", "SelfCheckingFrame", "check_frames"]

#: Least number of stamps of a frame of 32 KiB and more; below 64 KiB every byte is part of a stamp.
STAMPS = 4096

#: Least bytes of a frame: eight stamps.
SMALLEST = 64

#: Bytes of stamps that are checked at a time: small enough for the caches.
BLOCK_NBYTES = 1 << 20

#: An odd factor spreads the number over all bits of the stamp; its inverse gives the number back.
_FACTOR = 0x9E37_79B9_7F4A_7C15
_INVERSE = pow(_FACTOR, -1, 1 << 64)
_MASK = (1 << 64) - 1

_Stamps = npt.NDArray[np.uint64]


def _stamps(frames: npt.NDArray[Any]) -> _Stamps:
    """View the stamps of C-contiguous frames: shape (n, stamps). The last one ends with the frame."""
    count = len(frames)
    nbytes = frames.nbytes // count
    rest = nbytes % 8
    raw = frames.reshape(count, -1).view(np.uint8)
    words: _Stamps = np.ndarray((count, nbytes // 8), np.uint64, raw.data, rest, (nbytes, 8))
    step = max(1, words.shape[1] // STAMPS)
    return words[:, (words.shape[1] - 1) % step :: step]


def _pattern(stamps: int) -> _Stamps:
    """Return what stamps are combined with: the same in every process, different at every place."""
    return np.random.default_rng(20_110_728).integers(0, 1 << 64, stamps, np.uint64)


def _check_size(shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    nbytes = math.prod(shape) * dtype.itemsize
    if nbytes < SMALLEST:
        raise StreamArgumentError(
            f"a frame {shape} of {dtype} has {nbytes} bytes; one that carries its number all over has "
            f"{SMALLEST} or more",
            argument="shape",
            found=shape,
        )


class SelfCheckingFrame:
    """A frame that can be given any number.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype
        Any dtype without Python objects. Pixels are bit patterns, not meaningful numbers.

    Attributes
    ----------
    pixels : ndarray, shape `shape`
        The frame with its latest number.

    Raises
    ------
    StreamArgumentError
        The frame has fewer than 64 bytes.

    Examples
    --------
    >>> import numpy as np
    >>> frame = SelfCheckingFrame((8, 8), np.dtype(np.uint16))
    >>> cube = np.stack([frame.number(n).copy() for n in (7, 8)])
    >>> cube[1, 4:] = cube[0, 4:]                              # tear the second one
    >>> check_frames(cube)
    (array([7, 8], dtype=uint64), array([ True, False]))
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        _check_size(shape, dtype)
        self.pixels = np.zeros(shape, dtype)
        self._stamps = _stamps(self.pixels[np.newaxis])[0]
        self._pattern = _pattern(len(self._stamps))
        self._value = np.zeros((), np.uint64)

    def number(self, n: int) -> npt.NDArray[Any]:
        """Give the frame a number of 0 to 2**64 - 1, and return its pixels: always the same array."""
        self._value[()] = n * _FACTOR & _MASK
        np.bitwise_xor(self._pattern, self._value, out=self._stamps)
        return self.pixels


def check_frames(frames: npt.NDArray[Any]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.bool_]]:
    """Read the numbers of frames, and tell which of them are whole.

    Parameters
    ----------
    frames : ndarray, shape (n, *shape), C-contiguous
        64 bytes a frame, at least.

    Returns
    -------
    numbers : ndarray of uint64, shape (n,)
        From the first stamp of each frame.
    whole : ndarray of bool, shape (n,)
        Whether all stamps of a frame have that number.
    """
    count = len(frames)
    numbers = np.zeros(count, np.uint64)
    whole = np.zeros(count, np.bool_)
    if count == 0:
        return numbers, whole
    _check_size(frames.shape[1:], frames.dtype)
    stamps = _stamps(frames)
    pattern = _pattern(stamps.shape[1])
    block = max(1, BLOCK_NBYTES // (8 * len(pattern)))
    room = np.empty((min(block, count), len(pattern)), np.uint64)
    for first in range(0, count, block):
        part = stamps[first : first + block]
        values = np.bitwise_xor(part, pattern, out=room[: len(part)])
        last = first + len(part)
        whole[first:last] = (values == values[:, :1]).all(axis=1)
        numbers[first:last] = values[:, 0]
    numbers *= np.uint64(_INVERSE)  # modulo 2**64 on purpose
    return numbers, whole
