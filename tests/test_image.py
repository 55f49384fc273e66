"""`Image`: every member of ImageStreamIOWrap, between processes too, and the calls that scripts make."""

from __future__ import annotations

import array
import contextlib
import copy
import datetime
import gc
import inspect
import math
import os
import pickle
import shutil
import signal
import struct
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import golden
import isio_format as fmt
import pymilk.ImageStreamIOWrap as ISIO
from pymilk import Stream
from pymilk.errors import (
    FrameMismatchError,
    FrameTornWarning,
    ImageNotInitializedError,
    ImageUnsupportedError,
    KeywordError,
    KeywordTableFullError,
    StreamArgumentError,
    StreamFormatError,
    StreamReadOnlyError,
)
from pymilk.image import image_over

Image, Image_kw, Image_md = ISIO.Image, ISIO.Image_kw, ISIO.Image_md
FLOAT = ISIO.ImageStreamIODataType.FLOAT
TEMPORAL = 0x20001

Make = Callable[..., Any]
Spawn = Callable[..., Any]

#: For a second process; the name of the stream is its first argument.
OPENED = """
import sys
import numpy as np
from pymilk.ImageStreamIOWrap import Image, Image_kw
image = Image()
assert image.open(sys.argv[1]) == 0, image.last_error
print("open", flush=True)
"""


@pytest.fixture
def make() -> Iterator[Make]:
    """Make an Image that is open: of a new stream of these pixels, or of one that is there."""
    made: list[Any] = []

    def opened(name: str, buffer: Any = None, *args: Any, **options: Any) -> Any:
        image = Image()
        code = image.open(name) if buffer is None else image.create(name, buffer, *args, **options)
        assert code == 0, image.last_error
        made.append(image)
        return image

    yield opened
    for image in made:
        if image.memsize:
            image.close()


@pytest.fixture
def foreign(shm_dir: Path) -> Callable[[fmt.StreamFile], None]:
    """Put a stream that pymilk did not make into the directory."""

    def put(stream: fmt.StreamFile) -> None:
        (shm_dir / f"{stream.name}.im.shm").write_bytes(fmt.encode(stream))

    return put


def ramp(*size: int, dtype: Any = "f4") -> Any:
    """Pixels that tell where they are, first index fastest."""
    return np.arange(math.prod(size)).astype(dtype).reshape(size, order="F")


def text(stored: str) -> str:
    """Text as it stands in a golden file, in hexadecimal digits."""
    return bytes.fromhex(stored).split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def local_time(stamp: Any) -> datetime.datetime:
    """A stored time as datetime, by another way than pymilk's."""
    start = datetime.datetime.fromtimestamp(stamp[0])
    return start + datetime.timedelta(microseconds=stamp[1] // 1000)


# -- not open -----------------------------------------------------------------------------------------

CALLS: dict[str, Callable[[Any], Any]] = {
    "close": lambda image: image.close(),
    "copy": lambda image: image.copy(),
    "destroy": lambda image: image.destroy(),
    "get_kws": lambda image: image.get_kws(),
    "get_kws_list": lambda image: image.get_kws_list(),
    "getsemwaitindex": lambda image: image.getsemwaitindex(0),
    "semflush": lambda image: image.semflush(-1),
    "sempost": lambda image: image.sempost(),
    "semtimedwait": lambda image: image.semtimedwait(0, 0.01),
    "semtrywait": lambda image: image.semtrywait(0),
    "semvalue": lambda image: image.semvalue(0),
    "semwait": lambda image: image.semwait(0),
    "set_kws": lambda image: image.set_kws({}),
    "set_kws_list": lambda image: image.set_kws_list([]),
    "update": lambda image: image.update(),
    "update_atime": lambda image: image.update_atime(1.0),
    "view": lambda image: image.view(),
    "write": lambda image: image.write(np.zeros(3, "f4")),
}

ATTRIBUTES = (
    "acqtimearray",
    "cntarray",
    "md",
    "semReadPID",
    "semWritePID",
    "shape",
    "streamproctrace0",
    "writetimearray",
)

ALWAYS_THERE = {"create", "last_error", "memsize", "open", "used"}

BUFFERS: dict[str, Callable[[Any], Any]] = {
    "memoryview": memoryview,
    "np.array": np.array,
    "np.array, no copy": lambda image: np.array(image, copy=False),
    "np.asarray": np.asarray,
    "np.squeeze": np.squeeze,
    "array method": lambda image: image.__array__(),
}

EVERY: dict[str, Callable[[Any], Any]] = {
    **CALLS,
    **{name: lambda image, name=name: getattr(image, name) for name in ATTRIBUTES},
    **BUFFERS,
}


def test_no_member_is_forgotten() -> None:
    public = {name for name in dir(Image) if not name.startswith("_")}
    assert public == set(CALLS) | set(ATTRIBUTES) | ALWAYS_THERE


@pytest.mark.parametrize("member", EVERY)
@pytest.mark.parametrize("state", ["new", "closed", "destroyed", "not found"])
def test_not_initialized(member: str, state: str) -> None:
    image = Image()
    if state != "new":
        assert image.create("x", ramp(3)) == 0
    if state == "closed":
        assert image.close() == 0
    elif state == "destroyed":
        assert image.destroy() == 0
    elif state == "not found":
        assert image.open("nowhere") == 40
    with pytest.raises(RuntimeError, match=r"^image not initialized$") as caught:
        EVERY[member](image)
    assert type(caught.value) is ImageNotInitializedError
    assert (image.used, image.memsize) == (0, 0)
    assert repr(image) == "<Image not initialized>"


def test_metadata_that_outlives_its_image(make: Make) -> None:
    image = make("x", ramp(3))
    md, trace = image.md, image.streamproctrace0
    assert (md.cnt0, trace.cnt0) == (1, 0)
    image.close()
    for read in (lambda: md.cnt0, lambda: md.naxis, lambda: repr(md), lambda: trace.cnt0, lambda: md.acqtime):
        with pytest.raises(ImageNotInitializedError):
            read()


def test_metadata_keeps_a_forgotten_image_open() -> None:
    def metadata() -> Any:
        image = Image()
        assert image.create("x", ramp(3)) == 0
        return image.md

    md = metadata()
    gc.collect()
    assert (md.name, md.cnt0) == ("x", 1)


@pytest.mark.parametrize("name", [*ATTRIBUTES, "used", "memsize", "last_error"])
def test_attributes_cannot_be_set(make: Make, name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(make("x", ramp(3)), name, 1)


def test_image_takes_no_arguments() -> None:
    for arguments in (("x",), (1,)):
        with pytest.raises(TypeError):
            Image(*arguments)


def test_signatures() -> None:
    signatures = {
        "create": "name, buffer, location=-1, shared=1, NBsem=10, NBkw=1, imagetype=2, CBsize=0",
        "open": "name",
        "getsemwaitindex": "index",
        "semwait": "index",
        "semtimedwait": "index, timeoutsec",
        "semtrywait": "index",
        "sempost": "index=-1",
        "semflush": "index",
        "semvalue": "index",
        "set_kws": "keywords",
        "set_kws_list": "keywords",
        "update_atime": "atime",
        "write": "buffer",
    }
    for name in CALLS | {"open": None, "create": None}:
        parameters = list(inspect.signature(getattr(Image, name)).parameters.values())[1:]
        shown = ", ".join(
            each.name if each.default is each.empty else f"{each.name}={int(each.default)}"
            for each in parameters
        )
        assert shown == signatures.get(name, ""), name


# -- create -------------------------------------------------------------------------------------------

DTYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", "c8", "c16"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_create_every_type(make: Make, dtype: str) -> None:
    pixels = ramp(4, 3, 2, dtype=dtype)
    image = make("x", pixels)
    assert (image.used, image.shape, image.md.cnt0, image.md.cnt1) == (1, (4, 3, 2), 1, 1)
    assert image.md.datatype == ISIO.ImageStreamIODataType(int(image.md.datatype)).type
    assert ISIO.ImageStreamIODataType(image.md.datatype).dtype == dtype
    assert [image.semvalue(k) for k in range(10)] == [1] * 10
    assert image.md.acqtime == image.md.writetime
    for found in (image.copy(), image.view(), np.array(image), np.asarray(image)):
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, pixels)
    assert repr(image) == f"<Image 'x' shape=(4, 3, 2) dtype={np.dtype(dtype)}>"


BUFFER_KINDS: dict[str, Callable[[], Any]] = {
    "C order": lambda: np.ascontiguousarray(ramp(4, 3)),
    "F order": lambda: ramp(4, 3),
    "strided": lambda: np.repeat(np.repeat(ramp(4, 3), 2, 0), 3, 1)[::2, ::3],
    "reversed": lambda: ramp(4, 3)[::-1, ::-1].copy()[::-1, ::-1],
    "other byte order": lambda: ramp(4, 3, dtype=">f4"),
    "memoryview": lambda: memoryview(np.ascontiguousarray(ramp(4, 3))),
    "read-only": lambda: np.frombuffer(ramp(4, 3).T.tobytes(), "f4").reshape(3, 4).T,
}


@pytest.mark.parametrize("kind", BUFFER_KINDS)
def test_create_and_write_any_memory(make: Make, kind: str) -> None:
    image = make("x", BUFFER_KINDS[kind]())
    assert (image.shape, image.md.datatype) == ((4, 3), FLOAT)
    np.testing.assert_array_equal(image.copy(), ramp(4, 3))
    image.view()[:] = 0
    image.write(BUFFER_KINDS[kind]())
    np.testing.assert_array_equal(image.copy(), ramp(4, 3))
    assert image.md.cnt0 == 2


def test_buffers_that_are_no_arrays(make: Make) -> None:
    image = make("x", array.array("d", [1, 2, 3]))
    assert image.copy().tolist() == [1, 2, 3]
    image = make("b", b"abc")
    assert (image.md.datatype, bytes(image.copy())) == (1, b"abc")
    image = make("bits", np.array([True, False]))
    image.write(np.array([False, True]))
    assert (image.md.datatype, image.copy().tolist()) == (1, [0, 1])
    other = make("copied", image)
    other.write(image)
    assert other.copy().tolist() == [0, 1]


@pytest.mark.parametrize(
    ("code", "change"),
    [
        (10, {"name": ""}),
        (1, {"name": "x" * 200}),
        (1, {"name": "a/b"}),
        (1, {"name": "a\0b"}),
        (10, {"buffer": np.float32(1)}),
        (10, {"buffer": np.zeros((1, 1, 1, 1))}),
        (10, {"buffer": np.zeros((2, 0))}),
        (10, {"buffer": np.broadcast_to(np.uint8(0), (10**6, 10**5))}),
        (10, {"location": -2}),
        (10, {"NBsem": -1}),
        (10, {"NBsem": 70_000}),
        (10, {"NBkw": 70_000}),
        (10, {"NBkw": 1.5}),
        (10, {"CBsize": -1}),
        (10, {"imagetype": 1}),
        (10, {"imagetype": -1}),
    ],
)
@pytest.mark.parametrize("shared", [0, 1])
def test_refused(make: Make, shm_dir: Path, code: int, change: dict[str, Any], shared: int) -> None:
    image = make("before", ramp(3))
    assert image.create(**{"name": "x", "buffer": ramp(4, 3), "shared": shared, **change}) == code
    assert str(image.last_error)
    assert (image.used, image.memsize) == (0, 0)
    assert [path.name for path in shm_dir.iterdir()] == ["before.im.shm"]
    assert image.create("x", ramp(3)) == 0
    assert image.last_error is None
    image.close()


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ((np.zeros(3, object),), RuntimeError, "Not implemented datatype"),
        ((np.zeros(3, "M8[s]"),), RuntimeError, "Not implemented datatype"),
        ((np.zeros(3, "S4"),), RuntimeError, "Not implemented datatype"),
        ((np.zeros(3, np.longdouble),), RuntimeError, "Not implemented datatype"),
        ((np.zeros(3), 0), RuntimeError, "unsupported location"),
        (([1, 2, 3],), TypeError, "has to be an array, not a list"),
        (((1, 2, 3),), TypeError, "has to be an array, not a tuple"),
        ((3,), TypeError, "has to be an array, not a int"),
        ((None,), TypeError, "has to be an array, not a NoneType"),
    ],
)
def test_unsupported(make: Make, shm_dir: Path, arguments: Any, kind: Any, message: str) -> None:
    image = make("before", ramp(3))
    with pytest.raises(kind, match=message) as caught:
        image.create("x", *arguments)
    assert type(caught.value).__module__ == "pymilk.errors"
    assert (image.md.name, image.md.cnt0) == ("before", 1)
    assert [path.name for path in shm_dir.iterdir()] == ["before.im.shm"]


