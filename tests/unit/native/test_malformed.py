"""Headers with wrong fields: each file is refused with its reason, and left alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk._core import Stream
from support import isio_format as fmt
from support.bad_files import DOORS, refuse
from support.codec import base, patched

#: Layout -> size of the file of `base`, which the messages have to tell.
NBYTES = {"default": 1856, "dao": 5968, "writehistory": 5072, "dao+writehistory": 9184}


def without_array(**fields: Any) -> bytearray:
    data = patched(**fields)
    del data[384 : 384 + 128]
    return data


def test_base_file(store: Callable[[bytes], Path]) -> None:
    for layout, nbytes in NBYTES.items():
        path = store(base(layout=layout))
        assert path.stat().st_size == nbytes
        with Stream.attach(path) as stream:
            assert stream.layout == layout


# --- one field at a time -----------------------------------------------------------------------

#: What was changed, the field that is blamed, what was found there, words of the message.
BAD_FILES: list[tuple[str, bytearray, str, object, tuple[str, ...]]] = [
    ("empty", bytearray(), "file size", 0, ("384",)),
    ("one byte", bytearray(1), "file size", 1, ("384",)),
    ("half the metadata", base()[:383], "file size", 383, ("384",)),
    ("metadata only", base()[:384], "file size", 384, ("more than 384",)),
    ("metadata and one byte", base()[:385], "file size", 385, ("1856 (default layout)",)),
    ("8 bytes short", base()[:-8], "file size", 1848, ("1856",)),
    ("1 byte short", base()[:-1], "file size", 1855, ("1856",)),
    ("1 byte long", base() + b"\0", "file size", 1857, ("1856", "was extended")),
    ("8 bytes long", base() + bytes(8), "file size", 1864, ("1856",)),
    ("version 1.99", patched(version="1.99"), "version", "'1.99'", ("2.x", "ImageStreamIO 1.99")),
    ("version 3.00", patched(version="3.00"), "version", "'3.00'", ("2.x",)),
    ("version 20", patched(version="20"), "version", "'20'", ("2.x",)),
    ("version not text", patched(version=b"\xff" * 32), "version", "not text", ()),
    ("name empty", patched(name=""), "name", "empty", ()),
    ("name starts with NUL", patched(name=b"\0base"), "name", "empty", ()),
    ("naxis 0", patched(naxis=0), "naxis", 0, ("1 to 3",)),
    ("naxis 4", patched(naxis=4), "naxis", 4, ("1 to 3",)),
    ("naxis 7", patched(naxis=7), "naxis", 7, ("1 to 3",)),
    ("naxis 3, size[2] 0", patched(naxis=3), "size[2]", 0, ("1 or more",)),
    ("size[0] 0", patched(size=(0, 4, 0)), "size[0]", 0, ("1 or more",)),
    ("size[1] 0", patched(size=(8, 0, 0)), "size[1]", 0, ("1 or more",)),
    ("datatype 0", patched(datatype=0), "datatype", 0, ("1 to 13",)),
    ("datatype 14", patched(datatype=14), "datatype", 14, ("1 to 13",)),
    ("datatype 21", patched(datatype=21), "datatype", 21, ("1 to 13",)),
    ("datatype 99", patched(datatype=99), "datatype", 99, ("1 to 13",)),
    ("location -2", patched(location=-2), "location", -2, ("-1 or a GPU number",)),
    ("location -128", patched(location=-128), "location", -128, ("-1",)),
    ("shared 0", patched(shared=0), "shared", 0, ("expected 1",)),
    ("shared 2", patched(shared=2), "shared", 2, ("expected 1",)),
    ("sem 60000", patched(sem=60_000), "file size", 1856, (str(1856 + 48 * 59_997 + 16 - 32),)),
    ("sem 0", patched(sem=0), "file size", 1856, (str(1856 - 32 * 3 - 4 * 16),)),
    ("NBkw 65535", patched(NBkw=65_535), "file size", 1856, (str(1856 + 128 * 65_531),)),
    (
        "NBproctrace 65535",
        patched(NBproctrace=65_535),
        "file size",
        1856,
        (str(1856 + 64 * 65_525),),
    ),
    (
        "CBsize 4e9",
        patched(CBsize=4_000_000_000),
        "file size",
        1856,
        (str(1856 + (48 + 128) * 4_000_000_000),),
    ),
    ("location 0, array there", patched(location=0), "file size", 1856, ("1728",)),
    ("location -1, array cut out", without_array(), "file size", 1728, ("1856",)),
    ("nelement 10000000001", patched(nelement=10**10 + 1), "nelement", 10**10 + 1, ("32",)),
    ("nelement 1e9", patched(nelement=10**9), "nelement", 10**9, ("32 (product of the axes)",)),
    ("nelement 0", patched(nelement=0), "nelement", 0, ("32",)),
    ("nelement 31", patched(nelement=31), "nelement", 31, ("32",)),
    ("size[0] 4e9", patched(size=(4 * 10**9, 4, 0)), "nelement", 32, ("16000000000",)),
    ("size[2] 1000", patched(naxis=3, size=(8, 4, 1000)), "nelement", 32, ("32000",)),
    ("datatype 12", patched(datatype=12), "imdatamemsize", 128, ("512 (32 elements of 16 bytes)",)),
    ("datatype 1", patched(datatype=1), "imdatamemsize", 128, ("32 (32 elements of 1 bytes)",)),
    (
        "imdatamemsize + 2^32",
        patched(imdatamemsize=128 + 2**32),
        "imdatamemsize",
        128 + 2**32,
        ("128 (32 elements of 4 bytes)",),
    ),
    # The size that a reader adding up in 64 bits arrives at: the sections overlap.
    (
        "imdatamemsize 2^64-384",
        patched(1728 - 384, imdatamemsize=2**64 - 384),
        "imdatamemsize",
        2**64 - 384,
        ("128",),
    ),
    (
        "imdatamemsize 2^64-8",
        patched(1728 - 8, imdatamemsize=2**64 - 8),
        "imdatamemsize",
        2**64 - 8,
        ("128",),
    ),
    ("imdatamemsize 0, NBkw 5", patched(imdatamemsize=0, NBkw=5), "imdatamemsize", 0, ("128",)),
]


@DOORS
@pytest.mark.parametrize(
    ("data", "field", "found", "words"),
    [pytest.param(*row[1:], id=row[0]) for row in BAD_FILES],
)
def test_bad_file(
    door: Callable[[Path], object],
    data: bytearray,
    field: str,
    found: object,
    words: tuple[str, ...],
    store: Callable[[bytes], Path],
) -> None:
    refuse(door, store(data), field, found, *words)


@DOORS
@pytest.mark.parametrize("layout", fmt.LAYOUTS)
@pytest.mark.parametrize("extra", [-8, -1, 1, 8])
def test_wrong_size_in_every_layout(
    door: Callable[[Path], object], layout: str, extra: int, store: Callable[[bytes], Path]
) -> None:
    path = store((base(layout=layout) + bytes(8))[: NBYTES[layout] + extra])
    size = f"{NBYTES[layout]} ({layout} layout)"
    refuse(door, path, "file size", NBYTES[layout] + extra, size)


@DOORS
@pytest.mark.parametrize(("size", "index"), [(2, 2), (2, 2**32 - 1), (1, 1), (5, 7)])
def test_ring_index_out_of_range(
    door: Callable[[Path], object], size: int, index: int, store: Callable[[bytes], Path]
) -> None:
    data = base(cbsize=size)
    fmt.patch(data, "CBindex", index)
    refuse(door, store(data), "CBindex", index, f"below CBsize {size}")


@DOORS
def test_temporal_bits_without_their_arrays(
    door: Callable[[Path], object], store: Callable[[bytes], Path]
) -> None:
    data = bytearray(fmt.encode(fmt.fresh("base", [8, 4, 2], 9, nbkw=4, nbsem=3)))
    fmt.patch(data, "imagetype", 0x20001)
    refuse(door, store(data), "file size", 1856 + 128, str(1856 + 128 + 2 * 40))


# --- products that overflow --------------------------------------------------------------------


@DOORS
@pytest.mark.parametrize(
    ("fields", "field", "found", "words"),
    [
        pytest.param(
            {"size": (2**22,) * 3, "nelement": 2**66 % 2**64, "imdatamemsize": 0},
            "size",
            [2**22] * 3,
            ("4194304", "2**64"),
            id="elements beyond 64 bits",
        ),
        pytest.param(
            {"size": (2**32 - 1,) * 3, "nelement": (2**32 - 1) ** 3 % 2**64},
            "size",
            [2**32 - 1] * 3,
            ("4294967295", "2**64"),
            id="largest axes",
        ),
        pytest.param(
            {"size": (2**31, 2**31, 2), "nelement": 2**63, "imdatamemsize": 0},
            "nelement",
            2**63,
            ("2**62",),
            id="bytes beyond 64 bits",
        ),
        pytest.param(
            {"size": (2**30, 2**30, 1), "nelement": 2**60, "imdatamemsize": 2**62},
            "nelement",
            2**60,
            ("2**62",),
            id="frame larger than any file",
        ),
    ],
)
def test_product_that_overflows(
    door: Callable[[Path], object],
    fields: dict[str, Any],
    field: str,
    found: object,
    words: tuple[str, ...],
    store: Callable[[bytes], Path],
) -> None:
    refuse(door, store(patched(naxis=3, **fields)), field, found, *words)


@DOORS
def test_ring_that_overflows(
    door: Callable[[Path], object], store: Callable[[bytes], Path]
) -> None:
    # 2**61 bytes a frame, 2**32 - 1 slots.
    data = patched(size=(2**31, 2**28, 0), nelement=2**59, imdatamemsize=2**61, CBsize=2**32 - 1)
    refuse(door, store(data), "file size", "more", "below 2**64")


@DOORS
def test_sum_of_the_sections_that_overflows(
    door: Callable[[Path], object], store: Callable[[bytes], Path]
) -> None:
    # The array is 2**61 bytes, the ring 7 * 2**61: no product overflows, their sum does.
    data = patched(size=(2**31, 2**28, 0), nelement=2**59, imdatamemsize=2**61, CBsize=7)
    refuse(door, store(data), "file size", "more", "below 2**64")


# --- accepted ----------------------------------------------------------------------------------


def test_gpu_stream_with_its_array_cut_out(store: Callable[[bytes], Path]) -> None:
    with Stream.attach(store(without_array(location=0))) as stream:
        assert (stream.location, stream.nbytes, stream.counter) == (0, 128, 0)


def test_temporal_bits_on_two_axes(store: Callable[[bytes], Path]) -> None:
    # The C library creates such streams; their per-slice arrays have no elements.
    with Stream.attach(store(patched(imagetype=0x20001))) as stream:
        assert not stream.temporal
        assert stream.section("slice_cnt0").shape == (0,)
        assert stream.publish(np.ones((4, 8), np.float32)) == 1


@pytest.mark.parametrize("cnt1", [4, 5, 2**32 + 1, 2**64 - 1])
def test_slice_index_out_of_range(cnt1: int, store: Callable[[bytes], Path]) -> None:
    # Writers that never wrap cnt1 exist: the index is reduced, nothing outside is touched.
    before = fmt.fresh("base", [8, 4, 4], 9, nbkw=4, nbsem=3, imagetype=0x20001)
    before.cnt1 = cnt1
    path = store(fmt.encode(before))
    with Stream.attach(path) as stream:
        assert stream.cnt1 == cnt1
        assert stream.publish(np.ones((4, 8), np.float32), atime_ns=1) == 1
        z = (cnt1 + 1) % 2**64 % 4
        assert stream.cnt1 == z
        assert stream.view().sum(axis=(1, 2)).tolist() == [32 * (k == z) for k in range(4)]
        assert stream.section("slice_cnt0").tolist() == [int(k == z) for k in range(4)]


def test_dead_writer(store: Callable[[bytes], Path]) -> None:
    with Stream.attach(store(patched(write=1, cnt0=7))) as stream:
        assert (stream.write, stream.counter) == (1, 7)
