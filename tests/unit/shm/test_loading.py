"""Streams made ready, and filled from files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk import Stream, errors
from pymilk.axes import Which3DState
from pymilk.loading import creashmim, read_fits_load_shm, shm_to_fits
from pymilk.shm import SHM

IMAGE = np.arange(6, dtype=np.float32).reshape(2, 3) + 1


@pytest.fixture
def make() -> Iterator[Callable[..., SHM]]:
    """Make streams that are closed after the test: creashmim, or another function that returns an SHM."""
    made: list[SHM] = []

    def call(*args: Any, function: Callable[..., SHM] = creashmim, **kwargs: Any) -> SHM:
        made.append(function(*args, **kwargs))
        return made[-1]

    yield call
    for shm in made:
        shm.close()


def inode(name: str) -> int:
    return os.stat(os.path.join(os.environ["MILK_SHM_DIR"], f"{name}.im.shm")).st_ino


# --- creashmim -----------------------------------------------------------------------------------


def test_a_new_stream(make: Callable[..., SHM]) -> None:
    shm = make("cam0", (2, 3))
    assert (shm.shape, shm.shape_c, np.dtype(shm.nptype)) == ((2, 3), (3, 2), np.float32)
    assert (shm.mtdata["nbkw"], shm.symcode, shm.triDimState) == (50, 4, Which3DState.LAST2LAST)
    assert not shm.get_data().any()


def test_a_new_stream_of_another_kind(make: Callable[..., SHM]) -> None:
    shm = make("cam0", [2, 3, 4], "u2", 7, 2, Which3DState.LAST2FRONT, do_zero=False)
    assert (shm.shape, shm.shape_c, np.dtype(shm.nptype)) == ((2, 3, 4), (4, 2, 3), np.uint16)
    assert (shm.mtdata["nbkw"], shm.symcode, shm.triDimState) == (7, 2, Which3DState.LAST2FRONT)


@pytest.mark.parametrize("shape", [(2, 3), [2, 3], np.array([2, 3])])
def test_a_stream_that_fits_is_kept(shape: Any, make: Callable[..., SHM]) -> None:
    with SHM("cam0", IMAGE) as old:
        old.set_keywords({"KEY": 1})
        before, counter = inode("cam0"), old.get_counter()
    shm = make("cam0", shape, np.float32, do_zero=False)
    assert (inode("cam0"), shm.get_counter()) == (before, counter)
    assert np.array_equal(shm.get_data(), IMAGE)
    assert shm["KEY"] == 1
    shm = make("cam0", shape, "f4", delete_existing=True)
    assert inode("cam0") == before
    assert shm.get_counter() == counter + 1
    assert not shm.get_data().any()
    assert shm["KEY"] == 1


@pytest.mark.parametrize("shape", [8, (8,), (1, 8), (8, 1), (1, 1), (2, 1, 3)])
@pytest.mark.parametrize("symcode", [0, 4, 7])
def test_axes_of_length_1_count(shape: Any, symcode: int, make: Callable[..., SHM]) -> None:
    first = make("cam0", shape, symcode=symcode)
    before = inode("cam0")
    again = make("cam0", shape, symcode=symcode)
    assert again.shape == first.shape == tuple(np.atleast_1d(shape))
    assert inode("cam0") == before


@pytest.mark.parametrize(
    "options",
    [
        {"shape": (3, 2)},
        {"shape": (2, 3, 1)},
        {"shape": 6},
        {"data_type": np.float64},
        {"data_type": np.int32},
        {"nb_kw": 51},
        {"symcode": 0},
        {"attempt_reuse": False},
        {"attempt_reuse": False, "delete_existing": True},
    ],
)
def test_a_stream_that_does_not_fit_is_replaced(options: dict[str, Any], make: Callable[..., SHM]) -> None:
    with SHM("cam0", IMAGE, nbkw=50):
        before = inode("cam0")
        shm = make("cam0", **{"shape": (2, 3), "do_zero": False, **options})
        assert inode("cam0") != before
    assert not shm.get_data().any()
    assert shm.mtdata["nbkw"] >= options.get("nb_kw", 50)
    assert shm.shape == tuple(np.atleast_1d(options.get("shape", (2, 3))))


def test_equal_as_seen_by_the_user(make: Callable[..., SHM]) -> None:
    """Shape is what the user of this symcode sees: 3 x 2 untransposed is 2 x 3 transposed."""
    with SHM("cam0", IMAGE):
        before = inode("cam0")
    shm = make("cam0", (3, 2), symcode=0, do_zero=False)
    assert inode("cam0") == before
    assert np.array_equal(shm.get_data(), IMAGE.T)


def test_a_ring_of_slices_is_no_stream_of_images(make: Callable[..., SHM]) -> None:
    with SHM("cam0", IMAGE, ring=4, ring_kind="temporal") as ring:
        assert ring.shape == (2, 3)
        before = inode("cam0")
    for shape in ((4, 2, 3), (2, 3)):
        shm = make("cam0", shape)
        assert inode("cam0") != before
        assert len(shm.shape_c) == len(shape)
        before = inode("cam0")


def test_readers_follow(make: Callable[..., SHM]) -> None:
    with SHM("cam0", IMAGE) as reader:
        make("cam0", (2, 3), nb_kw=100).set_data(IMAGE * 2)
        assert np.array_equal(reader.get_data(), IMAGE * 2)


def test_a_damaged_file_is_replaced(make: Callable[..., SHM], shm_dir: Path) -> None:
    (shm_dir / "cam0.im.shm").write_bytes(b"x" * 5000)
    assert make("cam0", (2, 3)).shape == (2, 3)


@pytest.mark.parametrize("delete_existing", [False, True])
@pytest.mark.parametrize(
    ("shape", "data_type", "nb_kw"),
    [
        ((2, -3), np.float32, 50),
        ((2, 1.5), np.float32, 50),
        ("2x3", np.float32, 50),
        (None, np.float32, 50),
        ([[2, 3], [4, 5]], np.float32, 50),
        ((2, 3, 4, 5), np.float32, 50),
        ((2, 3), "no type", 50),
        ((2, 3), "U5", 50),
        ((2, 3), np.float32, -1),
    ],
)
def test_nonsense_leaves_what_was_there(
    shape: Any, data_type: Any, nb_kw: Any, delete_existing: bool
) -> None:
    with SHM("cam0", IMAGE) as old:
        before = inode("cam0")
        if nb_kw == -1:  # any stream has that much room
            old.destroy()
        with pytest.raises(errors.StreamError):
            creashmim("cam0", shape, data_type, nb_kw, delete_existing=delete_existing)
        if nb_kw != -1:
            assert inode("cam0") == before
            assert np.array_equal(old.get_data(), IMAGE)


@pytest.mark.parametrize("name", ["", "a/b", "x" * 200])
def test_names_that_no_stream_has(name: Any) -> None:
    with pytest.raises(errors.StreamNameError):
        creashmim(name, (2, 3), delete_existing=True)


def test_nothing_is_printed(make: Callable[..., SHM], capfd: pytest.CaptureFixture[str]) -> None:
    make("cam0", (2, 3))
    make("cam0", (2, 3))
    make("cam0", (3, 3), delete_existing=True)
    assert capfd.readouterr() == ("", "")


def test_the_familiar_module(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shm_dir: Path) -> None:
    from pymilk.interfacing import shm as shm_module
    from pymilk.interfacing import shm_functions
    from pymilk.util import img_shapes

    assert shm_functions.creashmim is creashmim
    assert shm_functions.SHM is SHM
    assert shm_functions.check_SHM_name is shm_module.check_SHM_name
    assert (shm_functions.img_shapes, shm_functions.np, shm_functions.os) == (img_shapes, np, os)
    assert str(shm_dir) == shm_functions.MILK_SHM_DIR
    monkeypatch.setenv("MILK_SHM_DIR", str(tmp_path))
    assert str(tmp_path) == shm_functions.MILK_SHM_DIR
    with pytest.raises(AttributeError, match="no attribute 'milk'"):
        _ = shm_functions.milk


# --- files ---------------------------------------------------------------------------------------


@pytest.fixture
def fits_file(tmp_path: Path) -> Path:
    pytest.importorskip("astropy")
    return tmp_path / "f.fits"


def write(*args: Any, **options: Any) -> None:
    from pymilk.fits import multi_write

    multi_write(*args, **options)


@pytest.mark.parametrize("upright", [False, True])
@pytest.mark.parametrize("symcode", [0, 4, 5])
def test_a_file_into_a_new_stream(
    upright: bool, symcode: int, fits_file: Path, make: Callable[..., SHM]
) -> None:
    """The pixels of the stream do not depend on the symcode of the object that is returned."""
    write(fits_file, IMAGE, upright=upright)
    shm = make(fits_file, "cam0", symcode, create_shm=True, function=read_fits_load_shm)
    assert shm.symcode == symcode
    with SHM("cam0") as other:
        assert np.array_equal(other.get_data(), IMAGE)
        assert np.dtype(other.nptype) == np.float32


def test_defaults_are_the_familiar_ones(fits_file: Path, make: Callable[..., SHM]) -> None:
    write(fits_file, IMAGE, 0)
    shm = make(str(fits_file), "cam0", create_shm=True, function=read_fits_load_shm)
    assert (shm.symcode, shm.triDimState) == (0, Which3DState.LAST2LAST)
    assert np.array_equal(shm.get_data(), IMAGE)


def test_a_cube(fits_file: Path, make: Callable[..., SHM]) -> None:
    cube = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    write(fits_file, cube, 6, Which3DState.FRONT2LAST, upright=True)
    state = Which3DState.FRONT2LAST
    shm = make(fits_file, "cam0", 6, state, True, function=read_fits_load_shm)
    assert np.array_equal(shm.get_data(), cube)
    assert shm.triDimState is state


def test_a_file_into_an_existing_stream(fits_file: Path, make: Callable[..., SHM]) -> None:
    write(fits_file, IMAGE)
    with SHM("cam0", np.zeros((2, 3), np.float32)) as reader:
        before, counter = inode("cam0"), reader.get_counter()
        make(fits_file, "cam0", function=read_fits_load_shm)
        assert inode("cam0") == before
        assert reader.get_counter() == counter + 1
        assert np.array_equal(reader.get_data(), IMAGE)


@pytest.mark.parametrize("data", [np.zeros((3, 2), np.float32), np.zeros((2, 3))])
def test_a_stream_that_does_not_fit_is_not_written(data: np.ndarray, fits_file: Path) -> None:
    write(fits_file, IMAGE)
    with SHM("cam0", data) as shm:
        with pytest.raises(errors.FrameMismatchError):
            read_fits_load_shm(fits_file, "cam0")
        assert shm.get_counter() == 1


def test_what_is_missing(fits_file: Path) -> None:
    with pytest.raises(errors.StreamNotFoundError, match="cannot be read"):
        read_fits_load_shm(fits_file, "cam0")
    write(fits_file, IMAGE)
    with pytest.raises(FileNotFoundError, match="cam0"):
        read_fits_load_shm(fits_file, "cam0")


def test_several_images_are_too_many(fits_file: Path, shm_dir: Path) -> None:
    write(fits_file, [IMAGE, IMAGE])
    with pytest.raises(errors.SeveralImagesError, match="2 HDUs") as caught:
        read_fits_load_shm(fits_file, "cam0", create_shm=True)
    assert isinstance(caught.value, AssertionError)
    assert (caught.value.expected, caught.value.found) == (1, 2)
    assert not list(shm_dir.iterdir())


@pytest.mark.parametrize("by_name", [False, True])
def test_a_stream_into_a_file(by_name: bool, fits_file: Path) -> None:
    """Upright, and with what the stream knows."""
    from pymilk.fits import multi_read

    with SHM("cam0", IMAGE, symcode=4) as shm:
        shm.set_keywords({"EXPTIME": (0.25, "[s]")})
        shm_to_fits("cam0" if by_name else shm, fits_file)
    from astropy.io import fits

    with fits.open(fits_file) as hdus:
        assert np.array_equal(hdus[0].data, IMAGE)
        assert hdus[0].header["EXPTIME"] == 0.25
        assert hdus[0].header["SHM_NAME"] == "cam0"
    assert np.array_equal(multi_read(fits_file), IMAGE)


@pytest.mark.parametrize("symcode", range(8))
@pytest.mark.parametrize("state", Which3DState)
def test_there_and_back(symcode: int, state: Which3DState, fits_file: Path, make: Callable[..., SHM]) -> None:
    cube = np.arange(24, dtype=np.int32).reshape(2, 3, 4)
    with SHM("cam0", cube, symcode=symcode, triDim=state) as shm:
        shm_to_fits(shm, fits_file)
    with SHM("cam0") as shm:
        before = shm.get_data()
    make(fits_file, "cam1", symcode, state, True, function=read_fits_load_shm)
    with SHM("cam1") as shm:
        assert np.array_equal(shm.get_data(), before)


@pytest.mark.parametrize("given", [5, None, Path("cam0")])
def test_what_is_no_stream(given: Any, fits_file: Path) -> None:
    with pytest.raises(errors.StreamArgumentError, match="SHM or the name"):
        shm_to_fits(given, fits_file)
    with pytest.raises(errors.StreamNotFoundError):
        shm_to_fits("cam0", fits_file)


def test_a_stream_of_the_core_is_no_shm(fits_file: Path, make_stream: Callable[..., Stream]) -> None:
    with pytest.raises(errors.StreamArgumentError, match="not Stream"):
        shm_to_fits(make_stream("cam0", (2, 3), "f4"), fits_file)  # type: ignore[arg-type]
