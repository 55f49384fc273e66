"""FITS files of others: the pixels that astropy gives, whatever a file is called and however it is packed."""

from __future__ import annotations

import bz2
import gzip
import lzma
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk import SHM, load
from pymilk.errors import ForeignFileWarning, StreamArgumentError, StreamFormatError, StreamNotFoundError
from pymilk.fits import multi_read
from pymilk.playback import open_footage
from support.foreign_files import played, values

fits = pytest.importorskip("astropy.io.fits", reason="extra fits")

IMAGE = values("u2", (5, 7))
CUBE = values("u2", (4, 5, 7))


def agreed(path: Any, expected: np.ndarray, hdu: Any = None) -> None:
    """Look that `load`, `play`, `multi_read` and astropy have the same pixels."""
    single = expected.ndim <= 2
    with load(path, hdu=hdu) as found:
        assert found.frames.dtype == expected.dtype
        assert (found.info, found.header, found.complete) == (None, {}, True)
        np.testing.assert_array_equal(np.asarray(found.frames), expected[None] if single else expected)
    if expected.ndim < 4:  # the stream has the axes of frames of 3 axes in an order of its own
        np.testing.assert_array_equal(played(path, hdu=hdu), expected[None] if single else expected)
    read = multi_read(path, 0) if hdu is None else multi_read(path, 0, hdu=hdu)
    if isinstance(read, tuple):
        [read] = [each for each in read if each is not None]
    assert read.dtype == expected.dtype
    np.testing.assert_array_equal(read, expected)


