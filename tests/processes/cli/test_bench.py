"""``pymilk bench``, as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pymilk.bench import Benchmark
from pymilk.bench import sweep as bench
from support.bench_points import TINY
from support.children import heed_interrupts

pytest.importorskip("click", reason="extra cli")
pytest.importorskip("rich", reason="extra cli")

COMMAND = [sys.executable, "-m", "pymilk", "bench"]
SHORT = ("--rates", "1000", "--shape", "16x16", "--seconds", "0.05", "--depth", "64")


def start(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONSAFEPATH": "1", "COLUMNS": "150"},
        start_new_session=True,
        preexec_fn=heed_interrupts,
    )


def run(*arguments: object) -> tuple[int, str, str]:
    child = start(*arguments)
    try:
        out, err = child.communicate(timeout=60)
    finally:
        child.kill()
    return child.returncode, out, err


def test_command_prints_a_table_and_a_verdict(shm_dir: Path) -> None:
    code, out, err = run(*SHORT)
    assert code == 0, err
    assert "16x16 uint16" in out
    assert "held up ms" in out
    assert "\x1b" not in out
    assert out.isascii()
    for source in bench.SOURCES:
        assert any(line.startswith(f"{source}: ") for line in out.splitlines())
    assert "4 points, about" in err
    assert list(shm_dir.iterdir()) == []


def test_command_as_json_with_a_picture(shm_dir: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="extra plot")
    picture = tmp_path / "bench.png"
    code, out, err = run(*SHORT, "--source", "plain", "--source", "fast", "--json", "--plot", picture)
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert [point["source"] for point in found["points"]] == ["plain", "fast"]
    assert found["agreed"] is True
    assert len(found["latency_edges_us"]) == len(found["points"][0]["latency_counts"]) + 1
    assert found["options"]["shapes"] == [[16, 16]]
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 20_000


def test_command_interrupted_shows_what_it_has(shm_dir: Path) -> None:
    child = start(*SHORT, "--json", "--source", "plain", "--source", "fast", "--seconds", "60")
    try:
        while not list(shm_dir.glob("*/*.im.shm")):
            assert child.poll() is None
            time.sleep(0.01)
        began = time.monotonic()
        os.killpg(child.pid, signal.SIGINT)
        out, err = child.communicate(timeout=60)
        took = time.monotonic() - began
    finally:
        child.kill()
    assert child.returncode == 130
    assert err == "pymilk: interrupted\n"
    assert json.loads(out)["points"] == []
    assert took < 30  # of the 120 that were left
    assert list(shm_dir.iterdir()) == []


def test_interrupt_keeps_the_points_that_are_complete(shm_dir: Path) -> None:
    benchmark = Benchmark(**{**TINY, "sources": ["plain", "fast"]})

    def interrupt(share: float, text: str) -> None:
        if benchmark.result.points:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        benchmark.run(interrupt)
    assert [point.source for point in benchmark.result.points] == ["plain"]
    assert "plain: " in str(benchmark.result)
    assert list(shm_dir.iterdir()) == []


@pytest.mark.parametrize("begins", [False, True])
@pytest.mark.parametrize("name", ["pymilk-bench-reader", "pymilk-bench-busy"])
def test_interrupt_while_a_thread_is_started(
    shm_dir: Path, monkeypatch: pytest.MonkeyPatch, name: str, begins: bool
) -> None:
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        if thread.name != name or begins:
            start(thread)
        if thread.name == name:
            raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Benchmark(**TINY, sources=["plain"], busy=True).run()
    assert list(shm_dir.iterdir()) == []


def test_killed_command_leaves_nothing_behind(shm_dir: Path) -> None:
    child = start("--rates", "1000", "--shape", "16x16", "--seconds", "60", "--source", "plain")
    try:
        while not list(shm_dir.glob("*/*.im.shm")):
            assert child.poll() is None
            time.sleep(0.01)
    finally:
        child.kill()
        child.communicate()
    deadline = time.monotonic() + 30
    while list(shm_dir.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert list(shm_dir.iterdir()) == []
