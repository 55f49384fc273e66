"""FITS files: orientation, pixel types, damage."""

from __future__ import annotations

import errno
import gzip
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk import errors
from pymilk.axes import Which3DState
from pymilk.fits import UPRIGHT_CARD, multi_read, multi_write
from pymilk.shm import SHM
from support.fits_files import BLOCK, LETTER_F, STORED, plain_read

fits = pytest.importorskip("astropy.io.fits")


def plain_write(path: Path, pixels: np.ndarray) -> None:
    """Write an image as other programs do: NAXIS1 is the last axis."""
    [bitpix] = [bits for bits, dtype in STORED.items() if np.dtype(dtype) == pixels.dtype.newbyteorder(">")]
    cards = [f"{'SIMPLE':8}= {'T':>20}", f"{'BITPIX':8}= {bitpix:>20}", f"{'NAXIS':8}= {pixels.ndim:>20}"]
    cards += [f"{f'NAXIS{k + 1}':8}= {n:>20}" for k, n in enumerate(pixels.shape[::-1])]
    header = "".join(card.ljust(80) for card in [*cards, "END"])
    body = pixels.astype(pixels.dtype.newbyteorder(">")).tobytes()
    path.write_bytes(
        header.ljust(-(len(header) // -BLOCK) * BLOCK).encode()
        + body.ljust(-(len(body) // -BLOCK) * BLOCK, b"\0")
    )


# --- orientation ---------------------------------------------------------------------------------


@pytest.mark.parametrize("symcode", range(8))
def test_a_letter_stands_upright(symcode: int, tmp_path: Path) -> None:
    """Viewers show NAXIS1 to the right and row 1 at the bottom: pixel x, y of the stream is x + 1, y + 1."""
    path = tmp_path / "f.fits"
    with SHM("letter", LETTER_F), SHM("letter", symcode=symcode) as shm:
        assert shm.shape_c == (5, 7)
        seen = shm.get_data()
    multi_write(path, seen, symcode, upright=True)
    cards, image = plain_read(path)
    assert f"{'NAXIS1':8}= {5:>20}" in {card[:30] for card in cards}
    assert image.tolist() == LETTER_F.tolist()
    again = multi_read(path, symcode)
    assert again.dtype == np.int16
    assert np.array_equal(again, seen)


@pytest.mark.parametrize("symcode", range(8))
@pytest.mark.parametrize("state", Which3DState)
def test_a_stack_of_letters_stands_upright(symcode: int, state: Which3DState, tmp_path: Path) -> None:
    """Pixel x, y, z of the stream is x + 1, y + 1, z + 1 of the file, wherever the user sees the stack."""
    path = tmp_path / "f.fits"
    letters = np.stack([LETTER_F, LETTER_F + 100, LETTER_F + 200])
    with SHM("letters", letters.transpose(1, 2, 0), symcode=4), SHM(
        "letters", symcode=symcode, triDim=state
    ) as shm:
        assert shm.shape_c == (5, 7, 3)
        seen = shm.get_data()
    multi_write(path, seen, symcode, state, upright=True)
    assert plain_read(path)[1].tolist() == letters.tolist()
    assert np.array_equal(multi_read(path, symcode, state), seen)


def test_row_0_is_at_the_bottom_with_the_usual_symcode(tmp_path: Path) -> None:
    path = tmp_path / "f.fits"
    multi_write(path, LETTER_F, upright=True)
    assert plain_read(path)[1].tolist() == LETTER_F.tolist()
    assert np.array_equal(fits.getdata(path), LETTER_F)


@pytest.mark.parametrize("symcode", range(8))
def test_old_layout(symcode: int, tmp_path: Path) -> None:
    """What scripts wrote before: NAXIS1 is the second axis of the stored form, and there is no card."""
    path = tmp_path / "f.fits"
    user = np.array([[1, 2, 3], [4, 5, 6]], np.int32)
    stored = user.T if symcode >= 4 else user
    stored = stored[::-1] if symcode & 1 else stored
    stored = stored[:, ::-1] if symcode & 2 else stored
    multi_write(path, user, symcode)
    cards, image = plain_read(path)
    assert image.tolist() == stored.tolist()
    assert not [card for card in cards if card.startswith(UPRIGHT_CARD)]
    assert np.array_equal(multi_read(path, symcode), user)

    other = tmp_path / "other.fits"
    plain_write(other, np.ascontiguousarray(stored))
    assert np.array_equal(multi_read(other, symcode), user)


@pytest.mark.parametrize(
    ("state", "stored"),
    [
        (Which3DState.LAST2LAST, (3, 2, 4)),
        (Which3DState.LAST2FRONT, (4, 3, 2)),
        (Which3DState.FRONT2FRONT, (2, 4, 3)),
        (Which3DState.FRONT2LAST, (4, 3, 2)),
    ],
)
def test_old_layout_of_cubes(state: Which3DState, stored: tuple[int, ...], tmp_path: Path) -> None:
    path = tmp_path / "f.fits"
    user = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    multi_write(path, user, 4, state)
    assert plain_read(path)[1].shape == stored
    assert np.array_equal(multi_read(path, 4, state), user)


def test_written_with_one_symcode_and_read_with_another(tmp_path: Path) -> None:
    """As if the stream itself had been read with the other one, in both layouts."""
    path = tmp_path / "f.fits"
    for upright in (False, True):
        with SHM("letter", LETTER_F) as shm, SHM("letter", symcode=6) as other:
            multi_write(path, shm.get_data(), shm.symcode, upright=upright)
            assert np.array_equal(multi_read(path, 6), other.get_data())


@pytest.mark.parametrize("shape", [(), (1,), (5,), (1, 1), (2, 1, 3), (2, 3, 4, 5)])
def test_other_numbers_of_axes(shape: tuple[int, ...], tmp_path: Path) -> None:
    path = tmp_path / "f.fits"
    data = np.arange(math.prod(shape), dtype=np.float64).reshape(shape)
    multi_write(path, data, 5, Which3DState.FRONT2LAST, upright=True)
    again = multi_read(path, 5, Which3DState.FRONT2LAST)
    assert again.shape == shape
    assert np.array_equal(again, data)
    multi_write(path, data, 5)
    assert np.array_equal(multi_read(path, 5), data if shape else [0.0])


def test_several_images(tmp_path: Path) -> None:
    """Neither encoded nor decoded, unless they are to stand upright."""
    path = tmp_path / "f.fits"
    multi_write(path, (array for array in (LETTER_F, [1.5, 2.5], LETTER_F[:2])), 5)
    first, second, third = multi_read(path, 3)
    assert first.tolist() == LETTER_F.tolist() == plain_read(path)[1].tolist()
    assert second.tolist() == [1.5, 2.5]
    assert third.tolist() == LETTER_F[:2].tolist()

    multi_write(path, [LETTER_F, LETTER_F[:2]], 5, upright=True)
    first, second = multi_read(path, 5)
    assert first.tolist() == LETTER_F.tolist()
    assert second.tolist() == LETTER_F[:2].tolist()
    assert plain_read(path)[1].tolist() == np.flip(LETTER_F, 1).tolist()


def test_an_iterable_of_one_is_not_encoded(tmp_path: Path) -> None:
    path = tmp_path / "f.fits"
    multi_write(path, [LETTER_F])
    assert np.array_equal(plain_read(path)[1], LETTER_F)
    assert np.array_equal(multi_read(path), LETTER_F.T)


def test_an_hdu_without_pixels_keeps_its_place(tmp_path: Path) -> None:
    path = tmp_path / "f.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(LETTER_F)]).writeto(path)
    nothing, image = multi_read(path)
    assert nothing is None
    assert np.array_equal(image, LETTER_F)


# --- pixels --------------------------------------------------------------------------------------


@pytest.mark.parametrize("upright", [False, True])
@pytest.mark.parametrize(
    "dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8", ">u2", ">i8", ">f4"]
)
def test_pixel_types_come_back(dtype: str, upright: bool, tmp_path: Path) -> None:
    path = tmp_path / "f.fits"
    kind = np.dtype(dtype)
    limits = np.iinfo(kind) if kind.kind in "iu" else np.finfo(kind)
    data = np.array([[limits.min, limits.max, 1], [0, 7, limits.max - 1]], kind)
    before = data.tobytes()
    multi_write(path, data, upright=upright)
    again = multi_read(path)
    assert again.dtype == kind.newbyteorder("=")
    assert again.dtype.isnative
    assert np.array_equal(again, data)
    assert again.flags.writeable
    assert data.tobytes() == before
    if kind.itemsize < 8:
        assert np.array_equal(plain_read(path)[1], data if upright else data.T)


@pytest.mark.parametrize(
    ("dtype", "advice"),
    [
        *[("c8", "float32"), ("c16", "float64"), ("f2", "float32"), ("g", "float64"), ("?", "uint8")],
        *[("U1", "float64"), ("M8[ns]", "float64"), ([("a", "f4")], r"each field as an image.*\['a'\]")],
    ],
)
def test_pixels_that_fits_has_not(dtype: Any, advice: str, tmp_path: Path) -> None:
    with pytest.raises(errors.StreamUnsupportedError, match=advice):
        multi_write(tmp_path / "f.fits", np.zeros((2, 3), dtype))
    assert not list(tmp_path.iterdir())


def test_not_a_number_comes_back(tmp_path: Path) -> None:
    data = np.array([np.nan, np.inf, -np.inf, -0.0], np.float32)
    multi_write(tmp_path / "f.fits", data)
    assert multi_read(tmp_path / "f.fits").tobytes() == data.tobytes()


def test_data_is_untouched_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Astropy swaps bytes in place if it may; the pixels may be those of a stream that others read."""
    from astropy.io.fits.file import _File

    data = np.arange(6, dtype=np.float32).reshape(2, 3)
    seen = []
    write = _File.writearray

    def watched(self: Any, array: np.ndarray) -> None:
        seen.append(data.tolist())
        write(self, array)

    monkeypatch.setattr(_File, "writearray", watched)
    for upright in (False, True):
        multi_write(tmp_path / "f.fits", data, upright=upright)
    assert seen == [[[0, 1, 2], [3, 4, 5]]] * 2
    assert data.flags.writeable


def test_strided_and_read_only_arrays(tmp_path: Path) -> None:
    data = np.arange(48, dtype=np.uint16).reshape(6, 8)[::2, ::-3]
    data.flags.writeable = False
    multi_write(tmp_path / "f.fits", data, upright=True)
    assert np.array_equal(multi_read(tmp_path / "f.fits"), data)


# --- files ---------------------------------------------------------------------------------------


def test_a_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "f.fits"
    path.write_text("something else")
    multi_write(path, np.zeros(3))
    multi_write(str(path), np.ones(4))
    assert multi_read(str(path)).tolist() == [1] * 4
    assert os.listdir(tmp_path) == ["f.fits"]


def test_compressed_file(tmp_path: Path) -> None:
    path = tmp_path / "f.fits.gz"
    multi_write(path, LETTER_F, upright=True)
    assert gzip.decompress(path.read_bytes()).startswith(b"SIMPLE  =")
    assert np.array_equal(multi_read(path), LETTER_F)


def test_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    multi_write("~/f.fits", LETTER_F)
    assert np.array_equal(multi_read("~/f.fits"), LETTER_F)
    assert os.listdir(tmp_path) == ["f.fits"]


def test_a_relative_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    multi_write("f.fits", LETTER_F)
    assert np.array_equal(multi_read("f.fits"), LETTER_F)
    assert os.listdir(tmp_path) == ["f.fits"]


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, errors.StreamStorageError),
        (errno.EACCES, errors.StreamPermissionError),
        (errno.EROFS, errors.StreamPermissionError),
    ],
)
def test_a_writer_that_fails_leaves_the_old_file(
    number: int, kind: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from astropy.io.fits.file import _File

    path = tmp_path / "f.fits"
    multi_write(path, LETTER_F)

    def full(self: Any, array: np.ndarray) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(_File, "writearray", full)
    with pytest.raises(kind, match=os.strerror(number)):
        multi_write(path, np.zeros(3))
    assert os.listdir(tmp_path) == ["f.fits"]
    assert np.array_equal(multi_read(path), LETTER_F)


def test_missing_files_and_directories(tmp_path: Path) -> None:
    with pytest.raises(errors.StreamNotFoundError, match=r"no\.fits cannot be read") as caught:
        multi_read(tmp_path / "no.fits")
    assert caught.value.path == str(tmp_path / "no.fits")
    with pytest.raises(FileNotFoundError, match="cannot be written"):
        multi_write(tmp_path / "no" / "f.fits", np.zeros(3))
    for call in (lambda path: multi_read(path), lambda path: multi_write(path, np.zeros(3))):
        with pytest.raises(errors.StreamArgumentError, match="directory"):
            call(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.getuid() == 0, reason="root may read and write everything")
def test_forbidden_files(tmp_path: Path) -> None:
    path = tmp_path / "f.fits"
    multi_write(path, np.zeros(3))
    path.chmod(0)
    with pytest.raises(errors.StreamPermissionError, match="cannot be read"):
        multi_read(path)
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match="cannot be written"):
        multi_write(path, np.zeros(3))
    tmp_path.chmod(0o700)


@pytest.mark.parametrize("path", ["", 5, None, "a\0b", ["f.fits"]])
def test_what_is_no_path(path: Any) -> None:
    for call in (lambda: multi_read(path), lambda: multi_write(path, np.zeros(3))):
        with pytest.raises(errors.StreamArgumentError, match="path of a FITS file"):
            call()


@pytest.mark.parametrize("data", [5, None, [], np.zeros((0, 3)), [np.zeros(0)], [[[1], [1, 2]]]])
def test_what_is_no_image(data: Any, tmp_path: Path) -> None:
    with pytest.raises(errors.StreamArgumentError):
        multi_write(tmp_path / "f.fits", data)
    assert not list(tmp_path.iterdir())


def test_wrong_orientations(tmp_path: Path) -> None:
    path = tmp_path / "f.fits"
    multi_write(path, [np.zeros(3)] * 2)
    for codes in ((8,), (4, 7)):
        with pytest.raises(errors.StreamArgumentError):
            multi_read(path, *codes)
        with pytest.raises(errors.StreamArgumentError):
            multi_write(path, np.zeros(3), *codes)


@pytest.mark.filterwarnings("ignore::Warning")  # astropy's, about the same
@pytest.mark.parametrize("length", [0, 10, 100, BLOCK, BLOCK + 1000])
def test_a_file_that_is_cut(length: int, tmp_path: Path) -> None:
    path = tmp_path / "f.fits"
    multi_write(path, np.zeros((100, 100)))
    os.truncate(path, length)
    with pytest.raises(errors.StreamFormatError, match="no FITS file, or it is damaged") as caught:
        multi_read(path)
    assert caught.value.path == str(path)


@pytest.mark.filterwarnings("ignore::Warning")
@pytest.mark.parametrize(
    ("old", "new"),
    [(b"SIMPLE", b"SIMPEL"), (b" -64", b"  65"), (b"NAXIS1  =", b"NAXIS7  ="), (b" 100", b"1e99")],
)
def test_a_file_that_is_damaged(old: bytes, new: bytes, tmp_path: Path) -> None:
    path = tmp_path / "f.fits"
    multi_write(path, np.zeros((100, 100)))
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    with pytest.raises(errors.StreamFormatError):
        multi_read(path)


def test_a_file_without_image(tmp_path: Path) -> None:
    path = tmp_path / "f.fits"
    fits.PrimaryHDU().writeto(path)
    with pytest.raises(errors.StreamFormatError, match="no image"):
        multi_read(path)


def test_the_familiar_modules() -> None:
    from pymilk.interfacing import fits as module
    from pymilk.interfacing import fits_lib as older

    assert module.fits is fits is older.fits
    names = {"SHM", "img_shapes", "multi_read", "multi_write", "np", "read_fits_load_shm"}
    names |= {"shm_to_fits", "typ"}
    assert names == set(module.__all__) == set(older.__all__)
    assert all(getattr(module, name) is getattr(older, name) for name in names)
    with pytest.raises(AttributeError, match="no attribute 'fitz'"):
        _ = module.fitz
