"""The verdict of the benchmark."""

from __future__ import annotations

import pytest

from pymilk.bench.result import BenchResult, Point
from pymilk.system import machine
from support.bench_points import point


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
    assert "late by 100 frames (0.1 s at 1000/s), and it has 64 slots; take --ring 200" in said
    said = " ".join(result_of(losing("fast", fullest=1.0, cpu_share=0.99)).verdict())
    assert "a deeper ring only delays that" in said
    assert "--ring" not in said
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
