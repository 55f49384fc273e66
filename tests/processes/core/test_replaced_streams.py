"""Streams that another process deletes or replaces while they are read."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pymilk import SHM
from pymilk._core import FLAG_NEW_FILE, Stream
from pymilk.errors import (
    StreamChangedError,
    StreamClosedError,
    StreamReplacedError,
    StreamTimeoutError,
    StreamTimeoutWarning,
)
from support.foreign import PRELUDE, SHAPE, owners
from support.waiting import PATIENCE, until


def test_deleted_stream_stays_readable(spawn, make_stream):
    make_stream("cam", SHAPE, np.uint32)
    with SHM("cam") as shm:
        shm.set_data(np.full(SHAPE, 5, np.uint32))
        other = spawn(PRELUDE + 'SHM("cam").destroy(); say("gone")')
        other.expect("gone")
        assert (shm.get_data() == 5).all()
        assert shm.get_counter() == 1
        with pytest.warns(StreamTimeoutWarning):
            frame = shm.get_data(check=True, timeout=0.1)
        assert (frame == 5).all()
        with pytest.raises(StreamTimeoutError, match="deleted") as caught:
            shm.capture(1, timeout=0.1)
        assert caught.value.stream == "cam"
        assert caught.value.timeout == pytest.approx(0.1)
    stream = Stream.create("cam2", SHAPE, np.uint32)
    os.unlink(stream.path)
    with pytest.raises(StreamTimeoutError, match="deleted"):
        stream.wait(0.1)
    stream.close()


RECREATORS = {
    "pymilk": """
def recreate(shape=(32, 32)):
    shm = SHM("cam", (shape, np.uint32))  # publishes its zeros as frame 1
    return lambda number: shm.set_data(np.full(shape, number, np.uint32)), 1
""",
    "foreign": """
def recreate(shape=(32, 32)):
    path = os.path.join(os.environ["MILK_SHM_DIR"], "cam.im.shm")
    create_foreign(path, shape, code=5)
    writer = Foreign(path, shape)
    def publish(number):
        writer.publish(int(writer.cnt0[0]) + 1, "open")
        writer.fill(number)
        writer.publish(int(writer.cnt0[0]) + 1, "count close post")
    return publish, 0
""",
}

#: Told "recreate", "publish <pixel value>" or "publish_old <pixel value>".
RECREATOR = """
old = Stream.attach("cam")
publish = None
say("ready")
for line in sys.stdin:
    what, *args = line.split()
    if what == "recreate":
        publish, counter = recreate(tuple(int(arg) for arg in args) or (32, 32))
        say(counter)
    elif what == "publish":
        publish(int(args[0]))
    else:
        say(old.publish(np.full((32, 32), int(args[0]), np.uint32)))
"""


@pytest.fixture(params=sorted(RECREATORS))
def recreator(request, spawn, make_stream):
    """A second process that recreates the stream "cam", in its own way."""
    make_stream("cam", SHAPE, np.uint32)
    child = spawn(PRELUDE + RECREATORS[request.param] + RECREATOR)
    child.expect("ready")
    return child


def test_get_data_follows_a_recreated_stream(recreator):
    with SHM("cam") as shm:
        inode = shm.mtdata["inode"]
        shm.set_data(np.full(SHAPE, 3, np.uint32))
        recreator.tell("recreate")
        counter = int(recreator.hear())
        # At once, or with another program's stream within the few milliseconds that are documented.
        until(lambda: (shm.get_data() == 0).all())
        assert shm.get_counter() == counter
        assert shm.mtdata["inode"] != inode
        recreator.tell("publish 8")
        until(lambda: (shm.get_data() == 8).all())


def test_get_data_that_waits_follows_a_recreated_stream(recreator):
    with SHM("cam") as shm:
        old = Stream.attach("cam")
        found: list[np.ndarray] = []
        waiter = threading.Thread(target=lambda: found.append(shm.get_data(check=True, timeout=PATIENCE)))
        waiter.start()
        until(lambda: os.getpid() in owners(old))
        recreator.tell("recreate")
        counter = int(recreator.hear())
        recreator.tell("publish 8")
        waiter.join(PATIENCE)
        assert not waiter.is_alive()
        # pymilk publishes a first frame with the stream, and that may be the one.
        assert (found[0] == 8).all() or (counter == 1 and (found[0] == 0).all())
        assert shm.get_counter() >= 1
        old.close()


def test_capture_follows_a_recreated_stream(recreator):
    with SHM("cam") as shm:
        capture = shm.capture(8, timeout=PATIENCE, background=True)
        for number in (1, 2, 3):
            recreator.tell(f"publish_old {number}")
            recreator.expect(str(number))
            until(lambda number=number: capture.received == number)
        recreator.tell("recreate")
        counter = int(recreator.hear())
        if counter:
            until(lambda: capture.received == 4)
        for number in range(capture.received + 1, 9):
            recreator.tell(f"publish {number}")
            until(lambda number=number: capture.received == number)
        capture.join()
    assert capture.info["cnt0"].tolist() == [1, 2, 3, 1, 2, 3, 4, 5]
    assert capture.info["lost"].tolist() == [0] * 8
    assert capture.frames[:, 0, 0].tolist() == [1, 2, 3, 0 if counter else 4, 5, 6, 7, 8]
    new = (capture.info["flags"] & FLAG_NEW_FILE) != 0
    assert new.tolist() == [False] * 3 + [True] + [False] * 4
    assert (capture.report.new_files, capture.report.lost) == (1, 0)


def test_capture_counts_what_the_old_file_still_had(spawn, make_stream):
    make_stream("cam", SHAPE, np.uint32)
    child = spawn(
        PRELUDE
        + RECREATORS["foreign"]
        + """
