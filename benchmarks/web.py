"""Streams in a browser: frames shown, source to paint, and what looking costs the server and a recorder.

    python benchmarks/web.py [--quick] [--seconds 10] [--minutes 10] [--stages] [--height 800]

1. *Binning*: 2048x2048 uint16 made smaller, against a memcpy of the image in the same run.
2. *Page*: a second process publishes 512x512 uint16 at 100 Hz, and a headless Chromium with software WebGL
   looks at it through ``pymilk web``. Frames shown a second; and, in a second turn, source to paint: from the
   clock just before `set_data` to the same clock (CLOCK_REALTIME; Date.now(), rounded up to the next
   millisecond) when the browser has presented the frame, and the graphics card has given back a pixel of it.
   Not measured without Chromium or playwright. The window is 1200x800, the canvas in it 480 pixels high, so
   that 512x512 is sent as the mean of 2x2; with ``--height 900`` every pixel is sent. ``--stages`` adds where
   that time goes, by stamps along the way. Reading the pixel back holds up the page until the card has done
   everything: what comes meanwhile waits.
3. *Server*: processor time of its process for each viewer of the same camera: programs that take 25 frames/s.
4. *Recorder*: 8 viewers, and one that is stopped while frames are sent to it, beside a recorder of the same
   stream, 120x120 uint16 at 5 kHz from a ring. Files of 10 seconds, one after the other. Frames lost have to
   be 0; memory of the server (RssAnon), looked at each second, has to stay.

Exit code 1 if the recorder lost a frame.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import importlib.util
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from figures import median_of
from ring import verdict

import pymilk
from pymilk.native.bins import bin_image

SIDE = 512
VIEWERS = 8
RECORDED_HZ = 5000
FILE_SECONDS = 10

#: Frames 512x512 at a rate; the time of each in a table, by its counter.
CAMERA = """
import sys, threading, time
import numpy as np
from pymilk import SHM
side, rate = int(sys.argv[1]), float(sys.argv[2])
times = np.memmap(sys.argv[3], np.int64, "r+")
frames = np.random.default_rng(1).integers(0, 4096, (16, side, side), np.uint16)
over = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), over.set()), daemon=True).start()
with SHM("shown", frames[0]) as shm:
    print("ready", flush=True)
    number, due = 1, time.monotonic()
    while not over.is_set():
        number += 1
        times[number % len(times)] = time.time_ns()
        shm.set_data(frames[number % 16])
        due = max(due + 1 / rate, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))
    shm.destroy()
"""

#: Frames 120x120 at a rate, from a ring of two seconds.
FAST_CAMERA = """
import sys, threading
import numpy as np
from pymilk import SHM
rate = int(sys.argv[1])
cube = np.random.default_rng(1).integers(0, 4096, (rate // 10, 120, 120), np.uint16)
over = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), over.set()), daemon=True).start()
with SHM("fast", ((120, 120), np.uint16), ring=2 * rate) as shm:
    print("ready", flush=True)
    while not over.is_set():
        shm.set_many(cube, rate=rate)
    shm.destroy()
"""

#: Viewers that are no browsers: each takes so many frames a second. The last ones are never read from again.
CLIENTS = """
import asyncio, json, sys
from websockets.asyncio.client import connect
address, stream, viewers, stopped, rate = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
where, token = address.replace("http", "ws").split("#token=")
taken = [0] * viewers
async def look(number):
    loop = asyncio.get_running_loop()
    async with connect(where + "view", compression=None, max_size=None) as socket:
        await socket.send(json.dumps({"token": token, "stream": stream, "protocol": 2}))
        due, painted = loop.time() + number / (rate * max(1, viewers)), None
        while True:
            await socket.send(json.dumps({"ready": painted}))
            while isinstance(message := await socket.recv(), str):
                pass
            header = json.loads(message[4 : 4 + int.from_bytes(message[:4], "little")])
            painted = {"cnt0": header["cnt0"], "file": header["file"]}
            if number < viewers:
                taken[number] += 1
            due = max(due + 1 / rate, loop.time())
            await asyncio.sleep(due - loop.time())
