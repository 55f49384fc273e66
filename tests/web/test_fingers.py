"""Regions in hand of a finger: it reaches further than the pointer of a mouse, and a second one zooms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from pymilk import SHM
from support.browsing import Browser, Look, looking
from support.measuring import settings_of
from support.waiting import becomes

#: One pixel of the image is so many of the screen.
ZOOM = 8
IMAGE = np.zeros((60, 100), "u1")


class Finger:
    """A finger on the screen: places are those of the image, (0, 0) the lower left corner of pixel (0, 0)."""

    def __init__(self, look: Look) -> None:
        self._box = look.page.locator(".stage canvas").bounding_box()
        self._session = look.page.context.new_cdp_session(look.page)

    def _send(self, kind: str, *places: tuple[float, float]) -> None:
        x, y = (self._box["x"] + self._box["width"] / 2, self._box["y"] + self._box["height"] / 2)
        points = [
            {"x": x + ZOOM * (right - 50), "y": y - ZOOM * (up - 30), "id": number}
            for number, (right, up) in enumerate(places)
        ]
        self._session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def drag(self, start: tuple[float, float], *ways: tuple[float, float], lift: bool = True) -> None:
        self._send("touchStart", start)
        for place in ways:
            self._send("touchMove", place)
        if lift:
            self.lift()

    def second(self, *places: tuple[float, float]) -> None:
        self._send("touchStart", *places)

    def lift(self) -> None:
        self._send("touchEnd")

    def end(self) -> None:
        self._session.detach()


@pytest.fixture
def finger(browser: Browser, shm_dir: Any) -> Iterator[tuple[Look, Finger]]:
    regions = "box 50 30 20 10;circle 20 30 6;line 70 10 90 10"
    with SHM("cam", IMAGE), looking(browser, "cam", f",regions:{regions}") as look:
        look.press(str(ZOOM))
        made = Finger(look)
        yield look, made
        made.end()


def regions_of(look: Look) -> list[list[float]]:
    look.painted()
    return [[float(word) for word in each.split()[1:]] for each in settings_of(look)["regions"].split(";")]


def test_a_finger_moves_and_sizes_regions(finger: tuple[Look, Finger]) -> None:
    look, hand = finger
    hand.drag((50, 30), (52, 31), (55, 32))
    becomes(lambda: regions_of(look)[0], [55, 32, 20, 10])
    # The right side is at 65: 1.5 pixels of the image are 12 of the screen, out of reach of a mouse.
    hand.drag((66.5, 32), (68, 32), (70.5, 32))
    becomes(lambda: regions_of(look)[0], [57, 32, 24, 10])
    hand.drag((20, 30), (22, 30), (24, 28))
    becomes(lambda: regions_of(look)[1], pytest.approx([24, 28, 6], abs=0.15))
    hand.drag((31.5, 28), (33, 28), (34.5, 28))  # by the rim, from outside
    becomes(lambda: regions_of(look)[1], pytest.approx([24, 28, 9], abs=0.15))
    hand.drag((80, 11.5), (80, 13), (82, 15.5))  # by its middle, beside it
    becomes(lambda: regions_of(look)[2], pytest.approx([72, 14, 92, 14], abs=0.15))
    hand.drag((92, 14), (92, 16), (94, 20))
    becomes(lambda: regions_of(look)[2], pytest.approx([72, 14, 94, 20], abs=0.15))


def test_a_finger_draws_where_regions_are_drawn(finger: tuple[Look, Finger]) -> None:
    look, hand = finger
    look.press("b")
    hand.drag((10.2, 45.2), (15, 50), (19.8, 54.8))
    becomes(lambda: regions_of(look)[3:], [[15, 50, 10, 10]])


def test_a_second_finger_lets_the_region_go_back(finger: tuple[Look, Finger]) -> None:
    look, hand = finger
    before = regions_of(look)
    hand.drag((50, 30), (53, 31), lift=False)
    hand.second((53, 31), (70, 31))
    hand.lift()
    assert regions_of(look) == before


def test_a_finger_drags_the_levels_of_the_histogram(browser: Browser, shm_dir: Any) -> None:
    """Across, and not the page, which scrolls up and down there as everywhere."""
    image = np.arange(1001, dtype="u2").reshape(7, 143)
    with SHM("cam", image), looking(browser, "cam", ",tool:histogram,low:0,high:1000") as look:
        look.until("!document.querySelector('.plot').hidden")
        look.page.locator(".plot").scroll_into_view_if_needed()
        box = look.page.locator(".plot").bounding_box()
        session = look.page.context.new_cdp_session(look.page)

        def touch(kind: str, *parts: float) -> None:
            points = [{"x": box["x"] + each * box["width"], "y": box["y"] + 20, "id": 1} for each in parts]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        touch("touchStart", 0.9)
        for part in (0.88, 0.84, 0.76, 0.68, 0.6):
            touch("touchMove", part)
        touch("touchEnd")
        session.detach()
        becomes(lambda: float(settings_of(look)["high"]), pytest.approx(600, abs=2))
        assert "pan-y" in look.page.evaluate("getComputedStyle(document.querySelector('.plot')).touchAction")