old = Stream.attach("cam")
say("ready")
for line in sys.stdin:
    # Frames that come too fast for any reader, and then a new file.
    last = old.publish_many(np.ones((1, 32, 32), np.uint32), 500)
    publish, _ = recreate()
    publish(8)
    say(last)
"""
    )
    child.expect("ready")
    with SHM("cam") as shm:
        capture = shm.capture(10_000, timeout=PATIENCE, background=True)
        child.tell()
        last = int(child.hear())
        until(lambda: capture.received and capture.frames[-1, 0, 0] == 8)
        capture.stop()
        capture.join()
    assert last == 500
    assert (capture.frames[-1] == 8).all()
    assert capture.report.new_files == 1
    assert capture.report.received + capture.report.lost == last + 1
    assert capture.info["cnt0"][-1] == 1


def test_capture_follows_after_the_counter_went_back(spawn, make_stream):
    # What the old file still had cannot be known then; it must not become a negative number.
    make_stream("cam", SHAPE, np.uint32)
    child = spawn(
        PRELUDE
        + RECREATORS["foreign"]
        + """
writer = Foreign(os.path.join(os.environ["MILK_SHM_DIR"], "cam.im.shm"))
say("ready")
input()
writer.publish(50, "open fill count close post")
input()
# The process that reads is stopped now, so that it sees all of this at once.
publish, _ = recreate()
writer.publish(3, "count")
publish(8)
say("done")
input()
"""
    )
    child.expect("ready")
    reader = spawn(
        PRELUDE
        + """
shm = SHM("cam")
capture = shm.capture(2, timeout=30, background=True)
say("armed")
while capture.received < 1:
    time.sleep(0.001)
