"""A writer that is killed in a row, picture or block: others find every other one whole."""

from __future__ import annotations

import pytest

from support.dying import die


def test_writer_dies_behind_each_store_of_a_row(monkeypatch, spawn):
    monkeypatch.setattr("support.dying.RUN", "from support import table_deaths; table_deaths.main()")
    deaths, furthest = die(spawn)
    assert deaths == furthest >= 10


@pytest.mark.parametrize("kind", ["video", "audio"])
def test_writer_dies_behind_each_store_of_a_frame(monkeypatch, spawn, kind):
    monkeypatch.setattr("support.dying.RUN", "from support import media_deaths; media_deaths.main()")
    deaths, furthest = die(spawn, kind)
    assert deaths == furthest >= 8
