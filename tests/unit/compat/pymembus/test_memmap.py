"""Blocks of bytes: made, attached, read, written, and views that outlive their handles."""

from __future__ import annotations

import gc
from functools import partial

import numpy as np
import pytest

from pymilk._core import Stream
from pymilk.compat.pymembus import errc, last_error, memmap


@pytest.fixture
def block():
    made = memmap()
    assert made.open("/block", 1024, True, True)
    yield made
    made.close()


@pytest.fixture
def peer(block):
    other = memmap()
    assert other.open("/block", 0)
    return other


def test_made_and_attached(block, peer):
    assert (block.existing(), peer.existing()) == (False, True)
    assert (block.isOpen(), block.size(), peer.size(), block.name()) == (True, 1024, 1024, "/block")
    assert block.write("hello") == 5
    assert peer.read(5) == "hello"
    assert peer.write(b"HE") == 2
    assert block.read_bytes(5) == b"HEllo"
    assert "/block" in repr(block)


def test_amounts(block):
    assert block.write(b"x" * 5000) == 1024
    for count in (-1, 0, 1024, 1025, 10**12):
        assert block.read_bytes(count) == b"x" * 1024
    assert block.read_bytes(1) == b"x"
    assert block.write(bytearray(b"\xff")) == 1
    with pytest.raises(UnicodeDecodeError):
        block.read(1)
    assert block.write("") == 0


def test_type_errors(block):
    for wrong in (3, None, memoryview(b"x"), ["x"]):
        with pytest.raises(TypeError):
            block.write(wrong)
    with pytest.raises(TypeError):
        block.read(1.5)
    with pytest.raises(TypeError):
        memmap().open(3, 5)
    with pytest.raises(TypeError):
        memmap().open("/x", 5.5)


def test_arguments_by_name():
    block = memmap()
    assert block.open(sName="/named", nSize=8, bCreate=True, bNew=False, bReadOnly=False)
    assert block.read_bytes(sz=2) == b"\0\0"
    assert memmap.remove(sName="/named")


def test_buffer(block, peer):
    view = memoryview(block)
    assert (view.shape, view.format, view.readonly, view.itemsize) == ((1024,), "b", False, 1)
    view[0] = -1
    assert peer.read_bytes(1) == b"\xff"
    assert np.asarray(peer)[0] == -1


def test_read_only(block):
    reader = memmap()
    assert reader.open("/block", 0, False, False, True)
    assert memoryview(reader).readonly
    assert reader.write("x") == 0
    assert last_error() == errc.access_denied
    assert block.read_bytes(1) == b"\0"
    other = memmap()
    assert not other.open("/absent", 64, True, True, True)
    assert last_error() == errc.open_failed


def test_attaching_never_resizes(block):
    other = memmap()
    assert other.open("/block", 10, True)
    assert (other.size(), other.existing()) == (1024, True)


def test_new_takes_the_place_of_the_old(block, peer):
    block.write("old")
    other = memmap()
    assert other.open("/block", 16, True, True)
    assert (other.size(), other.existing()) == (16, False)
    assert peer.read(3) == "old"
    block.close()  # its name is that of the other one now
    assert memmap().open("/block", 0)


@pytest.mark.parametrize("size", [0, -1])
def test_no_size(size, shm_dir):
    assert not memmap().open("/none", size, True)
    assert last_error() == errc.map_failed
    assert list(shm_dir.iterdir()) == []


def test_open_fails():
    for name, error in (("/absent", errc.open_failed), ("/a/b", errc.open_failed), ("/", errc.open_failed)):
        block = memmap()
        assert not block.open(name, 0)
        assert last_error() == error
        assert not block.isOpen()
    assert not memmap().open("/a/b", 5, True)
    assert last_error() == errc.create_failed


def test_file_that_is_no_stream(shm_dir):
    (shm_dir / "odd.im.shm").write_bytes(b"x" * 3000)
    assert not memmap().open("/odd", 0)
    assert last_error() == errc.invalid_layout


def test_open_after_a_failure_and_after_close(block):
    other = memmap()
    assert not other.open("/absent", 0)
    assert other.open("/block", 0)
    other.close()
    other.close()
    assert other.open("/block", 0)
    assert other.open("/block", 0)


def test_closed():
    for block in (memmap(), memmap()):
        block.close()
        assert (block.isOpen(), block.existing()) == (False, False)
        for call in (block.read, block.read_bytes, block.size, block.name, partial(block.write, "x")):
            with pytest.raises(RuntimeError, match="memmap is closed"):
                call()
            assert last_error() == errc.not_open
        with pytest.raises(BufferError, match="memmap is closed"):
            memoryview(block)


def test_remove(block, peer):
    assert memmap.remove("/block") is True
    assert memmap.remove("/block") is False
    assert memmap.remove("/a/b") is False
    block.write("on")
    assert peer.read(2) == "on"


def test_name_goes_with_its_maker(block, peer, shm_dir):
    block.write("stays")
    block.close()
    assert list(shm_dir.iterdir()) == []
    assert peer.read(5) == "stays"
    other = memmap()
    assert other.open("/again", 8, True)
    del other
    gc.collect()
    assert list(shm_dir.iterdir()) == []


def test_attached_handles_leave_the_name(block, peer, shm_dir):
    peer.close()
    assert [path.name for path in shm_dir.iterdir()] == ["block.im.shm"]


@pytest.mark.parametrize("look", [memoryview, np.asarray, lambda each: np.asarray(each)[3:]])
def test_views_outlive_their_handle(shm_dir, look):
    block = memmap()
    block.open("/block", 4096, True)
    view = look(block)
    block.close()
    assert not block.isOpen()
    view[0] = 5
    assert view[0] == 5
    with pytest.raises(RuntimeError, match="cannot reopen memmap"):
        block.open("/block", 0)
    assert len(list(shm_dir.iterdir())) == 1
    del view
    gc.collect()
    assert list(shm_dir.iterdir()) == []
    assert block.open("/block", 8, True)


def test_other_programs_see_a_stream_that_counts(block):
    with Stream.attach("block") as stream:
        assert (stream.shape, stream.dtype) == ((1024,), np.int8)
        block.write("AB")
        assert stream.counter == 1
        assert stream.read()[0][:2].tolist() == [65, 66]


def test_streams_of_other_programs_are_blocks():
    with Stream.create("cam", (2, 3), np.uint16) as stream:
        stream.publish(np.full((2, 3), 0x4142, np.uint16))
        block = memmap()
        assert block.open("/cam", 0)
        assert (block.size(), block.read(4)) == (12, "BABA")
