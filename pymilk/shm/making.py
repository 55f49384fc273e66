"""Check the arguments that `SHM` creates a stream from."""

from __future__ import annotations

import numbers
import operator
import os
from typing import Any

import numpy as np

from .._core import checked_timeout
from ..arguments import RING_KINDS, bad_argument, check_choice, replace_policy
from ..errors import StreamArgumentError, StreamNameError
from ..names import SUFFIX, check_name, stream_directory, stream_name, stream_path
from ..streams.rings import check_slots

__all__ = ["check_SHM_name", "check_replace", "check_ring", "shape_and_dtype", "wait_limit"]


def check_ring(name: str, ring: int | None, kind: str, creating: bool) -> None:
    """Check the parameters `ring` and `ring_kind` of `SHM`."""
    check_choice("ring_kind", kind, RING_KINDS, name)
    if ring is None:
        if kind == "fast":
            return
        raise StreamArgumentError(
            f"stream {name!r}: ring_kind={kind!r} needs the number of slots; add ring=",
            stream=name,
            argument="ring",
            found=ring,
        )
    check_slots("ring", ring, name)
    if not creating:
        raise StreamArgumentError(
            f"stream {name!r} is attached, not created: its ring is as its creator made it; leave ring out",
            stream=name,
            argument="ring",
            found=ring,
        )


def check_replace(name: str, replace: Any, creating: bool) -> None:
    """Check the parameter `replace` of `SHM`."""
    if replace is None:
        return
    replace_policy(replace, name)
    if not creating:
        raise StreamArgumentError(
            f"stream {name!r} is attached, not created, and nothing is replaced; leave replace out",
            stream=name,
            argument="replace",
            found=replace,
        )


def wait_limit(timeout: float | None, name: str) -> float | None:
    """Convert a timeout of old calls, where 0 and negative mean no limit, to seconds or None."""
    if isinstance(timeout, (numbers.Real, np.number)) and timeout <= 0:
        return None
    return checked_timeout(timeout, name)


def check_SHM_name(fname: str | os.PathLike[str]) -> str:
    """Return the plain name of a stream.

    Parameters
    ----------
    fname : str or PathLike
        ``"name"``, ``"name.im.shm"``, or a path directly in the stream directory, with or without the
        extension. A PathLike is a path.

    Raises
    ------
    StreamNameError
        A ValueError: the path is outside the stream directory, or the name is not valid.
    """
    if not isinstance(fname, (str, os.PathLike)) or (isinstance(fname, str) and "/" not in fname):
        return stream_name(stream_path(fname))
    path = stream_path(f"{os.fspath(fname).removesuffix(SUFFIX)}{SUFFIX}")
    folder = stream_directory()
    if os.path.realpath(os.path.dirname(path)) != os.path.realpath(folder):
        raise StreamNameError(
            f"{fname!r} is not in the stream directory {folder}, and only streams at its root can be reached "
            "by path; give a plain name, or set MILK_SHM_DIR",
            name=str(fname),
        )
    return check_name(stream_name(path))


def shape_and_dtype(data: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and dtype of the stream that `data` asks for."""
    if isinstance(data, np.ndarray):
        return data.shape, data.dtype
    try:
        shape, dtype = data
        axes = tuple(
            operator.index(axis) for axis in np.atleast_1d(np.asarray(shape, dtype=object))
        )
        wanted = np.dtype(dtype)
    except (TypeError, ValueError, SyntaxError):  # the last one of texts, such as "f4,,"
        raise bad_argument("data", data, "an array or (shape, dtype)") from None
    if len(axes) > 3 or any(not 1 <= axis < 2**32 for axis in axes):
        raise bad_argument("shape", shape, "1 to 3 axes of 1 to 2**32 - 1")
    return axes, wanted
