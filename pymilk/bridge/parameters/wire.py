"""Parameters, their values and errors as they are sent: a short header, then JSON. Nothing is believed."""

from __future__ import annotations

import json
import os
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import errors
from ...arguments import shown
from ...errors import BridgeError, BridgeMessageError, FPSError, FPSTypeError, StreamError
from ...parameters import Parameter, ParameterFlag, ParameterType, Timespec
from ...parameters.parameter import ParameterStatus
from ...parameters.words import FIXED_TYPES, NUMBER_TYPES, TEXT_TYPES
from ...system.faults import words_of_fault
from ..disbelief import json_in
from ..telling import printable

__all__ = ["ANSWER_MOST", "COMMAND_SECONDS", "QUESTION_MOST", "RemoteParameter", "decode", "encode",
           "error_of", "parameter_of", "plain_value", "told_error", "told_parameter", "told_value",
           "value_of"]  # fmt: skip

#: Magic, version, reserved (0), bytes of JSON behind it.
_HEAD = struct.Struct("<4sHHI")
_MAGIC, _VERSION = b"PMFP", 1

#: Most bytes of a question, and of an answer or a message.
QUESTION_MOST, ANSWER_MOST = 16 << 10, 1 << 20

#: Longest time that a command may wait for its process, in seconds.
COMMAND_SECONDS = 60.0

#: Longest text that is taken over from another machine: a message, a description.
_TEXT_MOST = 2000

#: What only this machine can do, at the end of a sentence that is told to another one.
_HINT = "; pass force=True"

_FLOATS = (ParameterType.FLOAT32, ParameterType.FLOAT64)


@dataclass(frozen=True)
class RemoteParameter:
    """A parameter of another machine, as it stood when it was read. Attributes are those of `Parameter`."""

    key: str
    keyword: str
    type: ParameterType
    value: Any
    current: Any
    low: Any
    high: Any
    flags: ParameterFlag
    cnt0: int
    description: str
    status: ParameterStatus

    @property
    def type_name(self) -> str:
        """Name of the type."""
        return self.type.name

    @property
    def limits(self) -> tuple[Any, Any]:
        """Both limits; None for one that is not in force."""
        return self.low, self.high


def encode(content: dict[str, Any]) -> bytes:
    """Return a message."""
    text = json.dumps(content, separators=(",", ":")).encode("ascii")
    return _HEAD.pack(_MAGIC, _VERSION, 0, len(text)) + text


def decode(message: bytes, most: int) -> dict[str, Any]:
    """Return what a message says.

    Parameters
    ----------
    message : bytes
    most : int
        Bytes that it may have.

    Raises
    ------
    BridgeMessageError
        It is larger, of another version, or none.
    """
    if len(message) > most:
        raise _refused(f"it has {len(message)} bytes, and {most} are allowed")
    if len(message) < _HEAD.size or not message.startswith(_MAGIC):
        raise _refused("it is none")
    _, version, _, nbytes = _HEAD.unpack_from(message)
    if version != _VERSION:
        raise _refused(f"it is of version {version}, and {_VERSION} is known here")
    if nbytes != len(message) - _HEAD.size:
        raise _refused(f"{nbytes} bytes are announced, and {len(message) - _HEAD.size} came")
    content = json_in(message[_HEAD.size :])
    if not isinstance(content, dict):
        raise _refused("it is no object in JSON")
    return content


def _refused(why: str) -> BridgeMessageError:
    return BridgeMessageError(f"a message about parameters was refused: {why}")


# -- values ----------------------------------------------------------------------------------------


