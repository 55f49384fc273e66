"""`get_data(check=True)` in its usual cases, which are compiled from the wait to the copy."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from pymilk import SHM
from pymilk.errors import (
    FrameMismatchError,
    StreamArgumentError,
    StreamClosedError,
    StreamReplacedError,
    StreamTimeoutError,
    StreamTimeoutWarning,
)

SHORT = 1e-6


def no_detour(*_: Any) -> Any:
    raise AssertionError("this call of get_data left the compiled code")


@pytest.fixture
def usual(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every call that is no usual case."""
    monkeypatch.setattr(SHM, "_get_frame", no_detour)
    monkeypatch.setattr(SHM, "_wait", no_detour)


@pytest.mark.usefixtures("usual")
@pytest.mark.parametrize("shape", [(6, 5), (300, 300)])
def test_no_python_between_wait_and_frame(shape: tuple[int, int]) -> None:
    image = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    with SHM("cam", image) as writer, SHM("cam") as reader:
        into = np.empty_like(image)
        for k, options in enumerate(({}, {"out": into}, {"copy": False}, {"timeout": None}), 1):
            writer.set_data(image + k)
            got = reader.get_data(True, checkSemAndFlush=False, **options)
            np.testing.assert_array_equal(got, image + k)
            assert (got is into) == ("out" in options)
            assert np.shares_memory(got, reader.get_data(copy=False)) == ("copy" in options)


def test_a_frame_that_was_seen_is_not_returned_again() -> None:
    with SHM("cam", np.zeros((3, 4), "f4")) as writer, SHM("cam") as reader:
        for options in ({}, {"copy": False}, {"out": np.empty((3, 4), "f4")}):
            writer.set_data(np.ones((3, 4), "f4"))
            reader.get_data(True, SHORT, checkSemAndFlush=False, on_timeout="raise", **options)
            with pytest.raises(StreamTimeoutError):
                reader.get_data(True, SHORT, checkSemAndFlush=False, on_timeout="raise", **options)
        assert reader.timeouts == 3


def test_timeouts() -> None:
    image = np.ones((3, 4), "f4")
    with SHM("cam", image) as shm:
        assert shm.get_data(True, SHORT, on_timeout="none") is None
        assert shm.get_data(True, timeout=SHORT, return_none_on_timeout=True) is None
        with pytest.raises(StreamTimeoutError, match="no new frame within 1e-06 s"):
            shm.get_data(True, timeout=SHORT, on_timeout="raise")
        with pytest.warns(StreamTimeoutWarning, match="4 times in a row"):
            np.testing.assert_array_equal(shm.get_data(True, timeout=SHORT), image)
        assert shm.timeouts == 4
        known = shm._seen
        shm.set_data(image * 2)
        shm._seen = known
        assert (shm.get_data(True, checkSemAndFlush=False) == 2).all()  # ends the silence
        into = np.zeros_like(image)
        with pytest.warns(StreamTimeoutWarning, match="this is the previous one"):
            assert shm.get_data(True, timeout=SHORT, out=into) is into
        assert (into == 2).all()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert shm.get_data(True, timeout=SHORT, copy=False).base is not None


def test_mistakes_are_found_before_the_wait() -> None:
    with SHM("cam", np.zeros((3, 4), "f4")) as shm:
        with pytest.raises(StreamArgumentError):
            shm.get_data(True, timeout="soon")
        with pytest.raises(StreamArgumentError):
            shm.get_data(True, on_timeout="perhaps")
        shm.close()
        with pytest.raises(StreamClosedError):
            shm.get_data(True)


def test_what_does_not_fit() -> None:
    with SHM("cam", np.zeros((3, 4), "f4")) as writer, SHM("cam") as reader:
        for out in (np.empty((4, 3), "f4"), np.empty((3, 4), "f8")):
            writer.set_data(np.ones((3, 4), "f4"))
            with pytest.raises(FrameMismatchError):
                reader.get_data(True, checkSemAndFlush=False, out=out)
        spaced = np.zeros((3, 8), "f4")[:, ::2]
        writer.set_data(np.ones((3, 4), "f4"))
        assert (reader.get_data(True, checkSemAndFlush=False, out=spaced) == 1).all()


def test_a_stream_that_is_replaced() -> None:
    with SHM("cam", np.zeros((3, 4), "f4")), SHM("cam") as reader:
        new = SHM("cam", np.full((3, 4), 5, "f4"), replace=True)
        with pytest.raises(StreamReplacedError):
            reader.get_data(True, autorelink_if_need=False)
        with pytest.raises(StreamTimeoutError):  # a new frame of the new file, not its first
            reader.get_data(True, SHORT, on_timeout="raise")
        new.set_data(np.full((3, 4), 6, "f4"))
        assert (reader.get_data(True, checkSemAndFlush=False) == 6).all()
        new.close()


@pytest.mark.parametrize("left", [5.0, None])
def test_a_stream_that_is_replaced_during_the_wait(
    monkeypatch: pytest.MonkeyPatch, left: float | None
) -> None:
    """The wait goes on in the new file, where every frame is new."""
    with SHM("cam", np.zeros((3, 4), "f4")), SHM("cam") as reader:
        known = SHM._known

        def replaced_now(shm: SHM, stream: Any) -> int:
            SHM("cam", np.full((3, 4), 7, "f4"), replace=True).close()
            return known(shm, stream)

        monkeypatch.setattr(SHM, "_known", replaced_now)
        frame = reader.get_data(True, left, checkSemAndFlush=False, on_timeout="raise")
        assert (frame == 7).all()
        assert reader.timeouts == 0
