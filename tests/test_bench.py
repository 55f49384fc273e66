"""The benchmark: its frames, its arithmetic, its verdict, and what it leaves behind."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import pymilk
from conftest import heed_interrupts
from pymilk._core import FLAG_TORN, FLAG_VERIFIED, FRAME_ROW
from pymilk.bench import Benchmark
from pymilk.bench import result as bench_result
from pymilk.bench import sweep as bench
from pymilk.bench import writer as bench_writer
from pymilk.bench.account import LATENCY_EDGES_US, latency_counts, percentiles, settle
from pymilk.bench.frames import SelfCheckingFrame, check_frames
from pymilk.bench.result import BenchResult, Point
from pymilk.bench.writer import BenchWriter, WriterDied
from pymilk.errors import (
    CaptureMemoryError,
    StreamArgumentError,
    StreamError,
    StreamNotFoundError,
    StreamPermissionError,
    StreamStorageError,
)
from pymilk.system import machine

U2 = np.dtype(np.uint16)
COMMAND = [sys.executable, "-m", "pymilk", "bench"]
TINY = {"rates": [1000], "shapes": [(8, 8)], "seconds": 0.03, "depth": 64}


# -- frames that check themselves --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((8, 8), "u1"), ((5, 15), "u1"), ((120, 120), "u2"), ((9, 31), "f4"), ((400, 300), "f8")],
)
def test_frames_carry_their_numbers(shape: tuple[int, int], dtype: str) -> None:
    frame = SelfCheckingFrame(shape, np.dtype(dtype))
    wanted = [0, 1, 2**40 + 3, 2**64 - 1]
    cube = np.stack([frame.number(n).copy() for n in wanted])
    numbers, whole = check_frames(cube)
    assert numbers.tolist() == wanted
    assert whole.all()


@pytest.mark.parametrize("shape", [(120, 120), (700, 500)])
def test_a_tear_shows_wherever_it_is(shape: tuple[int, int]) -> None:
    frame = SelfCheckingFrame(shape, U2)
    old, new = frame.number(6).copy().ravel(), frame.number(7).copy().ravel()
    random = np.random.default_rng(3)
    cuts = random.integers(1, len(old), 60)
    cube = np.stack([np.concatenate([new[:cut], old[cut:]]) for cut in cuts]).reshape(-1, *shape)
    # Within the first or last stamp there are both numbers as well.
    assert not check_frames(cube)[1].any()


def test_one_bit_is_enough() -> None:
    frame = SelfCheckingFrame((16, 16), U2)
    cube = np.stack([frame.number(9)] * 3)
    cube[1, 7, 3] ^= 1
    assert check_frames(cube)[1].tolist() == [True, False, True]


def test_no_frames_and_small_frames() -> None:
    assert [len(found) for found in check_frames(np.empty((0, 8, 8), U2))] == [0, 0]
    with pytest.raises(StreamArgumentError, match="64 or more"):
        SelfCheckingFrame((7, 9), np.dtype("u1"))


# -- arithmetic --------------------------------------------------------------------------------------


def rows(numbers: list[int], lost: list[int] | None = None, flags: int = FLAG_VERIFIED) -> np.ndarray:
    info = np.zeros(len(numbers), FRAME_ROW)
    info["cnt0"] = numbers
    info["flags"] = flags
    if lost is not None:
        info["lost"] = lost
    return info


def settled(numbers: list[int], info: np.ndarray, first: int, published: int, **more: object):  # type: ignore[no-untyped-def]
    whole = more.pop("whole", np.ones(len(numbers), bool))
    overwritten = more.pop("overwritten", np.zeros(len(numbers), bool))
    return settle(np.array(numbers, np.uint64), whole, info, overwritten, first, published, **more)


def test_account_of_a_clean_run() -> None:
    found = settled([5, 6, 7], rows([5, 6, 7]), 5, 3)
    assert (found.delivered, found.lost, found.missing, found.torn, found.gaps) == (3, 0, 0, 0, 0)
    assert found.disagreements == []
    assert found.good.all()


def test_account_of_losses_at_both_ends_and_between() -> None:
    numbers = [7, 8, 12]
    found = settled(numbers, rows(numbers, [2, 0, 3]), 5, 8)
    assert (found.delivered, found.lost, found.missing, found.gaps, found.longest_gap) == (3, 5, 5, 2, 3)
    assert found.in_short_gaps == 2
    assert found.disagreements == []


def test_losses_that_are_not_told_are_found() -> None:
    found = settled([5, 9], rows([5, 9]), 5, 5)
    assert found.missing == 3
    assert found.disagreements == [
        "0 frames are counted as lost, but 3 of the 5 published are missing in the stamps"
    ]


def test_losses_that_did_not_happen_are_found() -> None:
    found = settled([5, 6], rows([5, 6], [0, 4]), 5, 2)
    assert "4 frames are counted as lost, but 0 of the 2" in found.disagreements[0]


def test_torn_frames_flagged_and_not() -> None:
    numbers, info = [1, 2, 3, 4], rows([1, 2, 3, 4])
    info["flags"][1] = FLAG_TORN
    whole = np.array([True, False, True, True])
    found = settled(numbers, info, 1, 4, whole=whole)
    assert (found.delivered, found.torn, found.missing, found.disagreements) == (3, 1, 1, [])
    info["flags"] = FLAG_VERIFIED
    found = settled(numbers, info, 1, 4, whole=whole)
    assert found.disagreements == ["1 frames are torn and were delivered as whole"]
    assert found.good.tolist() == [True, False, True, True]


def test_repeated_misnumbered_and_foreign_frames_are_found() -> None:
    found = settled([1, 2, 2, 3], rows([1, 2, 2, 3]), 1, 3)
    assert (found.repeated, found.delivered, found.missing) == (1, 3, 0)
    assert "more than once" in found.disagreements[0]
    found = settled([1, 9, 3], rows([1, 2, 3]), 1, 3)
    assert "another number" in found.disagreements[0]
    found = settled([1, 2, 77], rows([1, 2, 77]), 1, 3)
    assert "never published" in found.disagreements[0]
    assert found.missing == 1


def test_frames_that_were_overwritten_after_use_count_as_lost() -> None:
    numbers = [1, 2, 3, 4]
    # What stands in an overwritten row means nothing.
    found = settled(
        [900, 2, 3, 4], rows(numbers), 1, 4,
        whole=np.array([False, True, True, True]), overwritten=np.array([True, False, False, False]),
    )  # fmt: skip
    assert (found.lost, found.missing, found.torn, found.disagreements) == (1, 1, 0, [])


def test_who_was_late() -> None:
    # Frame 2 was overwritten after 1 us of 100: the writer's doing. Frames 5 and 6 had all their time.
    times = np.array([0, 100, 101, 200, 300, 400, 500, 600]) * 1000
    numbers = [1, 3, 4, 7, 8]
    found = settled(numbers, rows(numbers, [0, 1, 0, 2, 0]), 1, 8, times_ns=times, interval_ns=1e5)
    assert (found.missing, found.behind_bursts, found.disagreements) == (3, 1, [])


def test_nothing_received_at_all() -> None:
    found = settled([], rows([]), 1, 10)
    assert (found.delivered, found.missing, found.longest_gap) == (0, 10, 10)
    assert len(found.disagreements) == 1


def test_percentiles_and_histogram() -> None:
    values = np.arange(1001.0)
    assert percentiles(values) == {"p50": 500.0, "p99": 990.0, "p99.9": 999.0, "max": 1000.0}
    assert percentiles(np.empty(0)) == {}
    counts = latency_counts(np.array([0.001, 1.01, 1.02, 5e9]))
    assert sum(counts) == 4
    assert counts[0] == counts[-1] == 1
    assert counts[int(np.searchsorted(LATENCY_EDGES_US, 1.01)) - 1] == 2


# -- the verdict -------------------------------------------------------------------------------------


def point(source: str = "plain", rate: float = 1000.0, **changes: object) -> Point:
    writer = {"rate": rate, "published": 1000, "longest_holdup_us": 100.0, "late_p50_us": 0.1, "preempted": 0}
    writer.update(changes.pop("writer", {}))  # type: ignore[call-overload]
    values = {
        "source": source, "shape": (120, 120), "dtype": "uint16", "rate": rate, "depth": 64, "seconds": 1.0,
        "writer": writer, "published": 1000, "delivered": 1000, "lost": 0, "torn": 0, "repeated": 0,
        "missing": 0, "gaps": 0, "longest_gap": 0, "in_short_gaps": 0, "behind_bursts": 0,
        "disagreements": [],
        "latency_us": {"p50": 8.0, "p99": 20.0, "p99.9": 40.0, "max": 90.0}, "latency_counts": [0, 1000],
        "handover_us": {}, "cpu_share": 0.1, "fullest": 0.0,
    }  # fmt: skip
    return Point(**{**values, **changes})  # type: ignore[arg-type]


def losing(source: str = "plain", rate: float = 1000.0, lost: int = 10, **changes: object) -> Point:
    values = {"lost": lost, "missing": lost, "delivered": 1000 - lost, "gaps": 1, "longest_gap": lost}
    return point(source, rate, **{**values, **changes})


def result_of(*points: Point, cores: int = 8, **options: object) -> BenchResult:
    facts = {**machine.describe(), "cores": list(range(cores)), "isolated": [], "governors": []}
    facts["rt_taken_us"] = 50_000
    facts.update({key: options.pop(key) for key in ("governors", "isolated") if key in options})
    chosen = {
        "shapes": [(120, 120)], "wait": "auto", "cpu_writer": None, "cpu_reader": None, "priority": None,
        "busy": False, "stall": 0.0, "file_system": "tmpfs", "directory": "/x",
    }  # fmt: skip
    return BenchResult(facts, {**chosen, **options}, list(points))


def test_highest_rate_without_loss() -> None:
    result = result_of(point(rate=1000), losing(rate=4000), point(rate=2000), point(rate=8000))
    assert result.highest_clean_rate((120, 120), "plain") == 2000
    assert result.highest_clean_rate((120, 120), "fast") is None
    verdict = " ".join(result.verdict())
    assert "plain: nothing lost up to 2000 frames/s (2000 frames); lost 1 % at 4000; nothing" in verdict
    result = result_of(losing(rate=1000), point(rate=2000))
    assert result.highest_clean_rate((120, 120), "plain") is None
    assert "loses at the slowest rate already" in result.verdict()[0]


def test_a_rate_that_the_writer_did_not_reach_is_not_a_clean_one() -> None:
    result = result_of(point(rate=1000), point(rate=2000, writer={"rate": 1500.0, "late_p50_us": 900.0}))
    assert result.highest_clean_rate((120, 120), "plain") == 1000
    verdict = " ".join(result.verdict())
    assert "nothing lost at 1500 (of 2000 asked)" in verdict
    assert "as fast as it can" in verdict
    held_up = result_of(point(rate=2000, writer={"rate": 1500.0, "longest_holdup_us": 7e4, "preempted": 44}))
    verdict = " ".join(held_up.verdict())
    assert "held up for up to 70.0 ms and interrupted 44 times; pin it (--cpu-writer)" in verdict


def test_all_clean_needs_no_hint() -> None:
    result = result_of(point("plain"), point("fast"), file_system="ext4", governors=["powersave"])
    assert len(result.verdict()) == 2
    assert result.agreed


@pytest.mark.parametrize(
    ("changes", "options", "words"),
    [
        ({"preempted": 5}, {}, "pin the reader to a core (--cpu-reader); give it a real-time priority"),
        ({"preempted": 5}, {"cpu_reader": 3}, "isolcpus=3"),
        ({"preempted": 5}, {"cores": 2}, "may use 2 cores for writer, reader and everything else"),
        (
            {"preempted": 7},
            {"cpu_reader": 3, "isolated": [3], "priority": 5},
            "interrupted 7 times.\n",
        ),
        ({"longest_gap": 1, "gaps": 10, "in_short_gaps": 10}, {}, "10 of the 10 frames are missing alone"),
        ({"longest_gap": 1, "gaps": 10, "in_short_gaps": 10}, {"wait": "sleep"}, "--wait spin"),
        ({"longest_gap": 6, "gaps": 5, "in_short_gaps": 4}, {}, "was away for up to 6.0 ms (6 frames"),
        ({"behind_bursts": 10}, {}, "10 were overwritten early because the writer was late"),
        ({"others_cores": 1.3}, {}, "Other programs used 1.3 of 8 cores"),
        ({"stolen_cores": 0.2}, {}, "The hypervisor took 0.20 cores away"),
        ({}, {"cpu_reader": 1, "cpu_writer": 1}, "share core 1"),
        ({}, {"file_system": "ext4"}, "Streams are on ext4"),
    ],
)
def test_hints_follow_from_what_was_measured(
    changes: dict[str, object], options: dict[str, object], words: str
) -> None:
    said = "\n".join(result_of(losing(**changes), **options).verdict()) + "\n"
    assert words in said
    clean = "\n".join(result_of(point(), **options).verdict()) + "\n"
    assert words not in clean


def test_hints_about_rings() -> None:
    said = " ".join(result_of(losing("plain"), point("fast")).verdict())
    assert "A ring in the stream (fast, 64 slots) lost nothing at 1000/s" in said
    said = " ".join(result_of(losing("temporal", fullest=1.0, lost=36)).verdict())
    assert "late by 100 frames (0.1 s at 1000/s), and it has 64 slots; take --depth 200" in said
    said = " ".join(result_of(losing("fast", fullest=1.0, cpu_share=0.99)).verdict())
    assert "a deeper ring only delays that" in said
    assert "--depth" not in said
    said = " ".join(result_of(point("fast", fullest=0.75)).verdict())
    assert "75% full at 1000/s; a depth of 96 or more" in said
    said = " ".join(result_of(losing("collector", fullest=0.1)).verdict())
    assert "The collector was away from the plain stream for up to 10.0 ms (10 frames at 1000/s)" in said


def test_hint_about_slow_clocks() -> None:
    slow = point(latency_us={"p50": 88.0, "p99": 90.0, "p99.9": 91.0, "max": 92.0})
    said = " ".join(result_of(slow, governors=["powersave"]).verdict())
    assert "the frequency governor is powersave" in said
    assert "governor" not in " ".join(result_of(slow, governors=["performance"]).verdict())


def test_hint_about_real_time_throttling() -> None:
    held_up = point(writer={"longest_holdup_us": 52_100.0})
    assert "the kernel takes" not in " ".join(result_of(held_up).verdict())
    said = " ".join(result_of(held_up, priority=50).verdict())
    assert "held up for 52.1 ms (plain at 1000/s): the kernel takes 50 ms of every second" in said
    assert "the kernel takes" not in " ".join(result_of(point(), priority=50).verdict())


def test_a_wrong_account_is_loud() -> None:
    result = result_of(point(disagreements=["3 frames are torn and were delivered as whole"]))
    assert not result.agreed
    assert result.verdict()[0].startswith("WRONG ACCOUNT: plain at 1000/s: 3 frames are torn")
    dead = result_of(point(problem="the writer died: it ended with signal 9", writer={}))
    assert not dead.agreed
    assert dead.verdict()[0].startswith("PROBLEM: plain at 1000/s: the writer died")


# -- the machine -------------------------------------------------------------------------------------


def test_facts_of_the_machine(shm_dir: Path) -> None:
    facts = machine.describe()
    assert facts["cores"] == sorted(os.sched_getaffinity(0))
    assert facts["pymilk"] == pymilk.__version__
    json.dumps(facts)
    assert machine._cores("1-3,6") == [1, 2, 3, 6]
    assert machine._cores("") == []
    assert machine.in_memory("tmpfs")
    assert not machine.in_memory("ext4")
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    mounted = {line.partition(" - ")[2].split()[0] for line in mounts}
    assert machine.file_system_of(shm_dir) in {*mounted, ""}


def test_processor_time_of_the_machine() -> None:
    clock = machine.CpuClock()
    began = time.thread_time()
    while time.thread_time() - began < 0.1:
        pass
    busy, stolen = clock.shares()
    assert busy > 0
    assert stolen >= 0


# -- the writer --------------------------------------------------------------------------------------


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


# -- the sweep ---------------------------------------------------------------------------------------


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


# -- the command -------------------------------------------------------------------------------------


@pytest.fixture
def _cli() -> None:
    pytest.importorskip("click", reason="extra cli")
    pytest.importorskip("rich", reason="extra cli")


SHORT = ("--rates", "1000", "--shape", "16x16", "--seconds", "0.05", "--depth", "64")


def start(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONSAFEPATH": "1", "COLUMNS": "150"},
        start_new_session=True,
        preexec_fn=heed_interrupts,
    )


def run(*arguments: object) -> tuple[int, str, str]:
    child = start(*arguments)
    try:
        out, err = child.communicate(timeout=60)
    finally:
        child.kill()
    return child.returncode, out, err


@pytest.mark.usefixtures("_cli")
def test_command_prints_a_table_and_a_verdict(shm_dir: Path) -> None:
    code, out, err = run(*SHORT)
    assert code == 0, err
    assert "16x16 uint16" in out
    assert "held up ms" in out
    assert "\x1b" not in out
    assert out.isascii()
    for source in bench.SOURCES:
        assert any(line.startswith(f"{source}: ") for line in out.splitlines())
    assert "4 points, about" in err
    assert list(shm_dir.iterdir()) == []


@pytest.mark.usefixtures("_cli")
def test_command_as_json_with_a_picture(shm_dir: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="extra plot")
    picture = tmp_path / "bench.png"
    code, out, err = run(*SHORT, "--source", "plain", "--source", "fast", "--json", "--plot", picture)
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert [point["source"] for point in found["points"]] == ["plain", "fast"]
    assert found["agreed"] is True
    assert len(found["latency_edges_us"]) == len(found["points"][0]["latency_counts"]) + 1
    assert found["options"]["shapes"] == [[16, 16]]
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 20_000


@pytest.mark.usefixtures("_cli")
def test_command_interrupted_shows_what_it_has(shm_dir: Path) -> None:
    child = start(*SHORT, "--json", "--source", "plain", "--source", "fast", "--seconds", "60")
    try:
        while not list(shm_dir.glob("*/*.im.shm")):
            assert child.poll() is None
            time.sleep(0.01)
        began = time.monotonic()
        os.killpg(child.pid, signal.SIGINT)
        out, err = child.communicate(timeout=60)
        took = time.monotonic() - began
    finally:
        child.kill()
    assert child.returncode == 130
    assert err == "pymilk: interrupted\n"
    assert json.loads(out)["points"] == []
    assert took < 30  # of the 120 that were left
    assert list(shm_dir.iterdir()) == []


def test_interrupt_keeps_the_points_that_are_complete(shm_dir: Path) -> None:
    benchmark = Benchmark(**{**TINY, "sources": ["plain", "fast"]})

    def interrupt(share: float, text: str) -> None:
        if benchmark.result.points:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        benchmark.run(interrupt)
    assert [point.source for point in benchmark.result.points] == ["plain"]
    assert "plain: " in str(benchmark.result)
    assert list(shm_dir.iterdir()) == []


@pytest.mark.parametrize("begins", [False, True])
@pytest.mark.parametrize("name", ["pymilk-bench-reader", "pymilk-bench-busy"])
def test_interrupt_while_a_thread_is_started(
    shm_dir: Path, monkeypatch: pytest.MonkeyPatch, name: str, begins: bool
) -> None:
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        if thread.name != name or begins:
            start(thread)
        if thread.name == name:
            raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Benchmark(**TINY, sources=["plain"], busy=True).run()
    assert list(shm_dir.iterdir()) == []


@pytest.mark.usefixtures("_cli")
def test_killed_command_leaves_nothing_behind(shm_dir: Path) -> None:
    child = start("--rates", "1000", "--shape", "16x16", "--seconds", "60", "--source", "plain")
    try:
        while not list(shm_dir.glob("*/*.im.shm")):
            assert child.poll() is None
            time.sleep(0.01)
    finally:
        child.kill()
        child.communicate()
    deadline = time.monotonic() + 30
    while list(shm_dir.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert list(shm_dir.iterdir()) == []


@pytest.mark.usefixtures("_cli")
def test_command_says_what_is_wrong(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from pymilk.cli.app import app

    for arguments, code, word in (
        (["--rates", "fast"], 2, "list of rates"),
        (["--shape", "120"], 2, "HEIGHTxWIDTH"),
        (["--source", "river"], 2, "river"),
        (["--plot", str(tmp_path / "no" / "such.png")], 2, "no directory"),
        (["--cpu-reader", "100000"], 1, "cores that this process may use"),
        (["--seconds", "0.1", "--stall", "200"], 1, "stall"),
        (["--memory", "0.1"], 1, "20 frames or more"),
    ):
        said = CliRunner().invoke(app, ["bench", *arguments])
        assert (said.exit_code, word in said.output) == (code, True), said.output
    assert "Example: pymilk bench" in CliRunner().invoke(app, ["bench", "--help"]).output


@pytest.mark.usefixtures("_cli")
def test_command_without_matplotlib_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    from pymilk.cli.app import app
    from pymilk.cli.commands import bench as command

    module = sys.modules["pymilk.cli.commands.bench"]
    assert command is not None
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    said = CliRunner().invoke(app, ["bench", "--plot", "x.png"])
    assert said.exit_code == 2
    assert "pip install 'pymilk[plot]'" in said.output


@pytest.mark.usefixtures("_cli")
def test_command_ends_with_1_if_the_account_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    from pymilk.cli.app import app

    def measured(self: Benchmark, progress: object = None) -> BenchResult:
        self.result.points.append(point(disagreements=["2 frames were delivered more than once"]))
        return self.result

    monkeypatch.setattr(Benchmark, "run", measured)
    said = CliRunner().invoke(app, ["bench", "--source", "plain"])
    assert said.exit_code == 1
    assert "WRONG ACCOUNT" in said.output
    assert bench_result.COLUMNS[0][1] in said.output
