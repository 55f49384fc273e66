"""How frames are packed: what each word of `compress` means, and the codec that packs a chunk.

HDF5 and Zarr files have chunks of Blosc: the filter 32001 of HDF5, which hdf5plugin brings, and the codec
``blosc`` of Zarr. So others read them without pymilk. A chunk of Blosc may also hold bytes as they are,
behind a head of 16 bytes.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..._types import Array
from ...arguments import check_choice
from ...errors import StreamUnsupportedError
from ...system.extras import optional_library

__all__ = [
    "BLOSC_HEAD",
    "OLD_BLOSC",
    "WORDS",
    "BloscSettings",
    "Compress",
    "Encode",
    "blosc_encoder",
    "check_blosc",
    "checked_compress",
    "head_of_plain_blosc",
    "shuffled_gzip",
]

#: What users give: True is what the format had before there were words.
Compress = bool | str | None

Encode = Callable[[Array], Any]

#: Bytes of the head of a Blosc chunk, where it says how long it is, unpacked and packed.
BLOSC_HEAD = 16

#: Most bytes that a chunk of Blosc holds.
_BLOSC_MOST = 2**31 - 1 - BLOSC_HEAD

#: Version of the format, and the bit of the flags that says: as they are.
_BLOSC_VERSION, _BLOSC_PLAIN = 2, 0x2

#: Level of zlib; others take much more time for a few percent.
_GZIP_LEVEL = 1


class BloscSettings(NamedTuple):
    """A codec of Blosc, its level, and how bytes are ordered before, in the words of Zarr."""

    cname: str
    clevel: int
    shuffle: str


#: Measured with camera noise; docs/recording.md has the figures.
WORDS = {"fast": BloscSettings("lz4", 9, "bitshuffle"), "small": BloscSettings("zstd", 5, "bitshuffle")}

#: What ``compress=True`` is in Zarr.
OLD_BLOSC = BloscSettings("zstd", 1, "shuffle")


def checked_compress(compress: Any) -> bool | str:
    """Return what was asked for: False, True, or one of `WORDS`.

    Raises
    ------
    StreamArgumentError
        It is another word.
    """
    if not isinstance(compress, str):
        return bool(compress)
    check_choice("compress", compress, tuple(WORDS))
    return compress


def check_blosc(shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raise if the codec is missing, or a frame is too large for it."""
    _blosc()
    if math.prod(shape) * dtype.itemsize > _BLOSC_MOST:
        raise StreamUnsupportedError(
            f"compress: a frame of shape {shape} and dtype {dtype} has more than the {_BLOSC_MOST} bytes "
            "that Blosc can pack"
        )


def _blosc() -> Any:
    return optional_library("numcodecs", "zarr", "compressed recordings").Blosc


def blosc_encoder(settings: BloscSettings) -> Encode:
    """Return what packs a chunk. It holds the GIL only to allocate, unless the main thread calls it."""
    blosc = _blosc()
    order = {"shuffle": blosc.SHUFFLE, "bitshuffle": blosc.BITSHUFFLE}[settings.shuffle]
    encode: Encode = blosc(settings.cname, settings.clevel, order).encode
    return encode


def head_of_plain_blosc(nbytes: int, itemsize: int) -> bytes:
    """Return the head of a Blosc chunk whose bytes follow as they are."""
    return struct.pack(
        "<BBBBIII", _BLOSC_VERSION, 1, _BLOSC_PLAIN, itemsize, nbytes, nbytes, nbytes + BLOSC_HEAD
    )


def shuffled_gzip(chunk: Array) -> bytes:
    """Pack a chunk as the filters shuffle and gzip of HDF5 do: first bytes of all items, second bytes, ..."""
    content = chunk.reshape(-1).view(np.uint8).reshape(-1, chunk.dtype.itemsize)
    return zlib.compress(np.ascontiguousarray(content.T).data, _GZIP_LEVEL)
