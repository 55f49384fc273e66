"""Points of a benchmark that nobody measured."""

from __future__ import annotations

import numpy as np

from pymilk.bench.result import Point

U2 = np.dtype(np.uint16)
TINY = {"rates": [1000], "shapes": [(8, 8)], "seconds": 0.03, "depth": 64}


def point(source: str = "plain", rate: float = 1000.0, **changes: object) -> Point:
    writer = {"rate": rate, "published": 1000, "longest_holdup_us": 100.0, "late_p50_us": 0.1, "preempted": 0}
    writer.update(changes.pop("writer", {}))  # type: ignore[call-overload]
    values = {
        "source": source, "shape": (120, 120), "dtype": "uint16", "rate": rate, "depth": 64, "seconds": 1.0,
        "writer": writer, "published": 1000, "delivered": 1000, "lost": 0, "torn": 0, "repeated": 0,
        "missing": 0, "gaps": 0, "longest_gap": 0, "in_short_gaps": 0, "behind_bursts": 0,
        "disagreements": [],
        "latency_us": {"p50": 8.0, "p99": 20.0, "p99.9": 40.0, "max": 90.0}, "latency_counts": [0, 1000],
        "handover_us": {}, "cpu_share": 0.1, "fullest": 0.0,
    }  # fmt: skip
    return Point(**{**values, **changes})  # type: ignore[arg-type]
