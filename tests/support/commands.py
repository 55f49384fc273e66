"""Commands of pymilk in processes of their own, and what runs beside them."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from support.children import begin_command, heed_interrupts

pytest.importorskip("click", reason="extra cli")

pytest.importorskip("rich", reason="extra cli")

COMMAND = [sys.executable, "-m", "pymilk"]

#: Publishes 2000 frames a second until it is killed; or none, with 0.
WRITER = """
import sys, numpy as np
from pymilk import Stream
name, ring, rate = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
stream = Stream.create(name, (12, 16), "u2", cb_size=ring)
stream.publish(np.zeros((12, 16), "u2"))
print("ready", flush=True)
block = np.zeros((20, 12, 16), "u2")
while rate:
    stream.publish_many(block, interval_ns=10**9 // rate)
sys.stdin.readline()
"""

#: Holds a semaphore of a stream until it is told to end.
READER = """
import sys
from pymilk import Stream
stream = Stream.attach(sys.argv[1])
print(stream.sem_index, flush=True)
sys.stdin.readline()
"""


def run(*arguments: object, command: list[str] = COMMAND) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; one that is not pymilk's in a new interpreter."""
    environment = {**os.environ, "PYTHONSAFEPATH": "1", "COLUMNS": "100"}
    words = [*command, *map(str, arguments)]
    if command is not COMMAND:
        return subprocess.run(words, capture_output=True, text=True, timeout=100, env=environment)
    process = begin_command(arguments, environment)
    try:
        said = process.communicate(timeout=100)
    except BaseException:
        process.kill()
        raise
    return subprocess.CompletedProcess(words, process.wait(), *said)


@contextlib.contextmanager
def terminal(*arguments: object, columns: int = 120) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run a command in a pseudo-terminal; gives its process, and where to read what it draws."""
    ours, its = pty.openpty()
    child = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdin=its,
        stdout=its,
        stderr=its,
        env={**os.environ, "TERM": "xterm", "COLUMNS": str(columns), "LINES": "30"},
        preexec_fn=heed_interrupts,
    )
    os.close(its)
    try:
        yield child, ours
    finally:
        child.kill()
        child.wait()
        os.close(ours)


def read_until(source: int, word: bytes, count: int = 1, seconds: float = 60) -> bytes:
    """Read what is drawn until a word has come so many times."""
    said, end = b"", time.monotonic() + seconds
    while said.count(word) < count:
        ready, _, _ = select.select([source], [], [], end - time.monotonic())
        assert ready, said
        said += os.read(source, 65536)
    return said


def begin(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
        preexec_fn=heed_interrupts,
    )