# --- one image is one frame ----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"])
@pytest.mark.parametrize("shape", [(7,), (5, 7), (4, 5, 7), (1, 5, 7), (3, 2, 5, 7)])
def test_each_type_and_number_of_axes(dtype: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    given = values(dtype, shape)
    fits.writeto(tmp_path / "x.fits", given)
    agreed(tmp_path / "x.fits", given)


def test_an_image_that_pymilk_saved(tmp_path: Path) -> None:
    with SHM("cam", IMAGE) as shm:
        shm.set_keywords({"GAIN": 2})
        shm.save_as_fits(tmp_path / "x.fits", header=True)
        shm.destroy()
    with load(tmp_path / "x.fits") as found:
        np.testing.assert_array_equal(np.asarray(found.frames), IMAGE[None])


def test_how_many_axes_a_frame_has_can_be_chosen(tmp_path: Path) -> None:
    fits.writeto(tmp_path / "x.fits", CUBE[0])
    np.save(tmp_path / "x.npy", CUBE[0])
    for name in ("x.fits", "x.npy"):
        path = tmp_path / name
        assert load(path, frame_axes=1).frames.shape == (5, 7)
        assert load(path, frame_axes=2).frames.shape == (1, 5, 7)
        assert played(path, frame_axes=1).shape == (5, 7)
        for wrong in (3, 0, "2", True):
            with pytest.raises(StreamArgumentError, match="frame_axes"):
                load(path, frame_axes=wrong)  # type: ignore[arg-type]
    assert played(CUBE[0], frame_axes=2).shape == (1, 5, 7)
    assert played(CUBE[0]).shape == (5, 7)
    with pytest.raises(StreamArgumentError, match="frame_axes"):
        open_footage(CUBE, frame_axes=1)


def test_what_is_open_is_said_with_the_option_that_decides(tmp_path: Path) -> None:
    fits.writeto(tmp_path / "x.fits", IMAGE)
    np.save(tmp_path / "x.npy", IMAGE)
    fits.writeto(tmp_path / "cube.fits", CUBE)
    said = open_footage(tmp_path / "x.fits").describe(command=True)
    assert "1 frame of 5x7 uint16" in said
    assert "--frame-axes 1" in said
    said = open_footage(tmp_path / "x.npy").describe(command=True)
    assert "5 frames of 7 uint16" in said
    assert "--frame-axes 2" in said
    assert "frame_axes=2" in open_footage(tmp_path / "x.npy").describe()
    assert open_footage(tmp_path / "cube.fits").describe().endswith("4 frames of 5x7 uint16")
    assert "axes" not in open_footage(tmp_path / "x.npy", frame_axes=2).describe()


def test_a_list_of_images_is_a_series(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.fits" for number in range(4)]
    for path, frame in zip(paths, CUBE, strict=True):
        fits.writeto(path, frame)
    with load(paths) as found:
        np.testing.assert_array_equal(np.asarray(found.frames), CUBE)
    np.testing.assert_array_equal(played(list(map(str, paths))), CUBE)


# --- names and packing ---------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["fits", "fit", "fts", "FITS", "fits.gz", "fits.bz2", "fits.xz", "dat"])
@pytest.mark.parametrize("packer", [None, gzip.compress, bz2.compress, lzma.compress])
def test_content_decides_and_not_the_suffix(suffix: str, packer: Any, tmp_path: Path) -> None:
    fits.writeto(tmp_path / "plain.fits", CUBE)
    content = (tmp_path / "plain.fits").read_bytes()
    path = tmp_path / f"x.{suffix}"
    path.write_bytes(packer(content) if packer else content)
    with load(path) as found:
        np.testing.assert_array_equal(np.asarray(found.frames), CUBE)
    np.testing.assert_array_equal(played(path), CUBE)


def test_zip_of_one_file_and_of_two(tmp_path: Path) -> None:
    fits.writeto(tmp_path / "plain.fits", IMAGE)
    for count in (1, 2):
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
            for number in range(count):
                archive.write(tmp_path / "plain.fits", f"{number}.fits")
        if count == 1:
            np.testing.assert_array_equal(played(tmp_path / "x.zip"), IMAGE[None])
        else:
            with pytest.raises(StreamFormatError, match="archive of 2 files"):
                load(tmp_path / "x.zip")


@pytest.mark.parametrize("method", ["RICE_1", "GZIP_1", "GZIP_2"])
def test_compressed_images(method: str, tmp_path: Path) -> None:
    packed = fits.CompImageHDU(CUBE.astype("i4"), compression_type=method)
    fits.HDUList([fits.PrimaryHDU(), packed]).writeto(tmp_path / "x.fits.fz")
    agreed(tmp_path / "x.fits.fz", fits.getdata(tmp_path / "x.fits.fz").astype("i4"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "a PNG image"),
        (b"II*\0" + bytes(100), "a TIFF image"),
        (b"hello " * 100, "text"),
        (b"", "an empty file"),
        (gzip.compress(b"hello " * 100, mtime=0), "text, packed by gzip"),
        (b"\x1f\x8b" + bytes(50), "a damaged gzip file"),
        (gzip.compress(b"\x93NUMPY" + bytes(100), mtime=0), "an NPY array, packed by gzip"),
        (b"\x1f\x9d" + bytes(50), "compress"),
    ],
)
def test_anything_else_is_refused_by_what_it_is(content: bytes, words: str, tmp_path: Path) -> None:
    for suffix in ("fits", "fit", "fits.gz", "npy"):
        (tmp_path / f"x.{suffix}").write_bytes(content)
        with pytest.raises(StreamFormatError, match=words):
            load(tmp_path / f"x.{suffix}")


def test_gzip_that_ends_early(tmp_path: Path) -> None:
    fits.writeto(tmp_path / "x.fits", values("u2", (50, 20, 20)))
    content = gzip.compress((tmp_path / "x.fits").read_bytes())
    (tmp_path / "x.fits.gz").write_bytes(content[: len(content) // 2])
    with pytest.raises(StreamFormatError, match=r"x\.fits\.gz"):
        load(tmp_path / "x.fits.gz")


# --- missing values and scales -------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "i8"])
@pytest.mark.parametrize(("scale", "zero"), [(1, 0), (0.5, 0), (1, 10), (2, -7.5)])
@pytest.mark.parametrize("blank", [False, True])
def test_scaled_and_missing_pixels_are_those_of_astropy(
    dtype: str, scale: float, zero: float, blank: bool, tmp_path: Path
) -> None:
    given = np.arange(35).reshape(5, 7).astype(dtype)
    hdu = fits.PrimaryHDU(given)
    hdu.header["BSCALE"], hdu.header["BZERO"] = scale, zero
    if blank:
        hdu.header["BLANK"] = 3
    header = hdu.header
    fits.PrimaryHDU(given).writeto(tmp_path / "x.fits")
    with fits.open(tmp_path / "x.fits", mode="update", do_not_scale_image_data=True) as hdus:
        for name in ("BSCALE", "BZERO", *(["BLANK"] if blank else [])):
            hdus[0].header[name] = header[name]
    expected = fits.getdata(tmp_path / "x.fits")
    agreed(tmp_path / "x.fits", expected.astype(expected.dtype.newbyteorder("=")))
    if blank and expected.dtype.kind == "f":
        assert np.isnan(load(tmp_path / "x.fits").frames[0][0, 3])


def test_nan_stays_nan(tmp_path: Path) -> None:
    given = np.where(values("f4", (5, 7)) > 0, np.nan, 1).astype("f4")
    fits.writeto(tmp_path / "x.fits", given)
    agreed(tmp_path / "x.fits", given)


# --- several images ------------------------------------------------------------------------------


@pytest.fixture
def several(tmp_path: Path) -> Path:
    path = tmp_path / "several.fits"
    table = fits.BinTableHDU.from_columns([fits.Column("a", "J", array=[1, 2])], name="LIST")
    images = [
        fits.ImageHDU(IMAGE, name="SCI"),
        fits.ImageHDU(IMAGE + 1, name="SCI", ver=2),
        fits.ImageHDU(IMAGE.astype("f4"), name="ERR"),
        fits.ImageHDU(CUBE),
    ]
    fits.HDUList([fits.PrimaryHDU(), table, *images]).writeto(path)
    return path


@pytest.mark.parametrize(
    ("hdu", "expected"),
    [(2, IMAGE), ("SCI", IMAGE), ("sci", IMAGE), (("SCI", 2), IMAGE + 1), ("SCI,2", IMAGE + 1),
     ("ERR", IMAGE.astype("f4")), ("5", CUBE), (np.int64(5), CUBE)],
)  # fmt: skip
def test_the_image_that_is_asked_for(hdu: Any, expected: np.ndarray, several: Path) -> None:
    agreed(several, expected, hdu)
    if not isinstance(hdu, tuple):
        agreed(f"{several}[{hdu}]", expected)
        assert load(f"{several}[{hdu}]").hdu in ("[SCI]", "[SCI,2]", "[ERR]", "[5]")


def test_names_that_would_be_read_as_something_else_are_told_by_number(tmp_path: Path) -> None:
    names = ["2", "A,2", "A[B]", "A"]
    hdus = [fits.ImageHDU(IMAGE + number, name=name) for number, name in enumerate(names)]
    path = tmp_path / "odd.fits"
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path)
    with pytest.warns(ForeignFileWarning, match=r"\[1\] is taken, others are in \[2\], \[3\], \[A\]"):
        found = load(path)
    for number, label in enumerate((found.hdu, *found.others)):
        np.testing.assert_array_equal(np.asarray(load(f"{path}{label}").frames), IMAGE[None] + number)


@pytest.mark.parametrize("versions", [(1, 1, 1), (2, 1, 2), (3, 1, 2)])
def test_each_label_leads_to_its_own_image(versions: tuple[int, ...], tmp_path: Path) -> None:
    """Several have one name, or one that comes first has a higher version."""
    hdus = [fits.ImageHDU(IMAGE + at, name="SCI", ver=each) for at, each in enumerate(versions)]
    path = tmp_path / "same.fits"
    fits.HDUList([fits.PrimaryHDU(), *hdus, fits.ImageHDU(IMAGE + 3, name=" A")]).writeto(path)
    with pytest.warns(ForeignFileWarning):
        found = load(path)
    labels = (found.hdu, *found.others)
    assert len(set(labels)) == 4
    for number, label in enumerate(labels):
        np.testing.assert_array_equal(np.asarray(load(f"{path}{label}").frames), IMAGE[None] + number)


@pytest.mark.parametrize(
    ("card", "labels"),
    [
        ("EXTVER  = -1", ("[1]", "[2]", "[B]")),
        ("EXTVER  = 2.0", ("[1]", "[2]", "[B]")),
        ("EXTVER  = '2'", ("[1]", "[2]", "[B]")),
        ("EXTVER  =", ("[1]", "[2]", "[B]")),
        ("EXTVER  = #", ("[1]", "[A]", "[B]")),
        ("EXTNAME = 'A", ("[1]", "[A]", "[B]")),
        ("EXTNAME = 7", ("[7,7]", "[A]", "[B]")),
    ],
)
def test_an_image_whose_name_or_version_is_none_is_told_by_number(
    card: str, labels: tuple[str, ...], tmp_path: Path
) -> None:
    hdus = [fits.ImageHDU(IMAGE + at, name=name, ver=7) for at, name in enumerate("AAB")]
    hdus[1].ver = hdus[2].ver = 1
    path = tmp_path / "odd.fits"
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path)
    content = path.read_bytes()
    at = content.index(f"{card[:8]}= ".encode())
    path.write_bytes(content[:at] + card.ljust(80).encode() + content[at + 80 :])
    with pytest.warns(ForeignFileWarning):
        found = load(path)
    assert (found.hdu, *found.others) == labels
    for number, label in enumerate(labels):
        for way in (label, f"[{number + 1}]"):
            np.testing.assert_array_equal(np.asarray(load(f"{path}{way}").frames), IMAGE[None] + number)


def test_without_a_choice_it_is_the_first_and_that_is_said(several: Path) -> None:
    words = r"\[SCI\] is taken, others are in \[SCI,2\], \[ERR\], \[5\]"
    with pytest.warns(ForeignFileWarning, match=words) as said:
        found = load(several)
    assert len(said) == 1
    assert (found.hdu, found.others) == ("[SCI]", ("[SCI,2]", "[ERR]", "[5]"))
    np.testing.assert_array_equal(np.asarray(found.frames), IMAGE[None])
    assert "several.fits[SCI]" in repr(found)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ForeignFileWarning)
        words = open_footage(several).describe(command=True)
    assert "several.fits[SCI]" in words
    assert "--hdu SCI,2" in words


