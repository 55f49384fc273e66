"""Whole pictures of frames, and picture files."""

from __future__ import annotations

import io

import numpy as np
import pytest

import pymilk.view.display
from pymilk import SHM
from pymilk.errors import StreamArgumentError, StreamStorageError
from pymilk.view import Display, Feed, save_png
from pymilk.view.levels import summary
from support.screen import F_ROWS, Screen, letter_f, on_screen, read_png, seen

# --- all of it -----------------------------------------------------------------------------------


def test_a_picture_is_the_right_way_up():
    display = Display()
    display.show(letter_f())
    assert seen(display.picture((8, 6))) == F_ROWS
    screen = on_screen(display.text(4, 6), 6)
    assert seen(screen.pixels()) == F_ROWS
    assert seen(on_screen(display.text(4, 6, "256"), 6).pixels()) == F_ROWS
    # Letters are two columns wide for each row.
    wide = [line.replace(".", "  ").replace("#", "@@") for line in F_ROWS]
    assert display.text(8, 12, "ascii") == wide


@pytest.mark.parametrize("symcode", range(8))
def test_symcode_is_that_of_shm(make, symcode):
    stream = make("cam", letter_f())
    with SHM("cam", symcode=symcode) as shm, Feed("cam") as feed:
        display = Display(symcode=symcode)
        display.show(feed.take())
        expected = seen(np.repeat(shm.get_data()[::-1, :, None] * 2.55, 3, axis=2))
        assert seen(display.picture(shm.shape)) == expected
        row, column = display.statistics()["peak"]
        assert shm.get_data()[row, column] == 100
    assert stream.get_counter() == 1


def test_default_size_of_a_picture_is_a_whole_multiple():
    display = Display()
    display.show(letter_f())
    picture = display.picture()
    assert picture.shape == (512, 384, 3)
    assert seen(picture[32::64, 32::64]) == F_ROWS
    display.show(np.zeros((700, 3), "u1"))
    assert display.picture().shape == (700, 3, 3)


def test_zoom_and_pan_by_keys_and_by_choice():
    frame = np.arange(10000).reshape(100, 100)
    display = Display(zoom=4, centre=(0, 0))
    display.show(frame)
    display.picture((50, 50))
    told = display.statistics()
    assert (told["rows"], told["columns"], told["levels"]) == ([0, 25], [0, 25], [0.0, 2424.0])
    assert (told["min"], told["max"], told["peak"]) == (0.0, 9999.0, [99, 99])  # of all
    for key in ("up", "right", "right"):
        assert display.press(key)
        display.picture((50, 50))
    told = display.statistics()
    assert (told["rows"], told["columns"]) == ([6, 31], [12, 37])
    for _ in range(40):
        display.press("up")
        display.picture((50, 50))
    assert display.statistics()["rows"] == [75, 100]
    display.press("down")
    display.picture((50, 50))
    assert display.statistics()["rows"] == [69, 94]
    display.press("0")
    display.picture((50, 50))
    assert display.statistics()["rows"] == [0, 100]
    for _ in range(20):
        display.press("+")
        display.picture((50, 50))
    assert display.statistics()["rows"] == [50, 51]  # one pixel fills the room: no further
    for _ in range(20):
        display.press("-")
    assert display.zoom == 1
    assert not display.press("z")


def test_keys_change_what_is_drawn():
    display = Display()
    display.show(letter_f())
    display.press("d")
    display.picture()
    assert display.statistics()["max"] == 0
    assert "dark subtracted" in display.describe()
    display.press("D")
    display.press("l")
    display.press("c")
    display.press("s")
    display.press("p")
    display.press("m")
    assert (display.log, display.colours, display.symcode) == (True, "heat", 5)
    assert (display.percentile, display.reduction) == (99.5, "mean")
    told = display.describe()
    for words in ("99.5 %", "log", "heat", "symcode 5"):
        assert words in told
    display.press("a")
    display.picture()
    display.press("f")
    display.show(letter_f() * 7)
    display.picture()
    assert display.statistics()["levels"] == [0.0, 100.0]
    display.press("f")
    assert display.levels is None


@pytest.mark.parametrize("keys", [
    ["r", "f"], ["s", "f"], ["s", "up"], ["r", "right"], ["s", "+"],
    ["r", "+", "f", "r", "f", "s", "f", "left"],
])  # fmt: skip
def test_keys_that_come_faster_than_it_is_drawn(keys):
    """Over a slow line several come at once: each finds what the one before has made."""
    display = Display(zoom=8, centre=(80, 950))
    display.show(np.arange(100_000.0).reshape(100, 1000))
    display.text(20, 80)
    for key in keys:
        assert display.press(key)
    display.statistics()
    assert len(display.text(20, 80)) <= 20


def test_moving_does_not_work_out_the_frame_again(monkeypatch):
    calls = []
    monkeypatch.setattr(pymilk.view.display, "summary", lambda image: calls.append(image) or summary(image))
    display = Display()
    display.show(np.arange(600.0).reshape(20, 30))
    for key in ("+", "up", "left", "+", "-", "0"):
        display.text(6, 20)
        display.press(key)
    display.text(6, 20)
    assert len(calls) == 1
    for count, key in enumerate(("l", "r", "up", "d"), 2):
        display.press(key)
        display.text(6, 20)
        assert len(calls) == count


