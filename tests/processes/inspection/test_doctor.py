"""What the doctor finds where processes have died."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from pymilk import SHM
from pymilk._core import Stream
from pymilk.inspection import doctor
from support.findings import about

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
