# Types of rice.pyx.
from typing import Any

__all__ = ["longest_tile", "pack_tiles", "unpack_tile"]

def longest_tile(nbytes: int, itemsize: int) -> int: ...
def pack_tiles(
    source: Any, itemsize: int, flip: int, target: Any, lengths: Any, plain: bool = False
) -> int: ...
def unpack_tile(source: Any, target: Any, itemsize: int, flip: int, block: int = 32) -> None: ...
