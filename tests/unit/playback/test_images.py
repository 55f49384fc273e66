"""Images of others: the values that are stored, the right way up, or a refusal in words."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk.errors import LibraryMissingError, StreamArgumentError, StreamFormatError
from pymilk.playback import open_footage
from support.foreign_files import brightness, cut, played, values

pytest.importorskip("imageio", reason="extra video")
tifffile = pytest.importorskip("tifffile", reason="extra video")
image = pytest.importorskip("PIL.Image", reason="extra video")

PIXELS = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", "c8", "c16"]


def check(path: Path, expected: np.ndarray) -> None:
    """Look for these pictures, in a stream whose row 0 is their bottom row."""
    found = played(path)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found[:, ::-1], expected)


# --- TIFF ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", PIXELS)
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_tiff_of_each_type(dtype: str, byteorder: Any, tmp_path: Path) -> None:
    given = values(dtype)
    tifffile.imwrite(tmp_path / "x.tif", given, photometric="minisblack", byteorder=byteorder)
    check(tmp_path / "x.tif", given)


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "zlib"},
        {"compression": "zlib", "predictor": True},
        {"bigtiff": True},
        {"imagej": True},
        {"ome": True},
        {"tile": (16, 16)},
        {"rowsperstrip": 2},
        {"photometric": "miniswhite"},
        {"metadata": None},
        {"contiguous": True, "truncate": True},
    ],
)
def test_tiff_of_each_layout(options: dict[str, Any], tmp_path: Path) -> None:
    given = values("u2", (4, 20, 24))
    tifffile.imwrite(tmp_path / "x.tif", given, **{"photometric": "minisblack", **options})
    check(tmp_path / "x.tif", given)


@pytest.mark.parametrize("planes", [False, True])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_tiff_with_colours(planes: bool, dtype: str, tmp_path: Path) -> None:
    colours = values(dtype, (5, 7, 3))
    layout = {"planarconfig": "separate" if planes else "contig"}
    tifffile.imwrite(tmp_path / "x.tif", np.moveaxis(colours, 2, 0) if planes else colours,
                     photometric="rgb", **layout)  # fmt: skip
    found = played(tmp_path / "x.tif")
    assert found.dtype == colours.dtype
    if dtype == "f4":
        np.testing.assert_allclose(found[0, ::-1], colours @ np.array([0.299, 0.587, 0.114]), rtol=1e-5)
    else:
        np.testing.assert_array_equal(found[0, ::-1], brightness(colours))
    assert "colours become brightness" in open_footage(tmp_path / "x.tif").describe()


@pytest.mark.parametrize("mode", ["L", "RGB", "I;16", "F", "1", "P"])
@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_tiff_of_pillow(mode: str, compression: str | None, tmp_path: Path) -> None:
    kinds = {"I;16": "u2", "F": "f4"}
    given = values(kinds.get(mode, "u1"), (5, 7, 3) if mode in ("RGB", "P") else (5, 7))
    made = image.fromarray(given)
    if mode == "1":
        made = made.convert("1")
        given = np.asarray(made).astype(np.uint8)
    elif mode == "P":
        made = made.quantize(16)
        given = brightness(np.asarray(made.convert("RGB")))
    elif mode == "RGB":
        given = brightness(given)
    made.save(tmp_path / "x.tif", compression=compression)
    try:
        check(tmp_path / "x.tif", given[None])
    except LibraryMissingError as error:  # never other values
        assert mode in ("1", "P")
        assert "imagecodecs" in str(error)


def test_tiff_with_a_stated_orientation(tmp_path: Path) -> None:
    given = values("u2", (5, 7))
    for orientation, upright in (
        (2, given[:, ::-1]), (3, given[::-1, ::-1]), (4, given[::-1]), (5, given.T),
        (6, np.rot90(given, -1)), (7, given[::-1, ::-1].T), (8, np.rot90(given)),
    ):  # fmt: skip
        tag = (274, "H", 1, orientation, True)
        tifffile.imwrite(tmp_path / "x.tif", given, photometric="minisblack", extratags=[tag])
        np.testing.assert_array_equal(played(tmp_path / "x.tif")[0, ::-1], upright)


def test_tiff_of_a_kind_that_is_not_read(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "inks.tif", values("u1", (5, 7, 4)), photometric="separated")
    with pytest.raises(StreamFormatError, match=r"inks\.tif.*SEPARATED"):
        played(tmp_path / "inks.tif")
    tifffile.imwrite(tmp_path / "five.tif", values("u1", (5, 7, 5)), photometric="minisblack",
                     planarconfig="contig")  # fmt: skip
    with pytest.raises(StreamFormatError, match="5 values for each pixel"):
        played(tmp_path / "five.tif")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_tiff_that_ends_early(share: float, tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "x.tif") as writer:
        for page in values("u2", (20, 16, 16)):
            writer.write(page, photometric="minisblack", metadata=None)
    with pytest.raises(StreamFormatError, match=r"cut_x\.tif"):
        played(cut(tmp_path / "x.tif", share))


# --- PNG, PGM and others -------------------------------------------------------------------------


def write_png(path: Path, rows: bytes, shape: tuple[int, int], depth: int, kind: int) -> None:
    """Write a PNG of any depth and kind; `rows` have their filter bytes."""

    def chunk(name: bytes, content: bytes) -> bytes:
        whole = name + content
        return struct.pack(">I", len(content)) + whole + struct.pack(">I", zlib.crc32(whole))

    head = struct.pack(">IIBBBBB", shape[1], shape[0], depth, kind, 0, 0, 0)
    parts = [chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_grey_png_of_each_depth(depth: int, tmp_path: Path) -> None:
    random = np.random.default_rng(depth)
    given = random.integers(0, 2**depth, (6, 8)).astype("u2" if depth == 16 else "u1")
    if depth < 8:
        bits = np.unpackbits(given[..., None], axis=-1)[..., 8 - depth :].reshape(6, -1)
        packed = np.packbits(bits, axis=1).tobytes()
    else:
        packed = given.astype(given.dtype.newbyteorder(">")).tobytes()
    width = len(packed) // 6
    rows = b"".join(b"\0" + packed[width * k : width * (k + 1)] for k in range(6))
    write_png(tmp_path / "x.png", rows, (6, 8), depth, 0)
    check(tmp_path / "x.png", given[None])


@pytest.mark.parametrize("kind", [2, 4, 6])
@pytest.mark.parametrize("depth", [8, 16])
def test_png_with_colours_and_transparency(kind: int, depth: int, tmp_path: Path) -> None:
    pytest.importorskip("av", reason="extra video")
    given = values("u2" if depth == 16 else "u1", (5, 7, {2: 3, 4: 2, 6: 4}[kind]))
    rows = b"".join(b"\0" + row.astype(row.dtype.newbyteorder(">")).tobytes() for row in given)
    write_png(tmp_path / "x.png", rows, (5, 7), depth, kind)
    check(tmp_path / "x.png", (given[..., 0] if kind == 4 else brightness(given))[None])
    assert ("transparency is left out" in open_footage(tmp_path / "x.png").describe()) == (kind != 2)


@pytest.mark.parametrize("largest", [1, 15, 255, 1023, 4095, 65535])
def test_pgm_of_each_depth(largest: int, tmp_path: Path) -> None:
    given = np.random.default_rng(1).integers(0, largest + 1, (3, 5, 7))
    given = given.astype("u2" if largest > 255 else "u1")
    stored = given.astype(given.dtype.newbyteorder(">"))
    (tmp_path / "x.pgm").write_bytes(
        b"".join(b"P5\n# a camera\n7 5\n%d\n" % largest + each.tobytes() for each in stored)
    )
    check(tmp_path / "x.pgm", given)
    text = " ".join(map(str, given[0].ravel()))
    (tmp_path / "t.pgm").write_text(f"P2 7 5 # as text\n{largest}\n{text}\n")
    check(tmp_path / "t.pgm", given[:1])


def test_ppm_and_pbm(tmp_path: Path) -> None:
    colours = values("u2", (5, 7, 3)) & 0xFFF
    (tmp_path / "x.ppm").write_bytes(b"P6 7 5 4095 " + colours.astype(">u2").tobytes())
    check(tmp_path / "x.ppm", brightness(colours)[None])
    bits = values("?", (5, 11)).astype(np.uint8)
    (tmp_path / "x.pbm").write_bytes(b"P4 11 5 " + np.packbits(bits, axis=1).tobytes())
    check(tmp_path / "x.pbm", bits[None])
    (tmp_path / "t.pbm").write_text("P1 11 5 " + "".join(map(str, bits.ravel())))
    check(tmp_path / "t.pbm", bits[None])


@pytest.mark.parametrize("content", [b"P5 7 5 255 " + bytes(34), b"P5 7 5 0 " + bytes(35), b"P5 0 5 255 ",
                                     b"P2 7 5 255 1 2", b"P5 7 5 255 " + bytes(35) + b"x"])  # fmt: skip
def test_pgm_that_is_damaged(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.pgm").write_bytes(content)
    with pytest.raises(StreamFormatError, match=r"x\.pgm"):
        played(tmp_path / "x.pgm")


def test_inks_become_brightness_and_are_no_colours_with_transparency(tmp_path: Path) -> None:
    image.new("CMYK", (8, 8), (0, 0, 0, 128)).save(tmp_path / "x.jpg")
    assert played(tmp_path / "x.jpg").mean() == pytest.approx(127, abs=2)


def test_photograph_is_turned_the_way_up_that_it_states(tmp_path: Path) -> None:
    given = np.kron(np.array([[10, 240, 10], [10, 10, 10]], np.uint8), np.ones((8, 8), np.uint8))
    tags = image.Exif()
    tags[274] = 6
    image.fromarray(given).save(tmp_path / "x.png", exif=tags)
    np.testing.assert_array_equal(played(tmp_path / "x.png")[0, ::-1], np.rot90(given, -1))


def test_animations(tmp_path: Path) -> None:
    given = [image.new("RGB", (8, 6), (level,) * 3) for level in (10, 100, 200)]
    given[0].save(tmp_path / "x.gif", save_all=True, append_images=given[1:])
    given[0].save(tmp_path / "x.png", save_all=True, append_images=given[1:])
    for name in ("x.gif", "x.png"):
        assert played(tmp_path / name)[:, 2, 3].tolist() == [10, 100, 200]


def test_a_folder_without_images_says_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "dark.fits").write_bytes(b"")
    with pytest.raises(StreamFormatError, match=r"has no frames: no image .* 1 file of arrays"):
        open_footage(tmp_path)


# --- what decides --------------------------------------------------------------------------------


def test_content_decides_and_not_the_suffix(tmp_path: Path) -> None:
    given = values("u4")
    tifffile.imwrite(tmp_path / "x.tif", given, photometric="minisblack")
    for name in ("x.png", "x.npy", "x.fits", "x.mp4", "x.dat", "x"):
        (tmp_path / name).write_bytes((tmp_path / "x.tif").read_bytes())
        check(tmp_path / name, given)


def test_what_is_no_image_is_refused_by_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_text("hello, I am text")
    with pytest.raises(StreamFormatError, match=r"x\.png is text"):
        open_footage(tmp_path / "x.png")
    (tmp_path / "x.dat").write_bytes(bytes(range(256)))
    with pytest.raises(StreamArgumentError, match="of no kind"):
        open_footage(tmp_path / "x.dat")
    (tmp_path / "x.dat").write_bytes(b"")
    with pytest.raises(StreamArgumentError, match="an empty file"):
        open_footage(tmp_path / "x.dat")
    for option in ({"hdu": 1}, {"frame_axes": 2}):
        image.new("L", (4, 4)).save(tmp_path / "y.png")
        with pytest.raises(StreamArgumentError, match=next(iter(option))):
            open_footage(tmp_path / "y.png", **option)  # type: ignore[arg-type]
