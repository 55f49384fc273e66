"""The bytes of a new parameter file: its header, and one slot. Checked against files that milk wrote."""

from __future__ import annotations

import operator
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import FPSArgumentError, FPSLimitError, FPSNameError, FPSTextError, FPSTypeError
from .layout import SLOT_FIELDS, Field, Layout
from .naming import encode, name_index
from .stored_text import cut
from .words import (
    DEFAULT_TEXT,
    FIXED_TYPES,
    NUMBER_TYPES,
    TEXT_TYPES,
    ParameterFlag,
    ParameterType,
    Signal,
    Timespec,
)

__all__ = ["Header", "Program", "as_text", "header_bytes", "initial_elements", "no_limits", "slot_bytes"]

#: Number types: code for `struct`, and size.
_CODES = {
    ParameterType.INT32: "i",
    ParameterType.UINT32: "I",
    ParameterType.INT64: "q",
    ParameterType.UINT64: "Q",
    ParameterType.FLOAT32: "f",
    ParameterType.FLOAT64: "d",
}

_FLOATS = (ParameterType.FLOAT32, ParameterType.FLOAT64)

#: Bytes of a text value.
_TEXT = 64

#: Microseconds between two looks of a conf process, in a new file.
_CONF_WAIT_US = 1000


class Program(NamedTuple):
    """The program behind an FPS: what its control program starts.

    Parameters
    ----------
    name : str, default "milk"
        ``<name>-exec`` is started. With ``"pymilk"`` that is a Python function, called with a `Running`.
    function : str
        What it is told to run; ``"package.module:function"`` for pymilk.
    modules : sequence of str
        Modules that it has to load first.
    workdir : str, optional
        Directory that it is started in. Default: the working directory of the creator.
    source : tuple of str and int
        File and line of the code.
    """

    name: str = "milk"
    function: str = ""
    modules: Sequence[str] = ()
    workdir: str | None = None
    source: tuple[str, int] = ("NULL", 0)


class Header(NamedTuple):
    """What a creator says in the header of a new file."""

    name: str
    slots: int
    description: str = ""
    #: Labels with colons around them: ``":a:b:"``; ":" is none.
    labels: str = ":"
    workdir: str = ""
    program: Program = Program()


def as_text(text: str, nbytes: int, fps: str, what: str) -> bytes:
    """Return a text padded with NULs to `nbytes`, of which the last is one.

    Raises
    ------
    FPSTextError
        It does not fit, has a NUL in it, or cannot be encoded.
    """
    raw = _encoded(text, fps, what)
    if len(raw) >= nbytes or b"\0" in raw:
        trouble = "has a NUL in it" if b"\0" in raw else f"has {len(raw)} bytes; at most {nbytes - 1} fit"
        raise FPSTextError(
            f"fps {fps!r}: the text of {what} {trouble}", fps=fps, key=what, limit=nbytes - 1, found=len(raw)
        )
    return raw.ljust(nbytes, b"\0")


def _encoded(text: str, fps: str, what: str) -> bytes:
    """Return a text as files hold it."""
    try:
        return encode(text)
    except FPSNameError:
        raise FPSTextError(
            f"fps {fps!r}: the text {text!r} of {what} cannot be encoded as UTF-8",
            fps=fps,
            key=what,
            limit=0,
            found=len(text),
        ) from None


def header_bytes(header: Header, layout: Layout) -> bytearray:
    """Return the header of a new file, as milk leaves it after creating and connecting."""
    content = bytearray(layout.header_nbytes)
    fields, name, program = layout.fields, header.name, header.program

    def put(field: str, value: str | int | bytes) -> None:
        offset, nbytes, kind = fields[field]
        if isinstance(value, str):
            raw = as_text(value, nbytes, name, field)
        elif isinstance(value, int):
            raw = value.to_bytes(nbytes, "little", signed=kind[0] == "i")
        else:
            raw = value
        content[offset : offset + len(raw)] = raw

    first, parts, rows = name_index(name)
    for field, value in (
        ("name", name),
        ("description", header.description),
        ("keywordarray", header.labels),
        ("workdir", header.workdir),
        ("datadir", f"fps.{name}.datadir"),
        ("confdir", f"fps.{name}.confdir"),
        ("sourcefname", program.source[0]),
        ("sourceline", program.source[1]),
        ("pname", first),
        ("callprogname", program.name),
        ("callfuncname", program.function),
        ("nameindexW", rows),
        ("NBnameindex", len(parts)),
        ("NBmodule", len(program.modules)),
        ("modulename", _modules(program.modules, fields["modulename"], name)),
        ("signal", int(Signal.CONFRUN)),
        ("confwaitus", _CONF_WAIT_US),
        ("NBparamMAX", header.slots),
    ):
        put(field, value)
    return content