async def main():
    tasks = [asyncio.create_task(look(number)) for number in range(viewers + stopped)]
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    print(json.dumps(taken), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
asyncio.run(main())
"""

#: Note of each message when it comes, and how old its frame was when the server took it.
STAMPS = """
const made = Object.getOwnPropertyDescriptor(WebSocket.prototype, "onmessage");
Object.defineProperty(WebSocket.prototype, "onmessage", { ...made, set(take) {
  made.set.call(this, (event) => {
    window.came = { at: performance.timeOrigin + performance.now() };
    if (typeof event.data !== "string") {
      const length = new DataView(event.data).getUint32(0, true);
      const header = JSON.parse(new TextDecoder().decode(new Uint8Array(event.data, 4, length)));
      window.came.age = header.age;
      window.sent = header.size.join("x");
    }
    take(event);
  });
} });
"""

#: What there is between these stamps.
STAGES = (
    "until the server takes it",
    "to the page",
    "decoded, uploaded, drawing asked for",
    "until the next animation frame",
    "until the browser has handed it on",
    "until the card is done",
)

#: Note when each frame was presented: after the next animation frame, once the card gives back a pixel of it.
WATCH = """() => {
  const view = document.querySelector(".view");
  const gl = view.querySelector(".stage canvas").getContext("webgl2");
  const pixel = new Uint8Array(4);
  const now = () => performance.timeOrigin + performance.now();
  window.presented = [];
  new MutationObserver(() => {
    const counter = Number(view.dataset.cnt0);
    const { age, at } = window.came;
    const stamps = [at, now()];
    requestAnimationFrame(() => {
      stamps.push(now());
      setTimeout(() => {
        stamps.push(now());
        gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel);
        window.presented.push([counter, Date.now() + 1, age, [...stamps, now()]]);
      });
    });
  }).observe(view, { attributes: true, attributeFilter: ["data-cnt0"] });
}"""

BROWSER = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


def start(*command: object, code: str = "") -> subprocess.Popen[str]:
    """Start a Python process, of some code or with options; its first line is kept as `said`."""
    options = ["-c", code] if code else []
    child = subprocess.Popen(
        [sys.executable, *options, *map(str, command)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONSAFEPATH": "1"},
    )  # fmt: skip
    assert child.stdout is not None
    child.said = child.stdout.readline().strip()  # type: ignore[attr-defined]
    if not child.said:  # type: ignore[attr-defined]
        sys.exit("a process did not get ready")
    return child


@contextlib.contextmanager
def running(*command: object, code: str = "") -> Iterator[subprocess.Popen[str]]:
    """Start a process, and end it: those of ours by a line, the command by a signal."""
    child = start(*command, code=code)
    try:
        yield child
    finally:
        if not code:
            child.terminate()
        child.send_signal(signal.SIGCONT)
        try:
            child.communicate("\n\n", timeout=20)
        except subprocess.TimeoutExpired:
            child.kill()
            raise


def used(pid: int) -> float:
    """Return the processor time of a process in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> float:
    """Return the memory of its own that a process has, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def binning(repeats: int) -> None:
    """Make an image smaller, beside a memcpy of it."""
    image = np.random.default_rng(1).integers(0, 4096, (2048, 2048), np.uint16)
    copy = np.zeros_like(image)
    memcpy = ctypes.CDLL(None).memcpy
    memcpy.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
    ways: dict[str, Any] = {"memcpy": (lambda: memcpy(copy.ctypes.data, image.ctypes.data, image.nbytes))}
    for how in ("mean", "max"):
        for side in (2, 4):
            out = np.empty((2048 // side, 2048 // side), np.uint16)
            ways[f"{how} of {side}x{side}"] = lambda out=out, side=side, how=how: bin_image(
                image, out, side, side, how
            )

    def timed(work: Any) -> Any:
        def once() -> float:
            began = time.perf_counter()
            work()
            return time.perf_counter() - began

        return once

    found = median_of(repeats, {name: timed(work) for name, work in ways.items()})
    print(f"\n2048x2048 uint16 made smaller; memcpy of the image {found['memcpy'] * 1e3:.2f} ms")
    for name, seconds in list(found.items())[1:]:
        print(f"  {name:12} {seconds * 1e3:5.2f} ms = {seconds / found['memcpy']:.1f} copies")


def page(address: str, server: int, times: Any, chosen: argparse.Namespace, seconds: float) -> None:
    """Look at the camera with a browser."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None or importlib.util.find_spec("playwright") is None:
        print("\npage: not measured; it needs Chromium and playwright")
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=BROWSER)
        look = browser.new_page(viewport={"width": 1200, "height": chosen.height})
        look.add_init_script(STAMPS)
        look.goto(f"{address}&view=shown")
        shown = "Number(document.querySelector('.view')?.dataset.shown ?? 0)"
        while look.evaluate(shown) < 20:
            time.sleep(0.1)
        before, began, cpu = look.evaluate(shown), time.monotonic(), used(server)
        time.sleep(seconds)
        after, spent, cpu = look.evaluate(shown), time.monotonic() - began, used(server) - cpu
        look.evaluate(WATCH)
        time.sleep(seconds)
        presented, sent = look.evaluate("[window.presented, window.sent]")
        browser.close()
    rate = (after - before) / spent
    written = [times[counter % len(times)] / 1e6 for counter, *_ in presented]
    delays = [moment - before for (_, moment, *_), before in zip(presented, written, strict=True)]
    middle, late = statistics.median(delays), sorted(delays)[int(0.9 * len(delays))]
    print(f"\npage, {SIDE}x{SIDE} uint16 at 100 Hz, sent as {sent}, Chromium, software WebGL, {spent:.0f} s")
    print(f"  shown          {rate:5.1f} /s   limit 25  {verdict(rate >= 25)}")
    print(
        f"  source to paint p50 {middle:.0f} ms, p90 {late:.0f} ms, {len(delays)} frames   limit p50 40 ms  "
        f"{verdict(middle <= 40)}"
    )
    if chosen.stages:
        tell_stages(presented, written)
    each = cpu / (after - before)
    print(f"  server {cpu / spent:.1%} of a core, {each * 1e3:.2f} ms a frame   limit 5%  "
          f"{verdict(cpu / spent <= 0.05)}")  # fmt: skip


