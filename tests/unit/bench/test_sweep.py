"""The sweep of the benchmark: its arguments, its room, its memory."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from pymilk.bench import Benchmark
from pymilk.bench import sweep as bench
from pymilk.errors import (
    CaptureMemoryError,
    StreamArgumentError,
    StreamNotFoundError,
    StreamPermissionError,
    StreamStorageError,
)
from support.bench_points import TINY


def test_default_run_is_worked_out_to_take_less_than_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "free_memory", lambda: 64 << 30)
    monkeypatch.setattr(bench.shutil, "disk_usage", lambda path: FreeDisk)
    assert Benchmark().expected_seconds < 50
    assert Benchmark(shapes=[(120, 120), (240, 240), (480, 480)]).expected_seconds < 60
    assert Benchmark().nbytes < 2 << 30


class FreeDisk:
    free = 64 << 30


def test_points_are_shortened_to_the_memory_there_is() -> None:
    benchmark = Benchmark(rates=[1000], shapes=[(100, 100)], seconds=2, memory=20_000 * 100, depth=4)
    assert {task.count for task in benchmark._tasks} == {100}
    assert benchmark.nbytes == 20_000 * 104
    with pytest.raises(CaptureMemoryError, match="20 frames or more") as caught:
        Benchmark(shapes=[(100, 100)], memory=19 * 20_000)
    assert (caught.value.needed, caught.value.available) == (400_000, 380_000)


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"rates": []}, "rates"),
        ({"rates": [0]}, "rates"),
        ({"rates": ["fast"]}, "rates"),
        ({"rates": [float("inf")]}, "rates"),
        ({"shapes": [(120,)]}, "shapes"),
        ({"shapes": [(0, 5)]}, "shapes"),
        ({"shapes": [7]}, "shapes"),
        ({"shapes": [(2, 3)]}, "shape"),
        ({"dtype": "purple"}, "dtype"),
        ({"sources": ["river"]}, "sources"),
        ({"sources": []}, "sources"),
        ({"seconds": -1}, "seconds"),
        ({"seconds": 0.1, "stall": 0.2}, "stall"),
        ({"depth": 1}, "depth"),
        ({"memory": -5}, "memory"),
        ({"wait": "dance"}, "wait"),
        ({"cpu_reader": 100_000}, "cpu"),
        ({"cpu_writer": -1}, "cpu"),
        ({"priority": 0}, "priority"),
    ],
)
def test_wrong_arguments(options: dict[str, object], argument: str) -> None:
    with pytest.raises(StreamArgumentError) as caught:
        Benchmark(**options)
    assert caught.value.argument == argument
    assert pickle.loads(pickle.dumps(caught.value)).argument == argument


def test_what_cannot_be_had_is_said_before_anything_starts(
    shm_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises((StreamStorageError, CaptureMemoryError), match="smaller depth"):
        Benchmark(depth=2**31)
    monkeypatch.setattr(bench, "free_memory", lambda: 2**60)
    with pytest.raises(StreamStorageError, match="smaller depth") as caught:
        Benchmark(depth=2**31)
    assert caught.value.needed == 2**31 * 28_800

    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError

    with monkeypatch.context() as patch:
        patch.setattr(os, "sched_setscheduler", refuse)
        with pytest.raises(StreamPermissionError, match="cannot run at SCHED_FIFO priority 50"):
            Benchmark(priority=50)
    with monkeypatch.context() as patch:
        patch.setattr(bench.tempfile, "mkdtemp", refuse)
        with pytest.raises(StreamPermissionError, match="no directory can be made"):
            Benchmark(**TINY).run()
    monkeypatch.setenv("MILK_SHM_DIR", str(shm_dir / "nowhere"))
    with pytest.raises(StreamNotFoundError):
        Benchmark()
