"""Objects of the ImageStreamIOWrap interface, and their calls."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import pymilk.ImageStreamIOWrap as ISIO

Image, Image_kw, Image_md = ISIO.Image, ISIO.Image_kw, ISIO.Image_md
Make = Callable[..., Any]

#: For a second process; the name of the stream is its first argument.
OPENED = """
import sys
import numpy as np
from pymilk.ImageStreamIOWrap import Image, Image_kw
image = Image()
assert image.open(sys.argv[1]) == 0, image.last_error
print("open", flush=True)
"""


@pytest.fixture
def make() -> Iterator[Make]:
    """Make an Image that is open: of a new stream of these pixels, or of one that is there."""
    made: list[Any] = []

    def opened(name: str, buffer: Any = None, *args: Any, **options: Any) -> Any:
        image = Image()
        code = image.open(name) if buffer is None else image.create(name, buffer, *args, **options)
        assert code == 0, image.last_error
        made.append(image)
        return image

    yield opened
    for image in made:
        if image.memsize:
            image.close()


def ramp(*size: int, dtype: Any = "f4") -> Any:
    """Pixels that tell where they are, first index fastest."""
    return np.arange(math.prod(size)).astype(dtype).reshape(size, order="F")


# -- not open -----------------------------------------------------------------------------------------

CALLS: dict[str, Callable[[Any], Any]] = {
    "close": lambda image: image.close(),
    "copy": lambda image: image.copy(),
    "destroy": lambda image: image.destroy(),
    "get_kws": lambda image: image.get_kws(),
    "get_kws_list": lambda image: image.get_kws_list(),
    "getsemwaitindex": lambda image: image.getsemwaitindex(0),
    "semflush": lambda image: image.semflush(-1),
    "sempost": lambda image: image.sempost(),
    "semtimedwait": lambda image: image.semtimedwait(0, 0.01),
    "semtrywait": lambda image: image.semtrywait(0),
    "semvalue": lambda image: image.semvalue(0),
    "semwait": lambda image: image.semwait(0),
    "set_kws": lambda image: image.set_kws({}),
    "set_kws_list": lambda image: image.set_kws_list([]),
    "update": lambda image: image.update(),
    "update_atime": lambda image: image.update_atime(1.0),
    "view": lambda image: image.view(),
    "write": lambda image: image.write(np.zeros(3, "f4")),
}

BUFFERS: dict[str, Callable[[Any], Any]] = {
    "memoryview": memoryview,
    "np.array": np.array,
    "np.array, no copy": lambda image: np.array(image, copy=False),
    "np.asarray": np.asarray,
    "np.squeeze": np.squeeze,
    "array method": lambda image: image.__array__(),
}


# -- semaphores ---------------------------------------------------------------------------------------


def sleeps(thread: int, process: int | str = "self") -> bool:
    """Whether a thread sleeps in the kernel."""
    with open(f"/proc/{process}/task/{thread}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "S"
