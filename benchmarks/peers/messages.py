"""What a message of 100 bytes costs between two processes, beside other ways in the same run.

    python -m benchmarks.peers.messages [--quick]

For each way: the call that hands a message over, in batches of 8 that the second process empties, and a
round trip to a second process that sends each message back. All ways in turn, round after round; the lowest
of the medians of the rounds. Those that sleep until a message comes and those that watch for it are told
apart. Ways that are not installed are named and left out.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import multiprocessing
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pymilk.channels import CommandQueue, MessageLog

from .peer import not_installed, poll

DATA = bytes(range(100))

#: Messages that are handed over before they are taken again: fewer than each way holds.
BATCH = 8

SPAWN = multiprocessing.get_context("spawn")


@dataclass
class Ends:
    """One side of a way: how it sends, and how it waits for what the other side sends."""

    send: Callable[[bytes], object]
    receive: Callable[[], object]


@contextlib.contextmanager
def log_ends(shared: dict[str, Any], ours: bool) -> Iterator[Ends]:
    """A MessageLog in each direction."""
    out, back = ("ask", "answer") if ours else ("answer", "ask")
    with MessageLog.create(out, 1 << 20, replace=True) as log:
        shared["meet"].wait()
        with MessageLog.attach(back, start="oldest") as reader:
            shared["meet"].wait()
            yield Ends(log.append, lambda: reader.read().data)


@contextlib.contextmanager
def pipe_ends(shared: dict[str, Any], ours: bool) -> Iterator[Ends]:
    """multiprocessing.Pipe."""
    connection = shared["pipe"][0 if ours else 1]
    yield Ends(connection.send_bytes, connection.recv_bytes)


@contextlib.contextmanager
def queue_ends(shared: dict[str, Any], ours: bool) -> Iterator[Ends]:
    """multiprocessing.Queue."""
    out, back = shared["queues"] if ours else shared["queues"][::-1]
    yield Ends(out.put, back.get)


@contextlib.contextmanager
def posix_ends(shared: dict[str, Any], ours: bool) -> Iterator[Ends]:
    """posix_ipc.MessageQueue."""
    import posix_ipc

    names = [f"/{shared['name']}-{end}" for end in ("ask", "answer")]
    queues = [
        posix_ipc.MessageQueue(name, posix_ipc.O_CREAT, max_messages=10, max_message_size=len(DATA))
        for name in names
    ]
    shared["meet"].wait()
    out, back = queues if ours else queues[::-1]
    yield Ends(out.send, lambda: back.receive()[0])
    for queue, name in zip(queues, names, strict=True):
        queue.close()
        if ours:
            posix_ipc.unlink_message_queue(name)


@contextlib.contextmanager
def zmq_ends(shared: dict[str, Any], ours: bool) -> Iterator[Ends]:
    """pyzmq, PAIR over ipc."""
    import zmq

    with zmq.Context() as context, context.socket(zmq.PAIR) as socket:
        address = f"ipc://{shared['folder']}/pair"
        if ours:
            socket.bind(address)
        else:
            socket.connect(address)
        shared["meet"].wait()
        yield Ends(socket.send, socket.recv)


@contextlib.contextmanager
def iceoryx_ends(shared: dict[str, Any], ours: bool) -> Iterator[Ends]:
    """iceoryx2: publish and subscribe, asked again and again."""
    import iceoryx2

    iceoryx2.set_log_level(iceoryx2.LogLevel.Error)
    node = iceoryx2.NodeBuilder.new().create(iceoryx2.ServiceType.Ipc)
    services = [
        node.service_builder(iceoryx2.ServiceName.new(f"{shared['name']}-{end}"))
        .publish_subscribe(iceoryx2.Slice[ctypes.c_uint8])
        .subscriber_max_buffer_size(2 * BATCH)
        .open_or_create()
        for end in ("ask", "answer")
    ]
    out, back = services if ours else services[::-1]
    publisher: Any = out.publisher_builder().initial_max_slice_len(len(DATA)).create()
    subscriber: Any = back.subscriber_builder().buffer_size(2 * BATCH).create()
    shared["meet"].wait()
    found: list[Any] = []

    def send(data: bytes) -> None:
        sample = publisher.loan_slice_uninit(len(DATA))
        ctypes.memmove(sample.payload_ptr, data, len(DATA))
        sample.assume_init().send()

    def there() -> bool:
        sample = subscriber.receive()
        if sample is None:
            return False
        found[:] = [ctypes.string_at(sample.payload_ptr, len(DATA))]
        return True

    def receive() -> bytes:
        if not poll(there, 60):
            raise RuntimeError("iceoryx2 lost a message")
        data: bytes = found[0]
        return data

    yield Ends(send, receive)
    shared["meet"].wait()


WAYS: dict[str, tuple[Any, str, str]] = {
    "pymilk MessageLog": (log_ends, "", ""),
    "multiprocessing.Pipe": (pipe_ends, "", ""),
    "multiprocessing.Queue": (queue_ends, "", ""),
    "posix_ipc.MessageQueue": (posix_ends, "posix_ipc", "pip install '.[bench]'"),
    "pyzmq PAIR, ipc": (zmq_ends, "zmq", "pip install '.[bench]'"),
    "iceoryx2, watching": (iceoryx_ends, "iceoryx2", "pip install '.[bench]'"),
}


def echo(way: str, shared: dict[str, Any], count: int, batches: int) -> None:
    """Be the second process: take batches, then send messages back."""
    with WAYS[way][0](shared, False) as ends:
        for _ in range(batches):
            for _ in range(BATCH):
                ends.receive()
            ends.send(DATA)
        for _ in range(count):
            ends.receive()
            ends.send(DATA)


def times_us(way: str, folder: str, count: int, batches: int) -> tuple[float, float]:
    """Return the medians of a call that sends and of a round trip, in microseconds."""
    shared: dict[str, Any] = {
        "folder": folder, "name": f"pymilk-bench-{os.getpid()}", "meet": SPAWN.Barrier(2),
        "pipe": SPAWN.Pipe(), "queues": [SPAWN.Queue(), SPAWN.Queue()],
    }  # fmt: skip
    child = SPAWN.Process(target=echo, args=(way, shared, count, batches))
    child.start()
    sends, trips = [], []
    with WAYS[way][0](shared, True) as ends:
        for _ in range(batches):
            began = time.perf_counter()
            for _ in range(BATCH):
                ends.send(DATA)
            sends.append((time.perf_counter() - began) / BATCH)
            ends.receive()
        for _ in range(count):
            began = time.perf_counter()
            ends.send(DATA)
            ends.receive()
            trips.append(time.perf_counter() - began)
    child.join()
    assert child.exitcode == 0, f"{way}: the second process ended with {child.exitcode}"
    return statistics.median(sends) * 1e6, statistics.median(trips) * 1e6


def serve(spin: float) -> None:
    """Be the second process of a call."""
    with CommandQueue.attach("calls", spin=spin) as queue:
        queue.serve(lambda data: data)


def call_us(spin: float, count: int) -> float:
    """Return the median of a call through a CommandQueue, in microseconds."""
    with CommandQueue.create("calls", spin=spin, replace=True) as queue:
        child = SPAWN.Process(target=serve, args=(spin,))
        child.start()
        queue.call(DATA, 60)
        trips = []
        for _ in range(count):
            began = time.perf_counter()
            queue.call(DATA, 60)
            trips.append(time.perf_counter() - began)
        queue.remove()
        child.join()
    return statistics.median(trips) * 1e6


def main() -> None:
    """Print the machine, and a row for each way."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.messages", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke test: few repetitions")
    rounds, count, batches = (1, 50, 5) if parser.parse_args().quick else (5, 3000, 300)
    absent = {way: not_installed(needs, remedy) for way, (_, needs, remedy) in WAYS.items() if needs}
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}; {len(DATA)} bytes")
    for way, why in absent.items():
        if why:
            print(f"  {way}: {why}")
    with tempfile.TemporaryDirectory(prefix="pymilk-bench-", dir="/dev/shm") as folder:
        os.environ["MILK_SHM_DIR"] = folder
        found: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS if not absent.get(way)}
        calls: dict[str, list[float]] = {"sleeping": [], "watching": []}
        for _ in range(rounds):
            for way, times in found.items():
                times.append(times_us(way, folder, count, batches))
            for how, spin in (("sleeping", 2e-6), ("watching", 0.01)):
                calls[how].append(call_us(spin, count))
    ours = min(trip for _, trip in found["pymilk MessageLog"])
    for way, times in found.items():
        send, trip = (min(each[column] for each in times) for column in (0, 1))
        print(f"  {way:30} send {send:7.2f} us, round trip {trip:8.1f} us = {trip / ours:5.2f} of ours")
    for how, trips in calls.items():
        print(f"  {'pymilk CommandQueue, ' + how:30} {'':16} call {min(trips):15.1f} us")


if __name__ == "__main__":
    main()
