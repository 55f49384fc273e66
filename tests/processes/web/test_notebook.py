"""Live views in a notebook, without a browser: what is sent, and that they end."""

from __future__ import annotations

import json
import queue
import struct
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette")
pytest.importorskip("anywidget")

import pymilk
from pymilk import SHM
from pymilk.errors import LibraryMissingError, StreamArgumentError, StreamNotFoundError
from support.waiting import PATIENCE, until


class Cell:
    """The output of a cell that shows a view: says what the page's part says, keeps what it is sent."""

    def __init__(self, shown: Any, number: str = "a") -> None:
        self.came: queue.Queue[tuple[dict[str, Any], list[bytes]]] = queue.Queue()
        self._shown, self._number = shown, number
        send = shown.widget.send

        def heard(message: dict[str, Any], buffers: list[bytes]) -> None:
            send(message, buffers)  # nobody hears it here, but it has to be possible
            if message["id"] == number:
                self.came.put((message, buffers))

        shown.widget.send = heard
        self._painted: dict[str, Any] | None = None
        self.say(open=True)

    def say(self, **said: Any) -> None:
        self._shown.widget._handle_custom_msg({"id": self._number, **said}, [])

    def next(self, **view: Any) -> tuple[dict[str, Any], bytes]:
        self.say(say=json.dumps({"ready": self._painted, "view": view}))
        while True:
            _, buffers = self.came.get(timeout=PATIENCE)
            if buffers:
                (length,) = struct.unpack_from("<I", buffers[0])
                header = json.loads(buffers[0][4 : 4 + length])
                self._painted = {"cnt0": header["cnt0"], "file": header["file"]}
                return header, buffers[0][4 + length :]


def test_frames_for_credit(shm_dir: Any) -> None:
    image = np.arange(12, dtype="u2").reshape(3, 4)
    with SHM("cam", image) as cam:
        shown = cam.live(stretch="log", turn=1)
        assert shown.widget._start == {"stream": "cam", "settings": {"stretch": "log", "turn": "1"}}
        assert {"view.js", "server.js", "style.css"} <= set(shown.widget._modules)
        cell = Cell(shown)
        header, pixels = cell.next()
        assert (pixels, header["cnt0"]) == (image.tobytes(), 1)
        for _ in range(4):
            cam.set_data(image + 1)
        header, pixels = cell.next()
        assert (pixels, header["shown"], header["skipped"]) == ((image + 1).tobytes(), 1, 0)
        header, _ = cell.next(left=1, right=2)
        assert (header["region"], shown.views) == ([1, 0, 2, 3], 1)
        assert (header["shown"], header["skipped"]) == (2, 3)
        # Shown a second time, in another output, with its own account.
        other = Cell(shown, "b")
        assert other.next()[0]["shown"] == 0
        cell.say(leave=True)
        until(lambda: shown.views == 1)
        other.say(say="what?")
        while "end" not in (ended := other.came.get(timeout=PATIENCE)[0]):
            pass
        assert "JSON" in ended["end"]
        until(lambda: shown.views == 0)
        shown.close()
        shown.close()
        assert not shown.running
        assert "closed" in repr(shown)


def test_nothing_is_left(shm_dir: Any) -> None:
    before = set(threading.enumerate())
    with SHM("cam", np.zeros((2, 2))):
        shown = pymilk.live("cam")
        cell = Cell(shown)
        cell.next()
        for said in ({"id": 7}, {"id": "none", "say": "{}"}, "x", None, {"id": "a", "say": 7}):
            shown.widget._handle_custom_msg(said, [])
        shown.close()
    until(lambda: set(threading.enumerate()) <= before)


def test_what_is_no_stream(shm_dir: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StreamNotFoundError):
        pymilk.live("nothing")
    for given in (7, "", "../x", None):
        with pytest.raises(StreamArgumentError):
            pymilk.live(given)
    with SHM("cam", np.zeros((2, 2))) as cam:
        monkeypatch.setitem(sys.modules, "anywidget", None)
        with pytest.raises(LibraryMissingError, match="pip install anywidget"):
            cam.live()


PROGRAM = """
import sys
import numpy as np, pymilk
assert not [name for name in sys.modules if name.startswith("pymilk.web")]
with pymilk.SHM("cam", np.zeros((2, 2))) as cam:
    shown = cam.live()
    shown.widget._handle_custom_msg({"id": "a", "open": True}, [])
    print("ends", flush=True)
"""


def test_it_ends_with_its_process(shm_dir: Any) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ends\n", "")


@pytest.mark.filterwarnings("ignore")  # those of the libraries of Jupyter
def test_in_a_real_kernel(shm_dir: Any) -> None:
    """By the messages that a notebook exchanges with its kernel."""
    pytest.importorskip("ipykernel")
    manager = pytest.importorskip("jupyter_client.manager")
    image = np.arange(6, dtype="u2").reshape(2, 3)
    with SHM("cam", image):
        kernel, notebook = manager.start_new_kernel(kernel_name="python3")
        try:
            notebook.execute("import pymilk; shown = pymilk.live('cam'); shown")
            came: dict[str, Any] = {}
            while "execute_result" not in came:
                message = notebook.get_iopub_msg(timeout=60)
                assert message["msg_type"] != "error", message["content"]
                if "_modules" in message["content"].get("data", {}).get("state", {}):
                    came["comm"] = message["content"]["comm_id"]
                came[message["msg_type"]] = message["content"]
            assert "application/vnd.jupyter.widget-view+json" in came["execute_result"]["data"]
            for said in ({"open": True}, {"say": '{"ready": null}'}):
                data = {"method": "custom", "content": {"id": "a", **said}}
                asked = notebook.session.msg("comm_msg", {"comm_id": came["comm"], "data": data})
                notebook.shell_channel.send(asked)
            while not (message := notebook.get_iopub_msg(timeout=60))["buffers"]:
                pass
            assert bytes(message["buffers"][0])[-12:] == image.tobytes()
        finally:
            notebook.stop_channels()
            kernel.shutdown_kernel()  # asks it to end, and waits
            kernel.cleanup_resources()
    assert not kernel.is_alive()
