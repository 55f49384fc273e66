"""Function parameters and process information: milk's files, without milk."""

from .graph import Graph, read_graph
from .listing import list_processes, remove_stale_processes
from .process_directory import process_directories, process_directory
from .process_layout import Control, LoopState, TriggerMode, TriggerStatus
from .processinfo import ProcessInfo
from .status import ProcessStatus
from .timing import Timing
from .trace import TraceEntry, TraceWriter, read_trace

__all__ = [
    "Control", "Graph", "LoopState", "ProcessInfo", "ProcessStatus", "Timing", "TraceEntry", "TraceWriter",
    "TriggerMode", "TriggerStatus", "list_processes", "process_directories", "process_directory",
    "read_graph", "read_trace", "remove_stale_processes",
]  # fmt: skip
