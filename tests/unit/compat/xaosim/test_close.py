"""Closing objects of the xaosim interface."""

from __future__ import annotations

import os

import numpy as np
import pytest

from pymilk.compat.xaosim import shm
from pymilk.errors import StreamClosedError
from support.xaosims import TOUCHING, ramp


def test_close_by_a_reader_keeps_the_stream(make, shm_dir, make_stream):
    make_stream("cam", (3, 4), np.float32)
    reader = make("cam")
    assert reader.close() == 0
    assert reader.close() == 0
    assert os.listdir(shm_dir) == ["cam.im.shm"]
    for touch in TOUCHING:
        with pytest.raises(StreamClosedError, match="closed"):
            touch(reader)
    assert reader.mtdata["x"] == 4


@pytest.mark.parametrize(
    ("created", "options", "left"),
    [
        (True, {}, False),
        (True, {"erase_file": True}, False),
        (True, {"erase_file": False}, True),
        (False, {"erase_file": True}, False),
        (False, {"erase_file": False}, True),
    ],
)
def test_close_erases(make, shm_dir, created, options, left):
    writer = make("cam", data=ramp((3, 4)))
    s = writer if created else make("cam")
    frame = s.get_data()
    assert s.close(**options) == 0
    assert os.path.exists(shm_dir / "cam.im.shm") == left
    assert frame.tolist() == ramp((3, 4)).tolist()


@pytest.mark.parametrize("options", [{}, {"erase_file": True}])
def test_close_of_a_stream_that_is_deleted_already(make, shm_dir, options):
    s = make("cam", data=ramp((3, 4)))
    (shm_dir / "cam.im.shm").unlink()
    assert s.get_data().tolist() == ramp((3, 4)).tolist()
    assert s.close(**options) == 0


def test_an_object_that_is_forgotten_warns_and_keeps_the_stream(shm_dir):
    s = shm("cam", data=ramp((3, 4)))
    with pytest.warns(ResourceWarning, match="unclosed.*shm 'cam'"):
        del s
    assert os.listdir(shm_dir) == ["cam.im.shm"]
