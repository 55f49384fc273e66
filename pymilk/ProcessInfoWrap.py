"""The names of milk's bindings for process information, on `pymilk.parameters`: see `parameters.familiar`."""

from .parameters.familiar import processinfo, timespec

__all__ = ["processinfo", "timespec"]
