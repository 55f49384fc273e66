"""The page in a real browser: what is painted, pixel by pixel, and what it says of its frames.

Needs playwright, and a Chromium of the system. Left out where they are not.
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from typing import Any

import numpy as np
import pytest

from pymilk import SHM
from pymilk.web import Settings, WebServer
from support.browsing import Browser, Look, looking, place
from support.measuring import settings_of
from support.waiting import becomes


def ramp(dtype: str) -> np.ndarray:
    """Return an image of 4 x 8 different values over the range of a dtype."""
    kind = np.dtype(dtype)
    numbers = np.arange(32).reshape(4, 8)
    if kind.kind in "ui":
        bounds = np.iinfo(kind)
        step = (bounds.max - bounds.min) // 31
        return (bounds.min + numbers.astype(object) * step).astype(kind)
    return (numbers * 0.37 - 3).astype(kind)


def grey(image: np.ndarray, stretch: str = "linear") -> np.ndarray:
    """Return the level that each pixel should have, from 0 to 255."""
    values = np.abs(image) if image.dtype.kind == "c" else image
    values = values.astype("f8")
    t = (values - values.min()) / (values.max() - values.min())
    return np.rint(255 * STRETCHES[stretch](t))


STRETCHES = {
    "linear": lambda t: t, "log": lambda t: np.log(1000 * t + 1) / math.log(1001), "sqrt": np.sqrt,
    "squared": np.square, "power": lambda t: (1000**t - 1) / 999,
    "asinh": lambda t: np.arcsinh(10 * t) / math.asinh(10), "sinh": lambda t: np.sinh(3 * t) / math.sinh(3),
}  # fmt: skip


def equalised(image: np.ndarray) -> np.ndarray:
    """Return the levels of the stretch "equal": for each pixel the share of those that are not larger."""
    values = np.sort(image.ravel())
    return np.rint(255 * np.searchsorted(values, image, "right") / values.size)


def compare(look: Look, image: np.ndarray, stretch: str = "linear", code: int = 0) -> None:
    """Wait until each pixel of the image has its level."""
    levels = equalised(image) if stretch == "equal" else grey(image, stretch)
    rows, columns = image.shape

    def greys() -> list[int]:
        size = look.size()
        places = [place(size, image.shape, x, y, code) for y in range(rows) for x in range(columns)]
        found = look.pixels(places)
        assert all(red == green == blue for red, green, blue in found)
        return [red for red, _, _ in found]

    becomes(greys, pytest.approx(levels.ravel(), abs=1))


DTYPES = ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", "c8", "c16")


def test_every_dtype_is_painted_as_it_is(browser: Browser, shm_dir: Any) -> None:
    with contextlib.ExitStack() as opened:
        opened.enter_context(SHM("cam", ramp(DTYPES[0])))
        look = opened.enter_context(looking(browser, "cam", ",auto:1"))
        for number, dtype in enumerate(DTYPES):
            image = ramp(dtype)
            if number:
                opened.enter_context(SHM("cam", image))
                look.until(
                    "document.querySelector('.account').textContent.includes("
                    f"'recreated or restarted {number} times')"
                )
            compare(look, image)


def test_stretches(browser: Browser, shm_dir: Any) -> None:
    image = ramp("u2")
    with SHM("cam", image), looking(browser, "cam") as look:
        for stretch in (*STRETCHES, "equal"):
            look.choose("Stretch", stretch)
            look.painted()
            compare(look, image, stretch)


def test_orientations(browser: Browser, shm_dir: Any) -> None:
    image = ramp("u1")
    with SHM("cam", image), looking(browser, "cam", ",turn:0") as look:
        for code in range(8):
            compare(look, image, code=code)
            look.press("o")
            look.painted()
        assert settings_of(look)["turn"] == "0"


def test_without_webgl_it_is_painted_by_hand(browser: Browser, shm_dir: Any) -> None:
    image = ramp("i2")
    with SHM("cam", image), WebServer(Settings(port=0)) as server:
        context = browser.real.new_context()
        context.add_init_script(
            "const get = HTMLCanvasElement.prototype.getContext;"
            "HTMLCanvasElement.prototype.getContext = function (kind, ...rest)"
            " { return kind === 'webgl2' ? null : get.call(this, kind, ...rest); };"
        )
        look = Look(context.new_page(), server, "cam", ",stretch:sqrt")
        compare(look, image, "sqrt")
        look.leave()
        context.close()


def test_values_that_are_not_finite(browser: Browser, shm_dir: Any) -> None:
    image = np.linspace(0, 1, 16, dtype="f4").reshape(4, 4)
    image[1, 2], image[2, 1], image[3, 3] = np.nan, np.inf, -np.inf
    with SHM("cam", image), looking(browser, "cam") as look:
        size = look.size()
        for x, y in ((2, 1), (1, 2), (3, 3)):
            look.turns(place(size, (4, 4), x, y), [190, 0, 190])


def test_images_without_a_span(browser: Browser, shm_dir: Any) -> None:
    images = [np.full((5, 5), 7, "u2"), np.ones((1, 1), "f4"), np.full((3, 3), np.nan)]
    with contextlib.ExitStack() as opened:
        opened.enter_context(SHM("cam", images[0]))
        look = opened.enter_context(looking(browser, "cam", ",auto:1"))
        look.turns(place(look.size(), (5, 5), 2, 2), [0, 0, 0])
        for number, colour in ((1, [0, 0, 0]), (2, [190, 0, 190])):
            opened.enter_context(SHM("cam", images[number]))
            look.until(f"document.querySelector('.account').textContent.includes('restarted {number} times')")
            middle = images[number].shape[0] // 2
            look.turns(place(look.size(), images[number].shape, middle, middle), colour)


def test_value_under_the_pointer(browser: Browser, shm_dir: Any) -> None:
    image = ramp("u4")
    with SHM("cam", image), looking(browser, "cam") as look:
        box = look.page.locator(".stage canvas").bounding_box()
        for x, y in ((0, 0), (7, 3), (2, 1)):
            across, down = place((box["width"], box["height"]), (4, 8), x, y)
            look.page.mouse.move(box["x"] + across, box["y"] + down)
            look.says(".pointer", f"x {x}, y {y}: {image[y, x]}")


def test_counters_are_those_of_the_frames(browser: Browser, shm_dir: Any) -> None:
    with SHM("cam", np.zeros((8, 8), "u2")) as cam, looking(browser, "cam") as look:
        number, few = 1, True
        while number < 59 or few:  # the processors may have others to serve
            for _ in range(58):
                number += 1
                cam.set_data(np.full((8, 8), number, "u2"))
                time.sleep(0.003)
            look.shows(number)
            told = look.page.evaluate(f"({look.of('.view')}).dataset")
            shown, skipped = int(told["shown"]), int(told["skipped"])
            assert shown - 1 + skipped == number - 1
            few = shown <= 2
            assert number < 6000


def test_freeze_and_go_on(browser: Browser, shm_dir: Any) -> None:
    image = np.arange(4, dtype="u1").reshape(2, 2)
    with SHM("cam", image) as cam, looking(browser, "cam", ",auto:1") as look:
        size = look.size()
        both = [place(size, (2, 2), 0, 0), place(size, (2, 2), 1, 1)]
        black, white, lighter, darker = ([each] * 3 for each in (0, 255, 170, 85))
        becomes(lambda: look.pixels(both), [black, white])
        look.press("x")
        cam.set_data(image[::-1])
        time.sleep(0.5)
        assert look.pixels(both) == [black, white]
        assert "frozen" in look.page.inner_text(".trouble")
        look.press("x")
        look.shows(2)
        becomes(lambda: look.pixels(both), [lighter, darker])


def test_limits_stay_until_they_are_asked_for(browser: Browser, shm_dir: Any) -> None:
    image = np.arange(4, dtype="u2").reshape(2, 2)
    with SHM("cam", image) as cam, looking(browser, "cam") as look:
        cam.set_data(image * 100)
        look.shows(2)
        where = place(look.size(), (2, 2), 1, 0)
        look.turns(where, [255, 255, 255])
        look.press("a")
        look.turns(where, [85, 85, 85])


def test_a_dark_is_subtracted(browser: Browser, shm_dir: Any) -> None:
    image = ramp("u2") // 2
    with SHM("cam", image) as cam, looking(browser, "cam") as look:
        look.press("D")
        look.until("document.querySelector('.trouble').textContent.includes('minus dark of 1 frames')")
        cam.set_data(image + np.arange(32, dtype="u2").reshape(4, 8))
        look.shows(2)
        look.press("a")
        look.painted()
        compare(look, np.arange(32, dtype="u2").reshape(4, 8))


def test_blocks_of_pixels_are_where_they_belong(browser: Browser, shm_dir: Any) -> None:
    """Also beside a dark and saturated pixels: each of these has its own part of the shader."""
    image = np.random.default_rng(5).integers(0, 200, (1440, 1599), "u1")
    image[::7] = 250
    settings = ",how:first,low:0,high:255,sat:240"
    with SHM("cam", image), looking(browser, "cam", settings) as look:
        size = look.size()
        assert size[1] == 480  # blocks of 3 x 3
        spots = np.random.default_rng(6).integers(2, 478, (200, 2)).tolist()
        places = [place(size, (480, 533), x, y) for x, y in spots]
        for dark in (0, 1):
            values = [int(image[3 * y, 3 * x]) for x, y in spots]
            colours = [[255, 60, 20] if value >= 240 else [0 if dark else value] * 3 for value in values]
            becomes(lambda: look.pixels(places), colours)
            assert 250 in values
            if not dark:
                look.press("D")
                look.until("document.querySelector('.trouble').textContent.includes('minus dark of')")


def test_the_first_frame_is_for_the_canvas_as_it_is(browser: Browser, shm_dir: Any) -> None:
    """A slow browser tells sizes after the connection is there: the frame was for a canvas of 300 x 150."""
    asked: list[dict[str, Any]] = []

    def hear(message: str | bytes) -> None:
        asked.append(json.loads(message).get("view", {}))

    with SHM("cam", np.zeros((900, 1300), "u1")), WebServer(Settings(port=0)) as server:
        context = browser.real.new_context()
        context.add_init_script("window.ResizeObserver = class { observe() {} disconnect() {} };")
        page = context.new_page()
        page.on("websocket", lambda socket: socket.on("framesent", hear))
        look = Look(page, server, "cam")
        sizes = [(each["width"], each["height"]) for each in asked if each]
        assert sizes[0] == look.size()
        assert look.size()[0] > 300
        look.leave()
        context.close()


def test_stream_that_stops_and_is_made_again(browser: Browser, shm_dir: Any) -> None:
    with SHM("cam", ramp("u2")), looking(browser, "cam") as look:
        look.until("document.querySelector('.view').classList.contains('stale')")
        look.until("document.querySelector('.account').textContent.includes('shown 0/s, 1 shown')")
        with SHM("cam", ramp("f4")[:2, :3]) as again:
            look.until("document.querySelector('.account').textContent.includes('recreated')")

            def is_stale() -> bool:
                again.set_data(ramp("f4")[:2, :3])  # it is stale again two seconds after the last frame
                return bool(look.page.evaluate("document.querySelector('.view').classList.contains('stale')"))

            becomes(is_stale, False)


def test_telemetry_is_a_curve(browser: Browser, shm_dir: Any) -> None:
    with SHM("tel", np.sin(np.arange(1000) / 30).astype("f4")), looking(browser, "tel") as look:
        look.until("!document.querySelector('.plot').hidden")
        look.until("document.querySelector('.stage canvas').hidden")
        # What is wrong with the stream is said above the account, and not over it.
        look.until("document.querySelector('.trouble').textContent.includes('no frame for')")
        trouble, account = (look.page.locator(each).bounding_box() for each in (".trouble", ".account"))
        assert trouble["y"] + trouble["height"] <= account["y"]


def test_the_list_and_the_address(browser: Browser, shm_dir: Any) -> None:
    with SHM("cam", ramp("u1")), SHM("wfs", ramp("u1")), looking(browser, "cam") as look:
        look.page.wait_for_selector("[data-stream=wfs]")
        look.page.fill("#search", "wf")
        look.until("!document.querySelector('[data-stream=cam]')")
        look.page.click("[data-stream=wfs]")
        look.page.locator("select[title='Colour map']").nth(1).select_option("heat")
        look.until("location.hash.includes('view=wfs%2C') && location.hash.includes('colour%3Aheat')")
        look.page.reload()
        look.until("document.querySelectorAll('.view').length === 2")
        assert look.page.locator("select[title='Colour map']").nth(1).input_value() == "heat"


def test_a_wrong_token_is_said(browser: Browser, shm_dir: Any) -> None:
    with SHM("cam", ramp("u1")), WebServer(Settings(port=0)) as server:
        look = Look.__new__(Look)
        look.page, look.said = browser.real.new_page(), []
        look.page.goto(server.address[:-4] + "&view=cam")
        for selector in ("#message", ".trouble"):
            look.until(f"(document.querySelector('{selector}')?.textContent ?? '').includes('token')")
        look.page.close()


def test_keys_are_told(browser: Browser, shm_dir: Any) -> None:
    with SHM("cam", ramp("u1")), looking(browser, "cam") as look:
        look.page.click("#help-button")
        assert "freeze" in look.page.inner_text("#help")
        look.page.keyboard.press("Escape")


def test_frames_with_loss_say_so_and_are_near(browser: Browser, shm_dir: Any) -> None:
    image = np.add.outer(np.arange(40), np.arange(60)).astype("u2") * 100
    with SHM("cam", image), looking(browser, "cam", ",send:JPEG 8 bit") as look:
        assert "JPEG 8 bit, lossy" in look.page.inner_text(".trouble")
        levels, size = grey(image), look.size()
        for x, y in ((0, 0), (59, 39), (30, 10), (7, 33)):
            where = place(size, image.shape, x, y)
            becomes(lambda: look.pixel(*where), pytest.approx([levels[y, x]] * 3, abs=5))  # noqa: B023
            red, green, blue = look.pixel(*where)
            assert red == green == blue
        look.page.locator("select[title^='What is sent']").select_option("values")
        look.until("!document.querySelector('.trouble').textContent.includes('lossy')")
