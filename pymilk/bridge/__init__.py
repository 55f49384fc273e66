"""Streams across machines, over Zenoh: senders, receivers, and who is there.

Needs the extra ``net`` (eclipse-zenoh). docs/bridge.md says what is sent, counted and protected.
"""

from __future__ import annotations

from .directory import RemoteStream, directory
from .links import Links
from .options import Options
from .receiver import BRIDGE_ROW, FLAG_AWAY, FLAG_BEFORE, FLAG_ON_WAY, FLAG_SKIPPED, Receiver
from .reports import LineReport, ReceiverReport, SenderReport
from .router import Router
from .sender import Sender

__all__ = ["BRIDGE_ROW", "FLAG_AWAY", "FLAG_BEFORE", "FLAG_ON_WAY", "FLAG_SKIPPED", "LineReport", "Links",
           "Options", "Receiver",
           "ReceiverReport", "RemoteStream", "Router", "Sender", "SenderReport", "directory"]  # fmt: skip
