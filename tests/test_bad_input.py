"""Wrong arguments, order of calls, permissions: the right exception, and nothing changed."""

from __future__ import annotations

import contextlib
import copy
import fractions
import inspect
import os
import pickle
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isio_format as fmt
from pymilk import _core, errors
from pymilk._core import (
    FRAME_ROW,
    Claim,
    FrameFeed,
    Keyword,
    Mapping,
    PrivateRing,
    Reader,
    RingCursor,
    Stream,
    allocate,
    prefault,
)
from pymilk.errors import (
    CaptureMemoryError,
    FrameMismatchError,
    KeywordError,
    KeywordNotFoundError,
    StreamArgumentError,
    StreamBusyError,
    StreamClosedError,
    StreamExistsError,
    StreamNameError,
    StreamNotFoundError,
    StreamPermissionError,
    StreamReadOnlyError,
    StreamReplacedError,
    StreamStorageError,
    StreamTimeoutError,
)

Make = Callable[..., Stream]
Spawn = Callable[..., Any]

NOBODY = 65534


@pytest.fixture
def stream(make_stream: Make) -> Stream:
    """2 x 3 float32 with two frames published, 4 keyword slots, a ring of 2."""
    stream = make_stream("cam0", (2, 3), np.float32, nbkw=4, cb_size=2)
    stream.publish(ramp(1))
    stream.publish(ramp(2))
    stream.write_keywords([("FIRST", 1, "kept"), ("SECOND", "text")])
    return stream


def ramp(k: int) -> np.ndarray:
    return np.arange(6, dtype=np.float32).reshape(2, 3) + 10 * k


def content(stream: Stream) -> bytes:
    return Path(stream.path).read_bytes()


@pytest.fixture
def unchanged(stream: Stream) -> Iterator[None]:
    """The stream file has the same bytes after the test."""
    assert stream.sem_index == 0  # taken now; a call that fails may take it before it fails
    before = content(stream)
    yield
    assert content(stream) == before


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


#: What a child runs as an ordinary user; root may write anywhere. It says what was raised, which
#: lets the test look at class, attributes and message.
AS_USER = f"""
import os, pickle, sys
from pathlib import Path
from pymilk import errors
from pymilk._core import Stream, read_header
if os.getuid() == 0:
    os.setgroups([])
    os.setgid({NOBODY})
    os.setuid({NOBODY})
path = Path(sys.argv[1])
what = {{
    "attach": lambda: Stream.attach(path),
    "look": lambda: Stream.attach(path, writable=False),
    "read_header": lambda: read_header(path),
    "create": lambda: Stream.create(path, (2, 3), "u1"),
    "destroy": lambda: Stream.attach(path).destroy(),
}}[sys.argv[2]]
try:
    answer = repr(what())
except errors.StreamError as error:
    answer = error
print(pickle.dumps(answer).hex())
"""


@pytest.fixture
def as_user(spawn: Spawn, shm_dir: Path) -> Callable[[Path, str], Any]:
    """Do something as an ordinary user; returns what was raised, or the repr of the result."""
    shm_dir.chmod(0o755)

    def run(path: Path, what: str) -> Any:
        child = spawn(AS_USER, path, what)
        answer = pickle.loads(bytes.fromhex(child.hear()))
        assert child.finish()[::2] == (0, "")
        return answer

    yield run
    shm_dir.chmod(0o700)


def check_permission_error(error: Any, path: Path, words: str) -> None:
    assert type(error) is StreamPermissionError
    assert isinstance(error, PermissionError)
    assert (error.stream, error.path) == ("cam0", str(path))
    assert words in str(error)
    assert str(path) in str(error)


def test_directory_that_is_not_writable(
    make_stream: Make, as_user: Callable[[Path, str], Any], shm_dir: Path
) -> None:
    shm_dir.chmod(0o555)
    path = shm_dir / "cam0.im.shm"
    check_permission_error(as_user(path, "create"), shm_dir, "create files")
    assert list(shm_dir.iterdir()) == []

    shm_dir.chmod(0o755)
    with make_stream(path, (2, 3), "u1", mode=0o666):
        shm_dir.chmod(0o555)
        check_permission_error(as_user(path, "create"), shm_dir, "create files")
        check_permission_error(as_user(path, "destroy"), path, "delete")
        assert path.stat().st_size
        assert as_user(path, "attach") == "<Stream 'cam0' shape=(2, 3) dtype=uint8 counter=0>"


def test_stream_of_someone_else(
    make_stream: Make, as_user: Callable[[Path, str], Any], shm_dir: Path
) -> None:
    path = shm_dir / "cam0.im.shm"
    owner = os.getuid() != 0  # not root, the tests own the file: then they lack its permission bits
    with make_stream(path, (2, 3), "u1", mode=0o400 if owner else 0o644):
        # What may not be written is attached for reading, and says so.
        assert as_user(path, "attach") == (
            "<Stream 'cam0' shape=(2, 3) dtype=uint8 counter=0, "
            "read-only: the file does not permit writing, waiting watches the counter>"
        )
        assert "read-only as asked" in as_user(path, "look")
        path.chmod(0o000 if owner else 0o600)
        for what, words in (
            ("attach", "reading"),
            ("look", "reading"),
            ("read_header", "reading"),
        ):
            check_permission_error(
                as_user(path, what), path, f"no permission to open it for {words}"
            )


# --- storage -----------------------------------------------------------------------------------

