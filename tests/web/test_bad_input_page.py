"""What the page says of streams that are not there or go, and of an image larger than any screen."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import numpy as np

from pymilk import SHM
from pymilk.web import Settings, WebServer
from support.browsing import Browser, Look, looking, place
from support.waiting import becomes


def test_a_stream_that_is_not_there_and_comes(browser: Browser, shm_dir: Any) -> None:
    page = browser.page
    with WebServer(Settings(port=0)) as server:
        look = Look.__new__(Look)
        look.page, look.said, look.stream = page, [], "cam"
        page.goto(f"{server.address}&view=cam")
        look.until("document.querySelector('#message').textContent === 'there are no streams'")
        look.until("document.querySelector('.trouble').textContent.includes('start its writer')")
        with SHM("cam", np.ones((2, 2), "u1")) as cam:
            look.until("document.querySelector('.view').dataset.shown === '1'")
            look.until("!document.querySelector('.trouble').textContent.includes('start its writer')")
            cam.destroy()
            look.until("document.querySelector('.trouble').textContent.includes('deleted')")
        page.goto("about:blank")


def test_an_image_of_16_million_pixels(browser: Browser, shm_dir: Any) -> None:
    image = np.zeros((4000, 4000), "u1")
    for number, (rows, columns) in enumerate((a, b) for a in (slice(2000), slice(2000, None))
                                             for b in (slice(2000), slice(2000, None))):  # fmt: skip
        image[rows, columns] = number * 85
    with SHM("cam", image), looking(browser, "cam") as look:
        size = look.size()
        spots = [(900, 900), (3100, 900), (900, 3100), (3100, 3100)]
        places = [place(size, image.shape, *spot) for spot in spots]
        becomes(lambda: look.pixels(places), [[number * 85] * 3 for number in range(4)])


def test_the_list_says_whose_writer_is_dead(browser: Browser, shm_dir: Any) -> None:
    code = "import os, numpy; from pymilk import SHM; shm = SHM('gone', numpy.zeros((2, 2))); os._exit(0)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    with SHM("cam", np.zeros((4, 4), "u1")), looking(browser, "cam") as look:
        row = "document.querySelector('[data-stream=gone]')"
        look.until(f"{row}?.textContent.includes('writer dead')")
        assert look.page.evaluate(f"{row}.closest('li').classList.contains('stale')")
        other = look.page.inner_text("[data-stream=cam]")
        assert "dead" not in other
        assert re.search("4x4 uint8 .*[\u2581-\u2588]", other)  # with the rates so far
