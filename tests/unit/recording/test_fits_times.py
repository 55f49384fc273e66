"""Times in the FITS files of recordings, as astropy reads them without pymilk."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk import SHM, Recorder, load
from pymilk._core import FRAME_ROW
from pymilk.recording import headers
from pymilk.recording.sinks import fits_cards
from pymilk.recording.sinks.fits_times import range_cards, seconds_of, time_column_cards
from support.recordings import images, recorded

fits: Any = pytest.importorskip("astropy.io.fits")


@pytest.mark.parametrize("offset", [0, 37])
def test_header_has_the_range_of_times(
    offset: int, cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headers, "tai_offset", lambda: offset)
    with recorded(cam, tmp_path / "x.fits", images(9))[0] as recording:
        utc = recording.utc()
    header = fits.getheader(tmp_path / "x.fits")
    assert header["TIMESYS"] == "UTC"
    assert [np.datetime64(header[name]) for name in ("DATE-BEG", "DATE-END")] == [utc[0], utc[-1]]
    from astropy.time import Time

    for name, time in (("MJD-BEG", utc[0]), ("MJD-END", utc[-1])):
        there = Time(header[name], format="mjd", scale="utc")
        assert abs((there - Time(time)).sec) < 1e-5


@pytest.mark.parametrize("offset", [0, 37])
def test_table_has_a_column_of_times(
    offset: int, cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headers, "tai_offset", lambda: offset)
    with recorded(cam, tmp_path / "x.fits", images(9))[0] as recording:
        utc, info = recording.utc(), recording.info
        assert info is not None
    from astropy.table import Table
    from astropy.time import Time

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = Table.read(tmp_path / "x.fits", hdu="INFO", astropy_native=True)
    times = table["TIME"]
    assert isinstance(times, Time)
    assert times.scale == "utc"
    np.testing.assert_array_less(np.abs((times - Time(utc)).sec), 2e-9)
    np.testing.assert_array_equal(table["cnt0"], info["cnt0"])


def test_what_is_read_is_what_was_recorded(cam: SHM, tmp_path: Path) -> None:
    made, _ = recorded(cam, tmp_path / "x.fits", images(9))
    with made as recording:
        assert recording.complete
        assert recording.info is not None
        assert recording.info.dtype == FRAME_ROW
        assert list(fits.getdata(tmp_path / "x.fits", "INFO").names) == [*FRAME_ROW.names, "TIME"]


def test_table_without_times_is_read(cam: SHM, tmp_path: Path) -> None:
    """Older recordings have none."""
    with recorded(cam, tmp_path / "x.fits", images(9))[0] as recording:
        rows, header = recording.info, recording.header
    from astropy.table import Table

    table = Table.read(tmp_path / "x.fits", hdu="INFO")
    table.remove_column("TIME")
    with fits.open(tmp_path / "x.fits") as hdus:
        older = fits.table_to_hdu(table)
        older.name = "INFO"
        fits.HDUList([hdus[0], older]).writeto(tmp_path / "old.fits")
    with load(tmp_path / "old.fits") as old:
        assert old.complete
        np.testing.assert_array_equal(old.info, rows)
        assert old.header == header


def test_file_at_work_has_a_beginning_and_no_end(cam: SHM, tmp_path: Path) -> None:
    path = tmp_path / "x.fits"
    with Recorder(cam, path) as recorder:
        cam.set_many(images(5))
        while not path.exists():
            assert recorder.running
        header = fits.getheader(path, ignore_missing_end=True)
    assert header["DATE-BEG"] == header["DATE-OBS"]
    assert header["DATE-END"] is None
    assert header["MJD-END"] is None


@pytest.mark.parametrize("name", ["DATE-END", "SHM_DONE", "SHM_NKW", "mjd-beg"])
def test_keywords_of_these_names(name: str, cam: SHM, tmp_path: Path) -> None:
    cam.set_keywords({name: (5, "mine")})
    with recorded(cam, tmp_path / "x.fits", images(3))[0] as recording:
        assert recording.complete
        assert [f"KW {name}".upper(), 5, "mine"] in [
            [key.upper(), *others] for key, *others in recording.header["keywords"]
        ]
    header = fits.getheader(tmp_path / "x.fits")
    assert len({card.keyword for card in header.cards}) == len(header.cards)


def test_times_without_a_date() -> None:
    cards = range_cards(0, 2**63 - 1, 37)
    assert [value for _, value, _ in cards] == [None] * 4


@pytest.mark.parametrize("offset", [0, 37])
def test_seconds_of_a_week(offset: int) -> None:
    """Seconds are counted from the UTC day of the first frame; that of TAI may be another."""
    begin = 20_000 * 86400 * 10**9 + offset * 10**9
    rows = np.zeros(3, FRAME_ROW)
    rows["atime_ns"] = [begin, begin + 1, begin + 7 * 86400 * 10**9 + 123_456_789]
    assert {name: value for name, value, _ in time_column_cards(1, begin, offset)}["MJDREF"] == 60587.0
    np.testing.assert_allclose(
        seconds_of(rows, begin, offset), [0, 1e-9, 604800.123456789], rtol=0, atol=2e-10
    )


def test_older_tables_are_told_by_their_length() -> None:
    assert sorted(fits_cards.TABLE_ROWS) == [52, 60]
