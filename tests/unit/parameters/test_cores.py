"""Cores that a run process is moved to: the lists, and the commands in front of its command."""

from __future__ import annotations

import pytest

from pymilk.parameters import FPS
from pymilk.parameters.control import _settings
from pymilk.parameters.cores import core_numbers, move


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", {0}), ("1-3", {1, 2, 3}), ("0,2-3,7", {0, 2, 3, 7}), ("0-6:2", {0, 2, 4, 6})],
)
def test_lists_of_cores(text: str, expected: set[int]) -> None:
    assert core_numbers(text) == expected


@pytest.mark.parametrize("text", ["", "a", "1-", "-1", "3-1", "1,,2", "0-4:0", "99999"])
def test_texts_that_are_no_list(text: str) -> None:
    assert move("tsetpmove", text) == f"{text!r} is no list of cores"


def test_prefix_of_the_run_process() -> None:
    with FPS.create("loop", standard=True, directories=False) as fps:
        assert _settings(fps.table)[:2] == [
            "export TCSETCMDPREFIX='tsetpmove \"1-127\";'", "export OMP_NUM_THREADS=1"
        ]  # fmt: skip
        fps.set("procinfo.cset", "ao", force=True)
        assert _settings(fps.table)[0] == "export TCSETCMDPREFIX='csetpmove ao; tsetpmove \"1-127\";'"
        for key, none in (("cset", "system"), ("cset", "NULL"), ("taskset", "")):
            fps.set(f"procinfo.{key}", none, force=True)
        assert _settings(fps.table)[0] == "export TCSETCMDPREFIX=''"
