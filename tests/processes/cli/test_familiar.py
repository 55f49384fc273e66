"""Commands of existing scripts, and commands with closed pipes, full disks and Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.children import heed_interrupts

pytest.importorskip("click", reason="extra cli")

pytest.importorskip("rich", reason="extra cli")

from pymilk import SHM
from pymilk._core import Stream
from pymilk.cli.commands import familiar
from support.calling import call
from support.commands import COMMAND, run


def script(name: str) -> list[str]:
    path = Path(sys.executable).with_name(name)
    assert path.exists(), f"the script {name} is not installed"
    return [str(path)]


def test_creashmim(shm_dir):
    arguments = ("cam", 4, 6, "--type=i16", "--kw=3")
    said = run(*arguments, command=script("creashmim"))
    assert (said.returncode, said.stderr) == (0, "")

    def again(*options: str) -> None:
        assert call(*arguments, *options, command=familiar.creashmim).returncode == 0

    with SHM("cam") as shm:
        assert (shm.shape, shm.nptype) == ((4, 6), np.int16)
        shm.set_data(np.full((4, 6), 5, np.int16))
        again()
        assert shm.get_data().min() == 5  # kept as it was
        again("-z")
        assert shm.get_data().max() == 0
        inode = os.stat(shm.FILEPATH).st_ino
        for option in ("--force", "--del"):
            again(option)
            assert os.stat(shm.FILEPATH).st_ino != inode
            inode = os.stat(shm.FILEPATH).st_ino
    assert call("cam", command=familiar.creashmim).returncode == 2


def test_updatekw(make_stream):
    stream = make_stream("cam", (2, 2), "u1", nbkw=3)
    said = run("cam", "GAIN", "2", command=script("updatekw"))
    assert (said.returncode, said.stderr) == (0, "")
    for key, value in (("GAIN", "-3"), ("OBJ", "HD 1")):
        assert call("cam", key, value, command=familiar.updatekw).returncode == 0
    first, second = stream.read_keywords()
    assert (first[:2], type(first.value)) == (("GAIN", -3.0), float)
    assert second[:2] == ("OBJ", "HD 1")
    assert call("nowhere", "A", "1", command=familiar.updatekw).returncode == 1


def test_commands_beside_a_live_writer_leave_it_alone(writer):
    """All at once, each in a process of its own."""
    with Stream.attach("cam") as stream:
        inode, before = stream.inode, stream.counter
        commands = [
            [*COMMAND, "kw", "cam", "GAIN=2.5", "GAIN"],
            [*COMMAND, "create", "other", "4", "5"],
            [*COMMAND, "doctor", "--json"],
            [*script("creashmim"), "cam", "12", "16", "--type=u16"],
        ]
        children = [
            subprocess.Popen(each, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for each in commands
        ]
        said = [(*child.communicate(timeout=100), child.returncode) for child in children]
        assert said[0] == ("2.5\n", "", 0)
        assert said[1] == said[3] == ("", "", 0)
        topics = {finding["topic"] for finding in json.loads(said[2][0])}
        assert not topics & {"writer", "semaphores", "left over", "stale"}
        assert stream.wait(10.0) > before
        assert stream.inode == inode
        assert not stream.replaced()
        assert [each[:2] for each in stream.read_keywords()] == [("GAIN", 2.5)]
    assert writer.process.poll() is None


@pytest.mark.parametrize("after", range(6))
def test_ctrl_c_while_it_begins(shm_dir, after):
    """From the moment on in which the package takes over from Python: quiet, at once, and never an error."""
    process = subprocess.Popen(
        [*COMMAND, "ls", "--rate", "60"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
        preexec_fn=heed_interrupts,
    )
    try:
        # Python catches the signal from its start on, and the package gives it up while it imports.
        while not catches_interrupts(process.pid):
            assert process.poll() is None
        end = time.monotonic() + 2
        while catches_interrupts(process.pid) and time.monotonic() < end:  # or we were too slow to see it
            pass
        time.sleep(after * 0.03)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert (process.returncode, out, err) in [
        (-signal.SIGINT, "", ""), (130, "", "pymilk: interrupted\n")
    ]


#: What happens at Ctrl-C, in the order in which it changed: looked at in each call of a Python function.
WATCH_CTRL_C = """
import atexit, signal, sys