def test_all_options(make: Make) -> None:
    image = make("x", ramp(4, 3), -1, True, 3, 5, ISIO.ImageStreamIOType.IMG_RECV_TYPE, 4)
    md = image.md
    assert (md.sem, md.NBkw, md.imagetype, md.shared, md.location) == (3, 5, 4, 1, -1)
    # The frame went through the ring as well.
    with Stream.attach("x") as stream:
        assert (stream.cb_size, stream.cb_index) == (4, 1)
        np.testing.assert_array_equal(stream.section("ring_slots")[1].T, ramp(4, 3))


def test_local_image(shm_dir: Path) -> None:
    image = Image()
    assert image.create("x", ramp(4, 3), shared=0) == 0
    assert not list(shm_dir.iterdir())
    assert (image.used, image.md.shared, image.md.cnt0) == (1, 0, 1)
    image.write(ramp(4, 3) + 1)
    assert image.update() == 0
    np.testing.assert_array_equal(image.copy(), ramp(4, 3) + 1)
    assert (image.md.cnt0, image.semvalue(0)) == (3, 3)
    image.set_kws_list([Image_kw("A", 1)])
    view = image.view()
    assert image.destroy() == 0
    assert view[1, 0] == 2


def test_create_is_seen_by_another_process(make: Make, spawn: Spawn) -> None:
    image = make("x", ramp(4, 3), NBkw=3)
    image.set_kws_list([Image_kw("EXPTIME", 0.5, "s")])
    child = spawn(
        OPENED
        + """
assert (image.used, image.shape, image.md.cnt0, image.md.cnt1, image.md.sem) == (0, (4, 3), 1, 1, 10)
assert np.array_equal(image.copy(), np.arange(12, dtype="f4").reshape(4, 3, order="F"))
assert {name: kw.value for name, kw in image.get_kws().items()} == {"EXPTIME": 0.5}
image.write(np.full((4, 3), 7, "f4"))
image.set_kws({"A": Image_kw("A", 3)})
assert image.destroy() == 0  # it was opened only
""",
        "x",
    )
    child.expect("open")
    assert child.finish() == (0, "", "")
    assert (image.copy() == 7).all()
    assert (image.md.cnt0, image.md.cnt1) == (2, 2)
    assert image.semWritePID == [child.pid] * 10
    assert list(image.get_kws()) == ["A"]
    assert os.path.exists(os.path.join(os.environ["MILK_SHM_DIR"], "x.im.shm"))


def test_no_room(spawn: Spawn, shm_dir: Path) -> None:
    child = spawn(
        """
import resource
import numpy as np
from pymilk.ImageStreamIOWrap import Image
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, resource.RLIM_INFINITY))
image = Image()
print(image.create("x", np.zeros(100_000, "u1")), image.memsize, type(image.last_error).__name__)
"""
    )
    child.expect("42 0 StreamStorageError")
    assert child.finish() == (0, "", "")
    assert not list(shm_dir.iterdir())


def test_no_mapping(make: Make, spawn: Spawn) -> None:
    make("x", np.zeros(32 << 20, "u1"))
    child = spawn(
        """
import resource
from pymilk.ImageStreamIOWrap import Image
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (16 << 20), resource.RLIM_INFINITY))
image = Image()
print(image.open("x"), image.memsize, type(image.last_error).__name__)
"""
    )
    child.expect("50 0 StreamStorageError")
    assert child.finish() == (0, "", "")


def test_no_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILK_SHM_DIR", "/nowhere")
    image = Image()
    assert (image.create("x", ramp(3)), image.open("x")) == (40, 40)
    assert "/nowhere" in str(image.last_error)


def test_directory_may_be_set_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILK_SHM_DIR", str(tmp_path))
    image = Image()
    assert image.create("x", ramp(3)) == 0
    assert (tmp_path / "x.im.shm").stat().st_size == image.memsize
    image.destroy()


