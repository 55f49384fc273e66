"""Cubes: which slice is seen is said, and chosen."""

from __future__ import annotations

from typing import Any

import numpy as np

from pymilk import SHM
from support.browsing import Browser, Look, looking
from support.measuring import hover, settings_of

CUBE = np.arange(3, dtype="u2")[:, None, None] * 100 + np.arange(4 * 6, dtype="u2").reshape(1, 4, 6)
#: As `SHM` has its axes.
TURNED = CUBE.transpose(1, 2, 0)


def lower_left(look: Look) -> None:
    hover(look, (4, 6), 0, 0)


def says(look: Look, value: int) -> None:
    look.until(f"document.querySelector('.pointer').textContent.endsWith(': {value}')")


def test_a_slice_is_chosen(browser: Browser, shm_dir: Any) -> None:
    with SHM("cube", TURNED) as cube, looking(browser, "cube") as look:
        lower_left(look)
        field = look.page.locator("input[title^='Slice of a cube']")
        assert field.is_visible()
        for slice_, value in (("2", 200), ("0", 0), ("1", 100)):
            field.fill(slice_)
            field.press("Enter")
            says(look, value)
            look.until(f"{look.of('.account')}.textContent.includes('slice {slice_} of 0 to 2')")
            assert settings_of(look)["slice"] == slice_
        for key, value in (("]", 200), ("]", 0), ("[", 200)):
            look.press(key)
            says(look, value)
        field.fill("3")
        field.press("Enter")
        trouble = "document.querySelector('.trouble').textContent"
        look.until(f"{trouble}.includes('a slice is a number from 0 to 2')")
        assert settings_of(look)["slice"] == "2"
        field.fill("")
        field.press("Enter")
        look.until("!location.hash.includes('slice')")
        assert "a slice is" not in look.page.inner_text(".trouble")
        cube.set_data(TURNED + 1)
        look.shows(2)


def test_a_mean_is_of_one_slice(browser: Browser, shm_dir: Any) -> None:
    """That which is chosen; the mean went on over those of before."""
    with SHM("cube", TURNED) as cube, looking(browser, "cube", ",slice:2,mean:3") as look:
        lower_left(look)
        look.says(".pointer", "x 0, y 0: 200 (mean of 1)")
        cube.set_data(TURNED + 10)
        look.says(".pointer", "x 0, y 0: 205 (mean of 2)")
        look.press("]")
        look.says(".pointer", "x 0, y 0: 10 (mean of 1)")
        cube.set_data(TURNED + 20)
        look.says(".pointer", "x 0, y 0: 15 (mean of 2)")


def test_a_stream_that_is_a_cube_no_longer(browser: Browser, shm_dir: Any) -> None:
    """The view says so, and goes on when the slice is taken away; images have no field for slices."""
    with SHM("cube", TURNED) as cube, looking(browser, "cube", ",slice:2") as look:
        lower_left(look)
        says(look, 200)
        cube.destroy()
        with SHM("cube", CUBE[0] + 7):
            look.until("document.querySelector('.trouble').textContent.includes('no slice 2')")
            field = look.page.locator("input[title^='Slice of a cube']")
            field.fill("")
            field.press("Enter")
            says(look, 7)
            assert not field.is_visible()
