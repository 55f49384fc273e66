"""Parameters of several commands: callbacks for click options."""

from __future__ import annotations

import importlib.util
import math
import os
from collections.abc import Sequence
from typing import Any

import click
import numpy as np

from ..streams.keywords import value_of_text

__all__ = [
    "AliasedOption",
    "Number",
    "NumberRange",
    "axes_of",
    "check_plot",
    "dtype_of",
    "dtype_with_complex_of",
    "parts_of_assignment",
    "rates_of",
    "shape_of",
    "shapes_of",
    "size_of",
    "typed_value",
]

#: What a letter behind a number of bytes stands for.
_UNITS = {"K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


class AliasedOption(click.Option):
    """An option that scripts may know by other words, which the help does not show.

    Parameters
    ----------
    aliases : sequence of str
        The other words.
    *arguments, **options
        As for `click.Option`.
    """

    def __init__(self, *arguments: Any, aliases: Sequence[str], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.aliases = list(aliases)

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        """Let the parser take the other words too."""
        shown = self.opts
        self.opts = [*shown, *self.aliases]
        try:
            super().add_to_parser(parser, ctx)
        finally:
            self.opts = shown


class Number(click.types.FloatParamType):
    """Any finite number; click's own type accepts NaN and infinities."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read the number, or refuse it."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number", param, ctx)
        return number


class NumberRange(click.FloatRange):
    """A range of finite numbers; click's own range accepts NaN. At least one end is given."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read the number, or refuse it."""
        return Number().convert(super().convert(value, param, ctx), param, ctx)


def shape_of(context: click.Context, parameter: click.Parameter, text: str) -> tuple[int, int]:
    """Read HEIGHTxWIDTH."""
    try:
        height, width = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not HEIGHTxWIDTH, for example 120x120") from None
    if min(height, width) < 4:
        raise click.BadParameter("at least 4x4 pixels")
    return height, width


def axes_of(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[int, ...] | None:
    """Read one to three lengths: LENGTH, HEIGHTxWIDTH."""
    if text is None:
        return None
    try:
        axes = tuple(int(part) for part in text.lower().split("x"))
    except ValueError:
        axes = ()
    if not 1 <= len(axes) <= 3 or min(axes) < 1:
        raise click.BadParameter(f"{text!r} is not LENGTH or HEIGHTxWIDTH, for example 64 or 120x120")
    return axes


def size_of(context: click.Context, parameter: click.Parameter, text: str | None) -> int | None:
    """Read a number of bytes, with k, M, G or T (powers of 1000) and perhaps B; None where none is given."""
    if text is None:
        return None
    digits, unit = text.strip().upper().removesuffix("B"), 1
    if digits and digits[-1] in _UNITS:
        digits, unit = digits[:-1], _UNITS[digits[-1]]
    try:
        size = float(digits) * unit
    except ValueError:
        size = math.nan
    if not 1 <= size < 2**62:
        raise click.BadParameter(f"{text!r} is not a size of a byte or more, for example 500M or 2GB")
    return int(size)


def shapes_of(
    context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]
) -> list[tuple[int, int]]:
    """Read HEIGHTxWIDTH of an option that may be given several times."""
    return [shape_of(context, parameter, text) for text in texts]


def dtype_of(context: click.Context, parameter: click.Parameter, text: str | None) -> np.dtype | None:
    """Read the dtype of pixels, integer or float; None where none is given."""
    return _dtype(text, "uif", "an integer or float")


def dtype_with_complex_of(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> np.dtype | None:
    """Read the dtype of pixels, complex ones included; None where none is given."""
    return _dtype(text, "uifc", "an integer, float or complex")


def _dtype(text: str | None, kinds: str, words: str) -> np.dtype | None:
    if text is None:
        return None
    try:
        kind = np.dtype(text)
    except (TypeError, ValueError, SyntaxError):  # as NumPy's readers of such texts raise them
        raise click.BadParameter(f"{text!r} is not a NumPy dtype, for example uint16") from None
    if kind.kind not in kinds:
        raise click.BadParameter(f"pixels have {words} dtype here, not {text}")
    return kind


def parts_of_assignment(given: str) -> tuple[str, str] | None:
    """Take KEY=VALUE apart; None if there is no equals sign. Blanks around the sign do not count."""
    key, sign, value = given.partition("=")
    if not sign:
        return None
    if not key.strip():
        raise click.BadParameter(f"{given!r} has no name before the equals sign", param_hint="KEY")
    return key.strip(), value.lstrip()


def rates_of(context: click.Context, parameter: click.Parameter, text: str) -> list[float]:
    """Read rates with commas between them."""
    try:
        rates = [float(part) for part in text.split(",")]
    except ValueError:
        rates = []
    if not rates or not all(0 < rate < float("inf") for rate in rates):
        raise click.BadParameter(f"{text!r} is not a list of rates, for example 1000,5000")
    return rates


def typed_value(text: str) -> int | float | str:
    """Return what was typed as a number if it is one, else as text; a number that loses digits is named."""
    value = value_of_text(text)
    if isinstance(value, float) and text.strip().lstrip("+-").isdecimal():
        words = f"{text.strip()} has more than 64 bits and is stored as the floating-point number"
        click.echo(f"pymilk: {words} {value!r}", err=True)
    return value


def check_plot(path: str, *, replace: bool = True) -> None:
    """Raise a usage error before the work if ``--plot`` cannot draw that file."""
    if importlib.util.find_spec("matplotlib") is None:
        raise click.UsageError("--plot needs matplotlib, which is not installed: pip install matplotlib")
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise click.BadParameter(f"there is no directory {folder!r}", param_hint="--plot")
    if os.path.lexists(path) and not replace:
        raise click.BadParameter(f"{path} exists; --force replaces it", param_hint="--plot")
    from matplotlib.backend_bases import FigureCanvasBase

    known = FigureCanvasBase.get_supported_filetypes()
    if os.path.splitext(path)[1][1:].lower() not in known:
        formats = ", ".join(f".{each}" for each in sorted(known))
        raise click.BadParameter(
            f"{path!r}: the suffix chooses the format of a picture, and is one of {formats}",
            param_hint="--plot",
        )
