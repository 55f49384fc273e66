"""What the graphics card makes of hard values: large integers, wide and narrow spans, rare ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pymilk import SHM
from support.browsing import Browser, Look, looking, place
from support.measuring import settings_of
from support.waiting import becomes

SHAPE = (4, 8)
PLACES = [(x, y) for y in range(SHAPE[0]) for x in range(SHAPE[1])]


def greys(look: Look) -> list[int]:
    """Return the level of each pixel of an image of `SHAPE`, in its order."""
    found = look.pixels([place(look.size(), SHAPE, x, y) for x, y in PLACES])
    assert all(red == green == blue for red, green, blue in found)
    return [red for red, _, _ in found]


STEPS = 8 * np.arange(32).reshape(SHAPE)


@pytest.mark.parametrize(
    ("dtype", "low"),
    [
        ("u4", 2**32 - 256),
        ("u4", 2**31 - 100),
        ("i4", -(2**31)),
        ("i4", 2**31 - 256),
        ("i4", -100),
        ("u2", 65280),
    ],
)
def test_integers_of_32_bits_are_exact(browser: Browser, shm_dir: Any, dtype: str, low: int) -> None:
    """One step of the integer is one level, also where float32 knows only every 256th integer."""
    image = (STEPS + low).astype(dtype)
    with SHM("cam", image), looking(browser, "cam", f",low:{low},high:{low + 255}") as look:
        becomes(lambda: greys(look), STEPS.ravel().tolist())


@pytest.mark.parametrize(
    ("least", "most"), [(-3.4e38, 3.4e38), (0.0, 3e-30), (1e30, 3e38), (-3e-36, 0.0), (1e6, 1e6 + 31)]
)
def test_spans_of_any_size(browser: Browser, shm_dir: Any, least: float, most: float) -> None:
    image = np.linspace(least, most, 32).reshape(SHAPE).astype("f4")
    with SHM("cam", image), looking(browser, "cam") as look:
        low, high = float(image.min()), float(image.max())
        wanted = np.rint(255 * (image.astype("f8") - low) / (high - low)).ravel()
        becomes(lambda: greys(look), pytest.approx(wanted, abs=1))


def test_equal_shares_of_an_image_with_a_few_bright_pixels(browser: Browser, shm_dir: Any) -> None:
    """Nearly all pixels are within a thousandth of the span; and the dark is taken away before."""
    image = np.arange(32, dtype="u2").reshape(SHAPE)
    image[3, 6:] = 60_000, 65_000
    image[0] = 0
    with SHM("cam", image) as cam, looking(browser, "cam", ",stretch:equal") as look:

        def levels(of: np.ndarray) -> Any:
            return pytest.approx(255 * np.searchsorted(np.sort(of.ravel()), of.ravel(), "right") / 32, abs=1)

        becomes(lambda: greys(look), levels(image))
        look.press("D")
        look.until("document.querySelector('.trouble').textContent.includes('minus dark of 1 frames')")
        cam.set_data(image + np.arange(32, 0, -1, dtype="u2").reshape(SHAPE) ** 2 // 100)
        look.shows(2)
        look.press("a")
        becomes(lambda: greys(look), levels(np.arange(32, 0, -1, dtype="u2").reshape(SHAPE) ** 2 // 100))


def test_one_bright_pixel_of_many_is_the_upper_limit(browser: Browser, shm_dir: Any) -> None:
    """Every pixel that was sent counts, also if there are more than are sorted for the other rules."""
    image = np.full((470, 860), 10, "u2")
    image[401, 333], image[11, 58] = 5000, 1
    with SHM("cam", image), looking(browser, "cam") as look:
        look.press("a")
        found = settings_of(look)
        assert (found["low"], found["high"]) == ("1", "5000")
        look.choose("Limits", "99.5")
        found = settings_of(look)
        assert (found["low"], found["high"]) == ("10", "10")


#: Colours of the table that matplotlib has, and its authors gave to the public.
VIRIDIS = {0: (68, 1, 84), 21: (72, 30, 112), 53: (63, 69, 135), 100: (42, 118, 142),
           150: (32, 165, 133), 181: (71, 192, 110), 233: (197, 223, 33), 255: (253, 231, 36)}  # fmt: skip


def test_viridis_is_viridis(browser: Browser, shm_dir: Any) -> None:
    with SHM("cam", np.zeros((2, 2), "u1")), looking(browser, "cam") as look:
        table = look.page.evaluate(
            "import('./stretch.js').then(({ colourTable }) => [...colourTable('viridis')])"
        )
        for level, colour in VIRIDIS.items():
            assert table[4 * level : 4 * level + 3] == pytest.approx(colour, abs=3), level


@pytest.mark.parametrize("dtype", ["u1", "i2", "u4", "i4", "u8", "i8"])
def test_saturated_integers_and_no_others(browser: Browser, shm_dir: Any, dtype: str) -> None:
    most = np.iinfo(dtype).max
    image = np.array([[0, most // 2], [most - (1 if most < 2**32 else 2**42), most]], dtype)
    with SHM("cam", image), looking(browser, "cam") as look:
        look.press("S")
        look.turns(place(look.size(), (2, 2), 1, 1), [255, 60, 20])
        for x, y in ((0, 0), (1, 0), (0, 1)):
            assert look.pixel(*place(look.size(), (2, 2), x, y)) != [255, 60, 20]


def test_a_part_of_a_frozen_frame_is_seen_at_full_resolution(browser: Browser, shm_dir: Any) -> None:
    image = np.random.default_rng(9).integers(0, 2**40, (1500, 2700), "i8")
    with SHM("cam", image) as cam, looking(browser, "cam", f",how:first,low:0,high:{2**40}") as look:
        look.press("x")
        cam.set_data(image[::-1])
        look.press("8")
        width, height = look.size()
        for x, y in ((1350, 750), (1340, 760), (1360, 731)):
            level = round(255 * float(np.float32(image[y, x])) / 2**40)
            look.turns((width / 2 + 8 * (x + 0.5 - 1350), height / 2 - 8 * (y + 0.5 - 750)), [level] * 3)
        look.press("f")
        look.turns(place(look.size(), (375, 675), 300, 200), [round(255 * int(image[800, 1200]) / 2**40)] * 3)
        look.press("x")
        look.shows(2)
