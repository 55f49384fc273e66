"""What failures cost over the bridge: a receiver that is stopped, ends that are killed and started again.

    python benchmarks/bridge_faults.py [--repeats 5] [--quick]

A camera of 120x120 uint16 at 2 kHz, a sender and two receivers, a process each, over the loopback.

1. *Stopped receiver*: one receiver is stopped (SIGSTOP) for 2 s. What the other one lost meanwhile, and the
   longest time between two of its arrivals, beside that of 2 s before.
2. *Death of the sender* (SIGKILL): how soon the receiver says so; then another one is started: how soon
   frames come again, from the start of its process and from when it is ready.
3. *Death of the receiver*: the same, with the sender's word that nobody listens.

Both ends are looked at each 2 ms. Exit code 1 if the other receiver lost a frame to the stopped one.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable

import numpy as np
from bridge import links_of

from pymilk import SimulatedCamera
from pymilk.bridge import Receiver, Sender
from pymilk.system.machine import describe

NAME, LOOK_SECONDS, PATIENCE = "bench_faults", 0.002, 30.0


def say(**what: object) -> None:
    print(json.dumps({"at": time.monotonic(), **what}), flush=True)


def watch(state: Callable[[], bool], answer: Callable[[], dict[str, object]]) -> None:
    """Say when a state changes, until stdin ends; each line of stdin is answered."""
    asked = threading.Semaphore(0)
    ended = threading.Event()

    def listen() -> None:
        for _ in sys.stdin:
            asked.release()
        ended.set()

    threading.Thread(target=listen, daemon=True).start()
    last = None
    while not ended.is_set():
        if (now := state()) != last:
            last = now
            say(state=now)
        if asked.acquire(blocking=False):
            say(**answer())
        time.sleep(LOOK_SECONDS)


def send(port: int) -> None:
    with Sender((NAME,), links_of("bridge", port, "listen"), host="bench") as sender:
        say(ready=True)
        watch(lambda: any(each.wanted for each in sender.report.streams), dict)


def receive(port: int, name: str) -> None:
    with Receiver(f"bench/{NAME}", links_of("bridge", port, "connect"), name=name, ring=8192) as receiver:
        say(ready=True)
        before = {"rows": 0, "received": 0}

        def flowing() -> bool:
            report = receiver.report
            if not report.sender:
                before["received"] = report.received
            return report.received > before["received"]

        def since() -> dict[str, object]:
            """Return the longest time between arrivals since the last question, and what was lost then."""
            rows = receiver.rows()
            rows = rows[rows["cnt0"] > before["rows"]]
            before["rows"] = int(rows["cnt0"][-1])
            longest = float(np.diff(rows["arrival_ns"]).max())
            return {"longest_ms": longest / 1e6, "lost": int(rows["lost"][1:].sum())}

        watch(flowing, since)


class Other:
    """A process of this benchmark, and what it said."""

    def __init__(self, *arguments: object) -> None:
        self.began = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, __file__, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid
        self.ready = self.hear("ready", True)

    def hear(self, what: str, value: object = None) -> dict:
        """Return the next line that says this."""
        while line := self._process.stdout.readline():
            said = json.loads(line)
            if what in said and value in (None, said[what]):
                return said
        raise SystemExit(f"{self._process.args} said nothing of {what}")

    def ask(self) -> dict:
        """Return what a receiver answers."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self.hear("longest_ms")

    def kill(self) -> float:
        """Kill it; returns when."""
        at = time.monotonic()
        self._process.kill()
        self._process.communicate()
        return at


def measure(stopped_seconds: float) -> dict[str, float]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    found = {}
    with SimulatedCamera(NAME, (120, 120), "uint16", rate=2000, ring=4096):
        sender = Other("send", port)
        one, two = (Other("receive", port, f"{NAME}_{each}") for each in (1, 2))
        for each in (one, two):
            each.hear("state", True)
        time.sleep(0.5)
        one.ask()
        time.sleep(stopped_seconds)
        before = one.ask()
        os.kill(two.pid, signal.SIGSTOP)
        time.sleep(stopped_seconds)
        meanwhile = one.ask()
        os.kill(two.pid, signal.SIGCONT)
        found["longest before, ms"] = before["longest_ms"]
        found["longest while one is stopped, ms"] = meanwhile["longest_ms"]
        found["lost by the other"] = meanwhile["lost"]
        two.kill()
        dead = sender.kill()
        found["death of the sender seen after, ms"] = 1e3 * (one.hear("state", False)["at"] - dead)
        sender = Other("send", port)
        again = one.hear("state", True)["at"]
        found["frames again after its start, ms"] = 1e3 * (again - sender.began)
        found["after it is ready, ms"] = 1e3 * (again - sender.ready["at"])
        sender.hear("state", True)
        dead = one.kill()
        found["death of the receiver seen after, ms"] = 1e3 * (sender.hear("state", False)["at"] - dead)
        one = Other("receive", port, f"{NAME}_1")
        again = one.hear("state", True)["at"]
        found["frames again after the start of another, ms"] = 1e3 * (again - one.began)
        one.kill()
        sender.kill()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="once, a fraction of a second")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        os.environ["MILK_SHM_DIR"] = folder
        seconds, repeats = (0.2, 1) if options.quick else (2.0, options.repeats)
        rounds = [measure(seconds) for _ in range(repeats)]
    for what in rounds[0]:
        values = [each[what] for each in rounds]
        print(f"{what:46} {statistics.median(values):9.1f}  ({min(values):.1f} to {max(values):.1f})")
    print(f"{len(rounds)} rounds, load {describe()['load']}")
    if any(each["lost by the other"] for each in rounds):
        raise SystemExit(1)


if __name__ == "__main__":
    if sys.argv[1:2] == ["send"]:
        send(int(sys.argv[2]))
    elif sys.argv[1:2] == ["receive"]:
        receive(int(sys.argv[2]), sys.argv[3])
    else:
        main()
