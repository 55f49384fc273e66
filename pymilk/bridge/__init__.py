"""Streams across machines, over Zenoh (the extra ``net``): docs/bridge.md."""

from .access import Allow
from .certificates import Certificate, list_certificates, make_certificates, revoke_certificates
from .configuration import Links, links_of
from .credentials import Login, Tls
from .directory import RemoteStream, directory
from .fetch import FetchReport, RemoteRecording, fetch, recordings
from .log_reports import LogReport
from .options import Options
from .receiver import BRIDGE_ROW, FLAG_AWAY, FLAG_BEFORE, FLAG_ON_WAY, FLAG_SKIPPED, Receiver
from .reports import LineReport, ReceiverReport, RouterReport, SenderReport
from .router import Router
from .sender import Sender
from .tail import LogRecord, Tail, TailReport

__all__ = ["BRIDGE_ROW", "FLAG_AWAY", "FLAG_BEFORE", "FLAG_ON_WAY", "FLAG_SKIPPED", "Allow", "Certificate",
           "FetchReport", "LineReport", "Links", "LogRecord", "LogReport", "Login", "Options", "Receiver",
           "ReceiverReport", "RemoteRecording", "RemoteStream", "Router", "RouterReport", "Sender",
           "SenderReport", "Tail", "TailReport", "Tls", "directory", "fetch", "links_of", "list_certificates",
           "make_certificates", "recordings", "revoke_certificates"]  # fmt: skip
