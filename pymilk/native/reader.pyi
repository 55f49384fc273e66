# Types of reader.pyx.
from typing import Any, Protocol, final

import numpy.typing as npt
from typing_extensions import Buffer

from .rings import PrivateRing

__all__ = ["Reader"]

class _Publisher(Protocol):
    # A Stream: the heart is above this room.
    def publish_from(
        self,
        reader: Reader,
        *,
        after: int | None = None,
        timeout: float | None = None,
        spin_ns: int = 0,
        missed: int | None = None,
    ) -> int: ...

@final
class Reader:
    @property
    def name(self) -> str: ...
    @property
    def received(self) -> int: ...
    @property
    def repeated(self) -> int: ...
    @property
    def last(self) -> int: ...
    @property
    def progress(self) -> int: ...
    @property
    def torn(self) -> int: ...
    @property
    def counter_set(self) -> int: ...
    @property
    def uncertain(self) -> int: ...
    @property
    def cpu_ns(self) -> int: ...
    @property
    def interval_ns(self) -> int | None: ...
    @property
    def sem_index(self) -> int | None: ...
    @property
    def closed(self) -> bool: ...
    def arm(self) -> int: ...
    def wait(
        self, timeout: float | None = None, *, after: int | None = None, spin_ns: int = 0
    ) -> int: ...
    def try_wait(self, after: int) -> int | None: ...
    def flush(self) -> int: ...
    def receive(
        self,
        out: Buffer | npt.NDArray[Any],
        info: npt.NDArray[Any] | None = None,
        *,
        timeout: float | None = 5.0,
        after: int | None = None,
        first: int = 0,
        spin_ns: int = 0,
        missed: int | None = None,
        wait_on: str = "count",
    ) -> int: ...
    def collect(
        self,
        ring: PrivateRing,
        *,
        after: int | None = None,
        timeout: float | None = None,
        spin_ns: int = 0,
        missed: int | None = None,
    ) -> int: ...
    def relay(
        self,
        target: _Publisher,
        *,
        after: int | None = None,
        timeout: float | None = None,
        spin_ns: int = 0,
        missed: int | None = None,
    ) -> int: ...
    def stop(self) -> None: ...
    def close(self) -> None: ...
