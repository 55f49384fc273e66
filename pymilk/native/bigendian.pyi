# Types of bigendian.pyx.
from typing import Any

__all__ = ["to_big_endian"]

def to_big_endian(source: Any, target: Any, itemsize: int, flip: int) -> None: ...
