"""MatrixBuffer and LiveProfileBuffer of the facade of magscope.datatypes."""

from __future__ import annotations

import errno
import gc
from typing import Any

import numpy as np
import pytest

from pymilk.compat.magscope import LiveProfileBuffer, MatrixBuffer
from support.descriptors import descriptors_left
from support.segments import CountingLock, put_words, segments, values, words

ROWS, COLUMNS = 5, 3


@pytest.fixture
def matrix(name: str, lock: CountingLock) -> MatrixBuffer:
    return MatrixBuffer(create=True, locks={name: lock}, name=name, shape=(ROWS, COLUMNS))


@pytest.fixture
def live(name: str, lock: CountingLock) -> LiveProfileBuffer:
    return LiveProfileBuffer(create=True, locks={name: lock}, name=name, profile_capacity=4)


def rows(first: int, count: int) -> np.ndarray[Any, Any]:
    """Return rows that tell their number."""
    return np.arange(first, first + count, dtype=float)[:, None] * 10 + np.arange(COLUMNS)


def indices(name: str) -> list[int]:
    return words(f"{name} Index")


def test_segments_and_numbers(matrix: MatrixBuffer, name: str, lock: CountingLock) -> None:
    assert segments(name) == {"": 120, " Info": 16, " Index": 24}
    assert words(f"{name} Info") == [5, 3]
    assert np.isnan(values(name, float)).all()
    other = MatrixBuffer(create=False, locks={name: lock}, name=name, shape=(9, 9))
    for each in (matrix, other):
        assert (each.name, each.shape, each.nbytes, each.itemsize) == (name, (5, 3), 120, 8)
        assert (each.dtype, each.strides, each.lock) == (np.dtype(float), (24, 8), lock)
    matrix.write(rows(0, 2))
    assert indices(name) == [0, 48, 48]
    assert values(name, float)[:6].tolist() == rows(0, 2).ravel().tolist()
    assert other.read().tolist() == rows(0, 2).tolist()
    assert indices(name) == [48, 48, 0]


@pytest.mark.parametrize("offset", range(ROWS))
@pytest.mark.parametrize("unread", range(2 * ROWS + 3))
def test_the_newest_rows_come_in_order(matrix: MatrixBuffer, offset: int, unread: int) -> None:
    """From every place of the ring, below, at and above its capacity."""
    matrix.write(rows(0, offset))
    matrix.read()
    for number in range(unread):
        matrix.write(rows(number, 1))
    assert matrix.get_count_index() == unread * 24
    assert matrix.get_write_index() == (offset + unread) % ROWS * 24
    assert matrix.get_read_index() == offset * 24
    count = min(unread, ROWS)
    found = matrix.read()
    assert found.tolist() == rows(unread - count, count).tolist()
    assert (found.shape, found.dtype, found.flags.owndata) == ((count, COLUMNS), np.float64, True)
    assert matrix.read().shape == (0, COLUMNS)
    matrix.write(rows(50, 2))
    assert matrix.read().tolist() == rows(50, 2).tolist()


@pytest.mark.parametrize("count", range(ROWS + 1))
def test_several_rows_at_once_go_around_the_end(matrix: MatrixBuffer, count: int) -> None:
    number = 0
    for _ in range(6):
        matrix.write(rows(number, count))
        assert matrix.read().tolist() == rows(number, count).tolist()
        number += count


def test_sorted_and_unsorted(matrix: MatrixBuffer) -> None:
    matrix.write(rows(0, 2))
    ordered = matrix.peak_sorted()
    assert np.isnan(ordered[:3]).all()
    assert ordered[3:].tolist() == rows(0, 2).tolist()
    matrix.write(rows(2, 5))
    assert matrix.peak_sorted().tolist() == rows(2, 5).tolist()
    live = matrix.peak_unsorted()
    assert live.tolist() == [*rows(5, 2).tolist(), *rows(2, 3).tolist()]
    ordered[:] = 0
    live[0, 0] = -1
    assert matrix.peak_sorted()[3, 0] == -1
    assert matrix.get_count_index() == 7 * 24


