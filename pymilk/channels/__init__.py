"""Channels: what goes with frames between processes, in files of the stream directory."""

from .messages import Batch, Message, MessageLog
from .table import Rows, Table

__all__ = ["Batch", "Message", "MessageLog", "Rows", "Table"]
