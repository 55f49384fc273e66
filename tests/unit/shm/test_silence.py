"""A stream that falls silent: what a loop of `get_data(check=True)` is told, and can ask for."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pymilk import SHM
from pymilk.compat import xaosim
from pymilk.errors import StreamArgumentError, StreamTimeoutError, StreamTimeoutWarning
from pymilk.streams.silence import Silence
from support.camera import numbers


def said_by(work: Callable[[], object], action: Any = "always") -> list[str]:
    """Return the timeouts that are warned of, as a filter of Python lets them through."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter(action)
        work()
    return [str(each.message) for each in caught if each.category is StreamTimeoutWarning]


def loop(shm: Any, times: int, **options: Any) -> None:
    for _ in range(times):
        shm.get_data(True, timeout=0.001, **options)


@pytest.mark.parametrize("action", ["always", "default"])
def test_warning_is_repeated_at_growing_intervals(make, action):
    shm = make("cam", numbers((2, 2)))
    said = said_by(lambda: loop(shm, 20), action)
    assert shm.timeouts == 20
    assert len(said) == len(set(said)) == 5  # the 1st, 2nd, 4th, 8th, 16th
    assert said[0] == "stream 'cam': no new frame within 0.001 s; this is the previous one"
    assert "16 times in a row" in said[-1]
    assert "on_timeout='raise'" in said[-1]


def test_frame_begins_the_count_anew(make):
    shm = make("cam", numbers((2, 2)))
    assert len(said_by(lambda: loop(shm, 3))) == 2
    shm.set_data(numbers((2, 2)))
    shm.get_data(True, timeout=1.0, checkSemAndFlush=False)
    said = said_by(lambda: loop(shm, 3))
    assert len(said) == 2
    assert said[0].endswith("this is the previous one")
    assert shm.timeouts == 6


def test_long_silence_is_told_with_its_frame(make, monkeypatch):
    shm = make("cam", numbers((2, 2)))
    clock = iter((6.0, 12.0, 24.0))  # it is looked at where something is to be said
    monkeypatch.setattr("pymilk.streams.silence.time.monotonic", lambda: next(clock))
    silence = Silence()
    stream = shm.live_source()[0]
    told = said_by(lambda: [silence.timed_out(stream, 6.0, "old") for _ in range(4)])
    assert len(told) == 3
    assert "for 12 s; frame 1 is returned again" in told[1]
    assert "for 24 s" in told[2]


def test_timeout_may_raise(make):
    shm = make("cam", numbers((2, 2)))
    for _ in range(3):
        with pytest.raises(StreamTimeoutError, match=r"0\.001 s.*counter is 1, last written") as caught:
            shm.get_data(True, timeout=0.001, on_timeout="raise")
    assert (caught.value.stream, caught.value.timeout, caught.value.counter) == ("cam", 0.001, 1)
    assert shm.timeouts == 3
    with pytest.raises(StreamTimeoutError):
        shm.save_as_fits("x.fits", check=True, timeout=0.001, on_timeout="raise")
    shm.set_data(numbers((2, 2)))
    assert shm.get_data(True, checkSemAndFlush=False, on_timeout="raise") is not None


def test_timeout_may_give_none(make):
    shm = make("cam", numbers((2, 2)))
    out = np.empty((2, 2), shm.nptype)
    for options in ({}, {"copy": False}, {"out": out}, {"return_none_on_timeout": True}):
        assert shm.get_data(True, timeout=0.001, on_timeout="none", **options) is None
    assert shm.get_data(True, 0.001, True, True, True, True) is None
    assert shm.timeouts == 5


def test_default_is_the_old_frame(make):
    shm = make("cam", numbers((2, 2)))
    for options in ({}, {"on_timeout": "old"}):
        with pytest.warns(StreamTimeoutWarning) as caught:
            frame = shm.get_data(True, timeout=0.001, **options)
        assert caught[0].filename == __file__
        np.testing.assert_array_equal(frame, numbers((2, 2)))


def test_nothing_is_waited_for_without_check(make):
    shm = make("cam", numbers((2, 2)))
    for choice in ("old", "raise", "none"):
        np.testing.assert_array_equal(shm.get_data(on_timeout=choice), numbers((2, 2)))
    assert shm.timeouts == 0


@pytest.mark.parametrize("options", [{}, {"check": True}, {"out": np.empty((2, 2), np.uint16)}])
def test_other_choices_are_refused(make, options):
    shm = make("cam", numbers((2, 2)))
    for wrong in ("Raise", "", None, True, 1):
        with pytest.raises(StreamArgumentError, match="on_timeout is one of") as caught:
            shm.get_data(**options, on_timeout=wrong)
        assert caught.value.argument == "on_timeout"
    with pytest.raises(StreamArgumentError, match="return_none_on_timeout"):
        shm.get_data(**options, return_none_on_timeout=True, on_timeout="raise")


def test_timeouts_can_be_read_after_close(make):
    shm = make("cam", numbers((2, 2)))
    shm.get_data(True, timeout=0.001, on_timeout="none")
    shm.close()
    assert shm.timeouts == 1


# -- the same in the interface of xaosim, which was silent altogether ---------------------------------


@pytest.fixture
def plain(make: Callable[..., SHM]) -> Any:
    make("cam", numbers((2, 2)))
    found = xaosim.shm("cam")
    yield found
    found.close()


def test_xaosim_warns_of_a_long_row(plain):
    said = said_by(lambda: [plain.get_data(9, timeout=0.001) for _ in range(20)])
    assert ["4 times" in said[0], "8 times" in said[1], "16 times" in said[2]] == [True] * 3
    assert len(said) == 3
    assert "on_timeout" not in said[0]
    assert plain.timeouts == 20
    plain.get_data(0)  # a frame above that number is there
    assert said_by(lambda: [plain.get_data(9, timeout=0.001) for _ in range(3)]) == []
