"""What others may send to a receiver: replays, rivals, numbers without end; and no engine at all."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from pymilk import SHM, Keyword
from pymilk.bridge import Links, Receiver, Router, Sender, directory
from pymilk.bridge.header import WIRE_ROW, Epoch, Message, encode
from pymilk.bridge.keys import FRAMES, key_of
from pymilk.errors import LibraryMissingError, StreamArgumentError
from support.waiting import until

KEY = key_of("rtc", "wfs", FRAMES)


def crafted(first=1, *, sender=77, shape=(4, 6), lost=0, sent=0, count=1, epoch=1) -> bytes:
    """Return a message as a program of somebody else may write it."""
    rows = np.zeros(count, WIRE_ROW)
    rows["cnt0"] = first + np.arange(count)
    rows["lost"] = lost
    frames = np.zeros((count, *shape), np.uint16)
    made = Epoch(bytes(16), 1, epoch, 1)
    return encode(Message(made, sender, sent, 0, shape, frames.dtype, 8, rows, [], frames, 1))


@pytest.fixture
def source(shm_dir):
    with SHM("wfs", ((4, 6), np.uint16), ring=64) as shm:
        shm.set_data(np.zeros((4, 6), np.uint16))
        yield shm


@pytest.fixture
def receiver(wires):
    with Receiver("rtc/wfs", name="far", ring=8, engine=wires) as made:
        made._news.set()  # nobody says that a sender is there
        until(lambda: wires.listeners)
        yield made


def test_a_sender_says_that_it_is_there_before_it_sends(wires, source, monkeypatch):
    """Whose frames came first would be taken for gone, and be refused from then on."""
    sending = []
    appear = wires.appear
    monkeypatch.setattr(wires, "appear", lambda key: sending.append(len(wires.outlets)) or appear(key))
    with Sender(("wfs",), host="rtc", engine=wires):
        until(lambda: wires.outlets)
    assert sending == [0]


def test_of_two_senders_the_first_counts_until_it_is_gone(wires, source):
    first = Sender(("wfs",), host="rtc", engine=wires).start()
    with (
        Receiver("rtc/wfs", name="far", ring=256, engine=wires) as receiver,
        Sender(("wfs",), host="rtc", engine=wires) as second,
    ):
        until(lambda: receiver.report.received and receiver.report.senders == 2)
        until(lambda: second.report.streams and second.report.streams[0].sent)
        begin = receiver.rows()[0]["cnt0"]
        for _ in range(20):
            source.set_data(np.full((4, 6), 1, np.uint16))
        until(lambda: second.report.streams[0].sent >= 21)
        until(lambda: receiver.rows()[-1]["cnt0"] == source.get_counter())
        until(lambda: receiver.report.refused)
        report = receiver.report
        assert report.lost == 0
        assert report.repeated <= 1  # the newest frame, for one who begins to listen
        assert "another sender" in report.trouble
        assert "2 senders of rtc/wfs" in str(report)
        first.stop()
        until(lambda: receiver.report.senders == 1)
        source.set_data(np.full((4, 6), 2, np.uint16))
        until(lambda: receiver.rows()[-1]["cnt0"] == source.get_counter())
        report = receiver.report
        assert report.received + report.lost == source.get_counter() - begin + 1
        assert report.lost == 0


def test_a_replay_does_not_replace_the_stream(wires, receiver):
    old = crafted(1, sender=1, shape=(3, 3))
    wires.put(KEY, old)
    wires.put(KEY, crafted(1, sender=2, epoch=2))
    stream = receiver._target.stream
    assert stream.frame_shape == (4, 6)
    wires.put(KEY, old)
    wires.put(KEY, crafted(2, sender=1, shape=(3, 3), sent=1))
    assert receiver._target.stream is stream
    assert not stream.deleted
    assert (receiver.report.refused, receiver.report.received) == (2, 2)


def test_losses_that_no_stream_has(wires, receiver):
    """Those between the frames of a message count as those before it."""
    wires.put(KEY, crafted(1))
    wires.put(KEY, crafted(2, lost=1 << 40, count=1024, sent=1))
    report = receiver.report
    assert (report.received, report.lost, report.refused) == (1, 0, 1)
    wires.put(KEY, crafted(2, lost=1 << 30, count=2, sent=1))
    assert receiver.report.lost == 2 << 30


def with_keywords(*words: Keyword, slots=8, sent=1) -> bytes:
    rows = np.zeros(1, WIRE_ROW)
    rows["cnt0"] = sent + 1
    frames = np.zeros((1, 4, 6), np.uint16)
    made = Epoch(bytes(16), 1, 1, 1)
    return encode(Message(made, 77, sent, 0, (4, 6), frames.dtype, slots, rows, list(words), frames, 1))


def test_more_keywords_than_there_is_room_for(wires, receiver):
    """They were an error of the stream here, which ended the receiver."""
    wires.put(KEY, crafted(1))
    word = Keyword("A", 1, "")
    forged = bytearray(with_keywords(word, word, word))
    forged[14:16] = b"\0\0"
    wires.put(KEY, bytes(forged))
    assert (receiver.report.received, receiver.report.refused) == (1, 1)
    wires.put(KEY, with_keywords(word, word, slots=2))
    assert receiver.running
    assert receiver.report.received == 2


def test_keywords_that_no_stream_has(wires, receiver, monkeypatch):
    """The frames are kept, also those of later messages, and the receiver goes on."""
    wires.put(KEY, crafted(1))
    write = receiver._target.stream.write_keywords

    def checked(words):
        if any(each.name == "BAD" for each in words):
            raise StreamArgumentError("a keyword is none", argument="keywords", found="BAD")
        write(words)

    monkeypatch.setattr(receiver._target, "stream", Wrapped(receiver._target.stream, checked))
    wires.put(KEY, with_keywords(Keyword("BAD", 1, "")))
    assert receiver.running
    report = receiver.report
    assert (report.received, report.refused) == (2, 1)
    assert "keywords of a message were refused" in report.trouble
    wires.put(KEY, crafted(3, sent=2, epoch=2))  # tells of another file, in keywords
    wires.put(KEY, with_keywords(Keyword("ABC", 5, ""), sent=3))
    assert receiver.report.received == 4
    words = {each.name: each.value for each in receiver._target.stream.read_keywords()}
    assert words["ABC"] == 5


class Wrapped:
    """A stream that writes keywords in another way."""

    def __init__(self, stream, write_keywords):
        self._stream, self.write_keywords = stream, write_keywords

    def __getattr__(self, name):
        return getattr(self._stream, name)


def test_a_keyword_without_a_name(wires, receiver):
    wires.put(KEY, crafted(1))
    wires.put(KEY, with_keywords(Keyword("ABC", 1, "")).replace(b"ABC", b"\0BC"))
    assert receiver.running
    assert "a keyword has no name" in receiver.report.trouble


def test_frames_in_no_order(wires, receiver):
    """The first message of another sender says by its counters what is missing: never less than none."""
    wires.put(KEY, crafted(500, count=3))
    rows = np.zeros(4, WIRE_ROW)
    rows["cnt0"] = [900, 700, 2, 1]
    frames = np.zeros((4, 4, 6), np.uint16)
    made = Epoch(bytes(16), 1, 1, 1)
    wires.put(KEY, encode(Message(made, 78, 0, 0, (4, 6), frames.dtype, 8, rows, [], frames, 1)))
    report = receiver.report
    assert receiver.running
    assert report.received + report.repeated == 7
    assert report.lost >= 0
    assert report.trouble == ""


def test_an_empty_message_is_refused(wires, receiver):
    """An empty answer says that there is no stream; among frames it is none."""
    wires.put(KEY, b"")
    assert receiver.report.refused == 1


def test_counters_have_an_end(wires, receiver):
    wires.put(KEY, crafted((1 << 61) + 5))
    assert receiver.report.received == 1
    wires.put(KEY, crafted((1 << 61) + 6, sent=1))
    report = receiver.report
    assert (report.received, report.refused) == (1, 1)
    assert "come to its end" in report.trouble
    assert receiver.running


def test_a_flood_of_new_shapes_leaves_one_stream(wires, receiver, shm_dir):
    for number in range(20):
        wires.put(KEY, crafted(number + 1, shape=(4, 4 + number % 2), sent=number))
    assert receiver.running
    assert [each.name for each in shm_dir.iterdir() if each.name.endswith(".im.shm")] == ["far.im.shm"]


def test_a_message_that_there_is_no_memory_for(wires, receiver, monkeypatch):
    def fail(data, most):
        raise MemoryError

    monkeypatch.setattr("pymilk.bridge.receiver.decode", fail)
    wires.put(KEY, crafted())
    assert receiver.report.trouble == "there is no memory for it"
    assert receiver.running


def test_without_the_engine(monkeypatch):
    monkeypatch.setitem(sys.modules, "zenoh", None)
    for start in (
        Sender(("wfs",)).start,
        Receiver("rtc/wfs").start,
        Router(Links()).start,
        directory,
    ):
        with pytest.raises(LibraryMissingError, match="eclipse-zenoh") as caught:
            start()
        assert caught.value.extra == "net"
