"""Formats that frames are recorded in: one sink each."""

from .base import Header, Sink, Stored
from .formats import FITS_SUFFIXES, SUFFIXES, format_of, sink_of, suffix_of, with_suffix

__all__ = [
    "FITS_SUFFIXES", "SUFFIXES", "Header", "Sink", "Stored", "format_of", "sink_of", "suffix_of",
    "with_suffix",
]  # fmt: skip
