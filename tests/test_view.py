"""Pictures of frames without a terminal: levels, colours, sizes, text, curves, files; and feeds of frames."""

from __future__ import annotations

import io
import itertools
import os
import subprocess
import sys

import numpy as np
import pytest

import pymilk.view.display
from pymilk import FRAME_ROW, SHM, Stream, save
from pymilk.axes import Orientation
from pymilk.capture import finished_capture
from pymilk.errors import (
    LibraryMissingError,
    StreamArgumentError,
    StreamDamagedError,
    StreamError,
    StreamStorageError,
)
from pymilk.view import Display, Feed, colours, save_png
from pymilk.view.blocks import half_blocks, letters, of_256
from pymilk.view.curve import braille, dots, stars
from pymilk.view.dark import load_dark
from pymilk.view.levels import fractions, real_values, span, summary
from pymilk.view.picture import fit, resample
from screen import F_ROWS, Screen, colour_256, letter_f, read_png, seen

LIBRARIES = {"npy": "numpy", "fits": "astropy", "h5": "h5py", "zarr": "zarr"}


def on_screen(lines: list[str], columns: int) -> Screen:
    screen = Screen(len(lines), columns)
    screen.feed("\r\n".join(lines))
    return screen


def test_nothing_optional_is_imported():
    optional = ("matplotlib", "PIL", "astropy", "click", "rich")
    code = f"import sys, pymilk.view; print([name for name in {optional} if name in sys.modules])"
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-c", code]
    said = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=100)
    assert (said.stdout, said.stderr) == ("[]\n", "")


# --- levels --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["u1", "i8", "u8", "f2", "f4", "f8"])
def test_levels_and_summary_of_every_kind(dtype):
    image = np.array([[3, 1, 4], [1, 5, 9]], dtype)
    assert span(image) == (1.0, 9.0)
    told = summary(real_values(image))
    assert (told["min"], told["max"], told["peak"], told["not_finite"]) == (1.0, 9.0, [1, 2], 0)
    assert told["mean"] == pytest.approx(23 / 6)
    assert summary(image.T)["peak"] == [2, 1]


def test_fractions_are_between_the_levels():
    parts = fractions(np.array([-5.0, 0, 5, 10, 99, np.nan, np.inf]), (0.0, 10.0))
    np.testing.assert_array_equal(parts, [0, 0, 0.5, 1, 1, np.nan, np.nan])
    log = fractions(np.array([0.0, 0.001, 1.0]), (0.0, 1.0), log=True)
    np.testing.assert_allclose(log, [0, np.log(2) / np.log(1001), 1])


def test_fractions_of_large_numbers():
    top = np.array([0, 2**63, 2**64 - 1], np.uint64)
    np.testing.assert_allclose(fractions(top, span(top)), [0, 0.5, 1])
    wide = np.array([-1.7e308, 0, 1.7e308])
    np.testing.assert_allclose(fractions(wide, span(wide)), [0, 0.5, 1])


def test_constant_and_not_finite_frames():
    assert span(np.full((2, 2), 7)) == (7.0, 7.0)
    np.testing.assert_array_equal(fractions(np.full((2, 2), 7), (7.0, 7.0)), np.full((2, 2), 0.5))
    nothing = np.array([[np.nan, np.inf], [-np.inf, np.nan]])
    assert span(nothing) is None
    assert span(nothing, 99) is None
    assert np.isnan(fractions(nothing, None)).all()
    assert summary(nothing) == {"min": None, "max": None, "mean": None, "peak": None, "not_finite": 4}
    some = np.array([[np.nan, 1.0], [-np.inf, 3.0]])
    assert span(some) == (1.0, 3.0)
    assert summary(some) == {"min": 1.0, "max": 3.0, "mean": 2.0, "peak": [1, 1], "not_finite": 2}


def test_percentile_leaves_out_both_tails():
    image = np.arange(1001.0).reshape(77, 13)
    assert span(image, 90) == (50.0, 950.0)
    assert span(image, 100) == (0.0, 1000.0)


def test_percentile_of_a_large_frame_is_that_of_a_sample():
    image = np.random.default_rng(1).random((1024, 1024), np.float32)
    low, high = span(image, 80)
    assert (low, high) == pytest.approx((0.1, 0.9), abs=0.01)


