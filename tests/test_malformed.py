"""Files that are not streams, or not any more: each is refused with its reason, and left alone."""

from __future__ import annotations

import errno
import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isio_format as fmt
from pymilk._core import Stream, read_header
from pymilk.errors import (
    StreamError,
    StreamFormatError,
    StreamNotFoundError,
    StreamNotReadyError,
    StreamTimeoutError,
)

#: Layout -> size of the file of `base`, which the messages have to tell.
NBYTES = {"default": 1856, "dao": 5968, "writehistory": 5072, "dao+writehistory": 9184}


def base(**options: Any) -> bytearray:
    """8 x 4 float32, 4 keywords, 3 semaphores."""
    options = {"nbkw": 4, "nbsem": 3} | options
    return bytearray(fmt.encode(fmt.fresh("base", [8, 4], 9, **options)))


def patched(nbytes: int | None = None, /, **fields: Any) -> bytearray:
    """Return the base file with fields replaced and everything from ``nbytes`` on cut off."""
    data = base()
    for name, value in fields.items():
        fmt.patch(data, name, value)
    return data[:nbytes]


def without_array(**fields: Any) -> bytearray:
    data = patched(**fields)
    del data[384 : 384 + 128]
    return data


@pytest.fixture
def store(shm_dir: Path) -> Callable[[bytes], Path]:
    def write(data: bytes) -> Path:
        path = shm_dir / "base.im.shm"
        path.write_bytes(data)
        return path

    return write


def attach_writable(path: Path) -> None:
    Stream.attach(path).close()


def attach_read_only(path: Path) -> None:
    Stream.attach(path, writable=False).close()


#: Every way to a header; all make the same checks.
DOORS = pytest.mark.parametrize("door", [attach_writable, attach_read_only, read_header])


def refuse(
    door: Callable[[Path], object], path: Path, field: str, found: object, *words: str
) -> StreamFormatError:
    """Check that a file is refused, and how: exact class, every attribute, words of the message."""
    before = path.read_bytes()
    with pytest.raises(StreamFormatError) as caught:
        door(path)
    error = caught.value
    unfinished = error.found in ("empty", 0) and error.field in ("version", "file size")
    assert type(error) is (StreamNotReadyError if unfinished else StreamFormatError)
    assert isinstance(error, ValueError)
    assert error.stream == path.name.removesuffix(".im.shm")
    assert error.path == str(path)
    assert error.field == field
    assert error.found == found
    message = str(error)
    assert message.startswith(f"{path}: not a usable stream: {field} is {found}, expected ")
    assert str(error.expected) in message
    for word in words:
        assert word in message
    assert path.read_bytes() == before
    return error


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
    ("datatype 20", patched(datatype=20), "datatype", 20, ("1 to 13",)),
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


# --- other programs' files ---------------------------------------------------------------------


@DOORS
@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("1.00", ("ImageStreamIO 1.00", "semaphores are separate files", "recreate it")),
        ("1.02", ("ImageStreamIO 1.02", "recreate it")),
        ("0.0.01", ("ImageStreamIO 0.0.01", "336 or 368 bytes", "recreate it")),
        ("0.0.02", ("ImageStreamIO 0.0.02",)),
        ("xaosim", ("xaosim", "336-byte header", "recreate it")),
        ("garbage", ("was not written by ImageStreamIO 2",)),
    ],
)
def test_other_version(
    door: Callable[[Path], object],
    version: str,
    words: tuple[str, ...],
    store: Callable[[bytes], Path],
) -> None:
    data = bytearray(2000)
    struct.pack_into("32s80s", data, 0, version.encode(), b"base")
    refuse(door, store(data), "version", repr(version), "'2.x'", *words)


def name_first(header: int, *, nbkw: int = 5, **fields: int) -> bytearray:
    """A file of the oldest kind, which begins with the name: 30 x 20 uint16."""
    values = {"naxis": 2, "nelement": 600, "datatype": 3} | fields
    data = bytearray(header + 1200 + 120 * nbkw)
    struct.pack_into("<80sB3x3I", data, 0, b"dao_wfs", values["naxis"], 30, 20, 0)
    struct.pack_into("<QB", data, 96, values["nelement"], values["datatype"])
    struct.pack_into("<H", data, 178, nbkw)
    return data


@DOORS
@pytest.mark.parametrize("header", [4296, 5344, 16400, 16448])
def test_durham_dao(
    door: Callable[[Path], object], header: int, store: Callable[[bytes], Path]
) -> None:
    for nbkw in (0, 5):
        path = store(name_first(header, nbkw=nbkw))
        refuse(door, path, "version", "'dao_wfs'", "Durham's DAO", "own reader")


