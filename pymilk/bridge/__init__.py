"""Streams across machines, over Zenoh (the extra ``net``): docs/bridge.md."""

from typing import TYPE_CHECKING

from ..late import late_names

# At once: names of these rooms are those of their functions.
from .directory import RemoteStream, directory
from .fetch import FetchReport, RemoteRecording, fetch, recordings

if TYPE_CHECKING:
    from .access import Allow
    from .certificates import Certificate, list_certificates, make_certificates, revoke_certificates
    from .configuration import Links, links_of, log_of, offer_of
    from .credentials import Login, Tls
    from .log_reports import LogReport, TailReport
    from .log_wire import LogRecord
    from .options import Options
    from .parameters import ParameterOffer, RemoteParameter, RemoteParameters, RemoteWatch, remote_fps
    from .receiver import BRIDGE_ROW, FLAG_AWAY, FLAG_BEFORE, FLAG_ON_WAY, FLAG_SKIPPED, Receiver
    from .reports import LineReport, ParameterReport, ReceiverReport, RouterReport, SenderReport
    from .router import Router
    from .sender import Sender
    from .tail import Tail

#: Rooms that are loaded with the first of their names.
_ROOMS = {
    "access": ("Allow",),
    "certificates": ("Certificate", "list_certificates", "make_certificates", "revoke_certificates"),
    "configuration": ("Links", "links_of", "log_of", "offer_of"),
    "credentials": ("Login", "Tls"),
    "log_reports": ("LogReport", "TailReport"),
    "log_wire": ("LogRecord",),
    "options": ("Options",),
    "parameters": ("ParameterOffer", "RemoteParameter", "RemoteParameters", "RemoteWatch", "remote_fps"),
    "receiver": ("BRIDGE_ROW", "FLAG_AWAY", "FLAG_BEFORE", "FLAG_ON_WAY", "FLAG_SKIPPED", "Receiver"),
    "reports": ("LineReport", "ParameterReport", "ReceiverReport", "RouterReport", "SenderReport"),
    "router": ("Router",),
    "sender": ("Sender",),
    "tail": ("Tail",),
}

__all__ = [
    "BRIDGE_ROW",
    "FLAG_AWAY",
    "FLAG_BEFORE",
    "FLAG_ON_WAY",
    "FLAG_SKIPPED",
    "Allow",
    "Certificate",
    "FetchReport",
    "LineReport",
    "Links",
    "LogRecord",
    "LogReport",
    "Login",
    "Options",
    "ParameterOffer",
    "ParameterReport",
    "Receiver",
    "ReceiverReport",
    "RemoteParameter",
    "RemoteParameters",
    "RemoteRecording",
    "RemoteStream",
    "RemoteWatch",
    "Router",
    "RouterReport",
    "Sender",
    "SenderReport",
    "Tail",
    "TailReport",
    "Tls",
    "directory",
    "fetch",
    "links_of",
    "list_certificates",
    "log_of",
    "make_certificates",
    "offer_of",
    "recordings",
    "remote_fps",
    "revoke_certificates",
]

__getattr__ = late_names(__name__, _ROOMS)
