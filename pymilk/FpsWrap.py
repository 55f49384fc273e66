"""The names of milk's Python binding of parameters, on pymilk's `FPS`: see `pymilk.parameters.wrapper`."""

from .parameters.wrapper import FPS_flags, FPS_md, FPS_status, FPS_type, fps, timespec

__all__ = ["FPS_flags", "FPS_md", "FPS_status", "FPS_type", "fps", "timespec"]

for _enumeration in (FPS_status, FPS_type, FPS_flags):
    globals().update(_enumeration.__members__)
