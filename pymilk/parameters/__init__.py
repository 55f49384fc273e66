"""Function parameters and process information: milk's files, without milk. Rooms are imported when used."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .attributes import SmartAttributesFPS
    from .fps import FPS
    from .manager import FPSManager, list_fps
    from .parameter import Parameter
    from .records import Program
    from .standard import StandardEntries
    from .words import MessageCode, ParameterFlag, ParameterType, Signal, Status, Timespec

_ROOMS = {
    "attributes": ("SmartAttributesFPS",),
    "fps": ("FPS",),
    "manager": ("FPSManager", "list_fps"),
    "parameter": ("Parameter",),
    "records": ("Program",),
    "standard": ("StandardEntries",),
    "words": ("MessageCode", "ParameterFlag", "ParameterType", "Signal", "Status", "Timespec"),
}

__all__ = [
    "FPS",
    "FPSManager",
    "MessageCode",
    "Parameter",
    "ParameterFlag",
    "ParameterType",
    "Program",
    "Signal",
    "SmartAttributesFPS",
    "StandardEntries",
    "Status",
    "Timespec",
    "list_fps",
]


def __getattr__(name: str) -> Any:
    for room, names in _ROOMS.items():
        if name in names:
            found = getattr(importlib.import_module(f".{room}", __name__), name)
            globals()[name] = found
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
