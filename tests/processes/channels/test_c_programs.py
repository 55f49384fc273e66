"""A program in C that was written from docs/channels.md reads and appends beside pymilk."""

from __future__ import annotations

import contextlib
import subprocess
from itertools import pairwise

import pytest

from pymilk.channels import MessageLog
from support.compiling import needs_compiler
from support.paths import ROOT, TESTS

pytestmark = needs_compiler


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    target = tmp_path_factory.mktemp("c") / "message_log"
    command = ["cc", "-O2", "-Wall", "-D_GNU_SOURCE", f"-I{ROOT / 'pymilk'}", "-o", str(target)]
    subprocess.run([*command, str(TESTS / "support" / "message_log.c")], check=True)
    return str(target)


@pytest.fixture
def begin():
    """Starts a program; what still runs at the end of a test is ended."""
    with contextlib.ExitStack() as ends:

        def start(*command):
            words = list(map(str, command))
            child = ends.enter_context(subprocess.Popen(words, stdout=subprocess.PIPE, text=True))
            ends.callback(child.kill)
            return child

        yield start


def numbers(batches, start):
    return [int(text.removeprefix(start)) for batch in batches for text in batch if text.startswith(start)]


def test_what_it_appends_is_read(program, begin, shm_dir):
    with MessageLog.create("log", 1 << 16) as log:
        path = log.path
        refused = subprocess.run([program, "append", path, "1", "one", "x"], check=False, capture_output=True)
        assert b"in use" in refused.stderr
        log.append("c-1")
    with MessageLog.attach("log", start="oldest") as reader:
        assert reader.read(0).data == "c-1"
        child = begin(program, "append", path, 50_000, "one", "c")
        seen = []
        while not seen or seen[-1] != 49_999:
            message = reader.read(timeout=30)
            seen.append(int(message.data[1:]))
            assert message.number == seen[-1] + 2
        child.communicate(timeout=30)
        assert reader.lost + len(seen) == 50_000
        with MessageLog.attach("log", write=True) as log:
            assert log.append("ours") == 50_002
            assert log.abandoned == 0
        assert reader.read(timeout=30).data == "ours"


def test_it_is_woken_and_counts_what_it_missed(program, begin, shm_dir):
    with MessageLog.create("log", 8192) as log:
        log.append("before")
        child = begin(program, "read", log.path, 10_000, "now")
        assert child.stdout.readline() == "ready\n"
        for number in range(3):
            log.append(f"m{number}")
            assert child.stdout.readline() == f"{number + 2} 0 m{number}\n"
        for number in range(3, 5000):
            log.append(f"m{number}" + "." * (number % 1500))
        log.remove()
        lines = child.communicate(timeout=30)[0].splitlines()
    assert lines.pop() == "end"
    rows = [(int(number), int(lost), text) for number, lost, text in (line.split(" ", 2) for line in lines)]
    assert rows[-1][0] == 5001
    assert all(text.rstrip(".") == f"m{number - 2}" for number, _, text in rows)
    assert all(later[0] == row[0] + 1 + later[1] for row, later in pairwise([(4, 0, ""), *rows]))


def test_many_writers_of_both_kinds(program, begin, shm_dir):
    with MessageLog.create("log", 1 << 20, writers="many") as log, MessageLog.attach("log") as reader:
        children = [begin(program, "append", log.path, 1000, "many", f"c{index}-") for index in range(2)]
        for number in range(1000):
            log.append(f"py-{number}")
        for child in children:
            child.communicate(timeout=60)
            assert child.returncode == 0
        batches = [reader.read_many()]
        assert log.abandoned == 0
    for start in ("c0-", "c1-", "py-"):
        assert numbers(batches, start) == list(range(1000))


def test_one_that_is_killed_is_followed_by_another(program, begin, shm_dir):
    with MessageLog.create("log", 1 << 16) as log:
        path = log.path
    with MessageLog.attach("log") as reader:
        for _ in range(10):
            child = begin(program, "append", path, 100_000_000, "one", "c")
            first = reader.read(timeout=30)
            child.kill()
            child.communicate(timeout=30)
            batch = reader.read_many()
            assert first.data[1:].isdigit()
            while len(batch):
                assert all(text[0] == "c" and text[1:].isdigit() for text in batch)
                batch = reader.read_many()
        with MessageLog.attach("log", write=True) as log:
            number = log.append("ours")
        message = reader.read(timeout=30)
        assert (message.data, message.number, message.lost) == ("ours", number, 0)
