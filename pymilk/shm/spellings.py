"""How calls of older generations are read: which parameter a positional argument belongs to.

`get_data` once was ``get_data(check, reform, sleepT, timeout, copy, checkSemAndFlush, autorelink_if_need)``
and is ``get_data(check, timeout, copy, checkSemAndFlush, autorelink_if_need, return_none_on_timeout)``. Both
are in use, and the second argument tells them apart: a bool is `reform`, anything else a timeout.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

__all__ = ["FRAME_OPTIONS", "frame_options", "positional_too"]

#: Parameters of `get_data` behind the first one, in their order today.
FRAME_OPTIONS = ("timeout", "copy", "checkSemAndFlush", "autorelink_if_need", "return_none_on_timeout")

_OLDER = ("reform", "sleepT", "timeout", "copy", "checkSemAndFlush", "autorelink_if_need")

_Function = TypeVar("_Function", bound=Callable[..., Any])


def frame_options(
    positional: tuple[Any, ...], given: dict[str, Any], function: Callable[..., Any]
) -> list[Any]:
    """Sort the positional arguments of `get_data` behind the first one.

    Parameters
    ----------
    positional : tuple
        What was given, one value or more.
    given : dict
        The keyword parameters as they are; others are ignored.
    function : function
        Tells their defaults. What is not the very object of the default was given by name.

    Returns
    -------
    list
        The values of `FRAME_OPTIONS`.

    Raises
    ------
    TypeError
        They are too many, or one was also given by name.
    """
    names = _OLDER if isinstance(positional[0], (bool, np.bool_)) else FRAME_OPTIONS
    if len(positional) > len(names):
        raise TypeError(
            f"get_data() takes at most {len(names) + 1} positional arguments, not {len(positional) + 1}"
        )
    options = dict(zip(names, positional, strict=False))
    defaults = function.__kwdefaults__ or {}
    twice = [name for name in options if given[name] is not defaults[name]]
    if twice:
        raise TypeError(f"get_data() got two values for {', '.join(sorted(twice))}")
    return [options.get(name, given[name]) for name in FRAME_OPTIONS]


def positional_too(*names: str) -> Callable[[_Function], _Function]:
    """Show keyword parameters that a function reads from its ``*positional`` as what they are to users.

    Parameters
    ----------
    *names : str
        In their order. Only the signature that help and editors show is changed.
    """

    def mark(function: _Function) -> _Function:
        real = inspect.signature(function)
        before = [each for each in real.parameters.values() if each.kind is each.POSITIONAL_OR_KEYWORD]
        both = [
            real.parameters[name].replace(kind=inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names
        ]
        after = [
            each
            for each in real.parameters.values()
            if each.kind is each.KEYWORD_ONLY and each.name not in names
        ]
        function.__signature__ = real.replace(  # type: ignore[attr-defined]
            parameters=[*before, *both, *after]
        )
        return function

    return mark
