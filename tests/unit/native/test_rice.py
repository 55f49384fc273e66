"""Tiles of RICE_1: pixels come back, damaged tiles are refused, and others read them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from pymilk.native.rice import longest_tile, pack_tiles, unpack_tile

EACH_TYPE = pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4"])


def packed(frames: np.ndarray, flip: int = 0, plain: bool = False) -> tuple[np.ndarray, list[int]]:
    """Pack each frame; returns the tiles, one behind the other, and their lengths."""
    itemsize, lengths = frames.dtype.itemsize, np.empty(len(frames), np.int64)
    target = np.empty(len(frames) * longest_tile(frames[0].nbytes, itemsize), np.uint8)
    used = pack_tiles(frames.reshape(-1).view(np.uint8), itemsize, flip, target, lengths, plain)
    assert used == lengths.sum()
    return target[:used].copy(), lengths.tolist()


def unpacked(tile: Any, like: np.ndarray, flip: int = 0, block: int = 32) -> np.ndarray:
    """Unpack a tile of as many pixels as `like` has."""
    made = np.empty_like(like)
    unpack_tile(tile, made.reshape(-1).view(np.uint8), made.dtype.itemsize, flip, block)
    return made


def frames_of(dtype: str) -> list[np.ndarray]:
    """Make noise of any width, steps, constants, and rare and frequent jumps over the whole range."""
    random, kind = np.random.default_rng(7), np.iinfo(dtype)
    shape = (2, 9, 37)
    made = [
        random.integers(kind.min, kind.max, shape, dtype, endpoint=True),
        np.zeros(shape, dtype),
        np.full(shape, kind.max, dtype),
        np.where(random.random(shape) < 0.02, kind.max, 5),
        np.where(random.random(shape) < 0.5, kind.max, kind.min),
        np.arange(2 * 9 * 37).reshape(shape) % 100,
    ]
    widths = (2.0**bit for bit in range(kind.bits - 2))
    made += [random.normal(kind.max // 2, each, shape).clip(kind.min, kind.max) for each in widths]
    return [each.astype(dtype) for each in made]


@EACH_TYPE
@pytest.mark.parametrize("plain", [False, True])
def test_pixels_come_back(dtype: str, plain: bool) -> None:
    bits = np.iinfo(dtype).bits
    for frames in frames_of(dtype):
        for flip in (0, 1 << bits - 1):
            tiles, lengths = packed(frames, flip, plain)
            assert max(lengths) + 16 <= longest_tile(frames[0].nbytes, frames.itemsize)
            for tile, frame in zip(np.split(tiles, np.cumsum(lengths)), frames, strict=False):
                np.testing.assert_array_equal(unpacked(tile, frame, flip), frame)


@EACH_TYPE
@pytest.mark.parametrize("count", [1, 2, 31, 32, 33, 64, 65])
def test_numbers_of_pixels_that_fill_no_block(dtype: str, count: int) -> None:
    frames = (np.arange(3 * count) ** 2 % 61).reshape(3, count).astype(dtype)
    tiles, lengths = packed(frames)
    for tile, frame in zip(np.split(tiles, np.cumsum(lengths)), frames, strict=False):
        np.testing.assert_array_equal(unpacked(tile, frame), frame)


@pytest.mark.parametrize(
    ("pixels", "content"),
    [
        # 0x4000, then K = 0: no differences.
        ([0x4000] * 3, "01000000 00000000 0000"),
        # 7; K = 1, k = 0; differences 0, 1, -1, folded 0, 2, 1: so many zeros, and a one.
        ([7, 8, 7], "00000000 00000111 0001 1 001 01"),
        # 0; K = 4, k = 3; 0, 9, -12, folded 0, 18, 23: 0 and 000, 2 and 010, 2 and 111.
        ([0, 9, -3], "00000000 00000000 0100 1000 001010 001111"),
        # 0; K = 15: 0, 32767, -32768 (wrapped), folded 0, 65534, 65535.
        ([0, 32767, -1], "00000000 00000000 1111" + 16 * "0" + 15 * "1" + "0" + 16 * "1"),
    ],
)
def test_bits_of_the_standard(pixels: list[int], content: str) -> None:
    bits = content.replace(" ", "")
    wanted = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
    assert packed(np.array([pixels], np.int16))[0].tobytes() == wanted


def test_noise_gets_small_and_what_is_plain_hardly_larger() -> None:
    frames = np.random.default_rng(1).normal(1000, 10, (4, 64, 64)).astype(np.uint16)
    small, plain = sum(packed(frames)[1]), sum(packed(frames, plain=True)[1])
    assert 2.5 < frames.nbytes / small < 2.8  # the entropy of the differences allows 2.8
    assert 1 < plain / frames.nbytes < 1.01


@EACH_TYPE
def test_others_unpack_the_tiles(dtype: str) -> None:
    """Decoder of astropy, which is that of CFITSIO."""
    codec = pytest.importorskip("astropy.io.fits.hdu.compressed._codecs", reason="extra fits")
    for frames in frames_of(dtype):
        for plain in (False, True):
            itemsize = frames.itemsize
            tile = packed(frames[:1], plain=plain)[0]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                made = codec.Rice1(blocksize=32, bytepix=itemsize, tilesize=frames[0].size).decode(tile)
            assert np.asarray(made).astype(f"u{itemsize}").tobytes() == frames[0].tobytes()


@EACH_TYPE
@pytest.mark.parametrize("block", [16, 32])
def test_tiles_of_others_are_unpacked(dtype: str, block: int) -> None:
    codec = pytest.importorskip("astropy.io.fits.hdu.compressed._codecs", reason="extra fits")
    for frames in frames_of(dtype):
        itemsize = frames.itemsize
        signed = frames[0].view(f"i{itemsize}" if itemsize > 1 else "u1")
        tile = codec.Rice1(blocksize=block, bytepix=itemsize, tilesize=frames[0].size).encode(signed)
        made = unpacked(np.frombuffer(tile, np.uint8), frames[0], block=block)
        np.testing.assert_array_equal(made, frames[0])


@EACH_TYPE
def test_damaged_tiles(dtype: str) -> None:
    """Anything may come out, or an error; nothing beyond the tile is read, nor beyond the target written."""
    random = np.random.default_rng(3)
    frames = random.integers(0, 100, (1, 300)).astype(dtype)
    tile, wrong = packed(frames)[0], 0
    room = np.full(300 + 64, 77, dtype)
    for _ in range(2000):
        damaged = tile.copy()
        damaged[random.integers(0, len(tile), 3)] = random.integers(0, 256, 3)
        damaged = damaged[: random.integers(1, len(tile) + 1)]
        try:
            unpack_tile(damaged, room[32:-32].view(np.uint8), room.itemsize, 0)
        except ValueError as error:
            assert "is damaged" in str(error)
            wrong += 1
        assert (room[:32] == 77).all()
        assert (room[-32:] == 77).all()
    assert wrong > 500


def test_tiles_that_never_end() -> None:
    target = np.empty(100, np.uint16).view(np.uint8)
    for content in (b"\0\0\x10" + bytes(1000), bytes(2), b"\0", b"\0\0\xf0" + bytes(20)):
        with pytest.raises(ValueError, match="is damaged"):
            unpack_tile(content, target, 2, 0)
    with pytest.raises(ValueError, match="empty"):
        unpack_tile(b"", target, 2, 0)
    with pytest.raises(ValueError, match="is damaged"):  # K = 27: k is 25 at most, and as it is is 26
        unpack_tile(b"\0\0\0\0\xd8" + bytes(500), np.empty(9, np.uint32).view(np.uint8), 4, 0)


@pytest.mark.parametrize("itemsize", [0, 3, 8])
def test_pixels_that_are_not_packed(itemsize: int) -> None:
    room, lengths = np.empty(1000, np.uint8), np.empty(1, np.int64)
    with pytest.raises(ValueError, match="1, 2 and 4 bytes"):
        pack_tiles(bytes(48), itemsize, 0, room, lengths)
    with pytest.raises(ValueError, match="1, 2 and 4 bytes"):
        unpack_tile(bytes(48), room[:48], itemsize, 0)
    with pytest.raises(ValueError, match="1, 2 and 4 bytes"):
        longest_tile(48, itemsize)


def test_memory_that_is_too_small() -> None:
    lengths = np.empty(2, np.int64)
    room = np.empty(2 * longest_tile(40, 2), np.uint8)
    assert pack_tiles(bytes(80), 2, 0, room, lengths) == 6
    with pytest.raises(ValueError, match="too few"):
        pack_tiles(bytes(80), 2, 0, room[:-1], lengths)
    with pytest.raises(ValueError, match="no 2 tiles"):
        pack_tiles(bytes(81), 1, 0, room, lengths)
    with pytest.raises(ValueError, match="block of 0"):
        unpack_tile(bytes(9), room[:8], 2, 0, 0)
