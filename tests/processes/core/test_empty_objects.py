"""Objects that were made without a call of their class never end the process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Spawn = Callable[..., Any]

#: What object-copying protocols may do; none of it may end the process.
EMPTY_OBJECTS = """
from pymilk._core import Claim, PrivateRing, Reader, RingCursor, Stream
for cls in (Stream, Reader, Claim, PrivateRing, RingCursor):
    try:
        empty = cls.__new__(cls)
    except TypeError:
        continue
    for name in dir(empty):
        if name in ("__enter__", "__exit__") or not name.startswith("_"):
            for arguments in ((), (1,), (None, None, None)):
                try:
                    getattr(empty, name)(*arguments)
                except Exception:
                    pass
print("alive")
"""


def test_empty_objects_do_not_crash(spawn: Spawn) -> None:
    assert spawn(EMPTY_OBJECTS).finish() == (0, "alive\n", "")
