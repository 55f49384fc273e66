"""Commands: each handle writes and reads, places, who is counted, sizes, errors, the life of the name."""

from __future__ import annotations

import gc

import pytest

from pymilk.compat.pymembus import errc, last_error, memcmd, memmsg, select


@pytest.fixture
def handles():
    """Make handles of a share; the first one makes it and is counted."""
    made = []

    def make(count=2, size=1024):
        for number in range(count):
            made.append(memcmd())
            assert made[-1].open("/commands", size, number == 0, number == 0)
        return made

    yield make
    for each in reversed(made):
        each.close()


def test_any_handle_writes_and_each_reads_all(handles):
    receiver, sender, other = handles(3)
    assert [sender.write("left"), other.write(b"right"), receiver.write_bytes(b"stop")] == [True] * 3
    for each in (receiver, sender, other):
        assert each.poll() is True
        assert each.read() == "left"
        assert each.read_with_overrun(0) == ("right", False)
        assert each.read_bytes(wait=0) == b"stop"
        assert last_error() == errc.ok
        assert each.poll() is False
        assert each.read() == ""
        assert last_error() == errc.timeout
    late = memcmd()
    assert late.open("/commands", 1024)
    assert late.read_bytes_with_overrun() == (b"left", False)


def test_defaults_and_keywords(handles):
    receiver, _ = handles()
    other = memcmd()
    assert other.open(sName="/commands", size=1024, bReader=True, bCreate=False) is True
    assert other.write(sMsg="x") is True
    assert other.write_bytes(data=b"y") is True
    assert select(0, [receiver.poll]) == 0
    assert [receiver.read(wait=5), receiver.read(5)] == ["x", "y"]
    assert memcmd().open("/absent", 64) is False
    assert last_error() == errc.open_failed


def test_readers_are_counted(handles):
    receiver, sender = handles()
    assert [receiver.readerCount(), sender.readerCount()] == [1, 1]
    others = [memcmd() for _ in range(4)]
    for each in others:
        assert each.open("/commands", 1024, True)
    assert sender.readerCount() == 5
    others.pop().close()
    assert sender.readerCount() == 4
    del each
    others.clear()
    gc.collect()
    assert sender.readerCount() == 1
    assert receiver.open("/commands", 1024) is False  # its close took the name
    assert receiver.readerCount() == 0


def test_readers_of_a_newer_share_are_not_counted(handles):
    _, sender = handles()
    memcmd.remove("/commands")
    assert sender.readerCount() == 1
    newer, second = memcmd(), memcmd()
    assert newer.open("/commands", 64, True, True)
    assert second.open("/commands", 64, True)
    assert [newer.readerCount(), sender.readerCount()] == [2, 1]
    second.close()
    newer.close()


def test_refused(handles):
    receiver, sender = handles(size=100)
    for message, error in (("", errc.invalid_argument), ("x" * 100, errc.message_too_large)):
        assert sender.write(message) is False
        assert last_error() == error
        assert sender.write_bytes(message.encode()) is False
        assert last_error() == error
    for wrong in (3, None, memoryview(b"x")):
        with pytest.raises(TypeError):
            sender.write(wrong)
    for wrong in ("text", bytearray(b"x")):
        with pytest.raises(TypeError):
            sender.write_bytes(wrong)
    with pytest.raises(TypeError):
        sender.read(-1)
    assert receiver.poll() is False
    assert sender.write("x" * 99)
    assert receiver.read() == "x" * 99


def test_overrun_of_the_slow_one_only(handles):
    quick, slow = handles(size=96)
    for number in range(10):
        assert slow.write(f"{number}")
        assert quick.read() == f"{number}"
    assert quick.read_with_overrun() == ("", False)
    late = memcmd()
    assert late.open("/commands", 96)
    assert [late.read() for _ in range(4)] == ["6", "7", "8", "9"]
    assert slow.read() == "6"  # its first read: where a late one begins
    for number in range(10, 20):
        slow.write(f"{number}")
    assert slow.read_with_overrun() == ("", True)
    assert last_error() == errc.overrun
    assert slow.read_with_overrun() == ("", False)
    quick.write("next")
    assert slow.read() == "next"


def test_opening(handles):
    receiver, _ = handles(size=256)
    other = memcmd()
    for size, error in ((255, errc.size_mismatch), (257, errc.invalid_layout), (0, errc.invalid_argument)):
        for create in (True, False):
            assert other.open("/commands", size, True, create) is False
            assert last_error() == error
    assert other.open("/a/b", 256, False, True) is False
    assert last_error() == errc.create_failed
    assert other.open("/commands", 256, False, True) is True
    assert (receiver.existing(), other.existing()) == (False, True)
    assert receiver.getSessionId() == other.getSessionId() != 0
    assert receiver.readerCount() == 1


def test_a_share_of_messages_is_none_of_commands(handles):
    handles(size=256)
    assert memmsg().open("/commands", 256, False, True) is False
    assert last_error() == errc.invalid_layout
    messages = memmsg()
    assert messages.open("/messages", 256, True, True)
    assert memcmd().open("/messages", 256, False, True) is False
    assert last_error() == errc.invalid_layout


def test_closed():
    each = memcmd()
    each.close()
    assert (each.isOpen(), each.getSessionId(), each.readerCount()) == (False, 0, 0)
    for call, result in (
        (each.read, ""),
        (each.read_bytes, b""),
        (each.read_with_overrun, ("", False)),
        (each.poll, False),
        (lambda: each.write("x"), False),
        (lambda: each.write_bytes(b"x"), False),
    ):
        memcmd()
        assert last_error() == errc.ok
        assert call() == result
        assert last_error() == errc.not_open
    assert repr(each) == "<memcmd closed>"


def test_the_name_goes_with_its_maker(handles, shm_dir):
    receiver, sender = handles()
    sender.write("last")
    sender.close()
    assert [each.name for each in shm_dir.iterdir()] == ["commands.msg.shm"]
    sender.open("/commands", 1024)
    receiver.close()
    assert list(shm_dir.iterdir()) == []
    assert sender.read() == "last"
    assert sender.isOpen()
    assert memcmd.remove("/commands") is False
    receiver.open("/commands", 64, True, True)
    assert memcmd.remove("/commands") is True
    assert sender.write("of the first share") is True
    assert (sender.read(), receiver.poll()) == ("of the first share", False)
