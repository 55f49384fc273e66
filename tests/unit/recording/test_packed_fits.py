"""FITS files whose frames are packed while they are recorded, and what is read of packed ones."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk import SHM, Recorder, load, record
from pymilk.errors import ForeignFileWarning, StreamError, StreamFormatError, StreamUnsupportedError
from pymilk.fits import multi_read
from pymilk.recording.frames import LazyFrames
from pymilk.recording.sinks import fits_packed, fits_tiles
from support.recordings import images, recorded, stall_first_commit
from support.waiting import until

fits = pytest.importorskip("astropy.io.fits", reason="extra fits")


def noise(count: int, dtype: Any = np.uint16, shape: tuple[int, ...] = (5, 7)) -> np.ndarray:
    """Frames that get smaller."""
    return np.random.default_rng(count).normal(60, 5, (count, *shape)).astype(dtype)


def cards_of(path: Path) -> Any:
    """Return the header of the table that the frames are in."""
    with fits.open(path, disable_image_compression=True) as hdus:
        return hdus[1].header.copy()


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [*((kind, (5, 7)) for kind in ("u1", "i1", "u2", "i2", "u4", "i4")), ("u2", (33,)), ("i4", (4, 3, 2))],
)
def test_each_kind_of_pixels(
    dtype: str, shape: tuple[int, ...], make: Callable[..., SHM], tmp_path: Path
) -> None:
    shm, path = make("other", (shape, np.dtype(dtype)), ring=64), tmp_path / "cam.fits"
    frames = np.concatenate([images(6, shape, dtype), noise(6, dtype, shape)])
    loaded, report = recorded(shm, path, frames, compress="fast")
    with loaded:
        assert loaded.complete, loaded.missing
        assert isinstance(loaded.frames, LazyFrames)
        assert loaded.dtype == frames.dtype
        np.testing.assert_array_equal(np.asarray(loaded.frames), frames)
        np.testing.assert_array_equal(loaded.frames[7:2:-2], frames[7:2:-2])
    assert report.packed.frames_nbytes == frames.nbytes
    with fits.open(path) as hdus:
        hdus.verify("exception")
        assert [each.name for each in hdus] == ["PRIMARY", "FRAMES", "INFO"]
        assert len(hdus["INFO"].data) == len(frames)
        stored = frames if len(shape) < 3 else frames.transpose(0, 3, 1, 2)  # as the stream has it
        np.testing.assert_array_equal(hdus[1].section[3:5], stored[3:5])
        np.testing.assert_array_equal(hdus[1].data, stored)


@pytest.mark.parametrize("stopped", [False, True])
def test_cfitsio_reads_it(stopped: bool, make: Callable[..., SHM], tmp_path: Path) -> None:
    fitsio = pytest.importorskip("fitsio", reason="no extra of pymilk")
    shm, path, frames = make("cam", ((5, 7), np.uint16), ring=64), tmp_path / "cam.fits", noise(20)
    with Recorder(shm, path, frames=None if stopped else 20, compress="fast") as recorder:
        shm.set_many(frames)
        until(lambda: recorder.report.recorded == 20)
    with fitsio.FITS(str(path)) as hdus:
        np.testing.assert_array_equal(hdus[1].read(), frames)
        np.testing.assert_array_equal(hdus["FRAMES"][3:9, :, :], frames[3:9])
        assert hdus["INFO"].read()["cnt0"].tolist() == list(range(2, 22))


@pytest.mark.parametrize("dtype", ["f4", "f8", "i8", "u8"])
def test_pixels_that_are_refused(dtype: str, make: Callable[..., SHM], tmp_path: Path) -> None:
    shm = make("other", ((3, 5), np.dtype(dtype)), ring=8)
    with pytest.raises(StreamUnsupportedError, match=rf"no {np.dtype(dtype)}; take \.h5 or \.zarr"):
        Recorder(shm, tmp_path / "cam.fits", frames=1, compress="fast")
    record(shm, tmp_path / "cam.fits", frames=1, start="oldest")
    assert not list(tmp_path.glob(".*"))


def test_rows_that_no_frame_has_become_heap(cam: SHM, tmp_path: Path) -> None:
    """Astropy takes the length of a gap before the heap for a part of the heap."""
    path, frames = tmp_path / "cam.fits", noise(20)
    with Recorder(cam, path, compress="fast") as recorder:
        cam.set_many(frames)
        until(lambda: recorder.report.recorded == 20)
        begin = cards_of(path)["THEAP"]
    cards = cards_of(path)
    assert begin == 16 << 20
    assert cards["THEAP"] == cards["NAXIS1"] * cards["NAXIS2"] == 16 * 20
    assert path.stat().st_blocks * 512 < 1 << 20 < path.stat().st_size  # a hole, where the disk has those
    np.testing.assert_array_equal(fits.getdata(path, 1), frames)
    with load(path) as loaded:
        assert loaded.complete, loaded.missing
        np.testing.assert_array_equal(np.asarray(loaded.frames), frames)


def test_so_many_rows_as_frames_were_asked_for(cam: SHM, tmp_path: Path) -> None:
    recorded(cam, tmp_path / "cam.fits", noise(20), compress="fast")[0].close()
    assert (tmp_path / "cam.fits").stat().st_size < 7 * 2880 + 1


def test_orientation_keywords_and_times(make: Callable[..., SHM], tmp_path: Path) -> None:
    shm, path = make("cam", ((5, 7), np.uint16), ring=64, symcode=6), tmp_path / "cam.fits"
    given = {"GAIN": 2.5, "ZIMAGE": "odd", "TFORM1": 3, "EXTNAME": "mine", "THEAP": 1, "ZENITH": 0.5}
    shm.set_keywords(given)
    seen = np.stack([shm.get_data(), *noise(4, shape=shm.shape)])
    for frame in seen[1:]:
        shm.set_data(frame)
    record(shm, path, frames=5, start="oldest", compress="fast")
    record(shm, tmp_path / "plain.fits", frames=5, start="oldest")
    with load(path) as loaded:
        np.testing.assert_array_equal(np.asarray(loaded.frames), seen)
        found = {name: value for name, value, _ in loaded.header["keywords"]}
    free = ("GAIN", "ZENITH")
    assert found == {name if name in free else f"KW {name}": value for name, value in given.items()}
    header, plain = fits.getheader(path, "FRAMES"), fits.getheader(tmp_path / "plain.fits")
    for name in ("SYMCODE", "TRI_DIM", "DATE-BEG", "DATE-END", "SHM_IDX", "SHM_NFRM", "SHM_DONE", "BZERO"):
        assert header[name] == plain[name], name
    turn = header["SYMCODE"], header["TRI_DIM"]
    cubes = [multi_read(each, *turn) for each in (f"{path}[FRAMES]", f"{tmp_path}/plain.fits[0]")]
    np.testing.assert_array_equal(*cubes)


def test_reading_while_it_grows(cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fits_packed.PackedFitsSink, "flush_seconds", 0.0)
    path, frames = tmp_path / "cam.fits", noise(30)
    with Recorder(cam, path, compress="fast") as recorder:
        for count in (2, 10, 30):
            cam.set_many(frames[recorder.report.recorded : count])
            until(lambda count=count: recorder.report.recorded == count)
            until(lambda count=count: len(load(path)) == count)
            with load(path) as loaded:
                assert not loaded.complete
                np.testing.assert_array_equal(np.asarray(loaded.frames), frames[:count])
                assert loaded.info["cnt0"].tolist() == list(range(2, count + 2))
            with fits.open(path) as hdus:
                np.testing.assert_array_equal(hdus[1].section[: count - 1], frames[: count - 1])


@pytest.mark.parametrize("changed", [0, 1, 11, 20])
def test_killed_while_places_change(
    changed: int, cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recorder is killed when it has changed the places of so many tiles, and not the header."""
    monkeypatch.setattr(fits_packed.PackedFitsSink, "flush_seconds", 0.0)
    path, frames = tmp_path / "cam.fits", noise(20)
    with Recorder(cam, tmp_path / "alive.fits", compress="fast") as recorder:
        cam.set_many(frames)
        until(lambda: len(load(tmp_path / "alive.fits")) == 20)
        for end in ("", ".info.npy"):
            shutil.copy(f"{tmp_path}/alive.fits{end}", f"{path}{end}")
        recorder.stop()
    with fits.open(path, disable_image_compression=True) as hdus:
        place, cards = hdus[1].fileinfo()["datLoc"], hdus[1].header
        gap = cards["THEAP"] - 16 * cards["NAXIS2"]
    content = np.memmap(path, ">i8", "r+", place, (20, 2))
    content[:changed, 1] += gap
    content.flush()
    with load(path) as loaded:
        assert not loaded.complete
        np.testing.assert_array_equal(np.asarray(loaded.frames), frames)