# -- open, close, destroy -----------------------------------------------------------------------------


def test_open_codes(shm_dir: Path) -> None:
    good = bytearray(fmt.encode(fmt.fresh("x", (8, 4), 9, nbkw=4, nbsem=3)))

    def put(name: str, field: str, value: Any) -> None:
        data = bytearray(good)
        fmt.patch(data, field, value)
        (shm_dir / f"{name}.im.shm").write_bytes(data)

    (shm_dir / "short.im.shm").write_bytes(good[:-8])
    (shm_dir / "nothing.im.shm").write_bytes(b"")
    put("old", "version", "1.99")
    put("unready", "version", "")
    put("many", "nelement", 10_000_000_001)
    put("other", "nelement", 1000)
    put("axes", "naxis", 7)
    shutil.copy(golden.path("ga_gpu"), shm_dir / "gpu.im.shm")
    (shm_dir / "x.im.shm").write_bytes(good)
    expected = {
        "nowhere": 40,
        "": 40,
        None: 40,
        "y" * 200: 40,
        "short": 40,
        "nothing": 40,
        "axes": 40,
        "other": 40,
        "old": 100,
        "unready": 100,
        "many": 1,
        "gpu": 1,
    }
    image = Image()
    for name, code in expected.items():
        assert image.open("x") == 0
        assert image.last_error is None
        assert (image.open(name), image.memsize) == (code, 0), name  # type: ignore[arg-type]
        assert str(image.last_error)
    assert isinstance(image.last_error, ImageUnsupportedError)


def test_open_again_and_again(make: Make) -> None:
    make("a", ramp(3))
    make("b", ramp(4, 3))
    image = Image()
    for name, shape in (("a", (3,)), ("b", (4, 3)), ("a", (3,))):
        assert image.open(name) == 0
        assert (image.md.name, image.shape, image.used) == (name, shape, 0)
        assert image.memsize == os.path.getsize(Path(os.environ["MILK_SHM_DIR"], f"{name}.im.shm"))
    image.close()


def test_arrays_stay_valid_memory(make: Make) -> None:
    image = make("x", ramp(4, 3))
    arrays = [image.view(), np.asarray(image), np.array(image, copy=False), memoryview(image)]
    image.destroy()
    del image
    gc.collect()
    for found in arrays:
        np.testing.assert_array_equal(found, ramp(4, 3))


def test_destroy_by_the_creator_only(make: Make, shm_dir: Path) -> None:
    creator, reader = make("x", ramp(3)), make("x")
    assert reader.destroy() == 0
    assert reader.md.cnt0 == 1  # nothing happened to it
    with pytest.raises(TypeError):
        creator.destroy("x")
    assert creator.destroy() == 0
    assert not list(shm_dir.iterdir())
    with pytest.raises(ImageNotInitializedError):
        creator.destroy()
    assert reader.copy().tolist() == [0, 1, 2]  # the memory lives on


def test_destroy_never_removes_a_replacement(make: Make, spawn: Spawn, shm_dir: Path) -> None:
    image = make("x", ramp(3))
    child = spawn(
        """
import numpy as np
from pymilk.ImageStreamIOWrap import Image
image = Image()
assert image.create("x", np.full((4, 3), 7.0)) == 0
print("replaced", flush=True)
input()
assert (image.copy() == 7).all()
"""
    )
    child.expect("replaced")
    # The old memory is not followed, and works.
    image.write(ramp(3) + 1)
    assert (image.md.cnt0, image.shape) == (2, (3,))
    assert image.md.inode != os.stat(shm_dir / "x.im.shm").st_ino
    assert image.destroy() == 0
    assert image.memsize == 0
    again = make("x")
    assert (again.shape, again.md.cnt0, again.copy()[0, 0]) == ((4, 3), 1, 7)
    assert again.md.inode == os.stat(shm_dir / "x.im.shm").st_ino
    child.tell()
    assert child.finish() == (0, "", "")


def test_destroy_what_is_gone(make: Make, shm_dir: Path) -> None:
    image = make("x", ramp(3))
    os.unlink(shm_dir / "x.im.shm")
    image.write(ramp(3) + 1)
    assert image.copy().tolist() == [1, 2, 3]
    assert image.destroy() == 0
    assert image.memsize == 0


def test_create_over_a_stream_that_is_read(make: Make) -> None:
    image = make("x", ramp(3))
    reader = make("x")
    assert image.create("x", ramp(4, 3) + 5) == 0
    assert (image.shape, reader.shape, reader.copy().tolist()) == ((4, 3), (3,), [0, 1, 2])
    assert reader.open("x") == 0
    np.testing.assert_array_equal(reader.copy(), ramp(4, 3) + 5)


# -- golden files -------------------------------------------------------------------------------------

ENTRIES = {entry["name"]: entry for entry in golden.entries()}
ON_DISK = [name for name, entry in ENTRIES.items() if entry["array"] is not None]


#: Fields of the metadata that are shown as they stand in the file.
AS_STORED = (
    "version",
    "name",
    "naxis",
    "nelement",
    "shared",
    "location",
    "status",
    "inode",
    "logflag",
    "cnt0",
    "cnt1",
    "cnt2",
    "write",
    "flag",
    "sem",
    "NBkw",
)


@pytest.fixture
def golden_image(shm_dir: Path, make: Make) -> Callable[[str], Any]:
    def opened(name: str) -> Any:
        shutil.copy(golden.path(name), shm_dir / f"{name}.im.shm")
        return make(name)

    return opened


@pytest.mark.parametrize("name", ON_DISK)
def test_golden(golden_image: Callable[[str], Any], name: str) -> None:
    image, entry = golden_image(name), ENTRIES[name]
    expected, md = entry["metadata"], image.md
    for field in AS_STORED:
        assert getattr(md, field) == expected[field], field
        assert type(getattr(md, field)) is type(expected[field]), field
    assert md.size == expected["size"][: md.naxis]
    assert isinstance(md.size, list)
    assert image.shape == tuple(md.size)
    assert isinstance(md.datatype, ISIO.ImageStreamIODataType.Type)
    assert isinstance(md.imagetype, ISIO.ImageStreamIOType.Type)
    assert (md.datatype, md.imagetype) == (expected["datatype"], expected["imagetype"] & 0xF)
    assert md.location_str == "CPU RAM"
    for mine, theirs in {
        "creationtime": "creationtime",
        "lastaccesstime": "lastaccesstime",
        "acqtime": "atime",
        "writetime": "writetime",
    }.items():
        moment = getattr(md, mine)
        assert isinstance(moment, datetime.datetime)
        assert moment.tzinfo is None
        assert moment == local_time(expected[theirs])
        assert abs(float(moment) - expected[theirs][0] - expected[theirs][1] / 1e9) < 2e-6
    assert (image.memsize, image.used) == (entry["file_size"], 0)

    pixels = golden.expected_array(entry).T
    array_of_it = np.array(image)
    assert array_of_it.dtype == pixels.dtype
    assert array_of_it.tobytes() == pixels.tobytes()  # NaNs too
    np.testing.assert_array_equal(image.view(), pixels)

    stored = entry["semaphores"]
    assert image.semReadPID == stored["semReadPID"]
    assert image.semWritePID == stored["semWritePID"]
    assert [image.semvalue(k) for k in range(md.sem)] == stored["values"]

    keywords = entry["keywords"]["list"]
    texts = [(text(each["name_hex"]), each["type"], text(each["comment_hex"])) for each in keywords]
    assert [(each.name, each.type, each.comment) for each in image.get_kws_list()] == texts
    for kind, code, number in (("L", "<q", int), ("D", "<d", float)):
        values = {text(each["name_hex"]): each["value_hex"][:16] for each in keywords if each["type"] == kind}
        found = {name: kw.value for name, kw in image.get_kws().items() if kw.type == kind}
        assert {type(value) for value in found.values()} <= {number}
        assert {name: struct.pack(code, value).hex() for name, value in found.items()} == values
    words = {text(each["name_hex"]): text(each["value_hex"]) for each in keywords if each["type"] == "S"}
    assert {key: kw.value for key, kw in image.get_kws().items() if kw.type == "S"} == words
    names = {bytes.fromhex(each["name_hex"]).rstrip(b"\0") for each in keywords}
    assert [name.encode("utf-8", "surrogateescape") for name in image.get_kws()] == sorted(names)