#: A tmpfs of 256 KiB in a mount namespace that ends with the child.
ON_SMALL_TMPFS = """
import ctypes, os, pickle, sys
from pathlib import Path
from pymilk import errors
from pymilk._core import Stream
NEWNS, NEWUSER, REC_PRIVATE = 0x20000, 0x10000000, 0x44000
libc = ctypes.CDLL(None, use_errno=True)
folder = Path(sys.argv[1])
if (
    libc.unshare(NEWNS if os.getuid() == 0 else NEWNS | NEWUSER)
    or libc.mount(b"none", b"/", None, REC_PRIVATE, None)
    or libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, b"size=256k")
):
    print(os.strerror(ctypes.get_errno()))
    sys.exit()
print("mounted")
small = Stream.create(folder / "small.im.shm", (100, 100), "u1")
small.publish(__import__("numpy").ones((100, 100), "u1"))
for name in ("large", "small"):
    try:
        Stream.create(folder / f"{name}.im.shm", (1000, 1000), "u1")
    except errors.StreamError as error:
        print(pickle.dumps(error).hex())
    room = os.statvfs(folder)
    print(room.f_bavail * room.f_frsize)
    print(sorted(path.name for path in folder.iterdir()))
print(Stream.attach(folder / "small.im.shm").view().sum(), small.replaced())
"""


def check_storage_error(error: Any, name: str, folder: Path, available: int) -> None:
    assert type(error) is StreamStorageError
    assert isinstance(error, OSError)
    assert (error.stream, error.path) == (name, str(folder))
    assert error.needed == 384 + 1_000_000 + 50 * 128 + 10 * 32 + 32 + 4 * 40 + 640
    assert error.available == available
    assert f"needs {error.needed} bytes in {folder}" in str(error)
    assert f"{available} are free" in str(error)


def test_full_file_system(spawn: Spawn, shm_dir: Path) -> None:
    child = spawn(ON_SMALL_TMPFS, shm_dir)
    said = child.hear()
    if said != "mounted":
        pytest.skip(f"a tmpfs cannot be mounted here: {said}")
    for name in ("large", "small"):
        error = pickle.loads(bytes.fromhex(child.hear()))
        check_storage_error(error, name, shm_dir, int(child.hear()))
        # No temporary file is left, and the stream that was to be replaced is untouched.
        assert child.hear() == "['small.im.shm']"
    assert child.hear() == "10000 False"
    assert child.finish()[::2] == (0, "")


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


# --- publishing --------------------------------------------------------------------------------

ONE = np.float32(1)

#: A frame, the field that does not fit, and what was found.
BAD_FRAMES: list[tuple[str, Any, str, object]] = [
    ("float64", np.zeros((2, 3)), "dtype", np.dtype("f8")),
    ("int32", np.zeros((2, 3), "i4"), "dtype", np.dtype("i4")),
    ("bool", np.zeros((2, 3), bool), "dtype", np.dtype(bool)),
    ("big endian", np.zeros((2, 3), ">f4"), "dtype", np.dtype(">f4")),
    ("object", np.full((2, 3), ONE, object), "dtype", np.dtype(object)),
    ("None", None, "dtype", np.dtype(object)),
    ("text", "abc", "dtype", np.dtype("U3")),
    ("list of float", [[0.0] * 3] * 2, "dtype", np.dtype("f8")),
    ("bytes of a frame", np.zeros((2, 12), "u1"), "dtype", np.dtype("u1")),
    ("transposed", np.zeros((3, 2), "f4"), "shape", (3, 2)),
    ("flat", np.zeros(6, "f4"), "shape", (6,)),
    ("one row", np.zeros(3, "f4"), "shape", (3,)),
    ("scalar", ONE, "shape", ()),
    ("stack", np.zeros((1, 2, 3), "f4"), "shape", (1, 2, 3)),
    ("empty", np.zeros((0, 3), "f4"), "shape", (0, 3)),
    ("too large", np.zeros((2, 4), "f4"), "shape", (2, 4)),
]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("frame", "field", "found"), [pytest.param(*row[1:], id=row[0]) for row in BAD_FRAMES]
)
def test_publish_what_does_not_fit(stream: Stream, frame: Any, field: str, found: object) -> None:
    with pytest.raises(FrameMismatchError) as caught:
        stream.publish(frame)
    error = caught.value
    assert type(error) is FrameMismatchError
    assert isinstance(error, ValueError)
    assert isinstance(error, TypeError)
    assert (error.stream, error.field, error.found) == ("cam0", field, found)
    assert error.expected == {"dtype": stream.dtype, "shape": stream.shape}[field]
    assert str(error.expected) in str(error)
    assert str(error.found) in str(error)
    assert (stream.counter, stream.write) == (2, 0)


@pytest.mark.usefixtures("unchanged")
def test_publish_ragged_list(stream: Stream) -> None:
    with pytest.raises(ValueError, match="inhomogeneous"):
        stream.publish([[1], [1, 2]])


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("atime_ns", ["now", 1.5, [1], 2**63, -(2**63) - 1])
def test_publish_bad_time(stream: Stream, atime_ns: Any) -> None:
    for call in (
        lambda: stream.publish(ramp(3), atime_ns=atime_ns),
        lambda: stream.claim(atime_ns=atime_ns),
    ):
        with pytest.raises(StreamArgumentError, match="atime_ns") as caught:
            call()
        assert (caught.value.argument, caught.value.found) == ("atime_ns", atime_ns)
    assert stream.write == 0


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("frames", "field"),
    [
        (np.zeros((2, 3), "f4"), "shape"),
        (np.zeros((1, 3, 2), "f4"), "shape"),
        (np.zeros((1, 2, 3)), "dtype"),
        (np.zeros((1, 2, 3), object), "dtype"),
        (np.zeros((2, 2, 3), "f4")[:, :, ::-1], "order"),
        (np.zeros((2, 2, 3), "f4", order="F"), "order"),
        ([ramp(1)], "dtype"),
        (None, "dtype"),
        (bytes(25), "nbytes"),
    ],
    ids=[
        "one frame",
        "transposed",
        "float64",
        "object",
        "order",
        "Fortran",
        "list",
        "None",
        "bytes",
    ],
)
def test_publish_many_what_does_not_fit(stream: Stream, frames: Any, field: str) -> None:
    with pytest.raises(FrameMismatchError, match="frames") as caught:
        stream.publish_many(frames)
    assert caught.value.field == field


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("frames", "options", "word"),
    [
        (np.zeros((0, 2, 3), "f4"), {}, "0 frames"),
        (np.zeros((2, 2, 3), "f4"), {"count": -1}, "count -1"),
        (np.zeros((2, 2, 3), "f4"), {"interval_ns": -5}, "interval -5 ns"),
    ],
)
def test_publish_many_bad_arguments(
    stream: Stream, frames: np.ndarray, options: dict[str, int], word: str
) -> None:
    with pytest.raises(StreamArgumentError, match=word):
        stream.publish_many(frames, **options)


