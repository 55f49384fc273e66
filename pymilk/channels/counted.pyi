# Types of the compiled room; the documentation is in counted.pyx.
from ..streams.waiting import Awaited
from .file import ChannelFile

class CountedFile(ChannelFile):
    def wait(self, timeout: float | None = None) -> bool: ...
    def _awaited(self) -> Awaited: ...
