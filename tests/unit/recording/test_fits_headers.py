"""Header cards of FITS files."""

from __future__ import annotations

import math
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pymilk import Keyword, errors
from pymilk.axes import Which3DState
from pymilk.errors import FitsHeaderWarning
from pymilk.fits import UPRIGHT_CARD, multi_read, multi_write, stream_header
from pymilk.shm import SHM
from support.fits_files import LETTER_F, plain_read

fits = pytest.importorskip("astropy.io.fits")


def test_cards_of_a_dict(tmp_path: Path) -> None:
    path = tmp_path / "f.fits"
    given = {"EXPTIME": (0.25, "[s] exposure"), "NOTE": ("it's",), "tint": 3, "A-LONG-NAME": True, "NAXIS": 9}
    multi_write(path, LETTER_F, header=given)
    cards = plain_read(path)[0]
    assert f"EXPTIME = {'0.25':>20} / [s] exposure".ljust(80) in cards
    assert "NOTE    = 'it''s   '".ljust(80) in cards
    assert [re.sub(" +", " ", card).strip() for card in cards if card.startswith("HIERARCH")] == [
        "HIERARCH tint = 3",
        "HIERARCH A-LONG-NAME = T",
        "HIERARCH KW NAXIS = 9",
    ]
    header = fits.getheader(path)
    assert (header["EXPTIME"], header["NOTE"], header["tint"], header["NAXIS"]) == (0.25, "it's", 3, 2)


def test_cards_of_keywords_as_an_shm_gives_them(tmp_path: Path) -> None:
    path = tmp_path / "f.fits"
    with SHM("cam0", LETTER_F) as shm:
        shm.set_keywords({"EXPTIME": (0.25, "[s]"), "DETECTOR": "CRED2"})
        multi_write(path, shm.get_data(), upright=True, header=shm.get_keywords(True))
        multi_write(path, shm.get_data(), upright=True, header=shm.get_keywords())
    header = fits.getheader(path)
    assert (header["EXPTIME"], header["DETECTOR"], header[UPRIGHT_CARD]) == (0.25, "CRED2", "STREAM")


def test_cards_of_another_header(tmp_path: Path) -> None:
    """The comments and history of a file go along, and nothing that tells of its pixels."""
    first, second = tmp_path / "1.fits", tmp_path / "2.fits"
    multi_write(first, LETTER_F.astype(np.uint16), upright=True, header={"EXPTIME": 0.25})
    header = fits.getheader(first)
    header["HISTORY"] = "flat-fielded"
    header["COMMENT"] = "seen"
    header["BLANK"] = -1
    multi_write(second, np.zeros((2, 3, 4), np.float32), header=header)
    cards, image = plain_read(second)
    assert image.dtype == ">f4"
    assert [card.split("=")[0].strip() for card in cards] == [
        *("SIMPLE", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "NAXIS3", "EXPTIME"),
        *("HISTORY flat-fielded", "COMMENT seen"),
    ]
    assert {UPRIGHT_CARD, "BLANK", "BZERO"} <= set(header)  # the caller's is not changed
    assert multi_read(second).shape == (2, 3, 4)


def test_only_the_primary_hdu_has_the_cards(tmp_path: Path) -> None:
    path = tmp_path / "f.fits"
    multi_write(path, [LETTER_F, LETTER_F], header={"EXPTIME": 0.25})
    assert "EXPTIME" in fits.getheader(path, 0)
    assert "EXPTIME" not in fits.getheader(path, 1)


@pytest.mark.parametrize(
    "header",
    [5, [("A", 1)], {"A": [1]}, {"A": (1, "c", 2)}, {"A": ()}, {5: 1}, {"A": (1, 5)}, {"A": 1j}],
)
def test_what_is_no_header(header: Any, tmp_path: Path) -> None:
    with pytest.raises(errors.StreamArgumentError, match="header"):
        multi_write(tmp_path / "f.fits", LETTER_F, header=header)
    assert not list(tmp_path.iterdir())


