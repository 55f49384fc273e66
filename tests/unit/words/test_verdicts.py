"""Reports that lost frames end with why, and with what to do; the others do not."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from pymilk import verdicts
from pymilk._core import FLAG_FROM_RING, FLAG_VERIFIED, FRAME_ROW
from pymilk.capture import CaptureReport
from pymilk.multi import MultiCaptureReport
from pymilk.recording import RecordReport, StreamReport
from pymilk.reports import LossReport
from pymilk.ring import RelayReport, RingReport


@pytest.fixture(autouse=True)
def many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdicts.os, "sched_getaffinity", lambda pid: set(range(8)))


def captured(*lost: int, flags: int = FLAG_VERIFIED, age_us: Any = 20) -> CaptureReport:
    info = np.zeros(len(lost), FRAME_ROW)
    info["lost"] = lost
    info["flags"] = flags
    info["arrival_ns"] = np.cumsum(1 + np.array(lost, np.int64)) * 1_000_000
    info["writetime_ns"] = info["arrival_ns"] - np.multiply(age_us, 1000)
    return CaptureReport("cam", len(lost), info, 0, 1.0, 0.1)


def recorded(lost: int, **changes: Any) -> StreamReport:
    values = {
        "stream": "cam", "paths": ["cam.npy"], "requested": None, "recorded": 900, "lost": lost, "torn": 0,
        "unwritten": 0, "new_files": 0, "nbytes": 1, "duration": 1.0, "rate": 900.0, "source": "collector",
        "ring_peak": 1.0, "last_age": 0.0, "ended": "stopped", "error": None, "complete": True, "depth": 64,
    }  # fmt: skip
    return StreamReport(**{**values, **changes})


def ring(lost: int, source: str = "fast", **changes: Any) -> RingReport:
    values = {
        "stream": "cam", "source": source, "policy": "all", "depth": 50, "received": 1000 - lost,
        "lost": lost, "skipped": 0, "lag": 0, "new_files": 0, "duration": 1.0, "cpu_share": 0.1,
    }  # fmt: skip
    return RingReport(**{**values, **changes})


def relayed(lost: int, share: float = 0.1) -> RelayReport:
    return RelayReport(
        source="cam", target="r", relayed=10, lost=lost, lag=0, duration=1.0, cpu_share=share
    )


def several(*lost: int) -> MultiCaptureReport:
    return MultiCaptureReport({"a": captured(*lost)}, {"a": "complete"}, {}, 1, 1)


@pytest.mark.parametrize(
    "report",
    [captured(0, 0, 0), recorded(0), RecordReport({"cam": recorded(0)}), ring(0), relayed(0), several(0, 0)],
    ids=lambda each: type(each).__name__,
)
def test_nothing_lost_nothing_said(report: LossReport) -> None:
    assert report.reasons() == []
    assert report.to_dict()["reasons"] == []
    assert "To do" not in str(report)
    assert "overrun" not in str(report)


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (captured(0, 0, 30), "The receiving thread was away for up to 30.0 ms (30 frames at 1000/s). To do"),
        (captured(0, 30), "read from a ring, which keeps frames meanwhile"),
        (captured(0, 1, 2, 1), "4 of the 4 frames are missing alone or in pairs"),
        (captured(0, 1, 2, 1), 'were 20 us late or more, 1 of 100 20 us; wait="spin"'),
        (captured(7), "7 frames are missing, and too few came to tell why"),
        (
            captured(0, 0, 5, flags=FLAG_FROM_RING, age_us=9000),
            "overwritten before they were read, up to 5 in a row (0.005 s at 1000/s); read sooner",
        ),
        (several(0, 0, 30), "a: The receiving thread was away"),
        (recorded(100), "late by more than its 64 slots (0.064 s at 1000/s); read sooner, or take depth=128"),
        (recorded(100), "The disk, or compress (--compress), was slower"),
        (recorded(100, source="fast"), "let the writer of the stream make a ring of 128 slots"),
        (recorded(100, ring_peak=0.1), "The collector was away from the plain stream. To do: give its"),
        (recorded(100, rate=math.nan), "late by more than its 64 slots; read"),
        (RecordReport({"cam": recorded(100)}), "cam: The collector ring was overrun"),
        (ring(100), "ring was overrun: its reader was late by more than its 50 slots (0.05 s at 1000/s)"),
        (ring(100), "Or the writer left numbers out: a capture tells."),
        (
            recorded(100, source="fast", ring_peak=0.1),
            "The fast ring was never full, so its reader was in time: the writer left numbers out, or",
        ),
        (ring(100, "collector"), "Or the collector was away from the plain stream."),
        (relayed(3), "The relay was away from the plain stream, or frames were torn while it copied them."),
        (relayed(3, 0.97), "The relay used 97% of a core and did not keep up with its stream."),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, LossReport) else each[:20],
)  # fmt: skip
def test_a_report_says_why(report: LossReport, words: str) -> None:
    assert words in " ".join(report.reasons())
    told = json.loads(json.dumps(report.to_dict(), allow_nan=False))["reasons"]
    assert told == report.reasons()
    lines = str(report)
    for sentence in told:  # wrapped for a terminal
        assert " ".join(sentence.split()[-3:]) in " ".join(lines.split())
    assert all(len(each) <= 118 for text in map(verdicts.wrapped, told) for each in text.splitlines())


SKIPPED = "5 of the 5 frames are missing although the reader waited: it had the frames"


def test_frames_that_the_writer_left_out_are_not_the_readers_fault() -> None:
    (said,) = captured(0, 0, 1, 0, 1, 0, 2, 0, 0, 1, 0).reasons()
    assert said.startswith(SKIPPED)
    assert "behind these gaps 20 us after they were written, while a frame lasts 1000 us." in said
    assert "The writer left numbers out, or published several frames at once" in said
    assert said.endswith("collected them, its ring may have been overrun instead: its own report tells.")


def test_a_ring_is_not_called_overrun_where_the_writer_left_frames_out() -> None:
    (said,) = captured(0, 1, 0, 2, 0, flags=FLAG_FROM_RING).reasons()
    assert said.startswith("3 of the 3 frames are missing by what the writer did: it left their numbers out.")
    assert "20 us after they were written, while a frame lasts 1000 us: the ring was not overrun." in said
    both = captured(0, 1, 0, 30, flags=FLAG_FROM_RING, age_us=[20, 20, 20, 50_000]).reasons()
    assert [each[:16] for each in both] == ["1 of the 31 fram", "The ring was ove"]
    assert "up to 30 in a row" in both[1]


def test_what_else_is_missing_is_said_beside_it() -> None:
    long = captured(*[0, 1] * 5, 0, 30, age_us=[20] * 11 + [700]).reasons()
    assert [each[:17] for each in long] == ["5 of the 35 frame", "The receiving thr"]
    assert "up to 30.0 ms (30 frames at" in long[1]


@pytest.mark.parametrize(
    ("lost", "ages"),
    [
        ([0, 1, 0, 1, 0, 1, 0], 20),  # three gaps may be chance
        ([0, 1] * 8, [20, 400] * 8),  # old frames behind gaps: back from being away
        ([0, 1] * 8, [20, 400] * 5 + [20, 20] * 3),  # some young by chance
        ([0, 1] * 8, [400, 20] * 8),  # a reader that is slow in any case
    ],
)
def test_a_reader_that_was_late_is_named(lost: list[int], ages: Any) -> None:
    (said,) = captured(*lost, age_us=ages).reasons()
    assert "the reader was not away, but too slow" in said


def test_without_times_nothing_is_said_of_the_writer() -> None:
    report = captured(*[0, 1] * 8, age_us=[1 + each for each in range(16)])
    assert "although the reader waited" in report.reasons()[0]
    info = np.zeros(16, FRAME_ROW)
    info["lost"] = [0, 1] * 8
    info["arrival_ns"] = np.cumsum(1 + info["lost"]) * 1_000_000
    (said,) = CaptureReport("cam", 16, info, 0, 1.0, 0.1).reasons()
    assert "too slow" in said


@pytest.mark.parametrize("report", [recorded(9, ring_peak=0.1), ring(9, "collector"), relayed(9)])
def test_reports_without_rows_name_the_writer_too(report: LossReport) -> None:
    assert report.reasons()[-1].startswith("Or the writer left numbers out")


def test_few_cores_are_named_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdicts.os, "sched_getaffinity", lambda pid: {0, 1})
    assert "To do: this process may use 2 cores for writer, reader" in captured(0, 30).reasons()[0]
    assert "To do: this process may use 2 cores" in relayed(3).reasons()[0]
