"""The Python of the documentation runs as it is printed, beside a live camera."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import pytest

from pymilk import SimulatedCamera
from support.bridging import free_port
from support.paths import ROOT

pytestmark = pytest.mark.skipif(not (ROOT / "setup.py").exists(), reason="needs the sources")

#: A block of Python, and what is printed beside it, if that is stable.
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```\n(.*?)^```\n)?", re.M | re.S)


@dataclass(frozen=True)
class Page:
    """A page, and what its blocks need to run here.

    Parameters
    ----------
    path : str
    before : str
        Code that makes what the page supposes to be there.
    instead : dict of str to str
        Text of the page, and what is run in its place: nothing where it would never end, or needs what a test
        has not; smaller numbers where it would take minutes.
    left_out : dict of str to str
        How blocks begin that are not run, and why.
    needs : tuple of str
        Libraries.
    """

    path: str
    before: str = ""
    instead: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()


RECORDED = """
import pymilk
for file in {files}:
    pymilk.record("cam0", file, frames=100)
"""

PAGES = [
    Page("README.md"),
    Page("docs/start.md"),
    Page(
        "docs/arrays.md",
        before=RECORDED.format(files=["cam0.fits", "dark.h5", "night.fits", "wfs.zarr"]),
        instead={
            "import torch\n": "",
            "    tensor = torch.from_dlpack(shm)                 # the newest frame\n": "",
            "pymilk.plot(shm) ": "shm = pymilk.SHM('cam0'); capture = shm.capture(50)\n"
            "recording = pymilk.load('cam0.fits')\npymilk.plot(shm) ",
        },
        left_out={
            'with pymilk.load("wfs.h5") as wfs:': "needs xarray and dask, and a night that is over",
            "import xarray": "needs storage of the S3 kind; see recording/test_archive.py",
            "import aotpy": "needs aotpy, and recordings of a whole system",
        },
        needs=("astropy", "h5py", "zarr", "matplotlib", "av", "PIL"),
    ),
    Page(
        "docs/recording.md",
        before="""
import time, pymilk
observe = lambda: time.sleep(0.1)
for file in ("cam.npy", "cam.fits", "cam.h5", "cam.zarr"):
    pymilk.record("cam0", file, frames=50)
""",
        instead={
            "frames=100_000": "frames=200",
            '["wfs", "dm00"]': '["cam0"]',
            "import xarray\n": "",
            "night = xarray": "# night = xarray",
            'night["frames"]': '# night["frames"]',
        },
        needs=("astropy", "h5py", "zarr"),
    ),
    Page(
        "docs/channels.md",
        before="""
import numpy as np, pymilk, select, threading
picture, block = np.zeros((480, 640, 2), np.uint8), np.zeros((480, 2), np.int32)
shm = pymilk.SHM("cam0")
""",
        instead={
            'log = MessageLog.attach("cam0") ': 'log = MessageLog.attach("cam0", start="oldest") ',
            "for message in log: ...": "",
            "state.wait_for_change(state.epoch, timeout=5)": "state.wait_for_change(0, timeout=5)",
            "queue.serve(": "threading.Thread(target=queue.serve, daemon=True, args=(",
            'f"did {text}")': 'f"did {text}",)).start()',
            'table = Table.attach("seeing") ': 'table = Table.attach("seeing", start="oldest") ',
            'VideoStream.attach("finder")': 'VideoStream.attach("finder", start="oldest")',
            'AudioStream.attach("dome")': 'AudioStream.attach("dome", start="oldest")',
            "\nmessage = await log": "\n# message = await log",
            "async for rows in table: ...": "",
            "async for command in queue: ": "# async for command in queue: ",
            "\nreply = await queue": "\n# reply = await queue",
            "select.select([log, table, queue], [], [])": "select.select([log, table, queue], [], [], 0)",
        },
        needs=("pandas",),
    ),
    Page("docs/debugging.md"),
    Page(
        "docs/web.md",
        before="import pymilk",
        instead={'pymilk.live("wfs"': 'view = pymilk.live("cam0"'},
        needs=("starlette", "anywidget"),
    ),
    Page(
        "docs/bridge.md",
        before="""
