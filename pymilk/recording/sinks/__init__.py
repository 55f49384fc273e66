"""Formats that frames are recorded in: one sink each."""

from .base import Header, Sink, Stored
from .formats import SUFFIXES, sink_of

__all__ = ["SUFFIXES", "Header", "Sink", "Stored", "sink_of"]
