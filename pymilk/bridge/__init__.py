"""Streams across machines, over Zenoh (the extra ``net``): docs/bridge.md."""

from .access import Allow
from .certificates import Certificate, list_certificates, make_certificates
from .configuration import Links, links_of, offer_of
from .credentials import Login, Tls
from .directory import RemoteStream, directory
from .fetch import FetchReport, RemoteRecording, fetch, recordings
from .options import Options
from .parameter_offer import ParameterOffer
from .parameter_wire import RemoteParameter
from .receiver import BRIDGE_ROW, FLAG_AWAY, FLAG_BEFORE, FLAG_ON_WAY, FLAG_SKIPPED, Receiver
from .remote_parameters import RemoteParameters, remote_fps
from .remote_watch import RemoteWatch
from .reports import LineReport, ParameterReport, ReceiverReport, RouterReport, SenderReport
from .router import Router
from .sender import Sender

__all__ = ["BRIDGE_ROW", "FLAG_AWAY", "FLAG_BEFORE", "FLAG_ON_WAY", "FLAG_SKIPPED", "Allow", "Certificate",
           "FetchReport", "LineReport", "Links", "Login", "Options", "ParameterOffer",
           "ParameterReport", "Receiver", "ReceiverReport", "RemoteParameter", "RemoteParameters",
           "RemoteRecording", "RemoteStream", "RemoteWatch", "Router", "RouterReport", "Sender",
           "SenderReport", "Tls", "directory", "fetch", "links_of", "list_certificates", "make_certificates",
           "offer_of", "recordings", "remote_fps"]  # fmt: skip
