"""`ZLUTSweepDataset`: the profiles of one sweep, row by row, made and destroyed by its owner."""

from __future__ import annotations

import contextlib
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .locking import Locked
from .segments import EmptySegmentError, Segment, array_of, roll_back
from .words import BufferOverflow, DatasetNotReadyError, InfoWords, need_segment, positive

__all__ = ["ClosedDatasetError", "ZLUTSweepDataset"]

#: Numbers of the segment of information, in this order.
_FIELDS = (
    "schema_version",
    "state",
    "capacity",
    "profile_length",
    "n_steps",
    "n_beads",
    "profiles_per_bead",
    "count",
)
_STATE, _COUNT = _FIELDS.index("state"), _FIELDS.index("count")

#: What a creator gives.
_PARAMETERS = _FIELDS[2:7]

_SCHEMA_VERSION = 1

#: Columns: name of the argument of `write`, suffix of the segment, attribute of that, type.
_COLUMNS = (
    ("bead_ids", " BeadIds", "_shm_bead_ids", np.uint32),
    ("step_indices", " StepIndices", "_shm_step_indices", np.uint32),
    ("timestamps", " Timestamps", "_shm_timestamps", np.float64),
    ("motor_z_values", " MotorZ", "_shm_motor_z", np.float64),
    ("valid_flags", " Valid", "_shm_valid", np.uint8),
    ("profiles", " Profiles", "_shm_profiles", np.float64),
)

_Columns = dict[str, npt.NDArray[Any]]


class ClosedDatasetError(RuntimeError, AttributeError):
    """The dataset is closed here. Also an AttributeError: the original raises that in some of these cases."""


