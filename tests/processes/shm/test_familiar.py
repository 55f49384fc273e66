"""Older spellings of `SHM` beside a second process."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from pymilk.errors import AutoRelinkError, StreamArgumentError, StreamShapeChangedError
from support.familiar import numbers

WRITER = """
import sys, numpy as np
from pymilk import Stream
stream = Stream.attach(sys.argv[1])
print("ready", flush=True)
for line in sys.stdin:
    word, *rest = line.split()
    if word == "publish":
        print(stream.publish(np.full(stream.shape, float(rest[0]), stream.dtype)), flush=True)
    elif word == "create":
        shape = tuple(int(axis) for axis in rest)
        stream = Stream.create(sys.argv[1], shape, "f4")
        print("created", flush=True)
"""


# -- waiting without blocking ----------------------------------------------------------------


@pytest.mark.parametrize("options", [(), (0.001,), {"sleep_time": 0.01}, {"sleeptime": 0.01}, (0,)])
def test_wait_for_a_post_of_another_process(make, spawn, options):
    shm = make("cam", ((2, 2), np.float32))
    writer = spawn(WRITER, "cam")
    writer.expect("ready")
    shm.set_data(numbers(2, 2))  # a post before the call does not count
    index = shm.semID
    ended: list[Any] = []

    def wait() -> None:
        named = options if isinstance(options, dict) else {}
        ended.append(shm.non_block_wait_semaphore(*([] if named else options), **named))

    thread = threading.Thread(target=wait)
    thread.start()
    thread.join(0.05)
    assert ended == []
    writer.tell("publish 3")
    thread.join(10)
    assert ended == [0]
    assert shm.semID == index
    assert (shm.get_data() == 3).all()


def test_wait_goes_over_to_a_new_file_that_fits(make, spawn):
    shm = make("cam", ((2, 2), np.float32))
    writer = spawn(WRITER, "cam")
    writer.expect("ready")
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(shm.non_block_wait_until_recreation(0.005)))
    thread.start()
    writer.tell("create 2 2")
    writer.expect("created")
    while thread.is_alive():
        writer.tell("publish 4")
        writer.hear()
        thread.join(0.02)
    assert results == [shm]
    assert (shm.get_data() == 4).all()


def test_wait_ends_with_a_new_file_of_another_shape(make, spawn):
    first = make("cam", ((2, 3), np.float32), symcode=1)
    with pytest.raises(StreamArgumentError):
        first.non_block_wait_semaphore(-1)
    shm = make("cam", symcode=1, autoSqueeze=False)
    writer = spawn(WRITER, "cam")
    writer.expect("ready")
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(shm.non_block_wait_until_recreation(0.005)))
    thread.start()
    writer.tell("create 4 1")
    writer.expect("created")
    thread.join(10)
    [new] = results
    try:
        assert new is not shm
        assert (new.shape_c, new.symcode, new.readSlice) == ((1, 4), 1, Ellipsis)
        with pytest.raises(AutoRelinkError):
            shm.non_block_wait_semaphore(0.005)
        for _ in range(3):  # at every access
            with pytest.raises(StreamShapeChangedError):
                shm.get_data()
    finally:
        new.close()


# -- files ----------------------------------------------------------------


def test_saved_frame_is_the_one_asked_for(make, tmp_path, fits_module, spawn):
    shm = make("cam", numbers(2, 2))
    with pytest.raises(TimeoutError):
        shm.save_as_fits(tmp_path / "cam.fits", check=True, timeout=0.01, return_none_on_timeout=True)
    assert not (tmp_path / "cam.fits").exists()
    writer = spawn(WRITER, "cam")
    writer.expect("ready")
    thread = threading.Thread(
        target=lambda: shm.save_as_fits(str(tmp_path / "cam.fits"), check=True, timeout=10)
    )
    thread.start()
    while thread.is_alive():
        writer.tell("publish 9")
        writer.hear()
        thread.join(0.02)
    pixels, header = fits_module.getdata(tmp_path / "cam.fits", header=True)
    assert (pixels == 9).all()
    assert header["CNT0"] >= 2
