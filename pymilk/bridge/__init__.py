"""Streams across machines, over Zenoh (extra ``net``): docs/bridge.md says what is sent and protected."""

from __future__ import annotations

from .directory import RemoteStream, directory
from .fetch import FetchReport, fetch, recordings
from .links import Links
from .options import Options
from .receiver import BRIDGE_ROW, FLAG_AWAY, FLAG_BEFORE, FLAG_ON_WAY, FLAG_SKIPPED, Receiver
from .remote import RemoteRecording
from .reports import LineReport, ReceiverReport, SenderReport
from .router import Router
from .sender import Sender

__all__ = ["BRIDGE_ROW", "FLAG_AWAY", "FLAG_BEFORE", "FLAG_ON_WAY", "FLAG_SKIPPED", "FetchReport",
           "LineReport", "Links", "Options", "Receiver", "ReceiverReport", "RemoteRecording", "RemoteStream",
           "Router", "Sender", "SenderReport", "directory", "fetch", "recordings"]  # fmt: skip
