"""`memkv`: values of fixed slots that every handle reads and writes, as a shared state."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ..._types import Array
from ...channels import SharedState
from ...errors import (
    ChannelError,
    ChannelExistsError,
    ChannelFormatError,
    ChannelInUseError,
    ChannelKeyError,
    ChannelPermissionError,
    ChannelTimeoutError,
    StreamError,
)
from .arguments import content, integer, milliseconds, share_name
from .errors import errc, failed, set_error
from .share import ChannelHandle, remove_file

__all__ = ["memkv"]

_Method = TypeVar("_Method", bound=Callable[..., object])

#: Seconds to wait for another writer.
_LOCK_WAIT = 5.0

#: Keys of the state: numbers of the schema, names (each up to a NUL), and in which epoch each slot was set
#: last. The value of a slot has its index as the key.
_SCHEMA, _NAMES, _EPOCHS = "schema", "names", "epochs"

#: Most slots, and bytes of a name or value.
_MOST = 1 << 24


class _Schema(NamedTuple):
    slots: int
    name: int
    value: int

    @property
    def nbytes(self) -> int:
        """Of the file: header, and two images in which each slot has room for its longest value."""
        slot = 32 + 8 + (self.value + 7) // 8 * 8 + 8 + self.name + 1
        return 4096 + 2 * (512 + self.slots * slot)


class _Slots(NamedTuple):
    """Everything of one moment."""

    names: list[bytes]
    epochs: Array
    values: list[bytes]

    @property
    def epoch(self) -> int:
        return int(self.epochs.max())

    def changed(self, epoch: int) -> dict[str, str]:
        """Return names and values of the slots that were set after an epoch; -1: of all."""
        wanted = [k for k in range(len(self.names)) if self.epochs[k] > epoch]
        return {self.names[k].decode(): self.values[k].decode() for k in wanted}


def _by_index_or_name(method: _Method) -> _Method:
    """Let the slot be given as ``idx=`` or ``name=``, too."""

    @functools.wraps(method)
    def either(self: Any, *given: Any, **named: Any) -> Any:
        for other in ("idx", "name"):
            if other in named:
                if given or "key" in named:
                    raise TypeError(f"{method.__name__} takes one slot, by idx or by name")
                key = named.pop(other)
                named["key"] = integer(key, "idx") if other == "idx" else content(key, "name")
        return method(self, *given, **named)

    return either  # type: ignore[return-value]


class memkv(ChannelHandle):
    """A fixed number of slots, each with a name and a value: text that ends at the first NUL.

    Every handle may write. What one call sets is seen as a whole.

    Notes
    -----
    The name goes when the handle that made it is closed or collected, or by `remove`. Handles that have the
    share go on with it, in the process that opened them; a child after fork only reads then.
    """

    def __init__(self) -> None:
        set_error(errc.ok)
        self._state: SharedState | None = None
        self._schema = _Schema(0, 0, 0)
        self._existing = False

    def create(self, sName: str, count: int, maxNameLen: int, maxValueLen: int, bNew: bool = False) -> bool:
        """Make a share, or attach one of the same schema.

        Parameters
        ----------
        sName : str
        count : int
            Slots.
        maxNameLen, maxValueLen : int
            Most bytes. Together with 2 they are a multiple of 8.
        bNew : bool, default False
            Remove one of that name first.

        Returns
        -------
        bool
            False: invalid_layout (lengths; the file is another), invalid_argument (count), size_mismatch
            (another schema), create_failed, access_denied.
        """
        name = share_name(sName)
        schema = _Schema(integer(count, "count"), integer(maxNameLen, "maxNameLen"),
                         integer(maxValueLen, "maxValueLen"))  # fmt: skip
        self.close()
        if min(schema.name, schema.value) <= 0 or (schema.name + schema.value + 2) % 8:
            return failed(errc.invalid_layout)
        if schema.slots <= 0:
            return failed(errc.invalid_argument)
        if name is None or max(schema) > _MOST or schema.nbytes > 1 << 40:
            return failed(errc.create_failed)
        if bNew:
            self.remove(sName)
        try:
            with SharedState.create(name, _first(schema), schema.nbytes, fixed=True, timeout=_LOCK_WAIT):
                pass
            made = True
        except ChannelExistsError:
            made = False
        except ChannelPermissionError:
            return failed(errc.access_denied)
        except StreamError:
            return failed(errc.create_failed)
        return self._attach(name, schema, made)

    def open(self, sName: str) -> bool:
        """Attach a share.

        Returns
        -------
        bool
            False: open_failed, invalid_layout (the file is another), access_denied.
        """
        name = share_name(sName)
        self.close()
        return failed(errc.open_failed) if name is None else self._attach(name, None, False)

    def _attach(self, name: str, wanted: _Schema | None, made: bool) -> bool:
        try:
            state = SharedState.attach(name, write=True, timeout=_LOCK_WAIT)
        except ChannelPermissionError:
            return failed(errc.access_denied)
        except ChannelFormatError:
            return failed(errc.invalid_layout)
        except StreamError:
            return failed(errc.open_failed)
        try:
            schema = _schema_of(state)
            _slots_of(state, schema)
            state._go_on_unnamed()
        except ChannelError:
            state.close()
            return failed(errc.invalid_layout)
        if wanted not in (None, schema):
            state.close()
            return failed(errc.size_mismatch)
        self._state, self._schema, self._existing = state, schema, not made
        if made:
            self._unlink_with(state)
        set_error(errc.ok)
        return True

    @staticmethod
    def remove(sName: str) -> bool:
        """Remove a share by name. Returns whether there was one."""
        name = share_name(sName)
        set_error(errc.ok)
        return name is not None and remove_file(lambda: SharedState.attach(name, timeout=_LOCK_WAIT))

    def close(self) -> None:
        """Let go of the share; its name goes if this handle made it."""
        if self._state is not None:
            self._state.close()
        self._state, self._schema = None, _Schema(0, 0, 0)
        self._let_go()

    def _channel(self) -> SharedState | None:
        return self._state

    def count(self) -> int:
        """Return the number of slots; 0 if closed."""
        return self._schema.slots

    def maxNameLen(self) -> int:
        """Return the most bytes of a name; 0 if closed."""
        return self._schema.name

    def maxValueLen(self) -> int:
        """Return the most bytes of a value; 0 if closed."""
        return self._schema.value

    # -- reading

    def _look(self) -> _Slots | None:
        """Return everything; None with an error."""
        state = self._state  # another thread may close meanwhile
        if state is None:
            set_error(errc.not_open)
            return None
        try:
            return _slots_of(state, self._schema)
        except (ChannelFormatError, ChannelKeyError):
            set_error(errc.invalid_layout)
        except ChannelError:
            set_error(errc.not_open)
        return None

    def getEpoch(self) -> int:
        """Return how many times values were set; -1 if closed."""
        slots = self._look()
        return -1 if slots is None else slots.epoch

    def findName(self, name: str) -> int:
        """Return the index of the first slot of a name; -1 if there is none."""
        wanted, slots = _to_nul(content(name, "name")), self._look()
        return -1 if slots is None or wanted not in slots.names else slots.names.index(wanted)

    def getName(self, idx: int) -> str:
        """Return the name of a slot; "" if it has none."""
        index, slots = integer(idx, "idx"), self._look()
        return "" if slots is None or not 0 <= index < len(slots.names) else slots.names[index].decode()

    @_by_index_or_name
    def getValue(self, key: int | str) -> tuple[str, bool]:
        """Return a value by index or name, and False; ("", True) if there is no such slot."""
        slots = self._look()
        index = -1 if slots is None else _index(key, slots.names)
        if slots is None or not 0 <= index < len(slots.values):
            return "", True
        return slots.values[index].decode(), False

    @_by_index_or_name
    def getValueString(self, key: int | str) -> str:
        """Return a value by index or name; "" if there is no such slot."""
        return self.getValue(key)[0]

    def getAll(self) -> dict[str, str]:
        """Return all names and values, of one moment. Slots without a name share the key ""."""
        slots = self._look()
        return {} if slots is None else slots.changed(-1)

    def waitForChange(self, wait_ms: int, epoch: int) -> tuple[bool, int]:
        """Wait until the epoch is higher; returns whether it is, and the epoch.

        False: timeout, not_open.
        """
        slots = self._wait(milliseconds(wait_ms, "wait_ms"), integer(epoch, "epoch", -(2**63), 2**63 - 1))
        if slots is None:
            return False, -1
        return slots.epoch > epoch, slots.epoch

    def getChanged(self, *args: int, **named: int) -> tuple[dict[str, str], int]:
        """Return names and values that were set after an epoch, and the epoch now.

        ``getChanged(epoch)`` waits for nothing, ``getChanged(wait_ms, epoch)`` for a change.
        """
        given = dict(zip(("wait_ms", "epoch") if len(args) == 2 else ("epoch",), args, strict=False), **named)
        if len(args) > 2 or given.keys() - {"wait_ms", "epoch"} or "epoch" not in given:
            raise TypeError("getChanged takes (epoch) or (wait_ms, epoch)")
        epoch = integer(given["epoch"], "epoch", -(2**63), 2**63 - 1)
        if "wait_ms" in given:
            slots = self._wait(milliseconds(given["wait_ms"], "wait_ms"), epoch)
        else:
            slots = self._look()
        return ({}, -1) if slots is None else (slots.changed(max(0, epoch)), slots.epoch)

    def _wait(self, seconds: float, epoch: int) -> _Slots | None:
        """Return everything once the epoch is higher, or with `timeout` as it is then."""
        deadline = time.monotonic() + seconds
        while (state := self._state) is not None:
            try:
                known = state.epoch
                slots = self._look()
                if slots is None or slots.epoch > epoch:
                    return slots
                left = deadline - time.monotonic()
                if left <= 0:
                    set_error(errc.timeout)
                    return slots
                with contextlib.suppress(ChannelTimeoutError):
                    state.wait_for_change(known, left)
            except ChannelError:
                break
        set_error(errc.not_open)
        return None

    # -- writing

    def setName(self, idx: int, name: str) -> bool:
        """Name a slot; False if it is too long, or there is no such slot. The epoch stays."""
        index, text = integer(idx, "idx"), content(name, "name")

        def rename(state: SharedState) -> bool:
            if not 0 <= index < self._schema.slots or len(text) > self._schema.name:
                return False
            slots = _slots_of(state, self._schema)
            slots.names[index] = _to_nul(text)
            state[_NAMES] = _joined(slots.names)
            return True

        return self._change(rename)

    @_by_index_or_name
    def setValue(self, key: int | str, value: str) -> bool:
        """Set a value by index or name.

        Returns
        -------
        bool
            False: message_too_large, invalid_argument (no such index), lock_timeout, not_open; for a name
            that is not there the error stays as it was.
        """
        data = content(value, "value")

        def change(state: SharedState) -> bool:
            slots = _slots_of(state, self._schema)
            index = _index(key, slots.names)
            if not 0 <= index < self._schema.slots:
                return False if isinstance(key, (str, bytes)) else failed(errc.invalid_argument)
            if len(data) > self._schema.value:
                return failed(errc.message_too_large)
            return _set(state, slots, {index: data})

        return self._change(change)

    def setAll(self, values: dict[str, str]) -> bool:
        """Set values by name, in one step; leaves out unknown names and values that are too long."""
        if not isinstance(values, dict):
            raise TypeError(f"values is a dict, not {type(values).__name__}")
        given = [(content(name, "name"), content(each, "value")) for name, each in values.items()]

        def change(state: SharedState) -> bool:
            slots, most = _slots_of(state, self._schema), self._schema.value
            found = {_index(name, slots.names): data for name, data in given if len(data) <= most}
            found.pop(-1, None)
            return _set(state, slots, found) if found else True

        return self._change(change)

    def _change(self, change: Callable[[SharedState], bool]) -> bool:
        """Do something while no other handle writes."""
        state = self._state
        if state is None:
            return failed(errc.not_open)
        try:
            with state.locked():
                return change(state)
        except ChannelInUseError:
            return failed(errc.lock_timeout)
        except (ChannelFormatError, ChannelKeyError):
            return failed(errc.invalid_layout)
        except ChannelError:
            return failed(errc.not_open)

    def __repr__(self) -> str:
        state = self._state
        return f"<memkv {'closed' if state is None else repr(state.name)}>"


def _to_nul(data: bytes) -> bytes:
    return data.partition(b"\0")[0]


def _joined(names: Iterable[bytes]) -> bytes:
    return b"".join(name + b"\0" for name in names)


def _index(key: object, names: list[bytes]) -> int:
    """Return the index of a slot, given as that or by its name; -1 if there is no such name."""
    if not isinstance(key, (str, bytes)):
        return integer(key, "idx")
    name = _to_nul(content(key, "name"))
    return names.index(name) if name in names else -1


def _first(schema: _Schema) -> dict[str, bytes | Array]:
    """Return what a new share holds."""
    values: dict[str, bytes | Array] = {
        _SCHEMA: np.array(schema, "i8"),
        _NAMES: _joined([b""] * schema.slots),
        _EPOCHS: np.zeros(schema.slots, "i8"),
    }
    return {**values, **{str(index): b"" for index in range(schema.slots)}}


def _no_share(state: SharedState, field: str, expected: object, found: object) -> ChannelFormatError:
    return ChannelFormatError(
        f"state {state.name!r} is no memkv: {field} is {found!r}, not {expected!r}",
        channel=state.name,
        path=state.path,
        field=field,
        expected=expected,
        found=found,
    )


def _schema_of(state: SharedState) -> _Schema:
    """Return the schema of a share; raises `ChannelFormatError` or `ChannelKeyError` if the state is none."""
    numbers = state[_SCHEMA]
    right = isinstance(numbers, np.ndarray) and numbers.dtype == "i8" and numbers.shape == (3,)
    if not right or numbers.min() < 1:
        raise _no_share(state, _SCHEMA, "three numbers", numbers)
    return _Schema(*map(int, numbers))


def _slots_of(state: SharedState, schema: _Schema) -> _Slots:
    """Return everything of one moment; raises `ChannelFormatError` if it is no share of this schema."""
    found = state.as_dict()
    names, epochs = found.get(_NAMES), found.get(_EPOCHS)
    if not isinstance(names, bytes) or not isinstance(epochs, np.ndarray) or epochs.dtype != "i8":
        raise _no_share(state, _NAMES, "bytes, and epochs", names)
    values = [found.get(str(index)) for index in range(len(epochs))]
    parts = names.split(b"\0")[:-1]
    if not len(epochs) == len(parts) == schema.slots or not all(isinstance(each, bytes) for each in values):
        raise _no_share(state, _EPOCHS, f"{schema.slots} slots", len(epochs))
    return _Slots(parts, epochs, [each for each in values if each is not None])


def _set(state: SharedState, slots: _Slots, values: dict[int, bytes]) -> bool:
    """Set values in one step, with the epoch behind the newest."""
    slots.epochs[list(values)] = slots.epoch + 1
    state.update({str(index): _to_nul(data) for index, data in values.items()}, **{_EPOCHS: slots.epochs})
    return True
