"""A writer that is killed in a row, picture or block: others find every other one whole."""

from __future__ import annotations

import pytest

from support.dying import die


def test_writer_dies_behind_each_store_of_a_row(monkeypatch, spawn):
    monkeypatch.setattr("support.dying.RUN", "from support import table_deaths; table_deaths.main()")
    deaths, furthest = die(spawn, 1, 0)
    assert deaths == furthest >= 10


@pytest.mark.parametrize(("kind", "first"), [("video", 0), ("audio", 1)])
def test_writer_dies_behind_stores_of_a_frame(monkeypatch, spawn, kind, first):
    """Every third store: they are the stores of a row, all of which the test above walks."""
    monkeypatch.setattr("support.dying.RUN", "from support import media_deaths; media_deaths.main()")
    deaths, furthest = die(spawn, kind, 3, first)
    assert deaths >= 3
    assert furthest >= 8
