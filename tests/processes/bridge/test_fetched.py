"""Recordings of another machine through the real engine and the commands, which are killed."""

from __future__ import annotations

import json
import signal

import numpy as np
import pytest

pytest.importorskip("zenoh", reason="needs eclipse-zenoh, the extra net")
pytest.importorskip("click", reason="extra cli")
pytest.importorskip("rich", reason="extra cli")

import pymilk
from pymilk import SHM
from support.bridging import Proxy, free_port
from support.children import ended
from support.waiting import until


@pytest.fixture
def recorded(shm_dir, tmp_path):
    """400 frames of 64 kB."""
    (tmp_path / "served").mkdir()
    with SHM("wfs", ((128, 128), np.uint32), ring=512) as shm, shm.ring_reader() as ring:
        pixels = np.arange(128 * 128, dtype=np.uint32).reshape(128, 128)
        shm.set_many(np.arange(400, dtype=np.uint32)[:, None, None] * 7 + pixels)
        capture = ring.read(400)
    pymilk.save(capture, tmp_path / "served" / "wfs.npy")
    return capture


def test_a_fetch_that_is_killed_goes_on(recorded, tmp_path, start_command):
    port, out = free_port(), tmp_path / "out.npy"
    sending = start_command(
        "bridge",
        "send",
        "w*",
        "--host",
        "rtc",
        "--serve",
        tmp_path / "served",
        "--listen",
        f"tcp/127.0.0.1:{port}",
    )

    def command(where, *more):
        return ("bridge", "fetch", "rtc/wfs", "--connect", f"tcp/127.0.0.1:{where}", "--json", *more)

    with Proxy(port) as proxy:
        proxy.stall(after=12e6)
        first = start_command(*command(proxy.port, "-o", out))
        sums = tmp_path / "out.npy.part" / "sums"
        until(lambda: sums.exists() and sums.stat().st_size >= 2 * 48)
        first.kill()
        first.wait(30)
    assert not out.exists()
    code, said, _ = ended(start_command(*command(port, "-o", out)))
    report = json.loads(said)
    assert (code, report["frames"]) == (0, 400)
    assert 100 < report["resumed"] < 400
    with pymilk.load(out) as found:
        np.testing.assert_array_equal(found.frames, recorded.frames)
        np.testing.assert_array_equal(found.info, recorded.info)
    assert not sums.exists()
    code, said, _ = ended(start_command(*command(port)))
    assert (code, json.loads(said)[0]["count"]) == (0, 400)
    sending.send_signal(signal.SIGTERM)
    assert ended(sending)[0] == 0
