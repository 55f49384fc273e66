"""Files that carry the header of a recording that they are not any more."""

from __future__ import annotations

import gzip
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pymilk import SHM, Recorder, load
from pymilk.errors import ForeignFileWarning
from pymilk.view.dark import load_dark
from support.foreign_files import played

fits = pytest.importorskip("astropy.io.fits", reason="extra fits")

FRAMES = np.arange(10 * 24, dtype=np.uint16).reshape(10, 4, 6)


@pytest.fixture(params=[4, 0, 6])
def recorded(request: pytest.FixtureRequest, make: Callable[..., SHM], tmp_path: Path) -> tuple[Path, int]:
    """A recording of ten frames as a user with this symcode saw them: `FRAMES` are those of the stream."""
    shm = make("cam", FRAMES[0], ring=64, symcode=4)
    path = tmp_path / "cam.fits"
    with SHM("cam", symcode=request.param) as seen, Recorder(seen, path, frames=10) as recorder:
        shm.set_many(FRAMES)
        recorder.wait(60)
    return tmp_path / "cam.fits", request.param


def seen(frames: np.ndarray, symcode: int) -> np.ndarray:
    """Turn frames of the stream as that user saw them."""
    from pymilk.axes import Orientation

    return Orientation(frames.shape[1:], symcode).view(frames)


@pytest.mark.parametrize("kind", ["subtracted", "mean", "crop", "part", "part with all rows", "extension"])
def test_reduced_with_the_old_header(kind: str, recorded: tuple[Path, int], tmp_path: Path) -> None:
    path, symcode = recorded
    made = tmp_path / "made.fits"
    with fits.open(path) as hdus:
        data, header = hdus[0].data, hdus[0].header
        reduced = {
            "subtracted": data.astype("f4") - 3,
            "mean": data.mean(axis=0),
            "crop": data[:, 1:3, 2:],
            "part": data[2:5],
            "part with all rows": data[2:5],
            "extension": data.astype("f4"),
        }[kind]
        if kind == "part with all rows":
            fits.HDUList([fits.PrimaryHDU(reduced, header), hdus["INFO"]]).writeto(made)
        elif kind == "extension":
            fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(reduced, header)]).writeto(made)
        else:
            fits.writeto(made, reduced, header)
    native = np.asarray(reduced).astype(reduced.dtype.newbyteorder("="))
    native = native[None] if native.ndim == 2 else native
    with pytest.warns(ForeignFileWarning, match="header of a recording that it is not any more") as said:
        found = load(made)
    assert len(said) == 1
    assert (found.info, found.complete, len(found.gaps)) == (None, False, 0)
    assert found.header["stream"] == "cam"
    np.testing.assert_array_equal(np.asarray(found.frames), seen(native, symcode))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ForeignFileWarning)
        np.testing.assert_array_equal(played(made), native)  # as the stream had it
        np.testing.assert_allclose(load_dark(str(made)), native.mean(axis=0))


def frames_rewritten(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Put other frames into a recording, and leave its header and rows, as a script of others does."""
    if path.suffix == ".npy":
        np.save(path, change(np.load(path)))
    elif path.suffix == ".h5":
        h5py = pytest.importorskip("h5py", reason="extra hdf5")
        with h5py.File(path, "r+") as h5:
            made = change(h5["frames"][:])
            del h5["frames"]
            h5["frames"] = made
    else:
        zarr = pytest.importorskip("zarr", reason="extra zarr")
        frames = zarr.open_array(path / "frames", mode="r")
        made = change(frames[:])
        zarr.create_array(
            path, name="frames", data=made, overwrite=True, compressors=None,
            chunks=(frames.chunks[0], *made.shape[1:]),
            chunk_key_encoding={"name": "default", "separator": "."},
        )  # fmt: skip


@pytest.mark.parametrize("kind", ["crop", "mean"])
@pytest.mark.parametrize("suffix", ["npy", "h5", "zarr"])
@pytest.mark.parametrize("symcode", [4, 6])
def test_reduced_in_other_formats(
    symcode: int, suffix: str, kind: str, make: Callable[..., SHM], tmp_path: Path
) -> None:
    if suffix != "npy":
        pytest.importorskip({"h5": "h5py", "zarr": "zarr"}[suffix], reason="an extra")
    if kind == "mean" and suffix != "npy":
        pytest.skip("rows without frames: refused by name")
    shm = make("cam", FRAMES[0], ring=64, symcode=4)
    path = tmp_path / f"cam.{suffix}"
    with SHM("cam", symcode=symcode) as user, Recorder(user, path, frames=10) as recorder:
        shm.set_many(FRAMES)
        recorder.wait(60)
    change = {"crop": lambda data: data[:, 1:3, 2:], "mean": lambda data: data.mean(axis=0)}[kind]
    wanted = change(FRAMES)
    frames_rewritten(path, change)
    with pytest.warns(ForeignFileWarning, match="header of a recording that it is not any more") as said:
        found = load(path)
    assert len(said) == 1
    assert (found.info, found.complete, len(found.gaps)) == (None, False, 0)
    assert found.header["stream"] == "cam"
    native = wanted[None] if wanted.ndim == 2 else wanted
    np.testing.assert_array_equal(np.asarray(found.frames), seen(native, symcode))
    found.close()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ForeignFileWarning)
        np.testing.assert_array_equal(played(path), native)


def test_with_its_rows_it_is_a_recording_still(recorded: tuple[Path, int], tmp_path: Path) -> None:
    path, symcode = recorded
    with fits.open(path) as hdus:
        hdus[0].data = hdus[0].data.astype("f4") - 0.5
        hdus.writeto(tmp_path / "made.fits")
    with load(tmp_path / "made.fits") as found:
        assert found.complete
        assert found.info is not None
        assert len(found.info) == 10
        np.testing.assert_array_equal(np.asarray(found.frames), seen(FRAMES.astype("f4") - 0.5, symcode))


@pytest.mark.parametrize("packed", ["gz", "fz"])
def test_packed_recordings_keep_their_rows(packed: str, recorded: tuple[Path, int], tmp_path: Path) -> None:
    path, symcode = recorded
    made = tmp_path / f"cam.fits.{packed}"
    if packed == "gz":
        made.write_bytes(gzip.compress(path.read_bytes()))
    else:
        with fits.open(path) as hdus:
            image = fits.CompImageHDU(hdus[0].data, hdus[0].header, compression_type="RICE_1")
            fits.HDUList([fits.PrimaryHDU(), image, hdus["INFO"]]).writeto(made)
    with load(path) as plain, load(made) as found:
        assert found.complete
        np.testing.assert_array_equal(found.info, plain.info)
        np.testing.assert_array_equal(np.asarray(found.frames), seen(FRAMES, symcode))


def test_a_slash_behind_a_name_is_that_of_tab_completion(make: Callable[..., SHM], tmp_path: Path) -> None:
    pytest.importorskip("zarr", reason="extra zarr")
    shm = make("cam", FRAMES[0], ring=64)
    with Recorder("cam", f"{tmp_path}/cam.zarr/", frames=10) as recorder:
        shm.set_many(FRAMES)
        recorder.wait(60)
    for name in ("cam.zarr", "cam.zarr/", "cam.zarr//"):
        with load(f"{tmp_path}/{name}") as found:
            assert (len(found), found.complete) == (10, True)
        np.testing.assert_array_equal(played(f"{tmp_path}/{name}"), FRAMES)
        np.testing.assert_allclose(load_dark(f"{tmp_path}/{name}"), FRAMES.mean(axis=0))