@pytest.mark.usefixtures("unchanged")
def test_publish_none_of_many(stream: Stream) -> None:
    assert stream.publish_many(ramp(3)[None], count=0) == 2


# --- reading -----------------------------------------------------------------------------------


def read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


#: Memory for one frame that will not do, and the field that is blamed.
BAD_MEMORY: list[tuple[str, Any, str]] = [
    ("list", [0.0] * 6, "dtype"),
    ("None", None, "dtype"),
    ("text", "x" * 24, "dtype"),
    ("array of objects", np.zeros((1, 2, 3), object), "dtype"),
    ("reversed", np.zeros((1, 2, 3), "f4")[:, :, ::-1], "order"),
    ("every other row", np.zeros((1, 4, 3), "f4")[:, ::2], "order"),
    ("Fortran order", np.asfortranarray(np.zeros((1, 2, 3), "f4")), "order"),
    ("read-only array", read_only(np.zeros((1, 2, 3), "f4")), "writeable"),
    ("bytes", bytes(24), "writeable"),
    ("memoryview of bytes", memoryview(bytes(24)), "writeable"),
]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("out", "field"), [pytest.param(*row[1:], id=row[0]) for row in BAD_MEMORY]
)
def test_read_into_bad_memory(stream: Stream, out: Any, field: str) -> None:
    calls = [
        lambda: stream.copy_frame(out[0] if isinstance(out, np.ndarray) else out),
        lambda: stream.receive(out, timeout=0, after=0),
    ]
    for call in calls:
        with pytest.raises(FrameMismatchError, match="out") as caught:
            call()
        assert type(caught.value) is FrameMismatchError
        assert (caught.value.stream, caught.value.field) == ("cam0", field)
        if field == "writeable":
            assert "read-only" in str(caught.value)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("nbytes", [0, 1, 23, 25, 48])
def test_copy_frame_into_another_size(stream: Stream, nbytes: int) -> None:
    out = np.full(nbytes, 7, np.uint8)
    with pytest.raises(FrameMismatchError, match=f"out has {nbytes} bytes") as caught:
        stream.copy_frame(out)
    assert caught.value.field == "nbytes"
    assert (caught.value.expected, caught.value.found) == (24, nbytes)
    assert (out == 7).all()


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("out", "field", "found"),
    [
        (np.zeros((2, 3), "f4"), "shape", (2, 3)),
        (np.zeros((1, 3, 2), "f4"), "shape", (1, 3, 2)),
        (np.zeros((1, 1, 2, 3), "f4"), "shape", (1, 1, 2, 3)),
        (np.zeros((), "f4"), "shape", ()),
        (np.zeros((1, 2, 3), "i4"), "dtype", np.dtype("i4")),
        (np.zeros((1, 2, 3), ">f4"), "dtype", np.dtype(">f4")),
        (bytearray(25), "nbytes", 25),
    ],
)
def test_receive_into_another_shape(stream: Stream, out: Any, field: str, found: object) -> None:
    with pytest.raises(FrameMismatchError) as caught:
        stream.receive(out, timeout=0, after=0)
    error = caught.value
    assert (error.field, error.found) == (field, found)
    expected = {"shape": stream.shape, "dtype": stream.dtype, "nbytes": stream.nbytes}
    assert error.expected == expected[field]
    assert str(found) in str(error)
    assert not np.any(np.frombuffer(out, np.uint8))


#: Objects, seen through something that is not an array, must never get pixels for pointers.
OBJECTS_SEEN_AS_BYTES = """
import numpy as np
from pymilk._core import Stream
from pymilk.errors import FrameMismatchError
stream = Stream.attach("cam8")
stream.publish(np.full(3, 0x4141414141414141, np.uint64))
objects = np.full((1, 3), None)
for call in (
    lambda: stream.copy_frame(objects[0]),
    lambda: stream.copy_frame(memoryview(objects[0])),
    lambda: stream.receive(objects, timeout=0, after=0),
    lambda: stream.receive(memoryview(objects), timeout=0, after=0),
):
    try:
        call()
    except FrameMismatchError as error:
        print(error.field)
print(objects.tolist())
"""