@pytest.mark.parametrize("hdu", ["DARK", 9, 0, "LIST", ("SCI", 3), "", -1, True, 1.5, "SCI,x", [1]])
def test_no_such_image(hdu: Any, several: Path) -> None:
    for read in (load, multi_read, open_footage):
        with pytest.raises(StreamArgumentError, match=r"hdu|HDU"):
            read(several, hdu=hdu)  # type: ignore[operator]


def test_where_an_hdu_says_nothing(several: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", CUBE)
    for given in (tmp_path / "x.npy", f"{tmp_path / 'x.npy'}[1]"):
        with pytest.raises(StreamArgumentError, match="hdu"):
            load(given, hdu=1)
    with pytest.raises(StreamArgumentError, match="names another one"):
        load(f"{several}[SCI]", hdu="ERR")
    with pytest.raises(StreamNotFoundError):
        load(f"{tmp_path}/none.fits[SCI]")
    (tmp_path / "x[1].fits").write_bytes(several.read_bytes())
    (tmp_path / "x.fits[ERR]").write_bytes(several.read_bytes())  # a file of that very name
    assert load(tmp_path / "x[1].fits", hdu="ERR").frames.dtype == np.float32
    assert load(tmp_path / "x.fits[ERR]", hdu="SCI").frames.dtype == np.uint16


def test_an_image_behind_an_empty_primary_goes_into_a_stream(tmp_path: Path, several: Path) -> None:
    from pymilk.errors import FrameMismatchError, SeveralImagesError
    from pymilk.loading import read_fits_load_shm

    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(IMAGE)]).writeto(tmp_path / "x.fits")
    for path, options in ((tmp_path / "x.fits", {}), (several, {"hdu": "SCI"}), (f"{several}[SCI]", {})):
        with read_fits_load_shm(path, "cam", create_shm=True, **options) as shm:  # type: ignore[arg-type]
            np.testing.assert_array_equal(shm.get_data(), IMAGE)
    with pytest.raises(SeveralImagesError, match=r"6 HDUs, 4 of them with an image"):
        read_fits_load_shm(several, "cam")
    with pytest.raises(FrameMismatchError, match="check_dt=True"):
        read_fits_load_shm(several, "cam", hdu="ERR")
    with SHM("cam") as shm:
        shm.destroy()


