"""What is told of a frame: value under a cursor, spread, saturated pixels, histogram, scale, caption."""

from __future__ import annotations

import numpy as np
import pytest

from pymilk.view import Display
from pymilk.view.caption import captioned
from pymilk.view.colours import colour_table
from pymilk.view.histogram import bars
from pymilk.view.levels import summary
from support.screen import letter_f, on_screen

CURSOR = (0, 255, 60)


def shown(frame: np.ndarray, **choices: object) -> Display:
    display = Display(**choices)  # type: ignore[arg-type]
    display.show(frame)
    return display


# --- spread and saturation ------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["u2", "i4", "f4", "f8"])
@pytest.mark.parametrize("shape", [(7,), (300, 500), (1, 200_001)])
def test_spread_is_that_of_numpy(dtype: str, shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(1).integers(1000, 1020, shape).astype(dtype)
    wanted = image.astype(np.float64).std()
    assert summary(image)["std"] == pytest.approx(wanted, rel=1e-9)
    if image.ndim == 2:
        assert summary(image.T[::-1])["std"] == pytest.approx(wanted, rel=1e-9)


def test_spread_of_pixels_that_are_not_finite() -> None:
    assert summary(np.array([1.0, np.nan, 3.0, np.inf]))["std"] == 1.0
    assert summary(np.full(3, np.nan))["std"] is None
    assert summary(np.array([1e308, -1e308]))["std"] is None


def test_saturated_pixels() -> None:
    frame = np.array([[65535, 3], [65535, 65534]], "u2")
    assert shown(frame).statistics()["saturated"] == 2
    assert "2 saturated" in shown(frame).describe()
    assert shown(frame, saturation=65534).statistics()["saturated"] == 3
    assert shown(frame, saturation=1e9).statistics()["saturated"] == 0
    # Before the dark is subtracted.
    assert shown(frame, dark=frame).statistics()["saturated"] == 2
    assert shown(frame, row=0).statistics()["saturated"] == 1
    assert shown(np.array([[-128, 127]], "i1")).statistics()["saturated"] == 1
    floats = frame.astype("f4")
    assert shown(floats).statistics()["saturated"] is None
    assert "saturated" not in shown(floats).describe()
    assert shown(floats, saturation=60000.0).statistics()["saturated"] == 3
    assert shown(np.array([[3 + 4j, 1j]], "c8"), saturation=5.0).statistics()["saturated"] == 1


# --- cursor ---------------------------------------------------------------------------------------


def test_cursor_tells_the_value() -> None:
    frame = np.arange(48, dtype="u2").reshape(6, 8)
    display = shown(frame)
    assert display.statistics()["cursor"] is None
    display.text(12, 32)
    assert display.press("x")
    told = display.statistics()
    assert (told["cursor"], told["value"]) == ([3, 4], frame[3, 4])
    assert display.describe().startswith("[3, 4] = 28  levels")
    for keys, at in (("up", (4, 4)), ("right", (4, 5)), ("down", (3, 5)), ("left", (3, 4)),
                     ("pageup", (5, 4)), ("pagedown", (0, 4)), ("home", (0, 0)),
                     ("end", (0, 7))):  # fmt: skip
        assert display.press(keys)
        assert (display.cursor, display.value()) == (at, frame[at])
    display.press("x")
    assert display.cursor is None
    assert display.value() is None


def test_cursor_is_drawn_where_it_is() -> None:
    display = shown(letter_f())
    screen = on_screen(display.text(8, 12), 12)
    display.press("x")
    assert display.cursor == (4, 3)
    # Row 0 is at the bottom: each pixel is 2 x 2, from the sixth line of half cells on.
    drawn = on_screen(display.text(8, 12), 12).pixels()
    changed = np.argwhere((drawn != screen.pixels()).any(axis=2))
    assert changed.tolist() == [[6, 6], [6, 7], [7, 6], [7, 7]]
    assert {tuple(drawn[tuple(at)]) for at in changed} == {CURSOR}
    letters = display.text(8, 12, "ascii")
    assert [(line, text.index("X")) for line, text in enumerate(letters) if "X" in text] == [(3, 6)]
    # A large pixel keeps its colour within.
    display.press("x")
    display.text(24, 36)
    display.press("x")
    drawn = on_screen(display.text(24, 36), 36).pixels()
    assert (drawn == CURSOR).all(axis=2).sum() == 20


def test_what_is_in_sight_follows_the_cursor() -> None:
    display = shown(np.arange(64 * 64, dtype="u2").reshape(64, 64), zoom=8.0)
    display.text(8, 16)
    display.press("x")
    for _ in range(40):
        display.press("right")
        display.text(8, 16)
    assert display.cursor is not None
    assert display.cursor[1] == 63
    rows, columns = display.statistics()["rows"], display.statistics()["columns"]
    assert columns[1] == 64
    assert rows[0] <= display.cursor[0] < rows[1]


def test_cursor_of_a_curve_and_of_a_frame_with_another_shape() -> None:
    display = shown(np.arange(64, dtype="f4"))
    before = display.text(8, 60)
    display.press("x")
    assert (display.statistics()["cursor"], display.value()) == ([32], 32.0)
    assert display.text(8, 60) != before
    display.press("right")
    assert display.value() == pytest.approx(33.0, abs=1)
    display.show(np.arange(5, dtype="f4"))
    assert (display.statistics()["cursor"], display.value()) == ([4], 4.0)
    display.show(np.full((3, 3), np.nan))
    assert "= not finite" in display.describe()


# --- histogram ------------------------------------------------------------------------------------


def test_bars() -> None:
    values = np.array([0, 0, 0, 1, 3], "u1")
    raster, most = bars(values, (0.0, 3.0), 8, 8)
    assert most == 3
    assert raster.sum(axis=0).tolist() == [8, 8, 4, 4, 0, 0, 4, 4]
    assert raster[-1].tolist() == [True] * 4 + [False] * 2 + [True] * 2
    raster, most = bars(np.array([0.5, np.nan, 7.0]), (0.0, 1.0), 3, 4)
    assert (most, raster.sum(axis=0).tolist()) == (1, [0, 0, 3, 0])
    raster, most = bars(np.full(9, 2.5), (2.5, 2.5), 4, 5)
    assert (most, raster.sum(axis=0).tolist()) == (9, [0, 0, 4, 0, 0])
    assert bars(np.full(2, np.nan), None, 3, 4)[1] == 0
    raster, most = bars(np.arange(10_000, dtype="u2"), (0.0, 9999.0), 5, 10)
    assert most == 1000
    assert raster.all()


def test_histogram_as_text_and_picture() -> None:
    display = shown(np.array([[0, 0], [0, 9]], "u2"))
    display.press("h")
    for mode in ("true", "ascii"):
        drawn = display.text(6, 40, mode)
        assert [len(line) for line in drawn] == [40] * 6
        assert drawn[-1].split() == ["0", "highest", "bar", "3", "pixels", "9"]
    assert [line[0] + line[20] + line[-1] for line in display.text(6, 40, "ascii")[:5]] == [
        "*  ", "*  ", "* *", "* *", "* *"]  # fmt: skip
    assert display.picture().shape == (320, 640, 3)
    display.press("h")
    assert display.text(6, 40, "ascii")[-1].split() != drawn[-1].split()


# --- scale and caption ----------------------------------------------------------------------------


def test_scale_and_caption() -> None:
    pytest.importorskip("PIL")
    table = colour_table("heat")
    rgb = np.full((64, 40, 3), 7, np.uint8)
    made = captioned(rgb, table, (2.0, 5.0), ["a line", "word " * 30])
    np.testing.assert_array_equal(made[:64, :40], rgb)
    np.testing.assert_array_equal(made[0, 44:58], np.repeat(table[255:256], 14, axis=0))
    np.testing.assert_array_equal(made[63, 44:58], np.repeat(table[0:1], 14, axis=0))
    assert made[0:14, 62:].any()  # the numbers beside it
    assert made[52:66, 62:].any()
    assert made[68:].any()
    assert made.shape[1] == 320
    assert made.shape[0] == 64 + 8 + 14 * 4  # the second line is wrapped
    assert captioned(rgb, table, None, []).shape == (72, 320, 3)


def test_captioned_frame() -> None:
    pytest.importorskip("PIL")
    display = shown(letter_f())
    bare = display.picture((16, 12))
    made = display.captioned(["cam"], (16, 12))
    np.testing.assert_array_equal(made[:16, :12], bare)
    assert made.shape == (28 + 8 + 14, 320, 3)
    display.press("h")
    assert display.captioned(["cam"]).shape == (320 + 8 + 14, 640, 3)