def test_read_into_objects(make_stream: Make, spawn: Spawn) -> None:
    make_stream("cam8", (3,), np.uint64)
    code, out, err = spawn(OBJECTS_SEEN_AS_BYTES).finish()
    assert (code, err) == (0, "")
    assert out.split("\n") == ["dtype"] * 4 + ["[[None, None, None]]", ""]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    "info",
    [
        np.zeros(1, FRAME_ROW),
        np.zeros(2, "u8"),
        np.zeros((), FRAME_ROW),
        np.zeros(4, FRAME_ROW)[::2],
        read_only(np.zeros(2, FRAME_ROW)),
        [1, 2],
        "rows",
    ],
    ids=["too short", "dtype", "no axis", "not contiguous", "read-only", "list", "text"],
)
def test_receive_bad_info(stream: Stream, info: Any) -> None:
    out = np.zeros((2, 2, 3), np.float32)
    with pytest.raises(FrameMismatchError, match="info"):
        stream.receive(out, info, timeout=0, after=0)
    assert not out.any()


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("first", [-1, 3, 2**70])
def test_receive_bad_first(stream: Stream, first: int) -> None:
    out = np.zeros((2, 2, 3), np.float32)
    with pytest.raises(StreamArgumentError, match=f"first is .*not {first}") as caught:
        stream.receive(out, first=first, timeout=0, after=0)
    assert (caught.value.argument, caught.value.found) == ("first", first)


@pytest.mark.parametrize(
    "timeout",
    [float("nan"), -1, -1e-300, float("-inf"), "soon", [], 10**400],
    ids=["nan", "negative", "just negative", "-inf", "text", "list", "huge"],
)
def test_bad_timeout(stream: Stream, timeout: Any) -> None:
    out = np.zeros((1, 2, 3), np.float32)
    reader = stream.reader()
    for call in (
        lambda: stream.wait(timeout, after=0),
        lambda: stream.receive(out, timeout=timeout, after=0),
        lambda: stream.sem_wait(0, timeout),
        lambda: reader.wait(timeout, after=0),
        lambda: reader.receive(out, timeout=timeout, after=0),
    ):
        with pytest.raises(StreamArgumentError, match="timeout is seconds") as caught:
            call()
        assert caught.value.argument == "timeout"
        assert caught.value.found is timeout
    assert not out.any()


@pytest.mark.parametrize("spin_ns", [-3, -(2**70)])
def test_bad_spin(stream: Stream, spin_ns: int) -> None:
    out = np.zeros((1, 2, 3), np.float32)
    for call in (
        lambda: stream.wait(0, after=0, spin_ns=spin_ns),
        lambda: stream.receive(out, timeout=0, after=0, spin_ns=spin_ns),
    ):
        with pytest.raises(StreamArgumentError, match=str(spin_ns)) as caught:
            call()
        assert (caught.value.argument, caught.value.found) == ("spin_ns", spin_ns)


@pytest.mark.parametrize("after", [-1, 2**64, 1.5, "x"])
def test_bad_after(stream: Stream, after: Any) -> None:
    for call in (
        lambda: stream.try_wait(after),
        lambda: stream.wait(0, after=after),
        lambda: stream.receive(OUT, timeout=0, after=after),
    ):
        with pytest.raises(StreamArgumentError, match="after") as caught:
            call()
        assert (caught.value.argument, caught.value.found) == ("after", after)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("index", [-1, 10, 2**70, 1.5, "0"])
def test_bad_semaphore(stream: Stream, index: int) -> None:
    for method in ("post", "flush", "sem_value", "sem_try_wait", "sem_wait"):
        with pytest.raises(StreamArgumentError, match=f"0 to 9, not {index!r}") as caught:
            getattr(stream, method)(index)
        assert (caught.value.argument, caught.value.found) == ("index", index)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("name", ["nope", "", 5, None])
def test_bad_section(stream: Stream, name: Any) -> None:
    with pytest.raises(
        StreamArgumentError, match=f"no section {name!r}; there are keywords,"
    ) as caught:
        stream.section(name)
    assert (caught.value.argument, caught.value.found) == ("name", name)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cnt1", -1),
        ("cnt1", 2**64),
        ("cnt2", "x"),
        ("cnt2", None),
        ("flag", 2**64),
        ("status", 256),
        ("status", -1),
        ("logflag", 256),
        ("flag", 1.5),
        ("owner_pid", 2**31),
        ("owner_pid", -1),
    ],
)
def test_bad_value_of_a_field(stream: Stream, name: str, value: Any) -> None:
    with pytest.raises(StreamArgumentError, match=f"{name} is an int of 0 to ") as caught:
        setattr(stream, name, value)
    assert (caught.value.argument, caught.value.found) == (name, value)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("nbytes", [0, 63, 65])
def test_cuda_handle_of_another_size(stream: Stream, nbytes: int) -> None:
    for value in (None, 5, "x" * 64):
        with pytest.raises(TypeError):
            stream.cuda_handle = value
    with pytest.raises(StreamArgumentError, match=f"64 bytes, not {nbytes}") as caught:
        stream.cuda_handle = bytes(nbytes)
    assert caught.value.argument == "cuda_handle"


def test_fields_that_belong_to_the_writer(stream: Stream) -> None:
    for name in ("counter", "name", "path", "shape", "dtype", "write", "inode", "cb_index"):
        with pytest.raises(AttributeError):
            setattr(stream, name, getattr(stream, name))


# --- keywords ----------------------------------------------------------------------------------

