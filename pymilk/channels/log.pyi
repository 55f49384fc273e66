# Types of the compiled room; the documentation is in log.pyx.
from typing import Any, final

import numpy as np

from .._types import Array
from .counted import CountedFile
from .file import HEADER_NBYTES as HEADER_NBYTES
from .file import new_header as new_header

ROW: np.dtype[Any]
TURN_S: float

def longest_record(room: int) -> int: ...

@final
class Message:
    data: bytes | str
    number: int
    time_ns: int
    lost: int
    def __init__(self) -> None: ...

class LogFile(CountedFile):
    writing: bool
    lost: int
    def __init__(
        self, fd: int, path: str, name: str, kind: int, shared: bool, writing: bool, many: bool = False
    ) -> None: ...
    @property
    def count(self) -> int: ...
    @property
    def last_ns(self) -> int: ...
    @property
    def longest(self) -> int: ...
    def append(self, data: bytes | str | bytearray | memoryview) -> int: ...
    def join_now(self) -> None: ...
    def join_oldest(self) -> None: ...
    def __next__(self) -> Message: ...
    def _go_back(self, taken: list[tuple[int, int, int, int, int]]) -> None: ...
    def read(self, timeout: float | None = None) -> Message: ...
    def _take_many(
        self, most: int, taken: list[tuple[int, int, int, int, int]]
    ) -> tuple[Array, bytes, int]: ...
