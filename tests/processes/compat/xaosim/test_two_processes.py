"""The xaosim interface with a writer in another process."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

from pymilk._core import Stream
from pymilk.errors import StreamReplacedError
from support.children import REPLACES
from support.foreign import owners
from support.waiting import PATIENCE, until
from support.xaosims import READER, SHAPES, in_thread, ramp, state


@pytest.mark.parametrize(("ahead", "value"), [(0, 2), (1, 3), (3, 5)])
def test_get_data_is_woken_by_another_process(spawn, make, ahead, value):
    s = make("cam", data=ramp((3, 4), first=1))
    child = spawn(
        READER
        + """
cnt = s.get_counter()
say(s.get_data(check=cnt + int(sys.argv[1]), reform=True, timeout=None)[0, 0])
s.close()
""",
        ahead,
    )
    with Stream.attach("cam") as stream:
        until(lambda: child.pid in owners(stream))
        for k in range(2, value + 1):
            s.set_data(ramp((3, 4), first=k))
        child.expect(f"{value}.0")
        assert child.finish() == (0, "", "")
        assert set(owners(stream)) == {-1}


@pytest.mark.parametrize("shape", SHAPES)
def test_latest_data_frame_by_frame(spawn, make, shape):
    s = make("cam", data=ramp(shape))
    child = spawn(
        READER
        + """
semid = 5
say(s.catch_up_with_sem(semid))
for _ in range(5):
    frame = s.get_latest_data_slice(semid) if s.mtdata["naxis"] == 3 else s.get_latest_data(semid)
    say(int(frame.flat[0]), frame.ndim)
s.close()
"""
    )
    child.expect("0")
    for k in range(1, 6):
        s.set_data(ramp(shape, first=100 * k))
        first = int(s.get_latest_data_slice().flat[0]) if len(shape) == 3 else 100 * k
        child.expect(f"{first} {min(len(shape), 2)}")
    assert child.finish() == (0, "", "")


def test_post_from_another_process(spawn, make, make_stream):
    make_stream("cam", (3, 4), np.float32)
    s = make("cam", nosem=False)
    child = spawn(READER + "input(); s.post_sems(7); s.close()")
    thread, results = in_thread(lambda: s.sems[7].acquire(PATIENCE))
    child.tell()
    thread.join()
    assert results == [None]
    assert child.finish() == (0, "", "")


def test_writer_of_another_process_is_followed_to_its_new_file(spawn, make, make_stream):
    make_stream("cam", (3, 4), np.float32, nbkw=1)
    s = make("cam")
    s.set_data(ramp((3, 4)))
    child = spawn(REPLACES + """
import numpy as np
from pymilk.compat.xaosim import shm
s = shm("cam", data=np.full((3, 4), 7, np.float32), nbkw=3)
s.update_keyword(2, "NEW", 1, "")
s.close(erase_file=False)
""")
    assert child.finish() == (0, "", "")
    with pytest.raises(StreamReplacedError, match="replaced by a new file"):
        s.set_data(ramp((3, 4)))
    with pytest.raises(StreamReplacedError):
        s.update_keyword(0, "A", 1, "")
    with pytest.raises(StreamReplacedError):
        s.increment_counter()
    assert s.get_data()[0, 0] == 7
    assert (s.mtdata["cnt0"], s.mtdata["nbkw"], s.kwds[2]["name"]) == (1, 3, "NEW")
    s.set_data(ramp((3, 4)))
    assert make("cam").get_data().tolist() == ramp((3, 4)).tolist()


@pytest.mark.parametrize("wait", ["get_data(check=3, timeout=None)", "get_latest_data(5)"])
def test_wait_goes_on_in_a_new_file(spawn, make_stream, wait):
    old = make_stream("cam", (3, 4), np.float32)
    for _ in range(3):
        old.publish(ramp((3, 4)))
    child = spawn(READER + f"s.catch_up_with_sem(5); say(int(s.{wait}[0, 0])); s.close()")
    waits = 2 if "check" in wait else 1  # semaphores that it holds by then
    until(lambda: owners(old).count(child.pid) == waits)
    new = make_stream("cam", (3, 4), np.float32)
    for k in range(1, 5):
        new.publish(ramp((3, 4), first=10 * k))
    assert int(child.hear()) in ([40] if "check" in wait else [10, 20, 30, 40])
    assert child.finish() == (0, "", "")


@pytest.mark.parametrize(
    "call",
    [
        "get_data(check=0, timeout=None)",
        "catch_up_with_sem(5); s.get_latest_data(5)",
        "catch_up_with_sem(2); s.sems[2].acquire()",
    ],
)
def test_interrupt_ends_a_wait(spawn, make_stream, call):
    stream = make_stream("cam", (3, 4), np.float32)
    child = spawn(
        READER
        + f"""
try:
    s.{call}
except KeyboardInterrupt:
    say("interrupted", s.get_data()[0, 0])
s.close()
"""
    )
    until(lambda: child.pid in owners(stream) and state(child.pid) == "S")
    os.kill(child.pid, signal.SIGINT)
    child.expect("interrupted 0.0")
    assert child.finish() == (0, "", "")
    assert set(owners(stream)) == {-1}
