"""The writer process of the benchmark: its pace, its end, its death."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

import pymilk
from pymilk.bench import writer as bench_writer
from pymilk.bench.frames import check_frames
from pymilk.bench.writer import BenchWriter, WriterDied
from pymilk.errors import StreamError, StreamNotFoundError, StreamStorageError
from support.bench_points import U2


@contextlib.contextmanager
def writing(folder: Path, kind: str = "plain", depth: int = 16):  # type: ignore[no-untyped-def]
    writer = BenchWriter(folder, kind, (8, 8), U2, depth)
    try:
        yield writer
    finally:
        writer.end()


def answer_of(writer: BenchWriter) -> dict[str, object]:
    found = None
    while found is None:
        found = writer.answer(1.0)
    return found


@pytest.mark.parametrize("kind", bench_writer.KINDS)
def test_writer_keeps_its_pace_and_says_so(shm_dir: Path, kind: str) -> None:
    with writing(shm_dir, kind) as writer, pymilk.Stream.attach(writer.path) as stream:
        first = stream.counter + 1
        writer.go(2000, 60, 5)
        report = answer_of(writer)
        assert (report["first"], report["published"]) == (first, 60)
        assert stream.counter == first + 59
        times = writer.published_ns()
        assert len(times) == 60
        # Never early: 59 intervals last as long as they should, if not longer.
        assert times[-1] - times[0] >= 59 * 500_000 - report["late_p99_us"] * 1000 - 1_000_000
        assert report["longest_holdup_us"] >= 0
        pixels = stream.view()[stream.cnt1] if kind == "temporal" else stream.view()
        numbers, whole = check_frames(np.array(pixels)[np.newaxis])
        assert (numbers[0], whole[0]) == (stream.counter, True)
        writer.go(1000, 5, 5)
        assert answer_of(writer)["first"] == first + 60
    assert list(shm_dir.iterdir()) == []


def test_writer_stops_when_its_time_is_over(shm_dir: Path) -> None:
    with writing(shm_dir) as writer:
        writer.go(100, 1000, 0.05)
        assert 0 < answer_of(writer)["published"] < 1000  # type: ignore[operator]


def test_writer_that_cannot_start(shm_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StreamStorageError) as caught:
        BenchWriter(shm_dir, "fast", (4000, 4000), U2, 10**6)
    assert caught.value.needed > 10**12
    with pytest.raises(StreamNotFoundError):
        BenchWriter(shm_dir / "nowhere", "plain", (8, 8), U2, 4)
    monkeypatch.setattr(bench_writer, "COMMAND", (sys.executable, "-c", "raise SystemExit('no luck')"))
    with pytest.raises(StreamError, match="did not start: it ended with exit code 1: no luck"):
        BenchWriter(shm_dir, "plain", (8, 8), U2, 4)
    assert list(shm_dir.iterdir()) == []


def test_writer_that_dies_says_how(shm_dir: Path) -> None:
    with writing(shm_dir) as writer:
        os.kill(writer.pid, signal.SIGKILL)
        with pytest.raises(WriterDied, match="signal 9"):
            answer_of(writer)
        writer.go(1, 1, 1)  # told to a dead one: no error