# --- NPY -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [">u2", ">i4", ">f8", "<u8", "?", "c16"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_of_each_kind(dtype: str, order: Any, tmp_path: Path) -> None:
    given = values(np.dtype(dtype).newbyteorder("=").str, (4, 5, 7)).astype(dtype)
    np.save(tmp_path / "x.npy", np.asarray(given, order=order))
    np.testing.assert_array_equal(np.asarray(load(tmp_path / "x.npy").frames), given)
    np.testing.assert_array_equal(played(tmp_path / "x.npy"), given)


@pytest.mark.parametrize("dtype", ["g", "G", "U5", "M8[s]", "O"])
def test_npy_of_what_no_stream_has(dtype: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((4, 5, 7), dtype))
    with pytest.raises(StreamFormatError, match=r"x\.npy"):
        load(tmp_path / "x.npy")


# --- rarer kinds -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"compression_type": "RICE_1", "quantize_level": 4},
        {"compression_type": "RICE_1", "quantize_level": -0.5, "quantize_method": 2, "dither_seed": 7},
        {"compression_type": "HCOMPRESS_1", "quantize_level": 16, "hcomp_scale": 2},
        {"compression_type": "GZIP_1", "quantize_level": 16},
    ],
)
def test_quantized_floats_that_take_less_room_packed(options: dict[str, Any], tmp_path: Path) -> None:
    given = np.random.default_rng(3).normal(100, 5, (4, 20, 20)).astype("f4")
    given[1, 2, 3] = np.nan
    packed = fits.CompImageHDU(given, name="SCI", **options)
    path = tmp_path / "x.fits.fz"
    fits.HDUList([fits.PrimaryHDU(), packed]).writeto(path)
    expected = fits.getdata(path, "SCI")
    assert path.stat().st_size - 2880 - 5760 < given.nbytes + 2880
    agreed(path, expected.astype("f4"))
    content = path.read_bytes()
    path.write_bytes(content[: 8640 + 1000])
    with pytest.raises(StreamFormatError, match="shorter than its header says"):
        load(path)


