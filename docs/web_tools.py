"""Draw ``docs/web.png``: statistics and cuts of a simulated Shack-Hartmann sensor in ``pymilk web``.

    python docs/web_tools.py [PATH]

Needs playwright, and a Chromium of the system.
"""

import os
import shutil
import sys
import tempfile
import time

#: WebGL by the processor: the same on every machine.
OPTIONS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]

#: Two views of one stream, and their settings, as they stand in the address.
VIEWS = (
    "&view=ao_wfs,colour:heat,tool:statistics,regions:box 20 20 12 8;circle 40 34 6;line 8.5 50.5 56.5 56.5"
    "&view=ao_wfs,colour:viridis,tool:cuts"
)

#: Of all views, how many frames the slowest has shown.
SHOWN = "Math.min(...[...document.querySelectorAll('.view')].map((view) => Number(view.dataset.shown)))"


def draw(path: str) -> None:
    """Draw the page once each view has shown some frames."""
    from playwright.sync_api import sync_playwright

    from pymilk.simulate import SimulatedLoop
    from pymilk.web import Settings, WebServer

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with SimulatedLoop("ao", rate=100), WebServer(Settings(port=0)) as server, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=OPTIONS)
        page = browser.new_page(viewport={"width": 1300, "height": 775})
        page.goto(server.address + VIEWS)
        while page.evaluate(SHOWN) < 30:
            time.sleep(0.2)
        for view in page.query_selector_all(".view"):
            view.query_selector("text=Levels").click()
        page.locator(".stage canvas").nth(1).hover(position={"x": 213, "y": 165})
        time.sleep(1)
        page.screenshot(path=path)
        browser.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="pymilk-web-", dir="/dev/shm") as folder:
        os.environ["MILK_SHM_DIR"] = folder
        draw(sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "web.png"))