def test_cards_of_a_stream() -> None:
    header = stream_header(
        [Keyword("EXPTIME", 0.25, "[s]", 7), Keyword("DETECTOR", "CRED2"), Keyword("UNUSED", None)],
        name="cam0",
        symcode=4,
        tri_dim=Which3DState.FRONT2LAST,
        cnt0=2**64 - 1,
        atime_ns=1_700_000_037_123_456_789,
        wtime_ns=1_700_000_037_123_460_000,
        tai_offset=37,
    )
    assert [card.strip() for card in header.tostring(sep="\n", endcard=False, padding=False).split("\n")] == [
        "DATE-OBS= '2023-11-14T22:13:20.123456789' / UTC of the acquisition",
        "TIMESYS = 'UTC     '           / time scale of DATE-OBS",
        "TAI-UTC =                   37 / [s] offset used for DATE-OBS",
        "ATIME_NS=  1700000037123456789 / [ns] acquisition time, TAI since 1970",
        "WTIME_NS=  1700000037123460000 / [ns] write time, TAI since 1970",
        "CNT0    = 18446744073709551615 / frames published so far",
        "SHM_NAME= 'cam0    '           / name of the stream",
        "SYMCODE =                    4 / orientation in the program that wrote this",
        "TRI_DIM =                    3 / stack axis in that program",
        "EXPTIME =                 0.25 / [s]",
        "DETECTOR= 'CRED2   '",
        "UNUSED  =",
    ]


def test_a_time_that_never_was() -> None:
    for atime_ns in (0, -5, 2**63, -(2**80)):
        header = stream_header(atime_ns=atime_ns)
        assert list(header) == ["ATIME_NS"]
    assert not list(stream_header())


def test_the_offset_of_this_machine_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pymilk.times.tai_offset", lambda: 37)
    header = stream_header(atime_ns=1_700_000_037_000_000_000)
    assert (header["DATE-OBS"][:19], header["TAI-UTC"]) == ("2023-11-14T22:13:20", 37)


def test_names_that_are_taken() -> None:
    header = stream_header(
        [
            *[("tint", 1, ""), ("TINT", 2, ""), ("tint", 3, ""), ("CNT0", 4, ""), ("bzero", 5, "")],
            *[("x y", 6, ""), ("x_y", 7, ""), ("HISTORY", "old", ""), (UPRIGHT_CARD, "STREAM", "")],
            ("", 8, ""),
        ],
        cnt0=9,
    )
    assert [card.keyword for card in header.cards] == [
        *("CNT0", "tint", "KW TINT", "KW tint 2", "KW CNT0", "KW bzero", "x_y", "KW x_y", "KW HISTORY"),
        *("KW SHM_AXES", "_"),
    ]
    assert [card.value for card in header.cards] == [9, 1, 2, 3, 4, 5, 6, 7, "old", "STREAM", 8]


def test_values_that_fits_has_not() -> None:
    header = stream_header(
        [
            *[("A", math.nan, ""), ("B", -math.inf, ""), ("C", 2**64, ""), ("D", "é\n\N{SNOWMAN}", "ü")],
            *[("E", np.float32(0.5), ""), ("F", np.uint8(7), ""), ("G", np.bool_(True), "")],
            ("H", "temp: 3", None),
        ]
    )
    assert [card.value for card in header.cards] == [
        *("nan", "-inf", "0x10000000000000000", r"\xe9\n\u2603", 0.5, 7, True, "temp: 3"),
    ]
    assert header.comments["D"] == r"\xfc"
    with pytest.raises(errors.StreamArgumentError, match=r"'A'.*not complex"):
        stream_header([("A", 1j, "")])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fits")


STRUCTURE = [
    *("SIMPLE", "BITPIX", "NAXIS", "NAXIS1", "NAXIS99", "BZERO", "BSCALE", "BLANK", "END", "HISTORY"),
    *("COMMENT", "CONTINUE", "HIERARCH", "XTENSION", "EXTEND", "EXTNAME", "GROUPS", "PCOUNT", "naxis"),
    *("", "CHECKSUM", "DATE-OBS", "CNT0", UPRIGHT_CARD, "DP1.AXIS.1", "KW", "KW NAXIS", "LONGSTRN"),
    *("ZIMAGE", "DATE"),
]

