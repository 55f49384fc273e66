"""Images of others of rarer kinds: the values that are stored, all of them, or a refusal in words."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk.errors import CaptureMemoryError, StreamFormatError
from pymilk.playback import open_footage
from support.foreign_files import brightness, played, values

pytest.importorskip("imageio", reason="extra video")
tifffile = pytest.importorskip("tifffile", reason="extra video")
pytest.importorskip("PIL.Image", reason="extra video")


def check(path: Path, expected: np.ndarray) -> None:
    """Look for these pictures, in a stream whose row 0 is their bottom row."""
    found = played(path)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found[:, ::-1], expected)


def test_an_image_without_memory_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise MemoryError

    tifffile.imwrite(tmp_path / "x.tif", values("u2", (20, 24)))
    monkeypatch.setattr("pymilk.playback.images.tiff_pictures", fail)
    with pytest.raises(CaptureMemoryError, match=r"x\.tif cannot be read: there is no memory for it"):
        open_footage(tmp_path / "x.tif")


# --- TIFF ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [16, 8])
def test_palette_whose_colours_have_their_values_in_either_half(bits: int, tmp_path: Path) -> None:
    colours = np.random.default_rng(1).integers(1, 256, (3, 256)).astype("u2")
    given = values("u1", (20, 24))
    stored = colours << (bits - 8)
    tifffile.imwrite(tmp_path / "x.tif", given, photometric="palette", colormap=stored)
    check(tmp_path / "x.tif", brightness(np.moveaxis(colours, 0, -1).astype("u1")[given])[None])


@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_two_values_for_a_pixel_of_which_none_is_transparency_are_refused(
    planes: Any, tmp_path: Path
) -> None:
    given = values("u2", (20, 24, 2) if planes == "contig" else (2, 20, 24))
    tifffile.imwrite(tmp_path / "x.tif", given, photometric="minisblack", planarconfig=planes)
    with pytest.raises(StreamFormatError, match="it has 2 values for each pixel, and no colours"):
        played(tmp_path / "x.tif")


@pytest.mark.parametrize(
    ("extra", "said"),
    [("unspecified", "values beside the colours are left out"), ("unassalpha", "transparency")],
)
def test_what_stands_beside_colours_is_said_to_be_left_out(extra: str, said: str, tmp_path: Path) -> None:
    given = values("u1", (20, 24, 4))
    tifffile.imwrite(tmp_path / "x.tif", given, photometric="rgb", extrasamples=[extra])
    check(tmp_path / "x.tif", brightness(given)[None])
    assert said in open_footage(tmp_path / "x.tif").describe()


def test_complex_colours_are_refused_in_words(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "x.tif", values("c8", (20, 24, 3)), photometric="rgb")
    with pytest.raises(StreamFormatError, match="its colours are complex numbers"):
        played(tmp_path / "x.tif")


def test_a_page_that_stands_for_many_images_with_further_pages_behind(tmp_path: Path) -> None:
    given, more = values("u2", (5, 20, 24)), values("u2", (20, 24))
    with tifffile.TiffWriter(tmp_path / "x.tif") as file:
        file.write(given, truncate=True, photometric="minisblack")
        file.write(more, photometric="minisblack")
    check(tmp_path / "x.tif", np.concatenate([given, more[None]]))


@pytest.mark.parametrize("dtype", ["c16", "?"])
def test_all_images_for_which_a_page_should_stand(dtype: str, tmp_path: Path) -> None:
    """Values of 16 bytes, of which tifffile finds the first image only; and bits, which have a page each."""
    given = values("u1", (3, 20, 24)) > 99 if dtype == "?" else values(dtype, (3, 20, 24))
    tifffile.imwrite(tmp_path / "x.tif", given, truncate=True, photometric="minisblack")
    check(tmp_path / "x.tif", given.astype("u1") if dtype == "?" else given)
    content = (tmp_path / "x.tif").read_bytes()
    (tmp_path / "longer.tif").write_bytes(content + bytes(5000))
    check(tmp_path / "longer.tif", given.astype("u1") if dtype == "?" else given)


def test_images_that_imagej_states_and_that_are_cut_off(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    given = values("u2", (5, 20, 24))
    path = tmp_path / "x.tif"
    words = "ImageJ=1.53\nimages=5\nslices=5\n"
    tifffile.imwrite(path, given[0], photometric="minisblack", metadata=None, description=words)
    with tifffile.TiffFile(path) as file:
        place = file.pages[0].dataoffsets[0]
    head = path.read_bytes()[:place]
    path.write_bytes(head + given.tobytes())
    check(path, given)
    path.write_bytes(head + given.tobytes()[:-7])
    capfd.readouterr()
    with pytest.raises(StreamFormatError, match="it ends early: 1 of 5 images are there"):
        played(path)
    assert capfd.readouterr() == ("", "")


# --- PNG and PGM ---------------------------------------------------------------------------------


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def write_moving_png(path: Path, frames: np.ndarray, kind: int, stated: int = 0) -> None:
    """Write a PNG with several frames, of 16 bits: shape (n, height, width, values of a pixel)."""
    count, height, width = frames.shape[:3]
    parts = [
        chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)),
        chunk(b"acTL", struct.pack(">II", stated or count, 0)),
    ]
    number = 0
    for at, frame in enumerate(frames):
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in frame)
        control = struct.pack(">IIIIIHHBB", number, width, height, 0, 0, 1, 10, 0, 0)
        parts.append(chunk(b"fcTL", control))
        packed = zlib.compress(rows)
        if at:
            parts.append(chunk(b"fdAT", struct.pack(">I", number + 1) + packed))
        else:
            parts.append(chunk(b"IDAT", packed))
        number += 2 if at else 1
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b""))


@pytest.mark.parametrize(("kind", "count"), [(2, 3), (4, 2), (6, 4)])
def test_moving_png_with_deep_colours_has_all_its_frames(kind: int, count: int, tmp_path: Path) -> None:
    pytest.importorskip("av", reason="extra video")
    given = values("u2", (4, 11, 13, count))
    write_moving_png(tmp_path / "x.png", given, kind)
    check(tmp_path / "x.png", given[..., 0] if count == 2 else brightness(given))


def test_moving_png_that_states_more_frames_than_it_has(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="extra video")
    write_moving_png(tmp_path / "x.png", values("u2", (3, 11, 13, 3)), 2, stated=5)
    with pytest.raises(StreamFormatError, match="it ends early; 3 of 5 frames are there"):
        played(tmp_path / "x.png")


def test_palette_with_transparency_brings_no_warning_of_a_library(tmp_path: Path) -> None:
    colours = values("u1", (4, 3))
    given = np.random.default_rng(2).integers(0, 4, (11, 13)).astype("u1")
    rows = b"".join(b"\0" + row.tobytes() for row in given)
    parts = [
        chunk(b"IHDR", struct.pack(">IIBBBBB", 13, 11, 8, 3, 0, 0, 0)),
        chunk(b"PLTE", colours.tobytes()),
        chunk(b"tRNS", bytes([0, 128])),
        chunk(b"IDAT", zlib.compress(rows)),
        chunk(b"IEND", b""),
    ]
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(tmp_path / "x.png", brightness(colours)[given][None])


@pytest.mark.parametrize(
    "text", ["255\n1 2 256", "255\n1 2 -1", "65535\n1 2 65536", "1000\n1 2 99999999999999999999"]
)
def test_numbers_beyond_the_stated_largest_one_do_not_wrap(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.pgm").write_text(f"P2\n3 1\n{text}\n")
    with pytest.raises(StreamFormatError, match="it has values outside of 0 to"):
        played(tmp_path / "x.pgm")
