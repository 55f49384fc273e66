"""Recordings whose files are no files, or promise more than they have: refused by name, at once."""

from __future__ import annotations

import gzip
import json
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from pymilk import SHM, Recorder, load, play
from pymilk.errors import CaptureMemoryError, StreamFormatError, StreamStorageError
from pymilk.fits import multi_read
from support.recordings import images, recorded

for library in ("astropy", "zarr"):
    pytest.importorskip(library)
h5py = pytest.importorskip("h5py")


@pytest.fixture(autouse=True)
def _soon_and_small() -> Iterator[None]:
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert time.monotonic() - began < 30
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 256 << 10


@pytest.mark.parametrize(
    ("path", "file"),
    [
        ("cam.npy", "cam.npy"), ("cam.npy", "cam.info.npy"), ("cam.npy", "cam.info.json"),
        ("cam.fits", "cam.fits"), ("cam.h5", "cam.h5"), ("cam.zarr", "cam.zarr/zarr.json"),
        ("cam.zarr", "cam.zarr/frames/zarr.json"), ("cam.zarr", "cam.zarr/info/zarr.json"),
        ("cam.zarr", "cam.zarr/frames/c.0.0.0"), ("cam.zarr", "cam.zarr/info/c.0.0"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["pipe", "link", "device"])
def test_pipes_and_devices(path: str, file: str, kind: str, cam: SHM, tmp_path: Path) -> None:
    recorded(cam, tmp_path / path, images(5))[0].close()
    (tmp_path / file).unlink()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / file).symlink_to("/dev/zero" if kind == "device" else pipe)
    if kind == "pipe":
        (tmp_path / file).unlink()
        pipe.rename(tmp_path / file)
    with pytest.raises(StreamFormatError, match="no regular file") as caught:
        load(tmp_path / path)
    assert caught.value.path == str(tmp_path / file)


def test_rows_without_end(cam: SHM, tmp_path: Path) -> None:
    for suffix in ("npy", "h5", "zarr"):
        recorded(cam, tmp_path / f"cam.{suffix}", images(20))[0].close()
    rows = tmp_path / "cam.info.npy"
    head = rows.read_bytes()
    rows.write_bytes(head.replace(b"(20,", b"(300000000,").replace(b"       \n", b"\n", 1))
    with pytest.raises(StreamFormatError, match="shorter than its header says"):
        load(tmp_path / "cam.npy")
    with h5py.File(tmp_path / "cam.h5", "r+") as h5:
        h5["info"].resize(300_000_000, 0)
    with pytest.raises(StreamFormatError, match="promises 300000000 rows"):
        load(tmp_path / "cam.h5")
    metadata = tmp_path / "cam.zarr" / "info" / "zarr.json"
    metadata.write_text(metadata.read_text().replace("20", "300000000", 1))
    with load(tmp_path / "cam.zarr") as found:
        assert (len(found), found.complete) == (20, False)


@pytest.mark.parametrize("link", [h5py.ExternalLink("x.h5", "/frames"), h5py.SoftLink("/x")])
def test_links_of_hdf5(link: Any, cam: SHM, tmp_path: Path) -> None:
    recorded(cam, tmp_path / "cam.h5", images(5))[0].close()
    with h5py.File(tmp_path / "cam.h5", "r+") as h5:
        del h5["frames"]
        h5["frames"] = link
    with pytest.raises(StreamFormatError, match="not followed"):
        load(tmp_path / "cam.h5")


def test_external_storage_of_hdf5(cam: SHM, tmp_path: Path) -> None:
    recorded(cam, tmp_path / "cam.h5", images(5))[0].close()
    with h5py.File(tmp_path / "cam.h5", "r+") as h5:
        del h5["frames"]
        h5.create_dataset("frames", (5, 5, 7), np.uint16, external=[("/etc/passwd", 0, 350)])
    with pytest.raises(StreamFormatError, match="in other files"):
        load(tmp_path / "cam.h5")


@pytest.mark.parametrize("text", ["[" * 100_000, '{"frames": Infinity}', '{"frames": 1e999}', "9" * 9999])
def test_headers_that_are_no_header(text: str, cam: SHM, tmp_path: Path) -> None:
    recorded(cam, tmp_path / "cam.npy", images(5))
    (tmp_path / "cam.info.json").write_text(text)
    with pytest.raises(StreamFormatError, match="no header of a recording"):
        load(tmp_path / "cam.npy")


@pytest.mark.parametrize("change", [{"symcode": 10**30}, {"stream_shape": [10**30, 7]}, {"tri_dim": "x"}])
def test_numbers_that_cannot_be(change: dict[str, Any], cam: SHM, tmp_path: Path) -> None:
    recorded(cam, tmp_path / "cam.npy", images(5))
    header = json.loads((tmp_path / "cam.info.json").read_text())
    (tmp_path / "cam.info.json").write_text(json.dumps({**header, **change}))
    with pytest.raises(StreamFormatError, match="header of the recording is damaged"):
        load(tmp_path / "cam.npy")


def test_growth_of_hdf5_is_seen_by_opening_again(
    cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pymilk.recording.sinks.base.Sink.flush_seconds", 0.05)
    with Recorder(cam, tmp_path / "cam.h5") as recorder:
        for count in (3, 6):
            cam.set_many(images(3))
            while True:
                with load(tmp_path / "cam.h5") as found:
                    if len(found) == count:
                        break
                time.sleep(0.005)
        assert recorder.running


@pytest.mark.parametrize("name", ["NAXIS", "TFIELDS"])
@pytest.mark.parametrize("number", ["300000000", "-1", "1E9"])
def test_fits_that_counts_what_cannot_be(name: str, number: str, cam: SHM, tmp_path: Path) -> None:
    """astropy would make an entry for each of them."""
    path = tmp_path / "cam.fits"
    recorded(cam, path, images(5))[0].close()
    content = path.read_bytes()
    at = content.index(f"{name:8}= ".encode())
    path.write_bytes(content[: at + 10] + number.rjust(20).encode() + content[at + 30 :])
    for read in (load, multi_read):
        with pytest.raises(StreamFormatError, match=name):
            read(path)


def test_rows_of_a_file_that_was_made_longer(cam: SHM, tmp_path: Path) -> None:
    """A file can be as long as its header says, and empty: rows that were never written are not read."""
    recorded(cam, tmp_path / "cam.npy", images(20))
    rows = tmp_path / "cam.info.npy"
    head = rows.read_bytes()
    rows.write_bytes(head.replace(b"(20,", b"(300000000,").replace(b"       \n", b"\n", 1))
    os.truncate(rows, 20_000_000_000)
    with load(tmp_path / "cam.npy") as found:
        assert (len(found), found.complete) == (20, False)
        assert "300000000 rows" in found.missing


def test_chunks_that_are_small_until_they_are_unpacked(cam: SHM, tmp_path: Path) -> None:
    recorded(cam, tmp_path / "cam.h5", images(20))[0].close()
    with h5py.File(tmp_path / "cam.h5", "r+") as h5:
        del h5["frames"]
        h5.create_dataset("frames", (20, 5, 7), np.uint16, chunks=(10**7, 5, 7), maxshape=(None, 5, 7),
                          compression="gzip")  # fmt: skip
    with pytest.raises(StreamFormatError, match="packed chunks"):
        load(tmp_path / "cam.h5")
    path = tmp_path / "packed.fits.gz"
    with gzip.open(path, "wb", compresslevel=1) as packed:
        packed.write(b"SIMPLE  =" + bytes(80 << 20))
    with mock.patch("pymilk.foreign.hdus.free_memory", return_value=64 << 20), pytest.raises(
        CaptureMemoryError, match="half of the free"
    ):
        load(path)


@pytest.mark.parametrize("how", ["deleted", "replaced", "chunk"])
def test_zarr_that_goes_after_it_was_opened(how: str, cam: SHM, tmp_path: Path) -> None:
    """A library would make zeros of it, or give frames of the other recording."""
    path = tmp_path / "cam.zarr"
    found, _ = recorded(cam, path, images(20))
    if how == "chunk":
        (path / "frames" / "c.0.0.0").unlink()
    else:
        path.rename(tmp_path / "old.zarr")
    if how == "replaced":
        recorded(cam, path, images(21))[0].close()
    words = "deleted by another" if how == "chunk" else "deleted or replaced"
    with pytest.raises(StreamFormatError, match=words):
        found.frames[3]
    with pytest.raises(StreamFormatError, match="deleted"):
        play(found, "again", rate=0)


def test_hdf5_that_is_cut_after_it_was_opened(cam: SHM, tmp_path: Path) -> None:
    """The library makes zeros of what is behind the end of a file."""
    path = tmp_path / "cam.h5"
    recorded(cam, path, images(4000))[0].close()
    with h5py.File(path) as h5:
        end = h5["frames"].id.get_chunk_info(0).byte_offset + 200_000
    found = load(path)
    os.truncate(path, end)
    with found, pytest.raises(StreamFormatError, match="not in the file"):
        np.asarray(found.frames)


def test_hdf5_frames_that_were_never_written(cam: SHM, tmp_path: Path) -> None:
    path = tmp_path / "cam.h5"
    recorded(cam, path, images(20))[0].close()
    with h5py.File(path, "r+") as h5:
        del h5["frames"]
        h5.create_dataset("frames", (20, 5, 7), np.uint16)
    with load(path) as found, pytest.raises(StreamFormatError, match="never written"):
        found.frames[3]


def test_errors_of_the_hdf5_library_are_errors_of_the_disk(
    cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **options: Any) -> None:
        raise RuntimeError("Can't flush (file write failed)")

    recorder = Recorder(cam, tmp_path / "cam.h5", frames=5).start()
    monkeypatch.setattr(h5py.Dataset, "flush", fail)
    cam.set_many(images(5))
    with pytest.raises(StreamStorageError, match="the HDF5 library says: Can't flush"):
        recorder.wait(60)


def bomb(path: Path, content: bytes) -> Path:
    """Pack this and 160 MB of zeros behind it."""
    with gzip.open(path, "wb", compresslevel=1) as packed:
        packed.write(content + bytes(160 << 20))
    return path


def test_packed_files_are_unpacked_as_far_as_they_say(tmp_path: Path) -> None:
    from astropy.io import fits

    given = np.arange(20, dtype=np.int16).reshape(4, 5)
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(given, name="SCI"), fits.ImageHDU(given + 1, name="ERR")]
    fits.HDUList(hdus).writeto(tmp_path / "x.fits")
    path = bomb(tmp_path / "bomb.fits", (tmp_path / "x.fits").read_bytes())
    with mock.patch("pymilk.foreign.hdus.free_memory", return_value=64 << 20):
        for hdu, expected in (("SCI", given), ("ERR", given + 1)):
            np.testing.assert_array_equal(load(path, hdu=hdu).frames[0], expected)
            np.testing.assert_array_equal(multi_read(path, hdu=hdu), expected.T)


def test_packed_files_of_something_else_are_not_unpacked(tmp_path: Path) -> None:
    path = bomb(tmp_path / "bomb.fits", b"")
    with mock.patch("pymilk.foreign.hdus.free_memory", return_value=64 << 20):
        for read in (load, multi_read):
            with pytest.raises(StreamFormatError):
                read(path)


def test_packed_images_that_promise_more_than_the_memory(tmp_path: Path) -> None:
    from astropy.io import fits

    path = tmp_path / "x.fits"
    hdu = fits.CompImageHDU(np.zeros((3, 10, 12), np.int16))
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    with fits.open(path, mode="update", disable_image_compression=True) as hdus:
        hdus[1].header["ZNAXIS3"] = 10**9
    for read in (load, multi_read):
        with pytest.raises(CaptureMemoryError, match=r"of shape \(1000000000, 10, 12\)"):
            read(path)


def header(cards: dict[str, Any]) -> bytes:
    """Return a header of FITS."""
    lines = [f"{name:8}= {value:>20}".ljust(80) for name, value in cards.items()]
    return "".join([*lines, "END"]).ljust(2880).encode()


@pytest.mark.parametrize(("name", "pixels"), [("PCOUNT", 0), ("GCOUNT", 2880)])
@pytest.mark.parametrize("packed", [False, True])
def test_a_header_that_is_followed_by_less_than_nothing(
    name: str, pixels: int, packed: bool, tmp_path: Path
) -> None:
    """The next header would be this one, for ever."""
    facts = {"SIMPLE": "T", "BITPIX": 8, "NAXIS": 1, "NAXIS1": pixels, "PCOUNT": 0, "GCOUNT": 1}
    facts[name] = -2880 if name == "PCOUNT" else -1
    content = header(facts) + bytes(2880)
    path = tmp_path / "x.fits"
    path.write_bytes(gzip.compress(content) if packed else content)
    for read in (load, multi_read):
        with pytest.raises(StreamFormatError, match=f"{name} is -.*, and 0 and more are possible"):
            read(path)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("cards", "said"),
    [({"NAXIS1": -4}, "NAXIS1 is -4, and 0 and more"), ({"NAXIS": 3}, "NAXIS3 is missing, and 0 and more")],
)
def test_axes_that_cannot_be(cards: dict[str, int], said: str, packed: bool, tmp_path: Path) -> None:
    """The library says that END is missing, or nothing but the name of a card."""
    path = tmp_path / "x.fits"
    content = header({"SIMPLE": "T", "BITPIX": 16, "NAXIS": 2, "NAXIS1": 5, "NAXIS2": 4, **cards})
    content += bytes(2880)
    path.write_bytes(gzip.compress(content) if packed else content)
    for read in (load, multi_read):
        with pytest.raises(StreamFormatError, match=said):
            read(path)


