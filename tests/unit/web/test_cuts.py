"""Parts of images as the stream holds them."""

from __future__ import annotations

import numpy as np
import pytest

from pymilk.errors import StreamArgumentError
from pymilk.web import regions
from pymilk.web.regions import Region, cut_of, packed, pixels_of

PART = Region(left=1, bottom=1, right=4, top=2, width=1, height=1)


@pytest.mark.parametrize(
    ("dtype", "sent"),
    [("u8", "uint64"), ("i8", "int64"), ("f8", "float64"), ("f2", "float32"), ("?", "uint8")],
)
def test_every_pixel_is_what_the_stream_holds(dtype: str, sent: str) -> None:
    image = (np.arange(12).reshape(3, 4) % 3 * 1.5).astype(dtype)
    pixels, said = cut_of(image, PART)
    assert pixels.tolist() == image[1:2, 1:4].tolist()
    assert (said["sent"], said["bins"], said["size"], said["exact"]) == (sent, [1, 1], [1, 3], True)
    assert packed(said, pixels).endswith(pixels.tobytes())


@pytest.mark.parametrize(("dtype", "sent"), [("c8", "float32"), ("c16", "float64")])
def test_complex_pixels_are_pairs(dtype: str, sent: str) -> None:
    image = (np.arange(12) * (1 - 2j)).reshape(3, 4).astype(dtype)
    pixels, said = cut_of(image, PART)
    assert said["sent"] == sent
    assert pixels.ravel().tolist() == [5, -10, 6, -12, 7, -14]


def test_a_cut_has_a_largest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regions, "_LARGEST", 2)
    cut_of(np.zeros((2, 2)), Region())
    with pytest.raises(StreamArgumentError, match="2x2 pixels"):
        cut_of(np.zeros((2, 3)), Region())


def test_curves_of_100_000_values_are_sent_as_they_are() -> None:
    values = np.arange(100_000, dtype="f4")
    pixels, said = pixels_of(values, Region(width=4096, height=1))
    assert said["bins"] == [1, 1]
    assert said["exact"]
    assert np.array_equal(pixels.ravel(), values)
    assert pixels_of(np.zeros(131_073), Region())[1]["bins"] == [2, 1]
