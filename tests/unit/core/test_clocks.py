"""Which clocks the core uses."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import pymilk
from pymilk import times
from pymilk._core import Stream

# -- timeouts -----------------------------------------------------------------------------------------


def test_core_waits_by_no_clock_that_can_be_set() -> None:
    core = sys.modules["pymilk._core"].__file__
    assert core is not None
    names = Path(core).read_bytes().split(b"\0")
    assert b"sem_timedwait" not in names
    assert b"pthread_cond_timedwait" not in names
    assert b"sem_clockwait" not in names
    assert b"clock_nanosleep" in names


# -- stamps -------------------------------------------------------------------------------------------


def test_offset_of_a_thread_that_is_held_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause of a second between two readings, or a clock that is set there, is no leap second."""
    readings = iter(
        [
            *(37_000_000_000, 1_000_000_000, 38_000_000_100),  # held up
            *(9_000_000_000, 5, 8_000_000_000),  # set back
            *(40_000_000_000, 3_000_000_010, 40_000_000_020),
        ]
    )
    monkeypatch.setattr(times.time, "clock_gettime_ns", lambda clock: next(readings))
    assert times.tai_offset() == 37
    assert list(readings) == []


def test_documentation_names_the_clock() -> None:
    for item in (
        Stream.acquisition_time_ns,
        Stream.write_time_ns,
        Stream.creation_time_ns,
        Stream.last_access_time_ns,
        pymilk.Capture.info,
        times,
        times.to_utc,
        times.now_ns,
    ):
        assert "CLOCK_TAI" in (item.__doc__ or ""), item
