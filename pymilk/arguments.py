"""Checks of arguments: each is made, and worded, once.

Timeouts are checked where they are used, by `pymilk._core.checked_timeout`.
"""

from __future__ import annotations

import contextlib
import functools
import math
import operator
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, ParamSpec, TypeAlias, TypeGuard, TypeVar

import numpy as np

from .errors import StreamArgumentError, StreamError

__all__ = [
    "FORCED",
    "NAMED",
    "RING_KINDS",
    "STARTS",
    "Replace",
    "bad_argument",
    "check_choice",
    "check_count",
    "check_dtype",
    "check_items",
    "check_kind",
    "check_mapping",
    "check_number",
    "check_rate",
    "check_seconds",
    "check_texts",
    "is_number",
    "older_words",
    "replace_policy",
    "said_as",
    "shown",
    "whole_number",
]

_P = ParamSpec("_P")
_R = TypeVar("_R")

#: What becomes of a stream that has the name of a new one: see `pymilk.Stream.create`.
Replace: TypeAlias = bool | Literal["if-free"]

#: No number of things is as large. Python does not write integers of more than 4300 digits into messages.
_NO_COUNT = 10**4000

#: Characters of a value that a message shows.
_SHOWN = 400

#: Kinds of rings in shared memory: see `pymilk.SHM`.
RING_KINDS = ("fast", "temporal")

#: Where readers of a ring begin: see `pymilk.RingReader`.
STARTS = ("next", "oldest", "newest")


