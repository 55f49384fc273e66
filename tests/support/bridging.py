"""The bridge over its engine: ports, links, and a proxy that cuts and stalls what goes through it."""

from __future__ import annotations

import atexit
import contextlib
import math
import random
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pymilk import SHM
from pymilk.bridge import Links, Receiver
from support.waiting import until

#: The kernel chooses ports for connections in this range, at any moment.
_FOR_CONNECTIONS = Path("/proc/sys/net/ipv4/ip_local_port_range")
_choice = random.SystemRandom()  # not the one that each test begins with the same seed


def free_port() -> int:
    """Return a port that nobody listens on until somebody is told to: no connection, no other test gets it.

    A name that only one socket can have stands for the port, until this process ends.
    """
    below = int(_FOR_CONNECTIONS.read_text().split()[0])
    while True:
        port = _choice.randrange(10_000, max(below, 20_000))
        taken = socket.socket(socket.AF_UNIX)
        try:
            taken.bind(f"\0pymilk-test-port-{port}")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            taken.close()
        else:
            atexit.register(taken.close)
            return port


def listening(port: int) -> Links:
    return Links(listen=(f"tcp/127.0.0.1:{port}",))


def connecting(port: int) -> Links:
    return Links(connect=(f"tcp/127.0.0.1:{port}",))


def start_all(stack: contextlib.ExitStack, *made: Any) -> tuple[Any, ...]:
    """Start senders, receivers, routers at once, until the stack ends: each takes half a second to begin."""
    with ThreadPoolExecutor(len(made)) as pool:
        for each in pool.map(lambda each: each.start(), made):
            stack.enter_context(contextlib.closing(each))
    return made


def check_account(receiver: Receiver, source: SHM) -> None:
    """Wait for the newest frame; each from the first row on was received, or is counted as missing."""
    until(lambda: receiver.rows()[-1]["cnt0"] == source.get_counter())
    numbers = receiver.rows()["cnt0"]
    report = receiver.report
    assert report.received + report.lost == numbers[-1] - numbers[0] + 1


class Proxy:
    """Hands on what comes to a port of its own; `cut` ends all connections, `stall` keeps the bytes.

    Parameters
    ----------
    target : int
        Port to connect to.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._flowing = threading.Event()
        self._flowing.set()
        self._left = math.inf
        self._open: list[socket.socket] = []
        self._made: list[socket.socket] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self._made.append(near)
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                near.close()
                continue
            with self._lock:
                self._open += [near, far]
                self._made.append(far)
            for source, target in ((near, far), (far, near)):
                thread = threading.Thread(target=self._hand_on, args=(source, target), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _hand_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._left -= len(data)
                if self._left < 0:
                    self._flowing.clear()
                self._flowing.wait()
                target.sendall(data)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def stall(self, after: float = 0) -> None:
        """Keep the bytes, or those behind so many."""
        self._left = after or math.inf
        if not after:
            self._flowing.clear()

    def flow(self) -> None:
        self._left = math.inf
        self._flowing.set()

    def cut(self) -> None:
        with self._lock:
            opened, self._open = self._open, []
        for each in opened:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *exc: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.flow()
        self.cut()
        for thread in self._threads:
            thread.join(10)
        for each in self._made:
            each.close()
