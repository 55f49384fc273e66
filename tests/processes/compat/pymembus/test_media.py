"""Pictures, sound and records between two processes: all arrive whole, and what is left when one ends."""

from __future__ import annotations

import numpy as np

from pymilk.compat.pymembus import errc, last_error, memaud, mempkt, memvid, video_format

VIDEO = """
import sys
import numpy as np
from pymilk.compat.pymembus import memvid, video_format
ring = memvid()
print(ring.open("/media", True, 64, 48, video_format.rgb24, 30, 4, frameextra=8), flush=True)
for line in sys.stdin:
    for _ in range(int(line)):
        slot, number = ring.getPtr(0), ring.getSeq() + 1
        np.asarray(ring[slot])[...] = number % 256
        ring.setVpts(slot, number * 1000)
        ring.setUserData(slot, str(number))
        ring.next(1)
    print(ring.getSeq(), flush=True)
"""


def test_pictures(spawn):
    writer = spawn(VIDEO)
    writer.expect("True")
    ring = memvid()
    assert ring.open_existing("/media")
    for number in range(1, 7):
        writer.tell("1")
        assert ring.waitForFrame(60_000, number - 1)
        writer.expect(str(number))
        slot = ring.getPtr(-1)
        assert (ring.getFrameSeq(slot), ring.getVpts(slot)) == (number, number * 1000)
        assert ring.getUserData(slot) == str(number).encode()
        assert (np.asarray(ring[slot]) == number).all()
    writer.tell("100")
    writer.expect("106")
    assert sorted(ring.getFrameSeq(slot) for slot in range(4)) == [103, 104, 105, 106]
    kept = np.asarray(ring[ring.getPtr(-1)])
    writer.kill()
    assert (kept == 106).all(), "the picture of a process that ended stays"
    assert not ring.waitForFrame(0, 106)
    assert last_error() == errc.timeout
    assert memvid().open_existing("/media"), "a killed maker leaves its name"
    again = memvid()
    assert again.open("/media", True, 64, 48, video_format.rgb24, 30, 4)
    assert again.getSeq() == 0
    assert ring.getSeq() == 106


def test_a_maker_that_ends_takes_its_name_along(spawn):
    child = spawn("""
import os
import numpy as np
from pymilk.compat.pymembus import audio_format, memaud
ring = memaud()
print(ring.open("/media", True, 1, audio_format.f32le, 8000, 50, 2))
view = np.asarray(ring[0])
if os.fork() == 0:
    del view
    ring.close()
    os._exit(0)
os.wait()
print(memaud().open_existing("/media"))
""")
    assert child.finish() == (0, "True\nTrue\n", "")
    assert not memaud().open_existing("/media")


PACKETS = """
import sys
from pymilk.compat.pymembus import mempkt
ring = mempkt()
print(ring.open("/packets", True, 16, 8192, 512, align=8), flush=True)
sys.stdin.readline()
for number in range(1, int(sys.argv[1]) + 1):
    size = 1 + number * 37 % 500
    assert ring.write(bytes([number % 256]) * size, pts=number, meta=str(number)) == number % 16
print("done", flush=True)
sys.stdin.readline()
"""


def records(ring, last):
    """Follow a ring; yields each readable record."""
    wanted = 1
    while wanted <= last:
        assert ring.waitForFrame(60_000, wanted - 1)
        found = ring.getRecord((wanted - 1) % ring.getBufs())
        if found is None or found[2]["seq"] != wanted:
            wanted = max(wanted + 1, ring.getSeq() - ring.getBufs() + 2)
            continue
        yield found
        wanted += 1


def test_records_are_whole_while_they_are_overrun(spawn):
    last = 4_000
    writer = spawn(PACKETS, last)
    writer.expect("True")
    ring = mempkt()
    assert ring.open_existing("/packets")
    writer.tell()
    got = 0
    for payload, meta, info in records(ring, last):
        number = info["seq"]
        assert payload == bytes([number % 256]) * (1 + number * 37 % 500)
        assert (meta, info["pts"], info["len"]) == (str(number).encode(), number, len(payload))
        got += 1
    writer.expect("done")
    assert got
    assert ring.getRecord(ring.getPtr(-1))[2]["seq"] == last


def test_a_killed_writer(spawn):
    writer = spawn(PACKETS, 1 << 40)
    writer.expect("True")
    writer.tell()
    ring = mempkt()
    assert ring.open("/packets", False, 16, 8192, 512, 8)
    assert ring.waitForFrame(60_000, 1000)
    writer.kill()
    seq = ring.getSeq()
    for slot in range(16):
        found = ring.getRecord(slot)
        assert found is None or set(found[0]) == {found[2]["seq"] % 256}
    assert ring.write(b"next") == ring.getPtr(0)
    payload, _, info = ring.getRecord(ring.getPtr(-1))
    assert (payload, info["seq"]) == (b"next", seq + 1)