@pytest.mark.parametrize("dtype", ["f4", "i8", "u1", ">f8", "?"])
def test_other_types_are_converted(matrix: MatrixBuffer, dtype: str) -> None:
    given = np.array([[0, 1, 1], [1, 0, 1]], dtype)
    matrix.write(given)
    assert matrix.read().tolist() == given.astype(float).tolist()
    matrix.write(np.asfortranarray(rows(0, 4))[::2])
    assert matrix.read().tolist() == rows(0, 4)[::2].tolist()
    matrix.write(given[:, :, None])
    assert matrix.read().tolist() == given.astype(float).tolist()


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (np.zeros((6, 3)), AssertionError),
        (np.zeros((1, 4)), AssertionError),
        (np.zeros((1, 2)), AssertionError),
        (np.zeros(3), IndexError),
        ([[1, 2, 3]], AttributeError),
        (np.zeros((1, 3, 2)), ValueError),
        (np.array([["a", "b", "c"]]), ValueError),
    ],
)
def test_what_does_not_fit_changes_nothing(
    matrix: MatrixBuffer, name: str, given: Any, error: type[Exception]
) -> None:
    matrix.write(rows(0, 2))
    before = values(name, np.uint8).tolist(), indices(name)
    with pytest.raises(error):
        matrix.write(given)
    assert (values(name, np.uint8).tolist(), indices(name)) == before


def test_each_call_takes_the_lock_once(matrix: MatrixBuffer, lock: CountingLock) -> None:
    assert lock.taken == 1  # for the NaN
    for call in (
        lambda: matrix.write(rows(0, 1)),
        matrix.read,
        matrix.peak_sorted,
        matrix.peak_unsorted,
        matrix.get_count_index,
        matrix.get_read_index,
        matrix.get_write_index,
    ):
        before = lock.taken
        call()
        assert lock.taken == before + 1


@pytest.mark.parametrize("shape", [None, (0, 3), (3, 0), (-1, 3), (1, 2, 3), (2.5, 3)])
def test_a_shape_that_is_missing_or_impossible_leaves_nothing(
    name: str, lock: CountingLock, shape: Any
) -> None:
    with pytest.raises((ValueError, TypeError)):
        MatrixBuffer(create=True, locks={name: lock}, name=name, shape=shape)
    with pytest.raises(KeyError):
        MatrixBuffer(create=True, locks={}, name=name, shape=(2, 3))
    with pytest.raises(FileNotFoundError):
        MatrixBuffer(create=False, locks={name: lock}, name=name)
    assert segments(name) == {}
    MatrixBuffer(create=True, locks={name: lock}, name=name, shape=(2, 3))


def test_a_name_in_use_is_left_as_it_is(matrix: MatrixBuffer, name: str, lock: CountingLock) -> None:
    matrix.write(rows(0, 1))
    matrix._shm_info.unlink()
    matrix._idx_shm.unlink()
    with pytest.raises(FileExistsError):
        MatrixBuffer(create=True, locks={name: lock}, name=name, shape=(2, 3))
    assert segments(name) == {"": 120}
    assert values(name, float)[0] == 0


@pytest.mark.parametrize("name_part", ["/", "../x", "\0"])
def test_impossible_names_leave_nothing(name: str, lock: CountingLock, name_part: str) -> None:
    wrong = name + name_part + "y"
    for create in (True, False):
        with pytest.raises((OSError, ValueError)):
            MatrixBuffer(create=create, locks={wrong: lock}, name=wrong, shape=(2, 3))
    assert segments(name) == {}


@pytest.mark.parametrize("info", [(0, 0), (6, 3), (2**63, 2**63)])
def test_damaged_information_is_refused(
    matrix: MatrixBuffer, name: str, lock: CountingLock, info: tuple[int, int]
) -> None:
    put_words(f"{name} Info", *info)
    with pytest.raises(ValueError, match="damaged"):
        MatrixBuffer(create=False, locks={name: lock}, name=name)


