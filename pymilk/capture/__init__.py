"""Captures: n frames of one stream into one cube, every frame accounted for."""

from .capture import Capture, finished_capture
from .cube import destination, finish
from .report import CaptureReport, spread

__all__ = ["Capture", "CaptureReport", "destination", "finish", "finished_capture", "spread"]
