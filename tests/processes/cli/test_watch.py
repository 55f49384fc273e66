"""``pymilk watch`` beside cameras that stall, die, and lose frames."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from pymilk import SHM, SimulatedCamera
from support.commands import run


@pytest.fixture
def command(start_command: Callable[..., subprocess.Popen[str]]) -> Callable[..., subprocess.Popen[str]]:
    return partial(start_command, "watch")


def test_states_of_a_camera_that_dies(
    command: Callable[..., subprocess.Popen[str]], shm_dir: Path, tmp_path: Path
) -> None:
    said = tmp_path / "said"
    with SimulatedCamera("cam", (8, 8), rate=200) as camera:
        watching = command(
            "cam", "guider", "--interval", "0.2", "--json",
            "--exec", f'echo "$PYMILK_STREAM $PYMILK_STATE" >> {said}',
        )  # fmt: skip
        assert watching.stdout is not None
        lines = [json.loads(watching.stdout.readline()) for _ in range(2)]
        os.kill(camera.pid, signal.SIGKILL)
        lines.append(json.loads(watching.stdout.readline()))
        watching.send_signal(signal.SIGINT)
        assert watching.wait(60) == 1
    states = [(each["stream"], each["state"]) for each in lines]
    assert sorted(states[:2]) == [("cam", "ok"), ("guider", "gone")]
    assert states[2] == ("cam", "dead")
    assert "has ended" in lines[2]["text"]
    assert sorted(said.read_text().split("\n")) == ["", "cam dead", "cam ok", "guider gone"]


def test_all_well(shm_dir: Path) -> None:
    with SimulatedCamera("cam", (8, 8), rate=200):
        said = run("watch", "--once", "--interval", "0.3", "--min-rate", "20", "--max-age", "20")
    assert (said.returncode, said.stderr) == (0, "")
    assert ": ok, " in said.stdout


def test_metrics(shm_dir: Path, tmp_path: Path) -> None:
    parser = pytest.importorskip("prometheus_client.parser")
    with SimulatedCamera("cam", (8, 8), rate=200):
        said = run("watch", "--once", "--metrics", tmp_path / "pymilk.prom", "--max-lost", "100000")
    assert said.returncode == 0
    text = (tmp_path / "pymilk.prom").read_text()
    found = {
        (sample.name, sample.labels["stream"]): sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert found["pymilk_ok", "cam"] == 1
    assert 20 < found["pymilk_frames_per_second", "cam"] < 400
    assert [path.name for path in tmp_path.iterdir()] == ["pymilk.prom"]


@pytest.mark.parametrize(
    ("options", "word"),
    [(["--max-lost", "-1"], "--max-lost"), (["--metrics", "/no/such/file"], "cannot be written"),
     (["--max-full", "200"], "--max-full")],
)  # fmt: skip
def test_what_cannot_be_watched(options: list[str], word: str, shm_dir: Path) -> None:
    pytest.importorskip("prometheus_client")
    said = run("watch", "--once", "--interval", "0.1", *options)
    assert said.returncode in (1, 2)
    assert word in said.stderr
    assert "Traceback" not in said.stderr


def test_metrics_do_not_replace_a_pipe(shm_dir: Path, tmp_path: Path) -> None:
    pytest.importorskip("prometheus_client")
    os.mkfifo(tmp_path / "pipe")
    said = run("watch", "--once", "--interval", "0.1", "--metrics", tmp_path / "pipe")
    assert said.returncode == 1
    assert "only files are replaced" in said.stderr
    assert [path.is_fifo() for path in tmp_path.iterdir()] == [True]


def test_stream_that_stands_still(make, shm_dir: Path) -> None:
    make("cam", ((4, 4), "u2")).close()
    with SHM("cam") as shm:
        shm.set_data(shm.get_data())
        said = run("watch", "--once", "--interval", "0.2", "--max-age", "0.05", "--json")
        assert json.loads(said.stdout)["state"] == "stalled"
        slow = run("watch", "--once", "--interval", "0.2", "--min-rate", "5", "--json")
        assert json.loads(slow.stdout)["state"] == "slow"
        assert (said.returncode, slow.returncode) == (1, 1)
