"""Rings: frames in order, late readers without loss, and relays that make rings."""

from .block import Block, RingReport
from .reader import RingReader
from .receiver import ReceiverThread
from .relay import Relay, RelayReport

__all__ = ["Block", "ReceiverThread", "Relay", "RelayReport", "RingReader", "RingReport"]
