"""`Keywords` and `KeywordName`: keywords of a stream as a mapping."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, MutableMapping
from pathlib import Path

import numpy as np
import pytest

from pymilk import Keyword
from pymilk._core import Stream
from pymilk.errors import KeywordError, KeywordNotFoundError, StreamClosedError, StreamReadOnlyError
from pymilk.streams.keywords import KeywordName, Keywords
from support import isio_format


@pytest.fixture
def stream(make_stream) -> Stream:
    return make_stream("cam", (2, 2), np.uint8, nbkw=4)


@pytest.fixture
def keywords(stream) -> Keywords:
    return Keywords(stream)


def slots(stream: Stream) -> list[isio_format.KeywordSlot]:
    content = isio_format.decode(Path(stream.path).read_bytes(), check_padding=False)
    return content.keyword_slots


def test_mapping(keywords):
    assert isinstance(keywords, Mapping)
    assert isinstance(keywords, MutableMapping)
    assert len(keywords) == 0
    assert list(keywords) == []
    keywords["A"] = 1
    keywords["B"] = (2.5, "half")
    assert dict(keywords) == {"A": 1, "B": 2.5}
    assert (len(keywords), list(keywords)) == (2, ["A", "B"])
    assert "A" in keywords
    assert "C" not in keywords
    assert keywords.get("C", 7) == 7
    assert keywords.comment("B") == "half"
    assert keywords.comment("A") == ""
    assert repr(keywords) == "Keywords({'A': 1, 'B': 2.5})"
    assert keywords.pop("A") == 1
    keywords.update({"C": "text"})
    assert list(keywords.items()) == [("B", 2.5), ("C", "text")]
    keywords.clear()
    assert dict(keywords) == {}


def test_unknown_keyword(keywords):
    for call in (
        lambda: keywords["X"],
        lambda: keywords.__delitem__("X"),
        lambda: keywords.comment("X"),
    ):
        with pytest.raises(KeywordNotFoundError, match="'X'") as caught:
            call()
        assert (caught.value.keyword, caught.value.stream) == ("X", "cam")
        assert isinstance(caught.value, KeyError)


def test_what_is_stored(stream, keywords):
    keywords.replace({"L": -5, "D": (1.5, "note"), "S": "text"})
    found = slots(stream)
    assert [slot.type for slot in found[:3]] == ["L", "D", "S"]
    assert [slot.decoded for slot in found[:3]] == [-5, 1.5, "text"]
    assert [slot.name_text for slot in found[:3]] == ["L", "D", "S"]
    assert found[1].comment_text == "note"
    assert found[3].is_end
    keywords.replace({"X": 1})
    assert slots(stream)[0].name_text == "X"
    assert slots(stream)[1].is_end


def test_keywords_of_another_program(stream, keywords):
    table = stream.section("keywords", writable=True)
    content = [
        isio_format.KeywordSlot.make("INT", 42, "comment", cnt=3),
        isio_format.KeywordSlot.make("N" * 16, "V" * 16, "C" * 80),
        isio_format.KeywordSlot.make(b"RAW", b"\xff\xfe", b"\xe9"),
    ]
    table[:3] = np.frombuffer(b"".join(slot.pack() for slot in content), table.dtype)
    assert dict(keywords) == {"INT": 42, "N" * 16: "V" * 16, "RAW": "\udcff\udcfe"}
    assert keywords.comment("N" * 16) == "C" * 80
    # Bytes that are not UTF-8 survive being written back.
    keywords["NEW"] = 1
    assert slots(stream)[2].value[:2] == b"\xff\xfe"
    assert slots(stream)[2].comment == b"\xe9"
    assert slots(stream)[0].cnt == 3 or slots(stream)[0].decoded == 42


def test_order_and_comments_are_kept(keywords):
    keywords.replace({"A": (1, "a"), "B": (2, "b"), "C": (3, "c")})
    keywords.merge({"D": 4, "A": 10})
    assert list(keywords) == ["A", "B", "C", "D"]
    assert keywords.comment("A") == "a"
    keywords["B"] = (20, "new")
    assert (keywords["B"], keywords.comment("B")) == (20, "new")
    del keywords["B"]
    assert list(keywords) == ["A", "C", "D"]
    assert keywords.comment("C") == "c"
    keywords["A"] = (1, "")
    assert keywords.comment("A") == ""


def test_type_may_change(keywords):
    for value in (1, 2.5, "text", 3, "", 0.0):
        keywords["A"] = value
        assert keywords["A"] == value
        assert type(keywords["A"]) is type(value)


def test_all_or_nothing(keywords):
    keywords.replace({"A": 1, "B": 2})
    for bad in ({"C": 3, "N" * 17: 1}, {"A": 5, "C": "V" * 17}, {"C": 1, "D": 2, "E": 3}):
        with pytest.raises(KeywordError):
            keywords.merge(bad)
        with pytest.raises(KeywordError):
            keywords.replace({**bad, "F": 1, "G": 2})
        assert dict(keywords) == {"A": 1, "B": 2}


def test_full_table(keywords):
    keywords.replace({f"K{k}": k for k in range(4)})
    assert len(keywords) == 4
    keywords["K0"] = 9
    with pytest.raises(KeywordError, match="room for 4") as caught:
        keywords["K4"] = 4
    assert (caught.value.limit, caught.value.found) == (4, 5)
    del keywords["K1"]
    keywords["K4"] = 4
    assert dict(keywords) == {"K0": 9, "K2": 2, "K3": 3, "K4": 4}


def test_stream_without_room(make_stream):
    keywords = Keywords(make_stream("none", (2, 2), np.uint8, nbkw=0))
    assert dict(keywords) == {}
    with pytest.raises(KeywordError):
        keywords["A"] = 1


def test_changes_are_counted(stream, keywords):
    keywords["A"] = 1
    first = stream.read_keywords()[0].cnt
    keywords["A"] = 2
    keywords["A"] = 2
    assert stream.read_keywords()[0].cnt == first + 2
    keywords["B"] = 1
    keywords.merge({"C": 1, "B": 2})
    assert stream.read_keywords()[0].cnt == first + 2  # A did not change


def test_other_handles_see_changes_at_once(stream, keywords):
    attached = Stream.attach("cam", writable=False)
    other = Keywords(attached)
    keywords["A"] = 1
    assert dict(other) == {"A": 1}
    with pytest.raises(StreamReadOnlyError):
        other["A"] = 2
    attached.close()
    with pytest.raises(StreamClosedError):
        dict(other)


def test_names_know_the_rest(keywords):
    keywords.replace({"EXP": (0.5, "seconds"), "MODE": "fast"})
    named = keywords.named()
    assert named == {
        "EXP": Keyword("EXP", 0.5, "seconds", named["EXP"].cnt),
        "MODE": Keyword("MODE", "fast", "", named["MODE"].cnt),
    }
    name = next(iter(named))
    assert (name["name"], name["value"], name["comment"]) == ("EXP", 0.5, "seconds")
    assert name["cnt"] == named["EXP"].cnt
    with pytest.raises(KeyError):
        name["unit"]


def test_name_is_a_plain_str_otherwise():
    name = KeywordName(Keyword("EXP", 0.5, "seconds"))
    assert isinstance(name, str)
    assert name == "EXP"
    assert hash(name) == hash("EXP")
    assert {name: 1}["EXP"] == 1
    assert {"EXP": 1}[name] == 1
    assert (name[0], name[-1], name[:2], name.lower(), f"{name}") == ("E", "P", "EX", "exp", "EXP")
    assert list(name) == ["E", "X", "P"]
    with pytest.raises(IndexError):
        name[5]
    copy = pickle.loads(pickle.dumps(name))
    assert (copy, copy["value"], type(copy)) == (name, 0.5, KeywordName)