class ZLUTSweepDataset(Locked):
    """Profiles with bead, step, time, position of the motor and validity, appended up to a capacity.

    Parameters
    ----------
    create : bool
        Make the segments, in state READY; False attaches.
    locks : dict
        Has the lock under `name`.
    capacity : int
        Rows.
    profile_length : int
        Values of a profile.
    n_steps, n_beads, profiles_per_bead : int
        Kept for those who attach.
    name : str, default "ZLUTSweepDataset"

    Raises
    ------
    KeyError
        There is no lock of that name.
    ValueError
        Creating: a number is missing or not positive. Attaching: capacity or profile length are others, the
        schema is not known, or segments are smaller than they say. Nothing stays behind.
    DatasetNotReadyError
        Attaching: in its state it cannot be attached.
    FileExistsError, FileNotFoundError
        There are segments of that name already, or not yet.
    """

    NAME = "ZLUTSweepDataset"
    STATE_ABSENT = 0
    STATE_CREATING = 1
    STATE_READY = 2
    STATE_CAPTURING = 3
    STATE_COMPLETE = 4
    STATE_DETACHING = 5
    STATE_FAILED = 6
    STATE_DESTROYED = 7

    # Names with an underscore that the original's documents list, as the methods at the end of this class.
    _INFO_FIELDS: ClassVar = {name: index for index, name in enumerate(_FIELDS)}
    _INFO_SIZE = 8 * len(_FIELDS)
    _SCHEMA_VERSION = _SCHEMA_VERSION
    _UINT64_DTYPE = np.dtype(np.uint64)
    _BEAD_ID_DTYPE = _STEP_INDEX_DTYPE = np.dtype(np.uint32)
    _TIMESTAMP_DTYPE = _MOTOR_Z_DTYPE = _PROFILE_DTYPE = np.dtype(np.float64)
    _VALID_DTYPE = np.dtype(np.uint8)
    _SEGMENT_SUFFIXES: ClassVar = {
        "info": " Info",
        **{attribute.removeprefix("_shm_"): suffix for _, suffix, attribute, _ in _COLUMNS},
    }
    _SHM_ATTRS = (*(attribute for _, _, attribute, _ in reversed(_COLUMNS)), "_shm_info")

    _UNREADY: ClassVar = (STATE_ABSENT, STATE_CREATING, STATE_DETACHING, STATE_DESTROYED)

    def __init__(
        self,
        *,
        create: bool,
        locks: dict[str, Any],
        capacity: int | None = None,
        profile_length: int | None = None,
        n_steps: int | None = None,
        n_beads: int | None = None,
        profiles_per_bead: int | None = None,
        name: str = NAME,
    ) -> None:
        self._closed = True
        self._destroyed = False
        self._owns_shared_memory = create
        self.name = name
        self.lock = locks[name]
        given = dict(
            zip(_PARAMETERS, (capacity, profile_length, n_steps, n_beads, profiles_per_bead), strict=True)
        )
        if create:
            self._make(given)
        else:
            self._attach(given)
        self._closed = False

    @classmethod
    def create(
        cls,
        *,
        locks: dict[str, Any],
        capacity: int,
        profile_length: int,
        n_steps: int,
        n_beads: int,
        profiles_per_bead: int,
        name: str = NAME,
    ) -> ZLUTSweepDataset:
        """Make a dataset; see the class."""
        return cls(
            create=True,
            locks=locks,
            capacity=capacity,
            profile_length=profile_length,
            n_steps=n_steps,
            n_beads=n_beads,
            profiles_per_bead=profiles_per_bead,
            name=name,
        )

    @classmethod
    def attach(cls, *, locks: dict[str, Any], name: str = NAME) -> ZLUTSweepDataset:
        """Attach to a dataset; one that does not exist is a DatasetNotReadyError too."""
        try:
            return cls(create=False, locks=locks, name=name)
        except FileNotFoundError as error:
            raise DatasetNotReadyError(f"there is no dataset {name!r}: {error.filename}") from None

    # -- the segments

    def _make(self, given: dict[str, int | None]) -> None:
        self._size_up(self._validate_create_parameters(**given))
        with roll_back() as made:
            made.append(Segment(f"{self.name} Info", 8 * len(_FIELDS)))
            self._shm_info, self._info = made[0], InfoWords(made[0], len(_FIELDS))
            numbers = [getattr(self, name) for name in _PARAMETERS]
            self._info.put(_SCHEMA_VERSION, self.STATE_CREATING, *numbers, 0)
            for name, suffix, attribute, dtype in _COLUMNS:
                shape = self._shape(name)
                made.append(Segment(self.name + suffix, int(np.prod(shape)) * np.dtype(dtype).itemsize))
                setattr(self, attribute, made[-1])
            self._map()
            with self._guard:
                for column in self._columns.values():
                    if column.dtype == np.float64:
                        column.fill(np.nan)
                self._info[_STATE] = self.STATE_READY

    def _attach(self, given: dict[str, int | None]) -> None:
        try:
            self._shm_info = Segment(f"{self.name} Info")
        except EmptySegmentError as error:
            raise DatasetNotReadyError(str(error)) from None
        self._info = InfoWords(self._shm_info, len(_FIELDS))
        numbers = dict(zip(_FIELDS, self._info.all(), strict=True))
        self._validate_attach_ready_state()
        self._validate_schema_version()
        for name in ("capacity", "profile_length"):
            if given[name] is not None and given[name] != numbers[name]:
                raise ValueError(f"{self.name} has {name} {numbers[name]}, not {given[name]}")
        self._size_up(numbers)
        for name, suffix, attribute, dtype in _COLUMNS:
            segment = Segment(self.name + suffix)
            # Multiplied as ints: numbers of a damaged file may be huge.
            values = self.capacity * (self.profile_length if name == "profiles" else 1)
            need_segment(segment, values * np.dtype(dtype).itemsize)
            setattr(self, attribute, segment)
        self._map()

    def _size_up(self, numbers: dict[str, int]) -> None:
        """Set the numbers that the creator gave."""
        self.capacity, self.profile_length = numbers["capacity"], numbers["profile_length"]
        self.n_steps, self.n_beads = numbers["n_steps"], numbers["n_beads"]
        self.profiles_per_bead = numbers["profiles_per_bead"]

    def _shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a column."""
        return (self.capacity, self.profile_length) if name == "profiles" else (self.capacity,)

    def _map(self) -> None:
        self._columns = {
            name: array_of(getattr(self, attribute), dtype, self._shape(name))
            for name, _, attribute, dtype in _COLUMNS
        }

    def _segments(self) -> list[Segment]:
        return [self._shm_info, *(getattr(self, attribute) for _, _, attribute, _ in _COLUMNS)]

    # -- state

    @property
    def state(self) -> int:
        """One of ``STATE_...``; read without the lock."""
        self._need_open()
        return self._info[_STATE]

    def set_state(self, value: int) -> None:
        """Store a state, without asking whether it is a known one."""
        with self._guard:
            self._need_open()
            self._info[_STATE] = int(value)

    def get_count(self) -> int:
        """Return how many rows were written."""
        self._need_open()
        with self._guard:
            return self._rows()

    def get_capacity(self) -> int:
        """Return how many rows fit."""
        return self.capacity

    def _rows(self) -> int:
        return min(self._info[_COUNT], self.capacity)

    def _need_open(self) -> None:
        if self._closed:
            raise ClosedDatasetError(f"{self.name} is closed here")

    # -- rows

    def write(
        self,
        *,
        bead_ids: npt.ArrayLike,
        step_indices: npt.ArrayLike,
        timestamps: npt.ArrayLike,
        motor_z_values: npt.ArrayLike,
        valid_flags: npt.ArrayLike,
        profiles: npt.ArrayLike,
    ) -> None:
        """Append rows.

        Parameters
        ----------
        bead_ids, step_indices : array_like of uint32, shape (n,)
        timestamps, motor_z_values : array_like of float64, shape (n,)
        valid_flags : array_like of uint8, shape (n,)
        profiles : array_like of float64, shape (n, profile_length)

        Raises
        ------
        BufferOverflow
            They do not fit.
        ValueError
            A wrong shape, or what is no number.
        OverflowError
            A number that its column cannot hold.
        ClosedDatasetError

        Notes
        -----
        Where an error is raised nothing was written.
        """
        self._need_open()
        given = (bead_ids, step_indices, timestamps, motor_z_values, valid_flags, profiles)
        rows = {
            name: _cast(name, values, dtype)
            for (name, _, _, dtype), values in zip(_COLUMNS, given, strict=True)
        }
        count = rows["bead_ids"].shape[0]
        for name, values in rows.items():
            shape = (count, *self._shape(name)[1:])
            if values.shape != shape:
                raise ValueError(f"{name} has shape {values.shape}, not {shape}")
        with self._guard:
            first = self._rows()
            if count > self.capacity - first:
                raise BufferOverflow(f"{count} rows do not fit: {first} of {self.capacity} are in use")
            for name, values in rows.items():
                self._columns[name][first : first + count] = values
            self._info[_COUNT] = first + count

    def peak(self) -> _Columns:
        """Return copies of the rows that were written, by the names of the arguments of `write`."""
        self._need_open()
        with self._guard:
            count = self._rows()
            return {name: column[:count].copy() for name, column in self._columns.items()}

    def read_preview(self, selected_bead_id: int | None = None) -> dict[str, Any]:
        """Return the rows of one bead, and what there is.

        Parameters
        ----------
        selected_bead_id : int, optional
            Default, and if there is no such bead: the lowest. It goes through `int`.

        Returns
        -------
        dict
            state, count, capacity, n_steps, n_beads, profiles_per_bead, profile_length; available_bead_ids
            (sorted list); selected_bead_id (None without rows); motor_z_min, motor_z_max (of the finite ones
            of all rows; None without); step_indices, motor_z_values, profiles (of that bead; copies).
        """
        self._need_open()
        wanted = None if selected_bead_id is None else int(selected_bead_id)
        with self._guard:
            state = self._info[_STATE]
            count = self._rows()
            rows = {name: column[:count].copy() for name, column in self._columns.items()}
        beads = np.unique(rows["bead_ids"]).tolist()
        selected = wanted if wanted in beads else beads[0] if beads else None
        motor = rows["motor_z_values"]
        finite = motor[np.isfinite(motor)]
        chosen = np.flatnonzero(rows["bead_ids"] == selected) if beads else np.arange(0)
        return {
            "state": state,
            "count": count,
            "capacity": self.capacity,
            "n_steps": self.n_steps,
            "n_beads": self.n_beads,
            "profiles_per_bead": self.profiles_per_bead,
            "profile_length": self.profile_length,
            "available_bead_ids": beads,
            "selected_bead_id": selected,
            "motor_z_min": float(finite.min()) if len(finite) else None,
            "motor_z_max": float(finite.max()) if len(finite) else None,
            "step_indices": rows["step_indices"][chosen],
            "motor_z_values": motor[chosen],
            "profiles": rows["profiles"][chosen],
        }

    # -- the end

    def close(self) -> None:
        """Let go of the memory; the dataset stays. Closing twice is no error."""
        if not self._closed:
            self._closed = True
            self._columns = {}
            for segment in self._segments():
                segment.close()

    def destroy(self) -> None:
        """Remove the dataset: state DESTROYED, then all names. Those who are attached keep the memory.

        Only the creator does this, also after `close`; doing it twice is no error. A dataset that another
        process made under the name meanwhile stays.

        Raises
        ------
        RuntimeError
            This object attached to it.
        """
        if not self._owns_shared_memory:
            raise RuntimeError(f"{self.name} was not created by this object, which may not destroy it")
        if self._destroyed:
            return
        self._destroyed = True
        if not self._closed:
            self.set_state(self.STATE_DESTROYED)
            self.close()
        else:
            self._mark_destroyed()
        self._cleanup_shared_memory_segments(unlink=True)

    def _mark_destroyed(self) -> None:
        """Store the state in a dataset that was closed here, unless its name leads to another one by now."""
        with contextlib.suppress(FileNotFoundError):
            info = Segment(f"{self.name} Info")
            if info.identity == self._shm_info.identity:
                with self._guard:
                    InfoWords(info, len(_FIELDS))[_STATE] = self.STATE_DESTROYED
            info.close()

    # -- the further names with an underscore; they take no lock

    def _read_info(self, field: str) -> int:
        return self._info[self._INFO_FIELDS[field]]

    def _write_info(self, field: str, value: int) -> None:
        self._info[self._INFO_FIELDS[field]] = int(value)

    def _validate_attach_ready_state(self) -> None:
        """Raise DatasetNotReadyError in a state in which nobody may attach."""
        state = self._read_info("state")
        if state in self._UNREADY:
            raise DatasetNotReadyError(f"{self.name} cannot be attached in state {state}")

    def _validate_schema_version(self) -> None:
        """Raise DatasetNotReadyError without a schema version, ValueError for one that is not known."""
        version = self._read_info("schema_version")
        if version == 0:
            raise DatasetNotReadyError(f"{self.name} has no schema version yet")
        if version != _SCHEMA_VERSION:
            raise ValueError(f"{self.name} has schema version {version}; {_SCHEMA_VERSION} is known")

    @classmethod
    def _validate_create_parameters(
        cls,
        *,
        capacity: int | None,
        profile_length: int | None,
        n_steps: int | None,
        n_beads: int | None,
        profiles_per_bead: int | None,
    ) -> dict[str, int]:
        """Return what a creator gives as ints: all of it, and positive."""
        numbers = (capacity, profile_length, n_steps, n_beads, profiles_per_bead)
        given = dict(zip(_PARAMETERS, numbers, strict=True))
        missing = [name for name, number in given.items() if number is None]
        if missing:
            raise ValueError(f"a ZLUTSweepDataset is created with {', '.join(missing)}")
        return {name: positive(name, number) for name, number in given.items()}

    def _cleanup_shared_memory_segments(self, *, unlink: bool) -> None:
        """Let go of the memory, and remove the names too."""
        self.close()
        if unlink:
            for segment in self._segments():
                segment.remove()


def _cast(name: str, values: npt.ArrayLike, dtype: type[Any]) -> npt.NDArray[Any]:
    """Return values as a column holds them."""
    found = np.asarray(values)
    if dtype is np.float64:
        return found.astype(np.float64, copy=False)
    if found.dtype.kind in "iuf" and found.size:
        if np.isnan(found).any():
            raise ValueError(f"{name} has NaN, and holds integers")
        low, high = found.min(), found.max()
        if not (low >= 0 and high <= np.iinfo(dtype).max):
            raise OverflowError(f"{name} has {low} to {high}; it holds 0 to {np.iinfo(dtype).max}")
    return found.astype(dtype, copy=False)
