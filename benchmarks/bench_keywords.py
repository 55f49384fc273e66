"""Keywords, beside a plain copy of the section that holds them.

Run with::

    pytest benchmarks/bench_keywords.py --benchmark-enable --benchmark-group-by=group
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from pymilk import SHM

KEYWORDS = {f"KEY{k:02}": (k, k / 3, f"text {k}")[k % 3] for k in range(20)}


@pytest.fixture
def shm() -> Iterator[SHM]:
    """Return a stream with 20 keywords in 50 places."""
    with SHM("bench", ((4, 4), np.uint16), nbkw=50) as made:
        made.set_keywords(KEYWORDS)
        yield made
        made.destroy()


@pytest.mark.benchmark(group="keywords")
def bench_plain_copy(benchmark: BenchmarkFixture) -> None:
    """Copy as many bytes as 20 keywords have."""
    section = np.arange(20 * 128 // 2, dtype=np.uint16)
    target = np.zeros_like(section)
    benchmark(np.copyto, target, section)
    assert (target == section).all()


@pytest.mark.benchmark(group="keywords")
def bench_get_keywords(benchmark: BenchmarkFixture, shm: SHM) -> None:
    assert benchmark(shm.get_keywords) == KEYWORDS


@pytest.mark.benchmark(group="keywords")
def bench_get_keyword(benchmark: BenchmarkFixture, shm: SHM) -> None:
    assert benchmark(shm.get_keyword, "KEY19") == KEYWORDS["KEY19"]


@pytest.mark.benchmark(group="keywords")
def bench_update_keyword(benchmark: BenchmarkFixture, shm: SHM) -> None:
    benchmark(shm.update_keyword, "KEY19", 12345)
    assert shm.get_keyword("KEY19") == 12345


@pytest.mark.benchmark(group="keywords")
def bench_set_keywords(benchmark: BenchmarkFixture, shm: SHM) -> None:
    benchmark(shm.set_keywords, KEYWORDS)
    assert shm.get_keywords() == KEYWORDS
