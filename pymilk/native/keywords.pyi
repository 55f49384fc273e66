# Types of keywords.pyx.
from typing import NamedTuple

__all__ = ["Keyword"]

class Keyword(NamedTuple):
    name: str
    value: int | float | str | None
    comment: str = ""
    cnt: int | None = None
