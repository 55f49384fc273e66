"""Messages of the bridge: what is written is read, and whatever else comes is refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pymilk import Keyword
from pymilk.bridge.header import _HEADER, WIRE_ROW, Epoch, Message, decode, encode, nbytes_most
from pymilk.errors import BridgeMessageError

EPOCH = Epoch(bytes(range(16)), 7, 2**40, 1_700_000_000_000_000_000)
WORDS = [
    Keyword("GAIN", 2.5, "e/ADU"),
    Keyword("NX", -3, ""),
    Keyword("OBJECT", "Vega", "who"),
    Keyword("NONE", None),
]
FRAME_NBYTES = 4 * 6 * 2


def a_message(count: int = 3, words: list[Keyword] | None = WORDS) -> Message:
    rows = np.zeros(count, WIRE_ROW)
    rows["cnt0"] = np.arange(count) + 5
    rows["atime_ns"] = 1_700_000_000_000_000_000
    frames = np.arange(count * 24, dtype=np.uint16).reshape(count, 4, 6)
    return Message(EPOCH, 99, 1000, 7, (4, 6), np.dtype(np.uint16), 50, rows, words, frames, 123)


def test_what_is_written_is_read():
    message, got = a_message(), decode(encode(a_message()), FRAME_NBYTES)
    assert (got.epoch, got.sender, got.sent, got.missing) == (EPOCH, 99, 1000, 7)
    assert (got.shape, got.dtype, got.slots, got.at_ns) == ((4, 6), np.uint16, 50, 123)
    np.testing.assert_array_equal(got.rows, message.rows)
    np.testing.assert_array_equal(got.frames, message.frames)
    assert got.keywords == WORDS


def test_no_keywords_are_not_an_empty_table():
    assert decode(encode(a_message(words=None)), 100).keywords is None
    assert decode(encode(a_message(words=[])), 100).keywords == []


def test_no_frames():
    got = decode(encode(a_message(0)), 100)
    assert (len(got.rows), got.frames.shape) == (0, (0, 4, 6))


def test_no_message_is_larger_than_the_engine_allows():
    """Of small frames, many go into one message."""
    words = [Keyword(f"K{number}", number, "") for number in range(1000)]
    message = dataclasses.replace(a_message(1024, words), slots=1000)
    assert len(decode(encode(message), 100).keywords or ()) == 1000
    assert len(encode(message)) <= nbytes_most(1)
    assert nbytes_most(10**8) < 10**8 + 400_000


def test_no_more_keywords_are_sent_than_there_is_room_for():
    """Who receives them makes a stream of so many slots, and two; more were an error there."""
    words = [Keyword(f"K{number}", number, "") for number in range(60)]
    assert decode(encode(a_message(1, words)), 100).keywords == words[:50]


def test_pixels_are_views_of_what_came():
    data = encode(a_message())
    frames = decode(data, 100).frames
    assert np.shares_memory(frames, np.frombuffer(data, np.uint8))
    assert not frames.flags.writeable


@pytest.mark.parametrize(
    ("at", "wrong", "why"),
    [
        (0, b"X", "PMBR"),
        (4, b"\2\0", "version 2"),
        (6, b"\0\0", "version 1"),
        (8, b"\0", "type 0"),
        (8, b"\x15", "type 21"),  # a kind that is no pixel
        (9, b"\0", "axes"),
        (9, b"\4", "axes"),
        (10, b"\xff\xff", "frames"),
        (12, b"\xfe\xff", "keywords"),
        (14, b"\3\0", "4 keywords and 3 slots"),
        (14, b"\xff\xff", "slots"),
        (20, b"\0\0\0\0", "axes"),
        (20, b"\xff\xff\xff\xff", "bytes, and 48 are allowed"),
        (28, b"\1\0\0\0", "axes"),
        (80, b"\xff" * 8, "a number of frames"),
        (88, b"\xff" * 8, "a number of frames"),
        (_HEADER.size + 23, b"\xff", "1970"),
        (_HEADER.size + 32, b"\xff" * 6, "a number of frames"),
    ],
)
def test_a_wrong_field_is_named(at, wrong, why):
    data = bytearray(encode(a_message()))
    data[at : at + len(wrong)] = wrong
    with pytest.raises(BridgeMessageError, match=why):
        decode(bytes(data), FRAME_NBYTES)


def test_every_length_but_the_right_one_is_refused():
    data = encode(a_message())
    for end in range(len(data)):
        with pytest.raises(BridgeMessageError):
            decode(data[:end], FRAME_NBYTES)
    with pytest.raises(BridgeMessageError):
        decode(data + b"\0", FRAME_NBYTES)


def test_a_larger_frame_than_allowed_says_what_allows_it():
    with pytest.raises(BridgeMessageError, match=r"48 bytes, and 47 are allowed \(--max-frame"):
        decode(encode(a_message()), FRAME_NBYTES - 1)


@settings(max_examples=60, deadline=None, database=None)
@given(st.lists(st.tuples(st.integers(0, 726), st.integers(0, 255)), min_size=1, max_size=6))
def test_hostile_bytes_are_refused_or_are_a_message_of_that_length(changes):
    data = bytearray(encode(a_message()))
    for at, value in changes:
        data[at] = value
    try:
        got = decode(bytes(data), 1 << 40)
    except BridgeMessageError:
        return
    assert got.frames.nbytes <= len(data)
    assert len(got.frames) == len(got.rows)
    encode(got)


@settings(max_examples=30, deadline=None, database=None)
@given(st.binary(max_size=400))
def test_noise_is_refused(noise):
    with pytest.raises(BridgeMessageError):
        decode(b"PMBR\1\0\x68\0" + noise, 1 << 40)