def tell_stages(presented: list[Any], written: list[float]) -> None:
    """Print where the time from the source to the screen goes."""
    both = [(each, before) for each, before in zip(presented, written, strict=True) if each[2] is not None]
    stamps = [[before, before + 1e3 * age, *rest] for (_, _, age, rest), before in both]
    for name, spans in zip(STAGES, np.diff(np.array(stamps), axis=1).T, strict=True):
        print(f"    {name:38} p50 {np.median(spans):5.1f} ms, p90 {np.percentile(spans, 90):5.1f} ms")


def cost(address: str, server: int, viewers: int, seconds: float) -> None:
    """Ask for the processor time of the server, with viewers of the 512x512 camera."""
    with running(address, "shown", viewers, 0, 25, code=CLIENTS) as clients:
        began, cpu = time.monotonic(), used(server)
        time.sleep(seconds)
        spent, cpu = time.monotonic() - began, used(server) - cpu
        taken = told(clients)
    share = cpu / spent / viewers
    print(
        f"  viewers: {viewers}, each got {sum(taken) / viewers / spent:.1f} frames/s: "
        f"{share:.1%} of a core each   limit 5%  {verdict(share <= 0.05)}"
    )


def told(clients: subprocess.Popen[str]) -> list[int]:
    """Ask the viewers how many frames each got."""
    assert clients.stdin is not None
    assert clients.stdout is not None
    clients.stdin.write("\n")
    clients.stdin.flush()
    return list(json.loads(clients.stdout.readline()))


