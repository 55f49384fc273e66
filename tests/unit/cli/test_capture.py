"""``pymilk capture``: pictures, options, refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pymilk import FRAME_ROW
from pymilk.axes import Orientation
from support.calling import call
from support.cubes import cube


def test_capture_without_frames(make_stream, tmp_path):
    make_stream("cam", (3, 4), "u2")
    said = call("capture", "cam", "-n", 5, "--timeout", 0.05, "-o", tmp_path / "out.npy", "--json")
    assert said.returncode == 1
    assert json.loads(said.stdout)["received"] == 0
    assert "no frame after number 0 within 0.05 s" in said.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options",
    [[], ["-n", "5", "--seconds", "1"], ["-n", "0"], ["-n", "5", "--plot", "/nowhere/at/all/x.png"]],
)  # fmt: skip
def test_capture_wrong_usage(make_stream, options):
    make_stream("cam", (3, 4), "u2")
    assert call("capture", "cam", *options).returncode == 2


@pytest.mark.parametrize("options", [["-o", "out.txt"], ["-o", "/nowhere/at/all/out.npy"],
                                     ["-o", "out.npy", "--compress"],
                                     ["--compress", "small", "-o", "out.npy"]])  # fmt: skip
def test_capture_says_before_it_begins_what_cannot_be_saved(make_stream, options):
    make_stream("cam", (3, 4), "u2")  # nobody writes: a capture would time out
    said = call("capture", "cam", "-n", 5, *options)
    assert (said.returncode, said.stdout) == (1, "")
    assert "no frame" not in said.stderr


def test_picture_of_a_capture_shows_the_gaps(tmp_path):
    pytest.importorskip("matplotlib", reason="extra plot")
    from matplotlib.image import imread

    from pymilk.capture import finished_capture
    from pymilk.cli.pictures import save_report_picture

    def orange(lost_at: int | None) -> int:
        info = np.zeros(100, FRAME_ROW)
        info["arrival_ns"] = 10**9 + np.arange(100) * 10**6
        if lost_at is not None:
            info["lost"][lost_at] = 50
        capture = finished_capture("cam", 100, cube(100), info, Orientation((3, 4)), 0.1)
        save_report_picture(capture, str(tmp_path / "x.png"))
        picture = imread(tmp_path / "x.png")[..., :3]
        place = np.abs(picture - np.array([0xC0, 0x50, 0x20]) / 255).max(axis=2) < 0.05
        place[:, : picture.shape[1] // 2] = False  # the histogram has a line of that colour
        columns = np.flatnonzero(place.any(axis=0))
        return int(columns.mean()) if len(columns) else 0

    assert orange(None) == 0
    left = 13 * 110 * 1 / 2.4  # of the panels over time, about: a gap at 80 % of the time is far to the right
    assert orange(80) > left + (13 * 110 - left) * 0.7
