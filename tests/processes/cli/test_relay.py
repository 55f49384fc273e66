"""``pymilk relay``, as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from pymilk import SHM
from support.children import Child
from support.waiting import until


@pytest.fixture
def command(
    start_command: Callable[..., subprocess.Popen[str]],
) -> Callable[..., subprocess.Popen[str]]:
    pytest.importorskip("click", reason="extra cli")
    pytest.importorskip("rich", reason="extra cli")
    return partial(start_command, "relay")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_command_ends_cleanly(
    number: int,
    command: Callable[..., subprocess.Popen[str]],
    spawn: Callable[..., Child],
    shm_dir: Path,
) -> None:
    camera = spawn(
        """
import sys, numpy as np
from pymilk import SHM
with SHM("cam", ((6, 8), np.uint32)) as shm:
    print("ready", flush=True)
    sys.stdin.readline()
    frames = np.arange(2, 502, dtype=np.uint32).repeat(48).reshape(500, 6, 8)
    shm.set_many(frames, rate=1000)
    print("done", flush=True)
    sys.stdin.readline()
    shm.destroy()
"""
    )
    camera.expect("ready")
    relay = command("cam", "ring", "--depth", 1024, "--json", "--cpu", min(os.sched_getaffinity(0)))
    assert relay.stderr is not None
    assert "relaying cam to ring" in relay.stderr.readline()
    with SHM("ring") as shm, shm.ring_reader(start="oldest") as ring:
        camera.tell("go")
        camera.expect("done")
        until(lambda: shm.get_counter() == 501)
        relay.send_signal(signal.SIGUSR1)
        assert relay.stdout is not None
        asked = json.loads(relay.stdout.readline())
        relay.send_signal(number)
        out, _ = relay.communicate(timeout=30)
        assert relay.returncode == 0
        last = json.loads(out.splitlines()[-1])
        received = lost = 0
        while received + lost < 501:
            block = next(ring.blocks(timeout=5))
            received += len(block)
            lost += int(block.info["lost"].sum())
            assert np.array_equal(block.frames[1:, 0, 0], block.info["cnt0"][1:])
    assert asked["relayed"] == last["relayed"] == received
    assert asked["lost"] == last["lost"] == lost
    assert sorted(path.name for path in shm_dir.iterdir()) == ["cam.im.shm"]
    camera.tell("end")
    assert camera.finish()[0] == 0


def test_a_target_that_is_written_is_refused_in_the_words_of_the_command(
    command: Callable[..., subprocess.Popen[str]], spawn: Callable[..., Child]
) -> None:
    """The process that created it has ended, and another one writes it."""
    begin = "import sys, numpy as np\nfrom pymilk import Stream\n"
    made = "Stream.create('{}', (2, 2), np.uint8).publish(np.ones((2, 2), np.uint8))"
    assert spawn(begin + made.format("cam") + "\n" + made.format("ring")).finish()[0] == 0
    writer = spawn(
        begin + "stream = Stream.attach('ring')\nstream.publish(np.ones((2, 2), np.uint8))\n"
        "print('ready', flush=True)\nsys.stdin.readline()\n"
    )
    writer.expect("ready")
    relay = command("cam", "ring", "--depth", 8)
    _, said = relay.communicate(timeout=60)
    assert relay.returncode == 1
    assert said.endswith("end it first, choose another name, or force it (option --force)\n")


def test_command_says_what_is_wrong(command: Callable[..., subprocess.Popen[str]]) -> None:
    relay = command("none", "ring", "--depth", 8)
    _, said = relay.communicate(timeout=30)
    assert relay.returncode == 1
    assert said.startswith("pymilk: no stream 'none'")
    assert "Traceback" not in said
