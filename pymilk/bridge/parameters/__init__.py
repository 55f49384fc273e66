"""Parameters (FPS) over the bridge: what is offered here, and what others offer."""

from typing import TYPE_CHECKING

from ...late import late_names

if TYPE_CHECKING:
    from .desk import ParameterDesk
    from .offer import COMMANDS, ParameterOffer
    from .remote import RemoteParameters, remote_fps
    from .watching import RemoteWatch
    from .wire import RemoteParameter

#: Rooms that are loaded with the first of their names: who only reads a configuration needs no engine.
_ROOMS = {
    "desk": ("ParameterDesk",),
    "offer": ("COMMANDS", "ParameterOffer"),
    "remote": ("RemoteParameters", "remote_fps"),
    "watching": ("RemoteWatch",),
    "wire": ("RemoteParameter",),
}

__all__ = [
    "COMMANDS", "ParameterDesk", "ParameterOffer", "RemoteParameter", "RemoteParameters", "RemoteWatch",
    "remote_fps",
]  # fmt: skip

__getattr__ = late_names(__name__, _ROOMS)
