"""Channels: messages, commands, keys, rows, pictures, how long waking takes; beside pipes and plain copies.

    python benchmarks/channels.py [--quick]

Times of one message of 100 bytes, and of one row of the same size; ratios are to the same work through
`multiprocessing.Pipe` in the same run. Those of a picture of 640 x 480 bytes are to a copy of it. Times to be
woken are from before a write in another process until the reader that slept runs again.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import pymilk
from pymilk.channels import CommandQueue, MessageLog, SharedState, Table, VideoStream

DATA = b"x" * 100

#: A row of 100 bytes.
COLUMNS = [("seconds", "f8"), ("values", "f4", 23)]

#: How many channels `wait_any` waits for.
MANY = 32

#: Writes the time into a log or a stream of the reader's choice, which sleeps by then.
WAKER = """
import sys, time
import numpy as np
from pymilk import Stream
from pymilk.channels import MessageLog, SharedState
kind, count = sys.argv[1], int(sys.argv[2])
log = MessageLog.create("log0", replace=True)
stream = Stream.create("cam0", (8,), np.int64)
state = SharedState.create("state0", {"time": 0}, replace=True)
frame = np.zeros(8, np.int64)
print("ready", flush=True)
for _ in range(count):
    sys.stdin.readline()
    time.sleep(0.001)
    now = time.monotonic_ns()
    if kind == "log":
        log.append(b"%d" % now)
    elif kind == "state":
        state["time"] = now
    else:
        frame[0] = now
        stream.publish(frame)
"""

ECHO = """
import sys
from pymilk.channels import MessageLog
ask, answer = MessageLog.attach("ask"), MessageLog.create("answer")
print("ready", flush=True)
for _ in range(int(sys.argv[1])):
    answer.append(ask.read().data)
"""

SERVER = """
import sys
from pymilk.channels import CommandQueue
queue = CommandQueue.attach("queue", spin=float(sys.argv[1]))
print("ready", flush=True)
queue.serve(lambda data: data)
"""

PIPE_ECHO = """
import sys
for _ in range(int(sys.argv[1])):
    sys.stdout.buffer.write(sys.stdin.buffer.read(100))
    sys.stdout.buffer.flush()
