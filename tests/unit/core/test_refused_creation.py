"""Streams that cannot be created or replaced: the right exception, and nothing changed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk import _core
from pymilk._core import Stream, allocate, prefault
from pymilk.errors import (
    CaptureMemoryError,
    StreamArgumentError,
    StreamClosedError,
    StreamExistsError,
    StreamNameError,
    StreamNotFoundError,
    StreamReplacedError,
    StreamStorageError,
)
from support.refusals import content, ramp

Make = Callable[..., Stream]


# --- create: arguments -------------------------------------------------------------------------


def refuse_argument(argument: str, found: object, shm_dir: Path, **options: Any) -> None:
    """Check that create raises about this argument and leaves nothing behind."""
    arguments = {"shape": (2, 3), "dtype": "u1"} | options
    with pytest.raises(StreamArgumentError) as caught:
        Stream.create("bad", **arguments)
    error = caught.value
    assert type(error) is StreamArgumentError
    assert isinstance(error, ValueError)
    assert error.argument == argument
    assert error.found is found or error.found == found or repr(error.found) == repr(found)
    assert argument in str(error)
    assert repr(found) in str(error)
    assert list(shm_dir.iterdir()) == []


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((1, 2, 3, 4), "at most 3 axes"),
        ((1,) * 100, "at most 3 axes"),
        ((0,), "1 to 2**32 - 1"),
        ((4, 0), "1 to 2**32 - 1"),
        ((-1,), "1 to 2**32 - 1"),
        ((2**32,), "1 to 2**32 - 1"),
        ((2**64,), "1 to 2**32 - 1"),
        ((-(2**64), 3), "1 to 2**32 - 1"),
        ((10**5, 10**5, 2), "10000000000 elements"),
        ((2**22,) * 3, "10000000000 elements"),
        ((2**32 - 1,) * 3, "10000000000 elements"),
        (None, "0 to 3 axes"),
        ("abc", "0 to 3 axes"),
        ("12", "0 to 3 axes"),
        ((2, None), "0 to 3 axes"),
        (((2, 3),), "0 to 3 axes"),
        (([1], [1, 2]), "0 to 3 axes"),
        (float("nan"), "0 to 3 axes"),
        (float("inf"), "0 to 3 axes"),
        ((4.5, 3), "0 to 3 axes"),
        (1j, "0 to 3 axes"),
    ],
)
def test_create_shape(shape: Any, words: str, shm_dir: Path) -> None:
    refuse_argument("shape", shape, shm_dir, shape=shape)
    with pytest.raises(StreamArgumentError, match=re.escape(words)):
        Stream.create("bad", shape, "u1")


@pytest.mark.parametrize(
    ("dtype", "found"),
    [
        (object, "object"),
        (str, "<U0"),
        ("U3", "<U3"),
        (bytes, "|S0"),
        (np.longdouble, "float128"),
        (np.clongdouble, "complex256"),
        ("M8[s]", "datetime64[s]"),
        ("m8[ns]", "timedelta64[ns]"),
        ("V4", "|V4"),
        ("u1,u1", "[('f0', 'u1'), ('f1', 'u1')]"),
        ("(2,)f4", "('<f4', (2,))"),
        ("nonsense", "nonsense"),
        (5, 5),
        ([("a", "f4"), ("a", "f4")], [("a", "f4"), ("a", "f4")]),
    ],
)
def test_create_dtype(dtype: Any, found: object, shm_dir: Path) -> None:
    refuse_argument("dtype", found, shm_dir, dtype=dtype)


@pytest.mark.parametrize(
    ("argument", "limit"),
    [("nbkw", 2**16), ("nbsem", 2**16), ("cb_size", 2**32), ("imagetype", 2**64)],
)
def test_create_counts(argument: str, limit: int, shm_dir: Path) -> None:
    for found in (-1, limit, 2**70, -(2**70), 1.5, "3", None, float("nan")):
        refuse_argument(argument, found, shm_dir, **{argument: found})
    with pytest.raises(StreamArgumentError, match=f"0 to {limit - 1}"):
        Stream.create("bad", (2,), "u1", **{argument: limit})


@pytest.mark.parametrize("found", [-2, 128, 0.5, "0", None])
def test_create_location(found: Any, shm_dir: Path) -> None:
    refuse_argument("location", found, shm_dir, location=found)


@pytest.mark.parametrize("shape", [(), (6,), (2, 3)])
@pytest.mark.parametrize("imagetype", [0x1, 0xFFF1, 0x100001])
def test_create_circular_buffer_without_third_axis(
    imagetype: int, shape: tuple[int, ...], shm_dir: Path
) -> None:
    refuse_argument("imagetype", imagetype, shm_dir, shape=shape, imagetype=imagetype)


@pytest.mark.parametrize(
    "found", ["1.00", "3.00", "", "20", 2.0, None, "2." + "x" * 30, "2.0\0", "2.\ud800"]
)
def test_create_version(found: Any, shm_dir: Path) -> None:
    refuse_argument("version", found, shm_dir, version=found)


@pytest.mark.parametrize("found", ["", "DAO", "writehistory+dao", 3, ()])
def test_create_layout(found: Any, shm_dir: Path) -> None:
    refuse_argument("layout", found, shm_dir, layout=found)


def test_create_file_of_more_than_62_bits(shm_dir: Path) -> None:
    refuse_argument(
        "cb_size", 2**32 - 1, shm_dir, shape=(10**5, 10**5), dtype="c16", cb_size=2**32 - 1
    )


# --- names, directories ------------------------------------------------------------------------

BAD_NAMES = [
    "",
    ".im.shm",
    ".",
    "..",
    "a/b",
    "/",
    "cam0/",
    "a\0b",
    "\0",
    "n" * 80,
    "\u00e9" * 40,
    "\ud800",
    "cam\udfff0",
    "./cam\ud8000.im.shm",
    "./\ud800/cam0.im.shm",
    "./.im.shm",
    "./..im.shm/cam0",
]


@pytest.mark.parametrize(
    "door", [Stream.attach, _core.read_header, lambda n: Stream.create(n, 2, "u1")]
)
@pytest.mark.parametrize("name", BAD_NAMES, ids=ascii)
def test_bad_name(door: Callable[[str], object], name: str, shm_dir: Path) -> None:
    with pytest.raises(StreamNameError) as caught:
        door(name)
    assert type(caught.value) is StreamNameError
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value.name, str)
    assert str(caught.value)
    assert list(shm_dir.iterdir()) == []


def test_bad_name_tells_the_numbers() -> None:
    with pytest.raises(
        StreamNameError, match="has 80 bytes; the format stores at most 79"
    ) as caught:
        Stream.attach("\u00e9" * 40)
    assert caught.value.name == "\u00e9" * 40


@pytest.mark.parametrize("path", [Path("cam0"), Path("cam0.fits"), "./cam0.im.shm.old"])
def test_path_without_the_suffix(path: Any) -> None:
    with pytest.raises(StreamNameError, match=re.escape("it has to end in '.im.shm'")):
        Stream.attach(path)


@pytest.mark.parametrize("name", [b"cam0", 5, None, ["cam0"]])
def test_name_that_is_no_text(name: Any, shm_dir: Path) -> None:
    for door in (Stream.attach, _core.read_header, lambda name: Stream.create(name, 2, "u1")):
        with pytest.raises(StreamNameError, match="str") as caught:
            door(name)
        assert caught.value.name == repr(name)
    assert list(shm_dir.iterdir()) == []


def test_path_too_long_for_the_reference(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 150)
    folder.mkdir()
    path = folder / ("n" * 79 + ".im.shm")
    with pytest.raises(StreamNameError, match="less than 200 bytes") as caught:
        Stream.create(path, (2,), "u1")
    assert caught.value.name == caught.value.stream == "n" * 79
    assert list(folder.iterdir()) == []


def test_missing_stream(shm_dir: Path) -> None:
    for door in (Stream.attach, _core.read_header):
        with pytest.raises(
            StreamNotFoundError, match=r"no stream 'cam0'.*does not exist"
        ) as caught:
            door("cam0")
        assert type(caught.value) is StreamNotFoundError
        assert isinstance(caught.value, FileNotFoundError)
        assert caught.value.stream == "cam0"
        assert caught.value.path == str(shm_dir / "cam0.im.shm")


def test_missing_directory(shm_dir: Path) -> None:
    path = shm_dir / "missing" / "cam0.im.shm"
    with pytest.raises(StreamNotFoundError, match="does not exist; create it") as caught:
        Stream.create(path, (2,), "u1")
    assert (caught.value.stream, caught.value.path) == ("cam0", str(path.parent))
    with pytest.raises(StreamNotFoundError) as caught:
        Stream.attach(path)
    assert caught.value.path == str(path)


@pytest.mark.parametrize("kind", ["missing", "file"])
def test_stream_directory_that_is_none(
    kind: str, shm_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = shm_dir / "place"
    if kind == "file":
        place.write_bytes(b"")
    monkeypatch.setenv("MILK_SHM_DIR", str(place))
    for door in (Stream.attach, _core.read_header, lambda name: Stream.create(name, 2, "u1")):
        with pytest.raises(StreamNotFoundError, match=r"MILK_SHM_DIR.*not a directory") as caught:
            door("cam0")
        assert caught.value.path == str(place)
        assert repr(str(place)) in str(caught.value)


def test_file_in_the_place_of_a_directory(shm_dir: Path) -> None:
    (shm_dir / "file").write_bytes(b"")
    with pytest.raises(StreamNotFoundError) as caught:
        Stream.create(shm_dir / "file" / "cam0.im.shm", (2,), "u1")
    assert caught.value.path == str(shm_dir / "file")


# --- storage -----------------------------------------------------------------------------------


def test_stream_larger_than_the_file_system(shm_dir: Path) -> None:
    room = os.statvfs(shm_dir)
    if not str(shm_dir).startswith("/dev/shm/") or not 0 < room.f_blocks * room.f_frsize < 2**50:
        pytest.skip("only a tmpfs with a limit refuses this at once")
    with pytest.raises(StreamStorageError, match="remove streams that nobody uses") as caught:
        Stream.create("huge", (10**5, 10**5), "f8", cb_size=2**20)
    assert caught.value.needed > 2**56
    assert caught.value.available <= room.f_blocks * room.f_frsize
    assert list(shm_dir.iterdir()) == []


def test_allocate_more_than_there_is() -> None:
    with pytest.raises(
        CaptureMemoryError, match=r"needs 1125899906842624 bytes, but only"
    ) as caught:
        allocate((2**40, 2**10), np.uint8)
    assert isinstance(caught.value, MemoryError)
    assert caught.value.needed == 2**50
    assert 0 < caught.value.available < 2**50
    assert str(caught.value.available) in str(caught.value)
    with pytest.raises(CaptureMemoryError):
        allocate((2**40,) * 3, np.uint8)


def test_prefault_what_cannot_be_written() -> None:
    for target in (b"bytes", np.zeros(3)[::2]):
        with pytest.raises((BufferError, ValueError)):
            prefault(target)
    with pytest.raises(TypeError):
        prefault(None)


# --- replacing, destroying ---------------------------------------------------------------------


@pytest.mark.usefixtures("unchanged")
def test_create_must_not_replace(stream: Stream, shm_dir: Path) -> None:
    with pytest.raises(StreamExistsError, match=r"exists.*exist_ok=True") as caught:
        Stream.create("cam0", (5,), "u1", exist_ok=False)
    assert type(caught.value) is StreamExistsError
    assert isinstance(caught.value, FileExistsError)
    assert (caught.value.stream, caught.value.path) == ("cam0", stream.path)
    assert not stream.replaced()
    assert [path.name for path in shm_dir.iterdir()] == ["cam0.im.shm"]


def test_create_where_nothing_is_to_be_replaced(make_stream: Make) -> None:
    assert make_stream("new", (5,), "u1", exist_ok=False).counter == 0


@pytest.mark.parametrize("exist_ok", [True, False])
def test_create_where_a_directory_is(exist_ok: bool, shm_dir: Path) -> None:
    (shm_dir / "cam0.im.shm").mkdir()
    with pytest.raises(StreamExistsError) as caught:
        Stream.create("cam0", (5,), "u1", exist_ok=exist_ok)
    assert caught.value.path == str(shm_dir / "cam0.im.shm")
    assert [path.name for path in shm_dir.iterdir()] == ["cam0.im.shm"]


def test_destroy_leaves_a_replacement_alone(stream: Stream, make_stream: Make) -> None:
    inode = os.stat(stream.path).st_ino
    new = make_stream("cam0", (5,), "u1")
    before = content(new)
    with pytest.raises(StreamReplacedError, match=r"another stream now.*not deleted") as caught:
        stream.destroy()
    error = caught.value
    assert type(error) is StreamReplacedError
    assert (error.stream, error.field) == ("cam0", "inode")
    assert error.expected == inode
    assert str(inode) in str(error)
    assert content(new) == before
    assert not stream.closed
    assert stream.replaced()
    assert (stream.inode, new.inode) == (0, os.stat(new.path).st_ino)
    assert stream.view().tolist() == ramp(2).tolist()


def test_destroy_leaves_a_foreign_replacement_alone(stream: Stream) -> None:
    path = Path(stream.path)
    path.rename(path.with_suffix(".old"))
    path.write_bytes(b"something else")
    with pytest.raises(StreamReplacedError):
        stream.destroy()
    assert path.read_bytes() == b"something else"
    assert not stream.closed


def test_destroy_what_was_deleted(stream: Stream) -> None:
    os.unlink(stream.path)
    with pytest.raises(StreamNotFoundError, match="deleted already") as caught:
        stream.destroy()
    assert caught.value.path == stream.path
    assert not stream.closed
    assert stream.deleted
    assert not stream.replaced()
    assert stream.publish(ramp(3)) == 3


def test_destroy_twice(stream: Stream) -> None:
    other = Stream.attach("cam0")
    stream.destroy()
    assert stream.closed
    with pytest.raises(StreamClosedError):
        stream.destroy()
    with other, pytest.raises(StreamNotFoundError):
        other.destroy()
