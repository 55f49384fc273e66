"""`BeadRoiBuffer`: regions of interest by bead number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .locking import Locked
from .segments import Segment, array_of, roll_back
from .words import InfoWords, need_segment, positive

__all__ = ["BeadRoiBuffer"]

#: Places of the numbers in the segment of information.
_CAPACITY, _MAX_ID_PLUS_ONE, _ACTIVE_COUNT, _VERSION = range(4)

#: Numbers of a region, and the largest that fits.
_ROI, _LARGEST = 4, 0xFFFF_FFFF

_Beads = Mapping[int, tuple[int, int, int, int]]


class BeadRoiBuffer(Locked):
    """Regions of beads in shared memory, one row for each bead number. A change is made whole or not at all.

    Parameters
    ----------
    create : bool
        Make the segments, without beads; False attaches.
    locks : dict
        Has the lock under `name`.
    capacity : int
        Beads are numbered 0 to capacity - 1. When attaching it may be left out.
    name : str, default "BeadRoiBuffer"

    Raises
    ------
    KeyError
        There is no lock of that name.
    ValueError
        No capacity, or an impossible one, or another than that of the segments; or they are smaller than they
        say. Nothing stays behind.
    FileExistsError, FileNotFoundError
        There are segments of that name already, or not yet.
    """

    def __init__(
        self, *, create: bool, locks: dict[str, Any], capacity: int | None = None, name: str = "BeadRoiBuffer"
    ) -> None:
        self.name = name
        self.lock = locks[name]
        if create:
            if capacity is None:
                raise ValueError("a BeadRoiBuffer is created with a capacity")
            self._make(positive("capacity", capacity))
        else:
            self._attach(capacity)
        self._info = InfoWords(self._shm_info, 4)
        self._roi_matrix = array_of(self._shm_data, np.uint32, (self.capacity, _ROI))
        self._occupancy = array_of(self._shm_occupancy, np.uint8, (self.capacity,))

    def _make(self, capacity: int) -> None:
        self.capacity = capacity
        with roll_back() as made:
            for suffix, nbytes in ((" Info", 32), (" Data", 16 * capacity), (" Occupancy", capacity)):
                made.append(Segment(self.name + suffix, nbytes))
            self._shm_info, self._shm_data, self._shm_occupancy = made
            InfoWords(self._shm_info, 4).put(capacity, 0, 0, 0)

    def _attach(self, capacity: int | None) -> None:
        self._shm_info = Segment(f"{self.name} Info")
        self.capacity = InfoWords(self._shm_info, 4)[_CAPACITY]
        if capacity is not None and capacity != self.capacity:
            raise ValueError(f"{self.name} has capacity {self.capacity}, not {capacity}")
        self._shm_data, self._shm_occupancy = (
            Segment(f"{self.name} Data"),
            Segment(f"{self.name} Occupancy"),
        )
        need_segment(self._shm_data, 16 * self.capacity)
        need_segment(self._shm_occupancy, self.capacity)

    # -- names with an underscore that the original's documents list

    _info_fields, _info_size = 4, 32
    _roi_dtype, _occupancy_dtype = np.dtype(np.uint32), np.dtype(np.uint8)

    @property
    def _roi_shape(self) -> tuple[int, int]:
        return self.capacity, _ROI

    @property
    def _roi_nbytes(self) -> int:
        return 16 * self.capacity

    @property
    def _occupancy_nbytes(self) -> int:
        return self.capacity

    def _read_info(self, index: int) -> int:
        """Return a number of the segment of information. Takes no lock, as the next ones."""
        return self._info[index]

    def _write_info(self, index: int, value: int) -> None:
        self._info[index] = int(value)

    def _increment_version(self) -> None:
        self._info[_VERSION] += 1

    # -- numbers

    def _number(self, at: int) -> int:
        with self._guard:
            return self._info[at]

    @property
    def max_id_plus_one(self) -> int:
        """Number behind the highest one that was given since the last replace, clear or reorder."""
        return self._number(_MAX_ID_PLUS_ONE)

    @property
    def active_count(self) -> int:
        """How many beads there are."""
        return self._number(_ACTIVE_COUNT)

    @property
    def version(self) -> int:
        """How many changes there were."""
        return self._number(_VERSION)

    def get_next_available_bead_id(self) -> int:
        """Return `max_id_plus_one`; if it is `capacity`, no number is free."""
        return self.max_id_plus_one

    # -- changes

    def replace_beads(self, value: _Beads) -> None:
        """Have these beads and no others. Always counts as a change.

        Parameters
        ----------
        value : dict of int to four int
            Bead number to region. What `int` takes is an int here.

        Raises
        ------
        ValueError
            A number outside of 0 to capacity - 1; a region that is not four numbers of 0 to 2**32 - 1.
        """
        ids, rois = self._checked(value)
        with self._guard:
            self._occupancy[:] = 0
            self._roi_matrix[:] = 0
            self._store(ids, rois)
            self._note(int(ids.max()) + 1 if len(ids) else 0)

    def add_beads(self, value: _Beads) -> None:
        """Add beads; as `replace_beads`, and ValueError if one exists. Adding none is no change."""
        ids, rois = self._checked(value)
        with self._guard:
            there = ids[self._occupancy[ids] != 0]
            if len(there):
                raise ValueError(f"beads exist already: {sorted(there.tolist())}")
            if len(ids):
                self._store(ids, rois)
                self._note(max(self._info[_MAX_ID_PLUS_ONE], int(ids.max()) + 1))

    def update_beads(self, value: _Beads) -> None:
        """Give beads other regions; as `replace_beads`, and ValueError if one does not exist."""
        ids, rois = self._checked(value)
        with self._guard:
            missing = ids[self._occupancy[ids] == 0]
            if len(missing):
                raise ValueError(f"beads do not exist: {sorted(missing.tolist())}")
            if len(ids):
                self._store(ids, rois)
                self._note(self._info[_MAX_ID_PLUS_ONE])

    def remove_beads(self, ids: Iterable[int]) -> None:
        """Remove beads. Those that do not exist are left out; `max_id_plus_one` stays.

        Raises
        ------
        ValueError
            A number outside of 0 to capacity - 1.
        """
        wanted = np.unique(self._normalize_ids(ids)).astype(np.intp)
        if not len(wanted):
            return
        with self._guard:
            there = wanted[self._occupancy[wanted] != 0]
            if len(there):
                self._occupancy[there] = 0
                self._roi_matrix[there] = 0
                self._note(self._info[_MAX_ID_PLUS_ONE])

    def clear_beads(self) -> None:
        """Remove all beads; numbers begin at 0 again. Always counts as a change."""
        self.replace_beads({})

    def reorder_beads(self) -> dict[int, int]:
        """Number the beads anew, 0 to n - 1, in ascending order. Always counts as a change.

        Returns
        -------
        dict
            Old number to new one, of all beads.
        """
        with self._guard:
            old = np.flatnonzero(self._occupancy)
            rois = self._roi_matrix[old]
            new = np.arange(len(old))
            self._occupancy[:] = 0
            self._roi_matrix[:] = 0
            self._store(new, rois)
            self._note(len(old))
        return dict(zip(old.tolist(), new.tolist(), strict=True))

    def get_beads(self) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
        """Return numbers and regions of all beads: copies, shapes (n,) and (n, 4), ascending."""
        with self._guard:
            ids = np.flatnonzero(self._occupancy)
            return ids.astype(np.uint32), self._roi_matrix[ids]

    def _store(self, ids: npt.NDArray[Any], rois: npt.NDArray[np.uint32]) -> None:
        self._roi_matrix[ids] = rois
        self._occupancy[ids] = 1

    def _note(self, max_id_plus_one: int) -> None:
        """Count a change."""
        active = int(np.count_nonzero(self._occupancy))
        self._info.put(self.capacity, max_id_plus_one, active, self._info[_VERSION] + 1)

    # -- what callers give

    def _validate_bead_id(self, bead_id: Any) -> int:
        number = int(bead_id)
        if not 0 <= number < self.capacity:
            raise ValueError(f"bead {number} is outside of 0 to {self.capacity - 1}")
        return number

    def _normalize_ids(self, ids: Iterable[int]) -> npt.NDArray[np.uint32]:
        return np.array([self._validate_bead_id(each) for each in ids], np.uint32)

    def _normalize_bead_mapping(self, value: _Beads) -> dict[int, tuple[int, int, int, int]]:
        return {self._validate_bead_id(bead): self._region(bead, roi) for bead, roi in value.items()}

    def _checked(self, value: _Beads) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.uint32]]:
        """Return numbers and regions as arrays; of keys that mean the same number the last one counts."""
        beads = self._normalize_bead_mapping(value)
        rois = np.array(list(beads.values()), np.uint32).reshape(len(beads), _ROI)
        return np.array(list(beads), np.intp), rois

    @staticmethod
    def _region(bead: Any, roi: Any) -> tuple[int, int, int, int]:
        if len(roi) != _ROI:
            raise ValueError(f"the region of bead {bead} has {len(roi)} numbers, not {_ROI}")
        numbers = [int(each) for each in roi]
        if not all(0 <= each <= _LARGEST for each in numbers):
            raise ValueError(f"the region of bead {bead} is {numbers}; its numbers are 0 to {_LARGEST}")
        return numbers[0], numbers[1], numbers[2], numbers[3]