@DOORS
@pytest.mark.parametrize("header", [184, 200, 4304])
def test_early_cacao(
    door: Callable[[Path], object], header: int, store: Callable[[bytes], Path]
) -> None:
    path = store(name_first(header))
    refuse(door, path, "version", "'dao_wfs'", "early CACAO", "without a version", "recreate it")


@DOORS
@pytest.mark.parametrize(
    "fields",
    [{"naxis": 0}, {"naxis": 4}, {"datatype": 0}, {"datatype": 13}, {"nelement": 601}],
    ids=repr,
)
def test_neither_old_nor_new(
    door: Callable[[Path], object], fields: dict[str, int], store: Callable[[bytes], Path]
) -> None:
    path = store(name_first(4296, **fields))
    refuse(door, path, "version", "'dao_wfs'", "was not written by ImageStreamIO 2")


def test_fits_file(store: Callable[[bytes], Path]) -> None:
    card = b"SIMPLE  =                    T".ljust(2880)
    error = refuse(attach_writable, store(card), "version", repr(card[:32].decode()))
    assert "was not written by ImageStreamIO 2" in str(error)


# --- not regular files -------------------------------------------------------------------------


@DOORS
def test_directory(door: Callable[[Path], object], shm_dir: Path) -> None:
    path = shm_dir / "x.im.shm"
    path.mkdir()
    with pytest.raises(StreamFormatError, match="a regular file") as caught:
        door(path)
    assert caught.value.field == "file"
    assert caught.value.path == str(path)
    assert caught.value.found == "a directory"


@DOORS
def test_fifo(door: Callable[[Path], object], shm_dir: Path) -> None:
    path = shm_dir / "x.im.shm"
    os.mkfifo(path, 0o600)
    with pytest.raises(StreamFormatError, match="a regular file") as caught:
        door(path)
    assert (caught.value.field, caught.value.found) == ("file", "a FIFO")


@DOORS
def test_character_device(door: Callable[[Path], object], shm_dir: Path) -> None:
    path = shm_dir / "x.im.shm"
    path.symlink_to("/dev/null")
    with pytest.raises(StreamFormatError, match="a regular file") as caught:
        door(path)
    assert caught.value.found == "a device"


@DOORS
def test_socket(door: Callable[[Path], object], shm_dir: Path) -> None:
    path = shm_dir / "x.im.shm"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
    with pytest.raises(StreamFormatError, match="a regular file") as caught:
        door(path)
    assert caught.value.found == "a socket"
    assert str(path) in str(caught.value)
    assert caught.value.stream == "x"


@DOORS
def test_link_to_itself(door: Callable[[Path], object], shm_dir: Path) -> None:
    path = shm_dir / "x.im.shm"
    path.symlink_to(path)
    with pytest.raises(StreamError, match=os.strerror(errno.ELOOP)):
        door(path)


@DOORS
@pytest.mark.parametrize("target", ["nowhere.im.shm", "missing/x.im.shm"])
def test_link_to_nowhere(door: Callable[[Path], object], target: str, shm_dir: Path) -> None:
    path = shm_dir / "x.im.shm"
    path.symlink_to(shm_dir / target)
    with pytest.raises(StreamNotFoundError, match="does not exist") as caught:
        door(path)
    assert caught.value.path == str(path)


@DOORS
def test_file_in_the_place_of_the_directory(
    door: Callable[[Path], object], store: Callable[[bytes], Path]
) -> None:
    path = store(base()) / "x.im.shm"
    with pytest.raises(StreamNotFoundError) as caught:
        door(path)
    assert caught.value.path == str(path)


def test_link_to_a_stream(store: Callable[[bytes], Path], shm_dir: Path) -> None:
    link = shm_dir / "link.im.shm"
    link.symlink_to(store(base()))
    with Stream.attach(link) as stream:
        assert (stream.name, stream.stored_name) == ("link", "base")
        assert not stream.replaced()


# --- not ready ---------------------------------------------------------------------------------