def test_golden_repr(golden_image: Callable[[str], Any]) -> None:
    image = golden_image("ga_types_recv")
    md = ENTRIES["ga_types_recv"]["metadata"]
    shown = {
        "Name": "ga_types_recv",
        "Version": "2.00",
        "Size": "[2, 3, 2]",
        "nelement": "12",
        "creationtime": time.ctime(md["creationtime"][0]),
        "lastaccesstime": time.ctime(md["lastaccesstime"][0]),
        "acqtime": time.ctime(md["atime"][0]),
        "shared": "1",
        "location": "CPU RAM",
        **{name: str(md[name]) for name in ("flag", "logflag", "sem", "cnt0", "cnt1", "cnt2")},
    }
    assert len(shown) == 15
    assert repr(image.md) == str(image.md) == "\n".join(f"{key}: {value}" for key, value in shown.items())


def test_golden_temporal(golden_image: Callable[[str], Any]) -> None:
    image, slices = golden_image("ga_temporal"), ENTRIES["ga_temporal"]["temporal"]
    assert image.cntarray == slices["cntarray"]
    assert image.acqtimearray == [local_time(stamp) for stamp in slices["atimearray"]]
    assert image.writetimearray == [local_time(stamp) for stamp in slices["writetimearray"]]
    assert [len(image.cntarray), image.md.cnt1] == [image.md.size[2], slices["last_slice_cnt1"]]
    # The newest frame, as scripts find it.
    newest = np.array(image, copy=False).T[image.md.cnt1]
    np.testing.assert_array_equal(newest, golden.expected_array(ENTRIES["ga_temporal"])[2])


@pytest.mark.parametrize("what", ["acqtimearray", "writetimearray", "cntarray"])
def test_no_slices(make: Make, what: str) -> None:
    with pytest.raises(RuntimeError, match=f"^{what} not initialized") as caught:
        getattr(make("x", ramp(4, 3, 2)), what)
    assert type(caught.value) is ImageUnsupportedError


def test_golden_trace(golden_image: Callable[[str], Any]) -> None:
    trace, entry = golden_image("ga_trace").streamproctrace0, ENTRIES["ga_trace"]
    stored = entry["streamproctrace_nondefault"][0]
    assert isinstance(trace, ISIO.Proc_trace)
    for mine, theirs in {
        "triggermode": "triggermode",
        "pid_write": "procwrite_PID",
        "trigger_inode": "trigger_inode",
        "trigger_semindex": "trigsemindex",
        "trigger_status": "triggerstatus",
        "cnt0": "cnt0",
    }.items():
        assert getattr(trace, mine) == stored[theirs]
        assert type(getattr(trace, mine)) is int
        with pytest.raises(AttributeError):
            setattr(trace, mine, 1)
    assert trace.ts_procstart == local_time(stored["ts_procstart"])
    assert trace.ts_streamupdate == local_time(stored["ts_streamupdate"])
    with pytest.raises(TypeError, match=r"Image\.streamproctrace0"):
        ISIO.Proc_trace()


def test_no_trace(foreign: Any, make: Make) -> None:
    stream = fmt.fresh("x", (4,), 9)
    stream.trace = []
    foreign(stream)
    with pytest.raises(RuntimeError, match="streamproctrace0 not initialized"):
        _ = make("x").streamproctrace0


def test_golden_torn_frame(golden_image: Callable[[str], Any]) -> None:
    image = golden_image("ga_midwrite")
    assert image.md.write == 1
    with pytest.warns(FrameTornWarning, match="ga_midwrite") as seen:
        found = image.copy()
    assert seen[0].filename == __file__
    np.testing.assert_array_equal(found, golden.expected_array(ENTRIES["ga_midwrite"]).T)
    image.write(found)
    assert image.md.write == 0
    np.testing.assert_array_equal(image.copy(), found)


def test_golden_gpu() -> None:
    """`open` refuses it; an SHM of such a stream has an Image all the same."""
    with Stream.attach(golden.path("ga_gpu"), writable=False) as stream:
        image = image_over(stream, False)
        assert image.md.location_str == f"GPU{stream.location} RAM"
        assert image.shape == tuple(image.md.size)
        for name in ("copy", "view"):
            with pytest.raises(RuntimeError, match=r"unsupported location.*ga_gpu"):
                CALLS[name](image)
        for read in BUFFERS.values():
            with pytest.raises(RuntimeError, match="unsupported location"):
                read(image)


@pytest.mark.parametrize("layout", fmt.LAYOUTS)
def test_other_layouts(foreign: Any, make: Make, layout: str) -> None:
    foreign(fmt.fresh("x", (4, 3), 9, layout=layout, nbkw=2, nbsem=3, cbsize=3))
    image = make("x")
    image.write(ramp(4, 3))
    image.set_kws_list([Image_kw("A", 1), Image_kw("B", "b")])
    image.sempost(2)
    found = fmt.decode(Path(os.environ["MILK_SHM_DIR"], "x.im.shm").read_bytes(), layout=layout)
    assert found.pixels == ramp(4, 3).tobytes("F") == found.ring_slots[1]
    assert (found.cnt0, found.cnt1, found.write, found.CBindex) == (1, 1, 0, 1)
    assert found.sem_values == [1, 1, 2]
    assert [each.name for each in found.used_keywords()] == [b"A", b"B"]


# -- metadata -----------------------------------------------------------------------------------------


def test_metadata_is_live_and_read_only(make: Make) -> None:
    image = make("x", ramp(3))
    md = image.md
    image.write(ramp(3))
    assert (md.cnt0, md.cnt1) == (2, 2)
    names = [name for name in dir(Image_md) if not name.startswith("_")]
    assert len(names) == 24
    for name in [*names, "something"]:
        with pytest.raises(AttributeError):
            setattr(md, name, 1)
    with pytest.raises(TypeError, match=r"Image\.md"):
        Image_md()


def test_times_that_are_none(foreign: Any, make: Make) -> None:
    stream = fmt.fresh("x", (4, 3, 2), 9, imagetype=TEMPORAL)
    stream.atimearray = [(0, 0), (2**60, 5)]
    foreign(stream)
    image = make("x")
    assert image.md.acqtime == image.md.lastaccesstime == datetime.datetime.fromtimestamp(0)
    assert image.writetimearray == [datetime.datetime.fromtimestamp(0)] * 2
    assert time.ctime(0) in repr(image.md)
    with pytest.raises(StreamFormatError, match="out of range"):
        _ = image.acqtimearray


# -- pixels -------------------------------------------------------------------------------------------


def test_buffer_protocol(make: Make) -> None:
    image = make("x", ramp(4, 3, dtype="i2"))
    view = memoryview(image)
    assert (view.shape, view.strides, view.itemsize, view.format) == ((4, 3), (2, 8), 2, "h")
    assert not view.readonly
    view[1, 2] = 77
    assert image.view()[1, 2] == image.copy()[1, 2] == 77
    assert image.md.cnt0 == 1  # announced by update only


def test_arrays_of_an_image(make: Make) -> None:
    image = make("x", ramp(4, 3))
    live = image.view()
    assert live.flags.f_contiguous
    assert live.flags.writeable
    for same in (np.asarray(image), np.array(image, copy=False), np.array(image, copy=False, order="F")):
        assert np.shares_memory(same, live)
        assert same.shape == (4, 3)
        assert same.flags.writeable
    for own in (np.array(image), image.copy(), np.array(image.copy()), np.asarray(image, "f8")):
        assert not np.shares_memory(own, live)
        assert own.flags.writeable
        np.testing.assert_array_equal(own, ramp(4, 3))
    assert image.copy().flags.f_contiguous
    assert image.__array__("f8").dtype == "f8"
    assert np.shares_memory(image.__array__(copy=False), live)
    assert not np.shares_memory(image.__array__(copy=True), live)
    assert (image + np.ones((4, 3)) if hasattr(image, "__add__") else np.add(image, 1))[1, 0] == 2


