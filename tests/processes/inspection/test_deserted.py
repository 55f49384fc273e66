"""Processes that go on writing into a file that has no name any more, and who says so."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from pymilk import SHM, Relay
from pymilk._core import Stream
from pymilk.errors import StreamGoneWarning, StreamNotFoundError
from pymilk.system import mappings
from support.calling import call
from support.findings import about

FRAME = np.ones((4, 4), np.uint16)

#: Publishes at 100 Hz until its stdin ends; `create` makes the stream.
CAMERA = """
import sys, threading, warnings
import numpy as np
from pymilk import SHM, Stream
{create}
end = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), end.set())).start()
print("ready", flush=True)
warnings.showwarning = lambda message, category, *_: print(category.__name__, message, flush=True)
while not end.wait(0.01):
    {publish}
"""
PLAIN = CAMERA.format(
    create='stream = Stream.create("cam", (4, 4), "u2")', publish="stream.publish(np.ones((4, 4), 'u2'))"
)


@pytest.fixture
def camera(spawn):
    child = spawn(PLAIN)
    child.expect("ready")
    return child


def remake() -> None:
    """Make the stream anew, as a script does that knows nothing of its camera."""
    with Stream.create("other", (4, 4), "u2") as stream:
        os.rename(stream.path, os.path.join(os.path.dirname(stream.path), "cam.im.shm"))


@pytest.mark.parametrize("how", ["deleted", "replaced by a new file"])
def test_doctor_names_who_writes_and_why(camera, shm_dir, how):
    assert about("deserted") == []
    if how == "deleted":
        os.unlink(shm_dir / "cam.im.shm")
    else:
        remake()
    [finding] = about("deserted")
    assert "cam: its file (inode " in finding["found"]
    assert f") was {how}, and process {camera.pid} (python" in finding["found"]
    for cause in ("made the stream anew", "RemoveIPC", "restart that process"):
        assert cause in finding["todo"]
    if os.geteuid() == 0:
        assert "still writes into it" in finding["found"]
        assert finding["level"] == "problem"
    camera.kill()
    assert about("deserted") == []


def test_who_only_reads_or_made_it_by_a_link_is_not_named(spawn, shm_dir, make):
    """A new file that must not replace one gets its name by a link: maps show its first name, deleted."""
    made = spawn(PLAIN.replace('"u2")\n', '"u2", exist_ok=False)\n'))
    made.expect("ready")
    assert about("deserted") == []
    reader = spawn(
        "import sys\nfrom pymilk import Stream\nstream = Stream.attach('cam', writable=False)\n"
        "print('ready', flush=True)\nsys.stdin.readline()"
    )
    reader.expect("ready")
    made.kill()
    os.unlink(shm_dir / "cam.im.shm")
    assert about("deserted") == []


def test_writer_of_what_pymilk_removed(camera):
    """It was taken aside before it was deleted: the maps show that name."""
    with Stream.attach("cam") as stream:
        stream.destroy()
    [finding] = about("deserted")
    assert "cam: its file" in finding["found"]


def test_command(camera, shm_dir):
    os.unlink(shm_dir / "cam.im.shm")
    said = call("doctor", "--json")
    [finding] = [each for each in json.loads(said.stdout) if each["topic"] == "deserted"]
    assert f"process {camera.pid}" in finding["found"]


def test_missing_stream_names_its_writer_once_in_a_while(camera, shm_dir, monkeypatch):
    monkeypatch.setattr(mappings, "_MENTION_SECONDS", 10.0)
    os.unlink(shm_dir / "cam.im.shm")
    told = rf"still open for writing in process {camera.pid} \(python"
    for name, pattern in (("cam", told), ("other", "no stream")):
        monkeypatch.setattr(mappings, "_mentioned", -1e9)
        with pytest.raises(StreamNotFoundError, match=pattern) as caught:
            SHM(name)
        assert caught.value.stream == name
        assert ("open for writing" in str(caught.value)) == (name == "cam")
    with pytest.raises(StreamNotFoundError) as caught:  # a script may try again and again
        SHM("cam")
    assert "open for writing" not in str(caught.value)


WRITERS = {
    "SHM": ('shm = SHM("cam", np.zeros((4, 4), np.uint16))', "shm.set_data(np.ones((4, 4), np.uint16))"),
    "publish": ('shm = Stream.create("cam", (4, 4), "u2")', "shm.publish(np.ones((4, 4), 'u2'))"),
    "claim": ('shm = Stream.create("cam", (4, 4), "u2")', "\n    with shm.claim(): pass"),
    "publish_many": (
        'shm = Stream.create("cam", (4, 4), "u2")',
        "shm.publish_many(np.ones((1, 4, 4), 'u2'), 100, interval_ns=10_000_000)",
    ),
    "xaosim": (
        'from pymilk.compat.xaosim import shm as Shm\nshm = Shm("cam", data=np.zeros((4, 4), np.uint16))',
        "shm.set_data(np.ones((4, 4), np.uint16))",
    ),
    "Image": (
        "from pymilk.image import Image\nshm = Image()\nshm.create('cam', np.zeros((4, 4), np.uint16))",
        "shm.write(np.ones((4, 4), np.uint16))",
    ),
    "player": (
        "from pymilk import Player\n"
        "shm = Player(np.zeros((3, 4, 4), np.uint16), 'cam', rate=100, loop=True).start()",
        "pass",
    ),
}


@pytest.mark.parametrize(("create", "publish"), WRITERS.values(), ids=WRITERS)
def test_writer_notices_within_a_second_or_so(spawn, shm_dir, create, publish):
    camera = spawn(CAMERA.format(create=create, publish=publish))
    camera.expect("ready")
    os.unlink(shm_dir / "cam.im.shm")
    said = camera.hear(timeout=3)
    assert said.startswith("StreamGoneWarning stream 'cam': its file was deleted, and nobody sees")
    camera.tell("")
    assert camera.finish()[1].count("StreamGoneWarning") == 0  # said once


def test_writer_whose_file_was_replaced(camera):
    remake()
    assert "StreamGoneWarning stream 'cam': its file was replaced by another one" in camera.hear(timeout=3)


def test_relay_that_is_tended(make, shm_dir):
    make("cam", FRAME)
    with Relay("cam", "ring", 8) as relay:
        relay.tend()
        os.unlink(shm_dir / "ring.im.shm")
        with pytest.warns(StreamGoneWarning, match="nobody sees what is relayed"):
            relay.tend()
        relay.tend()
