"""Threads of the benchmark fail: the run is told, and measures nothing without them."""

from __future__ import annotations

import pytest

from pymilk.bench import Benchmark, reader, sweep
from pymilk.errors import StreamStorageError
from support.bench_points import TINY
from support.faults import Failing, comes_from, each_fault, raised_within, threads_run_out, within
from support.waiting import until


@each_fault
def test_core_and_priority_cannot_be_tried(monkeypatch: pytest.MonkeyPatch, fault: BaseException) -> None:
    monkeypatch.setattr(sweep, "schedule_thread", Failing(fault))
    assert comes_from(raised_within(lambda: Benchmark(**TINY)), fault)


@each_fault
def test_a_busy_thread_that_ends(monkeypatch: pytest.MonkeyPatch, fault: BaseException) -> None:
    """What was measured beside it was not measured beside a busy thread."""
    failing = Failing(fault)
    with reader.BusyThread(True) as busy:
        assert busy.share(1.0) is not None
        monkeypatch.setattr(reader.time, "thread_time", failing)
        assert failing.called.wait(30)
        until(lambda: busy._error)
        assert comes_from(raised_within(lambda: busy.share(1.0)), fault)


def test_without_a_thread() -> None:
    with threads_run_out(), pytest.raises(StreamStorageError, match="no thread"):
        within(lambda: reader.BusyThread(True).__enter__())