def test_an_image_before_one_whose_axes_cannot_be(tmp_path: Path) -> None:
    path = tmp_path / "x.fits"
    first = header({"SIMPLE": "T", "BITPIX": 8, "NAXIS": 1, "NAXIS1": 3, "EXTEND": "T"})
    first += bytes([1, 2, 3]).ljust(2880)
    path.write_bytes(first + header({"XTENSION": "'IMAGE'", "BITPIX": 8, "NAXIS": 1, "NAXIS1": -1}))
    assert load(path, hdu=0).frames[0].tolist() == [1, 2, 3]


def test_an_image_that_ends_behind_the_largest_file(tmp_path: Path) -> None:
    """Most file systems call such a place invalid; the kind of error has to be that of a damaged file."""
    path = tmp_path / "x.fits"
    path.write_bytes(header({"SIMPLE": "T", "BITPIX": 8, "NAXIS": 1, "NAXIS1": 10**16}) + bytes(2880))
    for read in (load, multi_read):
        with pytest.raises(StreamFormatError):
            read(path)


def test_a_header_without_an_end(tmp_path: Path) -> None:
    path = tmp_path / "x.fits"
    path.write_bytes(b"SIMPLE  =                    T".ljust(80) + b"COMMENT ".ljust(80) * 150_000)
    for read in (load, multi_read):
        with pytest.raises(StreamFormatError, match="no END"):
            read(path)
