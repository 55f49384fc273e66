"""Captures of streams with rings."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pymilk import SHM, Stream
from pymilk._core import FLAG_FROM_RING, FLAG_VERIFIED, FRAME_ROW
from support import isio_format as fmt
from support.rings import CAPACITY, DTYPE, SHAPE, create, each_source, numbers_of, shared_sources, stamped
from support.waiting import PATIENCE

MakeSHM = Callable[..., SHM]


@shared_sources
def test_capture_in_the_background(make: MakeSHM, source: str) -> None:
    """The ring keeps what comes while the receiver is not looking."""
    shm = create(make, source, capacity=40)
    capture = make("cam").capture(30, background=True)
    shm.set_many(np.stack([stamped(number) for number in range(2, 32)]))
    capture.join()
    assert numbers_of(capture) == list(range(2, 32))
    assert (capture.report.received, capture.report.lost) == (30, 0)
    assert (capture.info["flags"] == FLAG_VERIFIED | FLAG_FROM_RING).all()
    assert capture.info["cnt1"].tolist() == [number % 41 for number in range(2, 32)]


@each_source
@pytest.mark.parametrize("how", ["capture", "list", "cube"])
def test_capture(make: MakeSHM, source: str, how: str) -> None:
    shm = create(make, source, capacity=4096)  # 2 s: a reader may be held up while the writer goes on
    reader = make("cam")
    stop = threading.Event()

    def write() -> None:
        for number in itertools.count(2):
            if stop.wait(0.0005):
                return
            shm.set_data(stamped(number))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        if how == "capture":
            capture = reader.capture(30, timeout=PATIENCE)
            got = capture.frames
        else:
            got = reader.multi_recv_data(30, how == "cube", timeout=PATIENCE)
    finally:
        stop.set()
        writer.join()
    assert isinstance(got, list) == (how == "list")
    assert len(got) == 30
    assert all(frame.shape == SHAPE and (frame == frame[0, 0]).all() for frame in got)
    values = [int(frame[0, 0]) for frame in got]
    assert values == sorted(set(values))
    if source != "collector":
        assert values == list(range(values[0], values[0] + 30))
    if how == "capture":
        assert numbers_of(capture) == values
        assert capture.info["lost"][1:].tolist() == (np.diff(values) - 1).tolist()


@shared_sources
def test_receive_from_a_ring(make: MakeSHM, source: str) -> None:
    """Frames published between two receives are in the ring, and not lost."""
    shm = create(make, source)
    with Stream.attach("cam") as stream:
        assert stream.frame_shape == SHAPE
        out, info = np.zeros((3, *SHAPE), DTYPE), np.zeros(3, FRAME_ROW)
        reader = stream.reader()
        after = reader.arm()
        for first in (2, 5, 8):
            for number in range(first, first + 3):
                shm.set_data(stamped(number))
            assert reader.receive(out, info, after=after, timeout=0) == 3
            after = reader.last
            assert out[:, 0, 0].tolist() == [first, first + 1, first + 2]
            assert info["cnt0"].tolist() == [first, first + 1, first + 2]
            assert info["lost"].tolist() == [0, 0, 0]
            assert info["flags"].tolist() == [FLAG_VERIFIED | FLAG_FROM_RING] * 3
        # More than the ring keeps: the oldest are lost.
        for number in range(11, 31):
            shm.set_data(stamped(number))
        assert reader.receive(out, info, after=after, timeout=0) == 3
        oldest = 30 - CAPACITY + 1
        assert info["cnt0"].tolist() == [oldest, oldest + 1, oldest + 2]
        assert info["lost"].tolist() == [oldest - 11, 0, 0]


def test_receive_where_the_writer_leaves_the_ring_out(make: MakeSHM) -> None:
    """The newest frame is delivered, in the ring or not, as from a plain stream."""
    with Stream.create("cam", SHAPE, DTYPE, cb_size=4) as stream:
        reader = stream.reader()
        after = reader.arm()
        path = Path(stream.path)
        stream.view(writable=True)[...] = 7
        with path.open("r+b") as file:
            data = bytearray(path.read_bytes())
            fmt.patch(data, "cnt0", 1)
            file.write(data)
        out, info = np.zeros((1, *SHAPE), DTYPE), np.zeros(1, FRAME_ROW)
        assert reader.receive(out, info, after=after, timeout=0.2) == 1
        assert (out == 7).all()
        assert (info["cnt0"][0], info["lost"][0], info["flags"][0]) == (1, 0, FLAG_VERIFIED)
