"""What keeps the memory of a stream: counted in debug builds, where the test runs."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from pymilk._core import Stream, build_info
from pymilk.native.file import live_objects


def test_nothing_is_counted_in_a_release_build() -> None:
    assert (live_objects() is None) is not build_info()["debug"]


@pytest.mark.skipif(not build_info()["debug"], reason="only debug builds count")
def test_a_closed_stream_is_unmapped_with_its_last_view() -> None:
    gc.collect()
    before = live_objects()
    assert before is not None

    def more() -> tuple[int, int]:
        now = live_objects()
        assert now is not None
        return now["mappings"] - before["mappings"], now["files"] - before["files"]

    stream = Stream.create("counted", (4, 4), np.float32)
    view = stream.view()
    reader = stream.reader()
    assert more() == (1, 1)
    stream.close()
    # The closed handle keeps name and header; view and reader keep the memory.
    assert more() == (1, 2)
    del stream
    assert more() == (1, 1)
    del reader
    assert more() == (1, 0)
    assert (view == 0).all()
    del view
    assert more() == (0, 0)
