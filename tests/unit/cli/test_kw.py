"""``pymilk kw``: options and refusals."""

from __future__ import annotations

import json

import pytest

from support.calling import done

pytest.importorskip("click", reason="extra cli")

pytest.importorskip("rich", reason="extra cli")


def test_json_has_no_words_that_are_not_json(make_stream):
    make_stream("cam", (2, 2), "u1").write_keywords([("A", float("nan")), ("B", float("inf")), ("C", 1.5)])

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    told = json.loads(done("kw", "cam", "--json"), parse_constant=refuse)
    assert [each["value"] for each in told] == [None, None, 1.5]
    everything = json.loads(done("info", "cam", "--measure", 0, "--json"), parse_constant=refuse)
    assert everything["keywords"] == told
    assert done("kw", "cam", "B") == "inf\n"


@pytest.mark.parametrize(
    ("text", "value"),
    [("7", 7), ("-7", -7), ("2.5", 2.5), ("1e3", 1000.0), ("1_000", "1_000"), ("text", "text"), ("", ""),
     (str(2**63 - 1), 2**63 - 1), (str(2**63), float(2**63))],
)  # fmt: skip
def test_values_of_text(text, value):
    from pymilk.streams.keywords import value_of_text

    found = value_of_text(text)
    assert (type(found), found) == (type(value), value)
