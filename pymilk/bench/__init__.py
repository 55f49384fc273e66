"""How many frames does this machine miss? A benchmark that users run on their own computer."""

from .result import BenchResult, Point
from .sweep import DEFAULT_RATES, SOURCES, Benchmark

__all__ = ["DEFAULT_RATES", "SOURCES", "BenchResult", "Benchmark", "Point"]
