# Types of reading.pyx.
from typing import Any, NamedTuple, final

import numpy as np

from .._core import Rows, Turn
from .._types import Array
from ..axes import Orientation
from ..capture import Capture

__all__ = ["FrameKind", "ReadCalls", "Reading"]

class FrameKind(NamedTuple):
    stream: str
    orientation: Orientation
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    nbytes: int

@final
class Reading:
    @property
    def cube(self) -> Array: ...
    @property
    def rows(self) -> Rows: ...
    def __new__(cls, kind: FrameKind, count: int, out: Any) -> Reading: ...
    def capture(self, done: int, duration: float = 0.0) -> Capture: ...

class ReadCalls:
    _kind: FrameKind
    _turn: Turn
    _closed: bool
    _newest: bool
    _strict: bool
    _bell: int
    def read(self, frames: int, out: Any = None, timeout: float | None = 5.0) -> Capture: ...
