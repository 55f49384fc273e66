"""Wherever it can be known that another program set a counter, it is said, in the same words."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pymilk import SHM, capture_many
from pymilk._core import FLAG_COUNTER_SET, FRAME_ROW, Stream, counter_was_set
from pymilk.bench.account import settle
from pymilk.capture import CaptureReport
from pymilk.errors import MultiCaptureError
from pymilk.inspection import describe_stream, measure_rates, measure_stream, survey
from pymilk.inspection.doctor import examine
from pymilk.multi import MultiCaptureReport
from pymilk.reports import COUNTER_SET, counter_set_rows, counter_set_text
from support.isio_format import OFFSETS
from support.rings import SOURCES, Both

SENTENCE = "counter set by another program 1 times; losses unknown"
FAR = 2**50


def counter_of(path: str) -> np.ndarray:
    """The counter of a stream file, to be set."""
    place = OFFSETS["default"]["cnt0"]
    return np.memmap(path, np.uint8, "r+")[place : place + 8].view("<u8")


def test_sentence() -> None:
    assert (counter_set_rows(0), counter_set_text(0)) == ([], "")
    assert counter_set_text(1) == SENTENCE


def test_what_counts_as_set() -> None:
    assert not counter_was_set(1_000_000, 0)
    assert counter_was_set(1_000_001, 0)
    assert not counter_was_set(1_000_001, 50)
    assert counter_was_set(1_000_002, 50)
    assert counter_was_set(2**64, -5)
    assert counter_was_set(2**63, 10**9)


@pytest.mark.parametrize("source", SOURCES)
def test_ring_report(make: Callable[..., SHM], source: str) -> None:
    both = Both(make, source)
    both.feed(2)
    both.ring.read(2)
    assert SENTENCE not in str(both.ring.report)
    counter_of(both.shm.FILEPATH)[0] = FAR
    both.feed(1)
    both.ring.read(1)
    report = both.ring.report
    assert (report.counter_set, report.lost, report.to_dict()["counter_set"]) == (1, 0, 1)
    assert SENTENCE in str(report)
    both.ring.rewind(1)
    both.ring.read(1)
    assert both.ring.report.counter_set == 1  # counted once
    both.ring.close()


def row(flags: int) -> np.ndarray:
    rows = np.zeros(1, FRAME_ROW)
    rows["flags"], rows["cnt0"] = flags, 1
    return rows


def test_report_of_several_captures() -> None:
    flags = {"a": 0, "b": FLAG_COUNTER_SET}
    each = {label: CaptureReport(label, 1, row(flag), 0, 1.0, 0.0) for label, flag in flags.items()}
    report = MultiCaptureReport(each, {"a": "complete", "b": "complete"}, {}, 0, 0)
    assert (report.counter_set, report.to_dict()["counter_set"]) == (1, 1)
    assert f"  b: {SENTENCE}" in str(report).splitlines()
    assert "a: counter" not in str(report)


def test_several_captures_of_a_counter_that_stays(make: Callable[..., SHM]) -> None:
    with pytest.raises(MultiCaptureError) as caught:
        capture_many([make("cam", np.zeros(2))], 1, timeout=0)
    assert caught.value.captures.report.counter_set == 0


@pytest.mark.parametrize("flags", [0, FLAG_COUNTER_SET])
def test_benchmark_does_not_agree_then(flags: int) -> None:
    account = settle(np.ones(1, np.uint64), np.ones(1, np.bool_), row(flags), np.zeros(1, np.bool_), 1, 1)
    assert account.disagreements == ([SENTENCE] if flags else [])


def test_description(make_stream: Callable[..., Stream]) -> None:
    stream = make_stream("cam", (2, 2), "u2")
    stream.publish(np.zeros((2, 2), "u2"))
    assert describe_stream(stream)["counter_set"] is False
    before = survey()
    counter_of(stream.path)[0] = FAR
    assert describe_stream(stream)["counter_set"] is True
    after = survey()
    measure_rates(before, after)
    assert (after[0]["rate"], after[0]["counter_set"]) == (None, True)
    assert [each["found"] for each in examine() if each["topic"] == "counter"] == [f"cam: {COUNTER_SET}"]


@pytest.mark.parametrize("created", [0, 2**62])
def test_stream_whose_age_is_not_known(make_stream: Callable[..., Stream], created: int) -> None:
    stream = make_stream("cam", (2, 2), "u2")
    place = OFFSETS["default"]["creationtime"]
    np.memmap(stream.path, np.uint8, "r+")[place : place + 8].view("<i8")[0] = created // 10**9
    counter_of(stream.path)[0] = FAR
    assert describe_stream(stream)["counter_set"] is False


def test_rate_of_a_counter_that_is_set(make_stream: Callable[..., Stream]) -> None:
    stream = make_stream("cam", (2, 2), "u2")
    counter = counter_of(stream.path)
    steps = iter([1, 2, FAR, FAR + 1, 5])

    class Moved:
        """The stream, whose counter moves with each wait."""

        def __getattr__(self, name: str) -> Any:
            return getattr(stream, name)

        def wait(self, timeout: float, after: int) -> int:
            try:
                counter[0] = next(steps)
            except StopIteration:
                return stream.wait(0, after=after)
            return int(counter[0])

        def clock_write(self, seconds: float) -> None:
            return None

    found = measure_stream(Moved(), 5)  # type: ignore[arg-type]
    assert (found["frames"], found["counter_set"]) == (5, 1)
    assert found["rate"] == 5 / found["seconds"]


def test_commands_say_it(make_stream: Callable[..., Stream]) -> None:
    pytest.importorskip("click", reason="extra cli")
    pytest.importorskip("rich", reason="extra cli")
    from support.calling import done

    stream = make_stream("cam", (2, 2), "u2")
    for command in (("ls",), ("info", "cam")):
        assert COUNTER_SET not in done(*command)
    counter_of(stream.path)[0] = FAR
    assert f"cam: {COUNTER_SET}" in done("ls").splitlines()
    assert COUNTER_SET in done("info", "cam")
    assert json.loads(done("ls", "--json"))[0]["counter_set"] is True