def _modules(modules: Sequence[str], field: Field, name: str) -> bytes:
    most = field.nbytes // 200
    if len(modules) > most:
        raise FPSArgumentError(
            f"fps {name!r}: at most {most} modules fit, not {len(modules)}",
            fps=name,
            argument="modules",
            found=len(modules),
        )
    return b"".join(as_text(module, 200, name, "a module") for module in modules)


def slot_bytes(
    keyword: str,
    kind: ParameterType,
    flags: int,
    description: str,
    initial: Sequence[Any] | None,
    *,
    fps: str,
    nbytes: int,
    counted: bool = True,
) -> bytes:
    """Return one slot in use.

    Parameters
    ----------
    keyword : str
        Whole.
    kind : ParameterType
    flags : int
        As they are to be stored, but for ACTIVE, which is set, and ONOFF of an ONOFF parameter, which is
        cleared.
    description : str
        Its first 63 bytes are kept.
    initial : sequence or None
        Elements of the value: four of a number; the first one only of other types. None: the defaults of the
        type.
    fps : str
        Name of the FPS, for messages.
    nbytes : int
        Size of a slot.
    counted : bool, default True
        Whether an initial value counts as written.

    Raises
    ------
    FPSTypeError, FPSLimitError, FPSTextError
        An initial value does not fit the type.
    """
    content = bytearray(nbytes)
    parts = keyword.split(".")
    flags |= ParameterFlag.ACTIVE
    if kind is ParameterType.ONOFF:
        flags &= ~int(ParameterFlag.ONOFF)
    _place(content, "fpflag", struct.pack("<Q", flags))
    _place(content, "keywordfull", encode(keyword))
    for level, part in enumerate(parts):
        _place(content, "keyword", encode(part), 64 * level)
    _place(content, "keywordlevel", struct.pack("<i", len(parts)))
    said, _, _ = _encoded(description, fps, f"the description of {keyword}").partition(b"\0")
    _place(content, "description", cut(said, _TEXT - 1))
    _place(content, "type", struct.pack("<I", kind))
    _place(content, "val", _default(kind))
    if initial is not None and kind not in FIXED_TYPES:
        _place(content, "val", _initial(kind, initial, keyword, fps))
        _place(content, "cnt0", struct.pack("<q", counted))
    return bytes(content)


def _place(content: bytearray, field: str, raw: bytes, offset: int = 0) -> None:
    at = SLOT_FIELDS[field].offset + offset
    content[at : at + len(raw)] = raw


def _default(kind: ParameterType) -> bytes:
    """Return the value before one is set."""
    if kind in TEXT_TYPES:
        return DEFAULT_TEXT[kind].encode().ljust(_TEXT, b"\0") * 2
    return b""


def _initial(kind: ParameterType, initial: Sequence[Any], keyword: str, fps: str) -> bytes:
    """Return the value that is given: of texts the first only, and so of process numbers and times."""
    if kind in TEXT_TYPES:
        if not isinstance(initial[0], str):
            raise _wrong(kind, initial[0], keyword, fps)
        return as_text(initial[0], _TEXT, fps, keyword)
    if kind is ParameterType.ONOFF:
        return b""  # milk ignores it: a new switch is off
    if kind is ParameterType.PID:
        return _packed("<i", initial[0], kind, keyword, fps)
    if kind is ParameterType.TIMESPEC:
        return struct.pack("<2q", *_time(initial[0], keyword, fps))
    return b"".join(_packed(f"<{_CODES[kind]}", each, kind, keyword, fps) for each in initial)


