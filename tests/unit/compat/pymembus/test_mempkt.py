"""A ring of records: what is written and read back, overruns of slots and of bytes, errors, damaged files."""

from __future__ import annotations

import os

import numpy as np
import pytest

from pymilk._core import Stream
from pymilk.compat.pymembus import errc, last_error, memmap, mempkt, pkt_kind


@pytest.fixture
def ring():
    made = mempkt()
    assert made.open("/packets", True, 8, 256, 64)
    return made


@pytest.fixture
def reader(ring):
    other = mempkt()
    assert other.open_existing("/packets")
    return other


def newest(ring):
    return ring.getRecord(ring.getPtr(-1))


def test_records(ring, reader):
    assert newest(reader) is None
    assert ring.write(b"payload", pkt_kind.video, 7, -5, b"meta") == 1
    payload, meta, info = newest(reader)
    assert (payload, meta) == (b"payload", b"meta")
    assert list(info.items()) == [
        ("seq", 1), ("wcursor", 0), ("pts", -5), ("kind", pkt_kind.video), ("track", 7), ("len", 7),
        ("userlen", 4),
    ]  # fmt: skip
    assert ring.write("é") == 2
    payload, meta, info = reader.getRecord(1 - 8)
    assert (payload, meta, info["kind"], info["wcursor"]) == ("é".encode(), b"", pkt_kind.data, 64)
    assert ring.write(b"", meta="only") == 3
    assert newest(reader)[:2] == (b"", b"only")
    assert ring.write(bytearray(b"x"), kind=pkt_kind(7), track=2**63 - 1, pts=-(2**63)) == 4
    assert newest(reader)[2]["kind"] == pkt_kind(7)
    assert (reader.getSeq(), reader.getFrameSeq(3), reader.getFrameSeq(-5), reader.getFrameSeq(4)) == (
        4,
        4,
        4,
        0,
    )
    assert (len(reader), reader.getBufs(), reader.getPtr(0), reader.getWcursor()) == (8, 8, 4, 256)


def test_the_arena_is_used_up_before_the_slots(ring, reader):
    for number in range(6):
        assert ring.write(bytes([number]) * 64) == number + 1
    found = [reader.getRecord(slot) for slot in range(6)]
    assert [each and each[0][0] for each in found] == [None, None, 2, 3, 4, 5]
    assert [reader.getFrameSeq(slot) for slot in range(6)] == [1, 2, 3, 4, 5, 6]


def test_the_slots_are_used_up(ring, reader):
    for number in range(20):
        ring.write(bytes([number]))
    assert reader.getPtr(0) == 4
    assert newest(reader)[0] == bytes([19])
    assert reader.getRecord(0)[2]["seq"] == 17
    assert [reader.getRecord(slot) is not None for slot in range(8)] == [True] * 4 + [False] * 4


def test_no_record_is_split(reader):
    ring = mempkt()
    assert ring.open("/packets", True, 4, 200, 100, align=8)
    assert (ring.getArenaSize(), ring.getMaxRec()) == (200, 100)
    for number in range(3):
        assert ring.write(bytes([number]) * 80) == number + 1
    assert [ring.getRecord(slot)[2]["wcursor"] if ring.getRecord(slot) else None for slot in range(3)] == [
        None,
        80,
        200,
    ]
    assert ring.getWcursor() == 280
    assert ring.getRecord(2)[0] == bytes([2]) * 80


def test_sizes():
    ring = mempkt()
    assert ring.open("/packets", True, 1, 60, 64)
    assert (ring.getArenaSize(), ring.getMaxRec()) == (64, 64)
    assert ring.write(b"x" * 60, meta=b"1234") == 0
    assert newest(ring)[2]["userlen"] == 4
    assert ring.write(b"x" * 61, meta=b"1234") == -1
    assert last_error() == errc.message_too_large
    assert ring.write(b"") == -1
    assert last_error() == errc.invalid_argument
    assert ring.getSeq() == 1
    for wrong in (
        (1, 64, 65),
        (0, 64, 64),
        (1, 0, 1),
        (1, 64, 0),
        (1, 64, 64, 12),
        (1, 2**62, 64),
        (-1, 64, 64),
    ):
        assert not ring.open("/packets", True, *wrong)
        assert last_error() == errc.invalid_argument
        assert not ring.isOpen()


def test_types(ring):
    for wrong in (
        (memoryview(b"x"),),
        (5,),
        (b"x", 0),
        (b"x", pkt_kind.data, "1"),
        (b"x", pkt_kind.data, 0, 2**63),
    ):
        with pytest.raises(TypeError):
            ring.write(*wrong)
    assert ring.getSeq() == 0