def older_words(**words: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Let scripts call a function by older names of its parameters; signatures have the new ones alone.

    Parameters
    ----------
    **words : str
        Older name to new name.

    Raises
    ------
    TypeError
        By the function: both names were given.
    """

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        @functools.wraps(function)
        def call(*args: _P.args, **options: _P.kwargs) -> _R:
            if options:
                for old in words.keys() & options.keys():
                    new = words[old]
                    if new in options:
                        raise TypeError(
                            f"{function.__qualname__}() takes {new!r} or its older name {old!r}, not both"
                        )
                    options[new] = options.pop(old)
            return function(*args, **options)

        return call

    return decorate


def shown(found: object, most: int = _SHOWN) -> str:
    """Return a value as messages show it: its repr, the beginning of a long one, or its class."""
    try:
        text = repr(found)
    except Exception:  # noqa: BLE001 (an integer of more than 4300 digits, or any fault of an object's repr)
        return f"an object of the class {type(found).__name__}"
    return text if len(text) <= most else f"{text[:most]}... ({len(text)} characters)"


def bad_argument(argument: str, found: object, wanted: str, stream: str = "") -> StreamArgumentError:
    """Return the error for an argument.

    Parameters
    ----------
    argument : str
        Its name.
    found : object
        Its value.
    wanted : str
        What it has to be, to follow "is": ``"a number of frames, 1 or more"``.
    stream : str, optional
        Name of the stream.
    """
    where = f"stream {stream!r}: " if stream else ""
    known = {"stream": stream} if stream else {}
    return StreamArgumentError(
        f"{where}{argument} is {wanted}, not {shown(found)}", argument=argument, found=found, **known
    )


def check_choice(argument: str, found: object, known: tuple[str, ...], stream: str = "") -> None:
    """Raise `StreamArgumentError` if a value is none of the known ones."""
    if not (isinstance(found, str) and found in known):
        raise bad_argument(argument, found, f"one of {', '.join(map(repr, known))}", stream)


def whole_number(found: object) -> int | None:
    """Return an integer of Python or NumPy as int, and None for anything else: bool, fractions, text, arrays.

    Arrays and classes have ``__index__``, but most of them are no number.
    """
    if isinstance(found, (bool, np.bool_)):
        return None
    try:
        return operator.index(found)  # type: ignore[arg-type]
    except TypeError:
        return None


def check_items(argument: str, found: Any, wanted: str, stream: str = "") -> list[Any]:
    """Return what an iterable gives as a list, or raise `StreamArgumentError`; see `bad_argument`."""
    try:
        each = iter(found)
    except TypeError:  # also of an array without axes, which is an Iterable by its type
        raise bad_argument(argument, found, wanted, stream) from None
    return list(each)


def check_mapping(argument: str, found: Any, wanted: str, stream: str = "") -> None:
    """Raise `StreamArgumentError` if a value is no mapping; see `bad_argument`."""
    if not isinstance(found, Mapping):
        raise bad_argument(argument, found, wanted, stream)


def check_texts(argument: str, found: Any, wanted: str) -> tuple[str, ...]:
    """Return an iterable of texts as a tuple, or raise `StreamArgumentError`; a text alone is none."""
    each = [found] if isinstance(found, (str, bytes)) else check_items(argument, found, wanted)
    if isinstance(found, (str, bytes)) or not all(isinstance(text, str) for text in each):
        raise bad_argument(argument, found, wanted)
    return tuple(each)


def check_kind(argument: str, found: Any, kind: type, wanted: str) -> None:
    """Raise `StreamArgumentError` if a value is neither of that class nor None; see `bad_argument`."""
    if not (found is None or isinstance(found, kind)):
        raise bad_argument(argument, found, wanted)


def check_dtype(argument: str, found: Any, stream: str = "") -> np.dtype[Any]:
    """Return what `numpy.dtype` makes of a value, or raise `StreamArgumentError`."""
    try:
        dtype: np.dtype[Any] = np.dtype(found)
        return dtype
    except (TypeError, ValueError, SyntaxError):  # the last one of texts, such as "f4,,"
        raise bad_argument(argument, found, "a NumPy dtype", stream) from None


def check_count(
    argument: str,
    found: Any,
    of: str = "frames",
    *,
    least: int = 1,
    below: float = _NO_COUNT,
    stream: str = "",
) -> int:
    """Return a number of things as int, or raise `StreamArgumentError`.

    Parameters
    ----------
    argument, found, stream
        As for `bad_argument`.
    of : str
        The things: "frames", "slots", "bytes".
    least, below : int or infinity
        Its limits.
    """
    count = whole_number(found)
    if count is None or not least <= count < below:
        above = count is not None and below <= min(count, 2**64)
        limits = f"{least} to {below - 1}" if above else f"{least} or more"
        raise bad_argument(argument, found, f"a number of {of}, {limits}", stream)
    return count


def is_number(found: object) -> TypeGuard[float]:
    """Return whether a value is a real number of Python or NumPy; NaN is one, bool is none."""
    return isinstance(found, (int, float, np.integer, np.floating)) and not isinstance(found, bool)


def check_number(
    argument: str,
    found: Any,
    wanted: str,
    low: float,
    high: float,
    *,
    above: bool = False,
    stream: str = "",
) -> float:
    """Return a number as float, or raise `StreamArgumentError`.

    Parameters
    ----------
    argument, found, wanted, stream
        As for `bad_argument`.
    low, high : float
        Its limits; infinity is never in them.
    above : bool, default False
        It has to be above `low`.
    """
    if is_number(found) and low <= found <= high and not (above and found == low):
        with contextlib.suppress(OverflowError):  # an integer of more than 308 digits is no float
            number = float(found)
            if not math.isinf(number):
                return number
    raise bad_argument(argument, found, wanted, stream)


def check_rate(
    argument: str, found: Any, wanted: str, high: float, *, above: bool = False, stream: str = ""
) -> float:
    """Return a rate in Hz, or raise `StreamArgumentError`: 0, or from `LEAST_RATE` on; as `check_number`."""
    rate = check_number(argument, found, wanted, 0.0, high, above=above, stream=stream)
    if 0 < rate < LEAST_RATE:
        raise bad_argument(argument, found, f"{wanted}; the least is {LEAST_RATE:g}", stream)
    return rate


def check_seconds(seconds: float | None, argument: str = "seconds", stream: str = "") -> None:
    """Raise `StreamArgumentError` if that is no time that work can last; None is no limit."""
    if seconds is not None:
        longest = threading.TIMEOUT_MAX
        wanted = f"a time of more than 0 and up to {longest:g} seconds"
        check_number(argument, seconds, wanted, 0.0, longest, above=True, stream=stream)


#: The least rate, Hz: a frame in eleven days. The times of some thousand frames ahead have room in 64 bits.
LEAST_RATE = 1e-6

#: What somebody can do who has no `replace`, but `force`; and who has neither.
FORCED = {"replace the stream with replace=True": "force it", "replace it with replace=True": "force it"}
NAMED = {f", choose another name, or {each}": ", or choose another name" for each in FORCED}


@contextlib.contextmanager
def said_as(words: Mapping[str, str]) -> Iterator[None]:
    """Say in errors of a block what its caller can do, who has other arguments than the function that failed.

    Parameters
    ----------
    words : mapping of str to str
        What is said instead of each text of a message; see `FORCED` and `NAMED`.
    """
    try:
        yield
    except StreamError as error:
        for theirs, ours in words.items():
            error.message = error.message.replace(theirs, ours)
        raise


#: Values of the environment variable PYMILK_REPLACE.
_REPLACE_WORDS: dict[str, Replace] = {
    "": True,
    "if-free": "if-free",
    **dict.fromkeys(("true", "yes", "1"), True),
    **dict.fromkeys(("false", "no", "0"), False),
}


def replace_policy(replace: Any, stream: str = "") -> Replace:
    """Return what becomes of a stream that has the name of a new one.

    Parameters
    ----------
    replace : bool, "if-free" or None
        None: as the environment variable PYMILK_REPLACE says; without it, True.
    stream : str, optional
        For the message.

    Raises
    ------
    StreamArgumentError
        The argument, or the variable, is something else.
    """
    if replace is None:
        word = os.environ.get("PYMILK_REPLACE", "")
        if word.strip().lower() not in _REPLACE_WORDS:
            raise bad_argument("PYMILK_REPLACE", word, "'if-free', 'true' or 'false'", stream)
        return _REPLACE_WORDS[word.strip().lower()]
    if replace is True or replace is False or (isinstance(replace, str) and replace == "if-free"):
        policy: Replace = replace  # type: ignore[assignment]
        return policy
    raise bad_argument("replace", replace, "True, False or 'if-free'", stream)
