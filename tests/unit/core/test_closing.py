"""A stream that another thread closes."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest

from pymilk import SHM
from pymilk.errors import StreamClosedError
from support.foreign import SHAPE, owners
from support.waiting import PATIENCE, until


@pytest.mark.parametrize("wait", ["auto", "spin", "sleep"])
def test_close_from_another_thread_ends_a_wait_and_a_capture(make_stream, wait):
    stream = make_stream("cam", SHAPE, np.uint32)
    shm = SHM("cam")
    capture = shm.capture(10, timeout=None, wait=wait, background=True)
    errors: list[BaseException] = []

    def wait_for_ever() -> None:
        try:
            shm.get_data(check=True, timeout=None)
        except StreamClosedError as error:
            errors.append(error)

    waiter = threading.Thread(target=wait_for_ever)
    waiter.start()
    until(lambda: owners(stream).count(os.getpid()) == 2)
    stream.publish(np.ones(SHAPE, np.uint32))
    waiter.join(PATIENCE)
    assert not waiter.is_alive()
    until(lambda: capture.received == 1)
    waiter = threading.Thread(target=wait_for_ever)
    waiter.start()
    shm.close()
    waiter.join(PATIENCE)
    assert not waiter.is_alive()
    assert [error.stream for error in errors] == ["cam"]
    with pytest.raises(StreamClosedError):
        capture.join()
    assert (capture.frames == 1).all()
    assert capture.received == 1
    assert set(owners(stream)) == {-1}