#: A keyword, and the limit and length that the error tells; None where there are none.
BAD_KEYWORDS: list[tuple[str, tuple[Any, ...], int | None, int | None]] = [
    ("name too long", ("N" * 17, 1), 16, 17),
    ("name too long in UTF-8", ("\u00e9" * 9, 1), 16, 18),
    ("name empty", ("", 1), 16, 0),
    ("name with NUL", ("A\0B", 1), 16, 3),
    ("name that cannot be encoded", ("\ud800", 1), None, None),
    ("name no text", (5, 1), None, None),
    ("name bytes", (b"A", 1), None, None),
    ("text too long", ("A", "v" * 17), 16, 17),
    ("text with NUL", ("A", "v\0"), 16, 2),
    ("text that cannot be encoded", ("A", "\udfff"), None, None),
    ("int too large", ("A", 2**63), 64, 64),
    ("int too small", ("A", -(2**63) - 1), 64, 64),
    ("int far too large", ("A", 10**400), 64, 1329),
    ("list", ("A", [1]), None, None),
    ("complex", ("A", 1j), None, None),
    ("bytes", ("A", b"1.5"), None, None),
    ("array", ("A", np.array([1.5, 2.5])), None, None),
    ("fraction beyond float", ("A", fractions.Fraction(10**400)), None, None),
    ("comment too long", ("A", 1, "c" * 81), 80, 81),
    ("comment with NUL", ("A", 1, "c\0"), 80, 2),
    ("comment no text", ("A", 1, 5), None, None),
]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("keyword", "limit", "found"), [pytest.param(*row[1:], id=row[0]) for row in BAD_KEYWORDS]
)
def test_bad_keyword(
    stream: Stream, keyword: tuple[Any, ...], limit: int | None, found: int | None
) -> None:
    with pytest.raises(KeywordError) as caught:
        stream.write_keywords([("NEW", 5), keyword])
    error = caught.value
    assert type(error) is KeywordError
    assert isinstance(error, ValueError)
    assert (error.stream, error.keyword) == ("cam0", str(keyword[0]))
    assert (error.limit, error.found) == (limit, found)
    assert "'cam0'" in str(error)
    if limit is not None:
        assert str(limit) in str(error) or found == 0


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    "keyword",
    [pytest.param(row[1], id=row[0]) for row in BAD_KEYWORDS if not row[0].startswith("name")],
)
def test_bad_update_of_a_keyword(stream: Stream, keyword: tuple[Any, ...]) -> None:
    with pytest.raises(KeywordError) as caught:
        stream.update_keyword("FIRST", *keyword[1:])
    assert caught.value.keyword == "FIRST"


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("cnt", [-1, 2**64, "x", [1]])
def test_keyword_with_bad_count(stream: Stream, cnt: Any) -> None:
    with pytest.raises((KeywordError, TypeError, OverflowError)):
        stream.write_keywords([("NEW", 5), ("A", 1, "", cnt)])


def test_keyword_count_that_is_full(stream: Stream) -> None:
    """The count of a keyword wraps, as unsigned numbers do; the write does not stop halfway."""
    stream.write_keywords([("A", 1, "", 2**64 - 1)])
    stream.write_keywords([("B", 1), ("A", 2)])
    assert stream.read_keywords() == [Keyword("B", 1, "", 1), Keyword("A", 2, "", 0)]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("keywords", [5, None, [("A",)], [("A", 1, "", 1, 1)], [7]])
def test_no_keywords_at_all(stream: Stream, keywords: Any) -> None:
    with pytest.raises(KeywordError, match="name, value"):
        stream.write_keywords(keywords)


@pytest.mark.usefixtures("unchanged")
def test_too_many_keywords(stream: Stream) -> None:
    with pytest.raises(KeywordError, match=r"room for 4 keywords, not 5.*larger nbkw") as caught:
        stream.write_keywords([(f"K{i}", i) for i in range(5)])
    assert (caught.value.keyword, caught.value.limit, caught.value.found) == (None, 4, 5)


@pytest.mark.usefixtures("unchanged")
def test_unknown_keyword(stream: Stream) -> None:
    with pytest.raises(KeywordNotFoundError, match="no keyword 'THIRD'") as caught:
        stream.update_keyword("THIRD", 1)
    assert type(caught.value) is KeywordNotFoundError
    assert isinstance(caught.value, KeyError)
    assert (caught.value.stream, caught.value.keyword) == ("cam0", "THIRD")
    # No quotes around the message, as KeyError would put.
    assert str(caught.value).startswith("stream 'cam0'")


def test_no_room_for_keywords(make_stream: Make) -> None:
    stream = make_stream("bare", (2,), "u1", nbkw=0, nbsem=0)
    stream.write_keywords([])
    stream.clear_keywords()
    assert stream.read_keywords() == []
    with pytest.raises(KeywordError, match="room for 0 keywords"):
        stream.write_keywords([("A", 1)])
    with pytest.raises(KeywordNotFoundError):
        stream.update_keyword("A", 1)


# --- read-only ---------------------------------------------------------------------------------

OUT = np.zeros((1, 2, 3), np.float32)

#: Everything that writes.
WRITING: dict[str, Callable[[Stream], object]] = {
    "publish": lambda s: s.publish(ramp(3)),
    "publish_many": lambda s: s.publish_many(ramp(3)[None]),
    "claim": lambda s: s.claim(),
    "writable view": lambda s: s.view(writable=True),
    "writable section": lambda s: s.section("trace", writable=True),
    "post": lambda s: s.post(),
    "post one": lambda s: s.post(0),
    "flush": lambda s: s.flush(),
    "flush one": lambda s: s.flush(0),
    "sem_try_wait": lambda s: s.sem_try_wait(0),
    "sem_wait": lambda s: s.sem_wait(0, 0),
    "write_keywords": lambda s: s.write_keywords([]),
    "update_keyword": lambda s: s.update_keyword("FIRST", 2),
    "clear_keywords": lambda s: s.clear_keywords(),
    "cnt1": lambda s: setattr(s, "cnt1", 1),
    "cnt2": lambda s: setattr(s, "cnt2", 1),
    "status": lambda s: setattr(s, "status", 1),
    "flag": lambda s: setattr(s, "flag", 1),
    "logflag": lambda s: setattr(s, "logflag", 1),
    "owner_pid": lambda s: setattr(s, "owner_pid", 1),
    "cuda_handle": lambda s: setattr(s, "cuda_handle", bytes(64)),
}


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("call", WRITING.values(), ids=WRITING)
def test_read_only_stream_is_not_written(stream: Stream, call: Callable[[Stream], object]) -> None:
    with Stream.attach("cam0", writable=False) as view:
        with pytest.raises(StreamReadOnlyError, match="attached read-only") as caught:
            call(view)
        assert type(caught.value) is StreamReadOnlyError
        assert isinstance(caught.value, PermissionError)
        assert caught.value.stream == "cam0"


