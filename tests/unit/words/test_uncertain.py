"""Rows whose number is uncertain are told wherever rows are counted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pymilk import SHM, save
from pymilk._core import FLAG_TORN, FLAG_UNCERTAIN, FLAG_VERIFIED, FRAME_ROW
from pymilk.capture import CaptureReport
from pymilk.multi import MultiCaptureReport
from pymilk.recording import recording_details
from pymilk.reports import uncertain_text

UNCERTAIN = FLAG_TORN | FLAG_UNCERTAIN


@pytest.fixture
def doubtful(make: Callable[..., SHM], tmp_path: Path) -> Path:
    """A recording of 6 frames, of which one is torn and two are uncertain besides."""
    cam = make("cam", ((5, 7), np.uint16), ring=8)
    capture = cam.capture(6, background=True, timeout=10)
    cam.set_many(np.zeros((6, 5, 7), np.uint16))
    got = capture.join()
    got.info["flags"] = [FLAG_VERIFIED, UNCERTAIN, FLAG_VERIFIED, FLAG_TORN, UNCERTAIN, FLAG_VERIFIED]
    return Path(save(got, tmp_path / "cam.npy"))


def test_details_of_a_recording(doubtful: Path) -> None:
    details = recording_details(doubtful)
    assert (details["uncertain"], details["torn"]) == (2, 3)


def test_info_tells_them(doubtful: Path) -> None:
    pytest.importorskip("click", reason="extra cli")
    pytest.importorskip("rich", reason="extra cli")
    from support.calling import done

    assert json.loads(done("info", "--json", str(doubtful)))["uncertain"] == 2
    lines = done("info", str(doubtful)).splitlines()
    assert "torn        3" in lines
    assert f"uncertain   {uncertain_text(2)}" in lines


def test_an_array_of_others_has_no_rows(tmp_path: Path) -> None:
    np.save(tmp_path / "cube.npy", np.zeros((3, 4, 5)))
    details = recording_details(tmp_path / "cube.npy")
    assert (details["uncertain"], details["torn"]) == (None, None)


def report(label: str, flags: int, wait_on: str = "count") -> CaptureReport:
    rows = np.zeros(1, FRAME_ROW)
    rows["flags"], rows["cnt0"] = flags, 1
    return CaptureReport(label, 1, rows, 0, 1.0, 0.0, wait_on)


def test_report_of_several_captures() -> None:
    each = {"a": report("a", FLAG_VERIFIED), "b": report("b", UNCERTAIN), "c": report("c", UNCERTAIN, "post")}
    several = MultiCaptureReport(each, dict.fromkeys(each, "complete"), {}, 0, 0)
    assert (several.uncertain, several.to_dict()["uncertain"]) == (2, 2)
    told = [line for line in str(several).splitlines() if "uncertain" in line]
    assert told == [f"  b: number uncertain {uncertain_text(1)}"]
