# Types of keywords.pyx.
from typing import NamedTuple

class Keyword(NamedTuple):
    name: str
    value: int | float | str | None
    comment: str = ""
    cnt: int | None = None