def test_read_only_stream_is_read(stream: Stream) -> None:
    with Stream.attach("cam0", writable=False) as view:
        out, info = OUT.copy(), np.zeros(1, FRAME_ROW)
        assert view.receive(out, info, timeout=0, after=1) == 1
        assert out[0].tolist() == ramp(2).tolist()
        assert view.copy_frame(out) == _core.FLAG_VERIFIED
        assert view.wait(0, after=1) == 2
        assert view.try_wait(2) is None
        assert view.sem_index is None
        assert view.reader().flush() == 0
        assert view.sem_values() == [2] * 10
        assert [keyword.name for keyword in view.read_keywords()] == ["FIRST", "SECOND"]
        with pytest.raises(StreamTimeoutError):
            view.wait(0)
        # A writer elsewhere is seen at once.
        stream.publish(ramp(3))
        assert view.view().tolist() == ramp(3).tolist()


def test_views_of_a_reader_cannot_be_made_writable(stream: Stream) -> None:
    with Stream.attach("cam0", writable=False) as view:
        arrays = [view.view(), view.section("ring_slots"), stream.view(), stream.section("trace")]
        for array in arrays:
            with pytest.raises(ValueError, match="WRITEABLE"):
                array.flags.writeable = True
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0


def test_read_only_stream_can_be_destroyed(stream: Stream) -> None:
    # Deleting a file needs permission of its directory, not of the file.
    with Stream.attach("cam0", writable=False) as view:
        view.destroy()
        assert view.closed
    assert stream.deleted


# --- after close -------------------------------------------------------------------------------

#: Every method of Stream. Class methods and close are tested by name below.
CALLS: dict[str, Callable[[Stream], object]] = {
    "destroy": lambda s: s.destroy(),
    "check_whole": lambda s: s.check_whole(),
    "read": lambda s: s.read(),
    "announce": lambda s: s.announce(),
    "take_semaphore": lambda s: s.take_semaphore(0),
    "replaced": lambda s: s.replaced(),
    "successor": lambda s: s.successor(),
    "view": lambda s: s.view(),
    "copy_frame": lambda s: s.copy_frame(OUT),
    "publish": lambda s: s.publish(ramp(3)),
    "claim": lambda s: s.claim(),
    "publish_many": lambda s: s.publish_many(OUT),
    "reader": lambda s: s.reader(),
    "wait": lambda s: s.wait(0),
    "try_wait": lambda s: s.try_wait(0),
    "receive": lambda s: s.receive(OUT, timeout=0),
    "post": lambda s: s.post(),
    "flush": lambda s: s.flush(),
    "sem_value": lambda s: s.sem_value(0),
    "sem_values": lambda s: s.sem_values(),
    "ring_cursor": lambda s: s.ring_cursor(),
    "free_reader": lambda s: s.free_reader(),
    "sem_try_wait": lambda s: s.sem_try_wait(0),
    "sem_wait": lambda s: s.sem_wait(0, 0),
    "section": lambda s: s.section("trace"),
    "read_keywords": lambda s: s.read_keywords(),
    "write_keywords": lambda s: s.write_keywords([]),
    "update_keyword": lambda s: s.update_keyword("FIRST", 1),
    "clear_keywords": lambda s: s.clear_keywords(),
    "clock_write": lambda s: s.clock_write(0.0),
    "publish_feed": lambda s: s.publish_feed(FrameFeed(2, (2, 3), np.dtype("f4"), None)),
    "publish_from": lambda s: s.publish_from(Stream.local("other", (2, 3), "f4").reader()),
}

#: What the handle still knows without its memory.
STILL_KNOWN = {
    "name": "cam0",
    "shape": (2, 3),
    "frame_shape": (2, 3),
    "size": (3, 2),
    "dtype": np.dtype("f4"),
    "naxis": 2,
    "nelement": 6,
    "nbytes": 24,
    "datatype": 9,
    "imagetype": 2,
    "temporal": False,
    "exclusive": False,
    "location": -1,
    "layout": "default",
    "file_nbytes": 384 + 24 + 4 * 128 + 320 + 32 + 4 * 40 + 640 + 2 * 48 + 2 * 24,
    "nbsem": 10,
    "nbkw": 4,
    "nbproctrace": 10,
    "cb_size": 2,
    "note": "",
    "closed": True,
    "damaged": False,
    "writable": False,
}


def public(cls: type) -> dict[str, Any]:
    """Return what a class and its bases offer."""
    found = {name: item for base in reversed(cls.__mro__[:-1]) for name, item in vars(base).items()}
    return {name: item for name, item in found.items() if not name.startswith("_")}


def is_data(item: object) -> bool:
    return inspect.isdatadescriptor(item) or inspect.ismemberdescriptor(item)


