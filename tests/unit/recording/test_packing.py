"""Compressed recordings: words, threads that pack, frames stored as they are, and what others read."""

from __future__ import annotations

import errno
import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from pymilk import FRAME_ROW, SHM, Recorder, load, record, save
from pymilk.axes import Orientation, Which3DState
from pymilk.cli.app import app
from pymilk.errors import LibraryMissingError, StreamArgumentError, StreamStorageError, StreamUnsupportedError
from pymilk.recording import header_of, job
from pymilk.recording.headers import FileAccount
from pymilk.recording.sinks import fits_packed, sink_of
from pymilk.recording.sinks.packed import Packed
from pymilk.recording.sinks.packing import WORDS, check_blosc, head_of_plain_blosc, shuffled_gzip
from support.recordings import format_parameters, images, recorded, stall_first_commit
from support.waiting import until

EACH_PACKED = pytest.mark.parametrize(
    "suffix", format_parameters("fits+fast", "h5+fast", "zarr+fast"), indirect=True
)
EACH_WORD = pytest.mark.parametrize("word", [True, "fast", "small"])

#: Frames of 5 x 7 uint16 in a chunk here.
ROWS = 16


@pytest.fixture
def suffix(request: pytest.FixtureRequest) -> str:
    """Suffix of a format, whose libraries are there."""
    return str(request.param).partition("+")[0]


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make chunks of 16 frames."""
    modules = {
        "fits_packed": ("_PACKED_NBYTES",),
        "hdf5": ("_CHUNK_NBYTES", "_PACKED_NBYTES"),
        "zarr": ("_CHUNK_NBYTES",),
    }
    for module, names in modules.items():
        loaded = pytest.importorskip(f"pymilk.recording.sinks.{module}")
        for name in names:
            monkeypatch.setattr(loaded, name, ROWS * 70)


def read_by_others(path: Path) -> np.ndarray:
    """Read frames as somebody does who has no pymilk."""
    if path.suffix == ".h5":
        h5py = pytest.importorskip("h5py")
        pytest.importorskip("hdf5plugin")
        with h5py.File(path) as h5:
            return h5["frames"][:]
    if path.suffix == ".fits":
        return pytest.importorskip("astropy.io.fits").getdata(path, "FRAMES")
    return pytest.importorskip("zarr").open_group(path, mode="r")["frames"][:]


@EACH_WORD
@EACH_PACKED
@pytest.mark.parametrize("count", [ROWS, 5 * ROWS + 3])
def test_frames_come_back(
    suffix: str, word: bool | str, count: int, small_chunks: None, cam: SHM, tmp_path: Path
) -> None:
    frames, path = images(count), tmp_path / f"cam.{suffix}"
    loaded, report = recorded(cam, path, frames, compress=word)
    with loaded:
        assert loaded.complete, loaded.missing
        np.testing.assert_array_equal(np.asarray(loaded.frames), frames)
        np.testing.assert_array_equal(loaded.frames[ROWS - 2 :: 5], frames[ROWS - 2 :: 5])
    np.testing.assert_array_equal(read_by_others(path), frames)
    assert report.packed.frames_nbytes == frames.nbytes


@pytest.mark.parametrize("suffix", format_parameters("h5+fast", "zarr+fast"), indirect=True)
@pytest.mark.parametrize("dtype", ["i1", "u4", "f2", "f8", "c8", "c16"])
def test_each_kind_of_pixels(suffix: str, dtype: str, make: Callable[..., SHM], tmp_path: Path) -> None:
    shm = make("other", ((3, 5), np.dtype(dtype)), ring=64)
    frames, path = images(9, (3, 5), dtype), tmp_path / f"cam.{suffix}"
    loaded, _ = recorded(shm, path, frames, compress="fast")
    with loaded:
        assert np.asarray(loaded.frames).tobytes() == frames.tobytes()
    assert read_by_others(path).tobytes() == frames.tobytes()


@EACH_PACKED
def test_a_capture_is_saved_packed(suffix: str, small_chunks: None, cam: SHM, tmp_path: Path) -> None:
    frames = images(40)
    cam.set_many(frames)
    with cam.ring_reader(start="oldest") as ring:
        capture = ring.read(41, timeout=10)
    save(capture, tmp_path / f"cam.{suffix}", compress="small")
    with load(tmp_path / f"cam.{suffix}") as loaded:
        assert loaded.complete
        np.testing.assert_array_equal(np.asarray(loaded.frames)[1:], frames)


@EACH_PACKED
def test_report_says_how_small_and_how_fast(suffix: str, make: Callable[..., SHM], tmp_path: Path) -> None:
    shm = make("cam", ((64, 64), np.uint16), ring=1024)
    frames = np.random.default_rng(1).normal(1000, 10, (600, 64, 64)).astype(np.uint16)
    loaded, _ = recorded(shm, tmp_path / f"cam.{suffix}", frames[:1], compress="fast")
    loaded.close()
    shm.set_many(frames)
    report = record(shm, tmp_path / f"two.{suffix}", frames=600, start="oldest", compress="fast",
                    max_frames_per_file=250)  # fmt: skip
    packed = report.packed
    assert packed.frames_nbytes == report.nbytes == 600 * 64 * 64 * 2
    assert 1.5 < packed.ratio < 3
    files = [each for each in tmp_path.rglob("*") if each.is_file() and "two" in str(each)]
    assert packed.stored_nbytes < sum(each.stat().st_size for each in files)
    assert packed.rate_in > packed.rate_out > 0
    text = str(report)
    assert f"ratio {packed.ratio:.2f}" in text
    assert "MB/s in" in text
    told = json.loads(json.dumps(report.to_dict(), allow_nan=False))["packed"]
    assert (told["ratio"], told["unpacked"]) == (packed.ratio, 0)
    assert record(shm, tmp_path / "plain.npy", frames=3, start="oldest").packed is None


def test_sums_of_what_was_packed() -> None:
    one, two = Packed(10, 4, 10, 4, 1.0, 2), Packed(20, 8, 30, 6, 1.0, 0)
    both = Packed.together([one, None, two])
    assert both is not None
    assert (both.ratio, both.rate_in, both.rate_out, both.unpacked) == (2.5, 20.0, 5.0, 2)
    assert Packed.together([None, None]) is None
    assert Packed().to_dict()["ratio"] is None
    assert Packed().rows() == [("compressed", "nothing yet")]


@EACH_PACKED
def test_frames_are_stored_as_they_are_while_the_ring_fills_up(
    suffix: str, small_chunks: None, make: Callable[..., SHM], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    shm = make("cam", ((5, 7), np.uint16), ring=8 * ROWS)
    monkeypatch.setattr(job, "_HURRY", 0.3)
    frames = images(8 * ROWS)
    stalled, go = threading.Event(), threading.Event()
    recorder = Recorder(shm, tmp_path / f"cam.{suffix}", frames=len(frames), compress="fast")
    stall_first_commit(recorder, stalled, go)
    with recorder:
        shm.set_many(frames[:ROWS])
        assert stalled.wait(30)
        shm.set_many(frames[ROWS : 5 * ROWS])
        go.set()
        until(lambda: recorder.report.recorded == 5 * ROWS)
        for at in range(5 * ROWS, 8 * ROWS, ROWS):  # little enough to be packed, however late the recorder is
            shm.set_many(frames[at : at + ROWS])
            until(lambda at=at: recorder.report.recorded == at + ROWS)
        report = recorder.wait(60)
    assert report.lost == 0
    assert 3 * ROWS <= report.packed.unpacked <= 6 * ROWS
    assert f"{report.packed.unpacked} frames, since the ring filled up" in str(report)
    assert "frames are not compressed until" in caplog.text
    path = tmp_path / f"cam.{suffix}"
    with load(path) as loaded:
        assert loaded.complete, loaded.missing
        np.testing.assert_array_equal(np.asarray(loaded.frames), frames)
    np.testing.assert_array_equal(read_by_others(path), frames)


@EACH_PACKED
def test_when_there_is_a_hurry(suffix: str, cam: SHM, tmp_path: Path) -> None:
    recorder = Recorder(cam, tmp_path / f"cam.{suffix}", frames=9, compress="fast")
    recording = next(iter(recorder._jobs.values()))

    def hurried(*levels: float) -> list[bool]:
        found = []
        for level in levels:
            recording._watch_ring(level)
            found.append(recording._hurried)
        return found

    assert hurried(1.0, 0.9, 0.8) == [False] * 3  # it was full, and is emptied
    assert hurried(0.85, 0.95) == [False, True]  # and fills up again
    assert hurried(0.5, 0.21, 0.19, 0.7, 0.76, 0.19) == [True, True, False, False, True, False]


@EACH_PACKED
def test_chunks_that_are_packed_and_others_keep_their_order(
    suffix: str, small_chunks: None, tmp_path: Path
) -> None:
    path = tmp_path / f"cam.{suffix}"
    frames = images(6 * ROWS + 5)
    info = np.zeros(len(frames), FRAME_ROW)
    info["cnt0"] = info["arrival_ns"] = np.arange(1, len(frames) + 1)
    account = FileAccount(started_ns=1, first_ns=1, frames=len(frames), lost=0, ended="complete")
    turn = Orientation((5, 7), 4, Which3DState.FRONT2LAST)
    header = header_of("cam", frames.dtype, turn, keywords=(), account=account)
    sink = sink_of(str(path), "fast")(str(path), (5, 7), frames.dtype, header, compress="fast")
    done = 0

    def add(count: int) -> None:
        nonlocal done
        while count:
            room = sink.room(count)
            room[:] = frames[done : done + len(room)]
            sink.commit(info[done : done + len(room)])
            count, done = count - len(room), done + len(room)

    add(ROWS + 3)
    assert sink.in_place(100) == 0
    sink.flush()  # the three are in the file, and come again with the rest of their chunk
    assert sink.written == ROWS + 3
    sink.hurried = True
    assert sink.in_place(100) == 0  # the chunk has begun
    add(ROWS - 3)
    assert sink.in_place(100) == ROWS
    sink.write(frames[done : done + ROWS])
    sink.commit(info[done : done + ROWS])
    done += ROWS
    sink.hurried = False
    add(2 * ROWS)
    sink.hurried = True
    sink.write(frames[done : done + ROWS] * 0)  # and does not count
    add(ROWS)
    sink.hurried = False
    add(5)
    sink.flush()
    sink.verify()
    assert sink.written == len(frames)
    assert sink.packed.unpacked == 3 * ROWS - 3
    assert sink.packed.frames_nbytes == frames.nbytes
    sink.finish(header)
    np.testing.assert_array_equal(read_by_others(path), frames)
    with load(path) as loaded:
        assert loaded.complete, loaded.missing
        assert loaded.info["cnt0"].tolist() == info["cnt0"].tolist()


@EACH_PACKED
def test_a_ring_that_is_full_at_the_start_is_packed(
    suffix: str, small_chunks: None, cam: SHM, tmp_path: Path
) -> None:
    """It is emptied, and nothing is in danger."""
    cam.set_many(np.resize(images(50), (4095, 5, 7)))
    report = record(cam, tmp_path / f"cam.{suffix}", frames=4000, start="oldest", compress="fast")
    assert report.streams["cam"].ring_peak > 0.9
    assert report.packed.unpacked == 0


@EACH_PACKED
def test_without_memory_for_the_codec_frames_stay_as_they_are(
    suffix: str, small_chunks: None, cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames, path = images(40), tmp_path / f"cam.{suffix}"

    def none(chunk: np.ndarray) -> bytes:
        raise MemoryError

    for module in ("hdf5_filters", "zarr"):
        monkeypatch.setattr(f"pymilk.recording.sinks.{module}.blosc_encoder", lambda settings: none)
    encoder = fits_packed.encoder_of
    monkeypatch.setattr(
        fits_packed, "encoder_of", lambda flip, plain=False: encoder(flip, plain) if plain else none
    )
    loaded, report = recorded(cam, path, frames, compress="fast")
    with loaded:
        assert loaded.complete
        np.testing.assert_array_equal(np.asarray(loaded.frames), frames)
    assert report.packed.unpacked == 40
    np.testing.assert_array_equal(read_by_others(path), frames)


@EACH_PACKED
@pytest.mark.parametrize("at", [0, 2])
def test_a_chunk_that_finds_no_room_and_those_behind_it_do_not_count(
    suffix: str, at: int, small_chunks: None, cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames, path = images(7 * ROWS), tmp_path / f"cam.{suffix}"
    kind = sink_of(str(path), "fast")
    put, seen = kind._put_piece, []

    def fail(sink: Any, piece: Any) -> int:
        seen.append(piece)
        if len(seen) > at:
            raise OSError(errno.ENOSPC, "No space left on device")
        return put(sink, piece)

    monkeypatch.setattr(kind, "_put_piece", fail)
    cam.set_many(frames)
    with pytest.raises(StreamStorageError) as caught:
        record(cam, path, frames=len(frames) + 1, start="oldest", compress="fast")
    report = caught.value.report.streams["cam"]
    assert report.recorded == at * ROWS
    assert report.recorded + report.unwritten == len(frames) + 1
    if at:
        with load(path) as loaded:
            assert not loaded.complete
            np.testing.assert_array_equal(np.asarray(loaded.frames)[1:], frames[: at * ROWS - 1])
    else:
        assert not path.exists()


@EACH_PACKED
def test_what_others_make_of_it(suffix: str, small_chunks: None, cam: SHM, tmp_path: Path) -> None:
    frames, path = images(40), tmp_path / f"cam.{suffix}"
    recorded(cam, path, frames, compress="small")[0].close()
    result = CliRunner().invoke(app, ["info", str(path), "--json"])
    assert (result.exit_code, json.loads(result.output)["complete"]) == (0, True)
    with load(path) as loaded:
        pytest.importorskip("xarray", reason="extra xarray")
        np.testing.assert_array_equal(loaded.to_xarray().values, frames)
        pytest.importorskip("dask", reason="extra dask")
        np.testing.assert_array_equal(loaded.to_dask().compute(scheduler="synchronous"), frames)


def test_threads_end_with_the_file(cam: SHM, tmp_path: Path) -> None:
    pytest.importorskip("zarr", reason="extra zarr")
    recorded(cam, tmp_path / "cam.zarr", images(3), compress="fast")[0].close()
    for each in threading.enumerate():
        if each.name == "pymilk-pack":
            each.join(30)
            assert not each.is_alive()


@pytest.mark.parametrize("itemsize", [1, 2, 8])
def test_the_head_of_a_chunk_that_is_as_it_is(itemsize: int) -> None:
    numcodecs = pytest.importorskip("numcodecs", reason="extra zarr")
    content = np.random.default_rng(1).integers(0, 256, 8000, np.uint8)
    chunk = head_of_plain_blosc(8000, itemsize) + content.tobytes()
    assert numcodecs.Blosc().decode(chunk) == content.tobytes()


def test_gzip_is_that_of_the_library(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py", reason="extra hdf5")
    chunk = images(8)
    with h5py.File(tmp_path / "x.h5", "w") as h5:
        made = h5.create_dataset("x", chunk.shape, chunk.dtype, chunks=chunk.shape, compression="gzip",
                                 compression_opts=1, shuffle=True)  # fmt: skip
        made.id.write_direct_chunk((0, 0, 0), shuffled_gzip(chunk))
        np.testing.assert_array_equal(made[:], chunk)


@pytest.mark.parametrize("word", list(WORDS))
def test_a_format_that_is_not_packed(word: str, cam: SHM, tmp_path: Path) -> None:
    with pytest.raises(StreamArgumentError, match=r"not compressed.*\.h5"):
        Recorder(cam, tmp_path / "cam.npy", frames=1, compress=word)


def test_other_words(cam: SHM, tmp_path: Path) -> None:
    with pytest.raises(StreamArgumentError, match=r"compress is one of 'fast', 'small', not 'tiny'"):
        Recorder(cam, tmp_path / "cam.h5", frames=1, compress="tiny")


def test_frames_that_are_too_large() -> None:
    pytest.importorskip("numcodecs", reason="extra zarr")
    check_blosc((30_000, 30_000), np.dtype("u2"))
    with pytest.raises(StreamUnsupportedError, match="more than the 2147483631 bytes"):
        check_blosc((40_000, 40_000), np.dtype("u2"))


@pytest.mark.parametrize("missing", ["hdf5plugin", "numcodecs"])
def test_what_is_missing_is_said(
    missing: str, cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("hdf5plugin", reason="extra hdf5")
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(LibraryMissingError, match=f"need {missing}.*pip install"):
        Recorder(cam, tmp_path / "cam.h5", frames=1, compress="fast")
    record(cam, tmp_path / "cam.h5", frames=1, start="oldest", compress=True)  # gzip needs neither


def test_a_file_whose_filter_nobody_has(cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    h5py = pytest.importorskip("h5py", reason="extra hdf5")
    pytest.importorskip("hdf5plugin", reason="extra hdf5")
    path = tmp_path / "cam.h5"
    recorded(cam, path, images(3), compress="fast")[0].close()
    known = h5py.h5z.filter_avail
    monkeypatch.setattr(h5py.h5z, "filter_avail", lambda number: number < 256 and known(number))
    with pytest.raises(LibraryMissingError, match="packed with filter 32001"):
        load(path)
    monkeypatch.setitem(sys.modules, "hdf5plugin", None)
    with pytest.raises(LibraryMissingError, match=r"need hdf5plugin, which is not installed: pip install"):
        load(path)
