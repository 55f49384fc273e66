"""``pymilk record``, as a user runs it, beside a camera in a second process."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from pymilk import SHM, load
from support.children import Child, ended
from support.commands import run

pytest.importorskip("click", reason="extra cli")
pytest.importorskip("rich", reason="extra cli")

#: Publishes frames of which every pixel is the number, at 1 kHz, until it is told to end.
CAMERA = """
import sys, threading
import numpy as np
from pymilk import SHM
with SHM(sys.argv[1], ((8, 8), np.uint32), ring=1024) as shm:
    print("ready", flush=True)
    end = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), end.set()), daemon=True).start()
    number = 1
    while not end.is_set():
        frames = np.arange(number + 1, number + 21, dtype=np.uint32).repeat(64).reshape(20, 8, 8)
        shm.set_many(frames, rate=1000)
        number += 20
    shm.destroy()
"""


@pytest.fixture
def camera(spawn: Callable[..., Child]) -> Callable[..., Child]:
    def start(name: str = "cam") -> Child:
        child = spawn(CAMERA, name)
        child.expect("ready")
        return child

    return start


@pytest.fixture
def command(
    start_command: Callable[..., subprocess.Popen[str]],
) -> Callable[..., subprocess.Popen[str]]:
    return partial(start_command, "record")


def check(path: Path, count: int | None = None) -> int:
    with load(path) as loaded:
        frames, info = np.asarray(loaded.frames), loaded.info
        assert info is not None
        assert loaded.complete
        assert count in (None, len(frames))
        assert (frames == info["cnt0"][:, np.newaxis, np.newaxis]).all()
        return len(frames)


@pytest.mark.parametrize("suffix", ["npy", "fits"])
def test_frames(
    suffix: str, camera: Callable[..., Child], command: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    if suffix == "fits":
        pytest.importorskip("astropy", reason="extra fits")
    camera()
    status, out, err = ended(command("cam", "-o", f"cam.{suffix}", "-n", 100))
    assert status == 0, err
    assert "100 of 100" in out
    assert "recording cam" in err
    check(tmp_path / f"cam.{suffix}", 100)


def test_seconds_and_json(
    camera: Callable[..., Child], command: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    camera()
    status, out, err = ended(command("cam", "-o", "cam.npy", "--seconds", 0.2, "--json"))
    assert (status, err) == (0, "")
    report = json.loads(out)
    assert report["streams"]["cam"]["ended"] == "time"
    assert check(tmp_path / "cam.npy") == report["recorded"] > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("until", ["--until-stopped", "--frames=1000000"])
def test_stopped(
    number: int,
    until: str,
    camera: Callable[..., Child],
    command: Callable[..., subprocess.Popen[str]],
    tmp_path: Path,
) -> None:
    camera()
    process = command("cam", "-o", "cam.npy", until)
    while not (tmp_path / "cam.npy").exists() or len(load(tmp_path / "cam.npy")) < 20:
        assert process.poll() is None
    process.send_signal(number)
    status, out, err = ended(process)
    assert status == (0 if until == "--until-stopped" else 130), err
    assert "stopped" in out
    assert "Traceback" not in err
    assert check(tmp_path / "cam.npy") >= 20


def test_hang_up_under_nohup(
    camera: Callable[..., Child], command: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    def nohup() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    camera()
    process = command("cam", "-o", "cam.npy", "--until-stopped", preexec_fn=nohup)
    while not (tmp_path / "cam.npy").exists() or len(load(tmp_path / "cam.npy")) < 5:
        assert process.poll() is None
    process.send_signal(signal.SIGHUP)
    seen = len(load(tmp_path / "cam.npy"))
    while len(load(tmp_path / "cam.npy")) < seen + 100:
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == 0
    check(tmp_path / "cam.npy")


def test_two_streams_and_numbered_files(
    camera: Callable[..., Child], command: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    camera("a")
    camera("b")
    options = ("-n", 50, "--max-frames-per-file", 20, "--json")
    status, out, err = ended(command("a", "b", "-o", "{stream}.npy", *options))
    assert (status, err) == (0, "")
    assert json.loads(out)["recorded"] == 100
    for name in ("a", "b"):
        check(tmp_path / f"{name}.npy", 50)
        assert len(list(tmp_path.glob(f"{name}_??????.npy"))) == 3


def test_existing_file(
    camera: Callable[..., Child], command: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    camera()
    (tmp_path / "cam.npy").write_text("precious")
    status, _, err = ended(command("cam", "-o", "cam.npy", "-n", 5))
    assert status == 1
    assert err.startswith("pymilk: ")
    assert "exists already" in err
    assert (tmp_path / "cam.npy").read_text() == "precious"
    status, _, err = ended(command("cam", "-o", "cam.npy", "-n", 5, "--force"))
    assert status == 1
    assert "is no recording of pymilk (text)" in err
    assert (tmp_path / "cam.npy").read_text() == "precious"
    (tmp_path / "cam.npy").unlink()
    for frames, force in ((3, ()), (5, ("--force",))):
        assert ended(command("cam", "-o", "cam.npy", "-n", frames, *force))[0] == 0
        check(tmp_path / "cam.npy", frames)


def test_silent_stream(command: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    with SHM("cam", ((8, 8), np.uint32)) as shm:
        status, out, err = ended(command("cam", "-o", "cam.npy", "-n", 5, "--timeout", 0.05))
        assert status == 1
        assert "0 of 5" in out
        assert "no new frame" in err
        shm.destroy()
    # Nothing is left that would be in the way of the next try.
    assert list(tmp_path.iterdir()) == []


def test_progress_in_a_terminal(
    camera: Callable[..., Child], command: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    camera()
    master, slave = pty.openpty()
    process = command("cam", "-o", "cam.npy", "-n", 300, stderr=slave)
    os.close(slave)
    seen = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:  # what Linux says at the end of a terminal
            break
        if not piece:
            break
        seen += piece
    os.close(master)
    assert process.wait(60) == 0
    text = seen.decode()
    assert "300/300 frames" in text
    assert "0 lost" in text
    check(tmp_path / "cam.npy", 300)


def test_closed_pipe(camera: Callable[..., Child], command: Callable[..., subprocess.Popen[str]]) -> None:
    camera()
    process = command("cam", "-o", "cam.npy", "-n", 20)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    err = process.stderr.read()
    process.wait(60)
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["-o", "x.npy"], 2, "--until-stopped"),
        (["-o", "x.npy", "--until-stopped", "-n", "5"], 2, "no other end"),
        (["-n", "5"], 2, "--output"),
        (["-o", "x.npy", "-n", "0"], 2, "frames"),
        (["-o", "x.tif", "-n", "5"], 1, "suffix"),
        (["-o", "no/such/x.npy", "-n", "5"], 1, "no directory"),
        (["-o", "x.npy", "-n", "5", "--compress"], 1, "compress"),
    ],
)
def test_wrong_usage(
    arguments: list[str],
    status: int,
    words: str,
    command: Callable[..., subprocess.Popen[str]],
    tmp_path: Path,
) -> None:
    with SHM("cam", ((8, 8), np.uint32)) as shm:
        found, _, err = ended(command("cam", *arguments))
        shm.destroy()
    assert found == status
    assert words in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_help(command: Callable[..., subprocess.Popen[str]]) -> None:
    status, out, _ = ended(command("--help"))
    assert status == 0
    assert "Example: pymilk record" in out
    assert ended(command("none", "-o", "x.npy", "-n", 1))[0] == 1


def test_names_and_headers_of_a_night(camera: Callable[..., Child], tmp_path: Path) -> None:
    camera()
    header = tmp_path / "night.toml"
    header.write_text('TELESCOP = "Subaru"\nEXPTIME = [0.5, "seconds"]\n')
    said = run(
        "record", "cam", "-o", f"{tmp_path}/n/{{stream}}_{{seq:03d}}.npy", "--seconds", "1.5",
        "--header", header, "--set", "EXPTIME=2", "--set", "OBJECT=M 31", "--stats", "0.5",
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    lines = re.findall(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ cam: \d+ frames, ", said.stderr, re.M)
    assert 1 <= len(lines) <= 3
    with load(tmp_path / "n" / "cam_000.npy") as found:
        keywords = {name: value for name, value, _ in found.header["keywords"]}
    assert keywords["TELESCOP"] == "Subaru"
    assert keywords["EXPTIME"] == 2
    assert keywords["OBJECT"] == "M 31"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--set", "EXPTIME"], "--set takes KEY=VALUE"),
        (["--header", "none.toml"], "none.toml cannot be read"),
        (["--header", __file__], "is no TOML file"),
        (["--set", "A=" + chr(7)], "printable"),
    ],
)
def test_headers_that_are_none(options: list[str], words: str, make_stream, tmp_path: Path) -> None:
    make_stream("cam", (4, 4), "u2")
    said = run("record", "cam", "-o", tmp_path / "cam.npy", "-n", "1", *options)
    assert said.returncode in (1, 2)
    assert words in said.stderr
    assert "Traceback" not in said.stderr
    assert list(tmp_path.iterdir()) == []
