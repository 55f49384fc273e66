"""Playing into a stream that keeps every frame."""

from __future__ import annotations

import pytest

from pymilk import SHM, play


@pytest.fixture
def received(make_stream):
    """Play into a stream with a ring that holds everything; returns frames, their rows, and the report."""

    def go(source, name="cam", slots=200, shape=(3, 4), dtype="u2", **options):
        stream = make_stream(name, shape, dtype, cb_size=slots)
        with SHM(name, autoSqueeze=False) as shm, shm.ring_reader() as ring:
            report = play(source, name, **options)
            capture = ring.read(report.published, timeout=5)
        assert stream.counter == report.published
        return capture.frames, capture.info, report

    return go

