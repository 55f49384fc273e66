"""Relays and players that nobody closes end with the interpreter, as recorders do."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from support.children import Child

RELAY = """
import sys
from pymilk import Relay
relay = Relay("cam", "copy", 8)
print("ready", flush=True)
sys.stdin.readline()
"""

FORGOTTEN = RELAY.replace("relay = ", "")

FAILED = RELAY + "raise SystemExit(3)\n"

FORKED = RELAY + """
import os
if (child := os.fork()) == 0:
    sys.exit()
os.waitpid(child, 0)
print(os.path.exists(relay.target.path), flush=True)
sys.stdin.readline()
"""

PLAYER = """
import sys
import numpy as np
from pymilk import Player
frames = np.zeros((50, 4, 4), np.uint16)
player = Player(frames, "replay", rate=1000, loop=True, remove=sys.argv[1] == "remove")
player.start()
print("ready", flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize(("code", "exit_code"), [(RELAY, 0), (FORGOTTEN, 0), (FAILED, 3)])
def test_target_of_a_relay_is_deleted(spawn, make_stream, shm_dir: Path, code: str, exit_code: int) -> None:
    camera = make_stream("cam", (4, 4), np.uint16)
    child: Child = spawn(code)
    child.expect("ready")
    for _ in range(5):
        camera.publish(np.zeros((4, 4), np.uint16))
    assert (shm_dir / "copy.im.shm").exists()
    child.tell()
    assert child.finish() == (exit_code, "", "")
    assert [path.name for path in shm_dir.iterdir()] == ["cam.im.shm"]


def test_relay_of_the_parent_goes_on_when_a_child_ends(spawn, make_stream, shm_dir: Path) -> None:
    make_stream("cam", (4, 4), np.uint16)
    child: Child = spawn(FORKED)
    child.expect("ready")
    child.tell()
    child.expect("True")
    child.tell()
    assert child.finish() == (0, "", "")
    assert not (shm_dir / "copy.im.shm").exists()


@pytest.mark.parametrize("what", ["keep", "remove"])
def test_player_ends_between_two_frames(spawn, shm_dir: Path, what: str) -> None:
    child: Child = spawn(PLAYER, what)
    child.expect("ready")
    child.tell()
    assert child.finish() == (0, "", "")
    assert os.listdir(shm_dir) == ([] if what == "remove" else ["replay.im.shm"])
