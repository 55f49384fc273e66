"""What a benchmark hears of the process that publishes."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

from pymilk.bench.writer import BenchWriter
from support.descriptors import many_allowed, moved_up


def test_an_answer_where_many_files_are_open() -> None:
    writer: Any = BenchWriter.__new__(BenchWriter)
    writer._heard = b""
    with many_allowed():
        read_end, write_end = os.pipe()
        with os.fdopen(moved_up(read_end), "rb", 0) as pipe:
            writer._process = SimpleNamespace(stdout=pipe)
            assert writer.answer(0.0) is None
            os.write(write_end, b'{"published": 3}\n')
            os.close(write_end)
            assert writer.answer(60.0) == {"published": 3}
