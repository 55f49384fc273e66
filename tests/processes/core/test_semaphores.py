"""The semaphores of a stream between processes."""

from __future__ import annotations

import os
import signal

import numpy as np

from pymilk import SHM
from support.foreign import C_ORDER, LED_WRITER, PRELUDE, SHAPE, check_account, owners
from support.waiting import PATIENCE, until, wait_for_state

READING_CHILD = (
    PRELUDE
    + """
stream = Stream.attach("cam")
reader = stream.reader()
out = np.zeros((1, 32, 32), np.uint32)
after = reader.arm()
say(reader.sem_index)
for _ in range(int(sys.argv[1])):
    reader.receive(out, timeout=30, after=after)
    after = reader.last
    say(out[0, 0, 0], after, reader.repeated)
if after:
    try:
        reader.receive(out, timeout=0.01, after=after)
    except TimeoutError:
        say("none")
input()
"""
)


def test_eleven_readers_on_ten_semaphores(spawn, make_stream):
    stream = make_stream("cam", SHAPE, np.uint32)
    readers = [spawn(READING_CHILD, 20) for _ in range(11)]
    held = [reader.hear() for reader in readers]
    assert sorted(held) == sorted([str(index) for index in range(10)] + ["None"])
    for index, pid in enumerate(owners(stream)):
        assert readers[held.index(str(index))].pid == pid
    for number in range(1, 21):
        assert stream.publish(np.full(SHAPE, number, np.uint32)) == number
        for reader in readers:
            frame, counter, repeated = map(int, reader.hear().split())
            assert (frame, counter) == (number, number)
            # A post more than a millisecond after its frame, since we were held up, is one too many.
            assert repeated <= 2
    # A reader that comes late for a frame leaves its post; once it waits for the next one, none is left.
    for reader in readers:
        reader.expect("none")
    assert stream.sem_values() == [0] * 10
    for reader in readers:
        reader.tell()
        assert reader.finish() == (0, "", "")
    assert set(owners(stream)) == {-1}


def test_reader_without_semaphore_gets_one_when_one_is_free(spawn, make_stream):
    stream = make_stream("cam", SHAPE, np.uint32, nbsem=1)
    child = spawn(READING_CHILD, 0)
    child.expect("0")
    with SHM("cam") as shm:
        assert shm.semID is None
        assert shm.get_data(check=True, timeout=0.05, return_none_on_timeout=True) is None
        child.tell()
        assert child.finish() == (0, "", "")
        assert owners(stream) == [-1]
        until(lambda: shm.semID == 0)
        assert owners(stream) == [os.getpid()]


def test_two_captures_in_one_process_get_all_frames(spawn, make_stream):
    make_stream("cam", SHAPE, np.uint32)
    writer = spawn(LED_WRITER, C_ORDER)
    writer.expect("ready")
    with SHM("cam") as one, SHM("cam") as two:
        captures = [one.capture(30, timeout=PATIENCE, background=True)]
        captures += [shm.capture(30, timeout=PATIENCE, background=True) for shm in (one, two)]
        assert len([pid for pid in owners(one._stream) if pid == os.getpid()]) == 3
        for number in range(1, 31):
            writer.tell(number)
            until(lambda number=number: all(c.received >= number for c in captures))
        for capture in captures:
            capture.join()
            check_account(capture.frames, capture.info, 0)
            assert capture.report.lost == 0
            assert capture.report.repeated <= 2  # the writer may be held up between counting and posting


def test_semaphores_of_dead_processes_are_taken_over(spawn, make_stream):
    stream = make_stream("cam", SHAPE, np.uint32, nbsem=2)
    children = [spawn(READING_CHILD, 0) for _ in range(2)]
    for child in children:
        child.hear()
    with SHM("cam") as shm:
        assert shm.semID is None
    os.kill(children[0].pid, signal.SIGKILL)
    wait_for_state(children[0].pid, "Z")
    with SHM("cam") as shm:
        assert shm.semID is not None
        shm.set_data(np.ones(SHAPE, np.uint32))
        assert owners(stream)[shm.semID] == os.getpid()
        assert children[1].pid in owners(stream)
    children[1].tell()
    assert children[1].finish() == (0, "", "")
