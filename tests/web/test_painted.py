"""The account on screen is that of the frames which were painted, and the server's is the same."""

from __future__ import annotations

import re
import time
from typing import Any

import numpy as np

from pymilk import SHM
from pymilk.web import Settings, WebServer
from support.browsing import CARD, READ, Browser, Look, chromium, looking
from support.pages import views
from support.waiting import PATIENCE

#: What a browser says of a server that has gone.
_GONE = re.compile("ERR_CONNECTION|ERR_INCOMPLETE|ERR_EMPTY|WebSocket connection")


def image(number: int) -> np.ndarray:
    return np.full((8, 8), number, "u2")


def accounts(look: Look, server: WebServer, last: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the account on screen and that of the server, once both know of a frame."""
    look.shows(last)
    deadline = time.monotonic() + PATIENCE
    while (known := views(server)) == [] or known[0]["last"] != last:
        assert time.monotonic() < deadline, known
        look.page.wait_for_timeout(5)  # the page works meanwhile
    told = look.page.evaluate(f"({look.of('.view')}).dataset")
    return {name: int(told[name]) for name in ("shown", "skipped")}, known[0]


def test_screen_and_server_agree_about_both_lives(browser: Browser, shm_dir: Any) -> None:
    with SHM("cam", image(1)) as cam, looking(browser, "cam") as look:
        server = look.server
        for number in range(2, 40):
            cam.set_data(image(number))
        screen, known = accounts(look, server, 39)
        assert screen["shown"] + screen["skipped"] == 39
        assert screen == {name: known[name] for name in screen}
        with SHM("cam", image(1)) as other:  # a new file
            look.shows(1)
            for number in range(2, 20):
                other.set_data(image(number))
            screen, known = accounts(look, server, 19)
            assert known["lives"] == 2
            assert screen == {name: known[name] for name in screen}
            assert screen["shown"] + screen["skipped"] == 39 + 19
            assert "recreated or restarted 1 times" in look.page.inner_text(".account")


def test_the_next_frame_is_asked_for_when_the_card_is_done(browser: Browser, shm_dir: Any) -> None:
    with SHM("cam", image(1)), WebServer(Settings(port=0)) as server:
        context = browser.real.new_context()
        context.add_init_script(
            "const { getSyncParameter } = WebGL2RenderingContext.prototype;"
            "Object.assign(window, { busy: true, looks: 0 });"
            "WebGL2RenderingContext.prototype.getSyncParameter = function (...given) {"
            " window.looks++;"
            " return window.busy ? this.UNSIGNALED : getSyncParameter.apply(this, given); };"
        )
        look = Look(context.new_page(), server, "cam")
        look.until("window.looks > 3")
        assert views(server)[0]["last"] is None
        look.page.evaluate("window.busy = false")
        screen, known = accounts(look, server, 1)
        assert (screen["shown"], known["shown"]) == (1, 1)
        look.leave()
        context.close()


def test_frames_that_come_while_it_is_frozen_are_not_shown(browser: Browser, shm_dir: Any) -> None:
    with SHM("cam", image(1)) as cam, looking(browser, "cam") as look:
        accounts(look, look.server, 1)
        look.press("x")
        for number in range(2, 6):
            cam.set_data(image(number))
        look.page.wait_for_timeout(50)
        (known,) = views(look.server)
        assert (known["shown"], known["last"]) == (1, 1)
        look.press("x")
        screen, known = accounts(look, look.server, 5)
        assert screen["shown"] + screen["skipped"] == 5
        assert screen == {name: known[name] for name in screen}


def test_the_account_goes_on_with_another_server(browser: Browser, shm_dir: Any) -> None:
    with SHM("cam", image(1)) as cam:
        first = WebServer(Settings(port=0)).start()
        look = Look(browser.page, first, "cam")
        for number in range(2, 10):
            cam.set_data(image(number))
        before, _ = accounts(look, first, 9)
        first.stop()
        for number in range(10, 30):
            cam.set_data(image(number))
        with WebServer(Settings(port=first.port, token=first.settings.token)) as second:
            screen, known = accounts(look, second, 29)
            assert screen == {"shown": before["shown"] + 1, "skipped": before["skipped"] + 19}
            assert screen == {name: known[name] for name in screen}
            assert (known["lives"], screen["shown"] + screen["skipped"]) == (1, 29)
            look.said[:] = [each for each in look.said if not _GONE.search(each)]
            look.leave()


def test_nothing_waits_for_the_card(browser: Browser, shm_dir: Any) -> None:
    """Where the card puts the whole page together, neither values nor statistics are read back from it."""
    other = browser.real.browser_type.launch(executable_path=chromium(), args=CARD)
    said: list[str] = []
    regions = "box 4 4 3 3;circle 4 4 2;line 1.5 1.5 6.5 6.5"
    try:
        page = other.new_page()
        page.on("console", lambda message: said.append(message.text))
        with SHM("cam", image(1)) as cam, WebServer(Settings(port=0)) as server:
            look = Look(page, server, "cam", f",regions:{regions}")
            page.hover(".stage canvas")
            for number in range(2, 6):
                cam.set_data(image(number))
                look.shows(number)
            look.until("document.querySelectorAll('.regions tr').length >= 3")
            look.leave()
    finally:
        other.close()
    assert not [each for each in said if READ in each]