def beside_a_recorder(address: str, server: int, seconds: float, folder: Path) -> int:
    """Record beside viewers, one of them stopped; returns the number of frames lost."""
    lost = recorded = 0
    sizes: list[float] = []
    rates: list[float] = []
    with (
        running(RECORDED_HZ, code=FAST_CAMERA) as camera,
        running(address, "fast", VIEWERS, 0, 25, code=CLIENTS) as clients,
        running(address, "fast", 0, 1, 1000, code=CLIENTS) as stopped,
    ):
        time.sleep(0.5)
        stopped.send_signal(signal.SIGSTOP)
        parts = {"camera": camera.pid, "recorder": os.getpid(), "server": server, "viewers": clients.pid}
        before = {name: used(pid) for name, pid in parts.items()}
        began = time.monotonic()
        while (left := began + seconds - time.monotonic()) > 0.1:
            file = folder / "fast.npy"
            with pymilk.Recorder("fast", file, seconds=min(FILE_SECONDS, left)) as recorder:
                while recorder.running:
                    sizes.append(memory(server))
                    time.sleep(min(1.0, seconds / 10))
                report = recorder.wait()
            recorded, lost = recorded + report.recorded, lost + report.lost
            rates.append(report.streams["fast"].rate)
            for each in folder.glob("fast.*"):
                each.unlink()
        spent = time.monotonic() - began
        shares = {name: (used(pid) - before[name]) / spent for name, pid in parts.items()}
        taken = told(clients)
    print(f"\nrecorder, 120x120 uint16 at {RECORDED_HZ} Hz, {VIEWERS} viewers and one stopped, {spent:.0f} s")
    print(
        f"  recorded {recorded} frames, at least {min(rates):.0f}/s in each file; "
        f"lost {lost}   limit 0  {verdict(lost == 0)}"
    )
    print(f"  viewers got {min(taken) / spent:.1f} to {max(taken) / spent:.1f} frames/s")
    print(f"  of a core: {', '.join(f'{name} {share:.0%}' for name, share in shares.items())}")
    third = max(1, len(sizes) // 3)
    more = max(sizes[-third:]) - max(sizes[third : 2 * third])
    some = ", ".join(f"{size:.1f}" for size in sizes[:: max(1, len(sizes) // 10)])
    print(f"  memory of the server, MiB: {some}")
    print(f"  its last third against the one before {more:+.1f} MiB   limit +1  {verdict(more <= 1)}")
    return lost


def main() -> None:
    """Print the machine and all figures; exit code 1 if a frame was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a smoke test: seconds")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each figure")
    parser.add_argument("--minutes", type=float, default=10.0, help="beside the recorder")
    parser.add_argument("--height", type=int, default=800, help="of the browser's window, pixels")
    parser.add_argument("--stages", action="store_true", help="where the time to the screen goes")
    chosen = parser.parse_args()
    seconds, long = (0.5, 1.5) if chosen.quick else (chosen.seconds, 60 * chosen.minutes)
    print(f"{platform.processor() or platform.machine()}, Linux {platform.release()}, "
          f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}, pymilk {pymilk.__version__}")  # fmt: skip
    binning(5 if chosen.quick else 31)
    shm = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(prefix="pymilk-web-", dir=shm) as streams, \
            tempfile.TemporaryDirectory(prefix="pymilk-web-") as folder:  # fmt: skip
        os.environ["MILK_SHM_DIR"] = streams
        times = np.memmap(Path(folder, "times"), np.int64, "w+", shape=(1 << 16,))
        with running("-m", "pymilk", "web", "--port", "0") as server:
            address = server.said  # type: ignore[attr-defined]
            with running(SIDE, 100, Path(folder, "times"), code=CAMERA):
                page(address, server.pid, times, chosen, seconds)
                print(f"\nserver, {SIDE}x{SIDE} uint16")
                for viewers in (VIEWERS,) if chosen.quick else (1, VIEWERS):
                    cost(address, server.pid, viewers, seconds)
            lost = beside_a_recorder(address, server.pid, long, Path(folder))
    sys.exit(1 if lost else 0)


if __name__ == "__main__":
    main()
