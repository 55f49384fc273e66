"""What a receiver may ask for: done at the sender, and told apart from what is lost."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pymilk import SHM
from pymilk.bridge import FLAG_SKIPPED, Options, Receiver
from pymilk.bridge.header import decode
from pymilk.errors import BridgeError, BridgeMessageError, StreamArgumentError
from support.waiting import until


@pytest.fixture
def source(shm_dir):
    with SHM("wfs", ((5, 6), np.uint16), ring=64) as shm:
        yield shm


def receiving(wires, name="far", **options):
    return Receiver("rtc/wfs", name=name, ring=64, options=Options(**options), engine=wires)


def publish(source):
    return source.set_data(np.zeros((5, 6), np.uint16)) or True


def test_binned_frames(wires, sender, source):
    frames = np.arange(30, dtype=np.uint16).reshape(5, 6)
    with receiving(wires, bin=2) as receiver:
        until(lambda: receiver.report.received)
        source.set_data(frames)
        until(lambda: receiver.rows()[-1]["cnt0"] == source.get_counter())
        with SHM("far") as far:
            data = far.get_data()
    assert (data.shape, data.dtype) == ((3, 3), np.uint16)
    blocks = frames[:4].reshape(2, 2, 3, 2).mean(axis=(1, 3))
    np.testing.assert_array_equal(data[:2], np.floor(blocks + 0.5))
    np.testing.assert_array_equal(data[2], np.floor(frames[4].reshape(3, 2).mean(axis=1) + 0.5))


@pytest.mark.parametrize(
    ("shape", "small"), [((7,), (4,)), ((4, 6), (2, 3)), ((5, 4, 3), (5, 2, 2)), ((2, 5, 3), (2, 3, 2))]
)
def test_blocks_of_any_frames(shape, small):
    options = Options(bin=2)
    frames = np.random.default_rng(1).normal(size=(3, *shape))
    made = options.made_of(frames)
    assert options.kind_of(shape, frames.dtype) == (small, frames.dtype)
    assert made.shape == (3, *small)
    first = frames[(1, 0) if len(shape) == 3 else 1]
    corner = first[:2] if len(shape) == 1 else first[:2, :2]
    assert made[1].reshape(-1)[0] == pytest.approx(corner.mean())


def test_compressed_frames_are_the_same(wires, sender, source):
    pytest.importorskip("blosc2", reason="extra net")
    frames = np.random.default_rng(1).integers(0, 9, (40, 5, 6)).astype(np.uint16)
    with receiving(wires, compress="blosc2") as receiver:
        until(lambda: receiver.report.received)
        with SHM("far") as far, far.ring_reader(start="next") as ring:
            source.set_many(frames)
            np.testing.assert_array_equal(ring.read(40).frames, frames)
        assert receiver.report.lost == 0
    largest = max(wires.messages, key=lambda data: len(decode(data, 60).rows))
    assert largest[16] == 1
    assert len(largest) < 112 + len(decode(largest, 60).rows) * (48 + 60)


def test_compressed_bytes_are_not_believed(wires, sender, source):
    """Sizes within are compared with those of the message before anything is read or asked for."""
    pytest.importorskip("blosc2", reason="extra net")
    with receiving(wires, compress="blosc2") as receiver:
        until(lambda: receiver.report.received)
        source.set_many(np.zeros((40, 5, 6), np.uint16))
        until(lambda: receiver.rows()[-1]["cnt0"] == source.get_counter())
    whole = max(wires.messages, key=lambda data: len(decode(data, 60).rows))
    at = len(whole) - 16 - 8  # somewhere within
    for wrong in (whole[:-1], whole + b"\0", whole[:at], whole[:16] + b"\2" + whole[17:]):
        with pytest.raises(BridgeMessageError):
            decode(wrong, 60)
    many = bytearray(whole)
    many[20:24] = (2**20).to_bytes(4, "little")  # rows of a frame
    with pytest.raises(BridgeMessageError, match="compressed frames have"):
        decode(bytes(many), 2**25)


def test_left_out_is_not_lost(wires, sender, source):
    """The first frames go through slowly: what is published meanwhile is left out."""
    with receiving(wires, newest=True) as receiver:
        until(lambda: receiver.report.received)
        first = int(receiver.rows()[0]["cnt0"])
        for _ in range(5):
            source.set_many(np.zeros((10, 5, 6), np.uint16))
            until(lambda: receiver.rows()[-1]["cnt0"] == source.get_counter())
        rows, report = receiver.rows(), receiver.report
        assert (report.lost, rows["lost"].sum()) == (0, 0)
        assert report.skipped == rows["skipped"].sum() > 0
        assert report.received + report.skipped == source.get_counter() - first + 1
        assert (np.diff(rows["cnt0"].astype(int)) == rows["skipped"][1:].astype(int) + 1).all()
        assert ((rows["flags"] & FLAG_SKIPPED > 0) == (rows["skipped"] > 0)).all()
        assert (np.diff(rows["counter"].astype(int)) == 1).all()  # readers here count no loss
        with SHM("far") as far:
            words = {word.name: word.value for word in far._stream.read_keywords()}
            assert far.get_counter() - words["PMBROFF"] == source.get_counter()
    assert "left out" in str(report)


def test_lost_on_the_way_of_what_was_decimated(wires, sender, source):
    """What a lost message said was left out is left out, and its frame is lost."""
    with receiving(wires, newest=True) as receiver:
        until(lambda: receiver.report.received)
        first = int(receiver.rows()[0]["cnt0"])
        until(lambda: sender._kinds)
        line = next(iter(sender._kinds.values()))
        for dropped in (True, False):
            wires.drop = lambda number, dropped=dropped: dropped
            source.set_many(np.zeros((10, 5, 6), np.uint16))
            until(lambda: line._last[1] == source.get_counter())
        until(lambda: receiver.rows()[-1]["cnt0"] == source.get_counter())
        report = receiver.report
        assert report.on_way > 0
        assert report.before == report.away == 0
        assert report.received + report.skipped + report.lost == source.get_counter() - first + 1


def test_a_rate_is_not_exceeded(wires, sender, source):
    with receiving(wires, rate=0.001) as receiver:
        until(lambda: receiver.report.received)
        source.set_many(np.zeros((10, 5, 6), np.uint16))
        with receiving(wires, "all", newest=True) as other:
            until(lambda: other.report.received)
        assert receiver.report.received == 1


def test_who_asks_the_same_gets_the_same_messages(wires, sender, source):
    with receiving(wires, rate=1000) as one, receiving(wires, "two", rate=1000, newest=True) as two:
        # A link that heals begins anew, without any, and goes on with those that ask.
        until(lambda: publish(source) and one.report.received and two.report.received and sender._kinds)
        assert len(sender._kinds) == 1
        (report,) = (each for each in sender.report.streams if each.options)
        assert report.options == "newest, rate=1000.0"


def test_what_is_not_known_is_refused_in_words(wires, sender):
    (entry,) = (each for each in wires.answers if each.key.endswith("/options"))
    for question, why in (
        (b'{"turn": 3}', "turn"), (b"[]", "options"), (b"[" * 9999, "options"), (b'{"bin": 0}', "bin"),
        (b'{"compress": "zip"}', "blosc2"), (b'{"rate": NaN}', "rate"), (b"{}", "nothing"),
        (b'{"rate": "x"}', "rate"), (b'{"newest": 1}', "newest"), (b"\xff", "options"),
    ):  # fmt: skip
        answer = entry.call(entry.key, question)
        assert answer.startswith(b"PMNO")
        assert why.encode() in answer
    for number in range(2, 40):
        answer = entry.call(entry.key, json.dumps({"bin": number}).encode())
    assert b"16 kinds" in answer


def test_a_refusal_ends_the_receiver(wires, source):
    here = wires.appear("pymilk/1/rtc/wfs/here/1")
    wires.answer("pymilk/1/rtc/wfs/options", lambda *_: b"PMNOno such thing\x1b[2J")
    with receiving(wires, bin=2) as receiver:
        with pytest.raises(BridgeError, match=r"rtc refuses to send wfs with bin=2: no such thing\?\[2J"):
            receiver.wait(30)
        assert not receiver.running
    here.close()


def test_a_sender_that_does_not_know_of_options(wires, source):
    wires.appear("pymilk/1/rtc/wfs/here/1")
    with receiving(wires, bin=2) as receiver:
        until(lambda: "does not answer" in receiver.report.trouble)
        assert "older pymilk" in str(receiver.report)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"rate": 0}, "rate"), ({"rate": float("nan")}, "rate"), ({"bin": 0}, "bin"), ({"bin": 2.0}, "bin"),
        ({"compress": "zip"}, "compress"), ({"newest": 1}, "newest"), ({"history": -1}, "history"),
        ({"history": 5, "rate": 30}, "history"), ({"history": 5, "newest": True}, "history"),
    ],
)  # fmt: skip
def test_arguments(wrong, named):
    with pytest.raises(StreamArgumentError, match=named):
        Options(**wrong)
