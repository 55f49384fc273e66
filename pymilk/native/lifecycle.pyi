# Types of lifecycle.pyx; what it offers to other compiled rooms is in lifecycle.pxd.
from ..system.living import Traces
from .file import StreamFile

__all__ = ["traces_of"]

def traces_of(file: StreamFile) -> Traces: ...
