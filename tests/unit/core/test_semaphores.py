"""The semaphores of a stream within one process."""

from __future__ import annotations

import gc
import os
import threading

import numpy as np
import pytest

from pymilk import SHM
from pymilk._core import Stream
from pymilk.errors import StreamTimeoutError
from support.foreign import SHAPE, owners
from support.waiting import PATIENCE


def test_two_readers_in_one_process_take_no_posts_from_each_other(make_stream):
    stream = make_stream("cam", SHAPE, np.uint32)
    first, second = stream.reader(), stream.reader()
    for reader in (first, second):
        reader.arm()
    assert first.sem_index != second.sem_index
    for _ in range(5):
        stream.publish(np.zeros(SHAPE, np.uint32))
    assert (first.flush(), second.flush()) == (5, 5)
    first.close()
    second.close()


def test_account_of_posts_goes_on_from_one_receive_to_the_next(make_stream):
    stream = make_stream("cam", SHAPE, np.uint32)
    reader = stream.reader()
    out = np.zeros((1, *SHAPE), np.uint32)
    after = reader.arm()
    repeated = 0
    for number in range(1, 31):
        # Now and then the reader is there first, and sleeps; else its post stays where it is.
        publisher = threading.Timer(0.02 if number % 7 == 0 else 0, stream.publish, out)
        publisher.start()
        if number % 7:
            publisher.join()
        reader.receive(out, timeout=PATIENCE, after=after)
        publisher.join()
        after = reader.last
        assert after == number
        repeated += reader.repeated
    assert repeated == 0
    reader.close()


def test_semaphore_is_given_back(make_stream):
    stream = make_stream("cam", SHAPE, np.uint32)
    free = [-1] * 10
    with SHM("cam") as shm:
        assert owners(stream) == free  # taken when it is needed
        index = shm.semID
        assert owners(stream)[index] == os.getpid()
        with pytest.raises(StreamTimeoutError):
            shm.capture(1, timeout=0.01)
        assert owners(stream).count(os.getpid()) == 1
    assert owners(stream) == free
    other = Stream.attach("cam")
    assert other.sem_index == 0
    del other
    gc.collect()
    assert owners(stream) == free
    reader = stream.reader()
    reader.arm()
    assert owners(stream)[0] == os.getpid()
    del reader
    assert owners(stream) == free
