"""The names of milk's Python binding of parameters, on pymilk's `FPS`: see `pymilk.parameters.wrapper`."""

from .parameters.wrapper import MEMBERS as _MEMBERS
from .parameters.wrapper import FPS_flags, FPS_md, FPS_status, FPS_type, fps, timespec

__all__ = ["FPS_flags", "FPS_md", "FPS_status", "FPS_type", "fps", "timespec"]

globals().update(_MEMBERS)
__all__ += list(_MEMBERS)
