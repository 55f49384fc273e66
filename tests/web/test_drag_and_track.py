"""Regions that are dragged, histories and their spectra, and the theme."""

from __future__ import annotations

import math
import urllib.parse
from typing import Any

import numpy as np
import pytest

from pymilk import SHM
from support.browsing import Browser, Look, looking
from support.measuring import hover, measures, settings_of
from support.waiting import becomes

SHAPE = (30, 40)


def drag(look: Look, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag from one place of the image to another; (0, 0) is the lower left corner of pixel (0, 0)."""
    hover(look, SHAPE, start[0] - 0.5, start[1] - 0.5)
    look.page.mouse.down()
    hover(look, SHAPE, end[0] - 0.5, end[1] - 0.5)
    look.page.mouse.up()


def near(*numbers: float) -> Any:
    """Return numbers that are as exact as a pointer is: a screen pixel or two."""
    return pytest.approx(list(numbers), abs=0.15)


def regions_of(look: Look) -> list[list[float]]:
    return [[float(word) for word in each.split()[1:]] for each in settings_of(look)["regions"].split(";")]


def test_regions_are_moved_and_sized_by_dragging(browser: Browser, shm_dir: Any) -> None:
    image = np.random.default_rng(8).integers(0, 60000, SHAPE, "u2")
    regions = "box 8 8 6 4;circle 28 10 4;line 6 22 16 26"
    with SHM("cam", image), looking(browser, "cam", f",tool:statistics,regions:{regions}") as look:
        drag(look, (8.5, 8.5), (10.7, 7.4))  # the box, by its inside: by whole pixels
        becomes(lambda: regions_of(look)[0], [10, 7, 6, 4])
        measures(look, 0, image[5:9, 7:13])
        drag(look, (13, 9), (15.2, 12.1))  # by a corner
        becomes(lambda: regions_of(look)[0], [11, 8.5, 8, 7])
        drag(look, (7, 8), (20, 8))  # by its left side, past the right one: a pixel is left
        becomes(lambda: regions_of(look)[0], [14.5, 8.5, 1, 7])
        drag(look, (29, 11), (27, 14))
        becomes(lambda: regions_of(look)[1], near(26, 13, 4))
        drag(look, (30, 13), (32.5, 13))  # by its rim
        becomes(lambda: regions_of(look)[1], near(26, 13, 6.5))
        drag(look, (11, 24), (12, 23))
        becomes(lambda: regions_of(look)[2], near(7, 21, 17, 25))
        drag(look, (17, 25), (20, 20))  # by an end
        becomes(lambda: regions_of(look)[2], near(7, 21, 20, 20))
        choose = look.page.locator(".regions tr").nth(3).locator("button").first
        assert choose.get_attribute("aria-pressed") == "true"
        before = regions_of(look)
        # Elsewhere the image is moved; and where a drag draws, regions stay.
        drag(look, (37, 27), (36, 26))
        look.press("f", "b")
        drag(look, (25.3, 12.3), (26.7, 13.7))
        becomes(lambda: regions_of(look), [*before, [26, 13, 2, 2]])


def test_regions_are_moved_and_sized_by_keys(browser: Browser, shm_dir: Any) -> None:
    image = np.zeros(SHAPE, "u1")
    regions = "box 8 8 6 4;circle 28 10 4;line 6 22 16 26"
    with SHM("cam", image), looking(browser, "cam", f",tool:statistics,regions:{regions}") as look:
        for row in range(3):
            look.page.locator(".regions tr").nth(row + 1).locator("button").first.focus()
            for key in ("ArrowRight", "ArrowRight", "ArrowDown", "Shift+ArrowRight", "Shift+ArrowUp"):
                look.page.keyboard.press(key)  # the button that was made anew has the focus
        becomes(lambda: regions_of(look), [[10.5, 7.5, 7, 5], [30, 9, 6], [8, 21, 19, 26]])
        look.press("o")  # turned by 90 degrees: up on the screen is another direction of the image
        look.page.locator(".regions tr").nth(2).locator("button").first.press("ArrowUp")
        becomes(lambda: regions_of(look)[1], [29, 9, 6])


def test_history_of_a_statistic_and_its_spectrum(browser: Browser, shm_dir: Any) -> None:
    wave = {k: round(1000 + 200 * math.sin(2 * math.pi * k / 8)) for k in range(1, 34)}

    def image(k: int) -> np.ndarray:
        made = np.zeros((6, 8), "u2")
        made[1:4, 2:6] = wave[k]
        made[2, 4] += 7
        return made

    settings = ",tool:history,stat:mean,regions:box 4 2.5 4 3"
    with SHM("cam", image(1)) as cam, looking(browser, "cam", settings) as look:
        report = "document.querySelector('.report').textContent"
        for k in range(2, 34):
            cam.set_data(image(k))
            if k % 3 or k == 33:
                look.shows(k)
        told = look.page.evaluate("({...document.querySelector('.view').dataset})")
        shown, skipped = int(told["shown"]), int(told["skipped"])
        assert shown + skipped == 33
        mean = f"{image(33)[1:4, 2:6].mean():.6g}"
        look.until(f"{report}.startsWith('mean of region 1 of the last {shown} frames shown, now {mean};')")
        look.press("Y")
        start = f"spectrum of mean of region 1 of the last {shown} frames shown, from 0 to"
        look.until(f"{report}.startsWith('{start}')")
        said = look.page.evaluate(report)
        assert (f"; {skipped} skipped between them" in said) == (skipped > 0)
        look.choose("History of", "value")
        look.until(f"{report}.includes('A spectrum needs four frames')")
        cam.set_data(image(1))
        look.press("y")
        look.until(
            f"{report}.startsWith('pixel in the middle of region 1 of the last 1 frames shown, "
            f"now {wave[1] + 7};')"
        )


def test_spectrum_of_a_history_is_that_of_numpy(browser: Browser, shm_dir: Any) -> None:
    generator = np.random.default_rng(9)
    counters = np.cumsum(generator.integers(1, 4, 200))
    values = generator.normal(3, 1, 200)
    even = np.interp(np.linspace(counters[0], counters[-1], 200), counters, values)
    amplitudes = 2 * np.abs(np.fft.rfft(even - even.mean())) / 200
    amplitudes[-1] /= 2
    span = counters[-1] - counters[0]
    with SHM("cam", np.zeros((2, 2), "u1")), looking(browser, "cam") as look:
        found = look.page.evaluate(
            "([values, counters, rate]) => import('./history.js').then(({ History }) => {"
            " const history = new History();"
            " values.forEach((value, k) => history.add(value, counters[k], rate && counters[k] / rate));"
            " const { values: found, ...rest } = history.spectrum();"
            " return { ...rest, values: [...found] }; })",
            [values.tolist(), counters.tolist(), 500],
        )
        assert found["values"] == pytest.approx(amplitudes, abs=1e-12)
        assert (found["count"], found["skipped"], found["unit"]) == (200, span + 1 - 200, "Hz")
        assert found["step"] == pytest.approx(500 / (span * 200 / 199))


def theme_of(look: Look) -> list[str] | None:
    """Return the theme that the address has; `page.url` hears of it later."""
    return urllib.parse.parse_qs(look.page.evaluate("location.hash.slice(1)")).get("theme")


def test_the_theme_is_chosen_and_kept(browser: Browser, shm_dir: Any) -> None:
    colours = (
        "(({ backgroundColor, colorScheme }) => [backgroundColor, colorScheme])"
        "(getComputedStyle(document.body))"
    )
    with SHM("cam", np.zeros((2, 2), "u1")), looking(browser, "cam") as look:
        light, scheme = look.page.evaluate(colours)
        assert scheme == "light dark"
        look.page.get_by_label("Theme").select_option("dark")
        dark, scheme = look.page.evaluate(colours)
        assert (dark != light, scheme) == (True, "dark")
        assert theme_of(look) == ["dark"]
        look.page.reload()
        look.until("Number(document.querySelector('.view')?.dataset.shown) > 0")
        assert look.page.evaluate(colours) == [dark, "dark"]
        look.page.emulate_media(color_scheme="dark")
        try:
            look.page.get_by_label("Theme").select_option("light")
            assert look.page.evaluate(colours) == [light, "light"]
            look.page.get_by_label("Theme").select_option("system")
            assert look.page.evaluate(colours) == [dark, "light dark"]
            assert theme_of(look) is None
        finally:
            look.page.emulate_media(color_scheme="light")
