"""Streams that appear with their keywords."""

from __future__ import annotations

import itertools
import threading
import time

import numpy as np
import pytest

from pymilk._core import Keyword, Stream
from pymilk.errors import KeywordError, KeywordTableFullError, StreamNotFoundError


def test_they_are_there(make_stream):
    stream = make_stream("cam", (2, 3), np.uint16, keywords=[("GAIN", 1.5, "of all"), Keyword("B", "c")])
    with Stream.attach("cam", writable=False) as reader:
        assert reader.read_keywords() == [("GAIN", 1.5, "of all", 1), ("B", "c", "", 1)]
        assert reader.counter == stream.counter == 0
    assert make_stream("other", (2, 3), np.uint16, keywords=iter(())).read_keywords() == []


@pytest.mark.parametrize(
    ("keywords", "error"),
    [([("A", 1), ("B", 2)], KeywordTableFullError), ([("A" * 40, 1)], KeywordError), ([3], KeywordError),
     (7, KeywordError)],
)  # fmt: skip
def test_what_cannot_be_stored_creates_nothing(shm_dir, keywords, error):
    with pytest.raises(error, match="cam"):
        Stream.create("cam", (2, 3), np.uint16, nbkw=1, keywords=keywords)
    assert not list(shm_dir.iterdir())
    with Stream.create("cam", (4,), np.uint8, nbkw=1, keywords=[("A", 1)]) as stream:
        with pytest.raises(error):
            Stream.create("cam", (2, 3), np.uint16, nbkw=1, keywords=keywords)
        assert not stream.replaced()
        assert stream.read_keywords() == [("A", 1, "", 1)]


def test_no_reader_finds_a_stream_without_them(shm_dir):
    over = threading.Event()
    found = []

    def look() -> None:
        while not over.is_set():
            try:
                with Stream.attach("cam", writable=False) as stream:
                    found.append([keyword.value for keyword in stream.read_keywords()])
            except StreamNotFoundError:
                pass

    reader = threading.Thread(target=look)
    reader.start()
    end = time.monotonic() + 60
    try:
        for number in itertools.count():
            with Stream.create("cam", (2,), np.uint8, keywords=[("FIRST", number), ("LAST", number)]):
                pass
            # On a busy machine the reader may have had no turn yet.
            if number >= 200 and (found or time.monotonic() > end):
                break
    finally:
        over.set()
        reader.join()
    assert found
    assert all(len(values) == 2 and values[0] == values[1] for values in found)
