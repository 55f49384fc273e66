"""A device or a pipe that has the name of an output is neither replaced nor written into."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pymilk
from pymilk import SHM
from pymilk.errors import StreamExistsError, StreamStorageError
from pymilk.view.png import save_png
from support.calling import call
from support.recordings import EACH_FORMAT

FRAME = np.ones((4, 6), np.uint16)


@pytest.fixture(params=["pipe", "link to a device"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Put something that is no file under a name; looks afterwards whether it is there still."""
    made = []

    def put(name: str) -> Path:
        path = tmp_path / name
        if request.param == "pipe":
            os.mkfifo(path)
        else:
            path.symlink_to("/dev/zero")
        made.append((path, os.lstat(path).st_ino))
        return path

    yield put
    for path, number in made:
        assert os.lstat(path).st_ino == number
        assert stat.S_ISFIFO(path.stat().st_mode) or stat.S_ISCHR(path.stat().st_mode)
    assert sorted(tmp_path.iterdir()) == sorted(path for path, _ in made), "nothing is left beside it"


def refused(write: Callable[[], Any]) -> None:
    words = r"only (files|recordings) are replaced"
    with pytest.raises((StreamStorageError, StreamExistsError), match=words):
        write()


def test_images(place: Callable[[str], Path], make: Callable[..., SHM]) -> None:
    pytest.importorskip("astropy")
    shm, path = make("cam", FRAME), place("cam.fits")
    refused(lambda: shm.save_as_fits(path))
    refused(lambda: pymilk.fits.multi_write(path, FRAME))


def test_pictures(place: Callable[[str], Path]) -> None:
    pytest.importorskip("PIL")
    path = place("cam.png")
    refused(lambda: save_png(path, np.zeros((4, 6, 3), np.uint8)))


@EACH_FORMAT
def test_recordings(suffix: str, place: Callable[[str], Path], make: Callable[..., SHM]) -> None:
    shm, path = make("cam", FRAME), place(f"cam.{suffix}")
    capture = shm.capture(1, background=True)
    shm.set_data(FRAME)
    capture.join()
    refused(lambda: pymilk.save(capture, path, force=True))


def test_metrics(place: Callable[[str], Path], make: Callable[..., SHM]) -> None:
    pytest.importorskip("prometheus_client")
    make("cam", FRAME)
    path = place("pymilk.prom")
    said = call("watch", "cam", "--once", "--interval", "0.05", "--metrics", path)
    assert said.returncode == 1
    assert "a pipe, a socket or a device, and only files are replaced" in said.stderr