@pytest.mark.parametrize(
    ("buffer", "message", "field"),
    [
        (np.zeros((4, 3)), "incompatible type: stream 'x' has float32, the buffer float64", "dtype"),
        (np.zeros((4, 3), bool), "incompatible type", "dtype"),
        (np.zeros(4), "incompatible type", "dtype"),  # of several, the first that is checked
        ([[0.0] * 3] * 4, "incompatible type.*not a list", "dtype"),
        (None, "incompatible type.*not a NoneType", "dtype"),
        (np.zeros(12, "f4"), "incompatible number of axis.* 2, the buffer 1", "shape"),
        (np.float32(1), "incompatible number of axis", "shape"),
        (np.zeros((3, 4), "f4"), r"incompatible shape.* \(4, 3\), the buffer \(3, 4\)", "shape"),
    ],
)
def test_write_refuses(make: Make, buffer: Any, message: str, field: str) -> None:
    image = make("x", ramp(4, 3))
    with pytest.raises(ValueError, match=message) as caught:
        image.write(buffer)
    assert type(caught.value) is FrameMismatchError
    assert (caught.value.stream, caught.value.field) == ("x", field)
    assert (image.md.cnt0, image.md.cnt1, image.md.write, image.semvalue(0)) == (1, 1, 0, 1)
    np.testing.assert_array_equal(image.copy(), ramp(4, 3))


def test_uint8_is_not_cut(make: Make) -> None:
    """The old one took any type for such a stream, and wrote what was left of it."""
    image = make("x", np.zeros((4, 3), "u1"))
    with pytest.raises(ValueError, match="incompatible type"):
        image.write(np.full((4, 3), 300.0))
    image.write(np.ascontiguousarray(ramp(4, 3, dtype="u1")))
    np.testing.assert_array_equal(image.copy(), ramp(4, 3))


def test_write_effects(make: Make) -> None:
    image = make("x", ramp(4, 3, 2))
    before = time.clock_gettime(11)
    assert image.write(ramp(4, 3, 2) + 1) is None
    md = image.md
    assert (md.cnt0, md.cnt1, md.write) == (2, 2, 0)
    assert md.acqtime == md.writetime
    assert float(md.writetime) > before - 1e-5
    assert [image.semvalue(k) for k in range(10)] == [2] * 10
    assert image.semWritePID == [os.getpid()] * 10
    image.write(image)  # of its own memory
    np.testing.assert_array_equal(image.copy(), ramp(4, 3, 2) + 1)
    for _ in range(12):
        image.write(ramp(4, 3, 2))
    assert image.semvalue(0) == 10


def test_counter_wraps(foreign: Any, make: Make) -> None:
    stream = fmt.fresh("x", (4,), 9)
    stream.cnt0 = stream.cnt1 = 2**64 - 1
    foreign(stream)
    image = make("x")
    image.write(ramp(4))
    assert (image.md.cnt0, image.md.cnt1) == (0, 0)


def test_write_to_a_temporal_cube(make: Make) -> None:
    image = make("x", ramp(4, 3, 5, dtype="u2"), imagetype=TEMPORAL)
    assert (image.md.imagetype, image.md.cnt0, image.md.cnt1) == (1, 1, 0)
    assert image.cntarray == [0] * 5
    stream = Stream.attach("x")
    stream.publish(np.full((3, 4), 9, "u2"))
    assert (image.md.cnt1, image.cntarray) == (1, [0, 2, 0, 0, 0])
    assert (image.copy()[:, :, 1] == 9).all()
    assert image.writetimearray[1] == image.md.writetime
    image.write(ramp(4, 3, 5, dtype="u2"))
    assert (image.md.cnt0, image.md.cnt1) == (3, 1)
    stream.close()


def test_update(make: Make) -> None:
    image = make("x", ramp(4, 3), CBsize=4)
    image.semflush(-1)
    image.view()[:] = 5
    before = time.clock_gettime(11)
    assert image.update() == 0
    assert (image.md.cnt0, image.md.cnt1, image.semvalue(9)) == (2, 1, 1)
    assert image.md.acqtime == image.md.writetime
    assert float(image.md.acqtime) > before - 1e-5
    with Stream.attach("x") as stream:
        assert (stream.section("ring_slots")[2] == 5).all()


@pytest.mark.parametrize(
    "moment",
    [
        datetime.datetime(2024, 5, 6, 7, 8, 9, 123456),
        datetime.datetime(2024, 5, 6, 7, 8, 9, 123456, datetime.timezone(datetime.timedelta(hours=-10))),
        1_700_000_000.25,
        1_700_000_000,
        np.float64(1_700_000_000.25),
    ],
)
def test_update_atime(make: Make, moment: Any) -> None:
    image = make("x", ramp(3))
    assert image.update_atime(moment) == 0
    seconds = moment.timestamp() if isinstance(moment, datetime.datetime) else moment
    assert abs(float(image.md.acqtime) - seconds) < 2e-6
    assert (image.md.cnt0, image.semvalue(0)) == (2, 2)
    assert image.md.writetime > image.md.acqtime
    stored = image.md.acqtime
    assert image.update_atime(stored) == 0  # what is read can be given
    assert image.md.acqtime == stored


@pytest.mark.parametrize("moment", ["now", None, math.nan, math.inf, 1e12])
def test_update_atime_refuses(make: Make, moment: Any) -> None:
    image = make("x", ramp(3))
    with pytest.raises(StreamArgumentError, match="atime"):
        image.update_atime(moment)
    assert image.md.cnt0 == 1


def test_a_woken_process_sees_the_frame(make: Make, spawn: Spawn) -> None:
    """Counters and pixels are there when the semaphore is posted."""
    image = make("x", np.zeros((4, 3), "i4"))
    child = spawn(
        OPENED
        + """
sem = image.getsemwaitindex(0)
image.semflush(sem)
print(sem, flush=True)
for number in range(1, 101):
    assert image.semwait(sem) == 0
    md = image.md
    assert (md.cnt0, md.cnt1, md.write, (image.copy() == number).all()) == (number + 1, number + 1, 0, True)
    print(number, flush=True)
""",
        "x",
    )
    child.expect("open")
    sem = int(child.hear())
    assert image.semReadPID[sem] == child.pid
    for number in range(1, 101):
        image.write(np.full((4, 3), number, "i4"))
        child.expect(str(number))
    assert child.finish() == (0, "", "")
    assert image.semvalue(sem) == 0


# -- semaphores ---------------------------------------------------------------------------------------


def test_posts_of_another_process(make: Make, spawn: Spawn) -> None:
    image = make("x", ramp(3))
    image.semflush(-1)
    child = spawn(
        OPENED
        + """
for line in sys.stdin:
    print(eval(line), flush=True)
""",
        "x",
    )
    child.expect("open")
    child.tell("image.sempost(3)")
    assert image.semwait(3) == 0
    child.expect("0")
    assert image.semWritePID[3] == child.pid
    assert image.semWritePID[4] == os.getpid()  # that was create
    child.tell("[image.sempost() for _ in range(12)]")
    assert image.semtimedwait(9, 30) == 0
    assert child.hear() == str([0] * 12)
    assert image.semvalue(4) == 10
    child.tell("image.semtimedwait(2, 60)")  # it has posts
    child.expect("0")
    child.tell("image.semflush(5)")
    child.expect("0")
    assert [image.semvalue(k) for k in range(2, 6)] == [9, 10, 10, 0]
    child.tell("image.semtimedwait(5, 60)")
    image.sempost(5)
    child.expect("0")
    assert image.semvalue(5) == 0
    child.process.stdin.close()
    assert child.process.wait(60) == 0


def test_codes_of_semaphore_calls(make: Make) -> None:
    image = make("x", ramp(3), NBsem=3)
    image.semflush(-1)
    assert [image.semvalue(k) for k in (-1, 0, 2, 3)] == [-1, 0, 0, -1]
    assert [image.semtrywait(k) for k in (-1, 0, 3)] == [1, -1, 1]
    assert [image.semtimedwait(k, 0) for k in (-1, 0, 3)] == [1, -1, 1]
    assert image.semtimedwait(0, -1) == -1
    assert [image.semwait(k) for k in (-1, 3)] == [1, 1]
    assert [image.sempost(k) for k in (0, 2, 3, 99)] == [0, 0, 1, 1]
    assert image.sempost(index=-1) == 0
    assert [image.semvalue(np.int32(k)) for k in range(3)] == [2, 1, 2]
    assert [image.semwait(0), image.semtrywait(0), image.semtrywait(0)] == [0, 0, -1]
    assert [image.semflush(2), image.semvalue(2), image.semvalue(1)] == [0, 0, 1]
    assert [image.semflush(3), image.semflush(-1), image.semvalue(1)] == [1, 0, 0]


