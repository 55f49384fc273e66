"""`SHM`: the lines that users write, and every promise of the class."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isio_format
import pymilk
from pymilk import SHM, Which3DState, errors
from pymilk._core import IMAGETYPES, Stream
from pymilk.errors import (
    CaptureMemoryError,
    FrameMismatchError,
    KeywordError,
    KeywordNotFoundError,
    StreamArgumentError,
    StreamClosedError,
    StreamFormatError,
    StreamNameError,
    StreamNotFoundError,
    StreamReadOnlyError,
    StreamReplacedError,
    StreamTimeoutError,
    StreamTimeoutWarning,
)


class Camera:
    """A writer in the background: frame number k has k in every pixel (as far as the dtype goes)."""

    def __init__(self, name: str, interval: float = 0.001) -> None:
        self.stream = Stream.attach(name)
        self.interval = interval
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self.ended.wait(self.interval):
            value = np.array(self.stream.counter + 1).astype(self.stream.dtype)
            self.stream.publish(np.full(self.stream.shape, value))

    def __enter__(self) -> Camera:
        self.thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.ended.set()
        self.thread.join()
        self.stream.close()


def numbers(shape: tuple[int, ...], dtype: Any = np.float32) -> np.ndarray:
    return np.arange(1, np.prod(shape) + 1).reshape(shape).astype(dtype)


# -- the familiar lines -------------------------------------------------------------------------------


def test_import_paths():
    from pymilk import SHM as first
    from pymilk.interfacing.isio_shmlib import SHM as second
    from pymilk.interfacing.shm import SHM as third

    assert first is second is third is pymilk.SHM


def test_familiar_reading_and_writing(make):
    make("shm_name", np.zeros((4, 6), np.float32))
    shm = make("shm_name")
    data = shm.get_data(check=False)
    assert (data == 0).all()
    with Camera("shm_name"):
        data = shm.get_data(check=True)
    assert (data > 0).all()
    shm.set_data(np.random.rand(*shm.shape).astype(shm.nptype))
    data = shm.get_data()
    assert data.shape == (4, 6)
    assert data.dtype == np.float32
    assert 0 <= data.min() <= data.max() < 1


def test_familiar_capture(make, capsys):
    make("ocam2d", ((120, 120), np.uint16))
    with Camera("ocam2d"):
        shm = SHM("ocam2d")
        output = shm.multi_recv_data(100, outputFormat=1, monitorCount=True)
        shm.close()
    assert output.shape == (100, 120, 120)
    assert output.dtype == np.uint16
    assert (output == output[:, :1, :1]).all()
    assert (np.diff(output[:, 0, 0].astype(int)) > 0).all()
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "Irregularities:"
    assert len(printed) == 4
    assert all(line.startswith("0 < 1, ") for line in printed[1:])


def test_familiar_creation(make):
    data = numbers((5, 7))
    one = make("new", data, location=-1, shared=True)
    np.testing.assert_array_equal(one.get_data(), data)
    assert one.get_counter() == 1
    two = make("new2", ((30, 30), np.int16))
    assert (two.shape, two.nptype, two.nDim) == ((30, 30), np.int16, 2)
    assert (two.get_data() == 0).all()


def test_familiar_metadata(make):
    shm = make("cam", ((20, 30), np.int16))
    assert shm.mtdata["size"] == shm.shape_c == (30, 20)
    assert shm.mtdata["cnt0"] == shm.get_counter() == 1
    assert shm.shape == (20, 30)
    assert shm.nptype == np.int16
    assert shm.FNAME == "cam"
    assert os.path.basename(shm.FILEPATH) == "cam.im.shm"
    metadata = shm.mtdata
    assert (metadata["x"], metadata["y"], metadata["z"]) == (30, 20, 0)
    assert (metadata["naxis"], metadata["nel"], metadata["atype"]) == (2, 600, 4)
    assert (metadata["imname"], metadata["version"]) == ("cam", "2.00")
    assert (metadata["crPID"], metadata["inode"]) == (os.getpid(), os.stat(shm.FILEPATH).st_ino)
    assert (metadata["sem"], metadata["nbkw"], metadata["loc"], metadata["shared"]) == (10, 50, -1, 1)
    assert 0 < metadata["crtime_ns"] <= metadata["wtime_ns"]
    json.dumps(metadata)


def test_familiar_keywords(make, capsys):
    shm = make("cam", ((2, 2), np.uint8))
    shm.set_keywords({"EXPTIME": (0.5, "seconds"), "MODE": "fast", "GAIN": 300})
    for kw in shm.get_keywords():
        print(kw["name"], kw["value"])
    assert capsys.readouterr().out == "EXPTIME 0.5\nMODE fast\nGAIN 300\n"
    assert shm.get_keywords() == {"EXPTIME": 0.5, "MODE": "fast", "GAIN": 300}
    assert shm.get_keywords(comments=True)["EXPTIME"] == (0.5, "seconds")


def test_familiar_with_statement(make):
    make("x", numbers((2, 2)))
    with SHM("x") as s:
        assert s.get_data().shape == (2, 2)
    with pytest.raises(StreamClosedError):
        s.get_data()
    with pytest.raises(StreamClosedError), s:
        pass


# -- names and places ---------------------------------------------------------------------------------


def test_name_file_name_and_path_are_the_same_stream(make, shm_dir):
    make("cam", numbers((2, 3)))
    for name in ("cam", "cam.im.shm", str(shm_dir / "cam.im.shm"), f"{shm_dir}/../{shm_dir.name}/cam.im.shm"):
        shm = make(name)
        assert shm.FNAME == "cam"
        assert shm.get_data()[1, 2] == 6


def test_path_outside_of_the_directory_is_refused(make, tmp_path):
    for name in (str(tmp_path / "cam.im.shm"), "../cam.im.shm", "/cam.im.shm"):
        for args in ((), (np.zeros((2, 2)),)):
            with pytest.raises(ValueError, match="stream directory") as caught:
                make(name, *args)
            assert isinstance(caught.value, StreamNameError)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", ".", "..", "a\0b", "x" * 80, "dir/", "dir/cam"])
def test_bad_name(make, name):
    with pytest.raises(StreamNameError):
        make(name, np.zeros((2, 2)))


def test_missing_stream(make):
    with pytest.raises(StreamNotFoundError, match="'nothing'") as caught:
        make("nothing")
    assert caught.value.path.endswith("nothing.im.shm")
    with pytest.raises(FileNotFoundError):
        make("nothing")


def test_directory_is_looked_up_at_each_call(make, shm_dir, monkeypatch):
    make("cam", numbers((2, 2)))
    other = shm_dir / "other"
    other.mkdir()
    monkeypatch.setenv("MILK_SHM_DIR", str(other))
    with pytest.raises(StreamNotFoundError):
        make("cam")
    shm = make("cam", numbers((3, 3)))
    assert Path(shm.FILEPATH) == other.joinpath("cam.im.shm")
    monkeypatch.setenv("MILK_SHM_DIR", str(shm_dir))
    assert make("cam").shape == (2, 2)
    monkeypatch.setenv("MILK_SHM_DIR", str(shm_dir / "missing"))
    with pytest.raises(StreamNotFoundError, match="MILK_SHM_DIR"):
        make("cam")


def test_creating_replaces_a_stream(make):
    old = make("cam", numbers((2, 2)))
    new = make("cam", numbers((2, 2)) * 10)
    assert new.mtdata["inode"] != 0
    np.testing.assert_array_equal(old.get_data(), numbers((2, 2)) * 10)
    assert old.mtdata["inode"] == new.mtdata["inode"]


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"location": 0}, "location"),
        ({"shared": False, "location": 0}, "location"),
        ({"symcode": 8}, None),
        ({"symcode": -1}, None),
        ({"triDim": 4}, None),
        ({"nbkw": -1}, None),
        ({"nbkw": 2**16}, None),
    ],
)
def test_bad_option_creates_nothing(make, shm_dir, options, argument):
    with pytest.raises(StreamArgumentError) as caught:
        make("cam", np.zeros((2, 2)), **options)
    assert argument is None or caught.value.argument == argument
    assert list(shm_dir.iterdir()) == []


@pytest.mark.parametrize(
    "data",
    [
        np.zeros((2, 2, 2, 2)),
        np.zeros((0, 2)),
        np.zeros(3, "U4"),
        np.zeros(2, "M8[s]"),
        np.zeros(2, [("a", "f4")]),
        ((2, 2, 2, 2), np.int16),
        ((0,), np.int16),
        ((-1, 2), np.int16),
        ((2**32,), np.int8),
        ((2, 2), "nonsense"),
        "text",
        5,
        ((2, 2),),
        [[1, 2], [3, 4]],
    ],
    ids=lambda data: repr(data)[:30],
)
def test_data_that_is_no_stream(make, shm_dir, data):
    with pytest.raises(StreamArgumentError):
        make("cam", data)
    assert list(shm_dir.iterdir()) == []


def test_existing_calls_with_more_options_work(make):
    shm = make("cam", numbers((2, 2)), nbkw=3, shared=True, location=-1, verbose=True, packed=False)
    assert shm.mtdata["nbkw"] == 3
    assert make("cam", verbose=True, packed=True, autoSqueeze=False).shape == (2, 2)


# -- waiting ------------------------------------------------------------------------------------------


def test_timeout_warns_and_gives_the_old_frame(make):
    shm = make("cam", numbers((2, 2)))
    began = time.monotonic()
    with pytest.warns(StreamTimeoutWarning, match="no new frame") as caught:
        frame = shm.get_data(check=True, timeout=0.05)
    assert time.monotonic() - began >= 0.05
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(frame, numbers((2, 2)))


def test_timeout_gives_none_where_asked(make):
    shm = make("cam", numbers((2, 2)))
    assert shm.get_data(check=True, timeout=0.01, return_none_on_timeout=True) is None
    assert shm.get_data(return_none_on_timeout=True) is not None


@pytest.mark.parametrize("timeout", [None, 0, -1, 0.0, -0.5])
def test_no_timeout_waits_for_ever(make, timeout):
    shm = make("cam", numbers((2, 2)))
    frames: list[Any] = []
    waiter = threading.Thread(target=lambda: frames.append(shm.get_data(True, timeout)))
    waiter.start()
    waiter.join(0.15)
    assert waiter.is_alive()
    shm._stream.publish(numbers((2, 2)) + 1)
    waiter.join(10)
    assert not waiter.is_alive()
    np.testing.assert_array_equal(frames[0], numbers((2, 2)) + 1)


@pytest.mark.parametrize("timeout", [None, 0, -1])
def test_no_timeout_collects_for_ever(make, timeout):
    shm = make("cam", numbers((2, 2)))
    with Camera("cam", 0.02):
        assert len(shm.multi_recv_data(3, timeout=timeout)) == 3


@pytest.mark.parametrize("timeout", ["soon", float("nan"), [1]])
def test_timeout_that_is_none(make, timeout):
    shm = make("cam", numbers((2, 2)))
    with pytest.raises((StreamArgumentError, TypeError)):
        shm.get_data(check=True, timeout=timeout)
    with pytest.raises(StreamArgumentError):
        shm.capture(1, timeout=timeout)


def test_wait_for_a_frame_that_comes_after_the_call(make):
    shm = make("cam", numbers((2, 2)))
    shm._stream.publish(numbers((2, 2)))
    # Published before the call: not what is waited for, unless the caller says so.
    none = {"check": True, "timeout": 0.01, "return_none_on_timeout": True}
    assert shm.get_data(**none) is None
    assert shm.get_data(**none, checkSemAndFlush=False) is not None
    # Now it has been read.
    assert shm.get_data(**none, checkSemAndFlush=False) is None
    shm._stream.publish(numbers((2, 2)))
    assert shm.get_data(check=False) is not None
    assert shm.get_data(**none, checkSemAndFlush=False) is None


def test_new_object_has_seen_what_is_there(make):
    make("cam", numbers((2, 2)))
    shm = make("cam")
    none = {"check": True, "timeout": 0.01, "return_none_on_timeout": True}
    assert shm.get_data(**none, checkSemAndFlush=False) is None
    shm.set_data(numbers((2, 2)))
    assert shm.get_data(**none, checkSemAndFlush=False) is not None


def test_old_posts_do_not_end_a_wait(make):
    shm = make("cam", numbers((2, 2)))
    assert shm.semID == 0
    shm._stream.post()
    shm._stream.post(0)
    assert shm.get_data(check=True, timeout=0.05, return_none_on_timeout=True) is None


# -- views --------------------------------------------------------------------------------------------


def test_view_is_live_and_never_dangles(make):
    shm = make("cam", numbers((4, 4)))
    view = shm.get_data(copy=False)
    copy = shm.get_data(copy=True)
    assert not view.flags.owndata
    copy[:] = 0  # a copy belongs to the caller
    np.testing.assert_array_equal(view, numbers((4, 4)))
    shm.set_data(numbers((4, 4)) * 2)
    np.testing.assert_array_equal(view, numbers((4, 4)) * 2)
    path = shm.FILEPATH
    shm.destroy()
    assert not os.path.exists(path)
    del shm
    gc.collect()
    np.testing.assert_array_equal(view, numbers((4, 4)) * 2)


def test_view_of_a_read_only_stream_is_read_only(make):
    make("cam", numbers((4, 4)))
    shm = make("cam")
    shm._adopt(Stream.attach("cam", writable=False))
    view = shm.get_data(copy=False)
    with pytest.raises(ValueError, match="read-only"):
        view[0, 0] = 1
    with pytest.raises(ValueError, match=r"(?i)writeable"):
        view.setflags(write=True)


def test_view_of_a_turned_stream(make):
    data = numbers((2, 3, 4))
    shm = make("cam", data, symcode=1, triDim=Which3DState.LAST2FRONT)
    view = shm.get_data(copy=False)
    np.testing.assert_array_equal(view, data)
    view[1, 2, 3] = -1
    assert shm.get_data()[1, 2, 3] == -1
    view[1, 2, 3] = data[1, 2, 3]
    shm.close()
    np.testing.assert_array_equal(view, data)


def test_view_after_a_new_frame_only(make):
    shm = make("cam", numbers((2, 2)))
    with Camera("cam"):
        view = shm.get_data(check=True, copy=False)
    assert view[0, 0] == shm.get_counter()


def test_views_of_one_stream_do_not_share_flags(make):
    shm = make("cam", numbers((2, 2)))
    first = shm.get_data(copy=False)
    second = shm.get_data(copy=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer NumPy frowns on it, and allows it
        first.shape = (4,)
    assert second.shape == (2, 2)
    assert shm.get_data(copy=False).shape == (2, 2)


# -- writing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("symcode", [0, 4, 7])
def test_any_memory_order_can_be_written(make, symcode):
    base = numbers((6, 8))
    shm = make("cam", ((6, 8), np.float32), symcode=symcode)
    strided = numbers((12, 16))[::2, ::2]
    for frame in (
        base,
        np.asfortranarray(base),
        base[::-1],
        base[:, ::-1],
        base.T.copy().T,
        strided,
        np.broadcast_to(np.float32(3), (6, 8)),
        shm.get_data(copy=False),
        shm.get_data(copy=False)[::-1],
    ):
        expected = np.array(frame)
        shm.set_data(frame)
        np.testing.assert_array_equal(shm.get_data(), expected)


def test_frames_that_are_not_arrays(make):
    shm = make("cam", ((2, 3), np.int16))
    shm.set_data([[1, 2, 3], [4, 5, 6]])
    assert shm.get_data().tolist() == [[1, 2, 3], [4, 5, 6]]
    shm.set_data(([1.0, 2.0, 3.0], [4.0, 5.0, -6.0]))
    assert shm.get_data().tolist() == [[1, 2, 3], [4, 5, -6]]
    counter = shm.get_counter()
    for frame in ([[1.5, 2, 3], [4, 5, 6]], [[70000, 2, 3], [4, 5, 6]], [["1"] * 3] * 2, None, 1, [1, 2]):
        with pytest.raises(FrameMismatchError):
            shm.set_data(frame)
    with pytest.raises(ValueError):  # noqa: PT011 - NumPy's own
        shm.set_data([[1, 2], [3]])
    assert shm.get_counter() == counter
    one = make("one", ((1,), np.float64))
    one.set_data([float("nan")])
    assert np.isnan(one.get_data()[0])


def test_wrong_dtype_and_shape(make):
    shm = make("cam", numbers((2, 3)))
    with pytest.raises(FrameMismatchError, match="float64") as caught:
        shm.set_data(np.ones((2, 3)))
    assert (caught.value.field, caught.value.found) == ("dtype", np.dtype(float))
    with pytest.raises(TypeError):
        shm.set_data(np.ones((2, 3), np.int32))
    with pytest.raises(ValueError, match="shape"):
        shm.set_data(np.ones((3, 2), np.float32))
    np.testing.assert_array_equal(shm.get_data(), numbers((2, 3)))
    assert (shm.get_counter(), shm.mtdata["write"]) == (1, 0)
    shm.set_data(np.full((2, 3), 1.5), check_dt=True)
    assert (shm.get_data() == 1.5).all()
    shm.set_data(np.full((2, 3), 2, np.int64), check_dt=True)
    assert (shm.get_data() == 2).all()
    with pytest.raises(FrameMismatchError):
        shm.set_data(np.ones((3, 2)), check_dt=True)


def test_wrong_shape_of_a_turned_stream(make):
    shm = make("cam", numbers((2, 3)), symcode=0)
    with pytest.raises(FrameMismatchError, match=r"\(3, 2\).*\(2, 3\)") as caught:
        shm.set_data(np.ones((3, 2), np.float32))
    assert (caught.value.field, caught.value.expected, caught.value.found) == ("shape", (2, 3), (3, 2))
    with pytest.raises(FrameMismatchError):
        shm.set_data(np.float32(1))


DTYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", "c8", "c16"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype(make, dtype):
    data = numbers((3, 4), dtype)
    shm = make("cam", data)
    assert shm.nptype == np.dtype(dtype)
    other = make("cam")
    assert other.get_data().dtype == np.dtype(dtype)
    np.testing.assert_array_equal(other.get_data(), data)
    other.set_data(data[::-1])
    np.testing.assert_array_equal(shm.get_data(), data[::-1])


def test_bool_is_stored_as_uint8(make):
    mask = np.eye(3, dtype=bool)
    shm = make("cam", mask)
    assert shm.nptype == np.uint8
    np.testing.assert_array_equal(shm.get_data(), mask)
    shm.set_data(~mask)
    np.testing.assert_array_equal(shm.get_data(), ~mask)
    assert make("cam2", ((2, 2), bool)).nptype == np.uint8
    assert make("cam3", mask, symcode=1).get_data().tolist() == mask.tolist()


@pytest.mark.parametrize("dtype", [">f4", ">i2", ">u2", ">f8"])
def test_big_endian_data_as_fits_files_hold_it(make, dtype):
    data = numbers((3, 4), dtype)
    shm = make("cam", data)
    assert shm.get_data().dtype == np.dtype(dtype).newbyteorder("<")
    np.testing.assert_array_equal(shm.get_data(), data)


def test_no_axes(make):
    shm = make("cam", np.array(3.5))
    assert shm.get_data().reshape(-1).tolist() == [3.5]
    assert make("cam", autoSqueeze=False).shape == (1,)
    assert make("cam").shape == ()
    other = make("cam")
    assert other.get_data() == 3.5
    view = other.get_data(copy=False)
    other.set_data(4.5)
    assert shm.get_data().reshape(-1).tolist() == [4.5]
    assert (view.shape, float(view)) == ((), 4.5)
    assert isinstance(other.get_data(), np.ndarray)


def test_no_axes_without_data(make):
    assert make("cam", ((), np.int16)).get_data().reshape(-1).tolist() == [0]


def test_failed_creation_leaves_no_object_behind(make):
    # Nothing to close, so nothing to warn of.
    for data in (np.zeros(3, "U4"), "text"):
        with pytest.raises(StreamArgumentError):
            SHM("cam", data)
    with pytest.raises(StreamNotFoundError):
        SHM("cam")
    with pytest.raises(StreamNameError):
        SHM("/tmp/elsewhere/cam.im.shm")
    gc.collect()


# -- axes ---------------------------------------------------------------------------------------------


def test_attach_drops_axes_of_length_one(make):
    data = numbers((1, 5, 1))
    created = make("cam", data)
    assert created.shape == (1, 5, 1)
    assert make("cam", autoSqueeze=False).shape == (1, 5, 1)
    squeezed = make("cam")
    assert (squeezed.shape, squeezed.nDim) == ((5,), 1)
    np.testing.assert_array_equal(squeezed.get_data(), data[0, :, 0])
    np.testing.assert_array_equal(squeezed.get_data(copy=False), data[0, :, 0])
    squeezed.set_data(data[0, :, 0] * 2)
    np.testing.assert_array_equal(created.get_data(), data * 2)
    with Camera("cam"):
        assert squeezed.capture(3).frames.shape == (3, 5)
        assert created.capture(3).frames.shape == (3, 1, 5, 1)
        assert squeezed.capture(2, np.zeros((2, 5), np.float32)).frames.shape == (2, 5)


def test_squeezed_image_keeps_its_orientation(make):
    data = numbers((4, 6, 1))
    for symcode in range(8):
        make("cam", data, symcode=symcode)
        np.testing.assert_array_equal(make("cam", symcode=symcode).get_data(), data[:, :, 0])


def seen_2d(raw: np.ndarray, symcode: int) -> np.ndarray:
    """What a user sees of r, indexed r[i, j] with i the fast axis; written out index by index."""
    X, Y = raw.shape[:2]
    rule: dict[int, Callable[[int, int], Any]] = {
        0: lambda i, j: raw[i, j],
        1: lambda i, j: raw[X - 1 - i, j],
        2: lambda i, j: raw[i, Y - 1 - j],
        3: lambda i, j: raw[X - 1 - i, Y - 1 - j],
        4: lambda i, j: raw[j, i],
        5: lambda i, j: raw[X - 1 - j, i],
        6: lambda i, j: raw[j, Y - 1 - i],
        7: lambda i, j: raw[X - 1 - j, Y - 1 - i],
    }
    shape = (X, Y) if symcode < 4 else (Y, X)
    return np.array([[rule[symcode](i, j) for j in range(shape[1])] for i in range(shape[0])])


def seen_3d(raw: np.ndarray, symcode: int, state: int) -> np.ndarray:
    """The same in 3D: raw (x, y, z); the stack axis moves, then each image is turned."""
    x, _, z = raw.shape
    if state == 0:
        return seen_2d(raw, symcode)
    if state == 1:
        return seen_2d(np.stack([raw[k] for k in range(x)], axis=-1), symcode)
    if state == 2:
        return np.stack([seen_2d(raw[k], symcode) for k in range(x)])
    return np.stack([seen_2d(raw[:, :, k], symcode) for k in range(z)])


def raw_of(shm: SHM) -> np.ndarray:
    """Return the frame as it is stored: first index fastest."""
    content = isio_format.decode(Path(shm.FILEPATH).read_bytes(), check_padding=False)
    pixels = np.frombuffer(content.pixels, isio_format.DATATYPES[content.datatype])
    return pixels.reshape(content.size[: content.naxis], order="F")


@pytest.mark.parametrize("symcode", range(8))
def test_orientation_of_images(make, symcode):
    data = numbers((3, 5))
    shm = make("cam", data, symcode=symcode)
    raw = raw_of(shm)
    np.testing.assert_array_equal(seen_2d(raw, symcode), data)
    assert shm.shape == (3, 5)
    assert shm.shape_c == raw.shape == ((5, 3) if symcode & 4 else (3, 5))
    other = make("cam", symcode=symcode)
    np.testing.assert_array_equal(other.get_data(), data)
    np.testing.assert_array_equal(other.get_data(copy=False), data)
    other.set_data(data * 2)
    np.testing.assert_array_equal(seen_2d(raw_of(shm), symcode), data * 2)
    for code in range(8):
        np.testing.assert_array_equal(make("cam", symcode=code).get_data(), seen_2d(raw, code) * 2)


@pytest.mark.parametrize("state", list(Which3DState))
@pytest.mark.parametrize("symcode", range(8))
def test_orientation_of_cubes(make, symcode, state):
    data = numbers((2, 3, 5))
    shm = make("cam", data, symcode=symcode, triDim=state)
    raw = raw_of(shm)
    np.testing.assert_array_equal(seen_3d(raw, symcode, state), data)
    assert shm.shape_c == raw.shape
    other = make("cam", symcode=symcode, triDim=state)
    np.testing.assert_array_equal(other.get_data(), data)
    np.testing.assert_array_equal(other.get_data(copy=False), data)
    other.set_data(data * 2)
    np.testing.assert_array_equal(seen_3d(raw_of(shm), symcode, state), data * 2)
    for reading in Which3DState:
        seen = make("cam", symcode=symcode, triDim=reading).get_data()
        np.testing.assert_array_equal(seen, seen_3d(raw, symcode, reading) * 2)


@pytest.mark.parametrize("symcode", range(8))
def test_vectors_have_no_orientation(make, symcode):
    for state in Which3DState:
        shm = make("cam", numbers((7,)), symcode=symcode, triDim=state)
        np.testing.assert_array_equal(shm.get_data(), numbers((7,)))
        np.testing.assert_array_equal(raw_of(shm), numbers((7,)))


def test_default_orientation_keeps_the_bytes_of_an_image(make):
    data = numbers((3, 5))
    shm = make("cam", data)
    content = isio_format.decode(Path(shm.FILEPATH).read_bytes(), check_padding=False)
    assert content.pixels == data.tobytes()
    assert content.size == [5, 3, 0]


@pytest.mark.parametrize("symcode", range(8))
@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 5)])
def test_captured_cube_is_turned_without_a_second_pass(make, symcode, shape):
    make("cam", ((shape), np.float32), symcode=symcode, triDim=Which3DState.FRONT2LAST)
    shm = make("cam", symcode=symcode, triDim=Which3DState.FRONT2LAST)
    frame = numbers(shape)
    ended = threading.Event()

    def publish() -> None:
        with SHM("cam", symcode=symcode, triDim=Which3DState.FRONT2LAST) as writer:
            while not ended.wait(0.001):
                writer.set_data(frame)

    writer = threading.Thread(target=publish)
    writer.start()
    out = np.zeros((3, *shape), np.float32)
    turned = np.zeros((3, *shape), np.float32, order="F")
    try:
        capture = shm.capture(3)
        with_out = shm.capture(3, out)
        with_turned = shm.capture(3, turned)
    finally:
        ended.set()
        writer.join()
    for result in (capture, with_out, with_turned):
        np.testing.assert_array_equal(result.frames, np.broadcast_to(frame, (3, *shape)))
    assert capture.frames.base is not None
    assert np.shares_memory(capture.frames, capture._cube)
    assert capture._cube.flags.c_contiguous
    assert np.shares_memory(with_out.frames, out)
    assert np.shares_memory(with_turned.frames, turned)
    assert with_out.frames.shape == out.shape


# -- the end of a stream ------------------------------------------------------------------------------


def test_destroy_removes_the_stream(make, shm_dir):
    shm = make("cam", numbers((2, 2)))
    shm.destroy()
    assert list(shm_dir.iterdir()) == []
    with pytest.raises(StreamClosedError):
        shm.destroy()


def test_destroy_of_a_stream_that_is_gone(make):
    shm = make("cam", numbers((2, 2)))
    os.unlink(shm.FILEPATH)
    with pytest.raises(StreamNotFoundError):
        shm.destroy()
    assert (shm.get_data() == numbers((2, 2))).all()


@pytest.mark.parametrize("shape", [(2, 2), (3, 3)])
def test_destroy_never_deletes_the_stream_of_another(make, shape):
    old = make("cam", numbers((2, 2)))
    new = make("cam", numbers(shape))
    with pytest.raises(StreamReplacedError, match="not deleted"):
        old.destroy()
    assert os.path.exists(new.FILEPATH)
    np.testing.assert_array_equal(make("cam").get_data(), numbers(shape))


def test_writing_to_a_replaced_stream_is_refused(make):
    old = make("cam", numbers((2, 2)))
    new = make("cam", numbers((2, 2)) * 2)
    with pytest.raises(StreamReplacedError, match="autorelink_if_need"):
        old.set_data(numbers((2, 2)) * 3)
    np.testing.assert_array_equal(new.get_data(), numbers((2, 2)) * 2)
    old.set_data(numbers((2, 2)) * 3, autorelink_if_need=True)
    np.testing.assert_array_equal(new.get_data(), numbers((2, 2)) * 3)


def test_reading_on_in_the_old_file(make):
    old = make("cam", numbers((2, 2)))
    new = make("cam", numbers((2, 2)) * 2)
    np.testing.assert_array_equal(old.get_data(autorelink_if_need=False), numbers((2, 2)))
    np.testing.assert_array_equal(old.get_data(), numbers((2, 2)) * 2)
    new.close()


def test_close_twice(make):
    shm = make("cam", numbers((2, 2)))
    shm.close()
    shm.close()
    assert repr(shm) == "<SHM 'cam' closed>"


USES: dict[str, Callable[[SHM], Any]] = {
    "get_data": lambda shm: shm.get_data(),
    "check": lambda shm: shm.get_data(check=True),
    "view": lambda shm: shm.get_data(copy=False),
    "old file": lambda shm: shm.get_data(autorelink_if_need=False),
    "old file, check": lambda shm: shm.get_data(check=True, autorelink_if_need=False),
    "multi_recv_data": lambda shm: shm.multi_recv_data(2),
    "capture": lambda shm: shm.capture(2),
    "held_capture": lambda shm: shm.held_capture(2, None, 5.0, "auto"),
    "live_source": lambda shm: shm.live_source(),
    "background": lambda shm: shm.capture(2, background=True),
    "set_data": lambda shm: shm.set_data(numbers((2, 2))),
    "set_data, follow": lambda shm: shm.set_data(numbers((2, 2)), autorelink_if_need=True),
    "set_many": lambda shm: shm.set_many(numbers((2, 2))[None]),
    "set_many, follow": lambda shm: shm.set_many(numbers((2, 2))[None], autorelink_if_need=True),
    "claim": lambda shm: shm.claim().__enter__(),
    "claim, follow": lambda shm: shm.claim(autorelink_if_need=True).__enter__(),
    "ring_reader": lambda shm: shm.ring_reader(),
    "repost": lambda shm: shm.repost(),
    "repost, follow": lambda shm: shm.repost(autorelink_if_need=True),
    "check_sem_trywait": lambda shm: shm.check_sem_trywait(),
    "check_sem_value": lambda shm: shm.check_sem_value(),
    "check_sem_timedwait": lambda shm: shm.check_sem_timedwait(0),
    "non_block_wait_semaphore": lambda shm: shm.non_block_wait_semaphore(),
    "non_block_wait_until_recreation": lambda shm: shm.non_block_wait_until_recreation(),
    "IMAGE": lambda shm: shm.IMAGE,
    "md": lambda shm: shm.md,
    "print_meta_data": lambda shm: shm.print_meta_data(),
    "read_meta_data": lambda shm: shm.read_meta_data(),
    "save_as_fits": lambda shm: shm.save_as_fits(os.devnull),
    "get_expt": lambda shm: shm.get_expt(),
    "get_fps": lambda shm: shm.get_fps(),
    "get_ndr": lambda shm: shm.get_ndr(),
    "get_crop": lambda shm: shm.get_crop(),
    "get_counter": lambda shm: shm.get_counter(),
    "semID": lambda shm: shm.semID,
    "mtdata": lambda shm: shm.mtdata,
    "get_keywords": lambda shm: shm.get_keywords(),
    "get_keyword": lambda shm: shm.get_keyword("A"),
    "set_keywords": lambda shm: shm.set_keywords({"A": 1}),
    "reset_keywords": lambda shm: shm.reset_keywords({}),
    "update_keyword": lambda shm: shm.update_keyword("A", 1),
    "item": lambda shm: shm["A"],
    "set item": lambda shm: shm.__setitem__("A", 1),
    "keywords": lambda shm: len(shm.keywords),
    "destroy": lambda shm: shm.destroy(),
    "with": lambda shm: shm.__enter__(),
}


@pytest.mark.parametrize("use", USES)
def test_use_after_close(make, use):
    shm = make("cam", numbers((2, 2)))
    shm.close()
    with pytest.raises(StreamClosedError) as caught:
        USES[use](shm)
    assert caught.value.stream == "cam"
    assert isinstance(caught.value, ValueError)


def test_every_public_method_is_tried_after_close():
    given_up = {"rename_img", "select_dtype", "select_atype", "create_keyword_list"}
    given_up |= {f"{verb}_keyword{s}" for verb in ("read", "write") for s in ("", "s")}
    public = {name for name in dir(SHM) if not name.startswith("_")} - {"close", "FNAME"} - given_up
    assert public <= {use.split(",")[0] for use in USES}


def test_forgotten_close_warns_where_asked(make):
    make("cam", numbers((2, 2)))
    with pytest.warns(ResourceWarning, match=r"unclosed.*SHM 'cam'"):
        SHM("cam")
    shm = SHM("cam")
    shm.close()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del shm
        gc.collect()
    assert caught == []


@pytest.mark.parametrize("options", [[], ["-W", "error"], ["-X", "dev"]])
def test_exit_with_an_open_object(make, options):
    make("cam", numbers((2, 2)))
    run = subprocess.run(
        [sys.executable, *options, "-c", "from pymilk import SHM; shm = SHM('cam'); shm.get_data()"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONSAFEPATH": "1", "PYTHONDEVMODE": ""},
    )
    assert run.returncode == 0
    if not options:
        assert (run.stdout, run.stderr) == ("", "")
    else:
        assert "ImportError" not in run.stderr
        assert "Traceback" not in run.stderr or "ResourceWarning" in run.stderr


def test_repr(make):
    shm = make("cam", numbers((2, 3), np.uint16))
    assert repr(shm) == "<SHM 'cam' shape=(2, 3) dtype=uint16>"


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everything")
def test_read_only_file(make):
    writer = make("cam", numbers((2, 3)))
    os.chmod(writer.FILEPATH, 0o444)
    reader = make("cam")
    assert "read-only" in repr(reader)
    np.testing.assert_array_equal(reader.get_data(), numbers((2, 3)))
    assert reader.semID is None
    with pytest.raises(StreamReadOnlyError):
        reader.set_data(numbers((2, 3)))
    with Camera("cam"):
        assert reader.get_data(check=True) is not None


# -- several frames -----------------------------------------------------------------------------------


def test_list_or_cube(make, capsys):
    shm = make("cam", ((4, 5), np.uint16))
    with Camera("cam"):
        frames = shm.multi_recv_data(5)
        cube = shm.multi_recv_data(5, True)
        older = shm.multi_recv_data(5, outputFormat=0)
        cube2 = shm.multi_recv_data(5, output_as_cube=True, timeout=3.0)
    assert isinstance(frames, list)
    assert isinstance(older, list)
    assert len(frames) == 5
    assert {frame.shape for frame in frames} == {(4, 5)}
    assert cube.shape == cube2.shape == (5, 4, 5)
    assert capsys.readouterr() == ("", "")


def test_frames_are_a_copy(make):
    shm = make("cam", numbers((2, 2)))
    with Camera("cam"):
        cube = shm.multi_recv_data(3, True)
    expected = cube.copy()
    shm.set_data(numbers((2, 2)) * 100)
    shm.destroy()
    np.testing.assert_array_equal(cube, expected)
    cube[:] = 0


def test_irregularities_are_counted(make, capsys):
    shm = make("cam", ((2, 2), np.uint16))
    stream = shm._stream
    result: list[Any] = []
    receiver = threading.Thread(target=lambda: result.append(shm.multi_recv_data(3, True, True, timeout=20)))
    receiver.start()
    # Any number may be lost; what is printed has to agree with what was received.
    while receiver.is_alive():
        for _ in range(3):
            stream.publish(np.full((2, 2), (stream.counter + 1) % 65536, np.uint16))
        time.sleep(0.001)
    receiver.join()
    skips = int((np.diff(result[0][:, 0, 0].astype(int)) > 1).sum())
    lines = capsys.readouterr().out.splitlines()
    assert f"0 < 1, {skips} > 1 deltas in pre." in lines
    assert f"0 < 1, {skips} > 1 deltas in post." in lines
    assert "0 < 1, 0 > 1 pre/post diff." in lines


def test_partial_result_of_a_timeout(make):
    shm = make("cam", ((2, 2), np.uint16))
    with pytest.raises(StreamTimeoutError) as caught:
        shm.multi_recv_data(5, timeout=0.02)
    assert caught.value.capture.received == 0
    assert caught.value.stream == "cam"
    with pytest.raises(TimeoutError):
        shm.capture(5, timeout=0.02)


def test_more_frames_than_memory(make):
    shm = make("cam", ((100, 100), np.uint16))
    with pytest.raises(CaptureMemoryError) as caught:
        shm.capture(10**12)
    assert caught.value.needed == 10**12 * 20_000
    assert 0 < caught.value.available < caught.value.needed
    assert isinstance(caught.value, MemoryError)
    assert (shm.get_data() == 0).all()


# -- keywords -----------------------------------------------------------------------------------------


@pytest.fixture
def shm(make) -> SHM:
    return make("cam", ((2, 2), np.uint8), nbkw=4)


def test_set_keywords_changes_and_adds(shm):
    shm.set_keywords({"A": (1, "first"), "B": 2.5})
    shm.set_keywords({"B": "text", "C": (3,)})
    assert shm.get_keywords(comments=True) == {"A": (1, "first"), "B": ("text", ""), "C": (3, "")}
    shm.set_keywords({"A": 5})
    assert shm.get_keyword("A", comment=True) == (5, "first")


def test_reset_keywords_replaces(shm):
    shm.set_keywords({"A": 1, "B": 2})
    shm.reset_keywords({"C": (3, "third")})
    assert shm.get_keywords(True) == {"C": (3, "third")}
    shm.reset_keywords({})
    assert shm.get_keywords() == {}


def test_update_keyword(shm):
    shm.set_keywords({"A": (1, "first")})
    shm.update_keyword("A", 2)
    assert shm.get_keyword("A", True) == (2, "first")
    shm.update_keyword("A", 2.5, "changed")
    assert shm.get_keyword("A", True) == (2.5, "changed")
    with pytest.raises(KeywordNotFoundError) as caught:
        shm.update_keyword("B", 1)
    assert (caught.value.keyword, caught.value.stream) == ("B", "cam")
    with pytest.raises(KeyError):
        shm.get_keyword("B")


def test_keywords_by_index(shm):
    shm["A"] = 1
    shm["A"] = (2, "with a comment")
    assert shm["A"] == 2
    shm.keywords["B"] = "x"
    assert dict(shm.keywords) == {"A": 2, "B": "x"}
    del shm.keywords["A"]
    assert shm.get_keywords() == {"B": "x"}
    with pytest.raises(KeyError):
        shm["A"]
    with pytest.raises(KeyError):
        del shm.keywords["A"]


def test_keyword_limits(shm):
    shm.set_keywords({"N" * 16: ("V" * 16, "C" * 80)})
    assert shm.get_keywords(True) == {"N" * 16: ("V" * 16, "C" * 80)}
    before = shm.get_keywords(True)
    for bad, limit in (
        ({"N" * 17: 1}, 16),
        ({"A": "V" * 17}, 16),
        ({"A": (1, "C" * 81)}, 80),
        ({"é" * 9: 1}, 16),
        ({"": 1}, 16),
        ({"A": 2**63}, 64),
    ):
        with pytest.raises(KeywordError) as caught:
            shm.set_keywords({"GOOD": 1, **bad})
        assert caught.value.limit == limit
        assert shm.get_keywords(True) == before  # all or nothing
    with pytest.raises(KeywordError) as caught:
        shm.set_keywords({f"K{k}": k for k in range(4)})
    assert (caught.value.limit, caught.value.found) == (4, 5)
    assert shm.get_keywords(True) == before


@pytest.mark.parametrize(
    "value", [0, -1, 2**63 - 1, -(2**63), 0.0, -1.5, 1e300, float("inf"), "", "text", "é" * 8]
)
def test_keyword_values(shm, make, value):
    shm["A"] = value
    found = make("cam").get_keyword("A")
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("given", "stored"),
    [(True, 1), (np.bool_(False), 0), (np.int16(7), 7), (np.float32(0.5), 0.5), (np.uint64(9), 9)],
)
def test_keyword_values_that_are_converted(shm, given, stored):
    shm["A"] = given
    assert shm["A"] == stored
    assert type(shm["A"]) is type(stored)


@pytest.mark.parametrize("value", [[1], {"a": 1}, object(), b"bytes", 1j])
def test_keyword_values_that_do_not_fit(shm, value):
    with pytest.raises(KeywordError):
        shm["A"] = value
    assert shm.get_keywords() == {}


@pytest.mark.parametrize("entry", [(), (1, "c", "d"), (1, "c", "d", "e")])
def test_keyword_with_the_wrong_number_of_parts(shm, entry):
    for before in ({}, {"A": 1}):
        for call in (shm.set_keywords, shm.reset_keywords):
            shm.reset_keywords(before)
            with pytest.raises(KeywordError):
                call({"A": entry})
            assert shm.get_keywords() == before


def test_keyword_without_a_comment_keeps_the_one_it_has(shm):
    shm["A"] = (1, "first")
    shm.set_keywords({"A": (2, None)})
    assert shm.get_keywords(True) == {"A": (2, "first")}
    shm.set_keywords({"A": (3, None), "B": (4, None)})
    assert shm.get_keywords(True) == {"A": (3, "first"), "B": (4, "")}


def test_keywords_follow_a_new_file(make):
    old = make("cam", ((2, 2), np.uint8))
    old["A"] = 1
    keywords = old.keywords
    new = make("cam", ((2, 2), np.uint8))
    new["B"] = 2
    assert dict(old.keywords) == {"B": 2}
    assert old.get_keywords() == {"B": 2}
    assert dict(keywords) in ({"A": 1}, {"B": 2})  # a mapping kept from before may go either way


# -- threads ------------------------------------------------------------------------------------------


def run_threads(*targets: Callable[[], Any]) -> list[BaseException]:
    """Run functions at the same time; return what they raised."""
    raised: list[BaseException] = []

    def guarded(target: Callable[[], Any]) -> None:
        try:
            target()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=guarded, args=(target,)) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return raised


def test_two_threads_use_one_object(make):
    shm = make("cam", numbers((8, 8), np.uint32))

    def read() -> None:
        for _ in range(300):
            frame = shm.get_data()
            assert frame.shape == (8, 8)
            shm.get_counter(), shm.mtdata, shm.get_keywords()

    def wait() -> None:
        for _ in range(50):
            assert shm.get_data(check=True, timeout=20) is not None

    with Camera("cam", 0.0005):
        assert run_threads(read, wait, wait, lambda: shm.capture(50)) == []


def test_two_threads_wait_while_the_stream_is_recreated(make):
    shm = make("cam", ((8, 8), np.uint32))
    ended = threading.Event()

    def wait() -> None:
        while not ended.is_set():
            shm.get_data(check=True, timeout=20)

    def read() -> None:
        while not ended.is_set():
            shm.get_data()
            shm.get_counter()

    def recreate() -> None:
        try:
            for number in range(30):
                with SHM("cam", np.full((8, 8), number, np.uint32)) as writer:
                    for _ in range(5):
                        time.sleep(0.001)
                        writer.set_data(np.full((8, 8), number, np.uint32))
        finally:
            ended.set()
            # Whoever waits now gets one more frame.
            for _ in range(100):
                with SHM("cam") as writer:
                    writer.set_data(np.zeros((8, 8), np.uint32))
                time.sleep(0.001)

    assert run_threads(wait, wait, read, recreate) == []


def test_threads_share_a_handle_that_is_closed(make):
    shm = make("cam", ((8, 8), np.uint32))

    def use() -> None:
        while True:
            try:
                shm.get_data()
                shm.set_data(np.zeros((8, 8), np.uint32))
                shm.get_counter()
            except StreamClosedError:
                return

    def close() -> None:
        while shm.get_counter() < 50:  # both are at it
            time.sleep(0.001)
        shm.close()

    assert run_threads(use, use, close) == []


def test_what_changed_shows_in_the_class(make):
    """Raised at each access until something is done about it; a stream that fits again is followed."""
    shm = make("cam", numbers((2, 2)))
    for data, kind, old_name in (
        (numbers((3, 3)), errors.StreamShapeChangedError, errors.AutoRelinkSizeError),
        (numbers((2, 2)).astype(np.float64), errors.StreamTypeChangedError, errors.AutoRelinkTypeError),
    ):
        make("cam", data)
        for access in (shm.get_data, shm.get_counter, shm.get_keywords, shm.get_data):
            with pytest.raises(kind) as caught:
                access()
            assert isinstance(caught.value, old_name)
            assert isinstance(caught.value, errors.AutoRelinkError)
    make("cam", numbers((2, 2)))
    assert np.array_equal(shm.get_data(), numbers((2, 2)))


def test_unknown_keyword_is_every_error_that_scripts_catch(make):
    shm = make("cam", numbers((2, 2)))
    for kind in (KeyError, AssertionError, ValueError):
        with pytest.raises(kind, match="NOPE"):
            shm.update_keyword("NOPE", 1)
    shm.set_keywords({"A": (1, "one")})
    assert shm.get_keywords(True, n_tries=2) == {"A": (1, "one")}
    assert shm.get_keyword(key="A", comment=True, n_tries=2) == (1, "one")


def test_view_of_a_slice_of_single_pixels_is_a_view(make_stream: Callable[..., Stream]) -> None:
    bits = IMAGETYPES["CIRCULAR_BUFFER"] | IMAGETYPES["ZAXIS_TEMPORAL"]
    stream = make_stream("dots", (3, 1, 1), np.uint16, imagetype=bits)
    with SHM("dots") as shm:
        frame = shm.get_data(copy=False)
        assert frame.shape == ()
        stream.view(writable=True)[:] = 7
        assert frame == 7


def test_gpu_stream_leaves_nothing_to_close(make_stream: Callable[..., Stream]) -> None:
    make_stream("gpu", (2, 3), np.uint16, location=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(StreamFormatError, match="GPU"):
            SHM("gpu")
        gc.collect()
    assert not caught