def write_plain(path: Path, pixels: np.ndarray, bits: int, **cards: Any) -> None:
    """Write a file by hand: numbers, or text that is put down as it is."""
    size = {f"NAXIS{at}": length for at, length in enumerate(pixels.shape[::-1], 1)}
    said = {"SIMPLE": "T", "BITPIX": bits, "NAXIS": pixels.ndim, **size, **cards}
    head = "".join(f"{name:8}= {value:>20}".ljust(80) for name, value in said.items()) + "END"
    content = pixels.astype(pixels.dtype.newbyteorder(">")).tobytes()
    path.write_bytes(
        head.ljust(-(-len(head) // 2880) * 2880).encode()
        + content.ljust(-(-len(content) // 2880) * 2880, b"\0")
    )


@pytest.mark.parametrize(
    "cards", [{"BZERO": "-128.0"}, {"BZERO": "-1.28E2", "BSCALE": "1.0"}, {"BZERO": -128, "BLANK": 7}]
)
def test_signed_bytes_however_their_offset_is_written(cards: dict[str, Any], tmp_path: Path) -> None:
    given = values("i1", (5, 7))
    write_plain(tmp_path / "x.fits", given.view("u1") ^ 0x80, 8, **cards)
    agreed(tmp_path / "x.fits", given)


@pytest.mark.parametrize("bits", [24, -16, 0, 128])
def test_pixels_of_so_many_bits_do_not_exist(bits: int, tmp_path: Path) -> None:
    write_plain(tmp_path / "x.fits", values("u2", (5, 7)), bits)
    for read in (load, multi_read, open_footage):
        with pytest.raises(StreamFormatError, match=f"BITPIX is {bits}, and 8, 16"):
            read(tmp_path / "x.fits")


@pytest.mark.parametrize("name", ["BSCALE", "BZERO"])
def test_a_scale_that_is_no_number_is_named(name: str, tmp_path: Path) -> None:
    write_plain(tmp_path / "x.fits", values("i2", (5, 7)), 16, **{name: "'2.0     '"})
    for read in (load, multi_read, open_footage):
        with pytest.raises(StreamFormatError, match=rf"{name} of HDU \[0\] is no number: '2.0'"):
            read(tmp_path / "x.fits")


def test_random_groups_and_files_of_no_standard_have_no_image(tmp_path: Path) -> None:
    pixels = np.arange(60, dtype="f4").reshape(3, 4, 5)
    groups = fits.GroupData(pixels, bitpix=-32, parnames=["U"], pardata=[[1.0, 2, 3]])
    fits.GroupsHDU(groups).writeto(tmp_path / "groups.fits")
    write_plain(tmp_path / "other.fits", values("i2", (5, 7)), 16, SIMPLE="F")
    for path in (tmp_path / "groups.fits", tmp_path / "other.fits"):
        for read in (load, multi_read, open_footage):
            with pytest.raises(StreamFormatError, match="has no image"):
                read(path)
