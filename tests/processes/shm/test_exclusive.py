"""One writer at a time, between processes: who is refused, and when the lock ends."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

from pymilk import SHM
from pymilk._core import Stream
from pymilk.errors import StreamExistsError, StreamInUseError, StreamLockedError
from support.exclusive import FRAME, refused

SHAPE = (4, 4)

#: Has the stream to itself until it is told to end.
HOLDER = """
import sys
import numpy as np
from pymilk import SHM
shm = SHM("cam", exclusive=True)
shm.set_data(np.full((4, 4), 7, np.uint16))
print("ready", flush=True)
sys.stdin.readline()
shm.close()
print("closed", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def holder(cam, spawn):
    """A process that has it to itself."""
    child = spawn(HOLDER)
    child.expect("ready")
    return child


@pytest.mark.parametrize(
    "write",
    [
        lambda shm: shm.set_data(FRAME),
        lambda shm: shm.set_data(FRAME.T),
        lambda shm: shm.set_many(FRAME[None]),
        lambda shm: shm.repost(),
        lambda shm: shm.claim().__enter__(),
    ],
    ids=["set_data", "turned", "set_many", "repost", "claim"],
)
def test_second_writer_is_refused_by_name_and_number(cam, holder, make, write):
    other = make("cam")
    for _ in range(2):
        with pytest.raises(StreamLockedError) as caught:
            write(other)
        assert refused(caught, holder.pid)
        assert isinstance(caught.value, StreamInUseError)
    assert cam.get_counter() == 2
    assert (other.get_data() == 7).all()
    holder.tell()
    holder.expect("closed")
    other.set_data(FRAME)
    assert cam.get_counter() == 3


def test_second_exclusive_writer_is_refused(cam, holder, make):
    with pytest.raises(StreamLockedError) as caught:
        SHM("cam", exclusive=True)
    assert refused(caught, holder.pid)
    holder.tell()
    holder.expect("closed")
    make("cam", exclusive=True).set_data(FRAME)


@pytest.mark.parametrize("exclusive", [False, True])
def test_stream_of_an_exclusive_writer_is_not_replaced(cam, holder, shm_dir, exclusive):
    inode = os.stat(cam.FILEPATH).st_ino
    with pytest.raises(StreamLockedError) as caught:
        SHM("cam", np.zeros((2, 2), np.uint8), exclusive=exclusive)
    assert refused(caught, holder.pid)
    assert os.stat(cam.FILEPATH).st_ino == inode
    assert [path.name for path in shm_dir.iterdir()] == ["cam.im.shm"]
    with pytest.raises(StreamExistsError):
        Stream.create("cam", SHAPE, np.uint16, exist_ok=False, exclusive=exclusive)
    holder.tell()
    holder.expect("closed")
    SHM("cam", np.zeros(SHAPE, np.uint16), exclusive=exclusive).close()
    assert os.stat(cam.FILEPATH).st_ino != inode


def test_lock_ends_with_a_process_that_is_killed(cam, holder, make):
    os.kill(holder.pid, signal.SIGKILL)
    holder.process.wait()
    make("cam", exclusive=True).set_data(FRAME)
    assert cam.get_counter() == 3


FORKER = """
import os, sys, time
import numpy as np
from pymilk import SHM
from pymilk.errors import StreamLockedError
shm = SHM("cam", exclusive=True)
frame = np.ones((4, 4), np.uint16)
shm.set_data(frame)
begin, end = os.pipe()
parent = os.getpid()
if os.fork() == 0:
    assert not shm._stream.exclusive
    shm.get_data()
    try:
        shm.set_data(frame)
    except StreamLockedError as error:
        assert error.pids == [parent], error.pids
        print("child is refused", flush=True)
    os.close(end)
    os.read(begin, 1)  # until the parent is going; its lock may be the last thing that it lets go of
    deadline = time.monotonic() + 30
    while not shm._stream.exclusive:
        try:
            shm.set_data(frame)
        except StreamLockedError:
            assert time.monotonic() < deadline
            time.sleep(0.001)
    assert shm._stream.exclusive
    print("child goes on", flush=True)
    os.read(0, 1)
    os._exit(0)
os.close(begin)
sys.stdin.readline()
shm.set_data(frame)
print("parent has it", flush=True)
sys.stdin.readline()
os._exit(0)
"""


def test_fork(cam, spawn):
    parent = spawn(FORKER)
    parent.expect("child is refused")
    parent.tell()
    parent.expect("parent has it")
    assert cam.get_counter() == 3
    parent.tell()  # it ends, and its child has no part in its lock
    parent.expect("child goes on")
    assert cam.get_counter() == 4
    with pytest.raises(StreamLockedError):
        SHM("cam", exclusive=True)
    parent.tell("")
    # It is not our child: it is gone when it lets go of the pipe.
    assert parent.process.stdout.read() == ""
    SHM("cam", exclusive=True).close()


def test_program_that_is_started_does_not_inherit_the_lock(cam, make, spawn):
    writer = make("cam", exclusive=True)
    child = spawn("import sys; print('up', flush=True); sys.stdin.readline()")
    child.expect("up")
    writer.close()
    SHM("cam", exclusive=True).close()
    child.tell()
    assert child.finish() == (0, "", "")


@pytest.mark.parametrize("there", [False, True])
def test_of_many_that_want_it_at_once_one_gets_it(spawn, make, there):
    if there:
        make("cam", np.zeros(SHAPE, np.uint16))
    code = """
import sys, warnings
import numpy as np
from pymilk import SHM
from pymilk.errors import StreamInUseWarning, StreamLockedError
warnings.simplefilter("ignore", StreamInUseWarning)
print("ready", flush=True)
sys.stdin.readline()
try:
    shm = SHM("cam", np.zeros((4, 4), np.uint16), exclusive=True)
    shm.set_data(np.ones((4, 4), np.uint16))
    print("mine", flush=True)
except StreamLockedError as error:
    print(*error.pids, flush=True)
sys.stdin.readline()
"""
    crowd = [spawn(code) for _ in range(4)]
    for child in crowd:
        child.expect("ready")
    for child in crowd:
        child.tell()
    said = [child.hear() for child in crowd]
    assert said.count("mine") == 1, said
    winner = crowd[said.index("mine")]
    # A process refused while the winner was about to replace the old file may have seen no number.
    assert {words for words in said if words != "mine"} <= {str(winner.pid), ""}
    assert make("cam").get_counter() == 2
    for child in crowd:
        child.tell()
        assert child.finish() == (0, "", "")


def test_no_descriptor_is_left(cam, holder, make):
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = descriptors()
    for wanted in (
        lambda: SHM("cam", exclusive=True),
        lambda: make("cam").set_data(FRAME),
        lambda: SHM("cam", FRAME),
        lambda: SHM("cam", FRAME, exclusive=True),
    ):
        with pytest.raises(StreamLockedError):
            wanted()
        assert descriptors() == before
    holder.tell()
    holder.expect("closed")
    for _ in range(3):
        SHM("cam", exclusive=True).close()
        SHM("cam", FRAME, exclusive=True).close()
    assert descriptors() == before
