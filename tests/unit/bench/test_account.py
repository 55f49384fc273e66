"""The benchmark: frames that check themselves, and its arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from pymilk._core import FLAG_TORN, FLAG_VERIFIED, FRAME_ROW
from pymilk.bench.account import LATENCY_EDGES_US, latency_counts, percentiles, settle
from pymilk.bench.frames import SelfCheckingFrame, check_frames
from pymilk.errors import StreamArgumentError
from support.bench_points import U2

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
