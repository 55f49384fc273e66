"""Draw two pictures of ``pymilk web`` and a simulated Shack-Hartmann sensor.

    python docs/web_tools.py [FOLDER]

``web.png`` has statistics and cuts, ``web_history.png`` the history of the peak of a spot and its spectrum,
in the dark theme.

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
TOOLS = (
    "&view=ao_wfs,colour:heat,tool:statistics,regions:box 20 20 12 8;circle 40 34 6;line 8.5 50.5 56.5 56.5"
    "&view=ao_wfs,colour:viridis,tool:cuts"
)

HISTORY = (
    "&theme=dark"
    "&view=ao_wfs,colour:heat,tool:history,stat:max,regions:box 54 54 12 12"
    "&view=ao_wfs,colour:heat,tool:history spectrum,stat:max,regions:box 54 54 12 12"
)

#: Of all views, how many frames the slowest has shown.
SHOWN = "Math.min(...[...document.querySelectorAll('.view')].map((view) => Number(view.dataset.shown ?? 0)))"


def draw(folder: str) -> None:
    """Draw the pages once each view has shown some frames."""
    from playwright.sync_api import sync_playwright

    from pymilk.simulate import SimulatedLoop
    from pymilk.web import Settings, WebServer

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with SimulatedLoop("ao", rate=100), WebServer(Settings(port=0)) as server, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=OPTIONS)
        for name, views, high, frames in (("web", TOOLS, 900, 30), ("web_history", HISTORY, 860, 150)):
            page = browser.new_page(viewport={"width": 1300, "height": high})
            page.goto(server.address + views)
            while page.evaluate(SHOWN) < frames:
                time.sleep(0.2)
            for view in page.query_selector_all(".view"):
                view.query_selector("text=Levels").click()
            if name == "web":
                page.locator(".stage canvas").nth(1).hover(position={"x": 213, "y": 165})
            time.sleep(1)
            page.screenshot(path=os.path.join(folder, f"{name}.png"))
            page.close()
        browser.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="pymilk-web-", dir="/dev/shm") as folder:
        os.environ["MILK_SHM_DIR"] = folder
        draw(sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__)))
