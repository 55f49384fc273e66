"""Pictures of frames, without a terminal: levels, colours, sizes, text, curves."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest

from pymilk.errors import LibraryMissingError, StreamArgumentError
from pymilk.view import colours
from pymilk.view.blocks import half_blocks, letters, of_256
from pymilk.view.curve import braille, dots, stars
from pymilk.view.levels import fractions, real_values, span, summary
from pymilk.view.picture import fit, resample
from support.screen import colour_256, on_screen

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
    assert summary(nothing) == {
        **dict.fromkeys(("min", "max", "mean", "std", "peak")),
        "not_finite": 4,
    }
    some = np.array([[np.nan, 1.0], [-np.inf, 3.0]])
    assert span(some) == (1.0, 3.0)
    assert summary(some) == {"min": 1.0, "max": 3.0, "mean": 2.0, "std": 1.0, "peak": [1, 1], "not_finite": 2}


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
    with pytest.raises(LibraryMissingError, match="pip install matplotlib"):
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