def _packed(form: str, value: Any, kind: ParameterType, keyword: str, fps: str) -> bytes:
    """Return the bytes of one number."""
    try:
        return struct.pack(form, value)
    except (struct.error, OverflowError, TypeError) as error:
        try:
            operator.index(value)
        except TypeError:
            if kind not in _FLOATS or not isinstance(error, OverflowError):
                raise _wrong(kind, value, keyword, fps) from error
        raise FPSLimitError(
            f"fps {fps!r}: {value!r} does not fit {keyword!r} ({kind.name})",
            fps=fps,
            key=keyword,
            found=value,
        ) from error


def _time(value: Any, keyword: str, fps: str) -> Timespec:
    """Return a time that a caller gave."""
    try:
        return Timespec.of(value)
    except TypeError as error:
        raise _wrong(ParameterType.TIMESPEC, value, keyword, fps) from error
    except OverflowError as error:
        raise FPSLimitError(
            f"fps {fps!r}: {value!r} does not fit {keyword!r} (TIMESPEC): {error}",
            fps=fps,
            key=keyword,
            found=value,
        ) from error


def no_limits(fps: str, key: str, type_name: str, found: tuple[Any, ...]) -> FPSTypeError:
    """Return the error for limits of a parameter that is no number."""
    return FPSTypeError(
        f"fps {fps!r}: {key!r} ({type_name}) has no limits; only numbers do",
        fps=fps,
        key=key,
        expected=type_name,
        found=found,
    )


def _wrong(kind: ParameterType, value: Any, keyword: str, fps: str) -> FPSTypeError:
    return FPSTypeError(
        f"fps {fps!r}: {value!r} is no value for {keyword!r} ({kind.name})",
        fps=fps,
        key=keyword,
        expected=kind.name,
        found=value,
    )


def initial_elements(
    kind: ParameterType, default: Any, limits: tuple[Any, Any], keyword: str, fps: str
) -> tuple[Any, ...] | None:
    """Return the elements of a new value: of a number itself, its limits, and itself again.

    Parameters
    ----------
    kind : ParameterType
    default : object
        None: the default of the type; a number still gets its limits then, and 0, also outside of them. A
        tuple of four numbers is all elements, as they are.
    limits : tuple
        None: none.
    keyword, fps : str
        For messages.

    Raises
    ------
    FPSTypeError
        It has another type than the parameter; or limits are given that it cannot have.
    FPSLimitError
        It is outside of the limits, or no value is inside of them.
    """
    if kind not in NUMBER_TYPES:
        if limits != (None, None):
            raise no_limits(fps, keyword, kind.name, limits)
        if default is None or kind in FIXED_TYPES:
            return None
        if kind is ParameterType.ONOFF:
            return (_switch(default, keyword, fps),)
        if isinstance(default, (bool, np.bool_)):
            raise _wrong(kind, default, keyword, fps)
        return (default,)
    low, high = limits
    if default is None and limits == (None, None):
        return None
    if isinstance(default, tuple) and len(default) == 4 and limits == (None, None):
        for number in default:
            _need_number(number, kind, keyword, fps)
        return default
    value = 0 if default is None else default
    for number in (value, low, high):
        if number is not None:
            _need_number(number, kind, keyword, fps)
    _need_inside(default, limits, keyword, fps)
    return value, 0 if low is None else low, 0 if high is None else high, value


def _need_number(value: Any, kind: ParameterType, keyword: str, fps: str) -> None:
    numbers = (int, float, np.integer, np.floating)
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers):
        raise _wrong(kind, value, keyword, fps)


def _switch(value: Any, keyword: str, fps: str) -> bool:
    if isinstance(value, (bool, np.bool_, int, np.integer)) and value in (0, 1):
        return bool(value)
    raise _wrong(ParameterType.ONOFF, value, keyword, fps)


def _need_inside(value: Any, limits: tuple[Any, Any], keyword: str, fps: str) -> None:
    """Raise if a first value is outside of its limits, or if these leave no value; None is none."""
    low, high = limits
    # NaN cannot be a limit: it compares with nothing.
    if not (low is None or low == low) or not (high is None or low is None or low <= high) or high != high:
        what = f"the limits of {keyword!r} leave no value: {low} to {high}"
    elif value is not None and (
        (low is not None and not value >= low) or (high is not None and not value <= high)
    ):
        what = f"first value {value!r} of {keyword!r} is outside of its limits, {low} to {high}"
    else:
        return
    raise FPSLimitError(f"fps {fps!r}: {what}", fps=fps, key=keyword, found=value, low=low, high=high)
