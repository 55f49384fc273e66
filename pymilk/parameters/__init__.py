"""Parameters and process information of milk's programs, on their own files: `FPS` and `ProcessInfo`."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .attributes import SmartAttributesFPS as SmartAttributesFPS
    from .fps import FPS as FPS
    from .manager import FPSManager as FPSManager
    from .parameter import Parameter as Parameter
    from .standard import StandardEntries as StandardEntries
    from .words import ParameterFlag as ParameterFlag
    from .words import ParameterType as ParameterType
    from .words import Timespec as Timespec

#: Room of each name; it is opened when the name is first asked for.
_ROOMS = {
    "FPS": "fps",
    "FPSManager": "manager",
    "Parameter": "parameter",
    "ParameterFlag": "words",
    "ParameterType": "words",
    "SmartAttributesFPS": "attributes",
    "StandardEntries": "standard",
    "Timespec": "words",
}

__all__ = sorted(_ROOMS)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_ROOMS[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
