"""Parts of images for a view: what is asked for, and what is sent."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

from pymilk.errors import StreamArgumentError
from pymilk.web.regions import Region, packed, pixels_of


def test_the_whole_image_where_there_is_room() -> None:
    image = np.arange(12, dtype="u2").reshape(3, 4)
    pixels, said = pixels_of(image, Region(width=4, height=3))
    assert np.array_equal(pixels, image)
    assert (said["region"], said["bins"], said["exact"]) == ([0, 0, 4, 3], [1, 1], True)


def test_a_part_at_full_resolution() -> None:
    image = np.arange(100, dtype="i4").reshape(10, 10)
    region = Region.read({"left": 2.7, "bottom": 3, "right": 5.1, "top": 4, "width": 300, "height": 300})
    pixels, said = pixels_of(image, region)
    assert pixels.tolist() == image[3:4, 2:6].tolist()
    assert said["region"] == [2, 3, 6, 4]


def test_a_large_image_is_made_smaller() -> None:
    image = np.arange(64, dtype="f4").reshape(8, 8)
    pixels, said = pixels_of(image, Region.read({"width": 3, "height": 2, "how": "max"}))
    assert (said["size"], said["bins"], said["exact"]) == ([2, 3], [3, 4], False)
    assert pixels.tolist() == [[26, 29, 31], [58, 61, 63]]


@pytest.mark.parametrize(
    "outside", [{"left": 50, "right": 60}, {"left": -9, "right": -2}, {"top": 0, "bottom": 0}]
)
def test_nothing_is_outside_of_the_image(outside: dict[str, float]) -> None:
    pixels, said = pixels_of(np.ones((4, 5), "u1"), Region.read(outside))
    assert pixels.size
    left, bottom, right, top = said["region"]
    assert 0 <= left < right <= 5
    assert 0 <= bottom < top <= 4


@pytest.mark.parametrize(
    ("dtype", "sent", "exact"),
    [("u1", "uint8", True), ("i2", "int16", True), ("u4", "uint32", True), ("f4", "float32", True),
     ("f2", "float32", True), ("f8", "float32", False), ("i8", "float32", False), ("u8", "float32", False),
     ("c8", "float32", True), ("c16", "float32", False), ("?", "uint8", True)],
)  # fmt: skip
@pytest.mark.parametrize("room", [8, 2])
def test_every_dtype_reaches_the_page(dtype: str, sent: str, exact: bool, room: int) -> None:
    image = np.arange(16).reshape(4, 4).astype(dtype)
    pixels, said = pixels_of(image, Region(width=room, height=room))
    assert (said["sent"], said["exact"]) == (sent, exact and room == 8)
    assert pixels.size == np.prod(said["size"]) * (2 if dtype[0] == "c" else 1)


def test_complex_pixels_become_their_mean_or_the_one_with_the_largest_amplitude() -> None:
    image = np.array([[3 - 4j, 4], [-1j, 1j]], "c8")
    wanted = {"mean": 1.75 - 1j, "max": 3 - 4j, "first": 3 - 4j}
    for how, value in wanted.items():
        pixels, said = pixels_of(image, Region.read({"width": 1, "height": 1, "how": how}))
        assert pixels.view("c8").tolist() == [[value]]
        assert said["exact"] is False


def test_big_endian_and_a_row_and_a_number() -> None:
    pixels, said = pixels_of(np.arange(5, dtype=">u2"), Region())
    assert (pixels.tobytes(), said["shape"]) == (np.arange(5, dtype="<u2").tobytes(), [5])
    assert pixels_of(np.array([[7.5]]), Region())[1]["size"] == [1, 1]


@pytest.mark.parametrize(
    "given",
    [7, [], {"left": "a"}, {"left": True}, {"width": float("nan")}, {"right": float("inf")}, {"how": "sum"},
     {"slice": -1}, {"slice": 1.5}, {"slice": "2"}, {"height": None}],
)  # fmt: skip
def test_bad_regions_are_refused(given: object) -> None:
    with pytest.raises(StreamArgumentError):
        Region.read(given)


def test_a_message_can_be_read_in_place() -> None:
    content = packed({"kind": "frame", "cnt0": 3}, np.arange(3, dtype="<u4"))
    (length,) = struct.unpack_from("<I", content)
    assert (length + 4) % 8 == 0
    assert json.loads(content[4 : 4 + length]) == {"kind": "frame", "cnt0": 3}
    assert np.frombuffer(content, "<u4", offset=4 + length).tolist() == [0, 1, 2]
