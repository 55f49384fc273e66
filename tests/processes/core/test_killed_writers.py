"""Writers that are killed, in a frame and between frames."""

from __future__ import annotations

import contextlib
import time
import warnings

import numpy as np
import pytest

from pymilk import SHM
from pymilk._core import FLAG_TORN
from pymilk.errors import FrameTornWarning, StreamTimeoutError
from support.foreign import FREE_WRITER, PRELUDE, SHAPE, WRAPPER_ORDER
from support.waiting import PATIENCE, until

DYING_WRITER = (
    PRELUDE
    + """
writer = Foreign(os.path.join(os.environ["MILK_SHM_DIR"], "cam.im.shm"))
say("ready")
input()
writer.publish(1, "open fill count close post")
say("published")
input()
writer.publish(2, sys.argv[1])
say("in it")
time.sleep(1000)
"""
)


def test_writer_killed_in_a_frame(spawn, make_stream):
    make_stream("cam", SHAPE, np.uint32)
    writer = spawn(DYING_WRITER, "open half")
    writer.expect("ready")
    writer.tell()
    writer.expect("published")
    writer.tell()
    writer.expect("in it")
    writer.kill()
    with SHM("cam") as shm:
        assert shm.mtdata["write"] == 1
        began = time.monotonic()
        with pytest.warns(FrameTornWarning):
            frame = shm.get_data()
        took = time.monotonic() - began
        print(f"\nfirst get_data: {took * 1e3:.1f} ms")
        assert took < 2
        assert set(np.unique(frame)) == {1, 2}
        # Once found dead, it is not waited for again.
        times = []
        for _ in range(5):
            began = time.monotonic()
            with pytest.warns(FrameTornWarning):
                shm.get_data()
            times.append(time.monotonic() - began)
        assert min(times) < 0.02
        with pytest.raises(StreamTimeoutError) as caught:
            shm.capture(3, timeout=0.1)
        assert caught.value.capture.received == 0
        # A new writer takes over.
        shm.set_data(np.full(SHAPE, 9, np.uint32))
        assert (shm.get_data() == 9).all()
        assert shm.mtdata["write"] == 0


def test_writer_killed_in_a_frame_while_its_last_one_is_captured(spawn, make_stream):
    make_stream("cam", SHAPE, np.uint32)
    writer = spawn(DYING_WRITER, "count open half post")
    writer.expect("ready")
    with SHM("cam") as shm:
        capture = shm.capture(3, timeout=3.0, background=True)
        writer.tell()
        writer.expect("published")
        until(lambda: capture.received == 1)
        # The second frame is counted, and with it the third one is begun.
        writer.tell()
        writer.expect("in it")
        writer.kill()
        with pytest.raises(StreamTimeoutError):
            capture.join()
        assert capture.info["cnt0"].tolist() == [1, 2]
        assert capture.report.torn <= 1
        if capture.report.torn:
            assert capture.info["flags"][1] & FLAG_TORN
        else:  # the capture was faster than the writer
            assert (capture.frames[1] == 1).all()


def test_writer_killed_at_any_moment(spawn, make_stream):
    make_stream("cam", SHAPE, np.uint32)
    with SHM("cam") as shm:
        for _ in range(3):
            writer = spawn(FREE_WRITER, WRAPPER_ORDER, 10**9, 0)
            writer.expect("ready")
            writer.tell()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FrameTornWarning)
                shm.get_data(check=True, timeout=PATIENCE)
            writer.kill()
            with contextlib.suppress(StreamTimeoutError):
                shm.capture(2, timeout=0.1)
            began = time.monotonic()
            if shm.mtdata["write"]:
                with pytest.warns(FrameTornWarning):
                    shm.get_data()
            else:
                frame = shm.get_data()
                assert (frame == frame[0, 0]).all()
            assert time.monotonic() - began < 2
