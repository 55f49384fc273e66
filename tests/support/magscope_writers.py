"""What processes of multiprocessing do with a buffer of magscope; in a module that they can import."""

from __future__ import annotations

from typing import Any

import numpy as np

from pymilk.compat.magscope import MatrixBuffer


def work(name: str, locks: dict[str, Any], results: Any) -> None:
    """In a process of multiprocessing: write, and tell what came of it."""
    matrix = MatrixBuffer(create=False, locks=locks, name=name)
    for number in range(300):
        matrix.write(np.array([[number, 1.0]]))
    results.put(matrix.get_count_index())
