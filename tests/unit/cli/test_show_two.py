"""``pymilk show`` of two streams side by side, and its PNG files with scale and caption."""

from __future__ import annotations

import json

import numpy as np
import pytest

from support.screen import F_ROWS, letter_f, read_png, seen

pytest.importorskip("click", reason="extra cli")

pytest.importorskip("rich", reason="extra cli")

from pymilk.cli.viewer import Viewer, page
from pymilk.view import Display, Feed
from support.calling import call, done


@pytest.fixture
def two(make):
    return make("cam", letter_f()), make("dm", np.arange(12, dtype="f4"))


def test_once_side_by_side(two):
    lines = done("show", "cam", "cam", "--once", "--height", 8, "--width", 25).splitlines()
    wide = [line.replace(".", "  ").replace("#", "@@") for line in F_ROWS]
    assert lines[:8] == [f"{line} {line}".rstrip() for line in wide]
    assert [line for line in lines[8:] if line.startswith("cam  8x6 uint16  frame 1")] == [
        lines[8],
        lines[10],
    ]
    said = done("show", "cam", "dm", "--once")
    assert "dm  12 float32  frame 1" in said


@pytest.mark.parametrize(("mode", "mark"), [("half", "…"), ("ascii", "~")])
def test_lines_that_are_cut_say_so(two, mode, mark):
    with Feed("cam") as first, Feed("dm") as second:
        viewers = [Viewer(each, Display(), (None, None), mode, None) for each in (first, second)]
        for viewer in viewers:
            viewer.update()
        lines = page(viewers, 12, 41)[:2]
        assert [line[18:22] for line in lines] == [f"{line[18]}{mark} {line[21]}" for line in lines]
        assert {len(line) for line in lines} == {41}
        assert mark not in "".join(page(viewers, 12, 400)[:2])


def test_numbers_of_both(two):
    told = json.loads(done("show", "cam", "dm", "--once", "--json"))
    assert [each["name"] for each in told] == ["cam", "dm"]
    assert told[0]["saturated"] == 0
    assert told[1]["saturated"] is None
    assert told[1]["std"] == pytest.approx(np.arange(12).std())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["a", "b", "c", "--once"], "at most 2 streams"),
        (["cam", "--bare", "--once"], "--bare goes with --png"),
        ([], "NAME"),
    ],
)
def test_wrong_usage(two, options, words):
    said = call("show", *options)
    assert said.returncode == 2
    assert words in said.stderr


def test_live_side_by_side(two):
    with Feed("cam") as first, Feed("dm") as second:
        viewers = [Viewer(each, Display(), (None, None), "ascii", None) for each in (first, second)]
        for viewer in viewers:
            viewer.update()
        drawn = page(viewers, 24, 81)
        assert len(drawn) == 24
        assert {len(line) for line in drawn} == {81}
        assert (drawn[0][:3], drawn[0][41:43], drawn[0][40]) == ("cam", "dm", " ")
        assert "drawn - of -/s" in drawn[0]
        for viewer in viewers:
            viewer.press("h")
        assert (
            sum("highest bar" in part for line in page(viewers, 24, 81) for part in (line[:40], line[41:]))
            == 2
        )
        for lines, columns in ((1, 1), (3, 2), (4, 200), (60, 3)):
            assert {len(line) for line in page(viewers, lines, columns)[:lines]} == {max(columns, 3)}


def test_png_has_a_scale_and_a_caption(two, tmp_path):
    pytest.importorskip("PIL")
    path = tmp_path / "a.png"
    assert "picture: " in done("show", "cam", "--png", path, "--height", 64)
    picture = read_png(path.read_bytes())
    assert seen(picture[:64, :48][4::8, 4::8]) == F_ROWS
    assert picture.shape[1] == 320
    assert picture[0, 60].tolist() == [255] * 3
    assert picture[63, 60].tolist() == [0] * 3
    assert picture[64:].any()
    done("show", "cam", "dm", "--png", path, "--height", 64)
    both = read_png(path.read_bytes())
    np.testing.assert_array_equal(both[: len(picture), :320][:64], picture[:64])
    assert both.shape[1] == 640
    done("show", "cam", "--png", path, "--height", 64, "--bare")
    assert read_png(path.read_bytes()).shape == (64, 48, 3)


def test_colour_maps_are_completed():
    from click.shell_completion import ShellComplete

    from pymilk.cli.app import app

    found = ShellComplete(app, {}, "pymilk", "_PYMILK_COMPLETE").get_completions(["show", "--colours"], "he")
    assert [each.value for each in found] == ["heat", "heat_r"]
