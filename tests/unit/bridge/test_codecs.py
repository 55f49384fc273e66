"""Compressed pixels: nothing that comes reaches the library unless each place in it lies within."""

from __future__ import annotations

import contextlib
import random

import numpy as np
import pytest

pytest.importorskip("blosc2", reason="extra net")

from pymilk.bridge.codecs import check_chunk, packed, unpacked
from pymilk.errors import BridgeMessageError

RANDOM = np.random.default_rng(1)


@pytest.mark.parametrize("dtype", ["u1", "i2", "f4", "f8", "c16"])
def test_what_is_packed_comes_back(dtype):
    for pixels in (
        np.zeros(5000, dtype), np.full(5000, 7, dtype), RANDOM.integers(0, 9, 300_001).astype(dtype),
        np.arange(100).astype(dtype),
    ):  # fmt: skip
        number, content = packed(pixels)
        if number:
            assert unpacked(number, memoryview(content), pixels.itemsize, pixels.nbytes) == pixels.tobytes()


def test_noise_stays_as_it_is():
    pixels = RANDOM.integers(0, 256, 1000).astype(np.uint8)
    number, content = packed(pixels)
    assert number == 0
    assert content is pixels


@pytest.fixture(scope="module")
def chunk():
    return bytes(packed(RANDOM.integers(0, 9, 300_000).astype(np.uint16))[1])


@pytest.mark.parametrize(
    ("at", "wrong", "why"),
    [
        (0, b"\4", "header"), (3, b"\4", "header"), (4, b"\0", "header"), (12, b"\0", "header"),
        (2, b"\2", "kind"), (18, b"\6", "kind"), (31, b"\1", "kind"), (31, b"\x10", "zeros"),
        (8, b"\0\0\0\0", "blocks"), (8, b"\xff\xff\xff\x7f", "blocks"), (8, b"\2\0\0\0", "blocks"),
        (32, b"\0\0\0\0", "begins at 0"), (32, b"\xff\xff\xff\xff", "begins at -1"),
        (32, b"\xff\xff\xff\x7f", "behind the end"), (-1, b"\xff\xff\xff\x7f", "stream has"),
        (-1, b"\0\xff\xff\xff", "stream has -256"),
    ],
)  # fmt: skip
def test_places_and_sizes_are_not_believed(chunk, at, wrong, why):
    wrongly = bytearray(chunk)
    at = int.from_bytes(chunk[32:36], "little") if at < 0 else at  # the first stream of the first block
    wrongly[at : at + len(wrong)] = wrong
    with pytest.raises(BridgeMessageError, match=why):
        check_chunk(memoryview(wrongly), 2, 600_000)


def test_mutations_are_refused_or_are_pixels(chunk):
    """A library that believes them ends the process within a few hundred of these."""
    luck = random.Random(1)
    for _ in range(400):
        wrongly = bytearray(chunk)
        for _ in range(luck.randint(1, 3)):
            wrongly[luck.randrange(luck.choice([64, len(chunk)]))] = luck.choice([0, 255, 127, 128])
        with contextlib.suppress(BridgeMessageError):
            assert len(unpacked(1, memoryview(wrongly), 2, 600_000)) == 600_000
    for length in range(40):
        with pytest.raises(BridgeMessageError):
            check_chunk(memoryview(chunk[:length]), 2, 600_000)
