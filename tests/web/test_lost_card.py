"""A graphics card that is lost and comes back: nothing counts as shown meanwhile."""

from __future__ import annotations

from typing import Any

import numpy as np

from pymilk import SHM
from support.browsing import Browser, looking, place

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
