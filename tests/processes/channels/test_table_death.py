"""A writer that is killed in a row: readers and the next writer find every other one whole."""

from __future__ import annotations

from support.dying import die


def test_writer_dies_behind_each_store_of_a_row(monkeypatch, spawn):
    monkeypatch.setattr("support.dying.RUN", "from support import table_deaths; table_deaths.main()")
    deaths, furthest = die(spawn, 1, 0)
    assert deaths == furthest >= 10