NAMES = st.one_of(
    st.sampled_from(STRUCTURE),
    st.text(max_size=20),
    st.from_regex(r"[A-Za-z0-9_-]{1,16}", fullmatch=True),
)

TEXT = st.one_of(
    st.text(max_size=100),
    st.text("'& /=", max_size=80),
    st.from_regex(r"[a-z]{1,4}(\.\d)?: \d", fullmatch=True),
)
WHOLE_64 = st.integers(-(2**63), 2**64 - 1)
VALUES = st.one_of(st.none(), st.booleans(), st.integers(), WHOLE_64, st.floats(), TEXT)
WHOLE = st.integers() | WHOLE_64


@settings(max_examples=40, deadline=None, database=None)
@given(
    keywords=st.lists(st.tuples(NAMES, VALUES, TEXT), max_size=12),
    name=st.none() | TEXT,
    cnt0=st.none() | st.integers(0, 2**64 - 1),
    atime_ns=st.none() | WHOLE,
    tai_offset=st.none() | st.integers(-100, 100),
)
@example([("D", -1.2345678901234567e-100, "c" * 90), ("E" * 16, "'" * 90, "c")], "n" * 79, 0, 2**63 - 1, 0)
@example([("STATUS", "temp: 3", ""), ("A", "x&", ""), ("CONTINUE", "y", "")], "'" * 79, None, None, None)
def test_every_keyword_gets_into_a_file(
    folder: Path,
    keywords: list[tuple[str, Any, str]],
    name: str | None,
    cnt0: int | None,
    atime_ns: int | None,
    tai_offset: int | None,
) -> None:
    """Whatever a stream has: no error, one valid card each, and the value is in it. Long text goes on."""
    path = folder / "cards.fits"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitsHeaderWarning)  # a number with a long comment
        header = stream_header(keywords, name=name, cnt0=cnt0, atime_ns=atime_ns, tai_offset=tai_offset)
    multi_write(path, np.array([[1, 2]], np.uint16), upright=True, header=header)
    assert multi_read(path).tolist() == [[1, 2]]
    cards, pixels = plain_read(path)
    assert pixels.tolist() == [[1, 2]]
    assert all(" " <= letter <= "~" for card in cards for letter in card)
    cards = [card for card in cards if not card.startswith("CONTINUE")]
    names = [card.split("=")[0].strip() for card in cards]
    first = names.index(UPRIGHT_CARD) + 1
    assert names[:first] == ["SIMPLE", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", UPRIGHT_CARD]
    assert names[first + len(header) :] == ["BSCALE", "BZERO"]
    written = cards[first : first + len(header)][len(header) - len(keywords) :]
    for (_, value, _), card in zip(keywords, written, strict=True):
        text = card[9:] if card.startswith("HIERARCH ") else card
        stored = text.split("=", 1)[1].strip()
        if isinstance(value, bool):
            assert stored[0] == "FT"[value]
        elif value is None:
            assert not stored or stored.startswith("/")
        elif isinstance(value, int) and -(2**63) <= value < 2**64:
            assert int(stored.split("/")[0]) == value
        elif isinstance(value, float) and math.isfinite(value):
            assert float(stored.split("/")[0]) == pytest.approx(value, rel=1e-11, abs=5e-324)
        else:
            assert stored.startswith("'")
            kept = re.match(r"'((?:[^']|'')*)'", stored)[1].replace("''", "'").rstrip()  # type: ignore[index]
            if isinstance(value, str):
                escaped = value.encode("unicode_escape").decode().replace("\\\\", "\\")
                assert escaped.startswith(kept.removesuffix("&").rstrip())
    found = [card.keyword.upper() for card in fits.getheader(path).cards]
    assert len(found) == len(cards) == len(set(found))
