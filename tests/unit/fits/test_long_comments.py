"""Long comments and texts in FITS headers: they go on in further cards, or one warning names them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pymilk import SHM, Recorder, load, save
from pymilk.errors import FitsHeaderWarning
from pymilk.fits import multi_write, stream_header

fits = pytest.importorskip("astropy.io.fits", reason="extra fits")

LONG = "the name of the star as the observer typed it, and it's 78 characters long, so"
PIXELS = np.zeros((3, 4), np.float32)


@pytest.mark.parametrize("name", ["OBJECT", "a longer name", "NAXIS"])
@pytest.mark.parametrize("value", ["", "Vega", "it's", "x" * 60, "'" * 70, "word " * 40 + "end"])
@pytest.mark.parametrize("comment", ["", "short", LONG, f"{LONG} {LONG} {LONG}"])
def test_text_goes_on(name: str, value: str, comment: str, tmp_path: Path) -> None:
    header = stream_header([(name, value, comment), ("LAST", 1, "")])
    multi_write(tmp_path / "x.fits", PIXELS, header=header)
    with fits.open(tmp_path / "x.fits") as hdus:
        hdus.verify("exception")
        *_, card, last = hdus[0].header.cards
        assert (card.value, card.comment) == (value, comment)
        assert (last.keyword, last.value) == ("LAST", 1)


def test_comments_of_numbers_are_named_once(tmp_path: Path) -> None:
    table = {"A": (1, LONG), "B": (2.5, LONG), "C": ("text", LONG), "D": (3, "short")}
    with pytest.warns(FitsHeaderWarning, match=r"of A, B were cut") as said:
        multi_write(tmp_path / "x.fits", PIXELS, header=table)
    assert len(said) == 1
    found = fits.getheader(tmp_path / "x.fits")
    assert LONG.startswith(found.comments["A"])
    assert (found.comments["C"], found.comments["D"]) == (LONG, "short")


def test_header_of_astropy(tmp_path: Path) -> None:
    header = fits.Header()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header["TEXT"], header["NUMBER"] = ("x", LONG), (5, LONG)
        header["HIERARCH a longer name"] = ("y", LONG)
    with pytest.warns(FitsHeaderWarning, match="of NUMBER were cut") as said:
        multi_write(tmp_path / "x.fits", PIXELS, header=header)
    assert len(said) == 1
    found = fits.getheader(tmp_path / "x.fits")
    assert (found["TEXT"], found.comments["TEXT"]) == ("x", LONG)
    assert (found["a longer name"], found.comments["a longer name"]) == ("y", LONG)
    assert header.comments["NUMBER"] == LONG  # what was given is as it was


def test_recordings_saved_captures_and_saved_frames(make: Callable[..., SHM], tmp_path: Path) -> None:
    shm = make("cam", PIXELS, ring=32)
    shm.set_keywords({"OBJECT": ("Vega", LONG), "GAIN": (2.0, LONG)})
    with pytest.warns(FitsHeaderWarning, match="of GAIN were cut") as said:
        recorder = Recorder("cam", tmp_path / "cam.fits", frames=6, max_frames_per_file=2).start()
    shm.set_many(np.zeros((6, 3, 4), np.float32))
    recorder.wait(60)
    capture = shm.capture(2, background=True)
    shm.set_many(np.zeros((2, 3, 4), np.float32))
    capture.join(5)
    keywords = [("OBJECT", "Vega", LONG), ("GAIN", 2.0, LONG)]
    with pytest.warns(FitsHeaderWarning, match="of GAIN were cut") as said_again:
        save(capture, tmp_path / "saved.fits", keywords=keywords)
    with pytest.warns(FitsHeaderWarning, match="of GAIN were cut") as said_of_frame:
        shm.save_as_fits(tmp_path / "frame.fits", header=True)
    assert [len(each) for each in (said, said_again, said_of_frame)] == [1, 1, 1]
    for name in ("cam.fits", "cam_000002.fits", "saved.fits"):
        with load(tmp_path / name) as found:
            assert found.complete
            object_, gain = found.header["keywords"]
            assert object_ == ["OBJECT", "Vega", LONG]
            assert gain[:2] == ["GAIN", 2.0]
    assert fits.getheader(tmp_path / "frame.fits").comments["OBJECT"] == LONG


def test_masked_images(tmp_path: Path) -> None:
    from pymilk.errors import StreamArgumentError
    from pymilk.fits import multi_read

    masked = np.ma.masked_equal(np.arange(12.0).reshape(3, 4), 5)
    multi_write(tmp_path / "x.fits", masked)
    np.testing.assert_array_equal(multi_read(tmp_path / "x.fits"), masked.filled(np.nan))
    for data in (masked.astype("i2"), [masked.astype("u4"), PIXELS]):
        with pytest.raises(StreamArgumentError, match="masked"):
            multi_write(tmp_path / "y.fits", data)
    assert not (tmp_path / "y.fits").exists()