def test_each_of_several_arrows_moves():
    steps = []
    for drawn_between in (True, False):
        display = Display(zoom=4, centre=(0, 0))
        display.show(np.zeros((100, 100)))
        display.picture((50, 50))
        for _ in range(3):
            display.press("right")
            if drawn_between:
                display.picture((50, 50))
        display.picture((50, 50))
        steps.append(display.statistics()["columns"])
    assert steps[0] == steps[1] == [18, 43]


def test_levels_are_fixed_after_another_shape_came():
    display = Display(zoom=4, centre=(90, 90))
    display.show(np.zeros((100, 100)))
    display.picture((50, 50))
    display.show(np.arange(1600.0).reshape(40, 40))
    display.press("f")
    assert display.levels == (30 * 40 + 30, 1599)


def test_a_row_is_a_curve_with_its_levels():
    frame = np.zeros((3, 40))
    frame[2, 10] = 7
    display = Display(row=2)
    display.show(frame)
    lines = display.text(6, 51, "ascii")
    assert [len(line) for line in lines] == [51] * 6
    assert lines[0] == f"{7:>10} {'*':>11}".ljust(51)
    assert lines[-1].split()[0] == "0"
    assert display.statistics()["peak"] == [10]
    assert "row 2" in display.describe()
    display.press("down")
    assert display.row == 1
    display.press("r")
    assert not display.draws_curve
    picture = Display(row=2)
    picture.show(frame)
    drawn = picture.picture((20, 40))
    assert drawn[:-1, 10].min() == 255
    assert drawn[:-1, :10].max() == 0


def test_curves_are_zoomed():
    display = Display(zoom=4)
    display.show(np.arange(100.0))
    display.text(5, 80)
    assert display.statistics()["columns"] == [38, 63]
    display.press("right")
    display.text(5, 80)
    assert display.statistics()["columns"][0] > 38


FRAMES = {
    "one pixel": np.ones((1, 1), "u2"),
    "one value": np.ones(1, "f4"),
    "constant": np.full((5, 7), 3, "u8"),
    "nan": np.full((5, 7), np.nan, "f4"),
    "inf": np.array([[np.inf, -np.inf, 1.0, 2.0]] * 3),
    "half": np.ones((3, 4), "f2"),
    "complex": np.ones((3, 4), "c16") * 1j,
    "large": np.array([[0, 2**64 - 1]], "u8"),
    "row": np.arange(300.0),
    "tall": np.zeros((500, 2), "i1"),
    "wide": np.zeros((2, 500), "i2"),
    "square": np.zeros((128, 128), "f8"),
}


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 40), (50, 132)])
def test_any_frame_is_drawn_in_any_room(name, size):
    frame = FRAMES[name]
    for choice in ({}, {"log": True, "percentile": 90}, {"levels": (0, 1)}, {"row": 0}, {"dark": frame}):
        for mode in ("true", "256", "ascii"):
            display = Display(**choice)
            display.show(frame)
            lines = display.text(*size, mode)
            screen = Screen(*size)
            screen.feed("\r\n".join(lines))
            assert len(lines) <= size[0]
            if mode == "ascii":
                assert [len(line) for line in lines] == [size[1]] * len(lines)
            assert display.describe()
            display.statistics()
        picture = display.picture()
        assert picture.dtype == np.uint8
        assert min(picture.shape[:2]) >= 1


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"levels": (2, 2)}, "lower one first"),
        ({"levels": (0, np.inf)}, "two finite numbers"),
        ({"percentile": 0}, "percentile"),
        ({"zoom": 0.5}, "zoom is 1"),
        ({"centre": (np.nan, 1)}, "centre is a row and a column, not nan and 1"),
        ({"symcode": 8}, "symcode is 0 to 7"),
        ({"reduction": "sum"}, "'peak', 'mean', 'nearest'"),
    ],
)
def test_choices_that_cannot_be(choices, words):
    with pytest.raises(StreamArgumentError, match=words):
        Display(**choices)


def test_frames_that_do_not_fit_the_choices():
    with pytest.raises(StreamArgumentError, match="rows 0 to 7, no row 8"):
        Display(row=8).show(letter_f())
    with pytest.raises(StreamArgumentError, match=r"\(2, 2\), the frames of the stream \(8, 6\)"):
        Display(dark=np.zeros((2, 2))).show(letter_f())
    with pytest.raises(StreamArgumentError, match="no frame yet"):
        Display().picture()


# --- files ---------------------------------------------------------------------------------------


def test_png_holds_the_picture(tmp_path):
    rgb = np.random.default_rng(6).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    path = tmp_path / "a.png"
    save_png(path, rgb[:, ::-1])
    np.testing.assert_array_equal(read_png(path.read_bytes()), rgb[:, ::-1])
    save_png(str(path), rgb)
    np.testing.assert_array_equal(read_png(path.read_bytes()), rgb)
    assert [each.name for each in tmp_path.iterdir()] == ["a.png"]


def test_png_is_read_by_others(tmp_path):
    image = pytest.importorskip("PIL.Image")
    rgb = np.random.default_rng(7).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    save_png(tmp_path / "a.png", rgb)
    with image.open(io.BytesIO((tmp_path / "a.png").read_bytes())) as opened:
        np.testing.assert_array_equal(np.asarray(opened), rgb)


@pytest.mark.parametrize("path", ["no/such/folder/a.png", "a\0b.png", ""])
def test_png_that_cannot_be_written(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StreamStorageError, match="cannot be saved"):
        save_png(path, np.zeros((1, 1, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []
