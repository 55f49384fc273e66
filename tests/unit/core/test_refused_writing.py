"""Wrong calls that publish, claim or set keywords: the right exception, and nothing changed."""

from __future__ import annotations

import fractions
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pymilk import errors
from pymilk._core import Keyword, Stream
from pymilk.errors import (
    FrameMismatchError,
    KeywordError,
    KeywordNotFoundError,
    StreamArgumentError,
    StreamBusyError,
    StreamClosedError,
)
from support import isio_format as fmt
from support.refusals import OUT, content, ramp

Make = Callable[..., Stream]


# --- publishing --------------------------------------------------------------------------------

ONE = np.float32(1)

#: A frame, the field that does not fit, and what was found.
BAD_FRAMES: list[tuple[str, Any, str, object]] = [
    ("float64", np.zeros((2, 3)), "dtype", np.dtype("f8")),
    ("int32", np.zeros((2, 3), "i4"), "dtype", np.dtype("i4")),
    ("bool", np.zeros((2, 3), bool), "dtype", np.dtype(bool)),
    ("big endian", np.zeros((2, 3), ">f4"), "dtype", np.dtype(">f4")),
    ("object", np.full((2, 3), ONE, object), "dtype", np.dtype(object)),
    ("None", None, "dtype", np.dtype(object)),
    ("text", "abc", "dtype", np.dtype("U3")),
    ("list of float", [[0.0] * 3] * 2, "dtype", np.dtype("f8")),
    ("bytes of a frame", np.zeros((2, 12), "u1"), "dtype", np.dtype("u1")),
    ("transposed", np.zeros((3, 2), "f4"), "shape", (3, 2)),
    ("flat", np.zeros(6, "f4"), "shape", (6,)),
    ("one row", np.zeros(3, "f4"), "shape", (3,)),
    ("scalar", ONE, "shape", ()),
    ("stack", np.zeros((1, 2, 3), "f4"), "shape", (1, 2, 3)),
    ("empty", np.zeros((0, 3), "f4"), "shape", (0, 3)),
    ("too large", np.zeros((2, 4), "f4"), "shape", (2, 4)),
]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("frame", "field", "found"), [pytest.param(*row[1:], id=row[0]) for row in BAD_FRAMES]
)
def test_publish_what_does_not_fit(stream: Stream, frame: Any, field: str, found: object) -> None:
    with pytest.raises(FrameMismatchError) as caught:
        stream.publish(frame)
    error = caught.value
    assert type(error) is FrameMismatchError
    assert isinstance(error, ValueError)
    assert isinstance(error, TypeError)
    assert (error.stream, error.field, error.found) == ("cam0", field, found)
    assert error.expected == {"dtype": stream.dtype, "shape": stream.shape}[field]
    assert str(error.expected) in str(error)
    assert str(error.found) in str(error)
    assert (stream.counter, stream.write) == (2, 0)


@pytest.mark.usefixtures("unchanged")
def test_publish_ragged_list(stream: Stream) -> None:
    with pytest.raises(ValueError, match="inhomogeneous"):
        stream.publish([[1], [1, 2]])


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("atime_ns", ["now", 1.5, [1], 2**63, -(2**63) - 1])
def test_publish_bad_time(stream: Stream, atime_ns: Any) -> None:
    for call in (
        lambda: stream.publish(ramp(3), atime_ns=atime_ns),
        lambda: stream.claim(atime_ns=atime_ns),
    ):
        with pytest.raises(StreamArgumentError, match="atime_ns") as caught:
            call()
        assert (caught.value.argument, caught.value.found) == ("atime_ns", atime_ns)
    assert stream.write == 0


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("frames", "field"),
    [
        (np.zeros((2, 3), "f4"), "shape"),
        (np.zeros((1, 3, 2), "f4"), "shape"),
        (np.zeros((1, 2, 3)), "dtype"),
        (np.zeros((1, 2, 3), object), "dtype"),
        (np.zeros((2, 2, 3), "f4")[:, :, ::-1], "order"),
        (np.zeros((2, 2, 3), "f4", order="F"), "order"),
        ([ramp(1)], "dtype"),
        (None, "dtype"),
        (bytes(25), "nbytes"),
    ],
    ids=[
        "one frame",
        "transposed",
        "float64",
        "object",
        "order",
        "Fortran",
        "list",
        "None",
        "bytes",
    ],
)
def test_publish_many_what_does_not_fit(stream: Stream, frames: Any, field: str) -> None:
    with pytest.raises(FrameMismatchError, match="frames") as caught:
        stream.publish_many(frames)
    assert caught.value.field == field


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("frames", "options", "word"),
    [
        (np.zeros((0, 2, 3), "f4"), {}, "0 frames"),
        (np.zeros((2, 2, 3), "f4"), {"count": -1}, "count -1"),
        (np.zeros((2, 2, 3), "f4"), {"interval_ns": -5}, "interval -5 ns"),
    ],
)
def test_publish_many_bad_arguments(
    stream: Stream, frames: np.ndarray, options: dict[str, int], word: str
) -> None:
    with pytest.raises(StreamArgumentError, match=word):
        stream.publish_many(frames, **options)


@pytest.mark.usefixtures("unchanged")
def test_publish_none_of_many(stream: Stream) -> None:
    assert stream.publish_many(ramp(3)[None], count=0) == 2


# --- keywords ----------------------------------------------------------------------------------

#: A keyword, and the limit and length that the error tells; None where there are none.
BAD_KEYWORDS: list[tuple[str, tuple[Any, ...], int | None, int | None]] = [
    ("name too long", ("N" * 17, 1), 16, 17),
    ("name too long in UTF-8", ("\u00e9" * 9, 1), 16, 18),
    ("name empty", ("", 1), 16, 0),
    ("name with NUL", ("A\0B", 1), 16, 3),
    ("name that cannot be encoded", ("\ud800", 1), None, None),
    ("name no text", (5, 1), None, None),
    ("name bytes", (b"A", 1), None, None),
    ("text too long", ("A", "v" * 17), 16, 17),
    ("text with NUL", ("A", "v\0"), 16, 2),
    ("text that cannot be encoded", ("A", "\udfff"), None, None),
    ("int too large", ("A", 2**63), 64, 64),
    ("int too small", ("A", -(2**63) - 1), 64, 64),
    ("int far too large", ("A", 10**400), 64, 1329),
    ("list", ("A", [1]), None, None),
    ("complex", ("A", 1j), None, None),
    ("bytes", ("A", b"1.5"), None, None),
    ("array", ("A", np.array([1.5, 2.5])), None, None),
    ("fraction beyond float", ("A", fractions.Fraction(10**400)), None, None),
    ("comment too long", ("A", 1, "c" * 81), 80, 81),
    ("comment with NUL", ("A", 1, "c\0"), 80, 2),
    ("comment no text", ("A", 1, 5), None, None),
]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("keyword", "limit", "found"), [pytest.param(*row[1:], id=row[0]) for row in BAD_KEYWORDS]
)
def test_bad_keyword(
    stream: Stream, keyword: tuple[Any, ...], limit: int | None, found: int | None
) -> None:
    with pytest.raises(KeywordError) as caught:
        stream.write_keywords([("NEW", 5), keyword])
    error = caught.value
    assert type(error) is KeywordError
    assert isinstance(error, ValueError)
    assert (error.stream, error.keyword) == ("cam0", str(keyword[0]))
    assert (error.limit, error.found) == (limit, found)
    assert "'cam0'" in str(error)
    if limit is not None:
        assert str(limit) in str(error) or found == 0


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    "keyword",
    [pytest.param(row[1], id=row[0]) for row in BAD_KEYWORDS if not row[0].startswith("name")],
)
def test_bad_update_of_a_keyword(stream: Stream, keyword: tuple[Any, ...]) -> None:
    with pytest.raises(KeywordError) as caught:
        stream.update_keyword("FIRST", *keyword[1:])
    assert caught.value.keyword == "FIRST"


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("cnt", [-1, 2**64, "x", [1]])
def test_keyword_with_bad_count(stream: Stream, cnt: Any) -> None:
    with pytest.raises((KeywordError, TypeError, OverflowError)):
        stream.write_keywords([("NEW", 5), ("A", 1, "", cnt)])


def test_keyword_count_that_is_full(stream: Stream) -> None:
    """The count of a keyword wraps, as unsigned numbers do; the write does not stop halfway."""
    stream.write_keywords([("A", 1, "", 2**64 - 1)])
    stream.write_keywords([("B", 1), ("A", 2)])
    assert stream.read_keywords() == [Keyword("B", 1, "", 1), Keyword("A", 2, "", 0)]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("keywords", [5, None, [("A",)], [("A", 1, "", 1, 1)], [7]])
def test_no_keywords_at_all(stream: Stream, keywords: Any) -> None:
    with pytest.raises(KeywordError, match="name, value"):
        stream.write_keywords(keywords)


@pytest.mark.usefixtures("unchanged")
def test_too_many_keywords(stream: Stream) -> None:
    with pytest.raises(KeywordError, match=r"room for 4 keywords, not 5.*larger nbkw") as caught:
        stream.write_keywords([(f"K{i}", i) for i in range(5)])
    assert (caught.value.keyword, caught.value.limit, caught.value.found) == (None, 4, 5)


@pytest.mark.usefixtures("unchanged")
def test_unknown_keyword(stream: Stream) -> None:
    with pytest.raises(KeywordNotFoundError, match="no keyword 'THIRD'") as caught:
        stream.update_keyword("THIRD", 1)
    assert type(caught.value) is KeywordNotFoundError
    assert isinstance(caught.value, KeyError)
    assert (caught.value.stream, caught.value.keyword) == ("cam0", "THIRD")
    # No quotes around the message, as KeyError would put.
    assert str(caught.value).startswith("stream 'cam0'")


def test_no_room_for_keywords(make_stream: Make) -> None:
    stream = make_stream("bare", (2,), "u1", nbkw=0, nbsem=0)
    stream.write_keywords([])
    stream.clear_keywords()
    assert stream.read_keywords() == []
    with pytest.raises(KeywordError, match="room for 0 keywords"):
        stream.write_keywords([("A", 1)])
    with pytest.raises(KeywordNotFoundError):
        stream.update_keyword("A", 1)


# --- claims ------------------------------------------------------------------------------------


def test_claim_left_without_being_entered(stream: Stream) -> None:
    claim = stream.claim()
    for _ in range(2):
        with pytest.raises(StreamBusyError, match="was not entered, or was left already") as caught:
            claim.__exit__(None, None, None)
        assert type(caught.value) is StreamBusyError
        assert caught.value.stream == "cam0"
    assert (claim.counter, stream.counter, stream.write) == (None, 2, 0)


def test_claim_left_twice(stream: Stream) -> None:
    with stream.claim() as frame:
        frame[:] = ramp(3)
    claim = stream.claim()
    claim.__enter__()
    claim.__exit__(None, None, None)
    assert claim.counter == stream.counter == 4
    with pytest.raises(StreamBusyError):
        claim.__exit__(None, None, None)
    assert (claim.counter, stream.counter, stream.write) == (4, 4, 0)


def test_nested_claims(stream: Stream) -> None:
    second = stream.claim()
    with stream.claim() as frame:
        frame[:] = ramp(3)
        for call in (
            second.__enter__,
            lambda: stream.claim().__enter__(),
            lambda: second.__exit__(None, None, None),
            lambda: stream.publish(ramp(4)),
            lambda: stream.publish_many(ramp(4)[None]),
        ):
            with pytest.raises(StreamBusyError) as caught:
                call()
            assert caught.value.stream == "cam0"
        assert (stream.counter, stream.write) == (2, 1)
        # Reading goes on.
        assert stream.view().tolist() == ramp(3).tolist()
    assert (stream.counter, stream.write) == (3, 0)
    assert stream.section("ring_slots")[1].tolist() == ramp(3).tolist()
    with second as frame:
        frame[:] = ramp(4)
    assert (second.counter, stream.counter) == (4, 4)


def test_exception_abandons_the_claim(stream: Stream) -> None:
    before = fmt.decode(content(stream))
    claim = stream.claim(atime_ns=5)
    with pytest.raises(ZeroDivisionError), claim as frame:  # noqa: PT012
        frame[0, 0] = -1
        frame[1, 2] = 1 / 0
    assert claim.counter is None
    assert (stream.counter, stream.write) == (2, 0)
    # What was changed stays changed, and nothing else was.
    assert stream.view()[0, 0] == -1
    stream.view(writable=True)[0, 0] = ramp(2)[0, 0]
    after = fmt.decode(content(stream))
    # Readers compare this stamp, so that a copy made meanwhile is not taken for a whole frame.
    assert after.lastaccesstime > before.lastaccesstime
    after.lastaccesstime = before.lastaccesstime
    assert after == before
    # The same claim can be tried again.
    with claim as frame:
        frame[:] = ramp(3)
    assert (claim.counter, stream.acquisition_time_ns) == (3, 5)


def test_close_inside_a_claim(stream: Stream) -> None:
    with Stream.attach("cam0") as other:
        with stream.claim() as frame:
            stream.close()
            frame[:] = ramp(3)
        assert (other.counter, other.write) == (3, 0)
        assert other.view().tolist() == ramp(3).tolist()


def test_claim_of_a_stream_that_was_closed_meanwhile(stream: Stream) -> None:
    claim = stream.claim()
    stream.close()
    with pytest.raises(StreamClosedError), claim:
        pass
    assert claim.counter is None


def test_claim_of_gpu_pixels(make_stream: Make) -> None:
    stream = make_stream("gpu", (2, 3), "f4", location=0)
    for call in (stream.claim, lambda: stream.publish(ramp(1)), lambda: stream.publish_many(OUT)):
        with pytest.raises(errors.StreamFormatError, match="on GPU 0") as caught:
            call()
        assert (caught.value.field, caught.value.expected, caught.value.found) == (
            "location",
            -1,
            0,
        )
    assert (stream.counter, stream.write) == (0, 0)
