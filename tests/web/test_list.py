"""The list of streams in hand: rows that stay, search, ages and rates; and views with long names."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from pymilk import SHM
from support.browsing import Browser, looking
from support.waiting import until

IMAGE = np.zeros((4, 6), "u2")
#: As long as names may be.
LONG = ("wavefront_sensor_" * 5)[:79]


def test_a_press_lasts_longer_than_a_list(browser: Browser, shm_dir: Any) -> None:
    """A button that is pressed is the same one when it is let go, although the list has been told anew."""
    with SHM("cam", IMAGE), SHM("wfs", IMAGE) as wfs, looking(browser, "cam") as look:
        row = "document.querySelector('[data-stream=wfs]')"
        look.until(f"{row}?.textContent.includes('/s')")
        box = look.page.locator("[data-stream=wfs]").bounding_box()
        look.page.mouse.move(box["x"] + 20, box["y"] + 10)
        look.page.mouse.down()
        wfs.set_data(IMAGE)
        told = look.page.evaluate(f"{row}.querySelector('.sparkline').textContent.length")
        look.until(f"{row}.querySelector('.sparkline').textContent.length > {told + 1}")
        look.page.mouse.up()
        look.until("document.querySelectorAll('.view').length === 2")


def test_search_adds_no_rates_and_says_that_there_is_none(browser: Browser, shm_dir: Any) -> None:
    with SHM("cam", IMAGE), SHM("wfs", IMAGE), looking(browser, "cam") as look:
        look.until("document.querySelectorAll('#streams li').length === 2")
        before, counts, then = look.page.evaluate(
            "((line, search, rows) => [line.textContent, [...'wxsfwxsf'].map((letter) => {"
            " search.value = letter;"
            " search.dispatchEvent(new Event('input')); return rows.children.length; }), line.textContent])"
            "(document.querySelector('[data-stream=wfs] .sparkline'),"
            " document.querySelector('#search'), document.querySelector('#streams'))"
        )
        assert counts == [1, 0, 1, 1, 1, 0, 1, 1]
        assert then == before != ""
        look.page.fill("#search", "nothing")
        look.says("#message", "no stream has nothing in its name")
        look.page.fill("#search", "")
        look.says("#message", "")
        names = look.page.evaluate("[...document.querySelectorAll('#streams b')].map((b) => b.textContent)")
        assert names == ["cam", "wfs"]


def test_ages_are_said_of_all_and_stale_of_some(browser: Browser, shm_dir: Any) -> None:
    with SHM("cam", IMAGE) as cam, SHM("old", IMAGE), looking(browser, "cam") as look:
        look.until("document.querySelector('[data-stream=old] .state')?.textContent.includes('stale, age')")
        fresh = "document.querySelector('[data-stream=cam] .state').textContent"

        def is_fresh() -> bool:
            cam.set_data(IMAGE)
            return bool(re.fullmatch(r"age [0-9.]+ (ms|s)", look.page.evaluate(fresh)))

        until(is_fresh)
        assert "ago" not in look.page.inner_text("[data-stream=old]")


def test_long_names_are_not_cut_off(browser: Browser, shm_dir: Any) -> None:
    with SHM("cam", IMAGE), SHM(LONG, IMAGE), looking(browser, LONG, ",tool:statistics") as look:
        for width in (1200, 390):
            look.page.set_viewport_size({"width": width, "height": 800})
            look.until(f"innerWidth === {width}")
            look.painted()
            look.until("document.querySelectorAll('#streams li').length === 2")
            if width == 1200:
                look.page.click("summary")
                look.until("[...document.querySelectorAll('option')].some((each) => each.value === 'cam')")
            over = look.page.evaluate(
                "[document.documentElement,"
                " ...document.querySelectorAll('nav, #streams b, .view, .view h2, details')]"
                ".filter((each) => each.scrollWidth > each.clientWidth + 1)"
                ".map((each) => each.outerHTML.slice(0, 60))"
            )
            look.page.set_viewport_size({"width": 1200, "height": 800})
            assert over == []
