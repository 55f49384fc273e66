# Types of the compiled room; the documentation is in trace_writer.pyx.
from .._core import Stream

class TraceWriter:
    @property
    def writes(self) -> bool: ...
    def __init__(self, output: Stream, source: Stream) -> None: ...
    def write(
        self, started_ns: int, updated_ns: int, counter: int, semaphore: int, older: bytes | None = None
    ) -> None: ...
