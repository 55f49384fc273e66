"""Objects never get pixels for pointers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pymilk._core import Stream

Make = Callable[..., Stream]
Spawn = Callable[..., Any]

#: Objects, seen through something that is not an array, must never get pixels for pointers.
OBJECTS_SEEN_AS_BYTES = """
import numpy as np
from pymilk._core import Stream
from pymilk.errors import FrameMismatchError
stream = Stream.attach("cam8")
stream.publish(np.full(3, 0x4141414141414141, np.uint64))
objects = np.full((1, 3), None)
for call in (
    lambda: stream.copy_frame(objects[0]),
    lambda: stream.copy_frame(memoryview(objects[0])),
    lambda: stream.receive(objects, timeout=0, after=0),
    lambda: stream.receive(memoryview(objects), timeout=0, after=0),
):
    try:
        call()
    except FrameMismatchError as error:
        print(error.field)
print(objects.tolist())
"""


def test_read_into_objects(make_stream: Make, spawn: Spawn) -> None:
    make_stream("cam8", (3,), np.uint64)
    code, out, err = spawn(OBJECTS_SEEN_AS_BYTES).finish()
    assert (code, err) == (0, "")
    assert out.split("\n") == ["dtype"] * 4 + ["[[None, None, None]]", ""]
