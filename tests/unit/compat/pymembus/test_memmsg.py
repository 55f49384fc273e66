"""Messages: order, overruns, sizes, text and bytes, errors."""

from __future__ import annotations

import gc

import pytest

from pymilk.channels import MessageLog
from pymilk.compat.pymembus import errc, last_error, memmsg
from pymilk.system.locks import take_lock


@pytest.fixture
def pair():
    """Make a writer and a reader of a share of so many bytes."""
    made = []

    def make(size=1024):
        writer, reader = memmsg(), memmsg()
        assert writer.open("/log", size, True, True)
        assert reader.open("/log", size, False, False)
        made.extend((reader, writer))
        return writer, reader

    yield make
    for each in made:
        each.close()


def test_messages_in_order(pair):
    writer, reader = pair()
    assert [writer.write(f"m{number}") for number in range(3)] == [True] * 3
    assert reader.poll() is True
    assert [reader.read() for _ in range(3)] == ["m0", "m1", "m2"]
    assert reader.poll() is False
    assert reader.read() == ""
    assert last_error() == errc.timeout
    assert reader.read_with_overrun(0) == ("", False)


def test_each_reader_gets_all_from_the_start(pair):
    writer, reader = pair()
    writer.write("one")
    assert reader.read_with_overrun(0) == ("one", False)
    late = memmsg()
    assert late.open(sName="/log", size=1024, bWrite=False, bCreate=False)
    writer.write(sMsg="two")
    assert [late.read(wait=0), late.read(0)] == ["one", "two"]
    assert reader.read_bytes_with_overrun(wait=0) == (b"two", False)


def test_text_and_bytes(pair):
    writer, reader = pair()
    writer.write("größe")
    writer.write(b"\xff\0\xfe")
    writer.write_bytes(data=b"a\0b")
    writer.write(bytearray(b"c"))
    assert reader.read_bytes() == "größe".encode()
    with pytest.raises(UnicodeDecodeError):
        reader.read()
    assert reader.read() == "a\0b"
    assert reader.read_bytes() == b"c"


def test_type_errors(pair):
    writer, reader = pair()
    for wrong in (3, None, memoryview(b"x")):
        with pytest.raises(TypeError):
            writer.write(wrong)
    for wrong in ("text", bytearray(b"x"), 3):
        with pytest.raises(TypeError):
            writer.write_bytes(wrong)
    for wait in (-1, 0.5, None):
        with pytest.raises(TypeError):
            reader.read(wait)
    with pytest.raises(TypeError):
        memmsg().open("/log", 10.5, True, True)


def test_refused_messages(pair):
    writer, reader = pair(100)
    for message, error in (("", errc.invalid_argument), ("x" * 100, errc.message_too_large)):
        assert writer.write(message) is False
        assert last_error() == error
        assert writer.write_bytes(message.encode()) is False
        assert last_error() == error
    assert reader.write("x") is False
    assert last_error() == errc.access_denied
    assert reader.poll() is False
    assert writer.write("x" * 99) is True
    assert reader.read() == "x" * 99


@pytest.mark.parametrize("length", [1, 8, 9, 40])
def test_what_fits_is_not_lost_and_one_more_is_an_overrun(pair, length):
    each = 16 + (length + 7) // 8 * 8
    fit = 1000 // each
    writer, reader = pair(1000)
    for number in range(fit):
        writer.write(chr(97 + number % 26) * length)
    assert [reader.read_with_overrun() for _ in range(fit)] == [
        (chr(97 + number % 26) * length, False) for number in range(fit)
    ]
    for _ in range(fit + 1):
        writer.write("x" * length)
    assert reader.poll() is True
    assert reader.read_with_overrun() == ("", True)
    assert last_error() == errc.overrun
    assert reader.poll() is False
    assert reader.read_with_overrun() == ("", False)
    writer.write("next")
    assert reader.read() == "next"


def test_overrun_by_many_laps(pair):
    writer, reader = pair(64)
    for number in range(5000):
        writer.write(f"{number}")
    assert reader.poll()
    writer.write("y")
    assert reader.read_bytes() == b""
    assert last_error() == errc.overrun


def test_late_reader_begins_at_the_oldest_that_fits(pair):
    writer, _ = pair(96)
    for number in range(10):
        writer.write(f"{number}")
    late = memmsg()
    late.open("/log", 96, False, False)
    assert [late.read_with_overrun() for _ in range(4)] == [(f"{number}", False) for number in (6, 7, 8, 9)]
    assert late.read() == ""


def test_opening(pair):
    writer, _ = pair(256)
    other = memmsg()
    for size, error in ((255, errc.size_mismatch), (257, errc.invalid_layout), (0, errc.invalid_argument)):
        for create in (True, False):
            assert other.open("/log", size, False, create) is False
            assert last_error() == error
    for name in ("/absent", "/a/b", "/"):
        assert other.open(name, 256, False, False) is False
        assert last_error() == errc.open_failed
    assert other.open("/a/b", 256, True, True) is False
    assert last_error() == errc.create_failed
    assert other.open("/log", 256, True, True) is True
    assert (writer.existing(), other.existing()) == (False, True)
    assert writer.getSessionId() == other.getSessionId() != 0


