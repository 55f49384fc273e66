"""Pictures that are saved: with what lies over the image, of curves, and of nothing."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk import SHM
from pymilk.web import Settings, WebServer
from support.browsing import Browser, Look, looking, place
from support.waiting import until

IMAGE = np.zeros((60, 80), "u1")


def saved(look: Look) -> Any:
    """Save a picture; returns its pixels."""
    picture = pytest.importorskip("PIL.Image")
    with look.page.expect_download() as caught:
        look.page.click("text=PNG")
    return np.asarray(picture.open(io.BytesIO(Path(caught.value.path()).read_bytes())).convert("RGB")).astype(
        int
    )


def near(pixels: Any, x: float, y: float, colour: tuple[int, int, int]) -> bool:
    """Tell whether a line of a colour passes within two pixels of a place."""
    part = pixels[int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3]
    return bool((np.abs(part - colour).max(axis=-1) < 90).any())


def test_regions_and_arrows_are_in_the_picture(browser: Browser, shm_dir: Any) -> None:
    regions = "box 20 30 10 8;circle 60 40 6;line 10.5 10.5 30.5 20.5"
    with SHM("cam", IMAGE, nbkw=4) as cam:
        cam.set_keywords({"PA": 0.0})
        with looking(browser, "cam", f",regions:{regions},north:1") as look:
            look.until("document.querySelectorAll('.overlay [data-to]').length === 2")
            pixels, size = saved(look), look.size()

            def at(x: float, y: float) -> tuple[float, float]:
                return place(size, IMAGE.shape, x - 0.5, y - 0.5)

            green, yellow = (79, 208, 122), (255, 213, 74)
            assert near(pixels, *at(15, 30), green)
            assert near(pixels, *at(20, 34), green)
            assert near(pixels, *at(66, 40), green)
            assert near(pixels, *at(20.5, 15.5), yellow)
            assert not near(pixels, *at(20, 30), green)
            arrow = look.page.evaluate(
                "(({ x1, y1 }) => [x1.baseVal.value, y1.baseVal.value - 18])"
                "(document.querySelector('.overlay [data-to=north]'))"
            )
            assert near(pixels, *arrow, green)


def test_curves_are_in_the_picture(browser: Browser, shm_dir: Any) -> None:
    with SHM("tel", np.linspace(-1, 1, 500)), looking(browser, "tel") as look:
        pixels = saved(look)
        assert pixels.shape[1] == 512
        # In nearly every column as much as a line of one pixel has, which may lie between two.
        ink = ((pixels[:400, :, 2] - 24) / (230 - 24)).clip(0, 1)
        assert (ink.sum(axis=0) > 0.7).mean() > 0.9
        blue = np.abs(pixels[:400] - (90, 169, 230)).max(axis=-1) < 120
        assert blue[300:, :200].any()
        assert blue[:100, 400:].any()
        assert not blue[300:, 400:].any()
        assert (pixels[400:].min(axis=-1) > 150).sum() > 50  # the caption


def test_a_caption_of_any_length_is_whole(browser: Browser, shm_dir: Any) -> None:
    name = "stream_of_a_long_name_" * 3
    with (
        SHM(name, IMAGE) as cam,
        SHM("other_" + name, IMAGE),
        looking(browser, name, f",second:other_{name}") as look,
    ):
        look.until("document.querySelector('.trouble').textContent.includes('minus other_')")
        short = saved(look).shape[0]
        look.page.click("summary")
        look.page.fill("input[title='Frames of the mean']", "7")
        look.page.keyboard.press("Tab")
        cam.set_data(IMAGE)
        look.until("document.querySelector('.trouble').textContent.includes('mean of 1')")
        look.page.set_viewport_size({"width": 500, "height": 800})
        look.until("document.querySelector('.stage canvas').width < 500")
        look.painted()
        try:
            assert saved(look).shape[0] > look.size()[1] + 46
        finally:
            look.page.set_viewport_size({"width": 1200, "height": 800})
        assert short >= 46


def test_without_a_frame_there_is_no_picture(browser: Browser, shm_dir: Any) -> None:
    with WebServer(Settings(port=0)) as server:
        look = Look.__new__(Look)
        look.page, errors = browser.page, []
        hear = lambda error: errors.append(str(error))  # noqa: E731
        look.said = errors
        look.page.on("pageerror", hear)
        look.page.goto(f"{server.address}&view=cam")
        look.until("document.querySelectorAll('.view').length === 1")
        for button, said in (("PNG", "no picture"), ("FITS", "no file")):
            words = f"{said}: no frame has come"
            shown = f"document.querySelector('.trouble').textContent.includes('{words}')"

            def is_told(button: str = button, shown: str = shown) -> bool:
                look.page.click(f"text={button}")  # again: what the server says takes its place
                return bool(look.page.evaluate(shown))

            until(is_told)
        known = look.page.evaluate("import('./keys.js').then(({ KEYS }) => KEYS)")
        for key, _ in known:
            if (len(key) == 1 and key not in "/?") or key.startswith(("Arrow", "Delete")):
                look.press(key)
        look.painted()
        look.page.remove_listener("pageerror", hear)
        look.page.goto("about:blank")
        assert errors == []


def test_a_curve_without_a_finite_value_says_so(browser: Browser, shm_dir: Any) -> None:
    values = np.full(100, np.nan, "f4")
    with SHM("tel", values) as tel, looking(browser, "tel") as look:
        look.until("document.querySelector('.report').textContent === 'frame 1; 100 values; none is finite'")
        values[50:] = [np.inf, *np.arange(48), -np.inf]
        tel.set_data(values)
        look.until("document.querySelector('.report').textContent === 'frame 2; 100 values; from 0 to 47'")
        tel.set_data(np.full(100, 3, "f4"))
        look.until("document.querySelector('.report').textContent === 'frame 3; 100 values; from 2 to 4'")