def test_every_method_is_in_the_table() -> None:
    methods = {name for name, item in public(Stream).items() if not is_data(item)}
    assert methods - {"attach", "create", "local", "close"} == set(CALLS)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_use_after_close(stream: Stream, call: Callable[[Stream], object]) -> None:
    before = content(stream)
    stream.close()
    with pytest.raises(StreamClosedError, match="'cam0': the handle is closed; attach") as caught:
        call(stream)
    assert type(caught.value) is StreamClosedError
    assert isinstance(caught.value, ValueError)
    assert caught.value.stream == "cam0"
    assert content(stream) == before


def test_fields_after_close(stream: Stream) -> None:
    path = stream.path
    stream.close()
    known = {}
    for name, item in public(Stream).items():
        if not is_data(item):
            continue
        with contextlib.suppress(StreamClosedError):
            known[name] = getattr(stream, name)
    assert known.pop("path") == path
    known.pop("frame_counter")
    known.pop("frame_flags")
    assert known == STILL_KNOWN
    for name in ("cnt1", "cnt2", "status", "flag", "logflag", "owner_pid", "cuda_handle"):
        with pytest.raises(StreamClosedError):
            setattr(stream, name, bytes(64) if name == "cuda_handle" else 1)
    assert repr(stream) == "<Stream 'cam0' closed>"


def test_close_twice(stream: Stream) -> None:
    assert not stream.closed
    stream.close()
    stream.close()
    assert stream.closed
    with pytest.raises(StreamClosedError), stream:
        pass
    with Stream.attach("cam0") as other:
        other.close()
    assert other.closed


def test_views_outlive_the_handle(stream: Stream) -> None:
    frame, slots = stream.view(), stream.section("ring_slots")
    stream.close()
    assert frame.tolist() == ramp(2).tolist()
    assert slots[1].tolist() == ramp(1).tolist()


@pytest.mark.parametrize("whose", ["reader", "stream"])
def test_reader_after_close(stream: Stream, make_stream: Make, whose: str) -> None:
    target = make_stream("target", (2, 3), np.float32)
    reader = stream.reader()
    reader.flush()
    assert (reader.closed, reader.sem_index) == (False, 0)
    if whose == "stream":
        stream.close()
    else:
        reader.close()
        reader.close()
    assert reader.closed
    for call in (
        lambda: reader.wait(0),
        lambda: reader.try_wait(0),
        lambda: reader.flush(),
        lambda: reader.arm(),
        lambda: reader.receive(OUT, timeout=0),
        lambda: reader.collect(PrivateRing(2, (2, 3), np.float32), timeout=0),
        lambda: reader.relay(target, timeout=0),
    ):
        with pytest.raises(StreamClosedError, match="'cam0'"):
            call()
    reader.stop()
    assert (reader.name, reader.received, reader.repeated, reader.torn) == ("cam0", 0, 0, 0)
    assert target.counter == 0
    assert stream.closed == (whose == "stream")


def test_every_method_of_a_reader_is_tested() -> None:
    methods = {name for name, item in public(Reader).items() if not is_data(item)}
    assert methods == {
        "wait",
        "try_wait",
        "flush",
        "arm",
        "receive",
        "collect",
        "relay",
        "stop",
        "close",
    }


# --- claims ------------------------------------------------------------------------------------


def test_claim_left_without_being_entered(stream: Stream) -> None:
    claim = stream.claim()
    for _ in range(2):
        with pytest.raises(StreamBusyError, match="was not entered, or was left already") as caught:
            claim.__exit__(None, None, None)
        assert type(caught.value) is StreamBusyError
        assert caught.value.stream == "cam0"
    assert (claim.counter, stream.counter, stream.write) == (None, 2, 0)


def test_claim_left_twice(stream: Stream) -> None:
    with stream.claim() as frame:
        frame[:] = ramp(3)
    claim = stream.claim()
    claim.__enter__()
    claim.__exit__(None, None, None)
    assert claim.counter == stream.counter == 4
    with pytest.raises(StreamBusyError):
        claim.__exit__(None, None, None)
    assert (claim.counter, stream.counter, stream.write) == (4, 4, 0)


def test_nested_claims(stream: Stream) -> None:
    second = stream.claim()
    with stream.claim() as frame:
        frame[:] = ramp(3)
        for call in (
            second.__enter__,
            lambda: stream.claim().__enter__(),
            lambda: second.__exit__(None, None, None),
            lambda: stream.publish(ramp(4)),
            lambda: stream.publish_many(ramp(4)[None]),
        ):
            with pytest.raises(StreamBusyError) as caught:
                call()
            assert caught.value.stream == "cam0"
        assert (stream.counter, stream.write) == (2, 1)
        # Reading goes on.
        assert stream.view().tolist() == ramp(3).tolist()
    assert (stream.counter, stream.write) == (3, 0)
    assert stream.section("ring_slots")[1].tolist() == ramp(3).tolist()
    with second as frame:
        frame[:] = ramp(4)
    assert (second.counter, stream.counter) == (4, 4)


def test_exception_abandons_the_claim(stream: Stream) -> None:
    before = fmt.decode(content(stream))
    claim = stream.claim(atime_ns=5)
    with pytest.raises(ZeroDivisionError), claim as frame:  # noqa: PT012
        frame[0, 0] = -1
        frame[1, 2] = 1 / 0
    assert claim.counter is None
    assert (stream.counter, stream.write) == (2, 0)
    # What was changed stays changed, and nothing else was.
    assert stream.view()[0, 0] == -1
    stream.view(writable=True)[0, 0] = ramp(2)[0, 0]
    after = fmt.decode(content(stream))
    # Readers compare this stamp, so that a copy made meanwhile is not taken for a whole frame.
    assert after.lastaccesstime > before.lastaccesstime
    after.lastaccesstime = before.lastaccesstime
    assert after == before
    # The same claim can be tried again.
    with claim as frame:
        frame[:] = ramp(3)
    assert (claim.counter, stream.acquisition_time_ns) == (3, 5)


