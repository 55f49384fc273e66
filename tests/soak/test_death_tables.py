"""A writer of a table that is killed behind each of its stores; with ``PYMILK_EVERY_STEP=1``."""

from __future__ import annotations

from support.dying import BY_HAND, die


@BY_HAND[0]
@BY_HAND[1]
def test_writer_dies_behind_each_store_of_a_row(monkeypatch, spawn):
    monkeypatch.setattr("support.dying.RUN", "from support import table_deaths; table_deaths.main()")
    deaths, furthest = die(spawn, 1, 0)
    assert deaths == furthest >= 10
