# Types of the compiled room; the documentation is in counted.pyx.
from ..streams.waiting import Awaited
from ..streams.watching import Descriptor
from .file import ChannelFile

class CountedFile(ChannelFile):
    _descriptor: Descriptor | None
    def wait(self, timeout: float | None = None) -> bool: ...
    def fileno(self) -> int: ...
    def _awaited(self) -> Awaited: ...
