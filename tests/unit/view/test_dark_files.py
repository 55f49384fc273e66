"""Darks from files of others, in the orientation in which they are played."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pymilk import SHM
from pymilk.errors import ForeignFileWarning, StreamArgumentError
from pymilk.view.dark import load_dark
from support.foreign_files import values

fits = pytest.importorskip("astropy.io.fits", reason="extra fits")

DARK = values("u2", (5, 7))


def test_darks_are_as_they_are_played(tmp_path: Path) -> None:
    fits.writeto(tmp_path / "x.fits", DARK)
    fits.writeto(tmp_path / "cube.fits", np.stack([DARK, DARK]))
    for name in ("x.fits", "cube.fits"):
        np.testing.assert_array_equal(load_dark(str(tmp_path / name)), DARK)
    content = (tmp_path / "x.fits").read_bytes()
    for name in ("x.fit", "x.fts", "y.fits", "dark.bin"):
        (tmp_path / name).write_bytes(gzip.compress(content) if name == "y.fits" else content)
        np.testing.assert_array_equal(load_dark(str(tmp_path / name)), DARK)


def test_dark_of_several_images(tmp_path: Path) -> None:
    path = tmp_path / "x.fits"
    images = [fits.ImageHDU(DARK + 1, name="SCI"), fits.ImageHDU(DARK, name="DARK")]
    fits.HDUList([fits.PrimaryHDU(), *images]).writeto(path)
    np.testing.assert_array_equal(load_dark(f"{path}[DARK]"), DARK)
    with pytest.warns(ForeignFileWarning, match=r"\[SCI\] is taken"):
        np.testing.assert_array_equal(load_dark(str(path)), DARK + 1)


def test_missing_and_signed_pixels(tmp_path: Path) -> None:
    hdu = fits.PrimaryHDU(np.array([[-5, 7], [32000, -32768]], np.int16))
    hdu.header["BLANK"] = 7
    hdu.writeto(tmp_path / "x.fits")
    np.testing.assert_array_equal(load_dark(str(tmp_path / "x.fits")), [[-5, np.nan], [32000, -32768]])


def test_an_image_of_another_kind_is_refused_by_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dark.tif").write_bytes(b"II*\0" + bytes(100))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StreamArgumentError, match=r"dark\.tif is a TIFF image"):
        load_dark("dark.tif")


def test_a_stream_comes_before_a_file_of_its_name(
    make: Callable[..., SHM], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make("dark", DARK)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dark").write_text(json.dumps("a file"))
    np.testing.assert_array_equal(load_dark("dark"), DARK)
