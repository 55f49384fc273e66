"""What a slot says of the stream that it names: what was found, and what the stream has to be like.

Type and size of the stream are stored beside the value, each size next to the one that is required (0: any).
Flags say which of the requirements are in force; of several types or numbers of axes one is enough.
"""

from __future__ import annotations

import operator
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import FPSArgumentError
from ..native.formats import DTYPES
from .words import ParameterFlag

__all__ = [
    "ENFORCED",
    "FOUND_PLACES",
    "STREAM_INFO_NBYTES",
    "STREAM_TYPES",
    "StreamKind",
    "StreamRequirement",
    "differences",
    "note_found",
    "note_missing",
    "required_by",
    "requirement",
    "stored_sizes",
]

STREAM_INFO_NBYTES = 48

#: Where a stream was found: nowhere, or in shared memory.
_NOT_FOUND, _SHARED = 0, 2

#: Offset of the place where it was found.
_PLACE = 44

#: Numbers that are stored as pairs of what was found and what is required: the offset of each pair.
_PAIRS = {"axes": 12, "xsize": 20, "ysize": 28, "zsize": 36}

#: Where `note_found` and `note_missing` store something: from, to. What is required is not among it.
FOUND_PLACES = ((0, 9), *((at, at + 4) for at in _PAIRS.values()), (_PLACE, _PLACE + 1))

#: Largest size that can be required.
_LARGEST = 0xFFFF_FFFF

#: Flags of data types: the word in the flag, and the type.
_TYPES = {
    "UINT8": np.uint8, "INT8": np.int8, "UINT16": np.uint16, "INT16": np.int16, "UINT32": np.uint32,
    "INT32": np.int32, "UINT64": np.uint64, "INT64": np.int64, "HALF": np.float16, "FLOAT": np.float32,
    "DOUBLE": np.float64,
}  # fmt: skip

_AXES = {
    1: ParameterFlag.STREAM_ENFORCE_1D,
    2: ParameterFlag.STREAM_ENFORCE_2D,
    3: ParameterFlag.STREAM_ENFORCE_3D,
}

_SIZES = {
    "xsize": ParameterFlag.STREAM_ENFORCE_XSIZE,
    "ysize": ParameterFlag.STREAM_ENFORCE_YSIZE,
    "zsize": ParameterFlag.STREAM_ENFORCE_ZSIZE,
}

#: Flag of each type.
_TYPE_FLAGS = {
    np.dtype(dtype): ParameterFlag[f"STREAM_TEST_DATATYPE_{name}"] for name, dtype in _TYPES.items()
}

#: All flags that put a requirement into force.
ENFORCED = ParameterFlag.STREAM_ENFORCE_DATATYPE
for _flag in (*_AXES.values(), *_SIZES.values()):
    ENFORCED |= _flag

#: Flags that name a type.
STREAM_TYPES = ParameterFlag(0)
for _flag in _TYPE_FLAGS.values():
    STREAM_TYPES |= _flag


class StreamRequirement(NamedTuple):
    """What the stream that a parameter names has to be like.

    Attributes
    ----------
    axes : tuple of int
        Numbers of axes that are allowed; empty: any.
    xsize, ysize, zsize : int
        Sizes; 0: any. xsize is that of the last axis of NumPy.
    dtypes : tuple of numpy.dtype
        Types that are allowed; empty: any.
    """

    axes: tuple[int, ...] = ()
    xsize: int = 0
    ysize: int = 0
    zsize: int = 0
    dtypes: tuple[np.dtype[Any], ...] = ()

    @property
    def flags(self) -> ParameterFlag:
        """The flags that put it into force."""
        flags = ParameterFlag(0)
        for count in self.axes:
            flags |= _AXES[count]
        for name, flag in _SIZES.items():
            if getattr(self, name):
                flags |= flag
        for dtype in self.dtypes:
            flags |= _TYPE_FLAGS[dtype] | ParameterFlag.STREAM_ENFORCE_DATATYPE
        return flags


class StreamKind(NamedTuple):
    """Type and size of a stream, and the sizes that are required; 0 is no requirement."""

    dtype: np.dtype[np.generic]
    #: "axes", "xsize", "ysize", "zsize".
    found: dict[str, int]
    required: dict[str, int]


def requirement(
    shape: Sequence[int | None] | None, dtype: Any, axes: int | Sequence[int] | None, fps: str
) -> StreamRequirement:
    """Return what a caller requires; see `Parameter.require_stream`.

    Raises
    ------
    FPSArgumentError
    """
    if shape is not None and axes is not None:
        raise _refused(fps, "axes", axes, "either shape or axes: a shape says how many axes there are")
    sizes = [_size(size, shape, fps) for size in reversed(_several(shape))]
    argument, found = ("axes", axes) if shape is None else ("shape", shape)
    counts = _several(axes) if shape is None else [len(sizes)]
    if not all(isinstance(count, int) and not isinstance(count, bool) and count in _AXES for count in counts):
        raise _refused(fps, argument, found, "a stream has 1 to 3 axes")
    dtypes = {_type(each, fps) for each in _several(dtype)}
    xsize, ysize, zsize = [*sizes, 0, 0, 0][:3]
    ordered = tuple(known for known in _TYPE_FLAGS if known in dtypes)
    return StreamRequirement(tuple(sorted(set(counts))), xsize, ysize, zsize, ordered)


