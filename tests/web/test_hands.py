"""Keys, fingers, and pages as narrow as those of people who read at 400 %."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pymilk import SHM
from support.browsing import Browser, Look, looking
from support.measuring import settings_of, under

IMAGE = np.arange(40 * 60, dtype="u2").reshape(40, 60)


def test_every_key_does_what_it_is_said_to_do(browser: Browser, shm_dir: Any) -> None:
    with SHM("cam", IMAGE), looking(browser, "cam", ",colour:grey") as look:
        for key, name, value in (
            ("l", "stretch", "log"), ("l", "stretch", "linear"), ("c", "colour", "inverted"),
            ("z", "limits", "99.5"), ("w", "how", "max"), ("S", "sat", "65535"), ("S", "sat", None),
            ("s", "tool", "statistics"), ("h", "tool", "histogram"), ("u", "tool", "cuts"),
            ("p", "tool", "profile"), ("p", "tool", "none"),
            ("b", "draw", "box"), ("i", "draw", "circle"), ("k", "draw", "line"), ("k", "draw", "move"),
            ("o", "turn", "1"), ("m", "mean", "8"), ("m", "mean", "1"), ("d", "second", "held frame"),
            ("B", "act", "blink"), ("B", "second", "none"),
        ):  # fmt: skip
            look.press(key)
            assert settings_of(look).get(name) == value, key
        known = look.page.evaluate("import('./keys.js').then(({ KEYS }) => KEYS)")
        for key, _ in known:
            if (len(key) == 1 and key not in "/?") or key.startswith(("Arrow", "Delete")):
                look.press(key)
        look.page.click("#help-button")
        assert look.page.evaluate(
            "[...document.querySelectorAll('#help tr')].map(({ cells }) =>"
            " [...cells].map((cell) => cell.textContent))"
        ) == [list(each) for each in known]
        look.page.keyboard.press("Escape")


def test_keys_work_wherever_in_the_view_one_is(browser: Browser, shm_dir: Any) -> None:
    """Also on a button that was just pressed; not where text is written or a word is chosen."""
    with SHM("cam", IMAGE), looking(browser, "cam", ",regions:box 5 5 4 4,tool:statistics") as look:
        look.page.click("text=Turn")
        look.page.keyboard.press("c")
        assert settings_of(look)["colour"] == "inverted"
        look.page.click("summary")
        look.page.locator("summary").press("l")
        assert settings_of(look)["stretch"] == "log"
        for key in (
            "l",
            "Delete",
            "ArrowLeft",
        ):  # arrows and Delete belong to the image, and to what has its own
            look.page.locator("input[title='Lower level']").press(key)
            look.page.locator(".tools button").first.press("Delete")
        look.page.wait_for_timeout(200)  # a place were in the address a moment after the last movement
        found = settings_of(look)
        assert (found["stretch"], found["regions"], found.get("zoom")) == ("log", "box 5 5 4 4", None)
        look.page.locator("select[title='Colour map']").press("x")
        assert look.page.get_attribute("text=Freeze", "aria-pressed") == "false"


def test_the_keys_are_shown_from_the_first_on(browser: Browser, shm_dir: Any) -> None:
    with SHM("cam", IMAGE), looking(browser, "cam") as look:
        look.press("?")
        box = look.page.locator("#help").bounding_box()
        for each in (look.page.locator("#help tr").first, look.page.locator("#help button")):
            inside = each.bounding_box()
            assert box["y"] <= inside["y"] < inside["y"] + inside["height"] <= box["y"] + box["height"]
        assert box["y"] >= 0
        look.page.click("#help button")
        assert not look.page.evaluate("document.querySelector('#help').open")


def across(look: Look, right: float) -> int:
    """Return the column at so many pixels right of the middle of the canvas."""
    box = look.page.locator(".stage canvas").bounding_box()
    look.page.mouse.move(box["x"] + box["width"] / 2 + right, box["y"] + box["height"] / 2)
    return under(look)[0]


def test_digits_zoom_and_fingers_too(browser: Browser, shm_dir: Any) -> None:
    image = np.zeros((400, 600), "u1")
    with SHM("cam", image), looking(browser, "cam") as look:
        for zoom in (1, 2, 4):
            look.press(str(zoom))
            assert across(look, 100) - across(look, -100) == pytest.approx(200 / zoom, abs=1)
        box = look.page.locator(".stage canvas").bounding_box()
        middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        session = look.page.context.new_cdp_session(look.page)

        def touch(kind: str, *apart: float, down: float = 0) -> None:
            x, y = middle
            points = [{"x": x + each, "y": y + down, "id": number} for number, each in enumerate(apart)]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        touch("touchStart", -100)
        touch("touchStart", -100, 100)
        for half in (90, 80, 70, 60, 50):
            touch("touchMove", -half, half)
        touch("touchEnd")
        assert across(look, 100) - across(look, -100) == pytest.approx(100, abs=2)
        before = across(look, 0)
        touch("touchStart", 0)
        touch("touchMove", 60)
        touch("touchEnd")
        assert before - across(look, 0) == pytest.approx(30, abs=2)
        session.detach()


@pytest.mark.parametrize(("theme", "tool"), [("light", "statistics"), ("dark", "history")])
def test_nothing_is_cut_off_at_400_percent(browser: Browser, shm_dir: Any, theme: str, tool: str) -> None:
    # A window of 1280 pixels at 400 % has 320 pixels of a style sheet.
    browser.page.set_viewport_size({"width": 320, "height": 256})
    browser.page.emulate_media(color_scheme=theme)
    try:
        with SHM("cam", IMAGE), looking(browser, "cam", f",tool:{tool},regions:box 5 5 4 4") as look:
            look.page.click("summary")
            look.until("document.querySelector('.report').textContent.length > 20")
            wide, there = look.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
            assert wide <= there
            colours = look.page.evaluate(
                "(({ color, backgroundColor }) => [color, backgroundColor])(getComputedStyle(document.body))"
            )
            bright = [sum(map(int, each[4:-1].split(","))) for each in colours]
            assert (bright[0] > bright[1]) == (theme == "dark")
            names = look.page.evaluate(
                "[...document.querySelectorAll('select, input, canvas')].filter((each) => !each.hidden &&"
                " !each.getAttribute('aria-label')).map((each) => each.outerHTML)"
            )
            assert names == []
    finally:
        browser.page.set_viewport_size({"width": 1200, "height": 800})
        browser.page.emulate_media(color_scheme="light")