def plain_value(value: Any, fps: str, key: str) -> Any:
    """Return a value as JSON has it.

    Raises
    ------
    FPSTypeError
        No parameter has such a value.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, tuple):
        value = [each.item() if isinstance(each, np.generic) else each for each in value]
    parts = value if isinstance(value, list) else [value]
    if len(parts) <= 2 and all(isinstance(each, (bool, int, float, str)) for each in parts):
        return value
    raise FPSTypeError(
        f"fps {fps!r}: {key!r} takes a number, a switch, a text or a time, not {shown(value, 100)}",
        fps=fps, key=key, expected="bool, int, float, str or Timespec", found=value,
    )  # fmt: skip


def read_value(kind: ParameterType, given: Any) -> Any:
    """Return a value of a parameter out of JSON, of the Python type that `FPS` gives it.

    Raises
    ------
    BridgeMessageError
    """
    good = given is None
    if kind is ParameterType.TIMESPEC:
        good = isinstance(given, list) and len(given) == 2 and all(_is_integer(each) for each in given)
        given = Timespec(*given) if good else given
    elif kind is ParameterType.ONOFF:
        good = isinstance(given, bool)
    elif kind in TEXT_TYPES:
        good = isinstance(given, str) and len(given) <= _TEXT_MOST
    elif kind in _FLOATS:
        good = isinstance(given, float)
    elif kind not in FIXED_TYPES:
        good = _is_integer(given)
    if not good:
        raise _refused(f"a value of type {kind.name} is {shown(given, 60)}")
    return given


def value_of(given: dict[str, Any]) -> Any:
    """Return the value of an answer that says its type.

    Raises
    ------
    BridgeMessageError
    """
    kind = given.get("type")
    if not (isinstance(kind, str) and kind in ParameterType.__members__):
        raise _refused("the type of a value is not known here")
    return read_value(ParameterType[kind], given.get("value"))


def _is_integer(given: Any) -> bool:
    return type(given) is int and -(2**63) <= given < 2**64


def told_value(value: Any) -> Any:
    """Return a value of a parameter as JSON has it."""
    return list(value) if isinstance(value, Timespec) else value


# -- parameters ------------------------------------------------------------------------------------


def told_parameter(param: Parameter) -> dict[str, Any]:
    """Return a parameter as JSON has it."""
    return {
        "key": param.key,
        "keyword": param.keyword,
        "type": param.type_name,
        "value": told_value(param.value),
        "current": told_value(param.current),
        "low": param.low,
        "high": param.high,
        "flags": int(param.flags),
        "count": param.cnt0,
        "description": param.description,
        **param.status._asdict(),
    }


def parameter_of(given: Any) -> RemoteParameter:
    """Check what is told of a parameter.

    Raises
    ------
    BridgeMessageError
    """
    try:
        kind = ParameterType[given["type"]]
        texts = (given["key"], given["keyword"], given["description"])
        numbers = (given["flags"], given["count"])
        states = [given[name] for name in ParameterStatus._fields]
        if not (
            all(isinstance(each, str) and len(each) <= _TEXT_MOST for each in texts)
            and all(_is_integer(each) and each >= 0 for each in numbers)
            and all(isinstance(each, bool) for each in states)
        ):
            raise ValueError
    except (KeyError, TypeError, ValueError):
        raise _refused("what is told of a parameter is none") from None
    current = given.get("current")
    limits = [given.get(name) if kind in NUMBER_TYPES else None for name in ("low", "high")]
    low, high = (None if each is None else read_value(kind, each) for each in limits)
    return RemoteParameter(
        key=texts[0], keyword=texts[1], type=kind, value=read_value(kind, given.get("value")),
        current=None if current is None else read_value(kind, current), low=low, high=high,
        flags=ParameterFlag(numbers[0]), cnt0=numbers[1], description=texts[2],
        status=ParameterStatus(*states),
    )  # fmt: skip


# -- errors ----------------------------------------------------------------------------------------


def told_error(error: BaseException) -> dict[str, Any]:
    """Return an error for another machine: without paths, and without what only this machine can do."""
    message = words_of_fault(error)
    path = getattr(error, "path", None)
    if isinstance(path, str):
        message = message.replace(os.path.dirname(path) + os.sep, "")
    names = error.fields if isinstance(error, StreamError) else ()
    found = {name: told_value(getattr(error, name)) for name in names if name not in ("fps", "path")}
    return {
        "error": type(error).__name__,
        "message": message.partition(_HINT)[0][:_TEXT_MOST],
        "fields": {name: each for name, each in found.items() if _is_plain(each)},
    }


def error_of(given: dict[str, Any], fps: str) -> StreamError:
    """Return the error that another machine told: one of parameters with its attributes, or `BridgeError`."""
    message = given.get("message")
    text = printable(message[:_TEXT_MOST]) if isinstance(message, str) else "no reason is given"
    name = given.get("error")
    kind = getattr(errors, name) if isinstance(name, str) and name in errors.__all__ else None
    if isinstance(kind, type) and issubclass(kind, errors.BridgeForbiddenError):
        return kind(text)
    if not (isinstance(kind, type) and issubclass(kind, FPSError)):
        return BridgeError(text)
    fields = given.get("fields")
    told = {
        name: each
        for name, each in (fields.items() if isinstance(fields, dict) else ())
        if name in kind.fields and name not in ("fps", "path") and _is_plain(each)
    }
    return kind(text, fps=fps, **told)


def _is_plain(value: Any) -> bool:
    """Tell whether that is a number, a switch, a short text, nothing, or a short list of such."""
    if isinstance(value, list):
        return len(value) <= 100 and all(_is_plain(each) and not isinstance(each, list) for each in value)
    if isinstance(value, str):
        return len(value) <= _TEXT_MOST
    return value is None or isinstance(value, (bool, int, float))
