"""A writer that is killed in a message: readers and the next writer find every other one whole."""

from __future__ import annotations

import pytest

RUN = "from support import log_deaths; log_deaths.main()"


@pytest.mark.parametrize("writers", ["one", "many"])
def test_writer_dies_behind_each_store_of_a_message(spawn, writers):
    code, out, err = spawn(RUN, 1, 0, writers).finish(timeout=110)
    assert (code, err) == (0, ""), err
    if out.strip() == "not permitted":
        pytest.skip("processes may not be traced here")
    deaths, furthest = map(int, out.split())
    assert deaths == furthest >= 10
