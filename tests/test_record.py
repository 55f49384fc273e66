"""Recordings: what was published comes back from each format, with every frame accounted for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pymilk
from pymilk import FRAME_ROW, SHM, Recorder, Recording, load, record
from pymilk._core import FLAG_NEW_FILE, Stream
from pymilk.errors import (
    RecordError,
    StreamArgumentError,
    StreamChangedError,
    StreamClosedError,
    StreamExistsError,
    StreamFormatError,
    StreamNotFoundError,
    StreamPermissionError,
    StreamTimeoutError,
    StreamUnsupportedError,
)
from pymilk.recording import LazyFrames
from pymilk.recording.sinks import sink_of

LIBRARIES = {"fits": "astropy", "h5": "h5py", "hdf5": "h5py", "zarr": "zarr"}


def format_parameters(*names: str) -> list[Any]:
    """Parameters of tests, left out where the library is missing; behind a plus is what else they say."""
    import importlib.util

    parameters = []
    for name in names:
        library = LIBRARIES.get(name.partition("+")[0])
        missing = library is not None and importlib.util.find_spec(library) is None
        parameters.append(pytest.param(name, marks=pytest.mark.skipif(missing, reason=f"needs {library}")))
    return parameters


EACH_FORMAT = pytest.mark.parametrize("suffix", format_parameters("npy", "fits", "h5", "zarr"))

TYPES = ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f4", "f8", "c8", "c16"]


def images(count: int, shape: tuple[int, ...] = (5, 7), dtype: Any = np.uint16) -> np.ndarray:
    """Frames that differ in each pixel, over the whole range of an integer type."""
    random = np.random.default_rng(count)
    kind = np.dtype(dtype)
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        return random.integers(limits.min, limits.max, (count, *shape), kind, endpoint=True)
    made = random.standard_normal((count, *shape))
    return (made + 1j * made[::-1] if kind.kind == "c" else made).astype(kind)


@pytest.fixture
def cam(make: Callable[..., SHM]) -> SHM:
    return make("cam", ((5, 7), np.uint16), ring=4096)


def recorded(shm: SHM, path: Path, frames: np.ndarray, **options: Any) -> tuple[Recording, Any]:
    """Record these frames, and load them."""
    with Recorder(shm, path, frames=len(frames), **options) as recorder:
        shm.set_many(frames)
        report = recorder.wait(60)
    return load(path), report


# -- formats -----------------------------------------------------------------------------------


@EACH_FORMAT
@pytest.mark.parametrize("dtype", TYPES)
def test_round_trip_of_each_type(suffix: str, dtype: str, make: Callable[..., SHM], tmp_path: Path) -> None:
    shm = make("cam", ((5, 7), np.dtype(dtype)), ring=64)
    frames = images(40, dtype=dtype)
    path = tmp_path / f"cam.{suffix}"
    if suffix == "fits" and dtype in ("c8", "c16"):
        with pytest.raises(StreamUnsupportedError, match=r"FITS has no pixels of complex.*\.real"):
            Recorder(shm, path, frames=1)
        assert list(tmp_path.iterdir()) == []
        return
    loaded, report = recorded(shm, path, frames)
    with loaded:
        assert loaded.frames.dtype == np.dtype(dtype)
        assert loaded.frames.dtype.isnative
        np.testing.assert_array_equal(np.asarray(loaded.frames), frames)
        assert (report.recorded, report.lost, report.complete, loaded.complete) == (40, 0, True, True)


@EACH_FORMAT
def test_rows_come_back_bit_for_bit(suffix: str, cam: SHM, tmp_path: Path) -> None:
    frames = images(300)
    with cam.ring_reader() as ring, Recorder(cam, tmp_path / f"cam.{suffix}", frames=300) as recorder:
        cam.set_many(frames)
        recorder.wait(60)
        info = ring.read(300).info
    with load(tmp_path / f"cam.{suffix}") as loaded:
        assert loaded.info is not None
        assert loaded.info.dtype == FRAME_ROW
        for field in ("cnt0", "cnt1", "atime_ns", "writetime_ns", "lost", "flags"):
            np.testing.assert_array_equal(loaded.info[field], info[field])
        assert (loaded.info["arrival_ns"] > loaded.info["writetime_ns"]).all()


@EACH_FORMAT
def test_sink_keeps_any_row(suffix: str, tmp_path: Path) -> None:
    """Rows of all bits: the highest and lowest numbers that fields hold, and everything between."""
    path = str(tmp_path / f"any.{suffix}")
    random = np.random.default_rng(5)
    info = np.zeros(50, FRAME_ROW)
    for field in FRAME_ROW.names:
        kind = FRAME_ROW[field]
        limits = np.iinfo(kind)
        info[field] = random.integers(limits.min, limits.max, 50, kind, endpoint=True)
        info[field][:2] = limits.min, limits.max
    info["arrival_ns"][:2] = -1, 2**63 - 1  # 0 is no time of arrival
    header = {"pymilk": "0", "stream": "any", "dtype": "float32", "shape": [4], "stream_shape": [4]}
    header |= {"axes": "", "symcode": 4, "tri_dim": 0, "squeeze": False, "clock": "", "tai_offset": 0}
    header |= {"started_ns": 1, "first_ns": 1, "frames": 0, "lost": 0, "ended": "", "part": None}
    header |= {"keywords": [], "complete": False}
    sink = sink_of(path)(path, (4,), np.dtype(np.float32), header)
    for first in range(0, 50, 7):
        part = info[first : first + 7]
        sink.room(len(part))[:] = first
        sink.commit(part)
    sink.finish({**header, "complete": True})
    with load(path) as loaded:
        assert loaded.info is not None
        for field in FRAME_ROW.names:
            np.testing.assert_array_equal(loaded.info[field], info[field])
        np.testing.assert_array_equal(np.asarray(loaded.frames)[:, 0], np.arange(50) // 7 * 7)


@EACH_FORMAT
@pytest.mark.parametrize("symcode", [0, 1, 4, 6])
def test_frames_come_back_as_they_were_seen(
    suffix: str, symcode: int, make: Callable[..., SHM], tmp_path: Path
) -> None:
    shm = make("cam", ((5, 7), np.int16), ring=64, symcode=symcode)
    frames = images(10, dtype=np.int16)
    loaded, _ = recorded(shm, tmp_path / f"cam.{suffix}", frames)
    with loaded:
        np.testing.assert_array_equal(np.asarray(loaded.frames), frames)
        assert loaded.header["symcode"] == symcode
        assert loaded.header["shape"] == [5, 7]
        indices = {0: "[k, x, y]", 1: "[k, -x, y]", 4: "[k, y, x]", 6: "[k, -y, x]"}[symcode]
        assert indices in loaded.header["axes"]


@EACH_FORMAT
@pytest.mark.parametrize("shape", [(9,), (3, 4, 5), (1, 6)])
@pytest.mark.parametrize("tri_dim", [0, 2])
def test_other_shapes(
    suffix: str, shape: tuple[int, ...], tri_dim: int, make: Callable[..., SHM], tmp_path: Path
) -> None:
    make("cam", (shape, np.uint32), ring=64, triDim=tri_dim)
    seen = make("cam", triDim=tri_dim)  # as attached: without axes of length 1
    frames = images(12, seen.shape, np.uint32)
    loaded, _ = recorded(seen, tmp_path / f"cam.{suffix}", frames)
    with loaded:
        np.testing.assert_array_equal(np.asarray(loaded.frames), frames)


def test_temporal_ring_is_recorded_as_frames(make: Callable[..., SHM], tmp_path: Path) -> None:
    shm = make("cam", ((5, 7), np.uint16), ring=64, ring_kind="temporal")
    frames = images(30)
    loaded, report = recorded(shm, tmp_path / "cam.npy", frames)
    np.testing.assert_array_equal(loaded.frames, frames)
    assert report.streams["cam"].source == "temporal"


@EACH_FORMAT
def test_header(suffix: str, cam: SHM, tmp_path: Path) -> None:
    cam.set_keywords({"GAIN": (2.5, "as set"), "NAME": ("Jove", ""), "N": (7, "count")})
    loaded, _ = recorded(cam, tmp_path / f"cam.{suffix}", images(3))
    with loaded:
        header = loaded.header
        assert [list(each) for each in header["keywords"]] == [
            ["GAIN", 2.5, "as set"],
            ["NAME", "Jove", ""],
            ["N", 7, "count"],
        ]
        assert (header["stream"], header["dtype"], header["frames"]) == ("cam", "uint16", 3)
        assert "CLOCK_TAI" in header["clock"]
        assert (header["lost"], header["ended"], header["pymilk"]) == (0, "complete", pymilk.__version__)
        assert loaded.info is not None
        assert header["first_ns"] == loaded.info["atime_ns"][0]
        assert header["started_ns"] < header["first_ns"]
        assert "3 frames (5, 7) of uint16" in repr(loaded)


@EACH_FORMAT
def test_gaps_are_marked(suffix: str, make: Callable[..., SHM], tmp_path: Path) -> None:
    shm = make("cam", ((5, 7), np.uint16), ring=8)
    path = tmp_path / f"cam.{suffix}"
    recorder = Recorder(shm, path)
    stall, go = threading.Event(), threading.Event()
    stall_first_commit(recorder, stall, go)
    with recorder:
        shm.set_many(images(5))
        assert stall.wait(30)
        shm.set_many(images(40))  # the ring keeps the last 7
        go.set()
        report = recorder.stop()
    with load(path) as loaded:
        assert loaded.info is not None
        numbers = loaded.info["cnt0"].astype(int)
        missing = np.diff(numbers) - 1
        assert report.lost == missing.sum() > 0
        assert loaded.header["lost"] == report.lost
        rows = np.flatnonzero(missing) + 1
        assert loaded.gaps["row"].tolist() == rows.tolist()
        assert loaded.gaps["lost"].tolist() == missing[rows - 1].tolist()
        assert loaded.gaps["before"].tolist() == numbers[rows - 1].tolist()
        assert loaded.gaps["after"].tolist() == numbers[rows].tolist()


def stall_first_commit(recorder: Recorder, stalled: threading.Event, go: threading.Event) -> None:
    """Make the disk of the first stream stand still with the first frames, until it may go on."""
    job = next(iter(recorder._jobs.values()))
    kind = job._format

    class SlowSink(kind):  # type: ignore[misc, valid-type]
        def commit(self, info: np.ndarray) -> None:
            stalled.set()
            assert go.wait(30)
            super().commit(info)

    job._format = SlowSink


@EACH_FORMAT
def test_stalling_disk_costs_nothing_until_the_ring_is_full(
    suffix: str, cam: SHM, tmp_path: Path
) -> None:
    frames = images(4000)
    recorder = Recorder(cam, tmp_path / f"cam.{suffix}", frames=4000)
    stalled, go = threading.Event(), threading.Event()
    stall_first_commit(recorder, stalled, go)
    with recorder:
        cam.set_many(frames[:100])
        assert stalled.wait(30)
        cam.set_many(frames[100:])
        go.set()
        report = recorder.wait(60)
    assert (report.recorded, report.lost) == (4000, 0)
    assert report.streams["cam"].ring_peak > 0.9
    with load(tmp_path / f"cam.{suffix}") as loaded:
        np.testing.assert_array_equal(np.asarray(loaded.frames), frames)


# -- files that others read and write ------------------------------------------------------------


def test_npy_is_plain(cam: SHM, tmp_path: Path) -> None:
    frames = images(20)
    loaded, _ = recorded(cam, tmp_path / "cam.npy", frames)
    mapped = np.load(tmp_path / "cam.npy", mmap_mode="r")
    np.testing.assert_array_equal(mapped, frames)
    assert isinstance(loaded.frames, np.memmap)
    assert not loaded.frames.flags.writeable
    assert (tmp_path / "cam.npy").stat().st_size == 128 + frames.nbytes
    assert np.load(tmp_path / "cam.info.npy").dtype == FRAME_ROW
    assert json.loads((tmp_path / "cam.info.json").read_text())["stream"] == "cam"


def test_fits_is_plain(make: Callable[..., SHM], tmp_path: Path) -> None:
    fits = pytest.importorskip("astropy.io.fits", reason="extra fits")
    from pymilk.fits import multi_read

    shm = make("cam", ((5, 7), np.uint16), ring=64)
    shm.set_keywords({"LONGERNAME": (1, "a"), "NAXIS": (2, "taken")})
    frames = images(20)
    recorded(shm, tmp_path / "cam.fits", frames)
    with fits.open(tmp_path / "cam.fits") as hdus:
        hdus.verify("exception")
        np.testing.assert_array_equal(hdus[0].data, frames)
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "INFO"]
        header = hdus[0].header
        assert header["SHM_DONE"] is True
        assert (header["SHM_NFRM"], header["SHM_LOST"], header["SHM_NAME"]) == (20, 0, "cam")
        assert "CLOCK_TAI" in header["SHM_CLK"]
        assert header["DATE-OBS"].startswith("20")
        table = hdus["INFO"].data
        assert table["cnt0"].tolist() == list(range(2, 22))
        assert hdus["INFO"].columns["writetime_ns"].unit == "ns"
        symcode, stack = header["SYMCODE"], header["TRI_DIM"]
    np.testing.assert_array_equal(multi_read(tmp_path / "cam.fits", symcode, stack)[0], frames)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cam.fits"]


@pytest.mark.parametrize("compress", [False, True])
def test_hdf5_is_plain(compress: bool, cam: SHM, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py", reason="extra hdf5")
    frames = images(20)
    loaded, _ = recorded(cam, tmp_path / "cam.h5", frames, compress=compress)
    loaded.close()
    with h5py.File(tmp_path / "cam.h5") as h5:
        np.testing.assert_array_equal(h5["frames"][:], frames)
        assert h5["frames"].compression == ("gzip" if compress else None)
        assert h5["info"]["cnt0"].tolist() == list(range(2, 22))
        assert (h5.attrs["stream"], h5.attrs["lost"], bool(h5.attrs["complete"])) == ("cam", 0, True)
        assert "CLOCK_TAI" in h5.attrs["clock"]
    # What was reserved is given back.
    assert (tmp_path / "cam.h5").stat().st_size < 4 << 20


@pytest.mark.parametrize("compress", [False, True])
def test_zarr_is_plain(compress: bool, cam: SHM, tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr", reason="extra zarr")
    frames = images(20)
    recorded(cam, tmp_path / "cam.zarr", frames, compress=compress)
    group = zarr.open_group(tmp_path / "cam.zarr", mode="r")
    np.testing.assert_array_equal(group["frames"][:], frames)
    assert group["info"][:, 0].tolist() == list(range(2, 22))
    assert group["info"].attrs["columns"] == list(FRAME_ROW.names)
    assert len(group["frames"].compressors) == compress
    assert group.attrs["stream"] == "cam"


@pytest.mark.parametrize("suffix", format_parameters("h5", "zarr"))
def test_compression_is_lossless_and_smaller(
    suffix: str, make: Callable[..., SHM], tmp_path: Path
) -> None:
    shm = make("cam", ((64, 64), np.uint16), ring=1024)
    frames = np.arange(600 * 64 * 64, dtype=np.uint32).reshape(600, 64, 64).astype(np.uint16) // 64
    loaded, report = recorded(shm, tmp_path / f"cam.{suffix}", frames, compress=True)
    with loaded:
        np.testing.assert_array_equal(np.asarray(loaded.frames), frames)
    files = [each for each in [tmp_path, *tmp_path.rglob("*")] if each.is_file()]
    assert sum(each.stat().st_size for each in files) < report.nbytes / 2


@pytest.mark.parametrize("suffix", format_parameters("npy", "fits"))
def test_cubes_are_not_compressed(suffix: str, cam: SHM, tmp_path: Path) -> None:
    with pytest.raises(StreamArgumentError, match=r"compress.*\.h5"):
        Recorder(cam, tmp_path / f"cam.{suffix}", frames=1, compress=True)


def test_npy_without_its_header(cam: SHM, tmp_path: Path) -> None:
    """The rows are there; what the header said of the orientation is not known."""
    loaded, _ = recorded(cam, tmp_path / "cam.npy", images(6))
    rows = loaded.info
    (tmp_path / "cam.info.json").unlink()
    alone = load(tmp_path / "cam.npy")
    assert alone.header == {}
    assert alone.info is not None
    assert alone.info.tobytes() == rows.tobytes()
    (tmp_path / "cam.info.npy").write_bytes(b"something else")
    assert load(tmp_path / "cam.npy").info is None
    np.save(tmp_path / "rows.npy", rows)
    with pytest.raises(StreamFormatError, match="no frames of numbers"):
        load(tmp_path / "rows.npy")


def test_npy_of_others(tmp_path: Path) -> None:
    cube = images(6)
    np.save(tmp_path / "plain.npy", cube)
    with load(tmp_path / "plain.npy") as loaded:
        np.testing.assert_array_equal(loaded.frames, cube)
        assert (loaded.info, loaded.header, loaded.complete, len(loaded.gaps)) == (None, {}, True, 0)


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "f4", "scaled", "compressed"])
def test_fits_of_others(dtype: str, tmp_path: Path) -> None:
    fits = pytest.importorskip("astropy.io.fits", reason="extra fits")
    cube = images(6, (16, 16), "i2" if dtype in ("scaled", "compressed") else dtype)
    hdu = fits.PrimaryHDU(cube)
    if dtype == "scaled":
        hdu.scale("int16", bscale=2.0, bzero=100.0)
        cube = hdu.data.astype(float)
    if dtype == "compressed":
        hdu = fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(cube)])
    hdu.writeto(tmp_path / "plain.fits")
    with fits.open(tmp_path / "plain.fits") as hdus:
        expected = np.array(hdus[-1].data)
    with load(tmp_path / "plain.fits") as loaded:
        assert loaded.frames.dtype.isnative
        np.testing.assert_array_equal(np.asarray(loaded.frames), expected)
        assert (loaded.info, loaded.complete) == (None, True)


@pytest.mark.parametrize("suffix", format_parameters("npy", "fits", "h5", "zarr"))
def test_what_is_no_recording(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"odd.{suffix}"
    if suffix == "zarr":
        path.mkdir()
    else:
        path.write_bytes(b"nothing of the kind" * 300)
    with pytest.raises(StreamFormatError, match=r"odd"):
        load(path)
    with pytest.raises(StreamNotFoundError, match="no recording"):
        load(tmp_path / f"none.{suffix}")


def test_hdf5_of_others_is_named(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py", reason="extra hdf5")
    with h5py.File(tmp_path / "odd.h5", "w") as h5:
        h5["things"] = [1, 2]
    with pytest.raises(StreamFormatError, match=r"it has things; open it with h5py"):
        load(tmp_path / "odd.h5")


@EACH_FORMAT
def test_damaged_header(suffix: str, cam: SHM, tmp_path: Path) -> None:
    path = tmp_path / f"cam.{suffix}"
    recorded(cam, path, images(5))[0].close()
    if suffix == "fits":
        path.write_bytes(path.read_bytes().replace(b"SYMCODE", b"SIMCODE", 1))
    elif suffix == "h5":
        import h5py

        with h5py.File(path, "r+") as h5:
            h5["header"][()] = np.bytes_(b'{"stream": "cam"}')
    else:
        header = tmp_path / "cam.info.json" if suffix == "npy" else path / "zarr.json"
        header.write_text(header.read_text().replace("symcode", "simcode"))
    with pytest.raises(StreamFormatError, match="header of the recording is damaged"):
        load(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [("stream_shape", 5), ("stream_shape", [7, 5]), ("stream_shape", ["a"]), ("symcode", 99),
     ("symcode", "x"), ("tri_dim", None)],
)  # fmt: skip
def test_header_that_makes_no_sense(key: str, value: Any, cam: SHM, tmp_path: Path) -> None:
    recorded(cam, tmp_path / "cam.npy", images(5))
    path = tmp_path / "cam.info.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(StreamFormatError, match=r"header of the recording is damaged"):
        load(tmp_path / "cam.npy")


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", None])
def test_rows_that_are_damaged(content: bytes | None, cam: SHM, tmp_path: Path) -> None:
    recorded(cam, tmp_path / "cam.npy", images(5))
    rows = tmp_path / "cam.info.npy"
    rows.unlink() if content is None else rows.write_bytes(content)
    error = StreamNotFoundError if content is None else StreamFormatError
    with pytest.raises(error, match=r"cam\.info\.npy"):
        load(tmp_path / "cam.npy")


def test_fits_without_its_last_rows(cam: SHM, tmp_path: Path) -> None:
    pytest.importorskip("astropy", reason="extra fits")
    path = tmp_path / "cam.fits"
    recorded(cam, path, images(200))
    os.truncate(path, path.stat().st_size - 4 * 2880)
    with pytest.raises(StreamFormatError, match=r"of 200 rows|shorter|damaged"):
        load(path)


def test_hdf5_with_a_damaged_header_is_not_waited_for(cam: SHM, tmp_path: Path) -> None:
    pytest.importorskip("h5py", reason="extra hdf5")
    path = tmp_path / "cam.h5"
    recorded(cam, path, images(5))[0].close()
    content = bytearray(path.read_bytes())
    content[16] ^= 255  # of its first block, which has a checksum
    path.write_bytes(content)
    with pytest.raises(StreamFormatError, match=r"cam\.h5 is damaged"):
        load(path)


def test_frames_that_turn_out_damaged(cam: SHM, tmp_path: Path) -> None:
    pytest.importorskip("zarr", reason="extra zarr")
    recorded(cam, tmp_path / "cam.zarr", images(5))
    chunk = tmp_path / "cam.zarr" / "frames" / "c.0.0.0"
    chunk.write_bytes(chunk.read_bytes()[:100])
    with load(tmp_path / "cam.zarr") as loaded, pytest.raises(StreamFormatError, match="frames 1 to 3"):
        loaded.frames[1:4]


@pytest.mark.parametrize("suffix", format_parameters("npy", "fits", "h5"))
def test_file_that_was_cut(suffix: str, cam: SHM, tmp_path: Path) -> None:
    path = tmp_path / f"cam.{suffix}"
    recorded(cam, path, images(500))[0].close()
    os.truncate(path, path.stat().st_size // 3)
    with pytest.raises(StreamFormatError, match=r"cam\."):
        load(path)


@pytest.mark.parametrize("given", [7, None, "", "cam.tif", "cam", []])
def test_load_of_nonsense(given: Any) -> None:
    with pytest.raises((StreamArgumentError, StreamNotFoundError)):
        load(given)


# -- frames that are read on demand ---------------------------------------------------------------


@pytest.mark.parametrize("suffix", format_parameters("fits", "h5", "zarr"))
def test_lazy_frames_are_indexed_like_an_array(suffix: str, cam: SHM, tmp_path: Path) -> None:
    frames = images(50)
    base = tmp_path / f"cam.{suffix}"
    with Recorder(cam, base, frames=50, max_frames_per_file=16) as recorder:
        cam.set_many(frames)
        recorder.wait(60)
    with load(base) as loaded:
        lazy = loaded.frames
        assert isinstance(lazy, LazyFrames)
        assert (lazy.shape, lazy.ndim, lazy.size, lazy.nbytes) == (
            frames.shape, 3, frames.size, frames.nbytes,
        )  # fmt: skip
        mask = frames[:, 0, 0] > 30000
        for key in (
            0, -1, np.int64(17), slice(None), slice(10, 40), slice(3, 45, 7), slice(None, None, -3),
            slice(40, 10), slice(-5, None), (20, 3), (slice(15, 18), 2, slice(1, 4)), [1, 30, 2],
            np.array([49, 0]), mask, ([1, 20], slice(None), 0), Ellipsis, (Ellipsis, 0), [],
        ):  # fmt: skip
            got = lazy[key]
            want = frames[np.array(key, int) if isinstance(key, list) and not key else key]
            np.testing.assert_array_equal(got, want, err_msg=str(key))
        assert sum(1 for _ in lazy) == 50
        for wrong in (50, -51):
            with pytest.raises(IndexError):
                lazy[wrong]
        if np.lib.NumpyVersion(np.__version__) >= "2.0.0":  # before, copy=False could copy
            with pytest.raises(ValueError, match="copy"):
                np.array(lazy, copy=False)
        assert np.asarray(lazy, np.float32).dtype == np.float32


# -- series --------------------------------------------------------------------------------------


@EACH_FORMAT
def test_series(suffix: str, cam: SHM, tmp_path: Path) -> None:
    frames = images(25)
    base = tmp_path / f"cam.{suffix}"
    with Recorder(cam, base, frames=25, max_frames_per_file=10) as recorder:
        cam.set_many(frames)
        report = recorder.wait(60)
    names = [f"cam_{part:06d}.{suffix}" for part in range(3)]
    assert [Path(path).name for path in report.streams["cam"].paths] == names
    assert not base.exists()
    with load(tmp_path / names[1]) as one:
        np.testing.assert_array_equal(np.asarray(one.frames), frames[10:20])
        assert (one.header["part"], one.header["frames"]) == (1, 10)
        assert one.header["ended"] == "next file"
    paths = [tmp_path / name for name in names]
    for given in (base, paths):
        with load(given) as whole:
            np.testing.assert_array_equal(np.asarray(whole.frames), frames)
            assert whole.info is not None
            assert whole.info["cnt0"].tolist() == list(range(2, 27))
            assert whole.complete
            assert (whole.header["frames"], whole.header["ended"]) == (25, "complete")
            assert "and 2 more" in repr(whole)
    # A new recording of that name does not mix with the files of the old one.
    with pytest.raises(StreamExistsError):
        Recorder(cam, base, frames=5, max_frames_per_file=10)
    with pytest.raises(StreamExistsError):
        Recorder(cam, base, frames=5)
    with Recorder(cam, base, frames=5, max_frames_per_file=10, force=True) as recorder:
        cam.set_many(frames[:5])
        recorder.wait(60)
    with load(base) as whole:
        assert len(whole) == 5


def test_series_ends_with_a_full_file(cam: SHM, tmp_path: Path) -> None:
    with Recorder(cam, tmp_path / "cam.npy", frames=20, max_frames_per_file=10) as recorder:
        cam.set_many(images(20))
        report = recorder.wait(60)
    assert len(report.streams["cam"].paths) == 2
    assert len(list(tmp_path.glob("cam_??????.npy"))) == 2


def test_series_that_is_stopped_with_a_full_file(cam: SHM, tmp_path: Path) -> None:
    """There is no empty file behind it."""
    with Recorder(cam, tmp_path / "cam.npy", max_frames_per_file=10) as recorder:
        cam.set_many(images(20))
        while recorder.report.recorded < 20:
            time.sleep(0.001)
    assert len(recorder.report.streams["cam"].paths) == 2
    with load(tmp_path / "cam.npy") as loaded:
        assert (len(loaded.paths), len(loaded), loaded.complete) == (2, 20, True)
        assert loaded.header["ended"] == "stopped"


@EACH_FORMAT
def test_next_file_of_a_series_is_there_already(suffix: str, cam: SHM, tmp_path: Path) -> None:
    path, other = tmp_path / f"cam.{suffix}", tmp_path / f"cam_000001.{suffix}"
    recorder = Recorder(cam, path, max_frames_per_file=2).start()
    other.write_text("of others")
    cam.set_many(images(5))
    with pytest.raises(StreamExistsError) as caught:
        recorder.wait(60)
    assert caught.value.path == str(other)
    assert other.read_text() == "of others"
    report = recorder.report.streams["cam"]
    assert (report.recorded, report.unwritten, report.complete, report.ended) == (2, 3, True, "error")
    with load(report.paths[0]) as loaded:
        assert (len(loaded), loaded.complete) == (2, True)
    assert len([each for each in tmp_path.iterdir() if "000001" in each.name]) == 1


@EACH_FORMAT
def test_files_of_a_list_are_seen_as_each_was(
    suffix: str, make: Callable[..., SHM], tmp_path: Path
) -> None:
    for name, symcode in (("a", 4), ("b", 1)):
        shm = make(name, ((5, 7), np.uint16), ring=16, symcode=symcode)
        recorded(shm, tmp_path / f"{name}.{suffix}", images(3))[0].close()
    with load([tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"]) as loaded:
        np.testing.assert_array_equal(np.asarray(loaded.frames), [*images(3), *images(3)])


def test_files_that_do_not_belong_together(make: Callable[..., SHM], tmp_path: Path) -> None:
    for name, shape in (("a", (4, 5)), ("b", (4, 6))):
        shm = make(name, (shape, np.uint16), ring=16)
        recorded(shm, tmp_path / f"{name}.npy", images(3, shape))
    with pytest.raises(StreamFormatError, match="load them one by one"):
        load([tmp_path / "a.npy", tmp_path / "b.npy"])


# -- begin and end ---------------------------------------------------------------------------------


@EACH_FORMAT
def test_stop_does_not_wait_for_a_frame(suffix: str, cam: SHM, tmp_path: Path) -> None:
    path = tmp_path / f"cam.{suffix}"
    recorder = Recorder(cam, path).start()
    cam.set_many(images(3))
    began = time.monotonic()
    report = recorder.stop()
    assert time.monotonic() - began < 10  # less than one second on an idle machine
    assert not recorder.running
    assert report.streams["cam"].ended == "stopped"
    assert recorder.stop().recorded == recorder.wait().recorded == report.recorded == 3
    with load(path) as loaded:
        assert (len(loaded), loaded.complete, loaded.header["ended"]) == (3, True, "stopped")


@EACH_FORMAT
def test_script_that_changes_its_directory(
    suffix: str, cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with Recorder(cam, f"cam.{suffix}", frames=4, max_frames_per_file=2) as recorder:
        monkeypatch.chdir(tmp_path / "elsewhere")
        cam.set_many(images(4))
        report = recorder.wait(60)
    assert report.streams["cam"].paths == [f"cam_{part:06d}.{suffix}" for part in (0, 1)]
    with load(tmp_path / f"cam.{suffix}") as loaded:
        np.testing.assert_array_equal(np.asarray(loaded.frames), images(4))
        assert loaded.complete
    assert list((tmp_path / "elsewhere").iterdir()) == []


@EACH_FORMAT
@pytest.mark.parametrize("stamp", [-5, 2**63 - 1, -(2**63)])
def test_stamps_without_a_date(suffix: str, stamp: int, cam: SHM, tmp_path: Path) -> None:
    """Writers may stamp frames with anything; DATE-OBS is made of a time that has a date."""
    path = tmp_path / f"cam.{suffix}"
    with Recorder(cam, path, frames=1) as recorder:
        cam._stream.publish(images(1)[0], atime_ns=stamp)
        recorder.wait(60)
    with load(path) as loaded:
        np.testing.assert_array_equal(np.asarray(loaded.frames), images(1))
        assert loaded.info is not None
        assert loaded.info["atime_ns"][0] == stamp
        assert loaded.header["first_ns"] == loaded.info["writetime_ns"][0]


@EACH_FORMAT
def test_no_frame_at_all(suffix: str, cam: SHM, tmp_path: Path) -> None:
    report = record(cam, tmp_path / f"cam.{suffix}", seconds=0.01)
    assert (report.recorded, report.streams["cam"].ended) == (0, "time")
    assert report.streams["cam"].last_age is None
    with load(tmp_path / f"cam.{suffix}") as loaded:
        assert loaded.frames.shape == (0, 5, 7)
        assert np.asarray(loaded.frames).shape == (0, 5, 7)
        assert loaded.info is not None
        assert (len(loaded.info), loaded.complete) == (0, True)


def test_time_is_over(cam: SHM, tmp_path: Path) -> None:
    began = time.monotonic()
    with Recorder(cam, tmp_path / "cam.npy", seconds=0.1) as recorder:
        cam.set_many(images(20))
        report = recorder.wait()
    assert time.monotonic() - began >= 0.1
    assert (report.recorded, report.streams["cam"].ended) == (20, "time")


def test_begins_in_the_past(cam: SHM, tmp_path: Path) -> None:
    frames = images(50)
    cam.set_many(frames)
    report = record(cam, tmp_path / "cam.npy", frames=50, start="oldest")
    assert report.recorded == 50
    loaded = load(tmp_path / "cam.npy")
    assert loaded.info is not None
    assert loaded.info["cnt0"].tolist() == list(range(1, 51))  # the first frame is the one of the creation
    np.testing.assert_array_equal(loaded.frames[1:], frames[:-1])


def test_unwritten_frames_are_told(cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pymilk.recording.job._STOP_SECONDS", -1.0)  # no time at all
    recorder = Recorder(cam, tmp_path / "cam.npy")
    stalled, go = threading.Event(), threading.Event()
    stall_first_commit(recorder, stalled, go)
    recorder.start()
    cam.set_many(images(5))
    assert stalled.wait(30)
    written = 1  # the frames that the disk stands still with
    cam.set_many(images(100))
    next(iter(recorder._jobs.values())).stop()
    go.set()
    report = recorder.stop()
    assert written <= report.recorded <= 5
    assert report.recorded + report.unwritten == 105
    assert "in the ring at the end" in str(report)
    assert len(load(tmp_path / "cam.npy")) == report.recorded


def test_silence_is_an_error_only_if_asked(cam: SHM, tmp_path: Path) -> None:
    with pytest.raises(StreamTimeoutError, match=r"no new frame .* within 0\.05 s") as caught:
        record(cam, tmp_path / "cam.npy", frames=5, timeout=0.05)
    assert caught.value.timeout == 0.05
    assert caught.value.report.recorded == 0
    assert load(tmp_path / "cam.npy").complete


def test_a_writer_that_restarts_is_followed(tmp_path: Path) -> None:
    frames = images(6)
    first = SHM("cam", ((5, 7), np.uint16), ring=64)
    recorder = Recorder("cam", tmp_path / "cam.npy", frames=12)
    with recorder:
        first.set_many(frames)
        while recorder.report.recorded < 6:
            time.sleep(0.001)
        first.close()
        with SHM("cam", ((5, 7), np.uint16), ring=64) as second:
            second.set_many(frames[::-1])
            report = recorder.wait(60)
            second.destroy()
    assert (report.recorded, report.streams["cam"].new_files) == (12, 1)
    loaded = load(tmp_path / "cam.npy")
    assert loaded.info is not None
    new = np.flatnonzero(loaded.info["flags"] & FLAG_NEW_FILE)
    assert new.tolist() == [6]
    np.testing.assert_array_equal(loaded.frames[:6], frames)
    # Of the new file, everything: its first frame is the zeros that it was made with.
    assert loaded.info["cnt0"][6:].tolist() == list(range(1, 7))
    np.testing.assert_array_equal(loaded.frames[7:], frames[::-1][:5])


@pytest.mark.parametrize("ring", [None, 64])
def test_keywords_of_each_file_are_those_of_its_stream(
    ring: int | None, make: Callable[..., SHM], tmp_path: Path
) -> None:
    def wait(count: int) -> None:
        while recorder.report.recorded < count:
            assert recorder.running
            time.sleep(0.001)

    camera = make("cam", ((5, 7), np.uint16), ring=ring)
    camera.set_keywords({"GAIN": (1, "")})
    with Recorder("cam", tmp_path / "cam.npy", frames=4, max_frames_per_file=2) as recorder:
        camera.set_data(images(1)[0])
        wait(1)
        camera.close()
        camera = make("cam", ((5, 7), np.uint16), ring=ring)  # it restarts, with a first frame
        wait(2)
        camera.set_keywords({"GAIN": (2, "")})
        for count in (3, 4):
            camera.set_data(images(1)[0])
            wait(count) if count < 4 else recorder.wait(60)
    for part, gain in enumerate((1, 2)):
        with load(tmp_path / f"cam_{part:06d}.npy") as loaded:
            assert loaded.header["keywords"] == [["GAIN", gain, ""]]


def test_another_shape_ends_it_with_a_finished_file(tmp_path: Path) -> None:
    first = SHM("cam", ((5, 7), np.uint16), ring=64)
    recorder = Recorder("cam", tmp_path / "cam.npy", frames=12).start()
    first.set_many(images(6))
    while recorder.report.recorded < 6:
        time.sleep(0.001)
    first.close()
    with SHM("cam", ((5, 8), np.uint16)) as second:
        second.set_data(np.ones((5, 8), np.uint16))
        with pytest.raises(StreamChangedError) as caught:
            recorder.wait(60)
        second.destroy()
    assert caught.value.report.streams["cam"].ended == "error"
    loaded = load(tmp_path / "cam.npy")
    assert (len(loaded), loaded.complete, loaded.header["ended"]) == (6, True, "error")


def test_closing_the_stream_ends_it(cam: SHM, tmp_path: Path) -> None:
    recorder = Recorder(cam, tmp_path / "cam.npy").start()
    cam.set_many(images(4))
    while recorder.report.recorded < 4:
        time.sleep(0.001)
    cam.close()
    with pytest.raises(StreamClosedError):
        recorder.wait(60)
    assert load(tmp_path / "cam.npy").complete


def test_a_block_that_raises_still_finishes_the_file(cam: SHM, tmp_path: Path) -> None:
    def observe() -> None:
        with Recorder(cam, tmp_path / "cam.npy"):
            cam.set_many(images(4))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        observe()
    assert (len(load(tmp_path / "cam.npy")), load(tmp_path / "cam.npy").complete) == (4, True)


def test_a_file_can_be_read_while_it_grows(cam: SHM, tmp_path: Path) -> None:
    frames = images(10)
    with Recorder(cam, tmp_path / "cam.npy") as recorder:
        cam.set_many(frames)
        while recorder.report.recorded < 10:
            time.sleep(0.001)
        growing = load(tmp_path / "cam.npy")
        assert not growing.complete
        np.testing.assert_array_equal(growing.frames, frames)
        assert "not complete" in repr(growing)


# -- several streams -------------------------------------------------------------------------------


def test_two_streams(make: Callable[..., SHM], tmp_path: Path) -> None:
    wfs = make("wfs", ((5, 7), np.uint16), ring=512)
    dm = make("dm", ((12,), np.float32), ring=512)
    with Recorder({"wfs": tmp_path / "wfs.npy", dm: tmp_path / "dm.npy"}, frames=200) as recorder:
        wfs.set_many(images(200))
        dm.set_many(images(200, (12,), np.float32))
        report = recorder.wait(60)
    assert (report.recorded, report.lost) == (400, 0)
    assert set(report.streams) == {"wfs", "dm"}
    np.testing.assert_array_equal(load(tmp_path / "wfs.npy").frames, images(200))
    np.testing.assert_array_equal(load(tmp_path / "dm.npy").frames, images(200, (12,), np.float32))


def test_several_streams_into_a_directory_or_template(make: Callable[..., SHM], tmp_path: Path) -> None:
    shms = [make(name, ((5, 7), np.uint16), ring=64) for name in ("a", "b")]
    for path in (tmp_path, tmp_path / "night_{stream}.npy"):
        with Recorder(["a", "b"], path, frames=3) as recorder:
            for shm in shms:
                shm.set_many(images(3))
            recorder.wait(60)
    found = {path.name for path in tmp_path.glob("*.npy") if "info" not in path.name}
    assert found == {"a.npy", "b.npy", "night_a.npy", "night_b.npy"}


def test_one_of_two_fails(make: Callable[..., SHM], tmp_path: Path) -> None:
    good = make("good", ((5, 7), np.uint16), ring=64)
    bad = make("bad", ((5, 7), np.uint16), ring=64)
    recorder = Recorder({good: tmp_path / "good.npy", bad: tmp_path / "bad.npy"}, frames=5).start()
    bad.close()
    good.set_many(images(5))
    with pytest.raises(RecordError, match="1 of 2") as caught:
        recorder.wait(60)
    assert set(caught.value.errors) == {"bad"}
    assert caught.value.report.streams["good"].ended == "complete"
    assert load(tmp_path / "good.npy").complete
    assert load(tmp_path / "bad.npy").complete


# -- refusals --------------------------------------------------------------------------------------


@EACH_FORMAT
def test_existing_files_are_not_replaced(suffix: str, cam: SHM, tmp_path: Path) -> None:
    path = tmp_path / f"cam.{suffix}"
    recorded(cam, path, images(5))[0].close()
    with pytest.raises(StreamExistsError, match="force") as caught:
        Recorder(cam, path, frames=1)
    assert isinstance(caught.value, FileExistsError)
    assert caught.value.path == str(path)
    with load(path) as loaded:
        assert len(loaded) == 5
    loaded, _ = recorded(cam, path, images(3), force=True)
    with loaded:
        np.testing.assert_array_equal(np.asarray(loaded.frames), images(3))


@EACH_FORMAT
def test_what_is_replaced_stays_until_the_first_frame(suffix: str, cam: SHM, tmp_path: Path) -> None:
    path = tmp_path / f"cam.{suffix}"
    recorded(cam, path, images(5))[0].close()
    recorder = Recorder(cam, path, frames=3, force=True).start()
    assert recorder.report.streams["cam"].paths == []
    with load(path) as old:
        np.testing.assert_array_equal(np.asarray(old.frames), images(5))
    cam.set_many(images(1))
    while not recorder.report.recorded:
        time.sleep(0.001)
    with load(path) as new:
        assert not new.complete
        assert len(new) <= 1
    cam.set_many(images(3)[1:])
    report = recorder.wait(60)
    with load(path) as new:
        np.testing.assert_array_equal(np.asarray(new.frames), [*images(1), *images(3)[1:]])
        assert new.complete
        assert new.header["started_ns"] < new.header["first_ns"]
    assert report.streams["cam"].paths == [str(path)]
    assert not [each for each in tmp_path.iterdir() if each.name.startswith(".")]


@EACH_FORMAT
@pytest.mark.parametrize("part", [None, 2])
def test_what_is_replaced_stays_if_no_frame_comes(
    suffix: str, part: int | None, cam: SHM, tmp_path: Path
) -> None:
    path = tmp_path / f"cam.{suffix}"
    with Recorder(cam, path, frames=5, max_frames_per_file=part) as recorder:
        cam.set_many(images(5))
        recorder.wait(60)
    before = sorted(tmp_path.rglob("*"))
    report = record(cam, path, seconds=0.01, force=True)
    assert (report.recorded, report.complete, report.streams["cam"].paths) == (0, True, [])
    assert "what was there stays" in str(report)
    with pytest.raises(StreamTimeoutError):
        record(cam, path, frames=1, timeout=0.01, force=True)
    assert sorted(tmp_path.rglob("*")) == before
    with load(path) as old:
        np.testing.assert_array_equal(np.asarray(old.frames), images(5))
        assert old.complete


@EACH_FORMAT
@pytest.mark.parametrize(("old", "new"), [(None, 2), (2, None), (1, 2)])
def test_series_and_single_files_replace_each_other(
    suffix: str, old: int | None, new: int | None, cam: SHM, tmp_path: Path
) -> None:
    path = tmp_path / f"cam.{suffix}"
    for count, part in ((5, old), (4, new)):
        with Recorder(cam, path, frames=count, max_frames_per_file=part, force=True) as recorder:
            cam.set_many(images(count))
            recorder.wait(60)
    with load(path) as loaded:
        np.testing.assert_array_equal(np.asarray(loaded.frames), images(4))
    names = [f"cam.{suffix}"] if new is None else [f"cam_{number:06d}.{suffix}" for number in (0, 1)]
    assert sorted(each.name for each in tmp_path.glob(f"cam*.{suffix}") if "info" not in each.name) == names


@EACH_FORMAT
def test_sink_that_cannot_be_made_leaves_nothing(suffix: str, tmp_path: Path) -> None:
    """Somebody else has made the file a moment before."""
    path = tmp_path / f"cam.{suffix}"
    path.mkdir() if suffix == "zarr" else path.write_text("of others")
    header = {"pymilk": "0", "stream": "any", "dtype": "float32", "shape": [4], "stream_shape": [4]}
    header |= {"axes": "", "symcode": 4, "tri_dim": 0, "squeeze": False, "clock": "", "tai_offset": 0}
    header |= {"started_ns": 1, "first_ns": 1, "frames": 0, "lost": 0, "ended": "", "part": None}
    header |= {"keywords": [], "complete": False}
    with pytest.raises(FileExistsError):
        sink_of(str(path))(str(path), (4,), np.dtype(np.float32), header)
    assert list(tmp_path.iterdir()) == [path]
    assert path.is_dir() or path.read_text() == "of others"


def test_two_that_begin_at_once_do_not_share_a_header(cam: SHM, tmp_path: Path) -> None:
    first, second = (Recorder(cam, tmp_path / "cam.npy", frames=2) for _ in range(2))
    with first:
        before = (tmp_path / "cam.info.json").read_text()
        with pytest.raises(StreamExistsError):
            second.start()
        assert (tmp_path / "cam.info.json").read_text() == before
        cam.set_many(images(2))
        first.wait(60)
    np.testing.assert_array_equal(load(tmp_path / "cam.npy").frames, images(2))


def test_files_beside_the_frames_are_not_replaced_either(cam: SHM, tmp_path: Path) -> None:
    (tmp_path / "cam.info.npy").write_text("precious")
    with pytest.raises(StreamExistsError, match=r"cam\.info\.npy"):
        Recorder(cam, tmp_path / "cam.npy", frames=1)
    assert (tmp_path / "cam.info.npy").read_text() == "precious"


@pytest.mark.parametrize(
    ("path", "options", "error", "words"),
    [
        ("cam.tif", {}, StreamArgumentError, "suffix"),
        ("no/such/cam.npy", {}, StreamNotFoundError, "no directory"),
        ("cam.npy", {"frames": 0}, StreamArgumentError, "frames"),
        ("cam.npy", {"frames": 2.5}, StreamArgumentError, "frames"),
        ("cam.npy", {"max_frames_per_file": -1}, StreamArgumentError, "max_frames_per_file"),
        ("cam.npy", {"depth": "deep"}, StreamArgumentError, "depth"),
        ("cam.npy", {"start": "now"}, StreamArgumentError, "start"),
        ("cam.npy", {"wait": "long"}, StreamArgumentError, "wait"),
        ("cam.npy", {"seconds": -1}, StreamArgumentError, "seconds"),
        ("cam.npy", {"cpu": 10_000}, StreamArgumentError, "cpu"),
        (7, {}, StreamArgumentError, "path"),
        (None, {}, StreamArgumentError, "where to"),
    ],
)
def test_wrong_arguments(
    path: Any, options: dict[str, Any], error: type[Exception], words: str, cam: SHM, tmp_path: Path
) -> None:
    target = tmp_path / path if isinstance(path, str) else path
    with pytest.raises(error, match=words):
        Recorder(cam, target, **options)
    assert list(tmp_path.iterdir()) == []


def test_wrong_sources(cam: SHM, make: Callable[..., SHM], tmp_path: Path) -> None:
    for source in (7, [], [7], {}):
        with pytest.raises(StreamArgumentError):
            Recorder(source, None if isinstance(source, dict) else tmp_path / "{stream}.npy")
    with pytest.raises(StreamArgumentError, match="twice"):
        Recorder(["cam", cam], tmp_path)
    with pytest.raises(StreamArgumentError, match="one file for 2 streams"):
        Recorder(["cam", "dm"], tmp_path / "both.npy")
    make("dm", ((3, 3), np.uint16))
    with pytest.raises(StreamArgumentError, match="one file"):
        Recorder({"cam": tmp_path / "x.npy", "dm": tmp_path / "x.npy"})
    with pytest.raises(StreamArgumentError, match="one file"):
        Recorder({"cam": tmp_path / "x.npy", "dm": f"{tmp_path}/./x.npy"}, force=True)
    with pytest.raises(StreamArgumentError, match="one file"):
        Recorder({"cam": tmp_path / "x.info.npy", "dm": tmp_path / "x.npy"})
    for options in ({"force": True}, {"max_frames_per_file": 9}):
        with pytest.raises(StreamArgumentError, match="of a series"):
            Recorder({"cam": tmp_path / "x_000001.npy", "dm": tmp_path / "x.npy"}, **options)
    with pytest.raises(StreamArgumentError, match="mapping has the paths"):
        Recorder({"cam": tmp_path / "x.npy"}, tmp_path)
    with pytest.raises(StreamNotFoundError):
        Recorder("none", tmp_path / "x.npy")
    with pytest.raises(StreamArgumentError, match="frames"):
        record(cam, tmp_path / "x.npy")
    assert list(tmp_path.iterdir()) == []


def test_a_recorder_starts_once(cam: SHM, tmp_path: Path) -> None:
    recorder = Recorder("cam", tmp_path / "cam.npy")
    assert not recorder.running
    assert "not started" in repr(recorder)
    recorder.stop()
    with pytest.raises(StreamArgumentError, match="starts once"):
        recorder.start()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_directory_that_is_not_writable(cam: SHM, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StreamPermissionError):
            Recorder(cam, tmp_path / "cam.npy", frames=1)
    finally:
        tmp_path.chmod(0o700)


def test_a_start_that_fails_leaves_nothing(
    make: Callable[..., SHM], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ring of one of two cannot be had: no file stays, and what was there does."""
    first = make("a", ((5, 7), np.uint16), ring=16)
    make("b", ((5, 7), np.uint16))
    recorder = Recorder(["a", "b"], tmp_path, depth=2**40)
    with pytest.raises(pymilk.errors.CaptureMemoryError, match="depth"):
        recorder.start()
    assert not recorder.running
    assert list(tmp_path.iterdir()) == []
    assert recorder.report.streams["a"].paths == []
    assert recorder.report.duration < 60
    recorded(first, tmp_path / "a.npy", images(5))
    with pytest.raises(pymilk.errors.CaptureMemoryError, match="depth"):
        Recorder(["a", "b"], tmp_path, depth=2**40, force=True).start()
    np.testing.assert_array_equal(load(tmp_path / "a.npy").frames, images(5))


