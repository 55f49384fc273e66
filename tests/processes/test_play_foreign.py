"""``pymilk play`` and ``pymilk show`` with files of others, as a user runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk import SHM
from support.foreign_files import cut, values, write_video


def pymilk(*arguments: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pymilk", *map(str, arguments)],
        capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONSAFEPATH": "1"}, check=False,
    )  # fmt: skip


def test_an_image_goes_in_and_comes_out_the_same_way_up(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image", reason="extra plot")
    fits = pytest.importorskip("astropy.io.fits", reason="extra fits")
    pytest.importorskip("imageio", reason="extra video")
    given = np.zeros((64, 48), np.uint8)
    given[:8] = 255  # a bright top
    given[8:, :6] = 100  # and the left border
    image.fromarray(given).save(tmp_path / "in.png")
    done = pymilk("play", tmp_path / "in.png", "--stream", "cam", "--rate", 0)
    assert done.returncode == 0, done.stderr
    size = ["--width", 48, "--height", 64]
    done = pymilk("show", "cam", "--bare", "--png", tmp_path / "out.png", "--levels", 0, 255, *size)
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.asarray(image.open(tmp_path / "out.png").convert("L")), given)
    with SHM("cam") as shm:
        shm.save_as_fits(tmp_path / "out.fits")
    # Viewers show the last row of a FITS image at the top.
    np.testing.assert_array_equal(fits.getdata(tmp_path / "out.fits")[::-1], given)
    done = pymilk("play", tmp_path / "out.fits", "--stream", "again", "--rate", 0)
    with SHM("cam") as first, SHM("again") as second:
        np.testing.assert_array_equal(first.get_data(), second.get_data())


def test_the_first_line_says_what_is_played_and_which_option_decides(tmp_path: Path) -> None:
    fits = pytest.importorskip("astropy.io.fits", reason="extra fits")
    given = values("u2", (5, 7))
    np.save(tmp_path / "x.npy", given)
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(given, name="SCI"), fits.ImageHDU(given + 1, name="ERR")]
    fits.HDUList(hdus).writeto(tmp_path / "x.fits")
    for arguments, words in (
        (["x.npy"], ["5 frames of 7 uint16", "--frame-axes 2"]),
        (["x.npy", "--frame-axes", 2], ["1 frame of 5x7 uint16"]),
        (["x.fits"], ["x.fits[SCI]", "1 frame of 5x7 uint16", "--hdu ERR"]),
        (["x.fits", "--hdu", "ERR"], ["x.fits[ERR]"]),
        (["x.fits[2]"], ["x.fits[ERR]"]),
    ):
        name, *options = arguments
        done = pymilk("play", f"{tmp_path}/{name}", *options, "--rate", 0, "--stream", "cam", "--force")
        assert done.returncode == 0, done.stderr
        first = done.stderr.splitlines()[0]
        assert all(each in first for each in words), first
    with SHM("cam") as shm:
        np.testing.assert_array_equal(shm.get_data(), given + 1)
    done = pymilk("play", tmp_path / "x.fits", "--hdu", "NONE", "--rate", 0)
    assert done.returncode == 1
    assert "[SCI], [ERR]" in done.stderr


def test_a_video_that_ends_early_is_an_error(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="extra video")
    write_video(tmp_path / "x.avi", list(values("u1", (40, 96, 128))), "yuvj420p", "mjpeg")
    done = pymilk("play", cut(tmp_path / "x.avi"), "--rate", 0, "--json")
    assert done.returncode == 1
    assert " of 40 frames are there" in done.stderr
    report = json.loads(done.stdout)
    assert report["ended"] == "error"
    assert " of 40 frames are there" in report["error"]
    assert 0 < report["published"] < 40


def test_darks_of_others(tmp_path: Path) -> None:
    fits = pytest.importorskip("astropy.io.fits", reason="extra fits")
    given = values("u2", (40, 50)) >> 1
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(given, name="SCI"), fits.ImageHDU(given, name="DARK")]
    fits.HDUList(hdus).writeto(tmp_path / "x.fits")
    with SHM("cam", given) as shm:
        for name, said in (("x.fits[DARK]", ""), ("x.fits", "[SCI] is taken")):
            done = pymilk("show", "cam", "--once", "--json", "--dark", f"{tmp_path}/{name}")
            assert done.returncode == 0, done.stderr
            told = json.loads(done.stdout)
            assert (told["dark"], told["min"], told["max"]) == (True, 0.0, 0.0)
            assert said in done.stderr
        shm.destroy()