def test_other_files_are_refused(shm_dir):
    with MessageLog.create("log"):
        assert memmsg().open("/log", 256, False, False) is False
        assert last_error() == errc.invalid_layout
    (shm_dir / "odd.msg.shm").write_bytes(b"x" * 6000)
    assert memmsg().open("/odd", 256, False, True) is False
    assert last_error() == errc.invalid_layout


def test_writers_take_turns(pair):
    first, reader = pair()
    second, third = memmsg(), memmsg()
    assert second.open("/log", 1024, True, False)
    assert third.open("/log", 1024, True, True)
    for number, each in enumerate((second, third, first, second)):
        assert each.write(f"{number}") is True
    second.close()
    assert first.write("4")
    assert [reader.read() for _ in range(5)] == ["0", "1", "2", "3", "4"]


def test_a_writer_that_is_stopped_in_its_turn_is_a_lock_timeout(pair, shm_dir, monkeypatch):
    monkeypatch.setattr("pymilk.channels.log.TURN_S", 0.01)
    writer, reader = pair()
    assert writer.write("x")
    with open(shm_dir / "log.msg.shm", "r+b") as file:
        take_lock(file.fileno(), start=1 << 62)
        assert writer.write("y") is False
        assert last_error() == errc.lock_timeout
    with MessageLog.create("other", 3 * 1024 + 5120):  # a program that keeps others out
        other = memmsg()
        assert other.open("/other", 1024, True, False)
        assert other.write("x") is False
        assert last_error() == errc.lock_timeout
    assert writer.write("z")
    assert [reader.read(), reader.read()] == ["x", "z"]


def test_closed():
    each = memmsg()
    each.close()
    assert each.isOpen() is False
    assert each.getSessionId() == 0
    for call, result in (
        (each.read, ""),
        (each.read_bytes, b""),
        (each.read_with_overrun, ("", False)),
        (each.read_bytes_with_overrun, (b"", False)),
        (each.poll, False),
    ):
        assert call() == result
        assert last_error() == errc.not_open
    assert each.write("x") is False
    assert last_error() == errc.access_denied
    assert each.write_bytes(b"x") is False
    assert repr(each) == "<memmsg closed>"


def test_remove(pair, shm_dir):
    pair()
    assert memmsg.remove("/log") is True
    assert memmsg.remove("/log") is False
    assert memmsg.remove("/a/b") is False
    assert list(shm_dir.iterdir()) == []


def test_name_goes_with_its_maker(pair, shm_dir):
    writer, reader = pair()
    writer.write("last")
    reader.close()
    assert len(list(shm_dir.iterdir())) == 1
    reader.open("/log", 1024, False, False)
    writer.close()
    assert list(shm_dir.iterdir()) == []
    assert reader.read() == "last"
    assert reader.read(0) == ""
    other = memmsg()
    other.open("/log", 64, True, True)
    writer.close()
    assert len(list(shm_dir.iterdir())) == 1
    del other
    gc.collect()
    assert list(shm_dir.iterdir()) == []


def test_handles_go_on_without_a_name(pair, shm_dir):
    maker, reader = pair()
    second = memmsg()
    assert second.open("/log", 1024, True, False)
    maker.close()
    assert list(shm_dir.iterdir()) == []
    assert second.write("nobody else comes")
    assert reader.read() == "nobody else comes"
    assert reader.read(1) == ""
    assert last_error() == errc.timeout
    assert (reader.isOpen(), reader.poll()) == (True, False)
    assert not memmsg().open("/log", 1024, False, False)


def test_handles_keep_the_old_share_under_a_new_one(pair):
    maker, reader = pair()
    assert memmsg.remove("/log")
    newer, late = memmsg(), memmsg()
    assert newer.open("/log", 1024, True, True)
    assert late.open("/log", 1024, False, False)
    assert newer.write("new")
    assert maker.write("old")
    assert (reader.read(), late.read()) == ("old", "new")
    assert [reader.poll(), late.poll()] == [False, False]
    newer.close()


def test_old_maker_leaves_the_new_name(pair, shm_dir):
    writer, _ = pair()
    memmsg.remove("/log")
    other = memmsg()
    assert other.open("/log", 64, True, True)
    writer.close()
    assert len(list(shm_dir.iterdir())) == 1
    other.close()


def test_open_closes_what_was_open(pair):
    writer, reader = pair()
    writer.write("old")
    assert reader.open("/absent", 64, False, False) is False
    assert reader.isOpen() is False
    assert writer.open("/other", 64, True, True)
    assert memmsg().open("/log", 1024, False, False) is False
    assert writer.existing() is False


def test_pymilk_sees_a_log(pair):
    writer, _ = pair()
    with MessageLog.attach("log") as log:
        writer.write("seen")
        assert log.read(timeout=0).data == "seen"