def test_complex_pixels_are_amplitudes_and_dark_is_subtracted_first():
    frame = np.array([[3 + 4j, 1j]], np.complex64)
    np.testing.assert_allclose(real_values(frame), [[5, 1]])
    np.testing.assert_allclose(real_values(frame, np.array([[3, 0]], np.float32)), [[4, 1]])
    below = real_values(np.array([[1]], np.uint16), np.array([[5]], np.uint16))
    np.testing.assert_array_equal(below, [[-4.0]])
    exact = real_values(np.array([[2**32 - 1]], np.uint32), np.array([[2**32 - 2]], np.uint32))
    np.testing.assert_array_equal(exact, [[1.0]])


# --- colours -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", colours.COLOURS)
def test_colour_maps_have_different_ends_and_no_bad_pixels(name):
    table = colours.colour_table(name)
    assert table.shape == (257, 3)
    assert tuple(table[0]) != tuple(table[255])
    assert colours.BAD not in [tuple(each) for each in table[:256].tolist()]
    np.testing.assert_array_equal(colours.colour_table(f"{name}_r")[:256], table[255::-1])


def test_colours_of_pixels():
    painted = colours.paint(np.array([[0, 0.5, 1, np.nan]]), colours.colour_table("gray"))
    np.testing.assert_array_equal(painted, [[[0] * 3, [128] * 3, [255] * 3, colours.BAD]])


def test_colours_of_matplotlib():
    pytest.importorskip("matplotlib")
    import matplotlib

    table = colours.colour_table("viridis")
    np.testing.assert_allclose(table[255] / 255, matplotlib.colormaps["viridis"](1.0)[:3], atol=0.002)
    with pytest.raises(StreamArgumentError, match=r"no colour map 'blu'.*gray"):
        colours.colour_table("blu")


def test_colours_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(LibraryMissingError, match=r"pymilk\[plot\]"):
        colours.colour_table("plasma")


# --- size and reduction --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "room", "tall", "drawn", "scale"),
    [
        ((10, 10), (44, 80), 1, (40, 40), 4.0),  # whole numbers
        ((100, 200), (50, 50), 1, (25, 50), 0.25),
        ((10, 10), (22, 80), 2, (20, 40), 4.0),  # letters are twice as high as wide
        ((100, 100), (22, 80), 2, (22, 44), 0.44),
        ((1, 1), (20, 30), 1, (20, 20), 20.0),
        ((3, 2000), (44, 80), 1, (1, 80), 0.04),
        ((2000, 3), (44, 80), 1, (44, 1), 0.022),
    ],
)
def test_fit_keeps_the_aspect_ratio(shape, room, tall, drawn, scale):
    window = fit(shape, room, tall=tall)
    assert (window.height, window.width) == drawn
    assert window.scale == pytest.approx(scale)
    assert (window.rows, window.columns) == (slice(0, shape[0]), slice(0, shape[1]))


def test_fit_zooms_into_a_part_and_stays_inside():
    window = fit((100, 100), (50, 50), zoom=4)
    assert window.scale == 2.0
    assert (window.rows, window.columns) == (slice(38, 63), slice(38, 63))  # 25 pixels around the middle
    corner = fit((100, 100), (50, 50), zoom=4, centre=(0, 99))
    assert (corner.rows, corner.columns) == (slice(0, 25), slice(75, 100))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["u2", "f4"])
