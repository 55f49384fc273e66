# Types of memory.pyx.
from typing import Any, final

import numpy as np
import numpy.typing as npt
from typing_extensions import Buffer

_Array = npt.NDArray[Any]

@final
class Mapping:
    @property
    def nbytes(self) -> int: ...
    @property
    def writable(self) -> bool: ...

class ArrayExporter:
    def __buffer__(self, flags: int, /) -> memoryview: ...

def allocate(shape: tuple[int, ...], dtype: npt.DTypeLike) -> _Array: ...
def free_memory() -> int: ...
# NumPy's own stubs declare the buffer protocol from Python 3.12 on only.
def prefault(target: Buffer | npt.NDArray[Any]) -> None: ...
def turn_copy(out: _Array, source: _Array) -> None: ...