def test_rows_run_out(cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fits_packed, "_ROWS", 8)
    path, frames = tmp_path / "cam.fits", noise(20)
    with Recorder(cam, path, compress="fast") as recorder:
        cam.set_many(frames)
        until(lambda: recorder.report.recorded == 20)
        report = recorder.stop()
    paths = report.streams["cam"].paths
    assert [Path(each).name for each in paths] == ["cam.fits", "cam_000001.fits", "cam_000002.fits"]
    assert (report.lost, report.recorded) == (0, 20)
    with load(paths) as loaded:
        assert loaded.complete, loaded.missing
        np.testing.assert_array_equal(np.asarray(loaded.frames), frames)
    # A reader gets all that was recorded, or is told what is missing.
    Path(tmp_path / "cam_000000.fits").write_bytes(path.read_bytes())
    with load(path) as loaded:
        assert (len(loaded), loaded.complete) == (20, True)
        assert loaded.paths == paths
    Path(paths[1]).unlink()
    with load(path) as loaded:
        assert (len(loaded), loaded.complete) == (12, False)
    Path(paths[2]).unlink()
    with load(path) as first:
        assert (len(first), first.complete) == (8, False)
        assert "the series goes on" in first.missing


@pytest.mark.parametrize(
    "options", [{"direct": True}, {"sync": "second"}, {"direct": True, "sync": "second"}]
)
def test_ways_to_the_disk(options: dict[str, Any], cam: SHM, tmp_path: Path) -> None:
    frames, path = noise(50), tmp_path / "cam.fits"
    loaded, _ = recorded(cam, path, frames, compress="fast", **options)
    with loaded:
        assert loaded.complete, loaded.missing
        np.testing.assert_array_equal(np.asarray(loaded.frames), frames)
    np.testing.assert_array_equal(fits.getdata(path, 1), frames)


