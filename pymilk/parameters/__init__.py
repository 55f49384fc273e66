"""Function parameters and process information: milk's files, without milk. Rooms are imported when used."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .graph import Graph, read_graph
    from .listing import list_processes, remove_stale_processes
    from .process_directory import process_directories, process_directory
    from .process_layout import Control, LoopState, TriggerMode, TriggerStatus
    from .processinfo import ProcessInfo
    from .status import ProcessStatus
    from .timing import Timing
    from .trace import TraceEntry, TraceWriter, read_trace

_ROOMS = {
    "graph": ("Graph", "read_graph"),
    "listing": ("list_processes", "remove_stale_processes"),
    "process_directory": ("process_directories", "process_directory"),
    "process_layout": ("Control", "LoopState", "TriggerMode", "TriggerStatus"),
    "processinfo": ("ProcessInfo",),
    "status": ("ProcessStatus",),
    "timing": ("Timing",),
    "trace": ("TraceEntry", "TraceWriter", "read_trace"),
}

__all__ = [
    "Control",
    "Graph",
    "LoopState",
    "ProcessInfo",
    "ProcessStatus",
    "Timing",
    "TraceEntry",
    "TraceWriter",
    "TriggerMode",
    "TriggerStatus",
    "list_processes",
    "process_directories",
    "process_directory",
    "read_graph",
    "read_trace",
    "remove_stale_processes",
]


def __getattr__(name: str) -> Any:
    for room, names in _ROOMS.items():
        if name in names:
            found = getattr(importlib.import_module(f".{room}", __name__), name)
            globals()[name] = found
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
