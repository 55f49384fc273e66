"""Draw ``docs/browser.png``: two views of ``pymilk web`` beside a simulated loop.

    python docs/browser.py [PATH]

Needs playwright, and a Chromium of the system.
"""

import os
import shutil
import sys
import tempfile
import time

#: WebGL by the processor: the same on every machine.
OPTIONS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]

#: Views, and their settings, as they stand in the address.
VIEWS = "&view=ao_wfs,colour:heat&view=psf,stretch:log,colour:viridis"

#: Of all views, how many frames the slowest has shown.
SHOWN = "Math.min(...[...document.querySelectorAll('.view')].map((view) => Number(view.dataset.shown ?? 0)))"


def draw(path: str) -> None:
    """Draw the page once each view has shown some frames."""
    from playwright.sync_api import sync_playwright

    from pymilk import SimulatedCamera
    from pymilk.simulate import SimulatedLoop
    from pymilk.web import Settings, WebServer

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    loop = SimulatedLoop("ao", rate=200)
    camera = SimulatedCamera("psf", shape=(128, 128), rate=500, kind="psf")
    with loop, camera, WebServer(Settings(port=0)) as server, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=OPTIONS)
        page = browser.new_page(viewport={"width": 1200, "height": 610})
        page.goto(server.address + VIEWS)
        while page.evaluate(SHOWN) < 30:
            time.sleep(0.2)
        for view in page.query_selector_all(".view"):
            view.query_selector("text=Levels").click()
        time.sleep(1)
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=path)
        browser.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="pymilk-browser-", dir="/dev/shm") as folder:
        os.environ["MILK_SHM_DIR"] = folder
        draw(sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "browser.png"))
