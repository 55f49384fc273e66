"""One writer at a time: who is refused, by whose name, and when the lock ends."""

from __future__ import annotations

import fcntl
import os
import pickle
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from pymilk import SHM
from pymilk._core import Stream
from pymilk.errors import (
    StreamExistsError,
    StreamInUseError,
    StreamLockedError,
    StreamReadOnlyError,
    StreamReplacedError,
    StreamUnsupportedError,
)

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

FRAME = np.ones(SHAPE, np.uint16)


@pytest.fixture
def cam(make):
    """A stream, seen by somebody who only reads."""
    return make("cam", np.zeros(SHAPE, np.uint16))


@pytest.fixture
def holder(cam, spawn):
    """A process that has it to itself."""
    child = spawn(HOLDER)
    child.expect("ready")
    return child


def refused(caught: pytest.ExceptionInfo[StreamLockedError], pid: int) -> bool:
    """Tell whether the error names the stream and the process that has it."""
    error = caught.value
    named = "this process" if pid == os.getpid() else f"process {pid} (python"
    return error.stream == "cam" and error.pids == [pid] and named in str(error)


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


def test_readers_take_part_in_nothing(cam, make):
    writer = make("cam", exclusive=True)
    capture = cam.capture(3, timeout=30, background=True)
    for number in range(3):
        writer.set_data(np.full(SHAPE, number, np.uint16))
        while capture.received <= number and not capture.done:
            time.sleep(0.0005)
    assert capture.join().frames[:, 0, 0].tolist() == [0, 1, 2]
    assert capture.report.lost == 0
    cam.keywords["EXPTIME"] = 1.0  # the lock is about frames
    assert writer.get_keyword("EXPTIME") == 1.0


def test_two_handles_of_one_process_are_two_writers(cam):
    with Stream.attach("cam", exclusive=True) as writer:
        assert writer.exclusive
        with pytest.raises(StreamLockedError) as caught:
            SHM("cam", exclusive=True)
        assert refused(caught, os.getpid())
        writer.publish(FRAME)
    assert not writer.exclusive
    with Stream.attach("cam") as plain:
        assert not plain.exclusive


def test_who_has_published_before_is_not_looked_for(cam, make):
    """A promise that is not made: only first frames are asked about."""
    cam.set_data(FRAME)
    make("cam", exclusive=True).set_data(FRAME)
    cam.set_data(FRAME)
    assert cam.get_counter() == 4


def test_lock_ends_with_a_forgotten_object(cam):
    stream = Stream.attach("cam", exclusive=True)
    del stream
    Stream.attach("cam", exclusive=True).close()


def test_new_stream_is_exclusive_from_the_start(make, shm_dir):
    first = make("cam", np.zeros(SHAPE, np.uint16), exclusive=True)
    other = make("cam")
    with pytest.raises(StreamLockedError) as caught:
        other.set_data(FRAME)
    assert refused(caught, os.getpid())
    first.set_data(FRAME)
    first.close()
    second = make("cam", np.zeros(SHAPE, np.uint16), exclusive=True)
    second.set_data(FRAME)
    assert other.get_counter() == 2  # of the new file, which it follows
    with pytest.raises(StreamLockedError):
        other.set_data(FRAME)
    second.destroy()
    assert not list(shm_dir.iterdir())


def test_writer_that_follows_takes_the_lock_of_the_new_file(cam, make):
    writer = make("cam", exclusive=True)
    # As a program does that knows nothing of the lock.
    os.unlink(cam.FILEPATH)
    again = make("cam", np.zeros(SHAPE, np.uint16))
    while not writer._stream.replaced():
        time.sleep(0.001)
    with pytest.raises(StreamReplacedError):
        writer.set_data(FRAME)
    writer.set_data(FRAME, autorelink_if_need=True)
    assert again.get_counter() == 2
    with pytest.raises(StreamLockedError) as caught:
        cam.set_data(FRAME, autorelink_if_need=True)
    assert refused(caught, os.getpid())


def test_lock_of_a_file_that_is_not_there_any_more(cam, make, shm_dir):
    old = Stream.attach("cam")
    os.unlink(cam.FILEPATH)
    make("cam", np.zeros(SHAPE, np.uint16), exclusive=True)
    old.publish(FRAME)  # to the old file, of which nobody is the exclusive writer
    old.close()
    os.unlink(shm_dir / "cam.im.shm")
    cam.close()


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


def test_pickled_object_attaches_without_the_lock(cam, make):
    writer = make("cam", exclusive=True)
    copy = pickle.loads(pickle.dumps(writer))
    with copy:
        assert (copy.get_data() == 0).all()
        with pytest.raises(StreamLockedError):
            copy.set_data(FRAME)


@pytest.mark.parametrize("there", [False, True])
def test_of_many_that_want_it_at_once_one_gets_it(spawn, make, there):
    if there:
        make("cam", np.zeros(SHAPE, np.uint16))
    code = """
import sys
import numpy as np
from pymilk import SHM
from pymilk.errors import StreamLockedError
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
    # Who was refused while the winner was about to replace the old file may have seen no number.
    assert {words for words in said if words != "mine"} <= {str(winner.pid), ""}
    assert make("cam").get_counter() == 2
    for child in crowd:
        child.tell()
        assert child.finish() == (0, "", "")


def test_threads_of_one_handle_are_one_writer(cam, make):
    writer = make("cam", exclusive=True)
    lock = threading.Lock()

    def publish() -> None:
        for _ in range(50):
            with lock:  # a frame at a time is asked of every handle
                writer.set_data(FRAME)

    threads = [threading.Thread(target=publish) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cam.get_counter() == 201


def test_holder_that_does_not_show(cam, make, monkeypatch):
    make("cam", exclusive=True)
    other = make("cam")
    monkeypatch.setattr("pymilk.system.locks._holders", lambda fd: [])
    for wanted in (lambda: SHM("cam", exclusive=True), lambda: other.set_data(FRAME)):
        with pytest.raises(StreamLockedError, match="does not show") as caught:
            wanted()
        assert caught.value.pids == []


def test_those_who_look_are_waited_for(cam):
    """A writer that looks whether it may holds a shared lock for a moment."""
    fd = os.open(cam.FILEPATH, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_SH)
    timer = threading.Timer(0.02, os.close, [fd])
    timer.start()
    SHM("cam", exclusive=True).close()
    timer.join()


def test_file_system_without_locks(cam, monkeypatch):
    def no_locks(fd: int, operation: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("pymilk.system.locks.fcntl.flock", no_locks)
    with pytest.raises(StreamUnsupportedError, match="exclusive=True"):
        SHM("cam", exclusive=True)
    cam.set_data(FRAME)
    SHM("cam", np.zeros(SHAPE, np.uint16)).close()


def test_read_only_stream_cannot_be_had_for_writing(cam):
    with pytest.raises(StreamReadOnlyError):
        Stream.attach("cam", writable=False, exclusive=True)
    with SHM("mine", (SHAPE, np.uint8), shared=False, exclusive=True) as local:  # nobody else sees it
        local.set_data(np.zeros(SHAPE, np.uint8))


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


def test_the_lock_is_not_in_the_file(cam, make):
    before = Path(cam.FILEPATH).read_bytes()
    writer = make("cam", exclusive=True)
    assert Path(cam.FILEPATH).read_bytes() == before
    writer.close()
    assert Path(cam.FILEPATH).read_bytes() == before
