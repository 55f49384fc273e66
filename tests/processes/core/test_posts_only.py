"""Writers that post and never count: `wait_on="post"`."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from pymilk import SHM
from pymilk._core import FLAG_UNCERTAIN, FLAG_VERIFIED, FRAME_ROW, Stream
from pymilk.errors import StreamArgumentError, StreamTimeoutError
from support.calling import call
from support.foreign import FREE_WRITER, LED_WRITER, SHAPE
from support.waiting import PATIENCE, until


@pytest.fixture
def posting(spawn, make_stream):
    make_stream("cam", SHAPE, np.uint32)
    writer = spawn(LED_WRITER, "open fill close post")
    writer.expect("ready")
    return writer


def led(writer: Any, shm: SHM, count: int) -> Any:
    """Capture from a writer that begins a frame when the one before has been received."""
    capture = shm.capture(count, timeout=PATIENCE, wait_on="post", background=True)
    for number in range(1, count + 1):
        writer.tell(number)
        until(lambda number=number: capture.received >= number or capture.done)
    return capture.join()


def test_each_post_is_a_frame(posting):
    with SHM("cam") as shm:
        capture = led(posting, shm, 30)
    assert capture.frames[:, 0, 0].tolist() == list(range(1, 31))
    assert capture.info["cnt0"].tolist() == list(range(1, 31))
    assert not capture.info["lost"].any()
    assert not (capture.info["flags"] & FLAG_VERIFIED).any()
    assert (capture.info["flags"] & FLAG_UNCERTAIN).all()
    assert "none verified" in str(capture.report)
    assert capture.report.to_dict()["wait_on"] == "post"


def test_posts_that_wait_are_frames_that_were_lost(posting):
    """Frames and losses together are the posts that were taken."""
    with Stream.attach("cam") as stream:
        reader = stream.reader()
        after = reader.arm()
        for number in range(1, 7):
            posting.tell(number)
        until(lambda: stream.sem_value(reader.sem_index) == 6)
        out = np.empty((1, *SHAPE), np.uint32)
        info = np.empty(1, FRAME_ROW)
        assert reader.receive(out, info, timeout=PATIENCE, after=after, wait_on="post") == 1
        assert out[0, 0, 0] == 6
        assert info["cnt0"][0] == 6
        assert info["lost"][0] == 5


def test_without_a_post_it_times_out(posting):
    with SHM("cam") as shm, pytest.raises(StreamTimeoutError):
        shm.capture(1, timeout=0.05, wait_on="post")


def test_what_does_not_go_together_is_refused(make_stream):
    make_stream("cam", SHAPE, np.uint32)
    make_stream("ring", SHAPE, np.uint32, cb_size=4)
    with SHM("ring") as shm, pytest.raises(StreamArgumentError, match="ring"):
        shm.capture(1, timeout=1, wait_on="post")
    with SHM("cam") as shm, pytest.raises(StreamArgumentError, match="wait_on"):
        shm.capture(1, timeout=1, wait_on="posts")
    out = np.empty((1, *SHAPE), np.uint32)
    stream = Stream.attach("cam", writable=False)
    with pytest.raises(StreamArgumentError, match="read-only"):
        stream.receive(out, timeout=1, wait_on="post")
    stream.close()


def test_command(spawn, make_stream):
    make_stream("cam", SHAPE, np.uint32)
    writer = spawn(FREE_WRITER, "open fill close post", 100_000, 0.002)
    writer.expect("ready")
    writer.tell()
    said = call("capture", "cam", "-n", 20, "--wait-on", "post", "--json")
    assert said.returncode == 0, said.stderr
    told = json.loads(said.stdout)
    assert (told["received"], told["uncertain"], told["wait_on"]) == (20, 20, "post")
    assert call("capture", "cam", "--seconds", 1, "--wait-on", "post").returncode == 2
