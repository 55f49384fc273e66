"""The view of a notebook in a real browser: painted by the page's own modules, heard through a channel."""

from __future__ import annotations

import base64
import contextlib
import queue
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("anywidget")

from pymilk import SHM
from pymilk.web import LiveView
from support.browsing import Browser
from support.waiting import PATIENCE, until

#: What anywidget does with a widget: load its module, give it a model and a place.
LOAD = """async ([source, state]) => {
  const heard = new Set();
  const model = {
    get: (name) => state[name],
    on: (event, hear) => heard.add(hear),
    off: (event, hear) => heard.delete(hear),
    send: (message) => window.say(message),
  };
  // Bytes come as a view of a larger buffer, as notebooks give them.
  window.deliver = (message, text) => {
    const bytes = Uint8Array.from("abc" + atob(text), (each) => each.charCodeAt(0));
    for (const hear of [...heard]) hear(message, text ? [new DataView(bytes.buffer, 3)] : []);
  };
  const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const { default: widget } = await import(address);
  const el = document.body.appendChild(Object.assign(document.createElement("div"), { id: "cell" }));
  window.leave = await widget.render({ model, el });
  window.view = el.firstChild.shadowRoot.querySelector(".view");
}"""

CORNERS = """() => {
  const canvas = window.view.querySelector(".stage canvas");
  const { width, height } = canvas;
  const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  const zoom = Math.min(width, height) / 4;
  return [[-1, 1], [1, 1], [-1, -1], [1, -1]].map(([right, down]) =>
    copy.getImageData(width / 2 + right * zoom, height / 2 + down * zoom, 1, 1).data[0]);
}"""


class Notebook:
    """A page with the output of a cell, and the kernel's end of its channel."""

    def __init__(self, page: Any, shown: LiveView) -> None:
        self.page, self.said = page, []
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.expose_function("say", lambda message: shown.widget._handle_custom_msg(message, []))
        self._sent: queue.Queue[tuple[dict[str, Any], list[bytes]]] = queue.Queue()
        shown.widget.send = lambda message, buffers: self._sent.put((message, buffers))
        state = {name: getattr(shown.widget, name) for name in ("_modules", "_start")}
        page.evaluate(LOAD, [str(shown.widget._esm), state])

    def until(self, condition: str) -> None:
        """Hand on what comes, until the page is so."""
        deadline = time.monotonic() + PATIENCE
        while not self.page.evaluate(condition):
            assert time.monotonic() < deadline, (condition, self.said)
            try:
                message, buffers = self._sent.get(timeout=0.02)
            except queue.Empty:
                continue
            text = base64.b64encode(buffers[0]).decode() if buffers else ""
            self.page.evaluate("([message, text]) => window.deliver(message, text)", [message, text])


@pytest.fixture
def page(browser: Browser) -> Iterator[Any]:
    made = browser.real.new_page(viewport={"width": 800, "height": 700})
    yield made
    made.close()


def test_a_view_in_a_notebook(page: Any, shm_dir: Any) -> None:
    image = np.array([[0, 85], [170, 255]], "u1")
    with SHM("cam", image) as cam, \
            contextlib.closing(cam.live(low=0, high=255, colour="inverted")) as shown:  # fmt: skip
        notebook = Notebook(page, shown)
        notebook.until("window.view.dataset.cnt0 === '1'")
        notebook.until(f"JSON.stringify(({CORNERS})()) === '[255,170,85,0]'")
        cam.set_data(image[::-1])
        notebook.until("window.view.dataset.cnt0 === '2'")
        notebook.until(f"JSON.stringify(({CORNERS})()) === '[85,0,255,170]'")
        assert page.evaluate("window.view.querySelector('.account').textContent").startswith("frame 2,")
        # The styles of the page are inside, and touch nothing of the notebook.
        assert page.evaluate("getComputedStyle(document.body).margin") == "8px"
        page.evaluate("window.leave()")
        until(lambda: shown.views == 0)
        assert page.evaluate("document.querySelector('#cell').childElementCount") == 0
    assert notebook.said == []
