"""``pymilk record``: files by size and time, formats, restarts, room on the disk."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import click
import numpy as np
import pytest
from click.testing import CliRunner

from pymilk import SHM, load
from pymilk.cli.commands.record import record
from pymilk.cli.parameters import size_of
from pymilk.recording import room


@pytest.fixture
def camera(make: Callable[..., SHM]) -> Iterator[SHM]:
    """A stream that gets frames of 70 bytes all the time."""
    shm = make("cam", ((5, 7), np.uint16), ring=4096)
    end = threading.Event()

    def publish() -> None:
        while not end.wait(0.001):
            shm.set_data(np.zeros(shm.shape, shm.nptype))

    thread = threading.Thread(target=publish)
    thread.start()
    yield shm
    end.set()
    thread.join()


@pytest.mark.parametrize(
    ("text", "size"),
    [("700", 700), ("1k", 1000), ("1.5M", 1_500_000), ("2GB", 2 * 10**9), (" 3 tb", 3 * 10**12)],
)
def test_sizes(text: str, size: int) -> None:
    assert size_of(None, None, text) == size  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "B", "x", "0", "-1", "nan", "inf", "1X", "1e30"])
def test_wrong_sizes(text: str) -> None:
    with pytest.raises(click.BadParameter):
        size_of(None, None, text)  # type: ignore[arg-type]


def test_files_by_size_in_a_format(camera: SHM, tmp_path: Path) -> None:
    options = ["--format", "fits", "--max-size-per-file", "700B", "--max-seconds-per-file", "99", "--restart"]
    wanted = ["cam", "-o", str(tmp_path / "a"), "-n", "25", "--json", *options]
    result = CliRunner().invoke(record, wanted)
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert [Path(each).name for each in report["streams"]["cam"]["paths"]] == [
        f"a_00000{part}.fits" for part in range(3)
    ]
    assert report["reasons"] == []
    with load(tmp_path / "a.fits") as whole:
        assert (len(whole), whole.complete) == (25, True)


def test_suffix_of_another_format(camera: SHM, tmp_path: Path) -> None:
    result = CliRunner().invoke(record, ["cam", "-o", str(tmp_path / "a.npy"), "-n", "1", "--format", "zarr"])
    assert result.exit_code == 1
    assert "suffix of the format npy" in result.stderr


def test_room_before_and_while(
    camera: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room.os, "statvfs", lambda path: SimpleNamespace(f_bavail=1, f_frsize=1000))
    options = ["-n", "30", "--stats", "0.01"]
    result = CliRunner().invoke(record, ["cam", "-o", str(tmp_path / "a.npy"), *options])
    assert result.exit_code == 0, result.output
    assert "the frames asked for are 2.1e-06 GB" in result.stderr
    assert "has room for 1e-06 GB" in result.stderr
    assert ", disk full in " in result.stderr
