# Types of header.pyx.
from os import PathLike
from typing import Any, final

__all__ = ["build_info", "read_header"]

@final
class Snapshot: ...

def build_info() -> dict[str, Any]: ...
def read_header(name_or_path: str | PathLike[str]) -> dict[str, Any]: ...
