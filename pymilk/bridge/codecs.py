"""Pixels of a message made smaller without loss, and back: nothing is believed of what comes."""

from __future__ import annotations

import struct
from typing import Any

from .._types import Array
from ..errors import LibraryMissingError
from ..system.extras import optional_library
from .disbelief import refused_message

__all__ = ["CODECS", "check_chunk", "check_codec", "packed", "unpacked"]

#: Codecs by their number in the header; 0 is none.
CODECS = {1: "blosc2"}

#: Header of a chunk: version, that of LZ4, flags, bytes of a pixel, of all, of a block, of the chunk; filters
#: and what belongs to them; further flags.
_CHUNK = struct.Struct("<BBBBiii15sB")
_INT = struct.Struct("<i")

#: Flags: an extended header with LZ4, its blocks split into bytes or not. All bytes are zero.
_NOT_SPLIT = 0x10
_FLAGS, _ZEROS = (0x25, 0x25 | _NOT_SPLIT), 0x10

#: No filter, or bytes of the same place in all pixels together; then LZ4.
_FILTERS = tuple(bytes([0, 0, 0, 0, 0, shuffle, 1]).ljust(15, b"\0") for shuffle in (0, 1))


def _blosc2() -> Any:
    """Return the library; both directions release the GIL."""
    library = optional_library("blosc2", "net", "compressed frames")
    library.set_releasegil(True)
    return library


def check_codec(name: str) -> None:
    """Raise an error if the library of a codec is not there.

    Raises
    ------
    LibraryMissingError
    """
    if name:
        _blosc2()


def packed(pixels: Array) -> tuple[int, Any]:
    """Return a codec and pixels as it has them; codec 0 and the pixels themselves if they become no smaller.

    Parameters
    ----------
    pixels : ndarray, C order

    Returns
    -------
    number : int
    content : bytes-like
    """
    library = _blosc2()
    content = library.compress(
        pixels, typesize=pixels.dtype.itemsize, clevel=5, filter=library.Filter.SHUFFLE,
        codec=library.Codec.LZ4,
    )  # fmt: skip
    if len(content) < pixels.nbytes:
        return 1, content
    return 0, pixels


def unpacked(number: int, content: memoryview, itemsize: int, nbytes: int) -> bytearray:
    """Return pixels out of a codec.

    Parameters
    ----------
    number : int
    content : memoryview
    itemsize, nbytes : int
        What they have to have: not one more is asked for.

    Raises
    ------
    BridgeMessageError
        The codec is not known or not installed, or the content is none of it, or of another size.
    """
    if number not in CODECS:
        raise refused_message(f"codec {number} is not known")
    try:
        library = _blosc2()
    except LibraryMissingError as error:
        raise refused_message(str(error)) from error
    check_chunk(content, itemsize, nbytes)
    pixels = bytearray(nbytes)
    try:
        library.decompress(content, pixels)
    except (RuntimeError, ValueError) as error:
        raise refused_message(str(error)) from error
    return pixels


def check_chunk(content: memoryview, itemsize: int, nbytes: int) -> None:
    """Refuse what `packed` does not write: the library believes all places and sizes within.

    A chunk of Blosc2 has a header of 32 bytes, for each block a place (i32, from the beginning), and there
    for each stream of the block a size (i32) and so many bytes: compressed with LZ4 if positive, nothing if 0
    (all zeros), one byte if negative (one value). A whole block has one stream for each byte of a pixel, the
    last one, if it is shorter, one. The rest is LZ4, whose decoder checks. Measured on what blosc2 4.14
    writes.

    Raises
    ------
    BridgeMessageError
    """
    if len(content) < _CHUNK.size:
        raise refused_message("a compressed content has no header")
    version, form, flags, size, full, block, length, filters, flags2 = _CHUNK.unpack_from(content)
    found = (version, form, size, full, length)
    if found != (5, 1, itemsize & 0xFF, nbytes, len(content)):
        raise refused_message(
            f"{len(content)} compressed bytes are to be {nbytes}, and their header says otherwise"
        )
    if flags not in _FLAGS or filters not in _FILTERS or flags2 not in (0, _ZEROS):
        raise refused_message("a compressed content is of a kind that is not sent")
    if flags2 == _ZEROS:
        if len(content) != _CHUNK.size:
            raise refused_message("a content of zeros has something behind it")
        return
    if not 0 < block <= nbytes or block % itemsize:
        raise refused_message(f"compressed blocks have {block} bytes")
    blocks, short = -(-nbytes // block), nbytes % block
    first = _CHUNK.size + 4 * blocks
    if first > len(content):
        raise refused_message(f"{len(content)} compressed bytes are to have {blocks} blocks")
    whole = 1 if flags & _NOT_SPLIT else itemsize
    for number in range(blocks):
        (place,) = _INT.unpack_from(content, _CHUNK.size + 4 * number)
        if place < first:
            raise refused_message(f"a compressed block begins at {place}")
        streams = 1 if short and number == blocks - 1 else whole
        for _ in range(streams):
            place = _behind(content, place)


def _behind(content: memoryview, place: int) -> int:
    """Return the place behind a stream."""
    if place + 4 > len(content):
        raise refused_message("a compressed stream begins behind the end")
    (size,) = _INT.unpack_from(content, place)
    end = place + 4 + (size if size >= 0 else 1)
    if size < -255 or end > len(content):
        raise refused_message(f"a compressed stream has {size} bytes")
    return end
