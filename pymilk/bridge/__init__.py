"""Streams across machines, over Zenoh (the extra ``net``): docs/bridge.md."""

from __future__ import annotations

from .access import Allow
from .certificates import Certificate, list_certificates, make_certificates
from .configuration import links_of
from .credentials import Login, Tls
from .directory import RemoteStream, directory
from .links import Links
from .receiver import BRIDGE_ROW, FLAG_AWAY, FLAG_BEFORE, FLAG_ON_WAY, Receiver
from .reports import LineReport, ReceiverReport, RouterReport, SenderReport
from .router import Router
from .sender import Sender

__all__ = ["BRIDGE_ROW", "FLAG_AWAY", "FLAG_BEFORE", "FLAG_ON_WAY", "Allow", "Certificate", "LineReport",
           "Links", "Login", "Receiver", "ReceiverReport", "RemoteStream", "Router", "RouterReport",
           "Sender", "SenderReport", "Tls", "directory", "links_of", "list_certificates",
           "make_certificates"]  # fmt: skip
