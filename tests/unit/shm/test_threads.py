"""One `SHM` in several threads."""

from __future__ import annotations

import gc
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pymilk import SHM, errors
from pymilk._core import IMAGETYPES, Stream
from pymilk.errors import StreamClosedError, StreamFormatError
from support.camera import Camera, numbers


def run_threads(*targets: Callable[[], Any]) -> list[BaseException]:
    """Run functions at the same time; return what they raised."""
    raised: list[BaseException] = []

    def guarded(target: Callable[[], Any]) -> None:
        try:
            target()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=guarded, args=(target,)) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return raised


def test_two_threads_use_one_object(make):
    shm = make("cam", numbers((8, 8), np.uint32))

    def read() -> None:
        for _ in range(300):
            frame = shm.get_data()
            assert frame.shape == (8, 8)
            shm.get_counter(), shm.mtdata, shm.get_keywords()

    def wait() -> None:
        for _ in range(50):
            assert shm.get_data(check=True, timeout=20) is not None

    with Camera("cam", 0.0005):
        assert run_threads(read, wait, wait, lambda: shm.capture(50)) == []


def test_two_threads_wait_while_the_stream_is_recreated(make):
    shm = make("cam", ((8, 8), np.uint32))
    ended = threading.Event()

    def wait() -> None:
        while not ended.is_set():
            shm.get_data(check=True, timeout=20)

    def read() -> None:
        while not ended.is_set():
            shm.get_data()
            shm.get_counter()

    def recreate() -> None:
        try:
            for number in range(30):
                with SHM("cam", np.full((8, 8), number, np.uint32)) as writer:
                    for _ in range(5):
                        time.sleep(0.001)
                        writer.set_data(np.full((8, 8), number, np.uint32))
        finally:
            ended.set()
            # Whoever waits now gets one more frame.
            for _ in range(100):
                with SHM("cam") as writer:
                    writer.set_data(np.zeros((8, 8), np.uint32))
                time.sleep(0.001)

    assert run_threads(wait, wait, read, recreate) == []


def test_threads_share_a_handle_that_is_closed(make):
    shm = make("cam", ((8, 8), np.uint32))

    def use() -> None:
        while True:
            try:
                shm.get_data()
                shm.set_data(np.zeros((8, 8), np.uint32))
                shm.get_counter()
            except StreamClosedError:
                return

    def close() -> None:
        while shm.get_counter() < 50:  # both are at it
            time.sleep(0.001)
        shm.close()

    assert run_threads(use, use, close) == []


def test_what_changed_shows_in_the_class(make):
    """Raised at each access until something is done about it; a stream that fits again is followed."""
    shm = make("cam", numbers((2, 2)))
    for data, kind, old_name in (
        (numbers((3, 3)), errors.StreamShapeChangedError, errors.AutoRelinkSizeError),
        (numbers((2, 2)).astype(np.float64), errors.StreamTypeChangedError, errors.AutoRelinkTypeError),
    ):
        make("cam", data)
        for access in (shm.get_data, shm.get_counter, shm.get_keywords, shm.get_data):
            with pytest.raises(kind) as caught:
                access()
            assert isinstance(caught.value, old_name)
            assert isinstance(caught.value, errors.AutoRelinkError)
    make("cam", numbers((2, 2)))
    assert np.array_equal(shm.get_data(), numbers((2, 2)))


def test_unknown_keyword_is_every_error_that_scripts_catch(make):
    shm = make("cam", numbers((2, 2)))
    for kind in (KeyError, AssertionError, ValueError):
        with pytest.raises(kind, match="NOPE"):
            shm.update_keyword("NOPE", 1)
    shm.set_keywords({"A": (1, "one")})
    assert shm.get_keywords(True, n_tries=2) == {"A": (1, "one")}
    assert shm.get_keyword(key="A", comment=True, n_tries=2) == (1, "one")


def test_view_of_a_slice_of_single_pixels_is_a_view(make_stream: Callable[..., Stream]) -> None:
    bits = IMAGETYPES["CIRCULAR_BUFFER"] | IMAGETYPES["ZAXIS_TEMPORAL"]
    stream = make_stream("dots", (3, 1, 1), np.uint16, imagetype=bits)
    with SHM("dots") as shm:
        frame = shm.get_data(copy=False)
        assert frame.shape == ()
        stream.view(writable=True)[:] = 7
        assert frame == 7


def test_gpu_stream_leaves_nothing_to_close(make_stream: Callable[..., Stream]) -> None:
    make_stream("gpu", (2, 3), np.uint16, location=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(StreamFormatError, match="GPU"):
            SHM("gpu")
        gc.collect()
    assert not caught
