"""The pure Python codec against bad files."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support import isio_format as fmt
from support.codec import base, patched


def wrapped_size(imdatamemsize: int) -> int:
    """File size that a reader adding up in 64-bit arithmetic would expect of the base file."""
    return (1856 - 128 + imdatamemsize) % 2**64


def test_base_file() -> None:
    assert len(base()) == 1856
    fmt.decode(base())


BAD_FILES: list[tuple[str, str, Callable[[], bytearray]]] = [
    ("empty", "file size", lambda: bytearray()),
    ("half the metadata", "file size", lambda: base()[:383]),
    ("metadata only", "file size", lambda: base()[:384]),
    ("metadata and one byte", "file size", lambda: base()[:385]),
    ("8 bytes short", "file size", lambda: base()[:-8]),
    ("1 byte short", "file size", lambda: base()[:-1]),
    ("1 byte long", "file size", lambda: base() + b"\0"),
    ("8 bytes long", "file size", lambda: base() + bytes(8)),
    ("all zero", "version", lambda: bytearray(1856)),
    ("version empty", "version", lambda: patched(version="")),
    ("version 1.99", "version", lambda: patched(version="1.99")),
    ("version 20", "version", lambda: patched(version="20")),
    ("name empty", "name", lambda: patched(name="")),
    ("name starts with NUL", "name", lambda: patched(name=b"\0base")),
    ("naxis 0", "naxis", lambda: patched(naxis=0)),
    ("naxis 7", "naxis", lambda: patched(naxis=7)),
    ("naxis 3, size[2] 0", "size", lambda: patched(naxis=3)),
    ("naxis 1, size[1] used", "size", lambda: patched(naxis=1, nelement=8)),
    ("size[0] 0", "size", lambda: patched(size=(0, 4, 0))),
    ("datatype 0", "datatype", lambda: patched(datatype=0)),
    ("datatype 14", "datatype", lambda: patched(datatype=14)),
    ("datatype 20", "datatype", lambda: patched(datatype=20)),
    ("datatype 99", "datatype", lambda: patched(datatype=99)),
    ("location -2", "location", lambda: patched(location=-2)),
    ("shared 0", "shared", lambda: patched(shared=0)),
    ("shared 2", "shared", lambda: patched(shared=2)),
    ("sem 60000", "file size", lambda: patched(sem=60_000)),
    ("sem 0", "file size", lambda: patched(sem=0)),
    ("NBkw 65535", "file size", lambda: patched(NBkw=65_535)),
    ("NBproctrace 65535", "file size", lambda: patched(NBproctrace=65_535)),
    ("CBsize 4e9", "file size", lambda: patched(CBsize=4_000_000_000)),
    ("location 0, array there", "file size", lambda: patched(location=0)),
    ("nelement 10000000001", "nelement", lambda: patched(nelement=10_000_000_001)),
    ("nelement 1e9", "nelement", lambda: patched(nelement=1_000_000_000)),
    (
        "more elements than allowed",
        "nelement",
        lambda: patched(size=(10_000_000, 1001, 0), nelement=10_010_000_000),
    ),
    ("size[0] 4e9", "nelement", lambda: patched(size=(4_000_000_000, 4, 0))),
    ("size[2] 1000", "nelement", lambda: patched(naxis=3, size=(8, 4, 1000))),
    (
        "axes 2^22, product wraps to 0",
        "nelement",
        lambda: patched(naxis=3, size=(2**22, 2**22, 2**22), nelement=0, imdatamemsize=0),
    ),
    ("datatype 12 on float data", "imdatamemsize", lambda: patched(datatype=12)),
    (
        "imdatamemsize + 2^32",
        "imdatamemsize",
        lambda: patched(imdatamemsize=128 + 2**32),
    ),
    (
        "imdatamemsize 2^64-384",
        "imdatamemsize",
        lambda: patched(wrapped_size(2**64 - 384), imdatamemsize=2**64 - 384),
    ),
    (
        "imdatamemsize 2^64-8",
        "imdatamemsize",
        lambda: patched(wrapped_size(2**64 - 8), imdatamemsize=2**64 - 8),
    ),
    (
        "imdatamemsize 0, NBkw 5",
        "imdatamemsize",
        lambda: patched(imdatamemsize=0, NBkw=5),
    ),
    ("circular without axis code on 2D", "imagetype", lambda: patched(imagetype=1)),
]


@pytest.mark.parametrize(
    ("field", "make"),
    [pytest.param(field, make, id=label) for label, field, make in BAD_FILES],
)
def test_decode_rejects(field: str, make: Callable[[], bytearray]) -> None:
    with pytest.raises(ValueError, match=f"^{field}: expected .*, found ") as caught:
        fmt.decode(make())
    assert isinstance(caught.value, fmt.FormatError)
    assert caught.value.field == field


def test_decode_rejects_slice_arrays_without_room() -> None:
    data = bytearray(fmt.encode(fmt.fresh("cube", [8, 4, 2], 9, imagetype=2)))
    fmt.patch(data, "imagetype", 0x20001)
    with pytest.raises(fmt.FormatError, match="file size"):
        fmt.decode(data)


@pytest.mark.parametrize("index", [2, 2**32 - 1])
def test_decode_rejects_ring_index_out_of_range(index: int) -> None:
    data = base(cbsize=2)
    fmt.patch(data, "CBindex", index)
    with pytest.raises(
        fmt.FormatError, match=f"^CBindex: expected less than CBsize 2, found {index}$"
    ):
        fmt.decode(data)


@pytest.mark.parametrize("offset", [113, 137, 225, 242, 257, 262, 289, 300, 384 + 128 + 17])
def test_decode_rejects_content_in_padding(offset: int) -> None:
    data = base()
    data[offset] = 1
    with pytest.raises(
        fmt.FormatError, match=f"^padding: expected byte 0 at offset {offset}, found 1$"
    ):
        fmt.decode(data)
    assert fmt.decode(data, check_padding=False) == fmt.decode(base())


@pytest.mark.parametrize("layout", fmt.LAYOUTS)
def test_decode_rejects_wrong_size_in_every_layout(layout: str) -> None:
    data = base(layout=layout)
    with pytest.raises(fmt.FormatError, match="file size"):
        fmt.decode(data + bytes(8))
    fmt.patch(data, "imdatamemsize", 136, layout)
    with pytest.raises(fmt.FormatError, match="imdatamemsize"):
        fmt.decode(data)


def test_decode_accepts_array_cut_out_for_a_gpu() -> None:
    data = patched(location=0)
    del data[384 : 384 + 128]
    stream = fmt.decode(data)
    assert (stream.location, stream.pixels, stream.imdatamemsize) == (0, b"", 128)


def test_decode_accepts_temporal_ring_without_third_axis() -> None:
    # The C library creates such streams; their per-slice arrays have no elements.
    stream = fmt.decode(patched(imagetype=0x20001))
    assert stream.atimearray == stream.writetimearray == stream.cntarray == []


def test_decode_keeps_slice_index_out_of_range() -> None:
    # Existing writers count frames in cnt1 without ever wrapping it, also on ring cubes.
    stream = fmt.fresh("cube", [8, 4, 4], 9, imagetype=0x20001)
    stream.cnt1 = 2**32 + 1
    assert fmt.decode(fmt.encode(stream)).cnt1 == 2**32 + 1