@pytest.mark.parametrize(
    "call", ["semwait", "semtrywait", "sempost", "semflush", "semvalue", "getsemwaitindex"]
)
def test_index_is_a_number(make: Make, call: str) -> None:
    image = make("x", ramp(3))
    for bad in (None, 1.0, "1"):
        with pytest.raises(TypeError):
            getattr(image, call)(bad)


def test_timeouts(make: Make) -> None:
    image = make("x", ramp(3))
    image.semflush(-1)
    began = time.monotonic()
    assert image.semtimedwait(0, 0.05) == -1
    assert time.monotonic() - began >= 0.05
    for bad in (None, "1"):
        with pytest.raises(TypeError):
            image.semtimedwait(0, bad)
    with pytest.raises(StreamArgumentError, match="nan"):
        image.semtimedwait(0, math.nan)


@pytest.mark.parametrize("wait", [lambda i: i.semwait(0), lambda i: i.semtimedwait(0, 60)])
def test_waits_release_the_gil(make: Make, wait: Any) -> None:
    """A thread of this very process posts: it could not, if the wait kept the interpreter."""
    image = make("x", ramp(3))
    image.semflush(-1)
    waits = threading.Event()

    def post() -> None:
        waits.wait()
        for _ in range(1000):
            pass
        image.sempost(0)

    thread = threading.Thread(target=post)
    thread.start()
    waits.set()
    assert wait(image) == 0
    thread.join()


@pytest.mark.parametrize("wait", [lambda i: i.semwait(0), lambda i: i.semtimedwait(0, 60)])
@pytest.mark.parametrize("end", ["close", "open", "create"])
def test_close_ends_waits(make: Make, wait: Any, end: str) -> None:
    image = make("x", ramp(3))
    image.semflush(-1)
    ended: list[Any] = []

    def waiting() -> None:
        try:
            ended.append(wait(image))
        except RuntimeError as error:
            ended.append(error)

    thread = threading.Thread(target=waiting)
    thread.start()
    while thread.native_id is None or not sleeps(thread.native_id):
        time.sleep(0)
    if end == "close":
        image.close()
    while end != "close" and not ended:  # again, if the thread had not begun to wait
        assert image.create("y", ramp(3)) == 0 if end == "create" else image.open("x") == 0
        image.semflush(-1)
        time.sleep(0)
    thread.join()
    assert [(type(each), str(each)) for each in ended] == [
        (ImageNotInitializedError, "image not initialized")
    ]


def test_destroy_wakes_those_who_wait(make: Make, spawn: Spawn) -> None:
    image = make("x", ramp(3))
    image.semflush(-1)
    child = spawn(OPENED + "print(image.semwait(4), image.md.cnt0)", "x")
    child.expect("open")
    assert image.destroy() == 0
    child.expect("0 1")
    assert child.finish() == (0, "", "")


