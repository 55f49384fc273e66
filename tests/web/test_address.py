"""What the address of the page keeps, and addresses that somebody has written by hand."""

from __future__ import annotations

import urllib.parse
from typing import Any

import numpy as np
import pytest

from pymilk import SHM
from support.browsing import Browser, looking, place
from support.measuring import hover, settings_of
from support.waiting import becomes

IMAGE = np.arange(60 * 80, dtype="u2").reshape(60, 80)

#: Settings that are none, and what is said of them.
WRONG = {
    "stretch:foo": "stretch is one of linear, log",
    "colour:foo": "colour is one of grey",
    "turn:8": "turn is one of 0",
    "turn:x": "turn is one of",
    "limits:foo": "limits is one of minmax",
    "how:foo": "how is one of mean, max, first",
    "tool:foo": "tool is one of none",
    "draw:foo": "draw is one of move",
    "low:abc,high:7": "low is a number, not abc",
    "zoom:wide": "zoom is a number",
    "at:5": "at is two numbers, not 5",
    "slice:-1": "slice is a number from 0",
    "mean:": "mean is a number from 0",
    "nonsense:7": "no setting is called nonsense",
    "stretch": "stretch is one of",
    "auto:yes": "auto is one of 0, 1",
    "__proto__:x": "no setting is called __proto__",
    "toString:x": "no setting is called toString",
}


@pytest.mark.parametrize("settings", WRONG)
def test_settings_that_are_none_are_said_and_left_out(browser: Browser, shm_dir: Any, settings: str) -> None:
    with SHM("cam", IMAGE), looking(browser, "cam", f",{settings}") as look:
        assert WRONG[settings] in look.page.inner_text(".trouble")


def test_nothing_is_said_of_settings_that_are_good(browser: Browser, shm_dir: Any) -> None:
    with SHM("cam", IMAGE), looking(browser, "cam", ",stretch:sqrt,mean:1,at:,zoom:") as look:
        assert " is " not in look.page.inner_text(".trouble")


@pytest.mark.parametrize("view", ["50%25", "%25E0%25A4", "", ",", "cam%25,x:%25", "%00"])
def test_names_that_are_none_keep_nothing_else_from_working(
    browser: Browser, shm_dir: Any, view: str
) -> None:
    with SHM("cam", IMAGE), looking(browser, "cam") as look:
        look.page.goto("about:blank")
        look.page.goto(f"{look.server.address}&view={view}&view=cam")
        look.until("document.querySelectorAll('#streams li').length === 1")
        look.until("[...document.querySelectorAll('.view')].at(-1)?.dataset.shown === '1'")
        look.said[:] = [each for each in look.said if "WebSocket" not in each]


def test_zoom_place_contrast_and_dark_are_kept(browser: Browser, shm_dir: Any) -> None:
    with SHM("cam", IMAGE), SHM("a,b:c%25", IMAGE // 2) as dark, looking(browser, "cam") as look:
        look.press("8", "ArrowLeft", "+", "ArrowUp")
        hover(look, IMAGE.shape, 20, 30)
        look.page.mouse.down(button="right")
        look.page.mouse.move(300, 300)
        look.page.mouse.up(button="right")
        look.page.click("summary")
        look.until("[...document.querySelectorAll('option')].some((each) => each.value === 'a,b:c%25')")
        look.choose("Dark from a stream", "a,b:c%25")
        look.until("location.hash.includes('dark')")
        # A moment after the last movement the address has the place: one pixel is 8 on the screen, then 16.
        becomes(lambda: settings_of(look).get("at"), "36 32")
        look.painted()
        before, size = settings_of(look), look.size()
        places = [(size[0] * part, size[1] * part) for part in (0.2, 0.4, 0.6, 0.8)]
        seen = look.pixels(places)
        assert before["zoom"] == "16"
        assert urllib.parse.unquote(before["dark"]) == "a,b:c%25"
        assert before["contrast"] != ""
        look.page.reload()
        look.until(f"Number({look.of('.view')}?.dataset.shown) > 0")
        look.until("location.hash.includes('dark')")
        becomes(lambda: look.pixels(places), seen)
        becomes(lambda: settings_of(look), before)
        look.page.click("summary")
        look.page.click("text=No dark")
        look.press("f", "r")
        becomes(lambda: {"zoom", "dark", "at", "contrast"} & set(settings_of(look)), set())
        dark.destroy()


def test_limits_that_are_typed_and_those_of_each_frame(browser: Browser, shm_dir: Any) -> None:
    with SHM("cam", IMAGE) as cam, looking(browser, "cam") as look:
        where = place(look.size(), IMAGE.shape, 10, 10)
        assert look.page.get_attribute("input[title='Upper level']", "placeholder") == str(IMAGE.max())
        look.page.click("summary")
        look.page.fill("input[title='Lower level']", "100")
        look.page.fill("input[title='Upper level']", "50")
        look.page.keyboard.press("Tab")
        look.until("document.querySelector('.trouble').textContent.includes('the lower one first')")
        look.page.fill("input[title='Upper level']", "2100")
        look.page.keyboard.press("Tab")
        level = round(255 * (int(IMAGE[10, 10]) - 100) / 2000)
        look.turns(where, [level] * 3)
        assert "levels" not in look.page.inner_text(".trouble")
        assert settings_of(look)["high"] == "2100"
        look.press("A")
        assert look.page.get_attribute("text=Auto", "aria-pressed") == "true"
        cam.set_data(IMAGE * 5)
        look.shows(2)
        look.turns(where, [round(255 * int(IMAGE[10, 10]) / int(IMAGE.max()))] * 3)
        found = settings_of(look)
        assert (found["auto"], found.get("low"), found.get("high")) == ("1", None, None)
        look.page.click("text=Auto")
        found = settings_of(look)
        assert (found["auto"], found["low"], found["high"]) == ("0", "0", str(5 * IMAGE.max()))
        cam.set_data(IMAGE)
        look.shows(3)
        look.turns(where, [round(255 * int(IMAGE[10, 10]) / int(5 * IMAGE.max()))] * 3)


def test_many_changes_are_nothing_to_complain_about(browser: Browser, shm_dir: Any) -> None:
    """A browser takes some 200 changes of an address in 10 s, and says so in its console."""
    with SHM("cam", IMAGE), looking(browser, "cam", ",tool:histogram,low:0,high:4000") as look:
        look.until("!document.querySelector('.plot').hidden")
        box = look.page.locator(".plot").bounding_box()
        look.page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 20)
        look.page.mouse.down()
        count = look.page.evaluate(  # all of them within the 10 s, however slow the machine is
            "([left, width, clientY]) => { let count = 0; const { replaceState } = history;"
            " history.replaceState = (...given) => { count++; replaceState.apply(history, given); };"
            " for (let step = 1; step <= 400; step++)"
            " document.querySelector('.plot').dispatchEvent(new PointerEvent('pointermove',"
            " { clientX: left + (0.9 - step / 1000) * width, clientY })); return count; }",
            [box["x"], box["width"], box["y"] + 20],
        )
        assert 0 < count < 200
        look.page.mouse.up()
        level = look.page.input_value("input[title='Upper level']")
        look.until(f"location.hash.includes('high%3A{level}')")
