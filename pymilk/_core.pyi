# Types of the compiled core; the documentation is in _core.pyx. What is imported here is in rooms of its own.
from collections.abc import Callable, Iterable
from os import PathLike
from types import TracebackType
from typing import Any, Literal, final

import numpy.typing as npt
from typing_extensions import Buffer

from .arguments import Replace
from .native.bell import Bell as Bell
from .native.checks import checked_timeout as checked_timeout
from .native.feed import FrameFeed as FrameFeed
from .native.formats import FLAG_COUNTER_RESET as FLAG_COUNTER_RESET
from .native.formats import FLAG_COUNTER_SET as FLAG_COUNTER_SET
from .native.formats import FLAG_FROM_RING as FLAG_FROM_RING
from .native.formats import FLAG_NEW_FILE as FLAG_NEW_FILE
from .native.formats import FLAG_REPEATED_POST as FLAG_REPEATED_POST
from .native.formats import FLAG_TORN as FLAG_TORN
from .native.formats import FLAG_UNCERTAIN as FLAG_UNCERTAIN
from .native.formats import FLAG_VERIFIED as FLAG_VERIFIED
from .native.formats import FRAME_ROW as FRAME_ROW
from .native.formats import IMAGETYPES as IMAGETYPES
from .native.formats import counter_was_set as counter_was_set
from .native.header import build_info as build_info
from .native.header import header_behind as header_behind
from .native.header import read_header as read_header
from .native.keywords import Keyword as Keyword
from .native.memory import ArrayExporter as ArrayExporter
from .native.memory import Mapping as Mapping
from .native.memory import allocate as allocate
from .native.memory import frame_memory as frame_memory
from .native.memory import map_shared as map_shared
from .native.memory import prefault as prefault
from .native.memory import turn_copy as turn_copy
from .native.metadata import StreamMetadata
from .native.reader import Reader as Reader
from .native.rings import PrivateRing as PrivateRing
from .native.rings import RingCursor as RingCursor
from .native.rings import Rows as Rows
from .native.rings import Turn as Turn
from .native.waitany import wait_for_any as wait_for_any
from .system.memory import free_memory as free_memory

__all__ = [
    "FLAG_COUNTER_RESET",
    "FLAG_COUNTER_SET",
    "FLAG_FROM_RING",
    "FLAG_NEW_FILE",
    "FLAG_REPEATED_POST",
    "FLAG_TORN",
    "FLAG_UNCERTAIN",
    "FLAG_VERIFIED",
    "FRAME_ROW",
    "IMAGETYPES",
    "ArrayExporter",
    "Bell",
    "Claim",
    "FrameFeed",
    "Keyword",
    "Mapping",
    "PrivateRing",
    "Reader",
    "RingCursor",
    "Rows",
    "Stream",
    "Turn",
    "allocate",
    "build_info",
    "call_before_frame",
    "checked_timeout",
    "counter_was_set",
    "frame_memory",
    "free_memory",
    "map_shared",
    "prefault",
    "read_header",
    "turn_copy",
    "wait_for_any",
]

_Array = npt.NDArray[Any]
# NumPy's own stubs declare the buffer protocol from Python 3.12 on only.
_Memory = Buffer | npt.NDArray[Any]
_Layout = Literal["default", "dao", "writehistory", "dao+writehistory"]

@final
class Claim:
    @property
    def counter(self) -> int | None: ...
    def count_early(self) -> None: ...
    def __enter__(self) -> _Array: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

def call_before_frame(call: Callable[[Stream], object] | None) -> None: ...

@final
class Stream(StreamMetadata):
    @staticmethod
    def attach(
        name_or_path: str | PathLike[str],
        *,
        writable: bool = True,
        exclusive: bool = False,
        prefault: bool = True,
    ) -> Stream: ...
    @staticmethod
    def create(
        name_or_path: str | PathLike[str],
        shape: int | tuple[int, ...],
        dtype: npt.DTypeLike,
        *,
        nbkw: int = 50,
        nbsem: int = 10,
        imagetype: int = ...,
        cb_size: int = 0,
        mode: int | None = None,
        exist_ok: bool = True,
        location: int = -1,
        version: str = "2.00",
        layout: _Layout | None = None,
        exclusive: bool = False,
        replace: Replace | None = None,
        keywords: Iterable[Keyword | tuple[Any, ...]] = (),
    ) -> Stream: ...
    @staticmethod
    def local(
        name: str,
        shape: int | tuple[int, ...],
        dtype: npt.DTypeLike,
        *,
        nbkw: int = 50,
        nbsem: int = 10,
        imagetype: int = ...,
        cb_size: int = 0,
    ) -> Stream: ...
    @property
    def frame_counter(self) -> int: ...
    @property
    def frame_flags(self) -> int: ...
    @property
    def told(self) -> int: ...
    @property
    def closed(self) -> bool: ...
    @property
    def exclusive(self) -> bool: ...
    @property
    def writable(self) -> bool: ...
    def close(self) -> None: ...
    def __enter__(self) -> Stream: ...
    def __exit__(self, *exc: object) -> None: ...
    def destroy(self) -> None: ...
    def successor(self, timeout: float | None = 0.0) -> Stream: ...
    def view(self, *, writable: bool = False) -> _Array: ...
    def __array__(self, dtype: Any = None, copy: bool | None = None) -> _Array: ...
    def __dlpack__(self, **options: Any) -> Any: ...
    def copy_frame(self, out: _Memory) -> int: ...
    def read(self) -> tuple[_Array, int, int]: ...
    def publish(self, frame: npt.ArrayLike, *, atime_ns: int | None = None) -> int: ...
    def announce(self, *, atime_ns: int | None = None) -> int: ...
    def claim(self, *, atime_ns: int | None = None, missed: int = 0) -> Claim: ...
    def publish_many(
        self,
        frames: _Array,
        count: int | None = None,
        *,
        interval_ns: int = 0,
        atimes_ns: _Array | None = None,
    ) -> int: ...
    def publish_feed(self, feed: FrameFeed) -> None: ...
    def publish_from(
        self,
        reader: Reader,
        *,
        after: int | None = None,
        timeout: float | None = None,
        spin_ns: int = 0,
        missed: int | None = None,
    ) -> int: ...
    def reader(self) -> Reader: ...
    def ring_cursor(self) -> RingCursor | None: ...
    def free_reader(self) -> Reader: ...
    @property
    def sem_index(self) -> int | None: ...
    def take_semaphore(self, preferred: int) -> int | None: ...
    def wait(
        self, timeout: float | None = None, *, after: int | None = None, spin_ns: int = 0
    ) -> int: ...
    def try_wait(self, after: int) -> int | None: ...
    def receive(
        self,
        out: _Memory,
        info: _Array | None = None,
        *,
        timeout: float | None = 5.0,
        after: int | None = None,
        first: int = 0,
        spin_ns: int = 0,
        missed: int | None = None,
        wait_on: str = "count",
    ) -> int: ...
    def post(self, index: int | None = None) -> None: ...
    def flush(self, index: int | None = None) -> int: ...
    def sem_try_wait(self, index: int) -> bool: ...
    def sem_wait(self, index: int, timeout: float | None = None) -> bool: ...
