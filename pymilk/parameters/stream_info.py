"""What a slot says of the stream that it names: what was found, and what the stream has to be like.

Type and size of the stream are stored beside the value, each size next to the one that is required (0: any).
Flags say which of the requirements are in force; of several types or numbers of axes one is enough.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..native.formats import DTYPES
from .words import ParameterFlag

__all__ = ["ENFORCED", "STREAM_INFO_NBYTES", "StreamKind", "differences", "note_found", "note_missing"]

STREAM_INFO_NBYTES = 48

#: Where a stream was found: nowhere, or in shared memory.
_NOT_FOUND, _SHARED = 0, 2

#: Offset of the place where it was found.
_PLACE = 44

#: Numbers that are stored as pairs of what was found and what is required: the offset of each pair.
_PAIRS = {"axes": 12, "xsize": 20, "ysize": 28, "zsize": 36}

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

#: All flags that put a requirement into force.
ENFORCED = ParameterFlag.STREAM_ENFORCE_DATATYPE
for _flag in (*_AXES.values(), *_SIZES.values()):
    ENFORCED |= _flag


class StreamKind(NamedTuple):
    """Type and size of a stream, and the sizes that are required; 0 is no requirement."""

    dtype: np.dtype[np.generic]
    #: "axes", "xsize", "ysize", "zsize".
    found: dict[str, int]
    required: dict[str, int]


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
    axes = [str(count) for count, flag in _AXES.items() if flag in flags]
    if not axes and kind.required["axes"]:
        axes = [str(kind.required["axes"])]
    if axes and str(kind.found["axes"]) not in axes:
        said.append(f"has {kind.found['axes']} axes, not {' or '.join(axes)}")
    for name, flag in _SIZES.items():
        wanted = kind.required[name]
        if flag in flags and wanted and kind.found[name] != wanted:
            said.append(f"has {name} {kind.found[name]}, not {wanted}")
    return said