def sleeps(thread: int, process: int | str = "self") -> bool:
    """Whether a thread sleeps in the kernel."""
    with open(f"/proc/{process}/task/{thread}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "S"


def test_interrupt_ends_a_wait(make: Make, spawn: Spawn) -> None:
    image = make("x", ramp(3))
    image.semflush(-1)
    child = spawn(
        OPENED
        + """
try:
    print("waiting", flush=True)
    image.semwait(0)
except KeyboardInterrupt:
    print("interrupted", image.md.cnt0)
""",
        "x",
    )
    child.expect("open")
    child.expect("waiting")
    while not sleeps(child.pid, child.pid):
        time.sleep(0)
    child.process.send_signal(signal.SIGINT)
    child.expect("interrupted 1")
    assert child.finish() == (0, "", "")


def test_semaphores_of_objects(make: Make) -> None:
    image = make("x", ramp(3), NBsem=3)
    assert image.getsemwaitindex(1) == 1
    assert image.getsemwaitindex(2) == 1  # what it has
    assert image.semReadPID == [-1, os.getpid(), -1]
    second, third, fourth = make("x"), make("x"), make("x")
    assert second.getsemwaitindex(1) == 0  # the lowest free one
    assert third.getsemwaitindex(99) == 2
    assert fourth.getsemwaitindex(0) == -1
    second.close()
    assert fourth.getsemwaitindex(2) == 0
    for index in (None, "0", 0.5):
        with pytest.raises(TypeError):
            image.getsemwaitindex(index)


def test_semaphores_of_the_dead_are_taken(make: Make, spawn: Spawn) -> None:
    image = make("x", ramp(3), NBsem=1)
    child = spawn(OPENED + "print(image.getsemwaitindex(0), flush=True)\ninput()", "x")
    child.expect("open")
    child.expect("0")
    assert image.semReadPID == [child.pid]
    assert image.getsemwaitindex(0) == -1
    child.kill()
    assert image.getsemwaitindex(0) == 0


def test_fork(make: Make, spawn: Spawn) -> None:
    """A child has the image, on the same memory, with a semaphore of its own."""
    child = spawn(
        """
import os, warnings
import numpy as np
from pymilk.ImageStreamIOWrap import Image
warnings.simplefilter("ignore", DeprecationWarning)
image = Image()
assert image.create("x", np.zeros(3, "f4"), NBsem=4) == 0
mine = image.getsemwaitindex(1)
pid = os.fork()
if not pid:
    other = image.getsemwaitindex(1)
    image.write(np.ones(3, "f4"))
    os._exit(other)
other = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(mine, other, image.md.cnt0, image.copy().tolist(), image.getsemwaitindex(3))
assert image.destroy() == 0
"""
    )
    child.expect("1 0 2 [1.0, 1.0, 1.0] 1")
    assert child.finish() == (0, "", "")


# -- read-only ----------------------------------------------------------------------------------------

TO_WRITE = (
    "update",
    "update_atime",
    "semwait",
    "semtimedwait",
    "semtrywait",
    "sempost",
    "semflush",
    "set_kws",
    "set_kws_list",
)


def test_read_only_stream(make: Make) -> None:
    make("x", ramp(4, 3), NBkw=2).set_kws_list([Image_kw("A", 1)])
    image = image_over(Stream.attach("x", writable=False), False)
    np.testing.assert_array_equal(image.copy(), ramp(4, 3))
    assert list(image.get_kws()) == ["A"]
    assert image.getsemwaitindex(0) == -1
    assert image.semvalue(0) == 1
    assert memoryview(image).readonly
    for found in (image.view(), np.asarray(image)):
        assert not found.flags.writeable
    assert np.array(image).flags.writeable
    for call in TO_WRITE:
        with pytest.raises(StreamReadOnlyError):
            CALLS[call](image)
    with pytest.raises(StreamReadOnlyError):
        image.write(ramp(4, 3))
    assert image.destroy() == 0
    assert image.close() == 0


def test_file_that_permits_reading_only(make: Make, spawn: Spawn, shm_dir: Path) -> None:
    make("x", ramp(3))
    os.chmod(shm_dir, 0o755)
    os.chmod(shm_dir / "x.im.shm", 0o444)
    child = spawn(
        """
import os
from pymilk.errors import StreamReadOnlyError
from pymilk.ImageStreamIOWrap import Image
if not os.getuid():
    os.setuid(65534)  # the one user that permissions do not hold for is another one now
image = Image()
assert image.open("x") == 0, image.last_error
assert image.copy().tolist() == [0, 1, 2]
try:
    image.update()
except StreamReadOnlyError as error:
    print(image.getsemwaitindex(0), image.md.cnt0)
"""
    )
    child.expect("-1 1")
    assert child.finish() == (0, "", "")


# -- keywords -----------------------------------------------------------------------------------------


def test_keywords(make: Make) -> None:
    image = make("x", ramp(3), NBkw=4)
    assert (image.get_kws(), image.get_kws_list()) == ({}, [])
    image.set_kws_list([Image_kw("b", 1.5, "second"), Image_kw("a", 3), Image_kw("C", "text")])
    listed = image.get_kws_list()
    assert [(kw.name, kw.type, kw.value, kw.comment) for kw in listed] == [
        ("b", "D", 1.5, "second"),
        ("a", "L", 3, ""),
        ("C", "S", "text", ""),
    ]
    assert list(image.get_kws()) == ["C", "a", "b"]
    # Stored under the names of the keywords, in the order of the keys.
    assert image.set_kws({"2": Image_kw("x", 1), "1": Image_kw("y", 2)}) is None
    assert [kw.name for kw in image.get_kws_list()] == ["y", "x"]
    image.set_kws(image.get_kws())
    assert [kw.name for kw in image.get_kws_list()] == ["x", "y"]
    image.set_kws_list(iter([]))
    assert image.get_kws() == {}


def test_keywords_are_copies(make: Make) -> None:
    image = make("x", ramp(3), NBkw=4)
    image.set_kws_list([Image_kw("a", 1)])
    before = image.get_kws()
    image.set_kws_list([Image_kw("a", 2)])
    image.close()
    assert before["a"].value == 1


def test_same_names(foreign: Any, make: Make) -> None:
    stream = fmt.fresh("x", (4,), 9)
    stream.keyword_slots = [fmt.KeywordSlot.make("A", 1), fmt.KeywordSlot.make("A", 2)]
    foreign(stream)
    image = make("x")
    assert [kw.value for kw in image.get_kws_list()] == [1, 2]
    assert image.get_kws()["A"].value == 2


def test_keyword_without_a_value(foreign: Any, make: Make) -> None:
    stream = fmt.fresh("x", (4,), 9)
    stream.keyword_slots = [fmt.KeywordSlot(b"A", "N", comment=b"c"), fmt.KeywordSlot(b"\xff", "N")]
    foreign(stream)
    image = make("x")
    first, second = image.get_kws_list()
    assert (first.name, first.type, first.comment, repr(first)) == ("A", "N", "c", "Unknown format c")
    with pytest.raises(RuntimeError, match="Unknown format"):
        _ = first.value
    image.set_kws_list([second, first])
    found = fmt.decode(Path(os.environ["MILK_SHM_DIR"], "x.im.shm").read_bytes())
    assert [(each.name, each.type) for each in found.used_keywords()] == [(b"\xff", "N"), (b"A", "N")]


def test_counts_of_keywords_grow(make: Make) -> None:
    image = make("x", ramp(3), NBkw=2)
    image.set_kws_list([Image_kw("A", 1)])
    image.set_kws_list(image.get_kws_list())
    with Stream.attach("x") as stream:
        assert [(each.name, each.cnt) for each in stream.read_keywords()] == [("A", 2)]


def test_too_many_keywords(make: Make) -> None:
    image = make("x", ramp(3), NBkw=2)
    image.set_kws_list([Image_kw("old", 1)])
    three = {name: Image_kw(name, 1) for name in "abc"}
    for call in (lambda: image.set_kws(three), lambda: image.set_kws_list(list(three.values()))):
        with pytest.raises(RuntimeError, match=r"^Too many keywords provided") as caught:
            call()
        assert type(caught.value) is KeywordTableFullError
        assert list(image.get_kws()) == ["old"]


def test_keywords_that_are_none(make: Make) -> None:
    image = make("x", ramp(3), NBkw=2)
    image.set_kws_list([Image_kw("old", 1)])
    for call, given in (
        ("set_kws", None),
        ("set_kws", [Image_kw("A", 1)]),
        ("set_kws", {1: Image_kw("A", 1)}),
        ("set_kws", {"A": 1}),
        ("set_kws_list", None),
        ("set_kws_list", {"A": Image_kw("A", 1)}),
        ("set_kws_list", [("A", 1)]),
        ("set_kws_list", "A"),
        ("set_kws_list", [Image_kw()]),
    ):
        with pytest.raises(KeywordError, match="'x'"):
            getattr(image, call)(given)
    assert list(image.get_kws()) == ["old"]


# -- subclasses, pickling -----------------------------------------------------------------------------


OWN_NAMES = (
    "_write",
    "_live",
    "_created",
    "_release",
    "_section",
    "_publish",
    "_frame",
    "_open",
    "_error",
    "_stream",
    "_image",
    "_failed",
)


def test_subclass_may_call_its_things_as_it_likes(shm_dir: Path) -> None:
    """Attributes and methods of its own do not change what the others do."""

    class Hostile(Image):  # type: ignore[misc]
        def __init__(self) -> None:  # without super
            for name in OWN_NAMES:
                setattr(self, name, None)

        memsize = 5
        md = None
        shape = None

        def view(self) -> None:
            raise AssertionError

        write = close = copy = view

    image = Hostile()
    with pytest.raises(ImageNotInitializedError):
        np.asarray(image)
    assert image.create("x", ramp(4, 3)) == 0
    assert image.used == 1
    np.testing.assert_array_equal(np.asarray(image), ramp(4, 3))
    np.testing.assert_array_equal(np.array(image), ramp(4, 3))
    assert image.open("x") == 0
    assert (image.update(), image.semvalue(0)) == (0, 2)
    assert repr(image) == "<Hostile 'x' shape=(4, 3) dtype=float32>"
    assert image.create("x", ramp(3)) == 0
    assert image.destroy() == 0
    assert not list(shm_dir.iterdir())


def test_image_cannot_be_pickled(make: Make) -> None:
    for image in (Image(), make("x", ramp(3))):
        for call in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="cannot be pickled; pass the name"):
                call(image)
    for part in (image.md, image.streamproctrace0):
        with pytest.raises(TypeError, match="cannot be pickled; pass its name"):
            pickle.dumps(part)


def test_image_is_collected(make: Make) -> None:
    image = Image()
    assert image.create("x", ramp(3), NBsem=1) == 0
    assert image.getsemwaitindex(0) == 0
    image.me = image  # a cycle
    del image
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gc.collect()
    assert make("x").getsemwaitindex(0) == 0


def test_image_over_a_stream() -> None:
    with Stream.create("x", (3, 4), "f4") as stream:
        image = image_over(stream, True)
        assert (image.used, image.shape) == (1, (4, 3))
        stream.publish(np.ones((3, 4), "f4"))
        assert image.copy().sum() == 12
        with Stream.create("y", (5,), "f4") as other:
            assert image_over(other, False, image) is image
            assert (image.used, image.shape, stream.closed) == (0, (5,), False)
        with pytest.raises(ImageNotInitializedError):
            _ = image.md
        assert (image.used, image.memsize) == (0, 0)


@pytest.mark.parametrize(("shape", "rounds"), [((8, 8), 300), ((400, 400), 30)])
def test_threads_share_an_image(make: Make, shape: tuple[int, int], rounds: int) -> None:
    """One publishes after the other, also where the pixels are copied without the GIL."""
    image = make("x", np.zeros(shape, "f4"))
    failed: list[Exception] = []

    def publish(number: int) -> None:
        try:
            for _ in range(rounds):
                image.write(np.full(shape, number, "f4"))
                image.update()
                image.update_atime(1.0)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=publish, args=(number,)) for number in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert (image.md.cnt0, image.md.cnt1, image.md.write) == (1 + 9 * rounds, 1 + 3 * rounds, 0)
    assert len(np.unique(image.copy())) == 1


# -- idioms of existing scripts -----------------------------------------------------------------------


def test_idiom_missing_stream() -> None:
    img = ISIO.Image()
    assert img.open("nowhere") != 0
    assert img.open("nowhere") == 40
    assert img.memsize == 0
    assert ISIO.Image().create("x", np.zeros(3)) == 0
    assert ISIO.Image().open("x") == 0
    assert not hasattr(ISIO, "IMAGESTRUCT_VERSION")


def test_idiom_open_in_a_loop(spawn: Spawn) -> None:
    child = spawn(
        """
import numpy as np
import pymilk.ImageStreamIOWrap as shmio
input()
img = shmio.Image()
img.create("late", np.zeros((3, 2)))
print("made", flush=True)
input()
img.destroy()
"""
    )
    img = ISIO.Image()
    assert img.open("late") == 40
    child.tell()
    while img.open("late") != 0:
        time.sleep(0)
    assert img.md.cnt0 <= 1
    child.expect("made")
    child.tell()
    assert child.finish() == (0, "", "")
    img.close()


