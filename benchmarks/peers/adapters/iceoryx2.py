"""iceoryx2: publish and subscribe, with an event for each frame or without."""

from __future__ import annotations

import ctypes
import math
import time
from typing import Any

import numpy as np

from ..peer import DTYPE, Array, Peer, Reader, Writer, not_installed, poll


class Side:
    """The services of one side; all objects have to go before the node does."""

    def __init__(self, channel: str, shape: tuple[int, int], depth: int) -> None:
        import iceoryx2

        iceoryx2.set_log_level(iceoryx2.LogLevel.Error)
        self.api = iceoryx2
        self.nbytes = math.prod(shape) * DTYPE.itemsize
        self.node = iceoryx2.NodeBuilder.new().create(iceoryx2.ServiceType.Ipc)
        self.frames = (
            self.node.service_builder(iceoryx2.ServiceName.new(channel))
            .publish_subscribe(iceoryx2.Slice[ctypes.c_uint8])
            .subscriber_max_buffer_size(depth)
            .subscriber_max_borrowed_samples(2)
            .enable_safe_overflow(True)
            .open_or_create()
        )
        self.bells = self.node.service_builder(iceoryx2.ServiceName.new(channel)).event().open_or_create()


class IceoryxWriter(Writer):
    """Loan, copy, send; and notify for readers that wait for events."""

    def __init__(self, channel: str, shape: tuple[int, int], depth: int, wait: str) -> None:
        self._side: Side | None = Side(channel, shape, depth)
        self._nbytes = self._side.nbytes
        self._publisher: Any = (
            self._side.frames.publisher_builder().initial_max_slice_len(self._nbytes).create()
        )
        self._notifier: Any = self._side.bells.notifier_builder().create() if wait == "event" else None

    def write(self, frame: Array) -> None:
        sample = self._publisher.loan_slice_uninit(self._nbytes)
        ctypes.memmove(sample.payload_ptr, frame.ctypes.data, self._nbytes)
        sample.assume_init().send()
        if self._notifier is not None:
            self._notifier.notify()

    def close(self) -> None:
        self._publisher = self._notifier = self._side = None


class IceoryxReader(Reader):
    """Receive; a view is the sample's own memory."""

    def __init__(self, channel: str, shape: tuple[int, int], depth: int, wait: str) -> None:
        self._side: Side | None = Side(channel, shape, depth)
        self._shape = shape
        self._type = ctypes.c_uint8 * self._side.nbytes
        self._subscriber: Any = self._side.frames.subscriber_builder().buffer_size(depth).create()
        self._listener: Any = self._side.bells.listener_builder().create() if wait == "event" else None
        self._duration = self._side.api.Duration
        self._sample: Any = None

    def _take(self) -> bool:
        self._sample = self._subscriber.receive()
        return self._sample is not None

    def _frame(self) -> Array:
        memory = self._type.from_address(self._sample.payload_ptr)
        return np.frombuffer(memory, DTYPE).reshape(self._shape)

    def copy(self) -> Array:
        return self.view().copy()

    def view(self) -> Array:
        if not self._take():
            raise RuntimeError("iceoryx2 has no frame")
        return self._frame()

    def next(self, timeout: float) -> Array | None:
        if self._listener is None:
            return self._frame() if poll(self._take, timeout) else None
        deadline = time.monotonic() + timeout
        while not self._take():
            # It may come back early, and without an event.
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self._listener.timed_wait(self._duration.from_micros(int(left * 1e6) + 1))
        return self._frame()

    def close(self) -> None:
        self._sample = self._subscriber = self._listener = self._side = None


class Iceoryx2(Peer):
    """Polled, and with events."""

    key = "iceoryx2"
    title = "iceoryx2"
    package = "iceoryx2"
    queue = True
    tasks = frozenset({"access", "latency", "live", "drain", "busy"})
    waits = ("poll", "event")
    live_waits = ("poll", "event")
    writer_class = IceoryxWriter
    reader_class = IceoryxReader

    def missing(self) -> str:
        return not_installed("iceoryx2", "pip install '.[bench]'")


PEER = Iceoryx2()
