"""Several streams at once: captures from a common start, alignment, waiting for any."""

from .alignment import Alignment, align
from .captures import MultiCapture, capture_many
from .health import Limits, Watcher
from .report import MultiCaptureReport
from .waiting import wait_any

__all__ = [
    "Alignment",
    "Limits",
    "MultiCapture",
    "MultiCaptureReport",
    "Watcher",
    "align",
    "capture_many",
    "wait_any",
]