def test_idiom_arguments_in_the_wrong_place() -> None:
    img = ISIO.Image()
    assert img.create("x", np.zeros((128, 64)), -1, True, 8, 1, ISIO.ImageStreamIODataType.FLOAT, 1) == 0
    md = img.md
    assert (md.datatype, md.imagetype, md.sem, md.NBkw) == (ISIO.ImageStreamIODataType.DOUBLE, 9, 8, 1)
    assert str(md.imagetype) == "Type.???"
    img.destroy()


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ((), {}),
        ((-1, 1), {}),
        ((-1, True, 4, 1), {}),
        ((), {"location": -1, "shared": 1, "NBsem": 5, "NBkw": 10}),
    ],
)
def test_idiom_create(arguments: Any, options: Any) -> None:
    img = ISIO.Image()
    assert img.create("x", np.asfortranarray(ramp(4, 3)), *arguments, **options) == 0
    assert np.array_equal(np.array(img), ramp(4, 3))
    img.destroy()


def test_idiom_create_with_ring() -> None:
    img = ISIO.Image()
    assert img.create("x", np.zeros((4, 3, 2), "f4"), imagetype=1, CBsize=16) == 0
    assert img.create("y", np.zeros((4, 3), "f4"), imagetype=1, CBsize=16) == 10  # has to have 3 axes


def test_idiom_create_from_sizes() -> None:
    img = ISIO.Image()
    assert img.create("x", [128, 64], ISIO.ImageStreamIODataType.FLOAT, 1, 8) == 0
    md = img.md
    assert (md.size, md.datatype, md.NBkw, md.sem, md.cnt0, md.shared) == ([128, 64], FLOAT, 8, 10, 0, 1)
    assert not img.copy().any()
    assert img.create("x", (3,), ISIO.ImageStreamIODataType.UINT16) == 0
    assert (img.shape, img.md.datatype) == ((3,), 3)
    assert img.create("x", [2.5], FLOAT) == 10
    assert img.memsize == 0


def test_idiom_reuse_or_replace() -> None:
    def prepare(shape: tuple[int, ...]) -> Any:
        img = ISIO.Image()
        if img.open("x") == 0:
            if img.md.size[0] == shape[0] and img.md.datatype == ISIO.ImageStreamIODataType.FLOAT:
                return img, "kept"
            img.destroy()
        img.create("x", np.zeros(shape, np.float32))
        return img, "made"

    first, what = prepare((4, 3))
    assert what == "made"
    assert prepare((4, 3))[1] == "kept"
    other, what = prepare((5, 3))
    assert (what, other.md.size[:], first.md.size) == ("made", [5, 3], [4, 3])
    # And on the same object.
    other.destroy()
    assert other.create("x", np.zeros((6, 2), np.float32)) == 0
    assert np.all(other.md.size == [6, 2])
    other.close()


def test_idiom_arrays(make: Make) -> None:
    img = make("x", ramp(4, 1, 3))
    live = np.array(img, copy=False)
    for view in (live.T, np.array(img, copy=False, order="F").T):
        assert view.shape == (3, 1, 4)
        assert view.flags.c_contiguous
        assert np.shares_memory(view, live)
    assert np.squeeze(img.copy()).shape == (4, 3)
    assert np.ascontiguousarray(img.copy().T).tolist() == np.arange(12).reshape(3, 1, 4).tolist()
    view[:] = 3
    img.update()
    assert (np.array(img) == 3).all()


def test_idiom_write(make: Make) -> None:
    arr = np.arange(12.0).reshape(3, 4)
    img = make("x", np.zeros((4, 3), np.float32))
    img.write(np.asfortranarray(arr.T, dtype=np.float32))
    assert np.array_equal(img.copy().T, arr)
    img.write(np.ones((4, 3), np.float32))
    assert img.copy().sum() == 12
    command = np.arange(5, dtype=np.float32)
    img = make("dm", np.zeros((5, 1), np.float32))
    img.write(np.array([command]).T)
    assert np.array_equal(np.squeeze(img.copy()), command)


def test_idiom_subclass(spawn: Spawn) -> None:
    """A stream class of a script, on top of Image: own attributes, and methods that replace ours."""

    class ImageStream(ISIO.Image):  # type: ignore[misc]
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name
            self.semindex = -1
            self._write = super().write

        def __enter__(self) -> Any:
            self.open()
            return self

        def __exit__(self, *exc: object) -> None:
            self.close()

        def open(self) -> None:
            if super().open(self.name) != 0:
                raise OSError(self.name)
            self.buffer = np.array(self, copy=False).T
            self.naxis = self.md.naxis
            self.semindex = self.getsemwaitindex(1)

        def close(self) -> int:
            self.buffer = None
            return super().close()

        def newest(self) -> Any:
            return self.buffer if self.naxis < 3 else self.buffer[self.md.cnt1]

        def write(self, data: Any) -> None:
            self._write(np.asfortranarray(data.T, dtype=self.buffer.dtype))

        def wait(self) -> Any:
            self.semwait(self.semindex)
            return self.newest()

    child = spawn(
        """
import sys
import numpy as np
import pymilk.ImageStreamIOWrap as shmio
img = shmio.Image()
img.create("x", np.zeros((4, 3), np.float32))
print("made", flush=True)
for line in sys.stdin:
    img.write(np.full((4, 3), float(line), np.float32))
img.destroy()
"""
    )
    child.expect("made")
    with pytest.raises(OSError, match="nowhere"), ImageStream("nowhere"):
        pass
    with ImageStream("x") as stream:
        assert stream.semindex == 1
        stream.semflush(stream.semindex)
        for number in (5, 6):
            child.tell(number)
            assert (stream.wait() == number).all()
        stream.write(np.arange(12).reshape(3, 4))
        assert np.array_equal(stream.newest(), np.arange(12).reshape(3, 4))
        assert stream.md.cnt0 == 4
        child.process.stdin.close()
        assert child.process.wait(60) == 0
    with pytest.raises(ImageNotInitializedError):
        stream.semwait(1)
    with ImageStreamOfCube() as cube:
        assert cube.newest().tolist() == [[2.0]]


class ImageStreamOfCube(ISIO.Image):  # type: ignore[misc]
    """A cube whose writer tells in cnt1 which slice is the newest."""

    def __enter__(self) -> Any:
        with Stream.create("cube", (3, 1, 1), "f8") as stream:
            stream.view(writable=True)[:] = np.arange(3.0).reshape(3, 1, 1)
            stream.cnt1 = 2
        assert self.open("cube") == 0
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def newest(self) -> Any:
        return np.array(self, copy=False).T[self.md.cnt1]


def test_idiom_semaphores(make: Make) -> None:
    img = make("x", np.zeros((4, 3)), NBsem=1)
    sem = img.getsemwaitindex(0)
    assert sem >= 0
    assert make("x").getsemwaitindex(0) < 0
    img.semflush(-1)
    assert img.semtimedwait(sem, 0.001) != 0
    img.update()
    looks = 0
    while img.semtrywait(sem) != 0:
        looks += 1
    assert looks == 0
    assert img.semReadPID[sem] == os.getpid()


def test_idiom_keywords(make: Make) -> None:
    img = make("x", np.zeros(3), NBkw=5)
    img.set_kws({"gain": Image_kw("gain", 2.5, "e/ADU"), "filter": Image_kw("filter", "H ")})
    assert {name: kw.value for name, kw in img.get_kws().items()} == {"filter": "H ", "gain": 2.5}
    assert {kw.name.strip(): kw.value for kw in img.get_kws_list() if kw.type != "N"} == {
        "filter": "H ",
        "gain": 2.5,
    }


def test_idiom_metadata(make: Make) -> None:
    img = make("x", np.zeros((4, 3)))
    md = img.md
    seen = [md.cnt0]
    for _ in range(3):
        img.write(np.zeros((4, 3)))
        seen.append(md.cnt0)
    assert seen == [1, 2, 3, 4]
    assert tuple(md.size[: md.naxis]) == (4, 3)
    last = md.lastaccesstime
    assert md.lastaccesstime == last
    assert hasattr(img, "md")
    assert np.all(md.size == make("x").md.size)
    with contextlib.suppress(Exception):
        img.destroy()
    with pytest.raises(RuntimeError):
        hasattr(img, "md")
