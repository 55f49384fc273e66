"""What the doctor finds, in a directory with known troubles and on a machine that is short of things."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from pymilk import SHM
from pymilk._core import Stream
from pymilk.inspection import doctor
from pymilk.inspection.doctor import examine

#: Dies within its third frame.
DYING_WRITER = """
import os, signal, sys, numpy as np
from pymilk import Stream
stream = Stream.create(sys.argv[1], (4, 4), "u2")
for _ in range(2):
    stream.publish(np.zeros((4, 4), "u2"))
with stream.claim():
    os.kill(os.getpid(), signal.SIGKILL)
"""

#: Dies while it holds a semaphore.
DYING_READER = """
import os, signal, sys
from pymilk import Stream
stream = Stream.attach(sys.argv[1])
assert stream.sem_index is not None
os.kill(os.getpid(), signal.SIGKILL)
"""


def about(topic: str) -> list[dict[str, str]]:
    return [finding for finding in examine() if finding["topic"] == topic]


def test_healthy_directory(make, shm_dir):
    make("cam", ((4, 4), "u2"))
    findings = examine()
    assert {finding["topic"] for finding in findings} >= {"directory", "room", "memory", "streams", "time"}
    assert [finding["found"] for finding in findings if finding["topic"] == "streams"] == ["1 usable"]
    for finding in findings:
        assert set(finding) == {"topic", "level", "found", "todo"}
        assert (finding["level"] == "ok") == (finding["todo"] == "")
        assert finding["topic"] not in ("writer", "semaphores", "left over", "file", "permission")
    assert str(shm_dir) in findings[0]["found"]


def test_troubles_of_streams(spawn, shm_dir, monkeypatch):
    monkeypatch.setattr(doctor, "_QUIET", 0.0)
    writer = spawn(DYING_WRITER, "cam")
    assert writer.finish()[0] == -signal.SIGKILL
    reader = spawn(DYING_READER, "cam")
    assert reader.finish()[0] == -signal.SIGKILL
    left = shm_dir / f".cam.{reader.pid}.0123abcd.new"
    left.write_bytes(b"x")
    (shm_dir / "text.im.shm").write_text("hello" * 1000)

    [finding] = about("writer")
    assert finding["level"] == "problem"
    assert f"cam: process {writer.pid} died within a frame" in finding["found"]
    [finding] = about("semaphores")
    assert finding["level"] == "note"
    assert f"cam: 1 held by ended processes ({reader.pid})" in finding["found"]
    [finding] = about("left over")
    assert str(left) in finding["found"]
    [finding] = about("file")
    assert "text.im.shm: not a usable stream" in finding["found"]

    # Another process goes on with the stream: it has no trouble any more.
    with SHM("cam") as shm:
        shm.set_data(np.zeros((4, 4), "u2"))
    assert about("writer") == []
    left.unlink()


def test_stale_streams_are_named(spawn, make, monkeypatch):
    monkeypatch.setattr(doctor, "_QUIET", 0.0)
    make("alive", np.zeros((4, 4), "u2"))
    code = "import sys, numpy as np\nfrom pymilk import Stream\nfor name in sys.argv[1:]:\n"
    for names, frames in ((["old", "read"], 1), (["new"], 0)):
        publish = "s.publish(np.ones((2, 2), 'u1'))" if frames else "pass"
        ended = spawn(f"{code}    s = Stream.create(name, (2, 2), 'u1'); {publish}", *names)
        assert ended.finish()[0] == 0
    with Stream.attach("read") as reader:
        assert reader.sem_index is not None
        [finding] = about("stale")
        assert finding["found"] == "1 whose writers have ended, without readers: old"
        assert finding["level"] == "note"
    monkeypatch.setattr(doctor, "_NAMED", 1)
    [finding] = about("stale")
    assert finding["found"].endswith("2 whose writers have ended, without readers: old and 1 more")


def test_frame_in_the_making_is_no_trouble(make_stream, monkeypatch):
    monkeypatch.setattr(doctor, "_QUIET", 0.0)
    stream = make_stream("cam", (4, 4), "u2")
    with stream.claim(), Stream.attach("cam", writable=False) as other:
        assert other.write
        assert about("writer") == []


@pytest.mark.parametrize(
    ("name", "value", "topic", "level"),
    [
        ("free_memory", 1_000_000, "memory", "note"),
        ("file_system_of", "ext4", "directory", "note"),
        ("huge_pages", "never", "huge pages", "note"),
        ("tai_offset", 0, "time", "note"),
        ("tai_offset", 37, "time", "ok"),
        ("huge_pages", "madvise", "huge pages", "ok"),
    ],
)
def test_machine_that_is_short_of_something(monkeypatch, name, value, topic, level):
    monkeypatch.setattr(doctor, name, lambda *_: value)
    [finding] = about(topic)
    assert finding["level"] == level


@pytest.mark.parametrize(("free", "level"), [(10**7, "problem"), (10**8, "note"), (10**9, "ok")])
def test_room(monkeypatch, free, level):
    monkeypatch.setattr(
        doctor.shutil, "disk_usage", lambda folder: SimpleNamespace(free=free, total=2 * 10**9)
    )
    [finding] = about("room")
    assert finding["level"] == level
    assert f"{free // 10**6} of 2000 MB" in finding["found"]


@pytest.mark.parametrize("error", [PermissionError(1, "no"), OSError(22, "not here")])
def test_no_real_time(monkeypatch, error):
    def refuse(*_):
        raise error

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    [finding] = about("real time")
    assert finding["found"] == "not permitted to this user"


def test_scheduling_is_as_before():
    before = os.sched_getscheduler(0), os.sched_getparam(0).sched_priority
    examine()
    assert (os.sched_getscheduler(0), os.sched_getparam(0).sched_priority) == before


def test_command(shm_dir):
    pytest.importorskip("click", reason="extra cli")
    pytest.importorskip("rich", reason="extra cli")
    (shm_dir / "text.im.shm").write_text("hello" * 1000)

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "pymilk", "doctor", *options],
            capture_output=True,
            text=True,
            timeout=100,
            env={**os.environ, "PYTHONSAFEPATH": "1"},
        )

    said = run("--json")
    findings = json.loads(said.stdout)
    assert said.returncode == any(finding["level"] == "problem" for finding in findings)
    text = run().stdout
    for finding in findings:
        assert finding["topic"] in text
    assert "-> move it elsewhere" in text