def test_version_that_comes_in_time(
    store: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The creator finishes in another thread while attach waits for it."""
    path = store(patched(version="", name=""))

    def finish() -> None:
        with open(path, "r+b") as file:
            file.write(base())

    creator = threading.Thread(target=finish)
    pauses = []

    def pause(seconds: float) -> None:
        # Attach has found the version empty, or it would not pause.
        pauses.append(seconds)
        if len(pauses) == 3:
            creator.start()
            creator.join()

    monkeypatch.setattr(time, "sleep", pause)
    with Stream.attach(path) as stream:
        assert (stream.version, stream.stored_name, stream.shape) == ("2.00", "base", (4, 8))
    assert len(pauses) == 3
    assert sum(pauses) <= 0.1


@pytest.mark.parametrize("data", [patched(version=""), bytearray(1856)], ids=["version", "all"])
@pytest.mark.parametrize("door", [attach_writable, attach_read_only])
def test_version_that_stays_empty(
    door: Callable[[Path], object], data: bytearray, store: Callable[[bytes], Path]
) -> None:
    path = store(data)
    began = time.monotonic()
    refuse(door, path, "version", "empty", "'2.x'", "still being created", "its creator died")
    assert time.monotonic() - began >= 0.1


def test_read_header_does_not_wait_for_the_version(
    store: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = store(patched(version=""))
    with monkeypatch.context() as patch:
        patch.setattr(time, "sleep", lambda seconds: pytest.fail("waited"))
        refuse(read_header, path, "version", "empty", "still being created")


def test_file_that_grows_while_its_version_is_empty(
    store: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A creator that fills its file in two steps, the size in the second."""
    path = store(patched(600, version=""))
    monkeypatch.setattr(time, "sleep", lambda seconds: path.write_bytes(base()))
    with Stream.attach(path) as stream:
        assert stream.file_nbytes == 1856


def test_version_that_comes_out_wrong(
    store: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = store(patched(version=""))
    monkeypatch.setattr(time, "sleep", lambda seconds: path.write_bytes(patched(version="1.05")))
    with pytest.raises(StreamFormatError, match=r"ImageStreamIO 1\.05") as caught:
        Stream.attach(path)
    assert caught.value.field == "version"


# --- creating where such a file is -------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", patched(naxis=7), patched(version="1.00")], ids=len)
def test_create_replaces_what_is_no_stream(data: bytes, store: Callable[[bytes], Path]) -> None:
    path = store(data)
    inode = path.stat().st_ino
    with Stream.create(path, (2, 3), np.uint16) as stream:
        assert path.stat().st_ino != inode
        assert stream.publish(np.ones((2, 3), np.uint16)) == 1
    assert list(path.parent.iterdir()) == [path]


def test_opened_file_is_closed_again(store: Callable[[bytes], Path]) -> None:
    path = store(patched(naxis=7))
    opened = os.listdir("/proc/self/fd")
    for door in (attach_writable, attach_read_only, read_header):
        refuse(door, path, "naxis", 7)
    assert os.listdir("/proc/self/fd") == opened


# --- semaphores that another program has overwritten --------------------------------------------


@pytest.mark.parametrize("word", [1, 6, 137, 2**31, 2**32 - 1])
def test_overwritten_semaphore_is_left_alone(word: int, store: Callable[[bytes], Path]) -> None:
    """Its third word goes into the number of a system call; the C library ends the process."""
    whole = fmt.fresh("base", [8, 4], 9, nbkw=4, nbsem=3)
    bad = struct.pack("<III20x", 0, 2**32 - 1, word)
    good = fmt.semaphore_word()
    whole.semaphores, whole.semlog = [bad, good, bad], bad
    path = store(fmt.encode(whole))
    with Stream.attach(path) as stream:
        assert stream.publish(np.ones((4, 8), np.float32)) == 1
        assert stream.sem_values() == [0, 1, 0]
        assert not stream.sem_wait(0, 0.01)
        stream.post(0)
        assert stream.sem_value(0) == 0
        assert stream.take_semaphore(0) == 1
        began = time.monotonic()
        with pytest.raises(StreamTimeoutError):
            stream.wait(0.01)
        assert time.monotonic() - began >= 0.01
    after = fmt.decode(path.read_bytes())
    assert after.semaphores[0] == after.semaphores[2] == after.semlog == bad
    # A stream that has no usable one is watched for its counter.
    whole.semaphores = [bad, bad, bad]
    path = store(fmt.encode(whole))
    with Stream.attach(path) as stream, Stream.attach(path) as writer:
        reader = stream.reader()
        assert reader.sem_index is None
        publisher = threading.Timer(0.01, writer.publish, [np.ones((4, 8), np.float32)])
        publisher.start()
        assert reader.wait(30, after=0) == 1
        assert reader.sem_index is None
        publisher.join()
