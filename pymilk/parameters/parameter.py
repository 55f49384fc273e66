"""`Parameter`: one entry of an FPS, with all that its slot says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import FPSReadOnlyError, FPSTypeError
from .layout import SLOT_FIELDS
from .records import no_limits
from .stored_text import decode
from .stream_info import (
    ENFORCED,
    STREAM_INFO_NBYTES,
    STREAM_TYPES,
    StreamRequirement,
    required_by,
    requirement,
    stored_sizes,
)
from .table import Entry, ParameterTable
from .words import NUMBER_TYPES, PAIR_TYPES, ParameterFlag, ParameterType, Signal

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

__all__ = ["Parameter", "ParameterStatus"]


class ParameterStatus(NamedTuple):
    """How a parameter stands."""

    #: May be written by others now, by its flags and the state of its processes.
    writable: bool
    #: Was written at least once.
    initialized: bool
    #: The last check found an error here.
    error: bool


class Parameter:
    """One parameter of an FPS: value, limits, and what describes it.

    Made by `FPS.param`. Each attribute is read from the file when it is asked for; reading writes nothing.

    Attributes
    ----------
    key : str
        As in `FPS.keys`.
    keyword : str
        As it is stored, with the name of the FPS.
    slot : int
        Number in the table.
    """

    __slots__ = ("_entry", "_owned", "_table")

    def __init__(self, table: ParameterTable, entry: Entry, owned: bool) -> None:
        self._table = table
        self._entry = entry
        self._owned = owned

    def __repr__(self) -> str:
        return f"<Parameter {self.keyword} {self.type_name} {self.value!r}>"

    @property
    def key(self) -> str:
        """Key in its FPS."""
        return self._entry.key

    @property
    def keyword(self) -> str:
        """Whole keyword."""
        return self._entry.keyword

    @property
    def slot(self) -> int:
        """Number of its slot."""
        return self._entry.slot

    @property
    def value(self) -> Any:
        """The value. Assigning is the same as ``fps[key] = value``."""
        return self._table.get(self.keyword)

    @value.setter
    def value(self, value: Any) -> None:
        self._table.put(self.keyword, value)

    def set(self, value: Any, *, force: bool = False) -> None:
        """Write the value; `force` ignores limits and write permission. See `FPS.set`."""
        self._table.put(self.keyword, value, force)

    @property
    def low(self) -> Any:
        """Lower limit, included; None if it is not in force (flag MINLIMIT)."""
        return self._limit(1, ParameterFlag.MINLIMIT)

    @property
    def high(self) -> Any:
        """Upper limit, included; None if it is not in force (flag MAXLIMIT)."""
        return self._limit(2, ParameterFlag.MAXLIMIT)

    @property
    def limits(self) -> tuple[Any, Any]:
        """Both limits."""
        return self.low, self.high

    def _limit(self, element: int, flag: ParameterFlag) -> Any:
        in_force = self.type in NUMBER_TYPES and self._table.flags(self._entry) & flag
        return self._table.element(self._entry, element) if in_force else None

    def set_limits(self, low: float | None, high: float | None, *, force: bool = False) -> None:
        """Set the limits; None takes one out of force.

        Parameters
        ----------
        low, high : number or None
            Both included.
        force : bool, default False
            Also in an FPS that another program made: its process may not expect other limits.

        Raises
        ------
        FPSReadOnlyError
            This process neither made the FPS nor runs it, and `force` is false.
        FPSTypeError
            It is no number.
        FPSLimitError
            A limit does not fit the type, or no value would be inside of both.

        Notes
        -----
        Where an error is raised nothing was written.
        """
        if self.type not in NUMBER_TYPES:
            raise no_limits(self._table.name, self.key, self.type_name, (low, high))
        self._need_owner("limits", force)
        self._table.check_limits(self._entry, low, high)
        for element, limit, flag in ((1, low, ParameterFlag.MINLIMIT), (2, high, ParameterFlag.MAXLIMIT)):
            if limit is None:
                self._table.clear_flags(self._entry, flag)
            else:
                self._table.store(self._entry, element, limit)
                self._table.set_flags(self._entry, flag)

    def _need_owner(self, what: str, force: bool) -> None:
        """Raise if this process neither made the FPS nor runs it."""
        if not (force or self._owned):
            name = self._table.name
            raise FPSReadOnlyError(
                f"fps {name!r}: the {what} of {self.key!r} belong to the program that made the fps; "
                "pass force=True to set them anyway",
                fps=name,
                key=self.key,
            )

    @property
    def required_stream(self) -> StreamRequirement:
        """What the stream that it names has to be like; all zero and empty if anything will do."""
        if self.type is not ParameterType.STREAMNAME:
            return StreamRequirement()
        return required_by(self.flags, self._table.read(self._info_offset(), STREAM_INFO_NBYTES))

    def require_stream(
        self,
        shape: Sequence[int | None] | None = None,
        dtype: DTypeLike | Sequence[DTypeLike] | None = None,
        *,
        axes: int | Sequence[int] | None = None,
        force: bool = False,
    ) -> None:
        """Say what the stream that it names has to be like; the check of the FPS holds a stream against that.

        Each call says all of it: what is left out is not required any more.

        Parameters
        ----------
        shape : sequence of int or None, length 1 to 3, optional
            Sizes in the order of NumPy, as `SHM.shape` has them; None or 0 for a size that may be any.
        dtype : dtype, or list or tuple of them, optional
            The type, or types of which one is enough: integers of 8 to 64 bits, float16, float32, float64.
        axes : int, or list or tuple of them, optional
            Instead of a shape: how many axes there may be.
        force : bool, default False
            Also in an FPS that another program made.

        Raises
        ------
        FPSTypeError
            The parameter names no stream (type STREAMNAME).
        FPSReadOnlyError
            This process neither made the FPS nor runs it, and `force` is false.
        FPSArgumentError
            No stream can be so.

        Notes
        -----
        Where an error is raised nothing was written. That the stream has to be there at all is a flag of its
        own, STREAM_RUN_REQUIRED of `FPS.add_param`; without it a stream is checked if it is there.

        Examples
        --------
        >>> wfs = fps.add_param("wfs", "STREAMNAME", "cam0")                  # doctest: +SKIP
        >>> wfs.require_stream((120, None), ["uint16", "float32"])           # doctest: +SKIP
        """
        table = self._table
        if self.type is not ParameterType.STREAMNAME:
            raise FPSTypeError(
                f"fps {table.name!r}: {self.key!r} ({self.type_name}) names no stream",
                fps=table.name,
                key=self.key,
                expected="STREAMNAME",
                found=self.type_name,
            )
        self._need_owner("requirements", force)
        wanted = requirement(shape, dtype, axes, table.name)
        # Flags last: a check meanwhile finds nothing required rather than new flags with old sizes.
        table.clear_flags(self._entry, ENFORCED | STREAM_TYPES)
        for at, number in stored_sizes(wanted).items():
            table.write(self._info_offset() + at, number.to_bytes(4, "little"))
        table.set_flags(self._entry, wanted.flags)
        table.change_signal(Signal.UPDATE)

    def _info_offset(self) -> int:
        return self._table.slot_offset(self.slot) + SLOT_FIELDS["info"].offset

    @property
    def current(self) -> Any:
        """The current value, beside the one that is set: of a number the one that its process read last.

        Other types have it too, but programs of milk leave it as it is at first; None for ONOFF and PROCESS.
        """
        kind = self.type
        if kind in NUMBER_TYPES:
            return self._table.element(self._entry, 3)
        return self._table.element(self._entry, 1) if kind in PAIR_TYPES else None

    @property
    def type(self) -> ParameterType:
        """Type; UNDEF if the file has a type that is not known here."""
        code = self._table.type_code(self._entry)
        try:
            return ParameterType(code)
        except ValueError:
            return ParameterType.UNDEF

    @property
    def type_name(self) -> str:
        """Name of the type."""
        return self.type.name

    @property
    def flags(self) -> ParameterFlag:
        """All flags."""
        return ParameterFlag(self._table.flags(self._entry))

    @property
    def description(self) -> str:
        """What its creator says about it."""
        return self._text("description")

    @property
    def imported_from(self) -> str:
        """Keyword that its value is imported from; empty if none."""
        return self._text("keywordfrom")

    def _text(self, field: str) -> str:
        offset, nbytes, _ = SLOT_FIELDS[field]
        return decode(self._table.read(self._table.slot_offset(self.slot) + offset, nbytes))

    @property
    def cnt0(self) -> int:
        """How often it was written; 0: never."""
        return self._table.counter(self._entry)

    @property
    def status(self) -> ParameterStatus:
        """Whether it may be written now, was ever written, and passed the last check."""
        flags = self.flags
        return ParameterStatus(
            self._table.permitted(self._entry), self.cnt0 != 0, ParameterFlag.ERROR in flags
        )

    def feed_back(self) -> Any:
        """Read the value as the process behind the FPS does: numbers are stored as `current` too."""
        return self._table.feed_back(self._entry)
