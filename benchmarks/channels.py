"""Message logs: writing, reading, in batches too, a round trip; calls of a command queue; beside a pipe.

    python benchmarks/channels.py [--quick]

Times of one message of 100 bytes. Ratios are to the same work through `multiprocessing.Pipe` in the same run.
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

import pymilk
from pymilk.channels import CommandQueue, MessageLog

DATA = b"x" * 100

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
