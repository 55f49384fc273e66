"""Which rows belong together, against a definition that tries every pair."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pymilk import FRAME_ROW
from pymilk._core import FLAG_COUNTER_RESET, FLAG_NEW_FILE, FLAG_VERIFIED
from pymilk.errors import CaptureMemoryError, StreamArgumentError
from pymilk.multi import Alignment, align

TIMES = ("atime_ns", "writetime_ns", "arrival_ns")


def rows(*values: Any, **columns: Any) -> np.ndarray:
    """Make the rows of a capture: numbers, and other columns by name."""
    info = np.zeros(len(values), FRAME_ROW)
    info["cnt0"] = values
    info["flags"] = FLAG_VERIFIED
    for name, column in columns.items():
        info[name] = column
    return info


# -- the definition -----------------------------------------------------------------------------------


def begins_anew(info: np.ndarray, i: int) -> bool:
    flagged = int(info["flags"][i]) & (FLAG_NEW_FILE | FLAG_COUNTER_RESET)
    return bool(flagged) or (i > 0 and info["cnt0"][i] < info["cnt0"][i - 1])


def run_of(info: np.ndarray, i: int) -> int:
    return sum(begins_anew(info, k) for k in range(i + 1))


def reference_rows(info: np.ndarray, gaps: bool) -> list[tuple[int, int | None, int]]:
    """List the row, number and run of each frame of the reference, and of each that it lost."""
    found: list[tuple[int, int | None, int]] = []
    for i in range(len(info)):
        number, lost = int(info["cnt0"][i]), int(info["lost"][i]) if gaps else 0
        for k in range(lost):
            if number - (lost - k) >= 1:
                found.append((-1, number - (lost - k), run_of(info, i)))
            elif begins_anew(info, i) and i > 0:
                found.append((-1, int(info["cnt0"][i - 1]) + 1 + k, run_of(info, i - 1)))
            else:
                found.append((-1, None, run_of(info, i)))
        found.append((i, number, run_of(info, i)))
    return found


def partner_by_time(time: int, other: np.ndarray, match: str, within: int | None) -> int:
    pairs = [(int(there), j) for j, there in enumerate(other) if there > 0]
    if within is not None:
        pairs = [(there, j) for there, j in pairs if abs(there - time) <= within]
    if match == "previous":
        pairs = [(there, j) for there, j in pairs if there <= time]
    if time <= 0 or not pairs:
        return -1
    return min(pairs, key=lambda pair: (abs(pair[0] - time), pair[0], -pair[1]))[1]


def partner_by_counter(number: int | None, run: int, other: np.ndarray) -> int:
    same = [j for j in range(len(other)) if other["cnt0"][j] == number and run_of(other, j) == run]
    return max(same, default=-1)


def newly_lost(info: np.ndarray, found: list[int]) -> list[int]:
    told, each = 0, []
    for j in found:
        upto = int(info["lost"][: j + 1].sum())
        each.append(max(0, upto - told))
        told = max(told, upto)
    return each


row_values = st.fixed_dictionaries(
    {
        "cnt0": st.integers(0, 12),
        "atime_ns": st.integers(-1, 12),
        "writetime_ns": st.integers(0, 3),
        "arrival_ns": st.integers(1, 40),
        "lost": st.integers(0, 3),
        "flags": st.sampled_from([0, FLAG_VERIFIED, FLAG_VERIFIED, FLAG_NEW_FILE, FLAG_COUNTER_RESET]),
    }
)


@st.composite
def an_info(draw: st.DrawFn) -> np.ndarray:
    values = draw(st.lists(row_values, max_size=9))
    if draw(st.booleans()):  # half of them as a capture has them
        values = [{**value, "flags": FLAG_VERIFIED} for value in values]
        values.sort(key=lambda value: (value["cnt0"], value["arrival_ns"]))
    info = np.zeros(len(values), FRAME_ROW)
    for i, value in enumerate(values):
        for name, content in value.items():
            info[name][i] = content
    return info


@settings(deadline=None, max_examples=60, database=None)
@given(
    infos=st.lists(an_info(), min_size=1, max_size=3),
    by=st.sampled_from(["time", "counter"]),
    key=st.sampled_from(TIMES),
    which=st.integers(0, 2),
    within=st.none() | st.integers(0, 12),
    match=st.sampled_from(["nearest", "previous"]),
    gaps=st.booleans(),
)
def test_every_alignment_is_as_defined(infos, by, key, which, within, match, gaps) -> None:
    labelled = {f"s{i}": info for i, info in enumerate(infos)}
    reference = f"s{which % len(infos)}"
    tolerance = None if within is None or by == "counter" else within / 1e9
    if by == "time" and any(len(info) and not (info[key] > 0).any() for info in infos):
        with pytest.raises(StreamArgumentError, match=f"no frame has a {key}"):
            align(labelled, by, key=key, reference=reference)
        return
    found = align(
        labelled, by, key=key, reference=reference, tolerance=tolerance, match=match, gaps=gaps
    )
    wanted = reference_rows(labelled[reference], gaps)
    assert found.reference == reference
    assert found.numbers.tolist() == [number or 0 for _, number, _ in wanted]
    for label, info in labelled.items():
        if label == reference:
            partners = [i for i, _, _ in wanted]
        elif by == "counter":
            partners = [partner_by_counter(number, run, info) for _, number, run in wanted]
        else:
            times = labelled[reference][key]
            partners = [
                -1 if i < 0 else partner_by_time(int(times[i]), info[key], match, within)
                for i, _, _ in wanted
            ]
        assert found[label].dtype == np.int64
        assert found[label].tolist() == partners
        assert found.lost[label].tolist() == newly_lost(info, partners)
    whole = [all(found[label][i] >= 0 for label in found) for i in range(found.size)]
    assert found.whole.tolist() == whole
    part = found.complete()
    assert part.whole.all()
    assert part.numbers.tolist() == found.numbers[whole].tolist()
    kept = np.flatnonzero(whole)
    for label in found:
        assert part[label].tolist() == found[label][whole].tolist()
        # What the rows left out told of is told by the next one that stays.
        assert part.lost[label].tolist() == [
            found.lost[label][start:end].sum()
            for start, end in zip([0, *(kept + 1)], kept + 1, strict=False)
        ]


# -- cases that users meet ------------------------------------------------------------------------------


def test_lost_frames_are_rows() -> None:
    wfs = rows(10, 11, 14, lost=[0, 0, 2])
    relay = rows(11, 12, 14, 15, lost=[0, 0, 1, 0])
    found = align({"wfs": wfs, "relay": relay}, "counter")
    assert found.numbers.tolist() == [10, 11, 12, 13, 14]
    assert found["wfs"].tolist() == [0, 1, -1, -1, 2]
    assert found["relay"].tolist() == [-1, 0, 1, -1, 2]
    assert found.lost["wfs"].tolist() == [0, 0, 0, 0, 2]
    assert found.lost["relay"].tolist() == [0, 0, 0, 0, 1]
    assert repr(found) == "<Alignment of wfs, relay to wfs: 5 rows, 2 whole>"
    assert (list(found), len(found), found.size) == (["wfs", "relay"], 2, 5)
    assert found.complete()["relay"].tolist() == [0, 2]
    short = align({"wfs": wfs, "relay": relay}, "counter", gaps=False)
    assert short["relay"].tolist() == [-1, 0, 2]


def test_previous_is_the_command_in_effect() -> None:
    wfs = rows(1, 2, 3, 4, atime_ns=[100, 200, 300, 400])
    dm = rows(1, 2, atime_ns=[190, 300])
    infos = {"wfs": wfs, "dm": dm}
    assert align(infos, match="previous")["dm"].tolist() == [-1, 0, 1, 1]
    assert align(infos, match="nearest")["dm"].tolist() == [0, 0, 1, 1]
    assert align(infos, match="previous", tolerance=50e-9)["dm"].tolist() == [-1, 0, 1, -1]
    assert align(infos, match="nearest", tolerance=float("inf"))["dm"].tolist() == [0, 0, 1, 1]
    assert align(infos, reference="dm")["wfs"].tolist() == [1, 2]


def test_each_stream_by_its_own_time() -> None:
    wfs = rows(1, 2, atime_ns=[100, 200])
    dm = rows(1, 2, writetime_ns=[90, 190], arrival_ns=[150, 250])
    key = {"wfs": "atime_ns", "dm": "writetime_ns"}
    assert align({"wfs": wfs, "dm": dm}, key=key, match="previous")["dm"].tolist() == [0, 1]


def test_frames_after_a_restart_belong_to_those_after_it() -> None:
    restarted = FLAG_VERIFIED | FLAG_NEW_FILE
    a = rows(7, 8, 2, 3, flags=[1, 1, restarted, 1], lost=[0, 0, 2, 0])  # 9 of the old, 1 of the new
    b = rows(8, 9, 1, 3, flags=[1, 1, restarted, 1], lost=[0, 0, 0, 1])
    found = align({"a": a, "b": b}, "counter")
    assert found.numbers.tolist() == [7, 8, 9, 1, 2, 3]
    assert found["a"].tolist() == [0, 1, -1, -1, 2, 3]
    assert found["b"].tolist() == [-1, 0, 1, 2, -1, 3]


def test_numbers_may_use_all_bits() -> None:
    top = 2**64 - 3
    found = align({"a": rows(top, top + 2, lost=[0, 1]), "b": rows(top + 1, top + 2)}, "counter")
    assert found.numbers.tolist() == [top, top + 1, top + 2]
    assert found["b"].tolist() == [-1, 0, 1]


def test_times_may_be_far_apart() -> None:
    late = rows(1, atime_ns=[2**63 - 1])
    found = align({"a": rows(1, 2, atime_ns=[1, 2**63 - 1]), "b": late}, tolerance=1e9)
    assert found["b"].tolist() == [-1, 0]


def test_empty_captures() -> None:
    full, empty = rows(1, 2, atime_ns=[5, 6]), rows()
    for by in ("time", "counter"):
        found = align({"a": full, "b": empty}, by)
        assert (found["a"].tolist(), found["b"].tolist()) == ([0, 1], [-1, -1])
        found = align({"a": empty, "b": full}, by)
        assert (found.size, found["b"].tolist(), found.complete().size) == (0, [], 0)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("by", "order"),
        ("match", "next"),
        ("reference", "psf"),
        ("key", "cnt0"),
        ("key", {"b": "atime_ns"}),
        ("key", 3),
        ("tolerance", -1.0),
        ("tolerance", float("nan")),
        ("tolerance", "1 ms"),
    ],
)
def test_arguments_that_do_not_fit(argument: str, value: Any) -> None:
    infos = {"a": rows(1, atime_ns=[1]), "b": rows(1, atime_ns=[1])}
    with pytest.raises(StreamArgumentError, match=argument) as caught:
        align(infos, **{argument: value})
    assert caught.value.argument == argument


def test_tolerance_is_a_time() -> None:
    with pytest.raises(StreamArgumentError, match="by='time' only"):
        align({"a": rows(1)}, "counter", tolerance=1.0)


def test_a_gap_beyond_memory() -> None:
    infos = {"a": rows(1, 2**50, lost=[0, 2**50 - 2]), "b": rows(1)}
    with pytest.raises(CaptureMemoryError, match="gaps=False") as caught:
        align(infos, "counter")
    assert caught.value.needed > caught.value.available
    found = align(infos, "counter", gaps=False)
    assert isinstance(found, Alignment)
    assert found.lost["a"].tolist() == [0, 2**50 - 2]
