"""Frames from one process to another over the loopback: the bridge, beside a plain TCP socket and ZeroMQ.

    python benchmarks/bridge.py [--seconds 5] [--quick] [--json]

Ways: a socket (tcp), ZeroMQ (zmq), the bridge (bridge), the bridge with certificates at both ends (tls).

A writer publishes at a steady rate; one process reads its ring and sends, another one receives. The delay
is from the time of writing to that of arrival, on one clock. Plain TCP and ZeroMQ (PUB and SUB, its usual
limits) send each frame alone behind 16 bytes with its number and time, and their receivers copy it into an
array, which is less than what the bridge does: it publishes in a stream. The ratio is that of the delays
(p99) to those of plain TCP in the same run.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
from typing import Any

import numpy as np

from pymilk import SHM, Stream, StreamTimeoutError
from pymilk.system.machine import describe

#: Name, shape, pixels, frames a second.
CASES = (
    ("2 kHz 120x120", (120, 120), "uint16", 2000),
    ("20 kHz 120x120", (120, 120), "uint16", 20000),
    ("60 Hz 8 MB", (2048, 2048), "uint16", 60),
)
WAYS = ("tcp", "zmq", "bridge", "tls")
#: Ways that are the bridge; the second one enciphers, with certificates at both ends.
BRIDGES = ("bridge", "tls")
#: Where the certificates are, for the processes of a run.
KEYS = "BENCH_BRIDGE_KEYS"
HEAD = struct.Struct("<Qq")
NAME, FAR = "bench_bridge", "bench_bridge_far"
PATIENCE = 30.0


def links_of(way: str, port: int, side: str) -> Any:
    from pymilk.bridge import Links, Tls

    if way != "tls":
        return Links(**{side: (f"tcp/127.0.0.1:{port}",)})
    files = (os.path.join(os.environ[KEYS], each) for each in ("ca.pem", "bench.pem", "bench.key"))
    return Links(**{side: (f"tls/127.0.0.1:{port}",)}, tls=Tls(*files))


def send(way: str, port: int) -> None:
    """Send all frames until stdin ends."""
    if way in BRIDGES:
        from pymilk.bridge import Sender

        with Sender((NAME,), links_of(way, port, "listen"), host="bench"):
            print("ready", flush=True)
            sys.stdin.readline()
        return
    if way == "zmq":
        import zmq

        out = zmq.Context().socket(zmq.PUB)
        out.bind(f"tcp://127.0.0.1:{port}")
    else:
        listener = socket.create_server(("127.0.0.1", port))
    print("ready", flush=True)
    if way == "tcp":
        out, _ = listener.accept()
        out.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with SHM(NAME) as shm, shm.ring_reader(wait="sleep") as ring:
        for block in ring.blocks(64, 60.0):
            for frame, row in block:
                head = HEAD.pack(row["cnt0"], row["writetime_ns"])
                if way == "zmq":
                    out.send_multipart([head, frame], copy=frame.nbytes < 65536)
                else:
                    out.sendall(head)
                    out.sendall(memoryview(frame).cast("B"))


def receive(way: str, port: int, slots: int) -> None:
    """Receive until stdin ends, or for so long; print what came."""
    if way in BRIDGES:
        from pymilk.bridge import Receiver

        with Receiver(f"bench/{NAME}", links_of(way, port, "connect"), name=FAR, ring=slots) as receiver:
            while not receiver.report.received:  # the newest frame comes at once
                time.sleep(0.01)
            print("ready", flush=True)
            sys.stdin.readline()
            rows, report = receiver.rows(), receiver.report
            told(rows["arrival_ns"] - rows["writetime_ns"], report.received, report.lost, report.on_way)
        return
    with SHM(NAME) as shm:
        cube, nbytes = np.zeros_like(shm.get_data()), shm.get_data().nbytes
    delays: list[int] = []
    numbers: list[int] = []
    taken = memoryview(cube).cast("B")
    if way == "zmq":
        import zmq

        into = zmq.Context().socket(zmq.SUB)
        into.connect(f"tcp://127.0.0.1:{port}")
        into.subscribe(b"")
        into.RCVTIMEO = 2000
    else:
        into = socket.create_connection(("127.0.0.1", port))
        into.settimeout(2)
    time.sleep(0.5)
    print("ready", flush=True)
    head = bytearray(HEAD.size)
    try:
        while True:
            if way == "zmq":
                head, pixels = into.recv_multipart(copy=False)
                taken[:] = pixels.buffer
                head = head.bytes
            else:
                for part, size in ((memoryview(head), HEAD.size), (taken, nbytes)):
                    done = 0
                    while done < size:
                        got = into.recv_into(part[done:])
                        if not got:
                            raise EOFError
                        done += got
            number, written = HEAD.unpack(head)
            delays.append(time.clock_gettime_ns(11) - written)
            numbers.append(number)
    except Exception:  # the end, in one of several ways
        if not numbers:
            raise
    told(np.array(delays[-4096:]), len(numbers), numbers[-1] - numbers[0] + 1 - len(numbers), 0)


def told(delays: np.ndarray, received: int, lost: int, on_way: int) -> None:
    """Print what a receiver saw, for the parent."""
    p50, p99 = (float(np.percentile(delays, each)) / 1e3 for each in (50, 99))
    print(json.dumps({"received": received, "lost": lost, "on_way": on_way, "p50_us": p50, "p99_us": p99,
                      "cpu_s": time.process_time()}), flush=True)  # fmt: skip


def child(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, *map(str, arguments)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    if process.stdout.readline().strip() != "ready":
        raise SystemExit(f"{arguments} did not begin")
    return process


def cpu_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(way: str, shape: tuple[int, ...], dtype: str, rate: int, seconds: float) -> dict[str, object]:
    """Send for so many seconds; returns what came, and processor time of both ends."""
    slots = max(8, min(8192, (256 << 20) // (int(np.prod(shape)) * 2)))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with SHM(NAME, (shape, dtype), ring=slots, replace=True) as shm:
        frames = np.zeros((1, *shape), dtype)
        sending = child("send", way, port)
        receiving = child("receive", way, port, slots)
        first = shm.get_counter()
        began = cpu_seconds(sending.pid)
        with Stream.attach(NAME) as stream:
            stream.publish_many(frames, int(rate * seconds), interval_ns=10**9 // rate)
        time.sleep(0.5)
        used = cpu_seconds(sending.pid) - began
        if way not in BRIDGES:
            sending.kill()
        out, _ = receiving.communicate("\n", timeout=PATIENCE)
        published = shm.get_counter() - first
        sending.kill()
        sending.communicate()
        shm.destroy()
    said = json.loads(out.splitlines()[-1])
    return {
        "way": way, "published": published, **said, "sender_cpu": used / seconds,
        "receiver_cpu": said["cpu_s"] / seconds,
    }  # fmt: skip


def line_of(found: dict) -> str:
    return (
        f"{found['case']:15} {found['way']:7} {found['published']:7} published "
        f"{found['received']:7} received {found['lost']:6} lost, {found['on_way']:6} on the way  "
        f"p50 {found['p50_us']:8.0f} us  p99 {found['p99_us']:8.0f} us  ratio {found['ratio']:5.2f}  "
        f"cores {found['sender_cpu']:.2f} + {found['receiver_cpu']:.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--quick", action="store_true", help="a fraction of a second of the first case")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as keys:
        run(options, keys)


def run(options: argparse.Namespace, keys: str) -> None:
    seconds = 0.5 if options.quick else options.seconds
    library = {"tcp": "socket", "bridge": "zenoh", "zmq": "zmq", "tls": "cryptography"}
    wanted = ("tcp", "bridge") if options.quick else WAYS
    ways = [way for way in wanted if importlib.util.find_spec(library[way])]
    if "tls" in ways:
        from pymilk.bridge import make_certificates

        os.environ[KEYS] = keys
        make_certificates(keys, {"bench": ("127.0.0.1",)})
    results = []
    for label, shape, dtype, rate in CASES[:1] if options.quick else CASES:
        plain = 0.0
        for way in ways:
            found = {"case": label, **measure(way, shape, dtype, rate, seconds)}
            plain = found["p99_us"] if way == "tcp" else plain
            found["ratio"] = found["p99_us"] / plain
            results.append(found)
            if not options.json:
                print(line_of(found), flush=True)
    machine = describe()
    print(json.dumps({"machine": machine, "results": results}) if options.json else f"load {machine['load']}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["send"]:
        with contextlib.suppress(StreamTimeoutError, BrokenPipeError, ConnectionResetError):
            send(sys.argv[2], int(sys.argv[3]))
    elif sys.argv[1:2] == ["receive"]:
        receive(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