@pytest.mark.parametrize(
    ("suffix", "library", "extra"),
    [("fits", "astropy", "fits"), ("h5", "h5py", "hdf5"), ("zarr", "zarr", "zarr")],
)
def test_missing_library_is_named_before_anything_is_made(
    suffix: str, library: str, extra: str, make_stream: Callable[..., Stream], tmp_path: Path
) -> None:
    make_stream("cam", (5, 7), np.uint16)
    code = f"""
import sys
sys.modules[{library!r}] = None
sys.modules['astropy.io.fits'] = None
import pymilk
try:
    pymilk.record("cam", {str(tmp_path / f"cam.{suffix}")!r}, frames=1)
except ImportError as error:
    print(type(error).__name__, error)
"""
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
    )  # fmt: skip
    assert said.stdout.startswith("LibraryMissingError"), said.stderr
    assert f"pip install 'pymilk[{extra}]'" in said.stdout
    assert list(tmp_path.iterdir()) == []


# -- reports ---------------------------------------------------------------------------------------


def test_numbers_of_numpy_are_plain_ones(cam: SHM, tmp_path: Path) -> None:
    counts = {"max_frames_per_file": np.int64(2), "depth": np.uint16(8)}
    report = record(cam, tmp_path / "cam.npy", frames=np.int64(1), start="oldest", **counts)
    assert json.loads(json.dumps(report.to_dict()))["streams"]["cam"]["requested"] == 1


def test_report(cam: SHM, tmp_path: Path) -> None:
    _, report = recorded(cam, tmp_path / "cam.npy", images(50))
    one = report.streams["cam"]
    assert (one.stream, one.requested, one.recorded, one.lost, one.torn) == ("cam", 50, 50, 0, 0)
    assert one.nbytes == report.nbytes == 50 * 70
    assert (one.source, one.ended, one.error, one.complete) == ("fast", "complete", None, True)
    assert one.rate > 0
    assert one.duration == report.duration > 0
    assert json.loads(json.dumps(report.to_dict()))["streams"]["cam"]["paths"] == [str(tmp_path / "cam.npy")]
    for words in ("50 of 50", "Recording of stream 'cam'", "complete", "cam.npy"):
        assert words in str(report)
    assert "50 recorded" in repr(report)
    assert "50 recorded" in repr(one)
