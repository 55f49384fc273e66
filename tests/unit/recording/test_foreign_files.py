"""Recordings that others read, and files of others that are loaded."""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk import FRAME_ROW, SHM, Recorder, load
from pymilk.errors import ForeignFileWarning, StreamArgumentError, StreamFormatError, StreamNotFoundError
from support.recordings import EACH_FORMAT, format_parameters, images, recorded


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


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_npy_of_each_version(version: tuple[int, int], tmp_path: Path) -> None:
    with open(tmp_path / "cube.npy", "wb") as file:
        np.lib.format.write_array(file, images(3), version=version)
    np.testing.assert_array_equal(load(tmp_path / "cube.npy").frames, images(3))


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


@pytest.mark.parametrize("suffix", format_parameters("fits", "h5", "zarr"))
def test_compression_is_lossless_and_smaller(suffix: str, make: Callable[..., SHM], tmp_path: Path) -> None:
    shm = make("cam", ((64, 64), np.uint16), ring=1024)
    frames = np.arange(600 * 64 * 64, dtype=np.uint32).reshape(600, 64, 64).astype(np.uint16) // 64
    loaded, report = recorded(shm, tmp_path / f"cam.{suffix}", frames, compress=True)
    with loaded:
        np.testing.assert_array_equal(np.asarray(loaded.frames), frames)
    files = [each for each in [tmp_path, *tmp_path.rglob("*")] if each.is_file()]
    assert sum(each.stat().st_size for each in files) < report.nbytes / 2


def test_cubes_are_not_compressed(cam: SHM, tmp_path: Path) -> None:
    with pytest.raises(StreamArgumentError, match=r"compress.*\.h5"):
        Recorder(cam, tmp_path / "cam.npy", frames=1, compress=True)


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


# --- NPY and NPZ -----------------------------------------------------------------------------------


def test_several_arrays_in_an_npy_file_are_said(tmp_path: Path) -> None:
    given = np.arange(24.0).reshape(2, 3, 4)
    with open(tmp_path / "x.npy", "wb") as file:
        np.save(file, given)
        np.save(file, given + 1)
    with (
        pytest.warns(ForeignFileWarning, match="has 320 bytes behind its array"),
        load(tmp_path / "x.npy") as found,
    ):
        np.testing.assert_array_equal(found.frames, given)
    np.save(tmp_path / "y.npy", given)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(tmp_path / "y.npy").close()


@pytest.mark.parametrize("shape", ["(-2, 3, 4)", "(2, -3, -4)"])
def test_axes_below_zero_are_named(shape: str, tmp_path: Path) -> None:
    head = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    (tmp_path / "x.npy").write_bytes(
        b"\x93NUMPY\x01\0" + len(head).to_bytes(2, "little") + head.encode() + bytes(192)
    )
    with pytest.raises(StreamFormatError, match=re.escape(f"its shape is {shape}")):
        load(tmp_path / "x.npy")


def test_header_that_python_2_wrote_brings_no_warning_of_numpy(tmp_path: Path) -> None:
    head = "{'descr': '<f8', 'fortran_order': False, 'shape': (2L, 3L), }".ljust(117) + "\n"
    (tmp_path / "x.npy").write_bytes(
        b"\x93NUMPY\x01\0" + len(head).to_bytes(2, "little") + head.encode() + bytes(48)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with load(tmp_path / "x.npy") as found:
            assert found.frames.shape == (2, 3)


def test_an_archive_of_several_arrays_is_not_called_damaged(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=np.zeros(3), b=np.zeros(4))
    with pytest.raises(StreamFormatError, match="is an archive of 2 files") as caught:
        load(tmp_path / "x.npz")
    assert "damaged" not in str(caught.value)
