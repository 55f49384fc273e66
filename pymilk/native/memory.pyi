# Types of memory.pyx.
from typing import Any, final

import numpy.typing as npt
from typing_extensions import Buffer

__all__ = [
    "ArrayExporter", "Mapping", "allocate", "count_mappings", "map_shared", "prefault", "turn_copy",
]  # fmt: skip

_Array = npt.NDArray[Any]

@final
class Mapping:
    @property
    def nbytes(self) -> int: ...
    @property
    def writable(self) -> bool: ...
    @property
    def damaged(self) -> bool: ...

class ArrayExporter:
    def __buffer__(self, flags: int, /) -> memoryview: ...

def count_mappings() -> int: ...
def allocate(shape: tuple[int, ...], dtype: npt.DTypeLike) -> _Array: ...
def map_shared(fd: int, offset: int, nbytes: int, writable: bool, path: str) -> tuple[Mapping, Any]: ...
# NumPy's own stubs declare the buffer protocol from Python 3.12 on only.
def prefault(target: Buffer | npt.NDArray[Any]) -> None: ...
def turn_copy(out: _Array, source: _Array) -> None: ...
