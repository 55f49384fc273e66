"""A real browser that looks at streams: one of them, and one page, for all tests of a process."""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from pymilk.web import Settings, WebServer

from .waiting import PATIENCE, becomes

#: All by a card, which is the processor: the same on every machine.
CARD = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]

#: Only WebGL by it: that takes two thirds of the time.
OPTIONS = [*CARD, "--disable-gpu-compositing"]

#: What the console says of a canvas that is put into a page without a card, or is read.
READ = "GPU stall due to ReadPixels"

_READ = """(places) => {
    const canvas = document.querySelector(".stage canvas");
    const copy = new OffscreenCanvas(places.length, 1).getContext("2d");
    places.forEach(([x, y], at) => copy.drawImage(canvas, Math.floor(x), Math.floor(y), 1, 1, at, 0, 1, 1));
    const { data } = copy.getImageData(0, 0, places.length, 1);
    return places.map((_, at) => [...data.slice(4 * at, 4 * at + 3)]);
}"""

#: A promise of a condition that holds, or of what it is when the time is over.
_UNTIL = """new Promise((done, failed) => {
    const end = performance.now() + %d;
    const look = () => {
        try {
            const found = (%s);
            if (found || performance.now() > end) done(found); else setTimeout(look, 10);
        } catch (error) {
            failed(error);
        }
    };
    look();
})"""


def chromium() -> str | None:
    """Return the path of the Chromium of the system."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser:
    """A browser, and a page of it that tests use one after the other."""

    def __init__(self, driver: Any) -> None:
        self._stopping: list[threading.Thread] = []
        self.real = driver.chromium.launch(executable_path=chromium(), args=OPTIONS)
        self.page = self.real.new_page(viewport={"width": 1200, "height": 800})

    def stop_later(self, server: WebServer) -> None:
        """Stop a server while the next test begins: that takes a fifth of a second, most of it sleeping."""
        thread = threading.Thread(target=server.stop, name="stop a server")
        thread.start()
        self._stopping.append(thread)

    def close(self) -> None:
        self.real.close()
        for thread in self._stopping:
            thread.join(30)
            assert not thread.is_alive()


@contextlib.contextmanager
def browsing() -> Iterator[Browser]:
    """Start a browser; without one, its tests are left out."""
    driver = pytest.importorskip("playwright.sync_api")
    if chromium() is None:
        pytest.skip("there is no Chromium")
    with driver.sync_playwright() as started:
        browser = Browser(started)
        yield browser
        browser.close()


class Look:
    """The page, with one stream open."""

    def __init__(self, page: Any, server: WebServer, stream: str, settings: str = "") -> None:
        self.page, self.server = page, server
        self.said: list[str] = []
        self._hears = {
            "console": lambda message: READ in message.text or self.said.append(message.text),
            "pageerror": lambda error: self.said.append(str(error)),
        }
        for event, hear in self._hears.items():
            page.on(event, hear)
        page.goto(f"{server.address}&view={stream}{settings}")
        self.stream = stream
        self.until(f"Number({self.of('.view')}.dataset.shown) > 0")

    @staticmethod
    def of(selector: str) -> str:
        return f"document.querySelector('{selector}')"

    def until(self, condition: str) -> Any:
        """Have the page wait for a condition, and return it; what `wait_for_function` gives, it forbids."""
        from playwright.sync_api import Error  # an extra

        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                found = self.page.evaluate(_UNTIL % (PATIENCE * 1000, condition))
            except Error as error:
                if "context was destroyed" not in error.message:
                    raise
                continue  # another page came
            assert found, f"{condition}; {self.said}"
            return found
        raise AssertionError(f"{condition}; {self.said}")

    def shows(self, counter: int) -> None:
        self.until(f"{self.of('.view')}.dataset.cnt0 === '{counter}'")

    def pixels(self, places: list[tuple[float, float]]) -> list[list[int]]:
        """Return the colours of pixels of the canvas, counted from the upper left."""
        return self.page.evaluate(_READ, [list(each) for each in places])

    def pixel(self, x: float, y: float) -> list[int]:
        return self.pixels([(x, y)])[0]

    def turns(self, where: tuple[float, float], colour: list[int]) -> None:
        """Wait until a pixel of the canvas has a colour."""
        becomes(lambda: self.pixel(*where), colour)

    def says(self, selector: str, text: str) -> None:
        """Wait until an element of the page has just this text."""
        self.until(f"{self.of(selector)}?.textContent === {json.dumps(text)}")

    def painted(self) -> None:
        """Wait until the page has painted what was asked of it so far."""
        self.page.evaluate(
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))"
        )

    def size(self) -> tuple[int, int]:
        canvas = self.of(".stage canvas")
        width, height = self.page.evaluate(f"[{canvas}.width, {canvas}.height]")
        return width, height

    def press(self, *keys: str) -> None:
        """Press keys on the image."""
        for key in keys:
            self.page.locator(".stage canvas").first.press(key)

    def choose(self, title: str, word: str) -> None:
        """Choose a word of the menu whose title begins so."""
        self.page.locator(f"select[title^='{title}']").first.select_option(word)

    def leave(self) -> None:
        """Leave the page; it must have had nothing to complain about."""
        self.go()
        assert self.said == []

    def go(self) -> None:
        """Leave the page, whatever it said."""
        for event, hear in self._hears.items():
            self.page.remove_listener(event, hear)
        self.page.goto("about:blank")


@contextlib.contextmanager
def looking(browser: Browser, stream: str, settings: str = "") -> Iterator[Look]:
    server = WebServer(Settings(port=0)).start()
    try:
        look = Look(browser.page, server, stream, settings)
        try:
            yield look
        except BaseException:
            look.go()  # the next test begins on an empty page
            raise
        look.leave()
    finally:
        browser.stop_later(server)


def place(
    size: tuple[int, int], shape: tuple[int, int], x: float, y: float, code: int = 0
) -> tuple[float, float]:
    """Return the canvas pixel of the middle of a pixel of an image that is fitted; (0, 0) is lower left."""
    rows, columns = shape
    right, up = x + 0.5 - columns / 2, y + 0.5 - rows / 2
    right, up = [
        (right, up), (up, -right), (-right, -up), (-up, right),
        (-right, up), (up, right), (right, -up), (-up, -right),
    ][code]  # fmt: skip
    across, high = (rows, columns) if code % 2 else (columns, rows)
    zoom = min(size[0] / across, size[1] / high)
    return size[0] / 2 + right * zoom, size[1] / 2 - up * zoom