def test_frames_count_once_they_are_on_the_disk(
    cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With ``sync="second"`` the header counts nothing before."""
    monkeypatch.setattr(fits_packed.PackedFitsSink, "flush_seconds", 0.0)
    reached, synced = [], fits_packed.PackedFitsSink.sync

    def sync(sink: Any) -> None:
        reached.append((cards_of(path)["ZNAXIS3"], sink.written))
        synced(sink)
        assert cards_of(path)["ZNAXIS3"] == cards_of(path)["NAXIS2"] == sink.written

    monkeypatch.setattr(fits_packed.PackedFitsSink, "sync", sync)
    path = tmp_path / "cam.fits"
    recorded(cam, path, noise(20), compress="fast", sync="second")[0].close()
    assert reached[0][0] == 0 < reached[0][1]


def test_a_flush_wastes_nothing(cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames of a part of what is packed at a time are not packed again with the others."""
    monkeypatch.setattr(fits_packed.PackedFitsSink, "flush_seconds", 0.0)
    frames, path = noise(30), tmp_path / "cam.fits"
    with Recorder(cam, path, frames=30, compress="fast") as recorder:
        for at, frame in enumerate(frames):
            cam.set_data(frame)
            until(lambda at=at: recorder.report.recorded == at + 1)
        packed = recorder.wait(60).packed
    assert packed.nbytes == frames.nbytes
    with fits.open(path, disable_image_compression=True) as hdus:
        lengths = np.fromfile(path, ">i8", 2 * 30, offset=hdus[1].fileinfo()["datLoc"])[::2]
    assert lengths.sum() == packed.stored_nbytes == packed.packed_nbytes == cards_of(path)["PCOUNT"]


def test_opening_unpacks_nothing(cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded(cam, tmp_path / "cam.fits", noise(20), compress="fast")[0].close()
    unpack, times = fits_tiles.unpack_tile, []

    def counted(*args: Any) -> None:
        times.append(1)
        unpack(*args)

    monkeypatch.setattr(fits_tiles, "unpack_tile", counted)
    with load(tmp_path / "cam.fits") as loaded:
        assert len(loaded) == 20
        assert loaded.complete
        assert not times
        loaded.frames[3:6]
    assert len(times) == 3


def test_a_recorder_that_stalls_stores_frames_as_they_are(make: Callable[..., SHM], tmp_path: Path) -> None:
    """From the ring, and from where they wait: others read both."""
    shm, path = make("cam", ((64, 64), np.uint16), ring=512), tmp_path / "cam.fits"
    frames = noise(512, shape=(64, 64))
    stalled, go = threading.Event(), threading.Event()
    recorder = Recorder(shm, path, frames=512, compress="fast")
    stall_first_commit(recorder, stalled, go)
    with recorder:
        shm.set_many(frames[:8])
        assert stalled.wait(30)
        shm.set_many(frames[8:500])
        go.set()
        until(lambda: recorder.report.recorded == 500)
        shm.set_many(frames[500:])
        report = recorder.wait(60)
    assert report.lost == 0
    assert 128 <= report.packed.unpacked < 512
    assert report.packed.ratio < 2
    np.testing.assert_array_equal(fits.getdata(path, 1), frames)


# -- files of others, and damaged ones ---------------------------------------------------------


@pytest.mark.parametrize(
    ("tile", "lazy"),
    [
        ((7, 6, 1), True), ((7, 1, 1), True), ((7, 3, 1), True), ((1, 1, 1), True),
        ((7, 4, 1), False), ((4, 6, 1), False), ((7, 6, 2), False), ((3, 3, 3), False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("dtype", ["u2", "i4"])
def test_tiles_of_others(
    tile: tuple[int, ...], lazy: bool, dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = noise(5, dtype, (6, 7))
    packed = fits.CompImageHDU(frames, compression_type="RICE_1", tile_shape=tile[::-1])
    fits.HDUList([fits.PrimaryHDU(), packed]).writeto(tmp_path / "x.fits")
    with load(tmp_path / "x.fits") as loaded:
        assert isinstance(loaded.frames, LazyFrames) == lazy
        assert loaded.dtype == frames.dtype
        np.testing.assert_array_equal(np.asarray(loaded.frames), frames)
        np.testing.assert_array_equal(loaded.frames[3:1:-1], frames[3:1:-1])
    with load(tmp_path / "x.fits", frame_axes=3) as alone:
        np.testing.assert_array_equal(np.asarray(alone.frames), frames[None])


@pytest.mark.parametrize("method", ["GZIP_1", "GZIP_2", "PLIO_1", "HCOMPRESS_1"])
def test_other_codes_are_left_to_the_library(method: str, tmp_path: Path) -> None:
    frames = noise(4, "i2", (6, 8))
    shape = {"tile_shape": (1, 6, 8)}
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(frames, compression_type=method, **shape)]).writeto(
        tmp_path / "x.fits"
    )
    with load(tmp_path / "x.fits") as loaded:
        np.testing.assert_array_equal(np.asarray(loaded.frames), frames)


def test_scaled_pixels_are_left_to_the_library(tmp_path: Path) -> None:
    header = fits.Header({"BSCALE": 2.0, "BZERO": 10.0})
    packed = fits.CompImageHDU(
        noise(4, "i2"), header, compression_type="RICE_1", do_not_scale_image_data=True
    )
    fits.HDUList([fits.PrimaryHDU(), packed]).writeto(tmp_path / "x.fits")
    wanted = fits.getdata(tmp_path / "x.fits", 1)
    with load(tmp_path / "x.fits") as loaded:
        np.testing.assert_array_equal(np.asarray(loaded.frames), wanted)


@pytest.fixture
def damaged(cam: SHM, tmp_path: Path) -> Callable[[Callable[[Any, int, int], None]], Path]:
    """Record 20 frames, and change the bytes of the file: the table begins, and the heap."""

    def damage(change: Callable[[Any, int, int], None]) -> Path:
        path = tmp_path / "cam.fits"
        recorded(cam, path, noise(20), compress="fast")[0].close()
        with fits.open(path, disable_image_compression=True) as hdus:
            place, heap = hdus[1].fileinfo()["datLoc"], hdus[1].header["THEAP"]
        content = bytearray(path.read_bytes())
        change(content, place, place + heap)
        path.write_bytes(content)
        return path

    return damage


@pytest.mark.parametrize(
    "numbers", [(2**62, 0), (50, 2**62), (50, -8), (-1, 0), (2**63 - 1, 2**63 - 1), (0, 0)]
)
def test_rows_of_the_table_that_lead_elsewhere(
    numbers: tuple[int, int], damaged: Callable[..., Path]
) -> None:
    row = np.array(numbers, ">i8").tobytes()

    def change(content: bytearray, table: int, heap: int) -> None:
        content[table + 3 * 16 : table + 4 * 16] = row

    with load(damaged(change)) as loaded:
        assert not loaded.complete
        assert loaded.missing.endswith("frames without a tile in the file: 1, the first of them is frame 3")
        with pytest.raises(StreamFormatError, match=r"frames 2 to 4 cannot be read.*tile"):
            loaded.frames[2:5]
        assert loaded.frames[4:].shape[0] == 16


def test_a_tile_that_is_damaged(damaged: Callable[..., Path]) -> None:
    def change(content: bytearray, table: int, heap: int) -> None:
        length, place = np.frombuffer(bytes(content[table + 48 : table + 64]), ">i8").tolist()
        content[heap + place : heap + place + length] = bytes(2) + b"\x10" + bytes(length - 3)

    with load(damaged(change)) as loaded:
        with pytest.raises(StreamFormatError, match=r"frames 3 to 3 cannot be read.*is damaged"):
            loaded.frames[3]
        np.testing.assert_array_equal(loaded.frames[4:], noise(20)[4:])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("THEAP", -16), ("THEAP", 10**15), ("PCOUNT", -1), ("PCOUNT", 10**15), ("NAXIS2", 19),
        ("NAXIS2", 10**12),
        ("ZNAXIS3", 10**9), ("ZNAXIS3", -1), ("ZNAXIS1", 0), ("ZTILE1", 0), ("ZTILE3", 2), ("ZVAL1", 0),
        ("ZVAL1", 10**12), ("ZVAL2", 3), ("ZBITPIX", 7), ("ZNAXIS", 2), ("TFORM1", "'1PB     '"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings(f"ignore::{ForeignFileWarning.__module__}.ForeignFileWarning")
def test_headers_that_lie(name: str, value: Any, cam: SHM, tmp_path: Path) -> None:
    path = tmp_path / "cam.fits"
    recorded(cam, path, noise(20), compress="fast")[0].close()
    content = path.read_bytes()
    at = content.index(f"{name:8}=".encode(), 2880)
    path.write_bytes(content[:at] + f"{name:8}= {value!s:>20}".ljust(80).encode() + content[at + 80 :])
    try:
        with load(path) as loaded:
            assert len(loaded.frames[:2]) == 2 or not loaded.complete
    except StreamError as error:
        assert str(path) in str(error)


def test_a_file_that_is_cut(cam: SHM, tmp_path: Path) -> None:
    path = tmp_path / "cam.fits"
    recorded(cam, path, noise(20), compress="fast")[0].close()
    with fits.open(path, disable_image_compression=True) as hdus:
        middle = hdus[1].fileinfo()["datLoc"] + 16 * 20 + hdus[1].header["PCOUNT"] // 2
    with load(path) as loaded:
        os.truncate(path, middle)
        with pytest.raises(StreamFormatError, match="cut by another program"):
            loaded.frames[10:]
    with pytest.raises(StreamFormatError, match=r"shorter than its header says|damaged"):
        load(path)
