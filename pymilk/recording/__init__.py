"""Recordings: frames to disk, and back."""

from .details import is_array_file, is_recording_name, recording_details
from .frames import LazyFrames
from .headers import first_time, header_of, orientation_of
from .recorder import Recorder, record
from .recording import GAP_ROW, Recording, load
from .report import RecordReport, StreamReport
from .room import seconds_of_room
from .saving import check_save, save
from .series import part_path, parts_of, taken_by
from .several import open_mfrecording

__all__ = [
    "GAP_ROW", "LazyFrames", "RecordReport", "Recorder", "Recording", "StreamReport", "check_save",
    "first_time", "header_of", "is_array_file", "is_recording_name", "load", "open_mfrecording",
    "orientation_of", "part_path", "parts_of", "record", "recording_details", "save", "seconds_of_room",
    "taken_by",
]  # fmt: skip
