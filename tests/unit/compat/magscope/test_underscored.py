"""Facade of magscope.datatypes: the names with an underscore that its documents list."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

from pymilk.compat.magscope import (
    BeadRoiBuffer,
    BufferOverflow,
    BufferUnderflow,
    DatasetNotReadyError,
    MatrixBuffer,
    VideoBuffer,
    ZLUTSweepDataset,
)
from support.segments import MEMORY, CountingLock, segments, video_buffer, words

SWEEP = {"capacity": 3, "profile_length": 2, "n_steps": 4, "n_beads": 5, "profiles_per_bead": 6}


@pytest.fixture
def video(name: str, lock: CountingLock) -> VideoBuffer:
    kind = video_buffer(name)
    return kind(create=True, locks={name: lock}, n_stacks=2, width=2, height=1, n_images=2, bits=8)


@pytest.fixture
def beads(name: str, lock: CountingLock) -> BeadRoiBuffer:
    return BeadRoiBuffer(create=True, locks={name: lock}, capacity=6, name=name)


@pytest.fixture
def sweep(name: str, lock: CountingLock) -> ZLUTSweepDataset:
    return ZLUTSweepDataset.create(locks={name: lock}, name=name, **SWEEP)


def test_indices_of_a_video_buffer(video: VideoBuffer, lock: CountingLock) -> None:
    video._set_read_index(1)
    video._set_write_index(7)  # of 4 slots
    video._set_count_index(3)
    assert words(f"{video.name} Index") == [1, 3, 3]
    assert (video._get_read_index(), video._get_write_index(), video._get_count_index()) == (1, 3, 3)
    for value in (0, 1, 3):
        video._check_read(value)
    with pytest.raises(BufferUnderflow):
        video._check_read(4)
    video._check_write(1)
    with pytest.raises(BufferOverflow):
        video._check_write(2)
    with pytest.raises(OverflowError):
        video._set_count_index(-1)
    assert lock.taken == 0
    assert video.get_level() == 0.75


def test_times_of_a_video_buffer(video: VideoBuffer) -> None:
    video._set_timestamp(1, 5.5)
    video._set_timestamp(2, np.float32(2.0))  # type: ignore[arg-type]
    times = video._get_timestamps(1, 3)
    assert times.tolist() == [5.5, 2.0, 0.0]
    times[2] = 9.0
    assert video._get_timestamps(3, 1).tolist() == [9.0]
    with pytest.raises(TypeError, match="times 3 to 5"):
        video._get_timestamps(3, 2)
    with pytest.raises(ValueError, match="slot 4"):
        video._set_timestamp(4, 1.0)


def test_indices_of_a_matrix_buffer(name: str, lock: CountingLock) -> None:
    matrix = MatrixBuffer(create=True, locks={name: lock}, name=name, shape=(2, 2))
    before = lock.taken
    matrix._set_read_index(16)
    matrix._set_write_index(48)
    matrix._set_count_index(64)
    assert words(f"{name} Index") == [16, 16, 64]
    assert (matrix._get_read_index(), matrix._get_write_index(), matrix._get_count_index()) == (16, 16, 64)
    assert lock.taken == before


def test_numbers_of_beads(beads: BeadRoiBuffer, lock: CountingLock) -> None:
    beads.add_beads({2: (1, 2, 3, 4)})
    before = lock.taken
    assert [beads._read_info(at) for at in range(4)] == [6, 3, 1, 1]
    beads._write_info(3, 9)
    beads._increment_version()
    assert lock.taken == before
    assert beads.version == 10
    assert (beads._info_fields, beads._info_size) == (4, 32)
    assert (beads._roi_dtype, beads._occupancy_dtype) == (np.dtype("u4"), np.dtype("u1"))
    assert (beads._roi_shape, beads._roi_nbytes, beads._occupancy_nbytes) == ((6, 4), 96, 6)
    assert beads._roi_matrix[2].tolist() == [1, 2, 3, 4]
    assert beads._occupancy.tolist() == [0, 0, 1, 0, 0, 0]


def test_what_beads_accept(beads: BeadRoiBuffer) -> None:
    assert beads._validate_bead_id("1") == 1
    ids = beads._normalize_ids(["3", 2.5, 3])  # type: ignore[list-item]
    assert (ids.tolist(), ids.dtype) == ([3, 2, 3], np.dtype("u4"))
    given: Any = {"1": [1.5, "2", 3, 4]}
    assert beads._normalize_bead_mapping(given) == {1: (1, 2, 3, 4)}
    for bad in (-1, 6):
        with pytest.raises(ValueError, match="outside"):
            beads._validate_bead_id(bad)
        with pytest.raises(ValueError, match="outside"):
            beads._normalize_ids([bad])
        with pytest.raises(ValueError, match="outside"):
            beads._normalize_bead_mapping({bad: (1, 2, 3, 4)})


def test_fields_of_a_sweep(sweep: ZLUTSweepDataset, lock: CountingLock, name: str) -> None:
    before = lock.taken
    found = {field: sweep._read_info(field) for field in ZLUTSweepDataset._INFO_FIELDS}
    assert found == {"schema_version": 1, "state": 2, **SWEEP, "count": 0}
    assert list(ZLUTSweepDataset._INFO_FIELDS.values()) == list(range(8))
    sweep._write_info("count", 2)
    assert lock.taken == before
    assert sweep.get_count() == 2
    with pytest.raises(KeyError):
        sweep._read_info("x")
    with pytest.raises(KeyError):
        sweep._write_info("x", 1)
    names = {name + suffix for suffix in ZLUTSweepDataset._SEGMENT_SUFFIXES.values()}
    assert names == {getattr(sweep, attribute).name for attribute in ZLUTSweepDataset._SHM_ATTRS}
    assert names == {name + suffix for suffix in segments(name)}
    assert (ZLUTSweepDataset._INFO_SIZE, ZLUTSweepDataset._SCHEMA_VERSION) == (64, 1)
    assert {np.dtype("u4")} == {ZLUTSweepDataset._BEAD_ID_DTYPE, ZLUTSweepDataset._STEP_INDEX_DTYPE}
    assert np.dtype("f8") == ZLUTSweepDataset._PROFILE_DTYPE


def test_what_a_sweep_asks(sweep: ZLUTSweepDataset) -> None:
    for state in (2, 3, 4, 6, 8):
        sweep._write_info("state", state)
        sweep._validate_attach_ready_state()
    for state in (0, 1, 5, 7):
        sweep._write_info("state", state)
        with pytest.raises(DatasetNotReadyError):
            sweep._validate_attach_ready_state()
    sweep._validate_schema_version()
    sweep._write_info("schema_version", 2)
    with pytest.raises(ValueError, match="2"):
        sweep._validate_schema_version()
    sweep._write_info("schema_version", 0)
    with pytest.raises(DatasetNotReadyError):
        sweep._validate_schema_version()
    assert ZLUTSweepDataset._validate_create_parameters(**SWEEP) == SWEEP
    with pytest.raises(ValueError, match="n_steps must be positive"):
        ZLUTSweepDataset._validate_create_parameters(**{**SWEEP, "n_steps": 0})
    missing: Any = {**SWEEP, "n_steps": None, "capacity": None}
    with pytest.raises(ValueError, match="capacity, n_steps"):
        ZLUTSweepDataset._validate_create_parameters(**missing)


def test_segments_of_a_sweep_are_let_go_or_removed(sweep: ZLUTSweepDataset, name: str) -> None:
    sweep._cleanup_shared_memory_segments(unlink=False)
    assert len(segments(name)) == 7
    with pytest.raises(RuntimeError):
        sweep.get_count()
    sweep._cleanup_shared_memory_segments(unlink=True)
    assert segments(name) == {}
    sweep.close()


def test_a_name_with_a_nul_is_refused(name: str, lock: CountingLock) -> None:
    before = set(os.listdir(MEMORY))
    name += "\0x"
    for create in (True, False):
        with pytest.raises(ValueError, match="NUL"):
            MatrixBuffer(create=create, locks={name: lock}, name=name, shape=(2, 2))
    assert not {each for each in set(os.listdir(MEMORY)) - before if each.startswith(name[:-2])}
