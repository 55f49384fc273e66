"""Wrong calls that read: the right exception, and nothing changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pymilk._core import FRAME_ROW, Stream
from pymilk.errors import FrameMismatchError, StreamArgumentError
from support.refusals import OUT


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
