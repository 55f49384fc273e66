"""Frames as JPEG: values within a tolerance, between the levels that the page would choose."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest

from pymilk.errors import LibraryMissingError, StreamArgumentError
from pymilk.web.jpeg import jpeg_of
from pymilk.web.regions import Region, pixels_of

image_library = pytest.importorskip("PIL.Image")


def values_of(content: bytes, levels: tuple[float, float]) -> np.ndarray:
    grey = np.asarray(image_library.open(io.BytesIO(content)))
    assert grey.dtype == np.uint8
    low, high = levels
    return low + grey / 255 * (high - low)


def scene(dtype: str) -> np.ndarray:
    y, x = np.mgrid[:60, :80]
    bump = np.exp(-((x - 30) ** 2 + (y - 20) ** 2) / 200)
    return (bump * (1000 if dtype[0] in "iu" else 3.5) + (5 if dtype != "c8" else 2j)).astype(dtype)


@pytest.mark.parametrize("dtype", ["u2", "i4", "u8", "f2", "f4", "f8", "c8"])
def test_values_are_near(dtype: str) -> None:
    image = scene(dtype)
    pixels, said = pixels_of(image, Region.read({"jpeg": "minmax"}))
    wanted = np.abs(image).astype("f8")
    assert (said["sent"], said["exact"], said["size"]) == ("jpeg", False, [60, 80])
    assert said["levels"] == pytest.approx((wanted.min(), wanted.max()))
    found = values_of(pixels.tobytes(), said["levels"])
    assert np.abs(found - wanted).max() <= 4 / 255 * np.ptp(wanted)


def test_the_first_line_is_row_0_and_the_levels_cut() -> None:
    image = np.repeat(np.arange(100.0), 8).reshape(100, 8)
    content, (low, high) = jpeg_of(image, "95")
    assert (low, high) == pytest.approx((2.5, 96.5), abs=0.6)
    found = values_of(content, (low, high))
    assert np.abs(found[:, 0] - np.clip(np.arange(100.0), low, high)).max() < 3


@pytest.mark.parametrize(
    ("image", "levels"),
    [(np.full((9, 9), 7, "u2"), (7, 7)), (np.full((1, 1), np.nan), (0, 1)),
     (np.array([[np.nan, 2.0], [np.inf, 4.0]]), (2, 4))],
)  # fmt: skip
def test_images_without_a_span(image: np.ndarray, levels: tuple[float, float]) -> None:
    for rule in ("minmax", "99", "zscale"):
        content, found = jpeg_of(image, rule)
        assert found == pytest.approx(levels, abs=0.02)
        assert values_of(content, found).min() >= levels[0]


def test_curves_are_sent_as_they_are() -> None:
    pixels, said = pixels_of(np.arange(5, dtype="u2"), Region(jpeg="minmax"))
    assert (said["sent"], pixels.ravel().tolist()) == ("uint16", [0, 1, 2, 3, 4])


@pytest.mark.parametrize("rule", ["best", 7, True, [], {}])
def test_rules_that_are_none(rule: object) -> None:
    with pytest.raises(StreamArgumentError, match="jpeg"):
        Region.read({"jpeg": rule})


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(LibraryMissingError):
        Region.read({"jpeg": "minmax"})