def test_a_single_hot_pixel_is_seen_wherever_it_is(order, dtype):
    random = np.random.default_rng(2)
    for row, column in random.integers(0, 301, (20, 2)):
        image = np.zeros((301, 301), dtype, order=order)
        image[row, column] = 1000
        assert resample(image, 22, 40).max() == 1000
        assert resample(image, 22, 40, "mean").max() < 1000
        drawn = np.argwhere(resample(image, 22, 40))
        assert drawn.tolist() == [[row * 22 // 301, column * 40 // 301]] or len(drawn) == 1


def test_reductions_are_those_of_the_pixels_they_stand_for():
    image = np.random.default_rng(3).integers(0, 1000, (37, 53)).astype(np.uint16)
    rows, columns = np.arange(6) * 37 // 5, np.arange(8) * 53 // 7
    blocks = [[image[a:b, c:d] for c, d in itertools.pairwise(columns)]
              for a, b in itertools.pairwise(rows)]  # fmt: skip
    np.testing.assert_array_equal(resample(image, 5, 7), [[each.max() for each in line] for line in blocks])
    flat = resample(np.full((37, 53), 3.0), 5, 7, "mean")
    np.testing.assert_allclose(flat, 3.0)
    even = resample(np.arange(16.0).reshape(4, 4), 2, 2, "mean")
    np.testing.assert_allclose(even, [[2.5, 4.5], [10.5, 12.5]])
    near = resample(np.arange(16).reshape(4, 4), 2, 2, "nearest")
    np.testing.assert_array_equal(near, [[5, 7], [13, 15]])
    large = resample(np.array([[1, 2], [3, 4]]), 4, 2)
    np.testing.assert_array_equal(large, [[1, 2], [1, 2], [3, 4], [3, 4]])


@pytest.mark.parametrize("reduction", ["peak", "mean"])
def test_pixels_that_are_nan_give_way(reduction):
    image = np.ones((8, 8))
    image[0, 0] = image[4:, 4:] = np.nan
    drawn = resample(image, 2, 2, reduction)
    np.testing.assert_array_equal(drawn, [[1, 1], [1, np.nan]])


# --- text ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("height", [4, 5])
@pytest.mark.parametrize("true_colour", [True, False])
def test_half_blocks_show_every_pixel(height, true_colour):
    random = np.random.default_rng(4)
    rgb = random.choice(np.array([0, 95, 135, 255], np.uint8), (height, 9, 3))
    rgb[1, 2:5] = rgb[0, 2:5]
    lines = half_blocks(rgb, true_colour=true_colour)
    assert len(lines) == (height + 1) // 2
    pixels = on_screen(lines, 9).pixels()
    np.testing.assert_array_equal(pixels[:height], rgb)
    assert (pixels[height:] == -1).all()


def test_colours_of_256_are_the_nearest_ones():
    rgb = np.random.default_rng(5).integers(0, 256, (200, 3)).astype(np.uint8)
    palette = np.array([colour_256(code) for code in range(16, 256)])
    best = ((palette[None] - rgb[:, None].astype(int)) ** 2).sum(axis=2).min(axis=1)
    chosen = np.array([colour_256(code) for code in of_256(rgb).tolist()])
    off = ((chosen - rgb.astype(int)) ** 2).sum(axis=1)
    np.testing.assert_array_equal(off, best)


def test_letters_have_more_ink_where_it_is_bright():
    assert letters(np.array([[0, 0.5, 0.99, 1, np.nan]])) == [" +@@?"]


# --- curves --------------------------------------------------------------------------------------


def test_curve_is_joined_and_keeps_spikes():
    ramp = dots(np.array([0, 1 / 3, 2 / 3, 1]), 4, 4)
    assert ramp.sum() == 4
    assert [ramp[3 - at, at] for at in range(4)] == [True] * 4
    parts = np.zeros(1000)
    parts[617] = 1
    spike = dots(parts, 8, 40)
    assert np.flatnonzero(spike[0]).tolist() == [617 * 40 // 1000]
    assert spike[:, 617 * 40 // 1000].all()  # and joined to what is beside it
    assert spike[-1].all()


def test_curve_has_gaps_where_there_is_no_number():
    raster = dots(np.array([0.5, np.nan, 0.5]), 3, 3)
    np.testing.assert_array_equal(raster, [[False] * 3, [True, False, True], [False] * 3])


def test_braille_and_stars():
    raster = np.zeros((4, 4), bool)
    raster[0, 0] = raster[3, 3] = True
    assert braille(raster) == ["\u2801\u2880"]
    assert stars(raster[:, :2]) == ["* ", "  ", "  ", "  "]


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
    assert not display.press("x")


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


# --- frames of a stream --------------------------------------------------------------------------


def test_feed_counts_what_it_did_not_take(make_stream):
    stream = make_stream("cam", (3, 4), "u2")
    with Feed("cam") as feed:
        assert feed.look()
        assert feed.take().sum() == 0
        assert not feed.look()
        for value in (1, 2, 3):
            stream.publish(np.full((3, 4), value, "u2"))
        assert feed.look()
        np.testing.assert_array_equal(feed.take(), np.full((3, 4), 3))
        assert (feed.counter, feed.lost, feed.torn, feed.trouble) == (3, 2, False, "")
        assert feed.written_ns == stream.write_time_ns
        assert [int(pid) for pid in stream.section("sem_read_pid") if pid > 0] == []


def test_feed_measures_the_rate(make_stream):
    stream = make_stream("cam", (2, 2), "u1")
    with Feed("cam") as feed:
        assert feed.rate is None
        feed.look()
        stream.publish(np.zeros((2, 2), "u1"))
        feed.look()
        assert feed.rate > 0


def test_feed_follows_deleted_and_recreated_streams(make_stream):
    stream = make_stream("cam", (3, 4), "u2")
    stream.publish(np.full((3, 4), 5, "u2"))
    with Feed("cam") as feed:
        feed.take()
        stream.destroy()
        feed.look()
        assert "deleted" in feed.trouble
        np.testing.assert_array_equal(feed.take(), np.full((3, 4), 5))
        other = make_stream("cam", (2, 5), "f4")
        other.publish(np.ones((2, 5), "f4"))
        assert feed.look()
        assert "recreated as 2x5 float32" in feed.trouble
        assert "deleted" not in feed.trouble
        np.testing.assert_array_equal(feed.take(), np.ones((2, 5)))
        assert (feed.shape, feed.dtype, feed.counter, feed.lost) == ((2, 5), np.float32, 1, 0)


def test_feed_goes_on_beside_a_new_file_that_is_no_stream(make_stream, shm_dir):
    stream = make_stream("cam", (3, 4), "u2")
    with Feed("cam") as feed:
        feed.take()
        stream.destroy()
        (shm_dir / "cam.im.shm").write_bytes(b"x" * 5000)
        for _ in range(2):
            feed.look()
            assert "there is a new file, but" in feed.trouble
        assert feed.take().shape == (3, 4)


def test_feed_goes_on_when_the_file_is_cut_and_made_anew_in_place(make_stream):
    stream = make_stream("cam", (64, 64), "u2")
    stream.publish(np.ones((64, 64), "u2"))
    with Feed("cam") as feed:
        assert feed.look()
        feed.take()
        with open(stream.path, "rb") as file:
            content = file.read()
        os.truncate(stream.path, 0)
        for _ in range(2):
            assert not feed.look()
            assert "cut or overwritten" in feed.trouble
            with pytest.raises(StreamDamagedError):
                feed.take()
        with open(stream.path, "r+b") as file:  # the same file, as some programs do it
            file.write(content)
        assert feed.look()
        assert "cut" not in feed.trouble
        assert feed.take().all()


def test_feed_says_that_the_writer_is_dead(spawn):
    code = "import sys, numpy as np\nfrom pymilk import Stream\ns = Stream.create('cam', (2, 2), 'u1')\n"
    writer = spawn(code + "s.publish(np.ones((2, 2), 'u1')); print('ready', flush=True); sys.stdin.read()")
    writer.expect("ready")
    with Feed("cam") as feed:
        feed.look()
        assert feed.trouble == ""
        writer.kill()
        feed._next_writer = 0.0  # a second has passed
        feed.look()
        assert feed.trouble == f"the writer, process {writer.pid}, is dead"


def test_feed_of_a_cube_takes_the_slice_written_last(make_stream):
    stream = make_stream("cube", (4, 2, 3), "u2")
    cube = np.arange(24, dtype="u2").reshape(4, 2, 3)
    stream.publish(cube)
    stream.cnt1 = 2
    with Feed("cube") as feed:
        np.testing.assert_array_equal(feed.take(), cube[2])
        assert (feed.slices, feed.slice, feed.torn, feed.counter) == (4, 2, False, 1)
        np.testing.assert_array_equal(feed.take(3), cube[3])
        with pytest.raises(StreamArgumentError, match="slices 0 to 3, no slice 4"):
            feed.take(4)


def test_feed_of_a_temporal_ring(make):
    shm = make("ring", ((2, 3), np.uint16), ring=5, ring_kind="temporal")
    for value in range(1, 4):
        shm.set_data(np.full((2, 3), value, np.uint16))
    with Feed("ring") as feed:
        np.testing.assert_array_equal(feed.take(), np.full((2, 3), 3))
        newest = feed.slice
        np.testing.assert_array_equal(feed.take(newest - 1), np.full((2, 3), 2))
        assert (feed.slices, feed.torn) == (5, False)


@pytest.mark.parametrize(
    ("shape", "taken"), [((1, 1), (1, 1)), ((1, 7), (7,)), ((7, 1), (7,)), ((1, 3, 4), (3, 4)), ((5,), (5,))]
)
def test_feed_drops_axes_of_length_one(make_stream, shape, taken):
    make_stream("cam", shape, "f4")
    with Feed("cam") as feed:
        assert feed.take().shape == taken
        assert feed.slices == 0
        with pytest.raises(StreamArgumentError, match="no slice 1"):
            feed.take(1)


def test_feed_of_no_stream_and_of_a_gpu(make_stream):
    with pytest.raises(FileNotFoundError):
        Feed("nothing")
    make_stream("gpu", (3, 4), "f4", location=0)
    with pytest.raises(StreamError, match="GPU"):
        Feed("gpu")


# --- darks ---------------------------------------------------------------------------------------


def test_darks_of_streams_and_files(make, tmp_path):
    dark = letter_f()
    make("dark", dark)
    np.testing.assert_array_equal(load_dark("dark"), dark)
    np.save(tmp_path / "d.npy", dark)
    np.testing.assert_array_equal(load_dark(str(tmp_path / "d.npy")), dark)
    np.save(tmp_path / "cube.npy", np.stack([dark, 3 * dark]))
    np.testing.assert_array_equal(load_dark(str(tmp_path / "cube.npy")), 2 * dark)


def test_darks_of_fits_files(make, tmp_path):
    pytest.importorskip("astropy", reason="extra fits")
    from pymilk.fits import multi_write

    dark = letter_f()
    make("dark", dark).save_as_fits(str(tmp_path / "d.fits"))
    np.testing.assert_array_equal(load_dark(str(tmp_path / "d.fits")), dark)
    cube = np.stack([dark, 3 * dark])
    multi_write(tmp_path / "cube.fits", cube, tri_dim=3, upright=True)
    np.testing.assert_array_equal(load_dark(str(tmp_path / "cube.fits")), 2 * dark)


@pytest.mark.parametrize("suffix", LIBRARIES)
@pytest.mark.parametrize("symcode", [4, 1])
def test_darks_of_recordings(tmp_path, suffix, symcode):
    pytest.importorskip(LIBRARIES[suffix])
    info = np.zeros(3, FRAME_ROW)
    info["arrival_ns"] = 1 + np.arange(3)
    turn = Orientation(letter_f().shape, symcode)
    frames = np.stack([k * turn.view(letter_f()) for k in (1, 2, 6)])
    path = tmp_path / f"dark.{suffix}"
    save(finished_capture("cam", 3, frames, info, turn, 1.0), path)
    np.testing.assert_allclose(load_dark(str(path)), 3 * letter_f())


def test_darks_that_are_none(tmp_path):
    np.save(tmp_path / "four.npy", np.zeros((2, 2, 2, 2)))
    (tmp_path / "text.npy").write_text("hello")
    for name, words in (("four.npy", "no dark frame"), ("text.npy", "cannot be read")):
        with pytest.raises(StreamArgumentError, match=words):
            load_dark(str(tmp_path / name))
    with pytest.raises(FileNotFoundError, match="no dark frame"):
        load_dark(str(tmp_path / "none.npy"))
    with pytest.raises(FileNotFoundError):
        load_dark("no_such_stream")


def test_the_stream_is_attached_read_only(make_stream):
    stream = make_stream("cam", (2, 2), "u1")
    with Feed("cam") as feed:
        assert not feed._stream.writable
    assert isinstance(stream, Stream)


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "u1", "u8", "f4"])
def test_percentiles_over_the_whole_range_of_a_type(dtype):
    """Differences of the extremes do not fit into a signed type."""
    kind = np.dtype(dtype)
    low, high = (-100.0, 100.0) if kind.kind == "f" else (np.iinfo(kind).min, np.iinfo(kind).max)
    image = np.array([[low, high], [0, 1]], kind)
    found = span(image, 99)
    expected = np.percentile(image.astype(float), [0.5, 99.5])
    np.testing.assert_allclose(found, expected)
    assert float(low) <= found[0] < found[1] <= float(high)


def test_a_picture_has_a_largest_size():
    display = Display()
    display.show(np.eye(4))
    with pytest.raises(StreamArgumentError, match="million"):
        display.picture((10**6, 10**6))
    display.curve = True
    with pytest.raises(StreamArgumentError, match="million"):
        display.picture((10**6, 10**6))


def test_a_recording_of_cubes_is_no_dark(make, tmp_path):
    shm = make("cam", ((3, 4, 2), np.uint16), ring=8)
    with pymilk.Recorder("cam", tmp_path / "cube.npy", frames=2) as recorder:
        shm.set_many(np.zeros((2, 3, 4, 2), np.uint16))
        recorder.wait(60)
    with pytest.raises(StreamArgumentError, match="its frames are cubes"):
        load_dark(str(tmp_path / "cube.npy"))
