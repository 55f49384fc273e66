"""Keywords by the xaosim interface."""

from __future__ import annotations

import numpy as np
import pytest

from pymilk.errors import KeywordError

VALUES = [
    (5, "L", 5),
    (-(2**63), "L", -(2**63)),
    (True, "L", 1),
    (np.uint16(9), "L", 9),
    (np.bool_(True), "L", 1),
    (1.5, "D", 1.5),
    (float("inf"), "D", float("inf")),
    (np.float32(0.25), "D", 0.25),
    ("text", "S", "text"),
    ("", "S", ""),
    ("16 bytes of text", "S", "16 bytes of text"),
    ("caf\u00e9", "S", "caf\u00e9"),
    (np.str_("np"), "S", "np"),
    (None, "N", ""),
    ([1, 2], "N", "[1, 2]"),
    (1j, "N", "1j"),
]


@pytest.mark.parametrize(("value", "kind", "kept"), VALUES)
def test_keyword_of_every_type_in_every_slot(make, make_stream, value, kind, kept):
    stream = make_stream("cam", (3, 4), np.float32, nbkw=4)
    s, other = make("cam"), make("cam")
    for ii in (2, 0, 3, 1):
        expected = {"name": f"KEY{ii}", "type": kind, "value": kept, "comment": "what it is"}
        assert s.update_keyword(ii, f"KEY{ii}", value, "what it is") is None
        assert s.kwds[ii] == expected
        assert other.kwds[ii] == other.kwd
        assert other.read_keyword(ii) is None
        assert other.kwds[ii] == expected
        assert type(other.kwds[ii]["value"]) is type(kept)
        assert stream.section("keywords")["cnt"][ii] == 1
    # Readers of another kind find them now that there is no gap before the last.
    shown = None if kind == "N" else kept
    assert [tuple(each) for each in stream.read_keywords()] == [
        (f"KEY{ii}", shown, "what it is", 1) for ii in range(4)
    ]


def test_all_slots_at_once(make, make_stream):
    stream = make_stream("cam", (3, 4), np.float32, nbkw=5)
    s = make("cam")
    s.kwds[0] = {"name": "A", "type": "L", "value": 3, "comment": "first"}
    s.kwds[2] = {"name": "B", "type": "D", "value": 4, "comment": "behind a gap"}
    s.kwds[4]["name"] = "C"
    assert s.write_keywords() is None
    assert [each.name for each in stream.read_keywords()] == ["A"]
    reader = make("cam")
    assert reader.kwds == s.kwds
    assert type(reader.kwds[2]["value"]) is float
    reader.create_keyword_list()
    assert reader.kwds == [reader.kwd] * 5
    reader.kwds[0]["name"] = "mine"  # entries do not share
    assert reader.kwds[1:] == [reader.kwd] * 4
    assert reader.read_keywords() is None
    assert reader.kwds == s.kwds


def test_a_slot_is_freed_by_an_empty_name(make, make_stream):
    stream = make_stream("cam", (3, 4), np.float32, nbkw=2)
    s = make("cam")
    s.update_keyword(0, "A", "a long old text", "old comment")
    s.update_keyword(0, "", None, "")
    assert stream.read_keywords() == []
    assert make("cam").kwds[0] == s.kwd
    s.update_keyword(0, "B", 1, "")
    assert [tuple(each) for each in stream.read_keywords()] == [("B", 1, "", 3)]


def test_single_keyword_is_written_as_it_stands(make, make_stream):
    stream = make_stream("cam", (3, 4), np.float32, nbkw=2)
    s = make("cam")
    s.update_keyword(1, "EXPTIME", 0.5, "seconds")
    s.kwds[1]["value"] = 2  # the type is D: stored as float
    s.kwds[0] = {"name": "not", "type": "S", "value": "written", "comment": ""}
    assert s.write_keyword(1) is None
    found = make("cam").kwds
    assert found == [s.kwd, {"name": "EXPTIME", "type": "D", "value": 2.0, "comment": "seconds"}]
    assert stream.section("keywords")["cnt"].tolist() == [0, 2]


@pytest.mark.parametrize("ii", [2, -1, 2**40, "0", 1.0, None])
def test_slot_that_is_not_there(make, make_stream, ii):
    make_stream("cam", (3, 4), np.float32, nbkw=2)
    s = make("cam")
    for touch in (
        lambda: s.update_keyword(ii, "A", 1, ""),
        lambda: s.write_keyword(ii),
        lambda: s.read_keyword(ii),
    ):
        with pytest.raises(KeywordError, match=r"room for 2 keywords.*no slot"):
            touch()
    assert s.kwds == make("cam").kwds == [s.kwd] * 2


@pytest.mark.parametrize(
    "change",
    [
        {"name": "17 bytes of name."},
        {"name": "NUL\0"},
        {"value": "17 bytes of text."},
        {"value": "NUL\0"},
        {"value": 2**63},
        {"value": [1000000, 10000000]},
        {"comment": "c" * 81},
        {"comment": "\ud800"},
    ],
)
def test_keyword_that_cannot_be_stored(make, make_stream, change):
    stream = make_stream("cam", (3, 4), np.float32, nbkw=2)
    s = make("cam")
    s.update_keyword(0, "A", 1, "one")
    before, table = [dict(each) for each in s.kwds], stream.section("keywords").tobytes()
    with pytest.raises(KeywordError, match="'cam'"):
        s.update_keyword(0, **{"name": "B", "value": 2, "comment": "two", **change})
    assert s.kwds == before
    # The good entry before the bad one is not written either.
    kind = "S" if isinstance(change.get("value"), str) else "L"
    s.kwds[1] = {"name": "B", "type": kind, "value": "" if kind == "S" else 2, "comment": "two", **change}
    s.kwds[0]["value"] = 77
    with pytest.raises(KeywordError):
        s.write_keywords()
    assert stream.section("keywords").tobytes() == table


@pytest.mark.parametrize(
    ("kind", "value"),
    [("L", 1.5), ("L", "1"), ("D", "1"), ("S", 1), ("N", 1), ("X", "x"), ("", ""), ([], ""), ("LL", 1)],
)
def test_type_that_does_not_fit_the_value(make, make_stream, kind, value):
    make_stream("cam", (3, 4), np.float32, nbkw=1)
    s = make("cam")
    s.kwds[0] = {"name": "A", "type": kind, "value": value, "comment": ""}
    with pytest.raises(KeywordError, match="slot 0 cannot store"):
        s.write_keyword(0)
    assert make("cam").kwds == [s.kwd]


def test_more_entries_than_slots(make, make_stream):
    make_stream("cam", (3, 4), np.float32, nbkw=1)
    s = make("cam")
    s.kwds = [{"name": "A", "type": "L", "value": 1, "comment": ""}] * 2
    with pytest.raises(KeywordError, match="no slot 1"):
        s.write_keywords()
    assert make("cam").kwds == [s.kwd]
