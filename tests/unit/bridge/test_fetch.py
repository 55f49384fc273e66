"""Recordings of another machine: what is asked for comes whole, verified, resumable; nothing else does."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import sys
import time

import numpy as np
import pytest

import pymilk
from pymilk import SHM
from pymilk.bridge import Sender, fetch, recordings
from pymilk.bridge.pieces import Piece
from pymilk.bridge.shelf import Shelf
from pymilk.errors import (
    BridgeError,
    BridgeMessageError,
    StreamArgumentError,
    StreamExistsError,
    StreamNotFoundError,
    StreamUnsupportedError,
)
from pymilk.times import frame_times, tai_offset
from support.waiting import until

#: The room; its function has the same name.
FETCHING = sys.modules["pymilk.bridge.fetch"]


@pytest.fixture(autouse=True)
def _soon_again(monkeypatch):
    monkeypatch.setattr(FETCHING, "_AGAIN_SECONDS", 0.002)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "served"
    (made / "night").mkdir(parents=True)
    return made


@pytest.fixture
def capture(shm_dir):
    """40 frames, three of them missing, of a stream that is seen turned."""
    with SHM("wfs", ((4, 6), np.uint16), ring=64, symcode=3) as shm, shm.ring_reader() as ring:
        for number in range(40):
            if number == 20:
                with shm._stream.claim(missed=3):
                    pass
            shm.set_data(np.full(shm.shape, number, np.uint16) + np.arange(6, dtype=np.uint16))
        yield ring.read(41)


@pytest.fixture
def served(wires, folder, capture):
    pymilk.save(capture, folder / "night" / "a.npy", keywords=[("GAIN", 2.5, "e/ADU")])
    with Sender(("w*",), host="rtc", serve=folder, engine=wires):
        yield


def before(capture, row):
    """Return a time between two frames: seconds since 1970."""
    times = frame_times(capture.info)
    return int(times[row - 1] + times[row]) / 2e9 - tai_offset()


@pytest.mark.parametrize("suffix", ["fits", "npy", "h5", "zarr"])
def test_frames_rows_and_keywords_are_the_same(served, wires, capture, tmp_path, suffix):
    if suffix != "npy":
        pytest.importorskip({"fits": "astropy", "h5": "h5py", "zarr": "zarr"}[suffix])
    path = tmp_path / f"out.{suffix}"
    report = fetch("rtc/wfs", path, engine=wires)
    with pymilk.load(path) as found:
        np.testing.assert_array_equal(np.asarray(found.frames), capture.frames)
        np.testing.assert_array_equal(found.info, capture.info)
        assert found.header["keywords"] == [["GAIN", 2.5, "e/ADU"]]
        assert found.header["symcode"] == 3
        assert found.complete
    assert (report.frames, report.lost, report.resumed) == (41, 3, 0)
    assert not [each for each in os.listdir(tmp_path) if "part" in each]
    with pytest.raises(StreamExistsError):
        fetch("rtc/wfs", path, engine=wires)


def test_frames_of_a_time(served, wires, capture, tmp_path):
    times = {"since": before(capture, 10), "until": before(capture, 15)}
    fetch("rtc/wfs", tmp_path / "out.npy", **times, engine=wires)
    with pymilk.load(tmp_path / "out.npy") as found:
        np.testing.assert_array_equal(found.info, capture.info[10:15])
        np.testing.assert_array_equal(found.frames, capture.frames[10:15])
    with pytest.raises(StreamNotFoundError, match="no recording of rtc/wfs has frames of that time"):
        fetch("rtc/wfs", tmp_path / "none.npy", until=1000.0, engine=wires)
    assert sorted(os.listdir(tmp_path)) == ["out.info.json", "out.info.npy", "out.npy", "served"]


@pytest.mark.parametrize(
    ("times", "why"),
    [
        ({"since": float("nan")}, "since is a datetime or seconds since 1970, not nan"),
        ({"until": float("inf")}, "until is a datetime"),
        ({"until": datetime.datetime(9999, 12, 31)}, "until is a datetime .*, up to the year 2262"),
        ({"since": datetime.datetime(1, 1, 1)}, "since is a datetime .*, up to the year 2262"),
        ({"since": 9.0, "until": 5.0}, "since is a time before until, which is 5.0"),
        ({"since": "2026-11-29"}, "since is a datetime"),
    ],
)
def test_times_that_are_none(served, wires, tmp_path, times, why):
    with pytest.raises(StreamArgumentError, match=why):
        fetch("rtc/wfs", tmp_path / "none.npy", **times, engine=wires)
    with pytest.raises(StreamArgumentError, match=why):
        recordings("rtc/wfs", **times, engine=wires)


def test_times_of_the_future(served, wires):
    assert recordings("rtc/wfs", since=datetime.datetime(2200, 1, 1), engine=wires) == []
    assert len(recordings("rtc/wfs", until=datetime.datetime(2200, 1, 1), engine=wires)) == 1


def test_several_recordings(served, wires, capture, folder, tmp_path):
    pymilk.save(capture, folder / "b_000000.npy")
    pymilk.save(capture, folder / "b_000001.npy")
    (folder / "noise.fits").write_bytes(b"SIMPLE  =")
    np.save(folder / "plain.npy", np.zeros(5))
    found = recordings("rtc/wfs", engine=wires)
    assert [(each.name, each.count) for each in found] == [("b.npy", 82), ("night/a.npy", 41)]
    with pytest.raises(BridgeError, match=r"'b.npy', 'night/a.npy'; choose one with --recording"):
        fetch("rtc/wfs", tmp_path / "out.npy", engine=wires)
    with pytest.raises(StreamNotFoundError, match=r"no recording 'c.npy'"):
        fetch("rtc/wfs", tmp_path / "out.npy", recording="c.npy", engine=wires)
    report = fetch("rtc/wfs", tmp_path / "out.npy", recording="b.npy", engine=wires)
    assert report.frames == 82


def test_one_answer_for_a_stream_that_is_there_and_for_one_that_is_gone(served, wires, capture, folder):
    """Under its own key, so that rules that are about this stream alone let it pass; or under the pattern."""
    until(lambda: any(each.key == "pymilk/1/rtc/wfs/recordings" for each in wires.answers))
    asked = b'{"stream": "%s", "since": 0, "until": 1}'
    for stream in ("wfs", "west"):
        key = f"pymilk/1/rtc/{stream}/recordings"
        (answer,) = wires.ask(key, 1, asked.replace(b"%s", stream.encode()))
        assert not answer.message.startswith(b"PMNO")
    assert wires.ask("pymilk/1/rtc/dm/recordings", 1, asked) == []
    assert wires.ask("pymilk/1/other/wfs/recordings", 1, asked) == []


def failing(wires, after, fault):
    """Let answers fail after some pieces."""
    ask, pieces = wires.ask, []

    def ask_badly(key, timeout, question=b""):
        found = ask(key, timeout, question)
        if b'"name"' in question:
            pieces.append(question)
            if len(pieces) > after:
                return fault(found)
        return found

    wires.ask = ask_badly

    def mend():
        wires.ask = ask
        return pieces

    return mend


@pytest.fixture
def small_pieces(monkeypatch):
    """Five frames at a time, and no patience."""
    monkeypatch.setattr("pymilk.bridge.shelf._PIECE_NBYTES", 5 * 48)
    monkeypatch.setattr(FETCHING, "_FIRST_SECONDS", 0.0)


def test_it_goes_on_where_it_ended(served, wires, capture, tmp_path, small_pieces):
    mend = failing(wires, 4, lambda found: [])
    with pytest.raises(BridgeError, match=r"20 of 41 frames .* nobody answers; the same command goes on"):
        fetch("rtc/wfs", tmp_path / "out.npy", engine=wires)
    mend()
    assert sorted(os.listdir(tmp_path)) == ["out.npy.part", "served"]
    report = fetch("rtc/wfs", tmp_path / "out.npy", engine=wires)
    assert (report.frames, report.resumed) == (41, 20)
    with pymilk.load(tmp_path / "out.npy") as found:
        np.testing.assert_array_equal(found.frames, capture.frames)


@pytest.mark.parametrize("name", ["frames", "rows", "sums"])
@pytest.mark.parametrize("cut", [False, True])
def test_what_was_damaged_meanwhile_comes_again(served, wires, capture, tmp_path, small_pieces, name, cut):
    mend = failing(wires, 4, lambda found: [])
    with pytest.raises(BridgeError):
        fetch("rtc/wfs", tmp_path / "out.npy", engine=wires)
    mend()
    part = tmp_path / "out.npy.part" / name
    data = bytearray(part.read_bytes())
    at = len(data) * 5 // 8  # in the third piece
    data[at] ^= 1
    part.write_bytes(data[:at] if cut else data)
    report = fetch("rtc/wfs", tmp_path / "out.npy", engine=wires)
    assert report.resumed == 10
    with pymilk.load(tmp_path / "out.npy") as found:
        np.testing.assert_array_equal(found.frames, capture.frames)
        np.testing.assert_array_equal(found.info, capture.info)


def test_damage_on_the_way_is_noticed(served, wires, tmp_path, small_pieces):
    def damage(found):
        message = bytearray(found[0].message)
        message[-1] ^= 1
        return [found[0]._replace(message=bytes(message))]

    failing(wires, 2, damage)
    with pytest.raises(BridgeError, match=r"10 of 41 .* wrong checksum"):
        fetch("rtc/wfs", tmp_path / "out.npy", engine=wires)
    assert not (tmp_path / "out.npy").exists()


def test_a_recording_that_was_made_again_begins_anew(served, wires, capture, folder, tmp_path, small_pieces):
    mend = failing(wires, 4, lambda found: [])
    with pytest.raises(BridgeError):
        fetch("rtc/wfs", tmp_path / "out.npy", engine=wires)
    mend()
    info = capture.info.copy()
    capture.info["flags"][3] |= 1 << 30
    pymilk.save(capture, folder / "night" / "a.npy", force=True)
    with Sender(("w*",), host="other", serve=folder, engine=wires):  # which has no list of before
        report = fetch("other/wfs", tmp_path / "out.npy", engine=wires)
    assert report.resumed == 0
    with pymilk.load(tmp_path / "out.npy") as found:
        assert (found.info["flags"] != info["flags"]).sum() == 1


def test_a_format_that_cannot_hold_it(served, wires, folder, tmp_path, shm_dir):
    with SHM("wide", ((2, 2), np.complex64), ring=8) as shm, shm.ring_reader() as ring:
        shm.set_data(np.ones((2, 2), np.complex64))
        pymilk.save(ring.read(1), folder / "wide.npy")
    with pytest.raises(StreamUnsupportedError):
        fetch("rtc/wide", tmp_path / "out.fits", engine=wires)
    assert not (tmp_path / "out.fits").exists()


def test_what_is_written_is_read_back(served, wires, tmp_path, monkeypatch):
    """A format that changes a pixel on the way to the disk."""
    save = pymilk.bridge.part.save

    def save_badly(capture, path, **options):
        frames = np.array(capture._out)
        frames[7, 1, 2] += 1
        capture._out = frames
        return save(capture, path, **options)

    monkeypatch.setattr("pymilk.bridge.part.save", save_badly)
    with pytest.raises(BridgeError, match="is not what was sent"):
        fetch("rtc/wfs", tmp_path / "out.npy", engine=wires)
    assert sorted(os.listdir(tmp_path)) == ["out.npy.part", "served"]


def answered(shelf, **question):
    asked = json.dumps({"begin": 0, "first": 0, "count": 1, "nbytes": 10**6, **question}).encode()
    said = b"PMWT"
    deadline = time.monotonic() + 30
    while said == b"PMWT" and time.monotonic() < deadline:
        said = shelf.answer("pymilk/1/rtc/wfs/recordings", asked)
        time.sleep(0.001)
    return said


def test_nothing_else_can_be_read(folder, tmp_path, capture):
    pymilk.save(capture, folder / "a.npy")
    pymilk.save(capture, tmp_path / "outside.npy")
    os.symlink(tmp_path / "outside.npy", folder / "link.npy")
    os.symlink(tmp_path, folder / "up")
    shelf = Shelf(folder, lambda name: name == "wfs")
    try:
        assert answered(shelf, stream="wfs", name="a.npy").startswith(b"PMRC")
        for name in (
            "../outside.npy", str(tmp_path / "outside.npy"), "link.npy", "up/outside.npy",
            "night/../../outside.npy",
            "a.info.json", "/etc/passwd", "", "\0", ".", "a.npy\0", "gone.npy",
        ):  # fmt: skip
            said = answered(shelf, stream="wfs", name=name)
            assert said.startswith(b"PMNO"), name
            assert str(tmp_path).encode() not in said.replace(name.encode(), b"")
        assert answered(shelf, stream="dark", name="a.npy").startswith(b"PMNO")
        for wrong in ({"first": 41}, {"count": 2**62}, {"begin": -1}, {"count": "1"}, {"nbytes": None}):
            assert answered(shelf, stream="wfs", name="a.npy", **wrong).startswith(b"PMNO")
        for question in (b"", b"[]", b"[" * 9999, b"\xff", b'{"stream": 3}', b'{"stream": "wfs"}'):
            assert shelf.answer("pymilk/1/rtc/wfs/recordings", question).startswith(b"PMNO")
        asked = b'{"stream": "wfs", "since": 0, "until": 9}'
        for key in ("pymilk/1/rtc/dark/recordings", "pymilk/1/rtc/*/recordings", "x"):
            assert b"stream of its key" in shelf.answer(key, asked)
        (found,) = json.loads(answered(shelf, stream="wfs", since=0, until=2**63 - 1))
        assert found["name"] == "a.npy"
    finally:
        shelf.close()


@pytest.mark.parametrize(
    "change",
    [
        {"count": 0}, {"count": 2**63}, {"stream_shape": [0, 4]}, {"stream_shape": []}, {"dtype": "O"},
        {"dtype": 3},
        {"stream_shape": [2] * 9}, {"symcode": "x"}, {"keywords": [3]}, {"name": "a\x1b[2J"}, {"extra": 1},
        {"keywords": [["A", [], ""]]}, {"dtype": "<u2,<u2"},
    ],
)  # fmt: skip
def test_hostile_lists_are_refused(served, wires, tmp_path, change):
    (told,) = recordings("rtc/wfs", engine=wires)
    told = dataclasses.asdict(told) | change
    del wires.answers[:]
    wires.answer("pymilk/1/rtc/*/recordings", lambda *_: json.dumps([told]).encode())
    with pytest.raises((BridgeMessageError, pymilk.errors.StreamFormatError)):
        fetch("rtc/wfs", tmp_path / "out.npy", engine=wires)
    assert sorted(os.listdir(tmp_path)) == ["served"]


def test_hostile_pieces_are_refused(tmp_path):
    data = Piece(3, bytes(2 * 52), bytes(2 * 10)).encode()
    assert Piece.decode(data, 3, 2, 10).count == 2
    for wrong, first, most in (
        (b"", 3, 2), (data[:-1], 3, 2), (data, 4, 2), (data, 3, 1), (b"X" + data[1:], 3, 2),
        (data[:4] + b"\xff" * 4 + data[8:], 3, 2**33),
    ):  # fmt: skip
        with pytest.raises(BridgeMessageError):
            Piece.decode(wrong, first, most, 10)


def test_larger_frames_than_allowed(served, wires, tmp_path):
    with pytest.raises(BridgeMessageError, match="--max-frame"):
        fetch("rtc/wfs", tmp_path / "out.npy", max_frame=47, engine=wires)


def test_nobody_serves(wires, tmp_path, small_pieces):
    with pytest.raises(BridgeError, match="needs --serve DIR"):
        fetch("rtc/wfs", tmp_path / "out.npy", engine=wires)
    with pytest.raises(StreamNotFoundError, match="no folder"):
        Sender(("wfs",), serve=tmp_path / "gone", engine=wires).start()
