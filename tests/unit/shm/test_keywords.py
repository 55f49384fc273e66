"""Keywords of `SHM`."""

from __future__ import annotations

import numpy as np
import pytest

from pymilk.errors import KeywordError, KeywordNotFoundError


def test_set_keywords_changes_and_adds(shm):
    shm.set_keywords({"A": (1, "first"), "B": 2.5})
    shm.set_keywords({"B": "text", "C": (3,)})
    assert shm.get_keywords(comments=True) == {"A": (1, "first"), "B": ("text", ""), "C": (3, "")}
    shm.set_keywords({"A": 5})
    assert shm.get_keyword("A", comment=True) == (5, "")


def test_reset_keywords_replaces(shm):
    shm.set_keywords({"A": 1, "B": 2})
    shm.reset_keywords({"C": (3, "third")})
    assert shm.get_keywords(True) == {"C": (3, "third")}
    shm.reset_keywords({})
    assert shm.get_keywords() == {}


def test_update_keyword(shm):
    shm.set_keywords({"A": (1, "first")})
    shm.update_keyword("A", 2)
    assert shm.get_keyword("A", True) == (2, "first")
    shm.update_keyword("A", 2.5, "changed")
    assert shm.get_keyword("A", True) == (2.5, "changed")
    with pytest.raises(KeywordNotFoundError) as caught:
        shm.update_keyword("B", 1)
    assert (caught.value.keyword, caught.value.stream) == ("B", "cam")
    with pytest.raises(KeyError):
        shm.get_keyword("B")


def test_keywords_by_index(shm):
    shm["A"] = 1
    shm["A"] = (2, "with a comment")
    assert shm["A"] == 2
    shm.keywords["B"] = "x"
    assert dict(shm.keywords) == {"A": 2, "B": "x"}
    del shm.keywords["A"]
    assert shm.get_keywords() == {"B": "x"}
    with pytest.raises(KeyError):
        shm["A"]
    with pytest.raises(KeyError):
        del shm.keywords["A"]


def test_keyword_limits(shm):
    shm.set_keywords({"N" * 16: ("V" * 16, "C" * 80)})
    assert shm.get_keywords(True) == {"N" * 16: ("V" * 16, "C" * 80)}
    before = shm.get_keywords(True)
    for bad, limit in (
        ({"N" * 17: 1}, 16),
        ({"A": "V" * 17}, 16),
        ({"A": (1, "C" * 81)}, 80),
        ({"é" * 9: 1}, 16),
        ({"": 1}, 16),
        ({"A": 2**63}, 64),
    ):
        with pytest.raises(KeywordError) as caught:
            shm.set_keywords({"GOOD": 1, **bad})
        assert caught.value.limit == limit
        assert shm.get_keywords(True) == before  # all or nothing
    with pytest.raises(KeywordError) as caught:
        shm.set_keywords({f"K{k}": k for k in range(4)})
    assert (caught.value.limit, caught.value.found) == (4, 5)
    assert shm.get_keywords(True) == before


@pytest.mark.parametrize(
    "value", [0, -1, 2**63 - 1, -(2**63), 0.0, -1.5, 1e300, float("inf"), "", "text", "é" * 8]
)
def test_keyword_values(shm, make, value):
    shm["A"] = value
    found = make("cam").get_keyword("A")
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("given", "stored"),
    [(True, 1), (np.bool_(False), 0), (np.int16(7), 7), (np.float32(0.5), 0.5), (np.uint64(9), 9)],
)
def test_keyword_values_that_are_converted(shm, given, stored):
    shm["A"] = given
    assert shm["A"] == stored
    assert type(shm["A"]) is type(stored)


@pytest.mark.parametrize("value", [[1], {"a": 1}, object(), b"bytes", 1j])
def test_keyword_values_that_do_not_fit(shm, value):
    with pytest.raises(KeywordError):
        shm["A"] = value
    assert shm.get_keywords() == {}


@pytest.mark.parametrize("entry", [(), (1, "c", "d"), (1, "c", "d", 5), (1, "c", "d", "e", "f")])
def test_keyword_with_the_wrong_number_of_parts(shm, entry):
    for before in ({}, {"A": 1}):
        for call in (shm.set_keywords, shm.reset_keywords):
            shm.reset_keywords(before)
            with pytest.raises(KeywordError):
                call({"A": entry})
            assert shm.get_keywords() == before


def test_keyword_without_a_comment_keeps_the_one_it_has(shm):
    shm["A"] = (1, "first")
    shm.set_keywords({"A": (2, None)})
    assert shm.get_keywords(True) == {"A": (2, "first")}
    shm.set_keywords({"A": (3, None), "B": (4, None)})
    assert shm.get_keywords(True) == {"A": (3, "first"), "B": (4, "")}


def test_keywords_follow_a_new_file(make):
    old = make("cam", ((2, 2), np.uint8))
    old["A"] = 1
    keywords = old.keywords
    new = make("cam", ((2, 2), np.uint8))
    new["B"] = 2
    assert dict(old.keywords) == {"B": 2}
    assert old.get_keywords() == {"B": 2}
    assert dict(keywords) in ({"A": 1}, {"B": 2})  # a mapping kept from before may go either way
