"""Handles that come and go in threads, beside a writer and readers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np

from pymilk._core import FLAG_VERIFIED, FRAME_ROW, Stream

SHAPE = (16, 16)


def test_threads_of_one_process(make_stream):
    """A writer, captures, reads and handles that come and go, all of one stream, in threads."""
    stream = make_stream("cam", SHAPE, np.uint32)
    end, failed = threading.Event(), []

    def guarded(work: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                while not end.is_set():
                    work()
            except BaseException as error:
                failed.append(error)
                raise

        return run

    def read() -> None:
        pixels, flags, _ = reader.read()
        assert not flags & FLAG_VERIFIED or (pixels == pixels[0, 0]).all()

    def come_and_go() -> None:
        with Stream.attach("cam") as other:
            own = other.reader()
            frames, info = np.zeros((2, *SHAPE), np.uint32), np.zeros(2, FRAME_ROW)
            own.receive(frames, info, timeout=30)
            own.close()
            assert info["cnt0"][1] == info["cnt0"][0] + 1 + info["lost"][1]

    def publish() -> None:
        nonlocal number
        number += 1
        stream.publish(np.full(SHAPE, number, np.uint32))

    number = 0
    reader = Stream.attach("cam")
    threads = [threading.Thread(target=guarded(work)) for work in (read, come_and_go, come_and_go)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 0.3
    while time.monotonic() < until or number < 20:
        publish()
    end.set()
    while any(thread.is_alive() for thread in threads):
        publish()  # for those who still wait for a frame
        time.sleep(0.001)
    reader.close()
    assert not failed
    assert stream.counter == number
