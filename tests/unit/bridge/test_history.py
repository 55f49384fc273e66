"""Those who come late get the past, joined to the live frames without a repetition or a gap."""

from __future__ import annotations

import numpy as np
import pytest

from pymilk import SHM
from pymilk.bridge import Options, Receiver, Sender
from pymilk.bridge.header import decode
from pymilk.bridge.history import PastQuestion, past
from support.waiting import until


@pytest.fixture
def source(shm_dir):
    with SHM("wfs", ((4, 6), np.uint16), ring=128) as shm:
        yield shm


def publish(source, count):
    for _ in range(count):
        source.set_data(np.full((4, 6), source.get_counter() + 1, np.uint16))


def receiving(wires, **options):
    return Receiver("rtc/wfs", name="far", ring=256, options=Options(**options), engine=wires)


def check_whole(receiver, source, first):
    """All frames from the first on came once, in order, with their rows and pixels."""
    until(lambda: len(receiver.rows()) and receiver.rows()[-1]["cnt0"] == source.get_counter())
    rows = receiver.rows()
    np.testing.assert_array_equal(rows["cnt0"], np.arange(first, source.get_counter() + 1))
    assert (receiver.report.lost, receiver.report.refused, receiver.report.trouble) == (0, 0, "")
    with SHM("far") as far, SHM("wfs") as again:
        mine, theirs = (each.ring_reader(start="oldest") for each in (far, again))
        with mine, theirs:
            mine, theirs = mine.dump(frames=100), theirs.dump(frames=100)
    count = min(len(rows), 100)
    np.testing.assert_array_equal(mine.frames[-count:], theirs.frames[-count:])
    for name in ("cnt0", "atime_ns"):
        np.testing.assert_array_equal(mine.info[name][-count:], theirs.info[name][-count:])


@pytest.mark.parametrize("options", [{}, {"compress": "blosc2"}])
def test_the_last_frames_and_then_the_live_ones(wires, sender, source, options):
    if options:
        pytest.importorskip("blosc2", reason="extra net")
    publish(source, 60)
    with receiving(wires, history=50, **options) as receiver:
        until(lambda: receiver.report.received)
        publish(source, 30)
        check_whole(receiver, source, 60 - 50 + 2)
        assert receiver.report.history >= 50 - 1


def test_in_pieces_while_frames_go_on(wires, sender, source, monkeypatch):
    """Each answer has three frames, and meanwhile new ones come."""
    monkeypatch.setattr("pymilk.bridge.history._PIECE_NBYTES", 3 * 48)
    publish(source, 60)
    ask, answers = wires.ask, []

    def ask_slowly(key, timeout, question=b""):
        found = ask(key, timeout, question)
        if key.endswith("/past"):
            answers.append(len(decode(found[0].message, 48).rows))
            publish(source, 2)
        return found

    wires.ask = ask_slowly
    with receiving(wires, history=40) as receiver:
        until(lambda: receiver._held is None)
        publish(source, 5)
        rows = receiver.rows()
        check_whole(receiver, source, int(rows["cnt0"][0]))
    assert answers[0] == 3
    assert len(answers) >= 13


def test_more_than_there_is(wires, sender, source):
    publish(source, 5)
    with receiving(wires, history=1000) as receiver:
        check_whole(receiver, source, 1)


def test_a_stream_without_a_ring(wires, shm_dir):
    with SHM("wfs", ((4, 6), np.uint16)) as source, Sender(("wfs",), host="rtc", engine=wires):
        until(lambda: wires.here)
        publish(source, 5)
        with receiving(wires, history=3) as receiver:
            until(lambda: receiver.report.received and receiver._held is None)
            publish(source, 1)
            until(lambda: receiver.report.received == 2)
            assert (receiver.report.history, receiver.report.lost) == (0, 0)


def test_what_is_gone_is_counted(source):
    """Between two answers the ring is overwritten."""
    publish(source, 20)
    first = decode(past("wfs", 1, PastQuestion(10, 0, 48, Options()).question), 48)
    assert (first.rows["cnt0"].tolist(), first.rows["lost"].tolist()) == ([12], [0])
    publish(source, 300)
    second = decode(past("wfs", 1, PastQuestion(10, 12, 96, Options()).question), 48)
    number = int(second.rows["cnt0"][0])
    assert number > 100
    assert second.rows["lost"].tolist() == [number - 13, 0]
    newest = source.get_counter()
    assert not len(decode(past("wfs", 1, PastQuestion(10, newest, 96, Options()).question), 48).rows)


def test_questions_of_others_are_refused(source):
    for question in (b"", b"{}", b"[1]", b"\xff", b"[" * 9999, b'{"last": -1, "after": 0, "nbytes": 9}',
                     b'{"last": 1, "after": 0, "nbytes": 9, "turn": 1}'):  # fmt: skip
        assert past("wfs", 1, question).startswith(b"PMNO")
    assert past("gone", 1, PastQuestion(1, 0, 1, Options()).question).startswith(b"PMNO")


def test_a_sender_that_has_no_past_is_said_and_its_live_frames_come(wires, source, sender):
    wires.answers[:] = [each for each in wires.answers if not each.key.endswith("/past")]
    publish(source, 5)
    with receiving(wires, history=3) as receiver:
        until(lambda: receiver.report.received)
        assert "does not answer what was asked of the past" in str(receiver.report)
        publish(source, 5)
        until(lambda: receiver.report.received >= 6)