def test_close_inside_a_claim(stream: Stream) -> None:
    with Stream.attach("cam0") as other:
        with stream.claim() as frame:
            stream.close()
            frame[:] = ramp(3)
        assert (other.counter, other.write) == (3, 0)
        assert other.view().tolist() == ramp(3).tolist()


def test_claim_of_a_stream_that_was_closed_meanwhile(stream: Stream) -> None:
    claim = stream.claim()
    stream.close()
    with pytest.raises(StreamClosedError), claim:
        pass
    assert claim.counter is None


def test_claim_of_gpu_pixels(make_stream: Make) -> None:
    stream = make_stream("gpu", (2, 3), "f4", location=0)
    for call in (stream.claim, lambda: stream.publish(ramp(1)), lambda: stream.publish_many(OUT)):
        with pytest.raises(errors.StreamFormatError, match="on GPU 0") as caught:
            call()
        assert (caught.value.field, caught.value.expected, caught.value.found) == (
            "location",
            -1,
            0,
        )
    assert (stream.counter, stream.write) == (0, 0)


# --- objects that are not made by calling their class ------------------------------------------


@pytest.mark.parametrize("cls", [Stream, Reader, Claim, Mapping, RingCursor])
def test_class_cannot_be_called(cls: type) -> None:
    with pytest.raises(TypeError, match=r"use|is made by"):
        cls()


#: What object-copying protocols may do; none of it may end the process.
EMPTY_OBJECTS = """
from pymilk._core import Claim, PrivateRing, Reader, RingCursor, Stream
for cls in (Stream, Reader, Claim, PrivateRing, RingCursor):
    try:
        empty = cls.__new__(cls)
    except TypeError:
        continue
    for name in dir(empty):
        if name in ("__enter__", "__exit__") or not name.startswith("_"):
            for arguments in ((), (1,), (None, None, None)):
                try:
                    getattr(empty, name)(*arguments)
                except Exception:
                    pass
print("alive")
"""


def test_empty_objects_do_not_crash(spawn: Spawn) -> None:
    assert spawn(EMPTY_OBJECTS).finish() == (0, "alive\n", "")


def test_streams_are_not_pickled(stream: Stream) -> None:
    ring = PrivateRing(2, (2, 3), np.float32)
    for item in (stream, stream.reader(), stream.claim(), stream.ring_cursor(), ring, ring.cursor()):
        with pytest.raises(TypeError):
            pickle.dumps(item)
    with pytest.raises(TypeError, match="pass its name"):
        copy.copy(stream)


# --- exceptions --------------------------------------------------------------------------------

EXCEPTIONS = list({getattr(errors, name): 0 for name in errors.__all__ if name.endswith("Error")})
WARNINGS = [getattr(errors, name) for name in errors.__all__ if name.endswith("Warning")]


def test_list_of_exceptions_is_complete() -> None:
    defined = {
        item.__name__
        for item in vars(errors).values()
        if inspect.isclass(item)
        and issubclass(item, Exception)
        and item.__module__ == "pymilk.errors"
    }
    assert defined == {cls.__name__ for cls in EXCEPTIONS + WARNINGS}
    assert all(issubclass(cls, errors.StreamError) for cls in EXCEPTIONS)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("cls", EXCEPTIONS)
def test_exception_survives_pickling(cls: type[errors.StreamError], protocol: int) -> None:
    attributes = {field: (field, 2**64 - 1, 0.5) for field in cls.fields}
    message = "stream 'cam0': no \N{SNOWMAN}, 'quotes' and\nlines"
    error = cls(message, stream="cam0", **attributes)
    for again in (pickle.loads(pickle.dumps(error, protocol)), copy.copy(error)):
        assert type(again) is cls
        assert again.__class__.__mro__ == cls.__mro__
        assert str(again) == again.message == message
        assert again.args == (message,)
        assert again.stream == "cam0"
        assert {field: getattr(again, field) for field in cls.fields} == attributes


@pytest.mark.parametrize("cls", EXCEPTIONS)
def test_exception_without_attributes(cls: type[errors.StreamError]) -> None:
    error = pickle.loads(pickle.dumps(cls("message")))
    assert str(error) == "message"
    assert error.stream is None
    assert all(getattr(error, field) is None for field in cls.fields)
    with pytest.raises(TypeError, match="no attribute"):
        cls("message", colour="red")


@pytest.mark.parametrize("cls", WARNINGS)
def test_warning_survives_pickling(cls: type[Warning]) -> None:
    again = pickle.loads(pickle.dumps(cls("message")))
    assert (type(again), str(again)) == (cls, "message")
    assert issubclass(cls, UserWarning)


def test_raised_exceptions_survive_pickling(stream: Stream) -> None:
    """The attributes of real ones, arrays and dtypes among them."""
    raised = []
    for call in (
        lambda: Stream.attach("missing"),
        lambda: Stream.attach(""),
        lambda: Stream.create("bad", (0,), "u1"),
        lambda: stream.publish(np.zeros((3, 2))),
        lambda: stream.receive(OUT, np.zeros(0, FRAME_ROW), timeout=0),
        lambda: stream.wait(0),
        lambda: stream.update_keyword("THIRD", 1),
        lambda: stream.write_keywords([("A", "v" * 17)]),
    ):
        with pytest.raises(errors.StreamError) as caught:
            call()
        raised.append(caught.value)
    for error in raised:
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again)) == (type(error), str(error))
        for field in error.fields:
            assert repr(getattr(again, field)) == repr(getattr(error, field))
