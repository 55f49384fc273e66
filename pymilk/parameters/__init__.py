"""Function parameters and process information: milk's files, without milk."""

from typing import TYPE_CHECKING

from ..late import late_names

if TYPE_CHECKING:
    from .attributes import SmartAttributesFPS
    from .fps import FPS
    from .graph import Graph, read_graph
    from .listing import list_processes, remove_stale_processes
    from .manager import FPSManager, list_fps
    from .parameter import Parameter
    from .process_folders import process_directories, process_directory
    from .process_layout import Control, LoopState, TriggerMode, TriggerStatus
    from .processinfo import ProcessInfo
    from .records import Program
    from .standard import StandardEntries
    from .status import ProcessStatus
    from .stream_info import StreamRequirement
    from .timing import Timing
    from .trace import TraceEntry, read_trace
    from .trace_writer import TraceWriter
    from .words import MessageCode, ParameterFlag, ParameterType, Signal, Status, Timespec

_ROOMS = {
    "attributes": ("SmartAttributesFPS",),
    "fps": ("FPS",),
    "graph": ("Graph", "read_graph"),
    "listing": ("list_processes", "remove_stale_processes"),
    "manager": ("FPSManager", "list_fps"),
    "parameter": ("Parameter",),
    "process_folders": ("process_directories", "process_directory"),
    "process_layout": ("Control", "LoopState", "TriggerMode", "TriggerStatus"),
    "processinfo": ("ProcessInfo",),
    "records": ("Program",),
    "standard": ("StandardEntries",),
    "status": ("ProcessStatus",),
    "stream_info": ("StreamRequirement",),
    "timing": ("Timing",),
    "trace": ("TraceEntry", "read_trace"),
    "trace_writer": ("TraceWriter",),
    "words": ("MessageCode", "ParameterFlag", "ParameterType", "Signal", "Status", "Timespec"),
}

__all__ = [
    "FPS",
    "Control",
    "FPSManager",
    "Graph",
    "LoopState",
    "MessageCode",
    "Parameter",
    "ParameterFlag",
    "ParameterType",
    "ProcessInfo",
    "ProcessStatus",
    "Program",
    "Signal",
    "SmartAttributesFPS",
    "StandardEntries",
    "Status",
    "StreamRequirement",
    "Timespec",
    "Timing",
    "TraceEntry",
    "TraceWriter",
    "TriggerMode",
    "TriggerStatus",
    "list_fps",
    "list_processes",
    "process_directories",
    "process_directory",
    "read_graph",
    "read_trace",
    "remove_stale_processes",
]

__getattr__ = late_names(__name__, _ROOMS)
