"""Values of parameters as people type and read them."""

from __future__ import annotations

import decimal
from typing import Any

from ..errors import FPSTypeError
from .words import ParameterType, Timespec

__all__ = ["value_as_text", "value_from_text"]

_ON, _OFF = ("on", "true", "yes", "1"), ("off", "false", "no", "0")

#: Seconds that no file can store, so that a huge exponent costs nothing.
_LONGEST = 2**63

_INTEGERS = (
    ParameterType.INT32,
    ParameterType.UINT32,
    ParameterType.INT64,
    ParameterType.UINT64,
    ParameterType.PID,
)


def value_from_text(kind: ParameterType, key: str, text: str) -> Any:
    """Convert typed text to the value of a parameter.

    Parameters
    ----------
    kind : ParameterType
    key : str
        Of the parameter, for messages.
    text : str
        An integer (also 0x..., 0b...), a number, on or off, seconds, or a text, by the type of the parameter.

    Raises
    ------
    FPSTypeError
        The text is not such a value.
    """
    try:
        if kind in _INTEGERS:
            return int(text, 0)
        if kind in (ParameterType.FLOAT32, ParameterType.FLOAT64):
            return float(text)
        if kind is ParameterType.TIMESPEC:
            seconds = decimal.Decimal(text)
            if not abs(seconds) < _LONGEST:
                raise ValueError(text)
            return divmod(int(seconds.scaleb(9).to_integral_value()), 1_000_000_000)
        if kind is ParameterType.ONOFF:
            return {**dict.fromkeys(_ON, True), **dict.fromkeys(_OFF, False)}[text.lower()]
    except (ValueError, KeyError, ArithmeticError):
        raise FPSTypeError(
            f"{text!r} is no value for {key!r} ({kind.name})",
            key=key,
            expected=kind.name,
            found=text,
        ) from None
    return text


def value_as_text(value: Any) -> str:
    """Write a value so that `value_from_text` reads the same one; a value that there is not is a dash."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, Timespec):
        return f"{decimal.Decimal(value.ns).scaleb(-9):f}"
    return str(value)
