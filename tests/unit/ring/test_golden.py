"""Golden files with rings."""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np
import pytest

from pymilk import RingReader
from pymilk._core import FRAME_ROW
from pymilk.errors import StreamTimeoutError
from support import golden, isio_format
from support.waiting import PATIENCE

#: Golden files with a ring of two or more slots, and where their frames come from.
GOLDEN_RINGS = {
    "ga_f32_cb5": "fast",
    "ga_cb_odd": "fast",
    "ga_py_cb5": "fast",
    "ga_temporal": "temporal",
    "ga_temporal_cb": "temporal",
}


def in_ring(stream: isio_format.StreamFile) -> list[tuple[int, np.ndarray]]:
    """Return number and pixels of the readable frames, as the codec reads them from the file."""
    if stream.imagetype & isio_format.KIND_AND_AXIS_MASK == isio_format.TEMPORAL_RING:
        slots: Any = list(stream.array())
        newest, published = stream.cnt1, stream.cnt0
    else:
        slots = [stream.slot_array(k) for k in range(stream.CBsize)]
        newest, published = stream.CBindex, stream.CBcycle * stream.CBsize + stream.CBindex
    held = min(published, len(slots) - 1)
    return [(stream.cnt0 - k, slots[(newest - k) % len(slots)]) for k in reversed(range(held))]


def test_all_golden_rings_are_tested():
    found = set()
    for entry in golden.entries():
        if entry["array"] is None:
            continue
        stream = isio_format.decode(golden.path(entry["name"]).read_bytes())
        temporal = stream.imagetype & isio_format.KIND_AND_AXIS_MASK == isio_format.TEMPORAL_RING
        if stream.CBsize > 1 or (temporal and stream.size[2] > 1):
            found.add(entry["name"])
    assert found == set(GOLDEN_RINGS)


@pytest.mark.parametrize("name", GOLDEN_RINGS)
def test_golden_ring(shm_dir, name):
    shutil.copy(golden.path(name), shm_dir)
    frames = in_ring(isio_format.decode(golden.path(name).read_bytes()))
    numbers = [number for number, _ in frames]
    pixels = np.stack([frame for _, frame in frames])
    with RingReader(name, start="oldest") as reader:
        assert reader.source == GOLDEN_RINGS[name]
        assert reader.lag == len(frames)
        found, rows = [], []
        while len(found) < len(frames):
            block = next(reader.blocks(timeout=0))
            found += list(block.frames)
            rows += block.info.tolist()
            assert block.intact()
        np.testing.assert_array_equal(np.stack(found), pixels)
        info = np.array(rows, FRAME_ROW)
        assert info["cnt0"].tolist() == numbers
        assert info["lost"].tolist() == [0] * len(frames)
        with pytest.raises(StreamTimeoutError):
            next(reader.blocks(timeout=0))
        dump = reader.dump()
        np.testing.assert_array_equal(dump.frames, pixels)
        assert dump.info["cnt0"].tolist() == numbers
        np.testing.assert_array_equal(reader.latest(), pixels[-1])
    with RingReader(name, start="newest") as reader:
        capture = reader.read(1, timeout=0)
        assert capture.info["cnt0"].tolist() == numbers[-1:]
        np.testing.assert_array_equal(capture.frames[0], pixels[-1])
    with RingReader(name) as reader, pytest.raises(StreamTimeoutError):
        next(reader.blocks(timeout=0))


@pytest.mark.parametrize("name", ["ga_cb1", "ga_circ_noaxis", "ga_u16_sem3"])
def test_golden_stream_without_history_goes_through_the_collector(shm_dir, name):
    shutil.copy(golden.path(name), shm_dir)
    stream = isio_format.decode(golden.path(name).read_bytes())
    with RingReader(name, depth=3, start="oldest") as reader:
        assert reader.source == "collector"
        assert reader.depth == 3
        capture = reader.read(1, timeout=PATIENCE)
        assert capture.info["cnt0"].tolist() == [stream.cnt0]
        # All of a cube that is no ring, its third axis last as the user sees it.
        frame = stream.array()
        frame = np.moveaxis(frame, 0, -1) if frame.ndim == 3 else frame
        np.testing.assert_array_equal(capture.frames[0], frame)
        if name == "ga_cb1":
            np.testing.assert_array_equal(capture.frames[0], stream.slot_array(0))
