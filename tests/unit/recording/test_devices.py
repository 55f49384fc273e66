"""What is written takes the place of files only: /dev/null stays what it is, also for root."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pymilk import SHM, StreamError, fits, record
from pymilk.errors import StreamExistsError, StreamStorageError
from pymilk.view import save_png

WRITES: dict[str, tuple[Callable[[str], object], type[StreamError]]] = {
    "fits": (lambda path: fits.multi_write(path, [np.zeros((3, 3))]), StreamExistsError),
    "picture": (lambda path: save_png(path, np.zeros((3, 3, 3), np.uint8)), StreamStorageError),
}


@pytest.fixture(params=["itself", "by a link"])
def pipe(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    if request.param == "itself":
        return tmp_path / "pipe"
    (tmp_path / "link").symlink_to("pipe")
    return tmp_path / "link"


@pytest.mark.parametrize("what", WRITES)
def test_a_device_is_not_replaced(what: str, pipe: Path) -> None:
    write, kind = WRITES[what]
    before = os.lstat(pipe)
    with pytest.raises(kind, match="a pipe, a socket or a device, and only files are replaced"):
        write(str(pipe))
    assert os.lstat(pipe).st_ino == before.st_ino
    assert sorted(path.name for path in pipe.parent.iterdir()) == sorted({"pipe", pipe.name})


@pytest.mark.parametrize("kind", ["npy", "fits"])
def test_a_recording_does_not_replace_a_device(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"pipe.{kind}"
    os.mkfifo(path)
    with SHM("cam", np.zeros((3, 3), np.uint8)) as shm:
        with pytest.raises(StreamExistsError, match="it is a pipe, a socket or a device"):
            record(shm, path, frames=1, force=True, timeout=0.1)
        shm.destroy()
    assert stat.S_ISFIFO(path.stat().st_mode)
