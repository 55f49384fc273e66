"""Recordings in an archive: computed by the workers of a cluster, and read from storage of the S3 kind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk import SHM, Recorder
from support.recordings import images, recorded

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "examples" / "archive_analysis.py"


@pytest.fixture
def cam(make: Callable[..., SHM]) -> SHM:
    return make("cam", ((5, 7), np.uint16), ring=256)


def test_script_with_the_address_of_a_scheduler(cam: SHM, tmp_path: Path) -> None:
    """The worker is a thread of this process, which knows of the files what the script sends: their paths."""
    distributed: Any = pytest.importorskip("distributed")
    if not SCRIPT.exists():
        pytest.skip("needs the sources")
    frames = images(64)
    for name in ("wfs", "dark"):
        with Recorder(cam, tmp_path / f"{name}.npy", frames=64, max_frames_per_file=24) as recorder:
            cam.set_many(frames)
            recorder.wait(60)
    with distributed.LocalCluster(
        n_workers=1, processes=False, protocol="tcp", host="127.0.0.1", dashboard_address=None
    ) as cluster:
        options = ["--dark", "dark_*.npy", "--segment", "16", "--scheduler", cluster.scheduler_address]
        done = subprocess.run(
            [sys.executable, SCRIPT, "wfs_*.npy", *options],
            cwd=tmp_path, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:2] == [
        "64 frames of 3 files, in 3 chunks",
        "mean of the night, dark subtracted: pixels differ by 0.00",
    ]


def test_zarr_in_storage_of_the_s3_kind(
    cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As docs/arrays.md says: copied there by s3fs, read by zarr and xarray without pymilk."""
    server: Any = pytest.importorskip("moto.server", reason="needs moto[server]")
    s3fs: Any = pytest.importorskip("s3fs")
    xarray: Any = pytest.importorskip("xarray")
    pytest.importorskip("zarr")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    frames = images(9)
    with recorded(cam, tmp_path / "wfs.zarr", frames)[0] as recording:
        utc = recording.utc()
    storage = server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    storage.start()
    try:
        host, port = storage.get_host_and_port()
        options = {"endpoint_url": f"http://{host}:{port}"}
        files = s3fs.S3FileSystem(**options)
        files.mkdir("nights")
        files.put(str(tmp_path / "wfs.zarr"), "nights/wfs.zarr", recursive=True)
        with xarray.open_zarr("s3://nights/wfs.zarr", storage_options=options, chunks=None) as night:
            np.testing.assert_array_equal(night["frames"]["time"].values, utc)
            np.testing.assert_array_equal(night["frames"][2:6].values, frames[2:6])
            np.testing.assert_array_equal(night["frames"].sel(time=utc[4]).values, frames[4])
    finally:
        storage.stop()
