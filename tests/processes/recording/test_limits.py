"""Limits of a process and of a file system: errors of pymilk, with the right reason."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import pymilk
from pymilk import SHM, Recorder
from pymilk._core import Stream
from pymilk.errors import StreamStorageError
from support.children import Child
from support.recordings import EACH_FORMAT, images, recorded

for library in ("click", "rich"):
    pytest.importorskip(library)


@pytest.fixture
def cam(make: Callable[..., SHM]) -> SHM:
    return make("cam", ((5, 7), np.uint16), ring=64)


@pytest.mark.parametrize("left", [6, 9])
@pytest.mark.parametrize("command", ["ls", "info cam", "info cam.npy", "doctor", "kw cam", "play cam.npy"])
def test_commands_without_descriptors(command: str, left: int, cam: SHM, tmp_path: Path) -> None:
    recorded(cam, tmp_path / "cam.npy", images(5))[0].close()
    done = subprocess.run(
        [sys.executable, "-m", "pymilk", *command.split()],
        capture_output=True, text=True, timeout=60, cwd=tmp_path, env={**os.environ, "PYTHONSAFEPATH": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (left, left)),
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 1)
    assert done.returncode == 0 or "pymilk: " in done.stderr


NO_MEMORY = """
import resource, sys, warnings
import numpy as np
import pymilk, pymilk.recording, pymilk.playback
from pymilk.errors import StreamError
from pymilk.recording.details import recording_details
small = pymilk.load(sys.argv[1] + "/small.npy")
lazy = pymilk.load(sys.argv[1] + "/cam.h5")
import astropy.io.fits
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 4_000_000,) * 2)
def attempt(name, call):
    try:
        call()
        print(name, "done")
    except StreamError as error:
        print(name, type(error).__name__, error)
for suffix in ("npy", "fits", "zarr"):
    attempt(suffix, lambda: np.array(pymilk.load(f"{sys.argv[1]}/cam.{suffix}").frames[:]))
attempt("lazy", lambda: lazy.frames[:])
attempt("attach", lambda: pymilk.SHM("big"))
attempt("survey", lambda: [print("entry", e["error"]) for e in pymilk.survey() if "error" in e])
attempt("capture", lambda: pymilk.SHM("cam").capture(1000))
"""


def test_no_memory(make: Callable[..., SHM], spawn: Callable[..., Child], tmp_path: Path) -> None:
    """As with ulimit -v."""
    for library in ("astropy", "h5py", "zarr"):
        pytest.importorskip(library)
    cam = make("cam", ((256, 256), np.uint16), ring=64)
    make("big", ((1024, 1024), np.uint32), ring=4)
    for suffix in ("npy", "fits", "h5", "zarr"):
        recorded(cam, tmp_path / f"cam.{suffix}", images(60, (256, 256)))[0].close()
    np.save(tmp_path / "small.npy", np.zeros((2, 3, 3)))
    status, out, err = spawn(NO_MEMORY, tmp_path).finish()
    assert (status, err) == (0, ""), err
    said = dict(line.split(" ", 1) for line in out.splitlines())
    for name in ("npy", "fits", "lazy", "attach", "capture", "entry"):
        assert "ulimit -v" in said[name], out
    assert said["survey"] == "done"


@pytest.fixture
def no_inodes(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for bytes, and for no further file."""
    folder = tmp_path / "small"
    folder.mkdir()
    options = "size=50m,nr_inodes=4"
    mounted = os.geteuid() == 0 and not subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True
    ).returncode
    if not mounted:
        pytest.skip("needs the right to mount a file system")
    for number in range(3):
        (folder / f"{number}.txt").write_text("x")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@EACH_FORMAT
def test_no_inodes(suffix: str, cam: SHM, no_inodes: Path) -> None:
    with pytest.raises(StreamStorageError, match="no inodes left"):
        Recorder(cam, no_inodes / f"cam.{suffix}").start()
    capture = cam.capture(3, background=True)
    while capture.received < 3:
        cam.set_many(images(1))
    with pytest.raises(StreamStorageError, match="no inodes left"):
        pymilk.save(capture.join(), no_inodes / f"cam.{suffix}")
    assert len(list(no_inodes.iterdir())) == 3


def test_no_inodes_for_a_stream(no_inodes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILK_SHM_DIR", str(no_inodes))
    with pytest.raises(StreamStorageError, match="no inodes left"):
        Stream.create("cam", (5, 7), np.uint16)
    (no_inodes / "2.txt").unlink()
    with pytest.raises(StreamStorageError, match=r"needs 1\d{8} bytes in"):
        Stream.create("cam", (10_000, 10_000), np.uint8)