def test_identity(reader):
    ring = mempkt()
    assert ring.open("/packets", True, 8, 256, 64, fourcc=0x31637661, meta="text")
    assert reader.getMeta() is None
    assert reader.open_existing("/packets")
    for handle in (ring, reader):
        assert (handle.getFourcc(), handle.getMeta(), handle.getMetaSize(), handle.getGuid()) == (
            0x31637661,
            b"text",
            4,
            None,
        )
        assert handle.getVersion() == 2
    assert ring.getSessionId() == reader.getSessionId() != 0
    assert (ring.existing(), reader.existing()) == (False, True)


def test_attached(ring, reader):
    other = mempkt()
    assert other.open("/packets", False, 8, 256, 64)
    assert other.write(b"of the other") == 1
    assert newest(ring)[0] == b"of the other"
    memmap()
    assert reader.write(b"x") == -1
    assert last_error() == errc.access_denied
    for wrong in ((7, 256, 64), (8, 320, 64), (8, 256, 63)):
        assert not other.open("/packets", False, *wrong)
        assert last_error() == errc.size_mismatch
    assert not other.open("/absent", False, 8, 256, 64)
    assert last_error() == errc.open_failed


def test_wait(ring, reader):
    assert not reader.waitForFrame(1, 0)
    assert last_error() == errc.timeout
    ring.write(b"x")
    assert reader.waitForFrame(0, 0)
    assert not reader.waitForFrame(0, 1)


def test_made_again_and_removed(ring, reader):
    ring.write(b"old")
    again = mempkt()
    assert again.open("/packets", True, 8, 256, 64)
    ring.close()
    assert newest(reader)[0] == b"old"
    assert reader.open_existing("/packets")
    assert (reader.getSeq(), reader.getSessionId()) == (0, again.getSessionId())
    assert mempkt.remove("/packets")
    assert not mempkt.remove("/packets")
    assert again.write(b"new") == 1
    assert newest(reader)[0] == b"new"
    assert again.open("/packets", True, 8, 256, 64)
    assert again.getSeq() == 0


def test_closed():
    ring = mempkt()
    assert (ring.isOpen(), ring.existing(), ring.getRecord(0)) == (False, False, None)
    assert (ring.getPtr(0), ring.getSeq(), ring.getFrameSeq(0), ring.getVersion()) == (-1, -1, -1, -1)
    numbers = (ring.getBufs(), ring.getArenaSize(), ring.getMaxRec(), ring.getWcursor(), ring.getSessionId(),
               ring.getFourcc(), ring.getMetaSize())  # fmt: skip
    assert set(numbers) == {0}
    assert ring.write(b"x") == -1
    assert last_error() == errc.not_open
    ring.close()


def words_of(stream):
    data = stream.view(writable=True).reshape(-1).view(np.uint8)
    return data[-data.ctypes.data % 4096 :][: 216 + 8 * 64].view(np.int64)


@pytest.mark.parametrize("word", [0, 1, 2, 3, 7, 8, 11, 12, 21, 22, 24, 25, 26])
@pytest.mark.parametrize("value", [-1, 2**62])
def test_damaged_words(ring, word, value):
    with Stream.attach("packets", writable=True) as stream:
        words_of(stream)[word] = value
        assert not mempkt().open_existing("/packets")
        assert last_error() == errc.invalid_layout


@pytest.mark.parametrize("word", [0, 1, 6])
@pytest.mark.parametrize("value", [-1, 250, 2**62])
def test_damaged_descriptions(ring, reader, word, value):
    ring.write(b"x")
    with Stream.attach("packets", writable=True) as stream:
        words_of(stream)[27 + word] = value
        assert reader.getRecord(0) is None


def test_damaged_counters(ring, reader):
    with Stream.attach("packets", writable=True) as stream:
        words = words_of(stream)
        for word in (5, 23):
            words[word] = 2**63 - 1
            assert ring.write(b"x") == -1
            assert last_error() == errc.invalid_layout
            words[word] = 0
        words[27 + 7] = -1
        assert (reader.getRecord(0), reader.getFrameSeq(0)) == (None, 0), "being written"
        assert ring.write(b"x") == 1
        assert newest(reader)[0] == b"x"


def test_a_file_that_is_cut_in_use(ring):
    with Stream.attach("packets", writable=False) as stream:
        os.truncate(stream.path, 4096)
    assert ring.write(b"x") == -1
    assert last_error() == errc.invalid_layout
