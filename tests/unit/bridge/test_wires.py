"""Senders and receivers over an engine within this process, which loses what the test says."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from pymilk import SHM, Stream
from pymilk.bridge import FLAG_AWAY, FLAG_BEFORE, FLAG_ON_WAY, Receiver, Sender, directory
from pymilk.bridge.header import decode
from pymilk.errors import StreamArgumentError, StreamError
from support.waiting import until


@pytest.fixture
def source(shm_dir):
    with SHM("wfs", ((4, 6), np.uint16), ring=64) as shm:
        yield shm


@pytest.fixture
def receiver(wires, sender):
    with Receiver("rtc/wfs", name="far", ring=256, engine=wires) as made:
        until(lambda: made.report.received)
        yield made


def publish(source, count):
    """Publish one by one, each sent before the next: the number is in the pixels."""
    for _ in range(count):
        source.set_data(np.full((4, 6), source.get_counter() + 1, np.uint16))


def until_far(receiver, source):
    until(lambda: len(receiver.rows()) and receiver.rows()[-1]["cnt0"] == source.get_counter())


def test_frames_rows_and_counters_are_those_of_the_source(receiver, source):
    with SHM("far") as far, far.ring_reader(start="newest") as ring:
        publish(source, 50)
        until_far(receiver, source)
        capture = ring.read(51)
    assert (capture.frames[1:, 0, 0] == capture.info["cnt0"][1:]).all()
    rows = receiver.rows()[-50:]
    assert (rows["cnt0"] == rows["counter"]).all()
    assert (rows["atime_ns"] == capture.info["atime_ns"][1:]).all()
    assert (rows["arrival_ns"] >= rows["writetime_ns"]).all()
    report = receiver.report
    assert (report.received, report.lost, report.refused, report.sender) == (51, 0, 0, True)


def until_paused(sender):
    until(lambda: sender._lines["wfs"]._reader.closed)


def test_lost_on_the_way_is_counted_to_the_frame(receiver, source, wires):
    first = source.get_counter()
    wires.drop = lambda number: number % 3 == 1
    publish(source, 60)
    until(lambda: last_put(wires) == source.get_counter())
    wires.drop = lambda number: False
    publish(source, 1)
    until_far(receiver, source)
    report = receiver.report
    assert report.on_way > 0
    assert report.before == report.away == 0
    assert report.received + report.lost == source.get_counter() - first + 1
    rows = receiver.rows()
    assert (np.diff(rows["counter"].astype(int)) == rows["lost"][1:].astype(int) + 1).all()
    assert (rows["flags"][rows["on_way"] > 0] & FLAG_ON_WAY).all()
    assert not (rows["flags"] & FLAG_BEFORE).any()
    with SHM("far") as far:
        assert far.get_counter() == source.get_counter()


def last_put(wires):
    """Return the counter of the last frame that was put."""
    for data in reversed(wires.messages):
        rows = decode(data, 1 << 20).rows
        if len(rows):
            return int(rows["cnt0"][-1])
    return 0


def test_lost_before_is_told_apart(receiver, source, wires):
    """While the engine holds the sender, the ring of the source is overwritten."""
    put, held = wires.put, []

    def put_late(key, message):
        if not held:
            held.append(True)
            source.set_many(np.zeros((200, 4, 6), np.uint16))
        put(key, message)

    wires.put = put_late
    publish(source, 1)
    until_far(receiver, source)
    report = receiver.report
    assert report.before > 0
    assert report.on_way == report.away == 0
    assert report.received + report.lost == source.get_counter()
    rows = receiver.rows()
    assert (rows["flags"][rows["lost"] > 0] & FLAG_BEFORE).all()


def test_nothing_is_read_while_nobody_listens(wires, source, sender):
    publish(source, 5)
    until(lambda: sender.report.streams)
    assert sender.report.streams[0].sent == 0
    assert not wires.messages


def test_a_pause_is_counted(wires, source, sender):
    with Receiver("rtc/wfs", name="far", ring=8, engine=wires) as first:
        until(lambda: first.report.received)
    until_paused(sender)
    publish(source, 7)
    with Receiver("rtc/wfs", name="far", ring=8, engine=wires) as second:
        until_far(second, source)
        assert second.report.lost == 0  # it was not there
    line = sender.report.streams[0]
    assert line.sent + line.missing == source.get_counter()


def test_the_stream_is_deleted_at_the_end(receiver, wires):
    receiver.stop()
    with pytest.raises(StreamError):
        Stream.attach("far")
    assert not receiver.running
    assert not wires.listeners


def test_a_killed_receiver_is_gone_on_with(wires, source, sender):
    killed = Receiver("rtc/wfs", name="far", ring=8, engine=wires).start()
    until(lambda: killed.report.received)
    target, killed._target = killed._target, None
    killed.stop()
    target.stream.close()  # its file stays, as if it had been killed
    until_paused(sender)
    publish(source, 7)
    with SHM("far") as far, Receiver("rtc/wfs", name="far", ring=8, engine=wires) as receiver:
        until_far(receiver, source)
        report, row = receiver.report, receiver.rows()[0]
        assert (report.away, report.lost, row["lost"], row["counter"]) == (6, 6, 6, source.get_counter())
        assert row["flags"] & FLAG_AWAY
        assert far.get_counter() == source.get_counter()  # the same file


def test_another_shape_is_followed(receiver, source, shm_dir):
    with SHM("wfs", ((3, 5), np.float32), ring=8, replace=True) as other:
        other.set_data(np.full((3, 5), 7, np.float32))
        until(lambda: receiver.rows()[-1]["cnt0"] == other.get_counter())
        with SHM("far") as far:
            assert (far.shape, far.get_data()[0, 0]) == ((3, 5), 7)


def test_a_new_file_of_the_same_shape_goes_on_in_the_same_stream(receiver, source):
    publish(source, 4)
    until_far(receiver, source)
    with SHM("far") as far:
        before = far.get_counter()
        with SHM("wfs", ((4, 6), np.uint16), ring=64, replace=True) as other:
            publish(other, 3)
            until(lambda: receiver.rows()[-1]["cnt0"] == other.get_counter())
            words = {word.name: word.value for word in Stream.attach("far", writable=False).read_keywords()}
            assert far.get_counter() - words["PMBROFF"] == other.get_counter()
        assert far.get_counter() > before


def test_keywords_are_followed(receiver, source):
    stream = Stream.attach("far", writable=False)
    source.set_keywords({"GAIN": 2.5, "OBJECT": "Vega"})
    until(lambda: {word.name for word in stream.read_keywords()} >= {"GAIN", "OBJECT"})
    publish(source, 1)
    until_far(receiver, source)
    assert {word.name: word.value for word in stream.read_keywords()}["GAIN"] == 2.5
    stream.close()


def test_hostile_messages_are_refused_and_counted(receiver, source, wires):
    key = wires.listeners[0].key
    wires.put(key, b"\x80\x04.")
    wires.put(key, wires.messages[0][:50])
    publish(source, 2)
    until_far(receiver, source)
    assert receiver.report.refused == 2
    assert "refused" in str(receiver.report)
    assert receiver.running


def test_a_frame_above_the_limit(wires, sender):
    with Receiver("rtc/wfs", name="far", max_frame=47, engine=wires) as receiver:
        until(lambda: receiver.report.refused)
        assert "--max-frame" in receiver.report.trouble
        with pytest.raises(StreamError):
            Stream.attach("far")


def test_a_name_in_use_ends_it(wires, sender, shm_dir):
    with Stream.create("far", (2, 2), np.uint8, exclusive=True) as mine:
        receiver = Receiver("rtc/wfs", name="far", engine=wires).start()
        with pytest.raises(StreamError, match="far"):
            receiver.wait(30)
        receiver.stop()
        assert not mine.deleted


def test_who_is_there(wires, source, sender):
    until(lambda: wires.here)
    publish(source, 3)
    (found,) = directory(engine=wires)
    assert (found.host, found.stream, found.shape, found.dtype) == ("rtc", "wfs", (4, 6), "uint16")
    assert (found.counter, found.wanted, found.sent) == (source.get_counter(), False, 0)


def test_answers_of_others_are_left_out_or_checked(wires):
    for number, said in enumerate((b"{", b"[]", b"[" * 5000, b'{"shape": "x", "counter": -1, "age": "old"}')):
        wires.answer(f"pymilk/1/h/s{number}/about", lambda *_, said=said: said)
    wires.answer("pymilk/1/h/a%2Fb/about", lambda *_: b"{}")
    (found,) = directory(engine=wires, timeout=0)
    assert (found.stream, found.shape, found.counter, found.age) == ("s3", (), 0, None)


@pytest.mark.parametrize("age", ["1e999", "-1e999", "NaN", "1" + "0" * 400, "true", '"old"', "[]"])
def test_ages_that_are_none(wires, age):
    wires.answer("pymilk/1/h/s/about", lambda *_: f'{{"age": {age}}}'.encode())
    (found,) = directory(engine=wires, timeout=0)
    assert found.age is None


def test_arguments(wires):
    for wrong in ((), "wfs"):
        with pytest.raises(StreamArgumentError, match="patterns"):
            Sender(wrong, engine=wires)
    with pytest.raises(StreamArgumentError, match="max_frame"):
        Receiver("a/b", max_frame=0, engine=wires)
    with pytest.raises(StreamArgumentError, match="ring"):
        Receiver("a/b", ring=0, engine=wires)


def test_twice_started(receiver, sender):
    for each in (receiver, sender):
        with pytest.raises(StreamArgumentError, match="started already"):
            each.start()


def test_receiver_and_directory_are_told_what_keeps_the_sender(receiver, sender, source, wires, monkeypatch):
    monkeypatch.setattr("pymilk.bridge.receiver._SILENCE_SECONDS", 0.0)
    publish(source, 2)
    until_far(receiver, source)
    assert not receiver.report.trouble
    os.unlink(source.FILEPATH)
    until(lambda: sender.report.streams[0].trouble)
    [told] = directory(engine=wires)
    assert (told.trouble, told.shape) == ("its file was deleted", ())
    until(lambda: receiver.report.trouble)
    assert receiver.report.trouble == "rtc cannot send wfs: its file was deleted"
    assert "cannot send wfs" in receiver.report.reasons()[-1]
    with SHM("wfs", ((4, 6), np.uint16), ring=64) as again:
        until(lambda: publish(again, 1) or not receiver.report.trouble)
        assert not directory(engine=wires)[0].trouble


def test_words_of_others_are_printable_and_short(wires, sender):
    words = "a\x1b[2Jb\n" + "x" * 9000
    wires.answer("pymilk/1/far/cam/about", lambda *_: json.dumps({"trouble": words}).encode())
    [told] = [each for each in directory(engine=wires) if each.host == "far"]
    assert told.trouble.startswith("a?[2Jb?x")
    assert len(told.trouble) == 500


def test_what_ended_a_receiver_is_in_its_report(wires, sender, source, shm_dir):
    """Also for those who only leave the block, and never wait."""
    (shm_dir / "far.im.shm").mkdir()  # no stream can be made there
    with Receiver("rtc/wfs", name="far", engine=wires) as made:
        until(lambda: made.error)
    assert made.report.error == str(made.error)
    assert f"It ended: {made.report.error}." in " ".join(str(made.report).split())
    with pytest.raises(StreamError):
        made.wait(0)