said = []

def look(*_):
    handler = signal.getsignal(signal.SIGINT)
    now = {signal.SIG_DFL: "ends", signal.default_int_handler: "raises"}.get(handler, "handled")
    if said[-1:] != [now]:
        said.append(now)

def say():
    sys.setprofile(None)
    print(*said, file=sys.stderr)

atexit.register(say)
sys.setprofile(look)
"""


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ([*COMMAND, "ls"], "raises ends handled ends"),
        ([*COMMAND, "--version"], "raises ends"),
        # What a script does that imports pymilk is known once it has done so.
        (["pymilk", "ls"], "raises ends raises ends handled ends"),
        (["creashmim", "--help"], "raises ends raises ends"),
        (["shmTermshow", "--help"], "raises ends raises ends"),
        (["pymilk-exec", "--help"], "raises ends raises"),
    ],
)
def test_what_ctrl_c_does_while_a_command_begins(
    command: list[str], expected: str, tmp_path: Path, make_stream: Any
) -> None:
    make_stream("cam", (3, 4), "u2")
    (tmp_path / "sitecustomize.py").write_text(WATCH_CTRL_C)
    said = subprocess.run(
        command if len(command) > 2 else [sys.executable, *script(command[0]), *command[1:]],
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "PYTHONSAFEPATH": "1", "PYTHONPATH": str(tmp_path)},
        preexec_fn=heed_interrupts,
    )
    assert (said.returncode, said.stderr) == (0, f"{expected}\n")


def catches_interrupts(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt")).split()[1]
    return bool(int(caught, 16) >> signal.SIGINT - 1 & 1)


def test_scripts_of_others_are_interrupted_as_ever():
    code = (
        "import signal; before = signal.getsignal(signal.SIGINT); "
        "import pymilk; print(signal.getsignal(signal.SIGINT) is before)"
    )
    for argv0 in ("script.py", "pymilk"):
        said = run("-c", f"import sys; sys.argv[0] = {argv0!r}; {code}", command=[sys.executable])
        assert (said.stdout, said.stderr) == ("True\n", "")


@pytest.mark.parametrize("words", [["ls"], ["info", "cam", "--measure", "0"], ["kw", "cam"],
                                   ["doctor", "--json"], ["show", "cam", "--once"],
                                   ["completion", "bash"], ["record", "--help"]])
def test_output_that_finds_no_room(make_stream, words):
    stream = make_stream("cam", (3, 4), "u2")
    stream.write_keywords([("GAIN", 1)])
    with open("/dev/full", "w") as full:
        said = subprocess.run(
            [*COMMAND, *words], stdout=full, stderr=subprocess.PIPE, text=True, timeout=100,
            env={**os.environ, "PYTHONSAFEPATH": "1"},
        )  # fmt: skip
    assert said.returncode == 1
    assert said.stderr == "pymilk: the output cannot be written: No space left on device\n"


@pytest.mark.parametrize("words", [["ls"], ["info", "cam", "--measure", "0"], ["kw", "cam"],
                                   ["show", "cam", "--once"], ["create", "new", "3", "4"]])
def test_closed_output_goes_nowhere(make_stream, shm_dir, words):
    """Least of all into a stream that is opened next, and would have the number of the output."""
    make_stream("cam", (3, 4), "u2")
    script = f"exec {sys.executable} -P -m pymilk {' '.join(words)} >&- 2>&-"
    before = (shm_dir / "cam.im.shm").read_bytes()
    assert subprocess.run(["sh", "-c", script], timeout=100).returncode == 0
    assert (shm_dir / "cam.im.shm").read_bytes() == before


def test_missing_library_is_named():
    code = "import sys; sys.modules['rich'] = None; from pymilk.cli import updatekw; updatekw()"
    said = run("-c", code, command=[sys.executable])
    assert said.returncode == 1
    assert "pip install click rich" in said.stderr
