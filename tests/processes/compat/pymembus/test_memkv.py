"""Values between processes: changes that are waited for, writers at the same time, owners that are killed."""

from __future__ import annotations

import pytest

from pymilk.compat.pymembus import memkv

OWNER = """
import sys
from pymilk.compat.pymembus import memkv
owner = memkv()
print(owner.create("/kv", 3, 15, 63, True), owner.setName(0, "mode"), owner.setName(1, "count"), flush=True)
for line in sys.stdin:
    name, value = line.split()
    print(owner.setValue(name, value), flush=True)
"""

#: Counts in a slot of its own, and sets two others together.
COUNTER = """
import sys
from pymilk.compat.pymembus import memkv
peer = memkv()
print(peer.open("/kv"), flush=True)
sys.stdin.readline()
for number in range(500):
    assert peer.setAll({sys.argv[1]: str(number), "mode": f"{sys.argv[1]} {number}"})
print("done", flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize("how", ["killed", "ended"])
def test_owner_and_peer(spawn, how):
    child = spawn(OWNER)
    child.expect("True True True")
    peer = memkv()
    assert peer.open("/kv")
    child.tell("mode auto")
    assert peer.waitForChange(10_000, 0) == (True, 1)
    child.expect("True")
    child.tell("count 5")
    assert peer.getChanged(10_000, 1) == ({"count": "5"}, 2)
    child.expect("True")
    if how == "killed":
        child.kill()
        assert peer.setValue("mode", "goes on")
        other = memkv()
        assert other.open("/kv")
        assert other.getAll() == {"mode": "goes on", "count": "5", "": ""}
        assert memkv.remove("/kv")
    else:
        child.finish()
        assert not memkv().open("/kv")
    peer.close()


def test_writers_at_the_same_time(spawn):
    """No step is lost, and what was set together is seen together."""
    owner = memkv()
    assert owner.create("/kv", 3, 15, 63, True)
    for index, name in enumerate(("one", "two", "mode")):
        assert owner.setName(index, name)
    children = [spawn(COUNTER, name) for name in ("one", "two")]
    for child in children:
        child.expect("True")
    for child in children:
        child.tell()
    epoch = 0
    while epoch < 1000:
        changed, epoch = owner.getChanged(10_000, epoch)
        name, number = changed["mode"].split()
        assert changed[name] == number
    for child in children:
        child.expect("done")
    assert owner.getEpoch() == 1000
    assert (owner.getValueString("one"), owner.getValueString("two")) == ("499", "499")
    owner.close()