say("one")
capture.join()
say(capture.info["cnt0"].tolist(), capture.info["lost"].tolist())
shm.close()
"""
    )
    reader.expect("armed")
    child.tell()
    reader.expect("one")
    os.kill(reader.pid, signal.SIGSTOP)
    child.tell()
    child.expect("done")
    os.kill(reader.pid, signal.SIGCONT)
    assert reader.hear() in (
        "[50, 1] [49, 0]",  # the new file at once
        "[50, 3] [49, 0]",  # the old file's counter first
    )
    assert reader.finish() == (0, "", "")


def test_recreated_with_another_shape_is_an_error_each_time(recreator):
    shm = SHM("cam")
    shm.set_keywords({"A": 1})
    frame = np.zeros(SHAPE, np.uint32)
    recreator.tell("recreate 8 4")
    recreator.hear()
    until(lambda: shm._stream.replaced())
    accesses: dict[str, Callable[[], Any]] = {
        "get_data": shm.get_data,
        "check": lambda: shm.get_data(check=True, timeout=0.1),
        "view": lambda: shm.get_data(copy=False),
        "multi": lambda: shm.multi_recv_data(2, timeout=0.1),
        "capture": lambda: shm.capture(2, timeout=0.1),
        "set_data": lambda: shm.set_data(frame),
        "follow": lambda: shm.set_data(frame, autorelink_if_need=True),
        "counter": shm.get_counter,
        "metadata": lambda: shm.mtdata,
        "semaphore": lambda: shm.semID,
        "keywords": shm.get_keywords,
        "keyword": lambda: shm.get_keyword("A"),
        "item": lambda: shm["A"],
        "set_keywords": lambda: shm.set_keywords({"A": 2}),
        "update_keyword": lambda: shm.update_keyword("A", 2),
        "reset_keywords": lambda: shm.reset_keywords({}),
        "mapping": lambda: dict(shm.keywords),
        "with": shm.__enter__,
    }
    for _ in range(3):
        for name, access in accesses.items():
            with contextlib.suppress(StreamChangedError):
                access()
                pytest.fail(f"{name} did not raise")
    with pytest.raises(StreamChangedError, match=r"shape.*\(32, 32\).*\(8, 4\)") as caught:
        shm.get_data()
    assert (caught.value.field, caught.value.expected, caught.value.found) == (
        "shape",
        (32, 32),
        (8, 4),
    )
    # The other one's stream is left alone.
    with pytest.raises(StreamReplacedError):
        shm._stream.destroy()
    shm.destroy()  # silent, as in older interfaces
    with SHM("cam") as new:
        assert new.shape == (8, 4)


def test_waits_end_when_the_shape_changes(recreator):
    shm = SHM("cam")
    capture = shm.capture(2, timeout=PATIENCE, background=True)
    errors: list[BaseException] = []

    def wait() -> None:
        try:
            shm.get_data(check=True, timeout=PATIENCE)
        except StreamChangedError as error:
            errors.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    watch = Stream.attach("cam", writable=False)
    until(lambda: owners(watch).count(os.getpid()) == 2)
    recreator.tell("recreate 8 4")
    recreator.hear()
    waiter.join(PATIENCE)
    assert not waiter.is_alive()
    assert len(errors) == 1
    with pytest.raises(StreamChangedError):
        capture.join()
    watch.close()
    shm.close()


def test_background_capture_goes_on_when_its_object_follows_first(spawn, make_stream):
    make_stream("cam", SHAPE, np.uint32)
    child = spawn(PRELUDE + RECREATORS["foreign"] + RECREATOR)
    child.expect("ready")
    with SHM("cam") as shm:
        inode = shm.mtdata["inode"]
        capture = shm.capture(2, timeout=PATIENCE, background=True)
        child.tell("publish_old 1")
        child.expect("1")
        until(lambda: capture.received == 1)
        child.tell("recreate")
        child.hear()
        until(lambda: shm.mtdata["inode"] != inode)
        child.tell("publish 2")
        capture.join()
        assert capture.frames[:, 0, 0].tolist() == [1, 2]


def test_account_of_a_new_file_is_complete_while_the_capture_runs(spawn, make_stream):
    make_stream("cam", SHAPE, np.uint32)
    child = spawn(PRELUDE + RECREATORS["foreign"] + RECREATOR)
    child.expect("ready")
    with SHM("cam") as shm:
        capture = shm.capture(5, timeout=5, background=True)
        child.tell("recreate")
        child.hear()
        child.tell("publish 1")
        until(lambda: capture.received == 1)
        assert capture.info["flags"][0] & FLAG_NEW_FILE
        assert capture.report.new_files == 1
        capture.stop()
        capture.join()


def test_close_ends_a_capture_that_followed(spawn, make_stream):
    make_stream("cam", SHAPE, np.uint32)
    child = spawn(PRELUDE + RECREATORS["foreign"] + RECREATOR)
    child.expect("ready")
    shm = SHM("cam")
    capture = shm.capture(5, timeout=5, background=True)
    child.tell("recreate")
    child.hear()
    child.tell("publish 1")
    until(lambda: capture.received == 1)
    shm.close()
    with pytest.raises(StreamClosedError):
        capture.join()


def test_wait_goes_on_while_the_new_file_is_still_being_made(spawn, make_stream):
    """Other programs make the file first, give it its size, and write the version last."""
    make_stream("cam", SHAPE, np.uint32)
    child = spawn(
        PRELUDE
        + """
path = os.path.join(os.environ["MILK_SHM_DIR"], "cam.im.shm")
say("ready")
input()
os.rename(path, path + ".old")
os.unlink(path + ".old")
file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
say("empty")
input()
stream = isio_format.fresh("cam", (32, 32), 5)
stream.inode = os.fstat(file).st_ino
data = isio_format.encode(stream)
os.ftruncate(file, len(data))
say("sized")
input()
os.pwrite(file, data[32:], 32)
os.pwrite(file, data[:32], 0)
say("made")
writer = Foreign(path)
for number in range(1, 100000):
    writer.publish(number, "open fill count close post")
    time.sleep(0.001)
"""
    )
    child.expect("ready")
    with SHM("cam") as shm:
        old = Stream.attach("cam")
        found: list[Any] = []

        def wait() -> None:
            try:
                found.append(shm.get_data(check=True, timeout=PATIENCE))
            except Exception as error:
                found.append(error)

        waiter = threading.Thread(target=wait)
        capture = shm.capture(1, timeout=PATIENCE, background=True)
        waiter.start()
        until(lambda: owners(old).count(os.getpid()) == 2)
        for state in ("empty", "sized"):
            child.tell()
            child.expect(state)
            # Longer than one look at the file takes (50 ms), and than a file may take to become ready.
            waiter.join(0.25)
        child.tell()
        child.expect("made")
        waiter.join(PATIENCE)
        assert not waiter.is_alive()
        assert isinstance(found[0], np.ndarray), found
        capture.join()
        old.close()
    child.kill()
