"""Read, write and capture ImageStreamIO shared-memory streams, with every frame accounted for.

>>> import numpy as np, pymilk
>>> with pymilk.SHM("doc_cam", ((4, 6), np.uint16), replace="if-free") as shm:  # a stream of 4 x 6 pixels
...     shm.set_data(np.ones((4, 6), np.uint16))
...     print(shm.get_data().sum())
...     shm.destroy()
24
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from ._interpreter import (
    as_command,
    as_module,
    in_main_interpreter,
    let_interrupts_kill,
    let_interrupts_raise,
    without_gil,
)
from ._version import __version__

if as_command():
    let_interrupts_kill()

if not in_main_interpreter():
    # Before the core is loaded: whichever interpreter loads it first is the only one that can.
    raise ImportError(
        "pymilk works in the main interpreter of a process only, and this is a sub-interpreter: NumPy and "
        "the compiled core keep state for the whole process. Use threads (waits and captures release the "
        "GIL), or processes with multiprocessing."
    )

try:
    from ._core import FRAME_ROW, Keyword, Reader, Stream
except ModuleNotFoundError as error:  # pragma: no branch
    if error.name != f"{__name__}._core":
        raise
    raise ImportError(
        "pymilk is not compiled: its core is missing. Most likely Python runs inside a checkout and "
        "finds the sources there instead of the installed package. Build in place with "
        "`pip install -e .`, or change to another directory."
    ) from error

if without_gil():
    # A free-threaded Python turned the GIL on when it loaded the core, unless it was told not to.
    raise ImportError(
        "pymilk works with the GIL only, and this free-threaded Python was told to leave it off. Unset "
        "PYTHON_GIL, or set it to 1, and start Python without `-X gil=0`: the GIL is then turned on when "
        "pymilk is imported. Waits and captures release it."
    )

from . import errors, times
from .axes import Which3DState
from .capture import Capture, CaptureReport
from .errors import StreamError, StreamNotFoundError, StreamTimeoutError
from .names import stream_directory
from .notebooks import set_finder
from .ring import Block, Relay, RelayReport, RingReader, RingReport
from .shm import SHM
from .streams.directory import find_stale, list_streams, remove_stale

if TYPE_CHECKING:
    from .inspection import create_stream, remove_stream, survey
    from .multi import Alignment, MultiCapture, MultiCaptureReport, capture_many, wait_any
    from .playback import Player, PlayReport, play
    from .recording import Recorder, Recording, RecordReport, load, open_mfrecording, record, save
    from .simulate import SimulatedCamera
    from .view import plot
    from .web import live

set_finder(
    lambda name: getattr(importlib.import_module(".web" if name == "live" else ".view", __name__), name)
)

if as_command() and not as_module():
    let_interrupts_raise()

__all__ = [
    "FRAME_ROW",
    "SHM",
    "Alignment",
    "Block",
    "Capture",
    "CaptureReport",
    "Keyword",
    "MultiCapture",
    "MultiCaptureReport",
    "PlayReport",
    "Player",
    "Reader",
    "RecordReport",
    "Recorder",
    "Recording",
    "Relay",
    "RelayReport",
    "RingReader",
    "RingReport",
    "SimulatedCamera",
    "Stream",
    "StreamError",
    "StreamNotFoundError",
    "StreamTimeoutError",
    "Which3DState",
    "__version__",
    "capture_many",
    "create_stream",
    "errors",
    "find_stale",
    "get_include",
    "list_streams",
    "live",
    "load",
    "open_mfrecording",
    "play",
    "plot",
    "record",
    "remove_stale",
    "remove_stream",
    "save",
    "stream_directory",
    "survey",
    "times",
    "wait_any",
]

#: Wing of each name that is imported when it is first asked for.
_LATER = {
    "Alignment": "multi",
    "MultiCapture": "multi",
    "MultiCaptureReport": "multi",
    "PlayReport": "playback",
    "Player": "playback",
    "RecordReport": "recording",
    "Recorder": "recording",
    "Recording": "recording",
    "SimulatedCamera": "simulate",
    "capture_many": "multi",
    "create_stream": "inspection",
    "live": "web",
    "load": "recording",
    "open_mfrecording": "recording",
    "play": "playback",
    "plot": "view",
    "record": "recording",
    "remove_stream": "inspection",
    "save": "recording",
    "survey": "inspection",
    "wait_any": "multi",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name in _LATER:
            found = getattr(importlib.import_module(f".{_LATER[name]}", __name__), name)
            globals()[name] = found
            return found
        if name in ("fits", "image", *_LATER.values()):
            return importlib.import_module(f".{name}", __name__)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__


def get_include() -> str:
    """Return the directory of ``ImageStruct.h``, for C programs that use the file format.

    Returns
    -------
    str
        Option of the compiler: ``-I`` and this.
    """
    return os.path.join(os.path.dirname(__file__), "include")
