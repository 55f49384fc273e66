"""Keywords of an `Image`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pymilk import Stream
from pymilk.errors import KeywordError, KeywordTableFullError
from support import isio_format as fmt
from support.images import Image_kw, ramp

Make = Callable[..., Any]


def test_keywords(make: Make) -> None:
    image = make("x", ramp(3), NBkw=4)
    assert (image.get_kws(), image.get_kws_list()) == ({}, [])
    image.set_kws_list([Image_kw("b", 1.5, "second"), Image_kw("a", 3), Image_kw("C", "text")])
    listed = image.get_kws_list()
    assert [(kw.name, kw.type, kw.value, kw.comment) for kw in listed] == [
        ("b", "D", 1.5, "second"),
        ("a", "L", 3, ""),
        ("C", "S", "text", ""),
    ]
    assert list(image.get_kws()) == ["C", "a", "b"]
    # Stored under the names of the keywords, in the order of the keys.
    assert image.set_kws({"2": Image_kw("x", 1), "1": Image_kw("y", 2)}) is None
    assert [kw.name for kw in image.get_kws_list()] == ["y", "x"]
    image.set_kws(image.get_kws())
    assert [kw.name for kw in image.get_kws_list()] == ["x", "y"]
    image.set_kws_list(iter([]))
    assert image.get_kws() == {}


def test_keywords_are_copies(make: Make) -> None:
    image = make("x", ramp(3), NBkw=4)
    image.set_kws_list([Image_kw("a", 1)])
    before = image.get_kws()
    image.set_kws_list([Image_kw("a", 2)])
    image.close()
    assert before["a"].value == 1


def test_same_names(foreign: Any, make: Make) -> None:
    stream = fmt.fresh("x", (4,), 9)
    stream.keyword_slots = [fmt.KeywordSlot.make("A", 1), fmt.KeywordSlot.make("A", 2)]
    foreign(stream)
    image = make("x")
    assert [kw.value for kw in image.get_kws_list()] == [1, 2]
    assert image.get_kws()["A"].value == 2


def test_keyword_without_a_value(foreign: Any, make: Make) -> None:
    stream = fmt.fresh("x", (4,), 9)
    stream.keyword_slots = [fmt.KeywordSlot(b"A", "N", comment=b"c"), fmt.KeywordSlot(b"\xff", "N")]
    foreign(stream)
    image = make("x")
    first, second = image.get_kws_list()
    assert (first.name, first.type, first.comment, repr(first)) == ("A", "N", "c", "Unknown format c")
    with pytest.raises(RuntimeError, match="Unknown format"):
        _ = first.value
    image.set_kws_list([second, first])
    found = fmt.decode(Path(os.environ["MILK_SHM_DIR"], "x.im.shm").read_bytes())
    assert [(each.name, each.type) for each in found.used_keywords()] == [(b"\xff", "N"), (b"A", "N")]


def test_counts_of_keywords_grow(make: Make) -> None:
    image = make("x", ramp(3), NBkw=2)
    image.set_kws_list([Image_kw("A", 1)])
    image.set_kws_list(image.get_kws_list())
    with Stream.attach("x") as stream:
        assert [(each.name, each.cnt) for each in stream.read_keywords()] == [("A", 2)]


def test_too_many_keywords(make: Make) -> None:
    image = make("x", ramp(3), NBkw=2)
    image.set_kws_list([Image_kw("old", 1)])
    three = {name: Image_kw(name, 1) for name in "abc"}
    for call in (lambda: image.set_kws(three), lambda: image.set_kws_list(list(three.values()))):
        with pytest.raises(RuntimeError, match=r"^Too many keywords provided") as caught:
            call()
        assert type(caught.value) is KeywordTableFullError
        assert list(image.get_kws()) == ["old"]


def test_keywords_that_are_none(make: Make) -> None:
    image = make("x", ramp(3), NBkw=2)
    image.set_kws_list([Image_kw("old", 1)])
    for call, given in (
        ("set_kws", None),
        ("set_kws", [Image_kw("A", 1)]),
        ("set_kws", {1: Image_kw("A", 1)}),
        ("set_kws", {"A": 1}),
        ("set_kws_list", None),
        ("set_kws_list", {"A": Image_kw("A", 1)}),
        ("set_kws_list", [("A", 1)]),
        ("set_kws_list", "A"),
        ("set_kws_list", [Image_kw()]),
    ):
        with pytest.raises(KeywordError, match="'x'"):
            getattr(image, call)(given)
    assert list(image.get_kws()) == ["old"]