def _several(given: Any) -> list[Any]:
    """Return what was given as a list: nothing, one, or several."""
    if given is None:
        return []
    return list(given) if isinstance(given, (list, tuple, set, frozenset, range)) else [given]


def _size(size: Any, shape: Any, fps: str) -> int:
    if size is None:
        return 0
    try:
        number = operator.index(size)
    except TypeError:
        number = -1
    if isinstance(size, bool) or not 0 <= number <= _LARGEST:
        raise _refused(fps, "shape", shape, f"sizes are ints of 1 to {_LARGEST}; None or 0 is any")
    return number


def _type(dtype: Any, fps: str) -> np.dtype[Any]:
    try:
        found = np.dtype("V1" if dtype is None else dtype)
    except TypeError:
        found = np.dtype("V1")
    if found not in _TYPE_FLAGS:
        names = ", ".join(str(known) for known in _TYPE_FLAGS)
        raise _refused(fps, "dtype", dtype, f"the types that a parameter can require are {names}")
    return found


def _refused(fps: str, argument: str, found: Any, rule: str) -> FPSArgumentError:
    return FPSArgumentError(
        f"fps {fps!r}: {argument} {found!r}: {rule}", fps=fps, argument=argument, found=found
    )


def stored_sizes(wanted: StreamRequirement) -> dict[int, int]:
    """Return the numbers that a slot stores for a requirement, by their offset in the 48 bytes."""
    axes = wanted.axes[0] if len(wanted.axes) == 1 else 0
    numbers = {"axes": axes, "xsize": wanted.xsize, "ysize": wanted.ysize, "zsize": wanted.zsize}
    return {at + 4: numbers[name] for name, at in _PAIRS.items()}


def required_by(flags: ParameterFlag, info: bytes) -> StreamRequirement:
    """Return what flags and sizes of a slot require.

    Parameters
    ----------
    flags : ParameterFlag
    info : bytes
        The 48 bytes of the slot.
    """
    stored = {name: struct.unpack_from("<I", info, at + 4)[0] for name, at in _PAIRS.items()}
    sizes = {name: stored[name] if flag in flags else 0 for name, flag in _SIZES.items()}
    types: tuple[np.dtype[Any], ...] = ()
    if ParameterFlag.STREAM_ENFORCE_DATATYPE in flags:
        types = tuple(dtype for dtype, flag in _TYPE_FLAGS.items() if flag in flags)
    return StreamRequirement(_allowed_axes(flags, stored["axes"]), **sizes, dtypes=types)


def _allowed_axes(flags: ParameterFlag, stored: int) -> tuple[int, ...]:
    """Return the numbers of axes that are allowed: those with a flag, else the one that is stored."""
    return tuple(count for count, flag in _AXES.items() if flag in flags) or ((stored,) if stored else ())


def note_missing(info: bytearray) -> None:
    """Store that the stream is not there."""
    struct.pack_into("<q", info, 0, -1)
    struct.pack_into("<B", info, _PLACE, _NOT_FOUND)


def note_found(info: bytearray, dtype: np.dtype[np.generic], shape: Sequence[int]) -> StreamKind:
    """Store type and size of the stream; what is required is left as it is.

    Parameters
    ----------
    info : bytearray
        The 48 bytes of the slot.
    dtype : dtype
    shape : sequence of int
        In the order of NumPy: the last one is xsize.

    Returns
    -------
    StreamKind
    """
    code = next(number for number, known in DTYPES.items() if known == dtype)
    sizes = [len(shape), *[*reversed(shape), 1, 1, 1][:3]]
    # The first number means something in the process that loaded the stream only; 0 or more says that one
    # did.
    struct.pack_into("<qB", info, 0, 0, code)
    required = {}
    for (name, at), size in zip(_PAIRS.items(), sizes, strict=True):
        struct.pack_into("<I", info, at, size)
        (required[name],) = struct.unpack_from("<I", info, at + 4)
    struct.pack_into("<B", info, _PLACE, _SHARED)
    return StreamKind(dtype, dict(zip(_PAIRS, sizes, strict=True)), required)


def differences(flags: ParameterFlag, kind: StreamKind) -> list[str]:
    """Return how a stream differs from what the flags require, to follow "Stream NAME"."""
    said = []
    types = [name for name in _TYPES if ParameterFlag[f"STREAM_TEST_DATATYPE_{name}"] in flags]
    if ParameterFlag.STREAM_ENFORCE_DATATYPE in flags and types:
        known = {np.dtype(dtype): name for name, dtype in _TYPES.items()}
        found = known.get(kind.dtype, str(kind.dtype))
        if found not in types:
            said.append(f"is {found}, not {' or '.join(types)}")
    axes = _allowed_axes(flags, kind.required["axes"])
    if axes and kind.found["axes"] not in axes:
        said.append(f"has {kind.found['axes']} axes, not {' or '.join(map(str, axes))}")
    for name, flag in _SIZES.items():
        wanted = kind.required[name]
        if flag in flags and wanted and kind.found[name] != wanted:
            said.append(f"has {name} {kind.found[name]}, not {wanted}")
    return said
