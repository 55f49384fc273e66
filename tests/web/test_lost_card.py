"""A graphics card that is lost and comes back: nothing counts as shown meanwhile."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from pymilk import SHM
from support.browsing import Browser, Look, looking, place

IMAGE = np.arange(24, dtype="u1").reshape(4, 6)

#: Take the card away; `window.card` brings it back.
LOSE = """() => {
    const gl = document.querySelector(".stage canvas").getContext("webgl2");
    window.card = gl.getExtension("WEBGL_lose_context");
    window.card.loseContext();
}"""


def test_a_card_that_is_lost_and_comes_back(browser: Browser, shm_dir: Any) -> None:
    image = np.array([[0, 85], [170, 255]], "u1")
    with SHM("cam", image) as cam, looking(browser, "cam", ",low:0,high:255") as look:
        where = place(look.size(), (2, 2), 1, 0)
        look.turns(where, [85, 85, 85])
        look.page.evaluate(LOSE)
        look.until("document.querySelector('.trouble').textContent.includes('lost the graphics card')")
        look.choose("Stretch", "sqrt")
        cam.set_data(image[::-1])
        look.page.wait_for_timeout(50)
        assert look.page.evaluate(f"({look.of('.view')}).dataset.cnt0") == "1"
        look.choose("Stretch", "linear")
        look.page.evaluate("window.card.restoreContext()")
        look.shows(2)
        look.turns(where, [255, 255, 255])
        assert "card" not in look.page.inner_text(".trouble")
        look.said[:] = [each for each in look.said if "CONTEXT_LOST" not in each]


def views_that_show(look: Look, count: int) -> None:
    """Wait until so many views show a frame; nothing is wrong with them but that no other one comes."""
    views = "[...document.querySelectorAll('.view')]"
    look.until(f"{views}.length === {count} && {views}.every(({{ dataset }}) => Number(dataset.shown) > 0)")
    said = look.page.evaluate(f"{views}.map((each) => each.querySelector('.trouble').textContent)")
    assert [re.sub("^no frame for [0-9]+ s$", "", each) for each in said] == [""] * count


def test_more_views_than_a_browser_lets_use_the_card(browser: Browser, shm_dir: Any) -> None:
    """The first ones lost it for good; now the last ones are painted by hand."""
    with SHM("cam", IMAGE) as cam, looking(browser, "cam", "&view=cam" * 19) as look:
        views_that_show(look, 20)
        cam.set_data(IMAGE)
        last = "[...document.querySelectorAll('.view')].map(({ dataset }) => dataset.cnt0).join('')"
        look.until(f"{last} === '{'2' * 20}'")


def test_views_that_were_closed_take_the_card_from_nobody(browser: Browser, shm_dir: Any) -> None:
    with SHM("cam", IMAGE) as cam, looking(browser, "cam") as look:
        for _ in range(20):
            look.page.click("[data-stream=cam]")
            views_that_show(look, 2)
            look.page.locator(".view >> nth=1 >> text=Close").click()
        cam.set_data(IMAGE)
        look.shows(2)
        views_that_show(look, 1)
