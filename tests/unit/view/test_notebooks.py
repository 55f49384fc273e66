"""What notebooks show: a picture, rate, gaps; escaped, without script, without waiting."""

from __future__ import annotations

import base64
import io
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pymilk
from pymilk import SHM, Recorder, load
from pymilk.reports import Report
from pymilk.view import thumbnail
from support.recordings import EACH_FORMAT, images, recorded

#: Tags that HTML here is made of.
TAGS = {"div", "b", "table", "thead", "tbody", "tr", "th", "td", "img"}

EVIL = "<script>alert('x')</script>\"&"


@pytest.fixture
def cam(make: Callable[..., SHM]) -> SHM:
    return make("cam", ((4, 6), np.uint32), ring=64)


class Tags(HTMLParser):
    """Gathers tags, and looks that each that is opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.tags: set[str] = set()
        self.names: set[str] = set()
        self.feed(text)
        self.close()
        assert self.opened == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.names |= {name for name, _ in attributes}
        if tag != "img":
            self.opened.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.opened.pop() == tag


def shown(thing: Any) -> str:
    text: str = thing._repr_html_()
    tags = Tags(text)
    assert tags.tags <= TAGS
    assert tags.names <= {"style", "alt", "src"}
    return text


def pixels(text: str) -> np.ndarray:
    """Decode the picture."""
    image: Any = pytest.importorskip("PIL.Image")
    match = re.search(r"data:image/png;base64,([A-Za-z0-9+/=]+)", text)
    assert match is not None
    return np.asarray(image.open(io.BytesIO(base64.b64decode(match[1]))))


def test_stream(cam: SHM) -> None:
    cam["FRATE"] = 1500.0
    frame = np.zeros((4, 6), np.uint32)
    frame[0, 5] = 9  # at the bottom, right
    cam.set_data(frame)
    text = shown(cam)
    assert "4 x 6, uint32" in text
    assert "1500 frames/s" in text
    assert "s ago" in text
    picture = pixels(text)
    assert picture[-1, -1].min() == 255
    assert picture[0].max() == 0
    cam.close()
    assert "closed" in shown(cam)


@pytest.mark.parametrize("kind", ["fast", "temporal"])
def test_showing_is_not_reading(kind: str, make: Callable[..., SHM]) -> None:
    shm = make("shown", ((4, 6), np.uint32), ring=8, ring_kind=kind)
    frames = images(3, (4, 6), np.uint32)
    shm.set_many(frames)
    other = SHM("shown")
    other.set_data(frames[0])
    assert pixels(shown(shm)).shape == pixels(shown(other)).shape
    # The frame that was published before is new still.
    np.testing.assert_array_equal(
        shm.get_data(check=True, checkSemAndFlush=False, timeout=0.01, on_timeout="raise"), frames[0]
    )
    other.close()


def test_stream_that_was_replaced_is_shown_without_following(cam: SHM, make: Callable[..., SHM]) -> None:
    make("cam", ((3, 3), np.float32))
    before = cam.shape
    assert "4 x 6" in shown(cam)
    assert cam.shape == before


def test_keyword_that_is_no_number_does_no_harm(cam: SHM) -> None:
    cam["FRATE"] = EVIL[:12]
    assert "&lt;script&gt;" in shown(cam)


def test_capture(cam: SHM) -> None:
    capture = cam.capture(5, background=True)
    assert "0 of 5, running" in shown(capture)
    start = 1_700_000_000_000_000_000
    cam.set_many(images(5, (4, 6), np.uint32), start + np.arange(5) * 1_000_000, rate=2000.0)
    capture.join()
    text = shown(capture)
    assert "5 of 5, done" in text
    assert "1000.0 frames/s" in text
    assert pixels(text).ndim == 3
    report = shown(capture.report)
    assert "frames received" in report


@EACH_FORMAT
def test_recording(suffix: str, cam: SHM, tmp_path: Path) -> None:
    recording, report = recorded(cam, tmp_path / f"x.{suffix}", images(5, (4, 6), np.uint32))
    with recording:
        recording.info["lost"][3] = 7
        text = shown(recording)
        assert f"7: 7 before frame {recording.info['cnt0'][3]}" in text
        assert "5 of 4 x 6, uint32" in text
        assert pixels(text).ndim == 3
    assert "frames recorded" in shown(report)


def test_recording_that_cannot_be_read_any_more(cam: SHM, tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    recording, _ = recorded(cam, tmp_path / "x.h5", images(5, (4, 6), np.uint32))
    recording.close()
    text = shown(recording)
    assert "but" in text
    assert "img" not in text


def test_table_of_streams(cam: SHM, shm_dir: Path) -> None:
    (shm_dir / "<i>no.im.shm").write_bytes(b"x" * 500)
    text = shown(pymilk.survey())
    assert "<td style=\"text-align:left\">cam</td>" in text
    assert "&lt;i&gt;no" in text
    assert pymilk.survey()[-1]["name"] == "cam"


def test_everything_is_escaped(cam: SHM, tmp_path: Path) -> None:
    @dataclass(repr=False, eq=False)
    class Odd(Report):
        text: str

        def title(self) -> str:
            return EVIL

    assert shown(Odd(EVIL)).count("&lt;script&gt;") == 2
    np.save(tmp_path / "<script>.npy", images(3))
    with load(tmp_path / "<script>.npy") as recording:
        recording.header["stream"] = EVIL
        assert shown(recording).count("&lt;script&gt;") >= 3


def test_without_pillow_there_is_no_picture(cam: SHM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    text = shown(cam)
    assert "<img" not in text
    assert "counter" in text


@pytest.mark.parametrize("dtype", ["u1", "i8", "f2", "f8", "c8"])
@pytest.mark.parametrize("shape", [(1,), (7,), (3000,), (1, 1), (3, 900), (900, 3), (4, 5, 6)])
def test_thumbnail_of_any_frame(shape: tuple[int, ...], dtype: str) -> None:
    image: Any = pytest.importorskip("PIL.Image")
    png = thumbnail(images(1, shape, dtype)[0])
    assert png is not None
    made = np.asarray(image.open(io.BytesIO(png)))
    assert made.dtype == np.uint8
    assert made.ndim == 3
    assert max(made.shape) <= 160
    assert thumbnail(np.full(shape, np.nan)) is not None
    assert thumbnail(np.zeros(())) is None
    assert thumbnail(np.zeros((0, 3))) is None


def test_recorder_report_of_several_streams(cam: SHM, make: Callable[..., SHM], tmp_path: Path) -> None:
    other = make("other", ((2, 2), np.uint8))
    with Recorder([cam, other], tmp_path / "{stream}.npy", frames=1) as recorder:
        cam.set_data(cam.get_data())
        other.set_data(other.get_data())
        report = recorder.wait(30)
    text = shown(report)
    assert "&#x27;cam&#x27;" in text
    assert "&#x27;other&#x27;" in text