def test_damaged_indices_reach_no_memory_of_others(matrix: MatrixBuffer, name: str) -> None:
    put_words(f"{name} Index", 2**60, 2**60, 2**60)
    assert matrix.read().shape == (ROWS, COLUMNS)
    for count in (1, 2):
        put_words(f"{name} Index", 0, 2**60, 0)
        matrix.write(rows(7, count))
        assert matrix.get_write_index() < matrix.nbytes
        assert matrix.read().tolist() == rows(7, count).tolist()
    assert np.isnan(matrix.peak_unsorted()).all(axis=1).sum() == 3


def test_views_outlive_the_buffer(matrix: MatrixBuffer, name: str) -> None:
    matrix.write(rows(0, 1))
    view = matrix.peak_unsorted()
    for segment in (matrix._shm, matrix._idx_shm, matrix._shm_info):
        segment.close()
        segment.unlink()
    del matrix
    gc.collect()
    assert view[0].tolist() == [0, 1, 2]
    assert segments(name) == {}


# -- live profiles


def test_a_live_profile_is_a_matrix_of_one_row(
    live: LiveProfileBuffer, name: str, lock: CountingLock
) -> None:
    assert segments(name) == {"": 56, " Info": 16, " Index": 24}
    assert words(f"{name} Info") == [1, 7]
    other = LiveProfileBuffer(create=False, locks={name: lock}, name=name, profile_capacity=99)
    assert (live.shape, other.shape, other.profile_capacity) == ((1, 7), (1, 7), 4)
    assert np.isnan(other.peak_unsorted()).all()
    live.write_profile(1.5, 3, np.array([7, 8]))
    assert other.peak_unsorted()[0, :5].tolist() == [1.5, 3, 2, 7, 8]
    assert np.isnan(other.peak_unsorted()[0, 5:]).all()
    live.write_profile(timestamp=2, bead_id=4, profile=np.zeros(0))
    assert other.peak_unsorted()[0, :3].tolist() == [2, 4, 0]
    assert np.isnan(other.peak_unsorted()[0, 3:]).all()
    live.write_profile(3, 5, np.arange(4.0))
    other.clear()
    assert np.isnan(live.peak_unsorted()).all()


@pytest.mark.parametrize(
    ("profile", "error"),
    [
        (np.zeros(5), ValueError),
        (np.zeros((2, 2)), ValueError),
        (np.float64(1), IndexError),
        ([1.0], AttributeError),
    ],
)
def test_profiles_that_do_not_fit_change_nothing(
    live: LiveProfileBuffer, profile: Any, error: type[Exception]
) -> None:
    live.write_profile(1.5, 3, np.arange(4.0))
    before = live.peak_unsorted().tolist()
    with pytest.raises(error):
        live.write_profile(2.5, 4, profile)
    assert live.peak_unsorted().tolist() == before


def test_live_profiles_take_the_lock_once(live: LiveProfileBuffer, lock: CountingLock) -> None:
    for call in (lambda: live.write_profile(1, 2, np.zeros(1)), live.clear, live.peak_unsorted):
        before = lock.taken
        call()
        assert lock.taken == before + 1


@pytest.mark.parametrize("capacity", [None, 0, -1])
def test_a_capacity_that_is_missing_or_impossible_leaves_nothing(
    name: str, lock: CountingLock, capacity: Any
) -> None:
    with pytest.raises(ValueError, match="profile_capacity"):
        LiveProfileBuffer(create=True, locks={name: lock}, name=name, profile_capacity=capacity)
    assert segments(name) == {}


def test_another_matrix_is_no_live_profile(matrix: MatrixBuffer, name: str, lock: CountingLock) -> None:
    with pytest.raises(ValueError, match="no live profile"):
        LiveProfileBuffer(create=False, locks={name: lock}, name=name)


@pytest.mark.parametrize("left", range(6))
def test_no_descriptors(name: str, lock: CountingLock, left: int) -> None:
    """Two are needed for each segment, one of them for a moment; nothing is left of those before."""
    with descriptors_left(left), pytest.raises(OSError, match=r"Too many open files") as caught:
        MatrixBuffer(create=True, locks={name: lock}, name=name, shape=(ROWS, COLUMNS))
    assert caught.value.errno == errno.EMFILE
    assert segments(name) == {}
    MatrixBuffer(create=True, locks={name: lock}, name=name, shape=(ROWS, COLUMNS))
