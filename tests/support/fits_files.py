"""A reader of FITS files by the letter of the standard."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

BLOCK = 2880
STORED = {8: ">u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}

#: As the stream has it, row 0 first: no flip and no transpose of it looks the same.
LETTER_F = np.array(
    [
        [9, 1, 1, 1, 1],
        [1, 0, 0, 0, 0],
        [1, 0, 0, 0, 2],
        [1, 1, 1, 0, 0],
        [1, 0, 0, 0, 0],
        [1, 0, 3, 0, 0],
        [1, 0, 0, 0, 0],
    ],
    np.int16,
)


def plain_read(path: Path) -> tuple[list[str], np.ndarray]:
    """Read the first image of a FITS file after the letter of the standard: cards, and [..., y, x]."""
    raw = path.read_bytes()
    assert len(raw) % BLOCK == 0
    cards: list[str] = []
    while not cards or cards[-1] != "END".ljust(80):
        cards.append(raw[len(cards) * 80 : len(cards) * 80 + 80].decode("ascii"))
        assert len(cards[-1]) == 80
    begin = -(len(cards) * 80 // -BLOCK) * BLOCK
    del cards[-1]
    number = {card[:8].strip(): card[10:].split("/")[0].strip() for card in cards if card[8:10] == "= "}
    size = [int(number[f"NAXIS{axis}"]) for axis in range(1, int(number["NAXIS"]) + 1)]
    pixels = np.frombuffer(raw, STORED[int(number["BITPIX"])], math.prod(size), begin).reshape(size[::-1])
    return cards, pixels.astype(np.float64) + float(number["BZERO"]) if "BZERO" in number else pixels
