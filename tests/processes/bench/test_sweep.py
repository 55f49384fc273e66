"""The benchmark with its writer process: losses, torn frames, interrupts, and what it leaves behind."""

from __future__ import annotations

import json
import os
import signal
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from pymilk.bench import Benchmark
from pymilk.bench import sweep as bench
from pymilk.bench import writer as bench_writer
from pymilk.bench.writer import BenchWriter
from pymilk.errors import StreamError
from support.bench_points import TINY


def test_every_source_is_measured_and_nothing_is_left(shm_dir: Path) -> None:
    told: list[float] = []
    result = Benchmark(**TINY).run(lambda share, text: told.append(share))
    assert [point.source for point in result.points] == list(bench.SOURCES)
    for found in result.points:
        # A machine that is very busy lets the writer run out of time.
        assert 0 < found.published <= 30
        assert found.delivered + found.missing == found.published
        assert found.lost == found.missing
        assert found.disagreements == []
        assert found.problem == ""
        assert sum(found.latency_counts) == found.delivered
        assert 0 < found.latency_us["p50"] <= found.latency_us["max"]
        assert (found.handover_us == {}) == (found.source == "plain")
        if found.source != "plain":
            assert found.handover_us["p50"] >= found.latency_us["p50"]
        assert found.cpu_share > 0
    assert result.agreed
    assert told == sorted(told)
    json.dumps(result.to_dict())
    assert "rate/s" in str(result)
    assert list(shm_dir.iterdir()) == []


def test_sizes_pins_and_disturbance() -> None:
    core = min(os.sched_getaffinity(0))
    before = os.sched_getaffinity(0)
    options = {**TINY, "shapes": [(8, 8), (16, 20)], "sources": ["fast", "collector"]}
    result = Benchmark(
        **options, dtype="f4", wait="sleep", cpu_writer=core, cpu_reader=core, busy=True, stall=0.01
    ).run()
    assert [point.shape for point in result.points] == [(8, 8)] * 2 + [(16, 20)] * 2
    assert result.agreed
    assert all(point.busy_share for point in result.points)
    assert "The busy Python thread had " in str(result)
    assert "fast 16x20" in " ".join(result.verdict())
    assert f"reader on core {core}" in result.title()
    assert os.sched_getaffinity(0) == before


def test_a_stalling_consumer_overruns_a_shallow_ring() -> None:
    options = {**TINY, "sources": ["fast"], "seconds": 0.36, "depth": 8}
    found = Benchmark(**options, stall=0.1).run().points[0]
    # 100 ms are 100 frames, if the writer keeps its pace, and the ring keeps 7 of them.
    assert found.lost == found.missing >= 10
    assert found.disagreements == []
    assert found.fullest >= 7 / 8


def test_tearing_writer_is_detected(shm_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that puts half of the next frame into every second one, and tells nobody."""
    script = tmp_path / "tearing_writer.py"
    script.write_text(textwrap.dedent("""
        import numpy as np
        from pymilk.bench import writer as bench_writer

        class Tearing(bench_writer.SelfCheckingFrame):
            def number(self, n):
                whole = super().number(n)
                if n % 2:
                    return whole
                torn = whole.copy()
                torn[4:] = super().number(n + 1)[4:]
                return torn

        bench_writer.SelfCheckingFrame = Tearing
        bench_writer.main()
    """))
    monkeypatch.setattr(bench_writer, "COMMAND", (sys.executable, str(script)))
    result = Benchmark(**{**TINY, "sources": ["plain", "fast"], "seconds": 0.3}).run()
    assert not result.agreed
    for found in result.points:
        assert found.torn >= 1
        assert any("torn and were delivered as whole" in said for said in found.disagreements)
    assert result.verdict()[0].startswith("WRONG ACCOUNT")


def test_losing_reader_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that leaves frames out and does not count them."""

    class Losing(bench.CaptureReceiver):
        def receive(self) -> None:
            super().receive()
            kept = np.arange(self.rows) % 3 != 1
            count = int(kept.sum())
            self.frames[:count] = self.frames[: self.rows][kept]
            self.info[:count] = self.info[: self.rows][kept]
            self.rows = count

    monkeypatch.setattr(bench, "CaptureReceiver", Losing)
    found = Benchmark(**{**TINY, "sources": ["plain"], "seconds": 0.3}).run().points[0]
    assert found.missing > found.lost
    assert any("are missing in the stamps" in said for said in found.disagreements)


def test_writer_that_dies_in_the_middle_is_reported(shm_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alive: list[int] = []

    class Mortal(BenchWriter):
        def go(self, rate: float, count: int, seconds: float) -> None:
            super().go(rate, count, seconds)
            alive.append(self.pid)
            if len(alive) == 1:
                os.kill(self.pid, signal.SIGKILL)

    monkeypatch.setattr(bench, "BenchWriter", Mortal)
    result = Benchmark(**{**TINY, "sources": ["fast"], "rates": [500, 1000]}).run()
    dead, after = result.points
    assert dead.problem == "the writer died: it ended with signal 9"
    assert dead.writer == {}
    assert not result.agreed
    assert (after.problem, after.published > 0, after.disagreements) == ("", True, [])  # by a new writer
    assert "PROBLEM: fast at 500/s" in str(result)
    assert list(shm_dir.iterdir()) == []


def test_writer_that_hangs_is_not_waited_for(shm_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging(BenchWriter):
        def go(self, rate: float, count: int, seconds: float) -> None:
            super().go(rate, count, seconds)
            os.kill(self.pid, signal.SIGSTOP)

    monkeypatch.setattr(bench, "BenchWriter", Hanging)
    monkeypatch.setattr(bench, "_GRACE_SECONDS", 0.05)
    result = Benchmark(**{**TINY, "sources": ["plain"]}).run()
    assert result.points[0].problem.startswith("the writer did not end within")
    assert result.points[0].disagreements == []
    assert list(shm_dir.iterdir()) == []


def test_error_in_the_reader_ends_the_run(shm_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: object) -> None:
        raise StreamError("no reader today")

    monkeypatch.setattr(bench.RingReceiver, "receive", fail)
    benchmark = Benchmark(**TINY)
    with pytest.raises(StreamError, match="no reader today"):
        benchmark.run()
    assert [point.source for point in benchmark.result.points] == ["plain"]
    assert list(shm_dir.iterdir()) == []
