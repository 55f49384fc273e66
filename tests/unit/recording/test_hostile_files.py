"""Recordings whose files are no files, or promise more than they have: refused by name, at once."""

from __future__ import annotations

import json
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk import SHM, Recorder, load
from pymilk.errors import StreamFormatError
from support.recordings import images, recorded

for library in ("astropy", "zarr"):
    pytest.importorskip(library)
h5py = pytest.importorskip("h5py")


@pytest.fixture(autouse=True)
def _soon_and_small() -> Iterator[None]:
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert time.monotonic() - began < 30
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 256 << 10


@pytest.mark.parametrize(
    ("path", "file"),
    [
        ("cam.npy", "cam.npy"), ("cam.npy", "cam.info.npy"), ("cam.npy", "cam.info.json"),
        ("cam.fits", "cam.fits"), ("cam.h5", "cam.h5"), ("cam.zarr", "cam.zarr/zarr.json"),
        ("cam.zarr", "cam.zarr/frames/zarr.json"), ("cam.zarr", "cam.zarr/info/zarr.json"),
        ("cam.zarr", "cam.zarr/frames/c.0.0.0"), ("cam.zarr", "cam.zarr/info/c.0.0"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["pipe", "link", "device"])
def test_pipes_and_devices(path: str, file: str, kind: str, cam: SHM, tmp_path: Path) -> None:
    recorded(cam, tmp_path / path, images(5))[0].close()
    (tmp_path / file).unlink()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / file).symlink_to("/dev/zero" if kind == "device" else pipe)
    if kind == "pipe":
        (tmp_path / file).unlink()
        pipe.rename(tmp_path / file)
    with pytest.raises(StreamFormatError, match="no regular file") as caught:
        load(tmp_path / path)
    assert caught.value.path == str(tmp_path / file)


def test_rows_without_end(cam: SHM, tmp_path: Path) -> None:
    for suffix in ("npy", "h5", "zarr"):
        recorded(cam, tmp_path / f"cam.{suffix}", images(20))[0].close()
    rows = tmp_path / "cam.info.npy"
    head = rows.read_bytes()
    rows.write_bytes(head.replace(b"(20,", b"(300000000,").replace(b"       \n", b"\n", 1))
    with pytest.raises(StreamFormatError, match="shorter than its header says"):
        load(tmp_path / "cam.npy")
    with h5py.File(tmp_path / "cam.h5", "r+") as h5:
        h5["info"].resize(300_000_000, 0)
    with pytest.raises(StreamFormatError, match="promises 300000000 rows"):
        load(tmp_path / "cam.h5")
    metadata = tmp_path / "cam.zarr" / "info" / "zarr.json"
    metadata.write_text(metadata.read_text().replace("20", "300000000", 1))
    with load(tmp_path / "cam.zarr") as found:
        assert (len(found), found.complete) == (20, False)


@pytest.mark.parametrize("link", [h5py.ExternalLink("x.h5", "/frames"), h5py.SoftLink("/x")])
def test_links_of_hdf5(link: Any, cam: SHM, tmp_path: Path) -> None:
    recorded(cam, tmp_path / "cam.h5", images(5))[0].close()
    with h5py.File(tmp_path / "cam.h5", "r+") as h5:
        del h5["frames"]
        h5["frames"] = link
    with pytest.raises(StreamFormatError, match="not followed"):
        load(tmp_path / "cam.h5")


def test_external_storage_of_hdf5(cam: SHM, tmp_path: Path) -> None:
    recorded(cam, tmp_path / "cam.h5", images(5))[0].close()
    with h5py.File(tmp_path / "cam.h5", "r+") as h5:
        del h5["frames"]
        h5.create_dataset("frames", (5, 5, 7), np.uint16, external=[("/etc/passwd", 0, 350)])
    with pytest.raises(StreamFormatError, match="in other files"):
        load(tmp_path / "cam.h5")


@pytest.mark.parametrize("text", ["[" * 100_000, '{"frames": Infinity}', '{"frames": 1e999}', "9" * 9999])
def test_headers_that_are_no_header(text: str, cam: SHM, tmp_path: Path) -> None:
    recorded(cam, tmp_path / "cam.npy", images(5))
    (tmp_path / "cam.info.json").write_text(text)
    with pytest.raises(StreamFormatError, match="no header of a recording"):
        load(tmp_path / "cam.npy")


@pytest.mark.parametrize("change", [{"symcode": 10**30}, {"stream_shape": [10**30, 7]}, {"tri_dim": "x"}])
def test_numbers_that_cannot_be(change: dict[str, Any], cam: SHM, tmp_path: Path) -> None:
    recorded(cam, tmp_path / "cam.npy", images(5))
    header = json.loads((tmp_path / "cam.info.json").read_text())
    (tmp_path / "cam.info.json").write_text(json.dumps({**header, **change}))
    with pytest.raises(StreamFormatError, match="header of the recording is damaged"):
        load(tmp_path / "cam.npy")


def test_growth_of_hdf5_is_seen_by_opening_again(cam: SHM, tmp_path: Path) -> None:
    with Recorder(cam, tmp_path / "cam.h5") as recorder:
        for count in (3, 6):
            cam.set_many(images(3))
            while True:
                with load(tmp_path / "cam.h5") as found:
                    if len(found) == count:
                        break
                time.sleep(0.005)
        assert recorder.running
