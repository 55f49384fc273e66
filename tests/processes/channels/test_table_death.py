"""A writer that is killed in a row: readers and the next writer find every other one whole."""

from __future__ import annotations

from support.dying import die


def test_writer_dies_behind_some_stores_of_a_row(monkeypatch, spawn):
    """All of them: tests/soak/test_death_tables.py."""
    monkeypatch.setattr("support.dying.RUN", "from support import table_deaths; table_deaths.main()")
    deaths, furthest = die(spawn, 4, 1)
    assert deaths >= 3
    assert furthest >= 10
