"""``pymilk ls``: the table, its order, its JSON."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("click", reason="extra cli")

pytest.importorskip("rich", reason="extra cli")

from pymilk._core import Stream
from support.calling import call, done


def test_ls_says_what_files_are_that_are_no_streams(make_stream, shm_dir):
    stream = make_stream("good", (12, 20), "u2")
    raw = Path(stream.path).read_bytes()
    files = {
        "cut": (raw[:-100], "the file was cut"),
        "long": (raw + b"x", "the file was extended"),
        "isio1": (b"1.00".ljust(32, b"\0") + raw[32:], "stream of ImageStreamIO 1.00"),
        "oldest": (b"0.0.2".ljust(32, b"\0") + raw[32:], "stream of ImageStreamIO 0.0.2"),
        "newer": (b"3.00".ljust(32, b"\0") + raw[32:], "newer than this pymilk"),
        "xaosim": (b"xaosim".ljust(32, b"\0") + raw[32:], "written by xaosim"),
        "noise": (np.random.default_rng(3).bytes(40000), "version is not text"),
        "zeros": (bytes(4000), "still being created, or its creator died"),
        "empty": (b"", "file size is 0"),
    }
    for name, (content, _) in files.items():
        (shm_dir / f"{name}.im.shm").write_bytes(content)
    (shm_dir / "folder.im.shm").mkdir()
    os.mkfifo(shm_dir / "pipe.im.shm")
    (shm_dir / "null.im.shm").symlink_to("/dev/null")
    (shm_dir / "gone.im.shm").symlink_to("nowhere")
    (shm_dir / "loop.im.shm").symlink_to("loop.im.shm")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(shm_dir / "sock.im.shm"))
    said = dict(line.split(".im.shm: ") for line in done("ls").splitlines()[2:])
    wanted = {name: words for name, (_, words) in files.items()}
    wanted |= {"folder": "is a directory", "pipe": "is a FIFO", "null": "is a device", "sock": "is a socket",
               "gone": "a link to nowhere, where nothing is", "loop": "a link to loop.im.shm"}  # fmt: skip
    assert set(said) == set(wanted)
    for name, words in wanted.items():
        assert words in said[name]


def test_a_look_maps_no_pages_of_a_ring(make_stream):
    stream = make_stream("cam", (64, 64), "f4", cb_size=500)

    def mapped(prefault: bool) -> int:
        with Stream.attach("cam", writable=False, prefault=prefault):
            lines = Path("/proc/self/smaps").read_text().split("\n")
            at = next(at for at, line in enumerate(lines) if "r--s" in line and line.endswith(stream.path))
            return next(int(line.split()[1]) for line in lines[at:] if line.startswith("Rss:"))

    assert mapped(True) >= 64 * 64 * 4 * 500 // 1024
    assert mapped(False) <= 64


def test_ls_sorts(make_stream):
    frames = {"a": 2, "b": 0, "c": 5}
    for name, count in frames.items():
        stream = make_stream(name, (2, 2 + count), "u1")
        for _ in range(count):
            stream.publish(np.zeros(stream.shape, "u1"))

    def order(*options: object) -> str:
        return "".join(entry["name"] for entry in json.loads(done("ls", "--json", *options)))

    assert order() == "abc"
    assert order("--reverse") == "cba"
    assert order("--sort", "counter") == "cab"
    assert order("--sort", "age") == "cab"  # the newest first, and what has no age last
    assert order("--sort", "age", "--reverse") == "acb"
    assert order("--sort", "shape") == "bac"


def test_ls_of_nothing(shm_dir):
    assert "no stream in" in call("ls").stderr
    assert call("ls").stdout == ""
    assert done("ls", "--json") == "[]\n"


@pytest.mark.parametrize("options", [["--watch"], ["--sort", "rate"], ["--sort", "colour"], ["--rate", "0"]])
def test_ls_wrong_usage(options):
    said = call("ls", *options)
    assert said.returncode == 2
    assert "Error" in said.stderr
