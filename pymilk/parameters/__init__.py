"""Function parameters and process information: milk's files, without milk."""

from .attributes import SmartAttributesFPS
from .fps import FPS
from .graph import Graph, read_graph
from .listing import list_processes, remove_stale_processes
from .manager import FPSManager, list_fps
from .parameter import Parameter
from .process_directory import process_directories, process_directory
from .process_layout import Control, LoopState, TriggerMode, TriggerStatus
from .processinfo import ProcessInfo
from .records import Program
from .standard import StandardEntries
from .status import ProcessStatus
from .timing import Timing
from .trace import TraceEntry, TraceWriter, read_trace
from .words import MessageCode, ParameterFlag, ParameterType, Signal, Status, Timespec

__all__ = [
    "FPS", "Control", "FPSManager", "Graph", "LoopState", "MessageCode", "Parameter", "ParameterFlag",
    "ParameterType", "ProcessInfo", "ProcessStatus", "Program", "Signal", "SmartAttributesFPS", "StandardEntries",
    "Status", "Timespec", "Timing", "TraceEntry", "TraceWriter", "TriggerMode", "TriggerStatus", "list_fps",
    "list_processes", "process_directories", "process_directory", "read_graph", "read_trace",
    "remove_stale_processes",
]  # fmt: skip
