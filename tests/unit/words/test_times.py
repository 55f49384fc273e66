"""Clocks and their conversion."""

from __future__ import annotations

import datetime
import operator
import time

import numpy as np

from pymilk import times


def test_now_is_the_clock_of_streams(make_stream) -> None:
    stream = make_stream("cam", (2,), "u1")
    before = times.now_ns()
    stream.publish(np.zeros(2, "u1"))
    assert before <= stream.write_time_ns <= times.now_ns()
    assert stream.acquisition_time_ns == stream.write_time_ns


def test_offset_is_what_the_kernel_says() -> None:
    tai = time.clock_gettime(times.CLOCK_TAI)
    assert abs(tai - time.time() - times.tai_offset()) < 0.5


def test_to_utc() -> None:
    stamp = np.datetime64("2026-11-21T08:00:00.123456789", "ns")
    utc = int(stamp.astype(np.int64))
    assert times.to_utc(utc, offset=0) == stamp
    assert times.to_utc(utc + 37 * 10**9, offset=37) == stamp
    assert times.to_utc(utc + times.tai_offset() * 10**9) == stamp


def test_to_utc_of_an_array_knows_never() -> None:
    found = times.to_utc(np.array([0, 10**9, 38 * 10**9]), offset=37)
    assert found.dtype == "datetime64[ns]"
    assert np.isnat(found).tolist() == [True, False, False]
    assert found[2] == np.datetime64("1970-01-01T00:00:01", "ns")


def test_given_times_are_stored_exactly(make_stream) -> None:
    stream = make_stream("cam", (2,), "u1")
    for stamp in (0, 1, 1_700_000_000_123_456_789, -1, -(2**63), 2**63 - 1):
        stream.publish(np.zeros(2, "u1"), atime_ns=stamp)
        assert stream.acquisition_time_ns == stamp


# --- times as numbers ----------------------------------------------------------------------------


def test_times_round_and_print_as_numbers() -> None:
    stamp = times.to_local(1_700_000_000_123_456_000)
    assert round(stamp, 1) == 1_700_000_000.1
    assert int(stamp) == round(stamp) == 1_700_000_000
    assert f"{stamp:.3f} {stamp:12.1f} {stamp:e}" == "1700000000.123 1700000000.1 1.700000e+09"
    assert f"{stamp:%Y} {stamp}" == f"{stamp.strftime('%Y')} {stamp!s}"


def test_what_lies_between_two_times_is_a_number_too() -> None:
    span = times.to_local(1_700_000_002_500_000_000) - times.to_local(1_700_000_000_000_000_000)
    assert isinstance(span, datetime.timedelta)
    assert span == datetime.timedelta(seconds=2.5) == 2.5 * datetime.timedelta(seconds=1)
    assert hash(span) == hash(datetime.timedelta(seconds=2.5))
    assert span == 2.5
    assert not operator.ne(span, 2.5)
    assert span != 2
    assert span != datetime.timedelta(seconds=2)
    assert 2 < span <= 2.5
    assert 3 > span >= 2.5
    assert datetime.timedelta(seconds=2) < span < datetime.timedelta(seconds=3)
    assert (float(span), round(span, 1), f"{span:.3f}") == (2.5, 2.5, "2.500")
    assert str(span) == f"{span}" == "0:00:02.500000"


def test_a_time_that_equals_a_number_does_not_differ_from_it() -> None:
    stamp = times.to_local(1_700_000_000_500_000_000)
    assert stamp == 1_700_000_000.5
    assert not operator.ne(stamp, 1_700_000_000.5)
    assert stamp != 1_700_000_000
    assert stamp != datetime.datetime(2020, 1, 1)
    assert not operator.ne(stamp, stamp.replace())