from pymilk.channels import MessageLog
from pymilk.parameters import FPS
log = MessageLog.create("cam0")
log.append("there")
with FPS.create("loop", directories=False) as made:
    made.add_param("gain", "FLOAT32", 0.2, limits=(0, 1))
""",
        instead={
            # Both ends are here: the sender stays until the other one is done.
            """ log=("cam*",)) as sender:    # there\n    sender.wait()\n""": """ log=("cam*",)) as sender:
    with Tail("rtc/cam0", Links(connect=("tcp/127.0.0.1:7447",)), follow=False) as tail:
        assert [message.data for message in tail] == ["there"]
""",
            """with Tail("rtc/cam0", Links(connect=("tcp/127.0.0.1:7447",)), last=10) as tail:    # here
    for message in tail:
        print(message.number, message.time_ns, message.data, message.lost)
""": "log.close()\n",
            "   # on the machine of the loop\n    sender.wait()\n": """
    with RemoteParameters("rtc", "loop", Links(connect=("tcp/127.0.0.1:7447",))) as loop:
        loop["gain"] = 0.3
        assert loop.param("gain").limits == (0.0, 1.0)
""",
            """with RemoteParameters("rtc", "loop", Links(connect=("tcp/127.0.0.1:7447",))) as loop:
    loop["gain"] = 0.3              # elsewhere; raises what FPS raises: FPSLimitError, FPSReadOnlyError, ...
    loop.param("gain").limits       # (0.0, 1.0)
    for change in loop.watch("gain", "mode", timeout=60):
        print(change.key, change.value)
    loop.run_stop()
""": "",
            '"wfs*"': '"cam0"',
            "rtc/wfs": "rtc/cam0",
            ":7447": f":{free_port()}",
            ".wait()": ".wait(0.1)",
        },
        needs=("zenoh",),
    ),
    Page(
        "docs/parameters.md",
        before="""
from pymilk.parameters import FPS, ParameterFlag
with FPS.create("aol1", directories=False) as made:
    made.add_param("gain", "FLOAT32", 0.3, limits=(0, 1))
""",
        instead={'for change in fps.watch("gain"):\n    print(change.value)\n': ""},
        left_out={
            "fps.tmux_start()": "starts a session of tmux",
            "def step(run):": "a module of the reader",
            "with fps.running() as run:": "runs until it is told to stop",
        },
    ),
]


def blocks_of(page: Page) -> Iterator[tuple[int, str, str | None]]:
    """Give the line of each block, its code, and what it prints."""
    text = (ROOT / page.path).read_text()
    unused = {*page.instead, *page.left_out}
    for found in BLOCK.finditer(text):
        code = found[1]
        if begun := [start for start in page.left_out if code.startswith(start)]:
            unused -= {*begun}
            continue
        for here, there in page.instead.items():
            if here in code:
                unused.discard(here)
                code = code.replace(here, there)
        yield text[: found.start()].count("\n") + 2, code, found[2]
    assert not unused, f"not on the page: {unused}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
def test_page_runs_as_printed(
    page: Page, shm_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = [name for name in page.needs if find_spec(name) is None]
    if missing:
        pytest.skip(f"needs {' and '.join(missing)}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    names: dict[str, object] = {"__name__": "__main__"}
    count = 0
    with SimulatedCamera("cam0", rate=1000), contextlib.ExitStack() as closing:
        exec(page.before, names)
        for line, code, wanted in blocks_of(page):
            said = io.StringIO()
            with contextlib.redirect_stdout(said):
                # Tracebacks name the line of the page.
                exec(compile("\n" * (line - 1) + code, str(ROOT / page.path), "exec"), names)
            if wanted is not None:
                assert said.getvalue() == wanted, f"{page.path}:{line}"
            count += 1
        for value in names.values():
            if hasattr(value, "close") and hasattr(value, "__exit__") and not isinstance(value, type):
                closing.callback(value.close)
    assert count >= 1


def test_each_page_with_python_is_run() -> None:
    texts = {path: path.read_text() for path in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]}
    with_python = {str(path.relative_to(ROOT)) for path, text in texts.items() if BLOCK.search(text)}
    assert with_python == {page.path for page in PAGES}