"""


def log_times(count: int) -> dict[str, float]:
    """Return seconds a message: written, read one by one, and read in batches."""
    with MessageLog.create("log", 64 << 20, replace=True) as log, MessageLog.attach("log") as reader:
        began = time.perf_counter()
        for _ in range(count):
            log.append(DATA)
        written = time.perf_counter()
        for _ in range(count):
            reader.read(timeout=0)
        read = time.perf_counter()
        with MessageLog.attach("log", start="oldest") as other:
            total = 0
            drained = time.perf_counter()
            while total < count:
                total += len(other.read_many())
            end = time.perf_counter()
        log.remove()
    return {
        "append": (written - began) / count,
        "read": (read - written) / count,
        "read_many": (end - drained) / count,
    }


def table_times(count: int) -> dict[str, float]:
    """Return seconds a row: written one by one and in batches, and read in batches."""
    with Table.create("rows", COLUMNS, rows=count, replace=True) as table, Table.attach("rows") as reader:
        rows = np.zeros(1000, table.dtype)
        row, batches = rows[:1], max(1, count // 1000)
        began = time.perf_counter()
        for _ in range(count // 10):
            table.append(row)
        one = time.perf_counter()
        for _ in range(batches):
            table.append(rows)
        many = time.perf_counter()
        got = len(reader.read_many())
        read = time.perf_counter()
        table.remove()
    return {
        "append": (one - began) / (count // 10),
        "append_many": (many - one) / (batches * 1000),
        "read_many": (read - many) / got,
    }


def state_times(count: int, keys: int) -> dict[str, float]:
    """Return seconds to set one key of so many, to set ten in one step, to get one, and to copy all."""
    values = {f"key{number:04d}": float(number) for number in range(keys)}
    with SharedState.create("times", values, 1 << 20, replace=True) as state:
        ten, last = dict(list(values.items())[:10]), f"key{keys - 1:04d}"
        marks = [time.perf_counter()]
        work: list[tuple[str, Callable[[], object]]] = [
            ("set", lambda: state.__setitem__(last, 1.5)),
            ("update of 10", lambda: state.update(ten)),
            ("get", lambda: state[last]),
            ("as_dict", state.as_dict),
        ]
        for _, call in work:
            for _ in range(count):
                call()
            marks.append(time.perf_counter())
        state.remove()
    each = zip(work, marks, marks[1:], strict=False)
    return {name: (end - begin) / count for (name, _), begin, end in each}


def video_times(count: int) -> dict[str, float]:
    """Return seconds a picture of 640 x 480 bytes: copied, written, read as a copy, and in place."""
    picture = np.ones((480, 640), np.uint8)
    other = np.zeros_like(picture)
    times: dict[str, list[float]] = {"copy": [], "write": [], "read": [], "in_place": []}
    with (
        VideoStream.create("video", 640, 480, "gray8", replace=True) as video,
        VideoStream.attach("video") as reader,
        VideoStream.attach("video") as viewer,
    ):
        for _ in range(count):
            marks = [time.perf_counter()]
            for work in (
                lambda: np.copyto(other, picture),
                lambda: video.write(picture),
                lambda: reader.read(timeout=0),
                lambda: viewer.read(timeout=0, copy=False),
            ):
                work()
                marks.append(time.perf_counter())
            for name, begin, end in zip(times, marks, marks[1:], strict=False):
                times[name].append(end - begin)
        video.remove()
    return {name: statistics.median(each) for name, each in times.items()}


def wake_times(
    kind: str,
    wait: Callable[[Sequence[Any]], object],
    logs: Sequence[int],
    cams: Sequence[int],
    count: int,
) -> list[float]:
    """Return seconds from a write into log 0 or stream 0 until `wait`, which slept for all, returns."""
    others = [MessageLog.create(f"log{k}", 8192, replace=True) for k in logs if k]
    streams = [pymilk.Stream.create(f"cam{k}", (8,), np.int64) for k in cams if k]
    command = [sys.executable, "-c", WAKER, kind, str(count)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdout.readline()
    items = [*[MessageLog.attach(f"log{k}") for k in logs], *[pymilk.SHM(f"cam{k}") for k in cams]]
    if kind == "state":
        items = [SharedState.attach("state0")]
        items[0].read(0)
    first = items[len(logs)] if kind == "cam" else items[0]
    times = []
    for _ in range(count):
        child.stdin.write(b"\n")
        child.stdin.flush()
        wait(items)
        now = time.monotonic_ns()
        sent = (
            first.read(0).data
            if kind == "log"
            else first.read(0).values["time"]
            if kind == "state"
            else first.get_data(check=False)[0]
        )
        times.append((now - int(sent)) * 1e-9)
    child.communicate()
    for each in (*items, *others, *streams):
        each.close()
    return times


def print_wakes(count: int) -> None:
    """Print how long each kind of waiting takes to be woken."""
    everything = range(MANY)
    half = range(MANY // 2)
    rows: list[tuple[str, str, Callable[[Sequence[Any]], object], Sequence[int], Sequence[int]]] = [
        ("log.wait", "log", lambda items: items[0].wait(60), [0], []),
        ("state.wait", "state", lambda items: items[0].wait(60), [0], []),
        ("wait_any, 1 log: futex", "log", pymilk.wait_any, [0], []),
        ("wait_any, 1 stream: semaphore", "cam", pymilk.wait_any, [], [0]),
        (f"wait_any, {MANY} logs", "log", pymilk.wait_any, everything, []),
        (f"wait_any, {MANY} streams", "cam", pymilk.wait_any, [], everything),
        (f"wait_any, {MANY} mixed", "log", pymilk.wait_any, half, half),
    ]
    for name, kind, wait, logs, cams in rows:
        times = sorted(wake_times(kind, wait, logs, cams, count))
        middle, tail = (times[int(len(times) * share)] * 1e6 for share in (0.5, 0.9))
        limit = f"   limit 40.0 us  {'ok' if middle <= 40 else 'MISSED'}" if str(MANY) in name else ""
        print(f"  woken: {name:29} {middle:6.1f} us p50, {tail:.1f} us p90{limit}")


def pipe_times(count: int) -> dict[str, float]:
    """Return seconds a message through a pipe, of which one end writes while it has room."""
    there, here = multiprocessing.Pipe()
    sent = received = 0.0
    for _ in range(count // 100):
        began = time.perf_counter()
        for _ in range(100):
            there.send_bytes(DATA)
        middle = time.perf_counter()
        for _ in range(100):
            here.recv_bytes()
        sent += middle - began
        received += time.perf_counter() - middle
    count -= count % 100
    return {"append": sent / count, "read": received / count}


def round_trips(count: int) -> list[float]:
    """Return seconds of round trips through two logs and another process, each of which sleeps meanwhile."""
    with MessageLog.create("ask", replace=True) as ask:
        child = subprocess.Popen([sys.executable, "-c", ECHO, str(count)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        times = []
        with MessageLog.attach("answer") as answer:
            for _ in range(count):
                began = time.perf_counter()
                ask.append(DATA)
                answer.read(timeout=60)
                times.append(time.perf_counter() - began)
        child.wait()
        child.stdout.close()
    return times


def calls(count: int, spin: float) -> list[float]:
    """Return seconds of calls through a command queue, which watch for `spin` seconds before they sleep."""
    with CommandQueue.create("queue", spin=spin, replace=True) as queue:
        child = subprocess.Popen([sys.executable, "-c", SERVER, str(spin)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        times = []
        for _ in range(count):
            began = time.perf_counter()
            queue.call(DATA, 60)
            times.append(time.perf_counter() - began)
        queue.remove()
        child.wait()
        child.stdout.close()
    return sorted(times)


def pipe_round_trips(count: int) -> list[float]:
    """Return the same through a pipe."""
    command = [sys.executable, "-c", PIPE_ECHO, str(count)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None
    assert child.stdout is not None
    times = []
    for _ in range(count):
        began = time.perf_counter()
        child.stdin.write(DATA)
        child.stdin.flush()
        child.stdout.read(100)
        times.append(time.perf_counter() - began)
    child.communicate()
    return times


def main() -> None:
    """Print the machine and all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke test: few repetitions")
    quick = parser.parse_args().quick
    count, repeats = (2000, 3) if quick else (100_000, 7)
    print(f"{platform.processor() or platform.machine()}, Linux {platform.release()}, "
          f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}, pymilk {pymilk.__version__}")
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(prefix="pymilk-channels-", dir=memory) as folder:
        os.environ["MILK_SHM_DIR"] = folder
        ours = [log_times(count) for _ in range(repeats)]
        pipes = [pipe_times(count) for _ in range(repeats)]
        limits = {"append": 1.0, "read": 1.0, "read_many": 1.0}
        for name, limit in limits.items():
            median = statistics.median(each[name] for each in ours) * 1e6
            pipe = statistics.median(each["read" if name == "read_many" else name] for each in pipes) * 1e6
            verdict = "ok" if median <= limit else "MISSED"
            print(f"  {name:10} {median:6.3f} us a message = {median / pipe:.3f} of a pipe   "
                  f"limit {limit:.1f} us  {verdict}")
        tables = [table_times(count // 5) for _ in range(repeats)]
        for name in ("append", "append_many", "read_many"):
            median = statistics.median(each[name] for each in tables) * 1e6
            pipe = statistics.median(each["append" if "append" in name else "read"] for each in pipes) * 1e6
            print(f"  row {name:11} {median:6.3f} us a row = {median / pipe:.3f} of a pipe")
        for keys in (10, 100):
            states = [state_times(count // 10, keys) for _ in range(repeats)]
            pipe = statistics.median(each["append"] for each in pipes)
            for name in states[0]:
                median = statistics.median(each[name] for each in states)
                what = f"state of {keys:3} keys, {name:12}"
                print(f"  {what} {median * 1e6:6.2f} us = {median / pipe:.2f} of a pipe")
        videos = [video_times(count // 100) for _ in range(repeats)]
        for name in ("write", "read", "in_place"):
            median = statistics.median(each[name] for each in videos) * 1e6
            ratio = statistics.median(each[name] / each["copy"] for each in videos)
            print(f"  picture {name:8} {median:6.1f} us = {ratio:.2f} of a copy")
        print_wakes(count // 100)
        trips, others = sorted(round_trips(count // 20)), sorted(pipe_round_trips(count // 20))
        middle, tail = (trips[int(len(trips) * share)] * 1e6 for share in (0.5, 0.99))
        other = others[len(others) // 2] * 1e6
        print(f"  round trip {middle:6.1f} us p50, {tail:.1f} us p99 = {middle / other:.2f} of a pipe   "
              f"limit 25.0 us  {'ok' if middle <= 25 else 'MISSED'}")
        for name, spin, limit in (("sleeping", 2e-6, 25.0), ("spinning", 0.01, 3.0)):
            trips = calls(count // 20, spin)
            middle, tail = (trips[int(len(trips) * share)] * 1e6 for share in (0.5, 0.99))
            print(f"  call, {name} {middle:6.1f} us p50, {tail:.1f} us p99, "
                  f"{trips[0] * 1e6:.1f} us least = {middle / other:.2f} of a pipe   "
                  f"limit {limit} us  {'ok' if middle <= limit else 'MISSED'}")


if __name__ == "__main__":
    main()
