"""Streams that are made in place of others, and headers that are rewritten, while they are in use."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

from pymilk import SHM, errors
from pymilk._core import Stream
from support.damage import GEOMETRY, SHAPE, USES, made_in_place, publish_series, temporal

#: What writers change; nothing of it may lead outside.
MOVING = [
    ("location", 240, "<b"),
    ("cnt0", 264, "<Q"),
    ("cnt1", 272, "<Q"),
    ("write", 288, "<B"),
    ("CBindex", 296, "<I"),
    ("CBcycle", 304, "<Q"),
    ("imdatamemsize", 312, "<Q"),
]


@pytest.mark.parametrize("shape", [SHAPE, (32, 32), (80, 90)])
def test_an_object_follows_a_stream_that_is_made_in_place(
    make: Callable[..., SHM], make_stream: Callable[..., Stream], shape: tuple[int, int]
) -> None:
    old = make_stream("cam", SHAPE, np.uint16)
    new = make_stream("other", shape, np.uint16)
    old.publish(np.ones(SHAPE, np.uint16))
    new.publish(np.full(shape, 9, np.uint16))
    shm = make("cam")
    assert shm.get_data().max() == 1
    made_in_place(old.path, new.path)
    if shape == SHAPE:
        assert shm.get_data().max() == 9
        return
    with contextlib.suppress(errors.StreamChangedError):
        shm.get_data()  # may meet the change in its copy
    with pytest.raises(errors.StreamShapeChangedError):
        shm.get_data()
    with pytest.raises(errors.StreamChangedError):
        shm.set_data(np.ones(SHAPE, np.uint16))
    inode = os.stat(old.path).st_ino
    fresh = make("cam")
    assert fresh.shape == shape
    assert fresh.get_data().max() == 9
    assert os.stat(old.path).st_ino == inode


@pytest.mark.parametrize(("field", "offset", "form"), GEOMETRY + MOVING)
@pytest.mark.parametrize("kind", ["plain", "ring", "temporal"])
def test_a_header_that_is_rewritten_leads_nowhere(
    make_stream: Callable[..., Stream], kind: str, field: str, offset: int, form: str
) -> None:
    """No value of any field makes an access leave the mapping: our error, or what stood there."""
    size = struct.calcsize(form)
    values = (0, 1, 2, 5, 255, 2**15, 2**31, 2**32 - 1, 2**63, 2**64 - 1)
    written = {(value & (2 ** (8 * size) - 1)).to_bytes(size, "little") for value in values}
    streams = [
        temporal(make_stream, f"temporal{number}")
        if kind == "temporal"
        else make_stream(f"{kind}{number}", SHAPE, np.uint16, cb_size=4 if kind == "ring" else 0)
        for number in range(len(written))
    ]
    # At once: each call waits whether the header is put back.
    with ThreadPoolExecutor(len(streams)) as pool:
        differ = list(pool.map(partial(use_with, offset), streams, written))
    if (field, offset, form) in GEOMETRY:
        assert all(stream.damaged for stream, other in zip(streams, differ, strict=True) if other)


def use_with(offset: int, stream: Stream, written: bytes) -> bool:
    """Rewrite a field of the header, and use the stream; tells whether it was another value."""
    publish_series(stream)
    reader, cursor = stream.reader(), stream.ring_cursor()
    with open(stream.path, "r+b") as file:
        file.seek(offset)
        before = file.read(len(written))
        file.seek(offset)
        file.write(written)
    for name, use in USES.items():
        if "wait" in name or name == "receive":
            continue  # they wait: below, or in other tests
        try:
            use(stream)
        except errors.StreamError as error:
            assert isinstance(error, errors.StreamDamagedError), error
    out = np.empty((3, *stream.frame_shape), np.uint16)
    for receive in (
        lambda: reader.receive(out, timeout=0.0),
        lambda: cursor and cursor.take(3),
        lambda: cursor and cursor.unread(),
    ):
        with contextlib.suppress(errors.StreamDamagedError, errors.StreamTimeoutError):
            receive()
    return written != before
