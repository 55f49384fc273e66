"""BeadRoiBuffer of the facade of magscope.datatypes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pymilk.compat.magscope import BeadRoiBuffer
from support.segments import CountingLock, put_words, segments, values, words

CAPACITY = 6


@pytest.fixture
def beads(name: str, lock: CountingLock) -> BeadRoiBuffer:
    return BeadRoiBuffer(create=True, locks={name: lock}, name=name, capacity=CAPACITY)


def roi(number: int) -> tuple[int, int, int, int]:
    return number, number + 1, number + 2, number + 3


def state(beads: BeadRoiBuffer) -> tuple[dict[int, tuple[int, ...]], int, int, int]:
    """Return the beads, and the three numbers: highest number, count, changes."""
    ids, rois = beads.get_beads()
    assert (ids.dtype, rois.dtype, rois.shape) == (np.uint32, np.uint32, (len(ids), 4))
    assert ids.tolist() == sorted(ids.tolist())
    found = dict(zip(ids.tolist(), map(tuple, rois.tolist()), strict=True))
    return found, beads.max_id_plus_one, beads.active_count, beads.version


def test_segments(beads: BeadRoiBuffer, name: str, lock: CountingLock) -> None:
    assert segments(name) == {" Info": 32, " Data": 96, " Occupancy": 6}
    assert words(f"{name} Info") == [6, 0, 0, 0]
    beads.add_beads({1: roi(5), 4: (0, 2**32 - 1, 0, 0)})
    assert words(f"{name} Info") == [6, 5, 2, 1]
    assert values(f"{name} Occupancy", np.uint8).tolist() == [0, 1, 0, 0, 1, 0]
    stored = values(f"{name} Data", np.uint32).reshape(6, 4)
    assert stored[[1, 4]].tolist() == [[5, 6, 7, 8], [0, 2**32 - 1, 0, 0]]
    for capacity in (None, CAPACITY):
        other = BeadRoiBuffer(create=False, locks={name: lock}, name=name, capacity=capacity)
        assert (other.capacity, other.name, other.lock) == (6, name, lock)
        assert state(other) == state(beads)
    assert BeadRoiBuffer.__init__.__kwdefaults__["name"] == "BeadRoiBuffer"


def test_changes(beads: BeadRoiBuffer) -> None:
    assert state(beads) == ({}, 0, 0, 0)
    beads.add_beads({2: roi(2), 0: roi(0)})
    assert state(beads) == ({0: roi(0), 2: roi(2)}, 3, 2, 1)
    beads.update_beads({2: roi(9)})
    assert state(beads) == ({0: roi(0), 2: roi(9)}, 3, 2, 2)
    beads.add_beads({5: roi(5)})
    assert (beads.get_next_available_bead_id(), beads.capacity) == (6, 6)
    beads.remove_beads([5, 5, 4, "5"])  # once, not three times
    assert state(beads) == ({0: roi(0), 2: roi(9)}, 6, 2, 4)
    assert beads.reorder_beads() == {0: 0, 2: 1}
    assert state(beads) == ({0: roi(0), 1: roi(9)}, 2, 2, 5)
    beads.replace_beads({3: roi(3)})
    assert state(beads) == ({3: roi(3)}, 4, 1, 6)
    beads.clear_beads()
    assert state(beads) == ({}, 0, 0, 7)


def test_what_counts_as_a_change(beads: BeadRoiBuffer) -> None:
    for nothing in (
        lambda: beads.add_beads({}),
        lambda: beads.update_beads({}),
        lambda: beads.remove_beads([]),
        lambda: beads.remove_beads(iter([3])),
    ):
        nothing()
        assert beads.version == 0
    beads.replace_beads({})
    beads.clear_beads()
    assert beads.reorder_beads() == {}
    assert beads.version == 3


@pytest.mark.parametrize("call", ["replace_beads", "add_beads", "update_beads"])
@pytest.mark.parametrize(
    ("value", "error"),
    [
        ({6: roi(1)}, ValueError),
        ({-1: roi(1)}, ValueError),
        ({1: (1, 2, 3)}, ValueError),
        ({1: (1, 2, 3, 4, 5)}, ValueError),
        ({1: (1, 2, 3, -4)}, ValueError),
        ({1: (1, 2, 3, 2**32)}, ValueError),
        ({1: roi(1), 2: (1, 2, 3, 2**32)}, ValueError),
        ({"x": roi(1)}, ValueError),
        ({1: None}, TypeError),
        ([1], AttributeError),
    ],
)
def test_what_is_no_bead_changes_nothing(
    beads: BeadRoiBuffer, call: str, value: Any, error: type[Exception]
) -> None:
    beads.add_beads({0: roi(0), 3: roi(3)})
    before = state(beads)
    with pytest.raises(error):
        getattr(beads, call)(value)
    assert state(beads) == before


def test_beads_that_exist_or_do_not(beads: BeadRoiBuffer) -> None:
    beads.add_beads({0: roi(0), 3: roi(3)})
    before = state(beads)
    for call, ids in ((beads.add_beads, (1, 3)), (beads.update_beads, (0, 1))):
        with pytest.raises(ValueError, match=r"exist.*\[\d\]"):
            call({bead: roi(8) for bead in ids})
    for wrong in ([6], [0, -1]):
        with pytest.raises(ValueError, match="outside"):
            beads.remove_beads(wrong)
    with pytest.raises(TypeError):
        beads.remove_beads(5)
    assert state(beads) == before


def test_what_int_takes_is_a_number(beads: BeadRoiBuffer) -> None:
    beads.add_beads({"3": (1.7, "2", np.int8(3), True), 3: roi(5), 1.9: roi(1)})
    assert state(beads)[0] == {1: roi(1), 3: roi(5)}  # of two that mean 3 the last one


def test_copies_are_handed_out(beads: BeadRoiBuffer) -> None:
    beads.add_beads({0: roi(0)})
    ids, rois = beads.get_beads()
    ids[:], rois[:] = 9, 9
    assert state(beads)[0] == {0: roi(0)}


def test_the_numbers_are_read_only(beads: BeadRoiBuffer) -> None:
    for number in ("max_id_plus_one", "active_count", "version"):
        with pytest.raises(AttributeError):
            setattr(beads, number, 1)


def test_each_call_takes_the_lock_once(beads: BeadRoiBuffer, lock: CountingLock) -> None:
    assert lock.taken == 0
    for call in (
        lambda: beads.add_beads({1: roi(1)}),
        lambda: beads.update_beads({1: roi(2)}),
        lambda: beads.replace_beads({2: roi(2)}),
        lambda: beads.remove_beads([2]),
        beads.clear_beads,
        beads.reorder_beads,
        beads.get_next_available_bead_id,
        beads.get_beads,
        lambda: beads.max_id_plus_one,
        lambda: beads.active_count,
        lambda: beads.version,
    ):
        before = lock.taken
        call()
        assert lock.taken == before + 1


@pytest.mark.parametrize("capacity", [None, 0, -1])
def test_a_capacity_that_is_missing_or_impossible_leaves_nothing(
    name: str, lock: CountingLock, capacity: Any
) -> None:
    with pytest.raises(ValueError, match="capacity"):
        BeadRoiBuffer(create=True, locks={name: lock}, name=name, capacity=capacity)
    with pytest.raises(KeyError):
        BeadRoiBuffer(create=True, locks={}, name=name, capacity=3)
    with pytest.raises(FileNotFoundError):
        BeadRoiBuffer(create=False, locks={name: lock}, name=name)
    assert segments(name) == {}


def test_a_name_in_use_is_left_as_it_is(beads: BeadRoiBuffer, name: str, lock: CountingLock) -> None:
    beads.add_beads({0: roi(7)})
    beads._shm_info.unlink()
    beads._shm_occupancy.unlink()
    with pytest.raises(FileExistsError):
        BeadRoiBuffer(create=True, locks={name: lock}, name=name, capacity=3)
    assert segments(name) == {" Data": 96}
    assert values(f"{name} Data", np.uint32)[0] == 7


@pytest.mark.parametrize("capacity", [0, 7, 2**63])
def test_damaged_information_is_refused(
    beads: BeadRoiBuffer, name: str, lock: CountingLock, capacity: int
) -> None:
    with pytest.raises(ValueError, match="capacity 6, not 5"):
        BeadRoiBuffer(create=False, locks={name: lock}, name=name, capacity=5)
    put_words(f"{name} Info", capacity)
    with pytest.raises(ValueError, match="damaged"):
        BeadRoiBuffer(create=False, locks={name: lock}, name=name)
