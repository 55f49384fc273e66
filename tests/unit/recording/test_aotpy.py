"""Recordings and captures for aotpy: frames, times and keywords in an AOT file."""

from __future__ import annotations

import sys
import types
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk import SHM, Recorder, load
from pymilk.errors import LibraryMissingError
from pymilk.recording import headers
from support.recordings import images

ATIMES = 1_700_000_037_000_000_000 + np.arange(6) * 1_000_000


@pytest.fixture
def recorded(cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A recording of a machine whose clock was told that TAI is 37 s ahead."""
    monkeypatch.setattr(headers, "tai_offset", lambda: 37)
    cam["EXPTIME"] = 0.25
    cam["TARGET"] = "HD 1"
    with Recorder(cam, tmp_path / "x.npy", frames=6) as recorder:
        cam.set_many(images(6), ATIMES)
        recorder.wait(60)
    with load(tmp_path / "x.npy") as recording:
        yield recording


@dataclass
class Parts:
    """What stands for the classes of the library: it keeps what it is given."""

    name: str
    data: Any = None
    comment: Any = None
    unit: Any = None
    time: Any = None
    metadata: list[Any] = field(default_factory=list)
    timestamps: list[float] = field(default_factory=list)
    frame_numbers: list[int] = field(default_factory=list)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of aotpy, so that this is tested where it is not installed."""
    stand_in = types.ModuleType("aotpy")
    stand_in.Image = stand_in.Time = stand_in.Metadatum = Parts  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "aotpy", stand_in)


@pytest.mark.usefixtures("library")
def test_image(recorded: Any) -> None:
    image = recorded.to_aotpy("adu")
    assert (image.name, image.unit) == ("cam", "adu")
    assert np.shares_memory(image.data, recorded.frames)
    np.testing.assert_array_equal(image.data, images(6))
    np.testing.assert_allclose(image.time.timestamps, 1.7e9 + np.arange(6) / 1e3, rtol=0, atol=5e-7)
    assert image.time.frame_numbers == recorded.info["cnt0"].tolist()
    keywords = {each.name: each.data for each in image.metadata}
    assert (keywords["EXPTIME"], keywords["TARGET"]) == (0.25, "HD 1")
    assert recorded.to_aotpy(tai_offset=0).time.timestamps[0] == pytest.approx(1.7e9 + 37, abs=5e-7)


@pytest.mark.usefixtures("library")
def test_image_of_a_capture(cam: SHM) -> None:
    capture = cam.capture(1, background=True)
    cam.set_data(images(1)[0])
    capture.join()
    image = capture.to_aotpy()
    assert np.shares_memory(image.data, capture.frames)
    assert (image.unit, image.time.frame_numbers) == (None, capture.info["cnt0"].tolist())


def test_without_the_library(recorded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aotpy", None)
    with pytest.raises(LibraryMissingError, match="AOT files need aotpy"):
        recorded.to_aotpy()


def test_file(recorded: Any, tmp_path: Path) -> None:
    aotpy: Any = pytest.importorskip("aotpy")
    star = aotpy.NaturalGuideStar("star")
    camera = aotpy.Detector("camera", pixel_intensities=recorded.to_aotpy("adu"))
    sensor = aotpy.ShackHartmann("wfs", source=star, n_valid_subapertures=4, detector=camera)
    sensor.measurements = aotpy.Image("slopes", np.zeros((6, 2, 4), np.float32))
    telescope = aotpy.MainTelescope("telescope")
    system = aotpy.AOSystem(
        ao_mode="SCAO", main_telescope=telescope, sources=[star], wavefront_sensors=[sensor]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no telescope, no loop: that is said
        system.write_to_file(tmp_path / "a.fits")
        again = aotpy.AOSystem.read_from_file(tmp_path / "a.fits")
        found = again.wavefront_sensors[0].detector.pixel_intensities
        np.testing.assert_array_equal(found.data, images(6))
    np.testing.assert_allclose(found.time.timestamps, 1.7e9 + np.arange(6) / 1e3, rtol=0, atol=5e-7)
    assert [int(each) for each in found.time.frame_numbers] == recorded.info["cnt0"].tolist()
    assert {each.key: each.value for each in found.metadata}["EXPTIME"] == 0.25
