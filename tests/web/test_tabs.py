"""Tabs: another address in the same one, a server that comes again, more than a browser has connections."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from pymilk import SHM
from pymilk.web import Settings, WebServer, kept_token
from support.browsing import Browser, Look, looking

IMAGE = np.arange(4 * 6, dtype="u2").reshape(4, 6)

#: What a browser says in its console of a server that is not there.
_GONE = re.compile("WebSocket connection to|ERR_CONNECTION_REFUSED")


def go(look: Look, token: str, view: str) -> None:
    """Put another address of the page into its tab, as one who types it."""
    with look.page.expect_event("domcontentloaded"):
        look.page.evaluate(f"location.hash = 'token={token}&view={view}'")


def test_another_address_in_the_same_tab(browser: Browser, shm_dir: Any) -> None:
    """A browser does not load a page for another part behind the #: the page does."""
    with SHM("cam", IMAGE), SHM("wfs", IMAGE), looking(browser, "cam") as look:
        go(look, look.server.settings.token, "wfs,stretch:log")
        look.until("document.querySelector('.view h2')?.textContent === 'wfs'")
        look.until("Number(document.querySelector('.view').dataset.shown) > 0")
        assert look.page.evaluate("document.querySelectorAll('.view').length") == 1


def test_a_server_with_another_token_and_one_with_the_same(
    browser: Browser, shm_dir: Any, tmp_path: Path
) -> None:
    token = kept_token(tmp_path / "token")
    with SHM("cam", IMAGE):
        first = WebServer(Settings(port=0, token=token)).start()
        look = Look(browser.page, first, "cam")
        first.stop()
        look.until("document.querySelector('#message').textContent === 'the server has ended'")
        with WebServer(Settings(port=first.port)) as second:
            look.until("document.querySelector('#message').textContent.includes('by the whole address')")
            look.until("document.querySelector('.trouble').textContent.includes('token is missing or wrong')")
            go(look, second.settings.token, "cam")
            look.until("Number(document.querySelector('.view')?.dataset.shown) > 0")
            go(look, token, "cam")
        with WebServer(Settings(port=first.port, token=kept_token(tmp_path / "token"))):
            look.until("Number(document.querySelector('.view')?.dataset.shown) > 0")
            look.until("document.querySelector('#message').textContent === ''")
            look.said[:] = [each for each in look.said if not _GONE.search(each)]
            look.leave()


def test_more_pages_than_a_browser_has_connections(browser: Browser, shm_dir: Any) -> None:
    """Six to a server, but for WebSockets; a seventh page was not even loaded."""
    context = browser.real.new_context(viewport={"width": 300, "height": 200})  # nine are painted at once
    with SHM("cam", IMAGE) as cam, WebServer(Settings(port=0)) as server:
        looks = [Look(context.new_page(), server, "cam") for _ in range(9)]
        for look in looks:
            look.until("document.querySelectorAll('#streams li').length === 1")
        cam.set_data(IMAGE)
        for look in looks:
            look.shows(2)
            look.leave()
    context.close()


def test_keys_go_on_beside_a_view_that_was_closed(browser: Browser, shm_dir: Any) -> None:
    with SHM("cam", IMAGE), SHM("line", np.arange(9, dtype="f4")), looking(browser, "cam") as look:
        for name in ("line", "cam"):
            look.page.click(f"[data-stream={name}]")
        look.until("[...document.querySelectorAll('.view')].every((each) => Number(each.dataset.shown) > 0)")
        focused = "document.activeElement"
        for beside in ("line", "cam"):
            look.page.locator(".view >> nth=0 >> text=Close").press("Enter")
            look.until(f"{focused}.closest('.view canvas') && {focused}.closest('.view')"
                       f".querySelector('h2').textContent === '{beside}'")  # fmt: skip
        look.page.locator(".view >> text=Close").press("Enter")
        look.until(f"{focused}.id === 'search'")
