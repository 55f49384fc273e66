"""pyzmq: publish and subscribe over ipc."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ..peer import DTYPE, Array, Peer, Reader, Writer, not_installed

#: Places of a socket at least: room is seen late, and frames without room are dropped.
LEAST = 1000


class SocketWriter(Writer):
    """`send`; the socket keeps as many frames as asked for, and drops those beyond."""

    def __init__(self, channel: str, shape: tuple[int, int], depth: int, wait: str) -> None:
        import zmq

        self._context = zmq.Context()
        # XPUB is PUB that tells of subscriptions, so that none of the first frames is dropped.
        self._socket = self._context.socket(zmq.XPUB)
        self._socket.set_hwm(max(depth, LEAST))
        self._socket.bind(channel)

    def listen(self) -> None:
        if not self._socket.poll(10_000):
            raise RuntimeError("pyzmq: the reader did not connect within 10 s")
        self._socket.recv()

    def write(self, frame: Array) -> None:
        self._socket.send(frame)

    def close(self) -> None:
        self._context.destroy(linger=0)


class SocketReader(Reader):
    """`recv`; a view is the memory of the message."""

    def __init__(self, channel: str, shape: tuple[int, int], depth: int, wait: str) -> None:
        import zmq

        self._context = zmq.Context()
        self._socket: Any = self._context.socket(zmq.SUB)
        self._socket.set_hwm(max(depth, LEAST))
        self._socket.rcvtimeo = 10_000  # milliseconds; an error rather than a hang
        self._socket.connect(channel)
        self._socket.subscribe(b"")
        self._shape = shape

    def copy(self) -> Array:
        return np.frombuffer(bytearray(self._socket.recv(copy=False)), DTYPE).reshape(self._shape)

    def view(self) -> Array:
        return np.frombuffer(self._socket.recv(copy=False), DTYPE).reshape(self._shape)

    def next(self, timeout: float) -> Array | None:
        return self.view() if self._socket.poll(int(timeout * 1000)) else None

    def close(self) -> None:
        self._context.destroy(linger=0)


class Pyzmq(Peer):
    """One socket each."""

    key = "pyzmq"
    title = "pyzmq over ipc"
    package = "pyzmq"
    queue = True
    writer_class = SocketWriter
    reader_class = SocketReader

    def missing(self) -> str:
        return not_installed("zmq", "pip install '.[bench]'")

    def channel(self, name: str, shape: tuple[int, int], depth: int) -> Any:
        return f"ipc://{os.environ['MILK_SHM_DIR']}/{name}"


PEER = Pyzmq()
