"""Channels: what goes with frames between processes, in files of the stream directory."""

from .commands import Command, CommandQueue, Reply, Ticket
from .formats import AudioFormat, VideoFormat
from .media import AudioBlock, AudioStream, VideoFrame, VideoStream
from .messages import Batch, Message, MessageLog
from .states import Changes, Entry, SharedState
from .table import Rows, Table

__all__ = ["AudioBlock", "AudioFormat", "AudioStream", "Batch", "Changes", "Command", "CommandQueue",
           "Entry", "Message", "MessageLog", "Reply", "Rows", "SharedState", "Table", "Ticket",
           "VideoFormat", "VideoFrame", "VideoStream"]  # fmt: skip
