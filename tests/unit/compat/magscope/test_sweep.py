"""ZLUTSweepDataset of the facade of magscope.datatypes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pymilk.compat.magscope import BufferOverflow, DatasetNotReadyError, ZLUTSweepDataset
from support.segments import MEMORY, CountingLock, put_words, segments, values, words

NUMBERS = {"capacity": 6, "profile_length": 2, "n_steps": 3, "n_beads": 2, "profiles_per_bead": 1}

SIZES = {
    " Info": 64,
    " BeadIds": 24,
    " StepIndices": 24,
    " Timestamps": 48,
    " MotorZ": 48,
    " Valid": 6,
    " Profiles": 96,
}

STATES = ("ABSENT", "CREATING", "READY", "CAPTURING", "COMPLETE", "DETACHING", "FAILED", "DESTROYED")


@pytest.fixture
def sweep(name: str, lock: CountingLock) -> ZLUTSweepDataset:
    return ZLUTSweepDataset.create(locks={name: lock}, name=name, **NUMBERS)


@pytest.fixture
def attach(name: str, lock: CountingLock) -> Callable[[], ZLUTSweepDataset]:
    return lambda: ZLUTSweepDataset.attach(locks={name: lock}, name=name)


def columns(count: int, first: int = 0, **other: Any) -> dict[str, Any]:
    numbers = np.arange(first, first + count)
    return {
        "bead_ids": numbers % 2,
        "step_indices": numbers,
        "timestamps": numbers + 0.5,
        "motor_z_values": numbers / 4,
        "valid_flags": numbers % 2 == 0,
        "profiles": np.stack([numbers, numbers + 10], 1),
        **other,
    }


def plain(rows: dict[str, Any]) -> dict[str, Any]:
    return {key: np.asarray(value).astype(float).tolist() for key, value in rows.items()}


def test_segments_and_numbers(
    sweep: ZLUTSweepDataset, attach: Callable[[], ZLUTSweepDataset], name: str, lock: CountingLock
) -> None:
    assert segments(name) == SIZES
    assert words(f"{name} Info") == [1, 2, 6, 2, 3, 2, 1, 0]
    for suffix, dtype in ((" Timestamps", float), (" MotorZ", float), (" Profiles", float)):
        assert np.isnan(values(name + suffix, dtype)).all()
    for suffix in (" BeadIds", " StepIndices", " Valid"):
        assert not values(name + suffix, np.uint8).any()
    other = attach()
    bare = ZLUTSweepDataset(create=False, locks={name: lock}, name=name, capacity=6, n_steps=99)
    for each in (sweep, other, bare):
        assert {key: getattr(each, key) for key in NUMBERS} == NUMBERS
        assert (each.name, each.lock, each.state) == (name, lock, 2)
        assert (each.get_count(), each.get_capacity()) == (0, 6)
    other.write(**columns(3))
    assert words(f"{name} Info")[-1] == 3
    assert values(f"{name} BeadIds", np.uint32).tolist() == [0, 1, 0, 0, 0, 0]
    assert values(f"{name} Profiles", float)[:6].tolist() == [0, 10, 1, 11, 2, 12]
    assert values(f"{name} Valid", np.uint8).tolist() == [1, 0, 1, 0, 0, 0]


def test_constants() -> None:
    assert ZLUTSweepDataset.NAME == "ZLUTSweepDataset"
    assert [getattr(ZLUTSweepDataset, f"STATE_{state}") for state in STATES] == list(range(8))


def test_rows_are_appended_and_copied_out(
    sweep: ZLUTSweepDataset, attach: Callable[[], ZLUTSweepDataset]
) -> None:
    other = attach()
    sweep.write(**columns(2))
    sweep.write(**columns(0))
    other.write(**{key: value.tolist() for key, value in columns(3, 2).items()})
    found = sweep.peak()
    assert plain(found) == plain(columns(5))
    assert list(found) == list(columns(0))
    assert [each.dtype.str for each in found.values()] == ["<u4", "<u4", "<f8", "<f8", "|u1", "<f8"]
    found["bead_ids"][:] = 9
    assert other.peak()["bead_ids"].tolist() == [0, 1, 0, 1, 0]


@pytest.mark.parametrize(
    ("other", "error"),
    [
        ({"profiles": np.ones((2, 3))}, ValueError),
        ({"profiles": np.ones(2)}, ValueError),
        ({"timestamps": np.ones(3)}, ValueError),
        ({"motor_z_values": np.ones((2, 1))}, ValueError),
        ({"bead_ids": np.ones((2, 2))}, ValueError),
        ({"timestamps": ["x", "y"]}, ValueError),
        ({"bead_ids": 3}, IndexError),
        ({"bead_ids": [-1, 0]}, OverflowError),
        ({"bead_ids": np.array([-1, 0])}, OverflowError),
        ({"step_indices": np.array([0, 2**32])}, OverflowError),
        ({"step_indices": [float("nan"), 1]}, ValueError),
        ({"valid_flags": [256, 0]}, OverflowError),
    ],
)
def test_what_does_not_fit_changes_nothing(
    sweep: ZLUTSweepDataset, name: str, other: dict[str, Any], error: type[Exception]
) -> None:
    sweep.write(**columns(1))
    before = {suffix: values(name + suffix, np.uint8).tolist() for suffix in SIZES}
    with pytest.raises(error):
        sweep.write(**columns(2, **other))
    with pytest.raises(TypeError):
        sweep.write(bead_ids=[1])
    with pytest.raises(BufferOverflow):
        sweep.write(**columns(6))
    assert {suffix: values(name + suffix, np.uint8).tolist() for suffix in SIZES} == before
    sweep.write(**columns(5))
    assert sweep.get_count() == 6


def test_previews(sweep: ZLUTSweepDataset) -> None:
    empty = sweep.read_preview(1)
    assert {key: empty[key] for key in NUMBERS} == NUMBERS
    assert (empty["state"], empty["count"], empty["available_bead_ids"]) == (2, 0, [])
    assert (empty["selected_bead_id"], empty["motor_z_min"], empty["motor_z_max"]) == (None, None, None)
    assert (empty["step_indices"].shape, empty["profiles"].shape) == ((0,), (0, 2))
    sweep.set_state(ZLUTSweepDataset.STATE_CAPTURING)
    sweep.write(**columns(4, bead_ids=[7, 3, 7, 3], motor_z_values=[np.inf, 0.5, -1, np.nan]))
    for asked, selected, rows in ((None, 3, [1, 3]), (3, 3, [1, 3]), (7, 7, [0, 2]), (5, 3, [1, 3])):
        found = sweep.read_preview(asked)
        assert (found["state"], found["count"], found["available_bead_ids"]) == (3, 4, [3, 7])
        assert found["selected_bead_id"] == selected
        assert (found["motor_z_min"], found["motor_z_max"]) == (-1, 0.5)
        assert found["step_indices"].tolist() == rows
        assert found["profiles"][:, 1].tolist() == [row + 10 for row in rows]
        assert len(found["motor_z_values"]) == 2
    for asked in (7.0, "7", np.array(7), np.uint32(7)):  # through int(), as the original
        selected = sweep.read_preview(asked)["selected_bead_id"]
        assert (type(selected), selected) == (int, 7)
    with pytest.raises(ValueError, match="invalid literal"):
        sweep.read_preview("first")
    sweep.read_preview()["profiles"][:] = 0
    assert sweep.peak()["profiles"][3].tolist() == [3, 13]


def test_previews_without_a_finite_position(sweep: ZLUTSweepDataset) -> None:
    sweep.write(**columns(2, motor_z_values=[np.nan, np.inf]))
    found = sweep.read_preview()
    assert (found["motor_z_min"], found["motor_z_max"]) == (None, None)


@pytest.mark.parametrize("state", range(8))
def test_in_which_states_it_is_attached(
    sweep: ZLUTSweepDataset, attach: Callable[[], ZLUTSweepDataset], name: str, lock: CountingLock, state: int
) -> None:
    sweep.set_state(state)
    assert sweep.state == state
    if STATES[state] in ("READY", "CAPTURING", "COMPLETE", "FAILED"):
        assert attach().state == state
        return
    for attempt in (attach, lambda: ZLUTSweepDataset(create=False, locks={name: lock}, name=name)):
        with pytest.raises(DatasetNotReadyError):
            attempt()


def test_states_are_not_checked(sweep: ZLUTSweepDataset, attach: Callable[[], ZLUTSweepDataset]) -> None:
    sweep.set_state(99)
    assert attach().state == 99
    for wrong, error in ((-1, OverflowError), (2**64, OverflowError), ("x", ValueError)):
        with pytest.raises(error):
            sweep.set_state(wrong)
    with pytest.raises(AttributeError):
        sweep.state = 3
    assert sweep.state == 99


def test_what_cannot_be_attached(
    sweep: ZLUTSweepDataset, attach: Callable[[], ZLUTSweepDataset], name: str, lock: CountingLock
) -> None:
    for wrong in ({"capacity": 5}, {"profile_length": 3}):
        with pytest.raises(ValueError, match=", not "):
            ZLUTSweepDataset(create=False, locks={name: lock}, name=name, **wrong)
    put_words(f"{name} Info", 0)
    with pytest.raises(DatasetNotReadyError):
        attach()
    put_words(f"{name} Info", 2)
    with pytest.raises(ValueError, match="schema version 2"):
        attach()
    for capacity in (0, 7, 2**62):
        put_words(f"{name} Info", 1, 2, capacity)
        with pytest.raises(ValueError, match="damaged"):
            attach()
    put_words(f"{name} Info", 1, 2, 6, 2, 3, 2, 1, 2**50)  # a count above the capacity
    assert len(attach().peak()["bead_ids"]) == 6


def test_absent_ones(attach: Callable[[], ZLUTSweepDataset], name: str, lock: CountingLock) -> None:
    with pytest.raises(DatasetNotReadyError):
        attach()
    with pytest.raises(FileNotFoundError):
        ZLUTSweepDataset(create=False, locks={name: lock}, name=name)
    (MEMORY / f"{name} Info").touch()  # its creator has not given it a size
    with pytest.raises(DatasetNotReadyError):
        attach()
    with pytest.raises(KeyError):
        ZLUTSweepDataset.attach(locks={}, name=name)


@pytest.mark.parametrize("field", NUMBERS)
def test_a_number_that_is_missing_or_impossible_leaves_nothing(
    name: str, lock: CountingLock, field: str
) -> None:
    with pytest.raises(ValueError, match=field):
        ZLUTSweepDataset(create=True, locks={name: lock}, name=name, **{**NUMBERS, field: None})
    for wrong in (0, -1):
        with pytest.raises(ValueError, match=f"{field} must be positive"):
            ZLUTSweepDataset.create(locks={name: lock}, name=name, **{**NUMBERS, field: wrong})
    with pytest.raises(ValueError, match="capacity, profile_length, n_steps, n_beads, profiles_per_bead"):
        ZLUTSweepDataset(create=True, locks={name: lock}, name=name)
    assert segments(name) == {}


@pytest.mark.parametrize("suffix", SIZES)
def test_a_failed_create_leaves_what_was_there(
    sweep: ZLUTSweepDataset, name: str, lock: CountingLock, suffix: str
) -> None:
    for segment in sweep._segments():
        if segment.name != name + suffix:
            segment.unlink()
    with pytest.raises(FileExistsError):
        ZLUTSweepDataset.create(locks={name: lock}, name=name, **NUMBERS)
    assert segments(name) == {suffix: SIZES[suffix]}


def test_a_create_that_fails_in_the_lock_leaves_nothing(name: str) -> None:
    class Broken(CountingLock):
        def __enter__(self) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ZLUTSweepDataset.create(locks={name: Broken()}, name=name, **NUMBERS)
    assert segments(name) == {}


def test_closing(sweep: ZLUTSweepDataset, attach: Callable[[], ZLUTSweepDataset], name: str) -> None:
    other = attach()
    other.close()
    other.close()
    for call in (
        lambda: other.write(**columns(1)),
        other.peak,
        other.read_preview,
        other.get_count,
        lambda: other.state,
        lambda: other.set_state(3),
    ):
        with pytest.raises(RuntimeError, match="closed"):
            call()
    for call in (lambda: other.state, lambda: other.set_state(3)):
        with pytest.raises(AttributeError):
            call()
    assert other.get_capacity() == 6
    with pytest.raises(RuntimeError, match="not created"):
        other.destroy()
    assert (sweep.state, len(segments(name))) == (2, 7)


@pytest.mark.parametrize("closed", [False, True])
def test_destroying(
    sweep: ZLUTSweepDataset,
    attach: Callable[[], ZLUTSweepDataset],
    name: str,
    lock: CountingLock,
    closed: bool,
) -> None:
    sweep.write(**columns(2))
    other = attach()
    if closed:
        sweep.close()
    sweep.destroy()
    sweep.destroy()
    sweep.close()
    assert segments(name) == {}
    with pytest.raises(DatasetNotReadyError):
        attach()
    again = ZLUTSweepDataset.create(locks={name: lock}, name=name, **NUMBERS)
    assert (other.state, other.get_count(), plain(other.peak())) == (7, 2, plain(columns(2)))
    sweep.destroy()  # the one before: it leaves this one alone
    assert (again.state, attach().get_count(), len(segments(name))) == (2, 0, 7)


@pytest.mark.parametrize("closed", [False, True])
def test_destroying_what_was_made_anew(
    sweep: ZLUTSweepDataset, name: str, lock: CountingLock, closed: bool
) -> None:
    for segment in sweep._segments():
        segment.unlink()
    again = ZLUTSweepDataset.create(locks={name: lock}, name=name, **NUMBERS)
    if closed:
        sweep.close()
    sweep.destroy()
    assert (again.state, segments(name)) == (2, SIZES)


def test_each_call_takes_the_lock_once(sweep: ZLUTSweepDataset, lock: CountingLock) -> None:
    assert lock.taken == 1
    for call in (
        lambda: sweep.write(**columns(1)),
        sweep.peak,
        sweep.read_preview,
        sweep.get_count,
        lambda: sweep.set_state(3),
    ):
        before = lock.taken
        call()
        assert lock.taken == before + 1
    with lock:
        assert (sweep.state, sweep.get_capacity()) == (3, 6)  # take none
    before = lock.taken
    sweep.destroy()
    assert lock.taken == before + 1
