"""What stands still while a view is frozen; darks that do not fit; and regions that reach far out."""

from __future__ import annotations

from typing import Any

import numpy as np

from pymilk import SHM
from support.browsing import Browser, looking
from support.measuring import hover, measures

SHAPE = (4, 6)
IMAGE = np.arange(4 * 6, dtype="u2").reshape(SHAPE)


def test_a_difference_to_another_stream_is_frozen_too(browser: Browser, shm_dir: Any) -> None:
    settings = ",second:other,act:difference"
    with SHM("cam", IMAGE + 50), SHM("other", IMAGE) as other, looking(browser, "cam", settings) as look:
        hover(look, SHAPE, 0, 0)
        seen = "document.querySelector('.pointer').textContent"
        look.until(f"{seen}.startsWith('x 0, y 0: 50 (minus other (frame 1)')")
        look.press("x")
        for number in range(1, 4):
            other.set_data(IMAGE + number)
            look.page.wait_for_timeout(30)
        look.press("+")  # also when it is painted again
        look.press("-")
        look.painted()
        assert "minus other (frame 1)" in look.page.inner_text(".trouble")
        look.press("x")
        look.until("document.querySelector('.trouble').textContent.includes('minus other (frame 4)')")
        hover(look, SHAPE, 0, 0)
        look.until(f"{seen}.startsWith('x 0, y 0: 47 ')")


def test_a_dark_is_said_and_where_it_does_not_fit(browser: Browser, shm_dir: Any) -> None:
    cam = SHM("cam", IMAGE)
    with looking(browser, "cam") as look:
        trouble = "document.querySelector('.trouble').textContent"
        look.press("D")
        # Before it may stand for how many seconds there was no frame.
        look.until(f"/^(no frame for [0-9]+ s; )?minus dark of 1 frames$/.test({trouble})")
        cam.destroy()
        with SHM("cam", np.zeros((3, 5), "f4")):
            look.until(f"{trouble}.includes('the dark of 1 frames is of other frames')")
            look.press("D")
            look.until(f"!{trouble}.includes('dark')")


def test_no_dark_of_frames_of_two_sizes(browser: Browser, shm_dir: Any) -> None:
    cam = SHM("cam", IMAGE)
    with looking(browser, "cam") as look:
        look.page.click("summary")
        look.page.fill("input[title='Frames of the dark']", "9")
        look.page.click("text=Take")
        cam.destroy()
        with SHM("cam", np.zeros((3, 5), "u2")):
            look.until("document.querySelector('.trouble').textContent.includes('another size now')")


FAR = "line -1e12 2.5 1e12 2.5;line 2.5 -9e11 2.5 8e11;circle 3 2 1e11;box 3 2 1e12 1e12"


def test_regions_that_reach_far_out(browser: Browser, shm_dir: Any) -> None:
    """A line of 10^12 pixels, of which six are on the image, was gone along pixel by pixel."""
    with SHM("cam", IMAGE), looking(browser, "cam", f",tool:statistics,regions:{FAR}") as look:
        for row, part in enumerate((IMAGE[2], IMAGE[:, 2], IMAGE, IMAGE)):
            measures(look, row, part)


def test_regions_farther_out_are_none(browser: Browser, shm_dir: Any) -> None:
    with SHM("cam", IMAGE), looking(browser, "cam", ",tool:statistics,regions:line -1e300 0 1e300 3") as look:
        assert look.page.evaluate("document.querySelector('.regions').rows.length") == 1


def test_lines_take_the_pixels_that_they_took(browser: Browser, shm_dir: Any) -> None:
    """Those that end outside as well: every step along the longer side, and only those on the image."""
    lines = np.random.default_rng(3).integers(-9, 12, (60, 4)) + 0.5
    wanted = [along(*line) for line in lines.tolist()]
    with SHM("cam", IMAGE), looking(browser, "cam") as look:
        found = look.page.evaluate(
            "(lines) => import('./regions.js').then(({ eachPixel }) => lines.map((numbers) => {"
            " const places = [];"
            " eachPixel({ shape: 'line', numbers }, [4, 6], (...place) => places.push(place));"
            " return places; }))",
            lines.tolist(),
        )
        assert found == wanted


def along(x1: float, y1: float, x2: float, y2: float) -> list[list[int]]:
    x1, y1, x2, y2 = (int(np.floor(each)) for each in (x1, y1, x2, y2))
    steps = max(abs(x2 - x1), abs(y2 - y1))
    places = []
    for step in range(steps + 1):
        column = int(np.floor(x1 + 0.5 + (x2 - x1) * step / (steps or 1)))
        row = int(np.floor(y1 + 0.5 + (y2 - y1) * step / (steps or 1)))
        if 0 <= column < 6 and 0 <= row < 4:
            places.append([column, row])
    return places
