"""Rings of pictures and sound: formats, numbers, errors, views and how long they live, damaged files."""

from __future__ import annotations

import os
import threading
from functools import partial

import numpy as np
import pytest

from pymilk._core import Stream
from pymilk.compat.pymembus import (
    audio_format,
    audview,
    errc,
    last_error,
    memaud,
    memmap,
    memvid,
    video_format,
    vidview,
)

GRAY = video_format.gray8


@pytest.fixture
def video():
    made = memvid()
    assert made.open("/media", True, 4, 2, GRAY, 30, 3)
    return made


@pytest.fixture
def audio():
    made = memaud()
    assert made.open("/media", True, 2, audio_format.s16le, 44100, 30, 3)
    return made


@pytest.fixture(params=["video", "audio"])
def ring(request):
    return request.getfixturevalue(request.param)


def reader_of(ring):
    other = type(ring)()
    assert other.open_existing("/media")
    return other


# -- formats


@pytest.mark.parametrize(
    ("name", "width", "shape", "strides"),
    [
        ("gray8", 3, (2, 3), (16, 1)),
        ("rgb24", 3, (2, 3, 3), (16, 3, 1)),
        ("bgr24", 3, (2, 3, 3), (16, 3, 1)),
        ("rgba32", 3, (2, 3, 4), (16, 4, 1)),
        ("bgra32", 3, (2, 3, 4), (16, 4, 1)),
        ("yuyv422", 4, (2, 16), (16, 1)),
        ("uyvy422", 4, (2, 16), (16, 1)),
        ("userType", 1000, (32,), (1,)),
    ],
)
def test_pictures(name, width, shape, strides):
    ring, format = memvid(), video_format.__members__[name]
    assert ring.open("/media", True, width, 2, format, 25, 2, 16)
    view = memoryview(ring[1])
    assert (view.format, view.shape, view.strides, view.readonly) == ("B", shape, strides, False)
    picture = ring.getBuf(-1)
    assert (picture.size, picture.width, picture.height, picture.scanwidth) == (32, width, 2, 16)
    assert picture.format == format == ring.getFormat()
    assert ring.getFormatName() == name.upper()
    np.asarray(view)[...] = 7
    assert (np.asarray(reader_of(ring)[1]) == 7).all()


@pytest.mark.parametrize(
    ("name", "shape", "item", "sample"),
    [
        ("u8", (1470, 2), "B", 1),
        ("s16le", (1470, 2), "h", 2),
        ("s24le", (8820,), "B", 3),
        ("s32le", (1470, 2), "i", 4),
        ("f32le", (1470, 2), "f", 4),
        ("f64le", (1470, 2), "d", 8),
    ],
)
def test_sound(name, shape, item, sample):
    ring, format = memaud(), audio_format.__members__[name]
    assert ring.open("/media", True, 2, format, 44100, 30, 2, payloadSize=5)
    view = memoryview(ring[0])
    assert (view.format, view.shape, view.readonly) == (item, shape, False)
    assert (ring[0].size, ring[0].channels, ring[0].format) == (1470 * 2 * sample, 2, format)
    assert (ring.getBytesPerSample(), ring.getBps()) == (sample, 8 * sample)
    assert (ring.getBitRate(), ring.getBufSize()) == (44100 * 2 * 8 * sample, 2940 * sample)
    assert (ring.getChannels(), ring.getSampleRate(), ring.getFps()) == (2, 44100, 30)
    assert ring.getFormatName() == name.upper()


def test_sound_of_the_user():
    ring = memaud()
    opened = partial(ring.open, "/media", True, 2, audio_format.userType, 48000, 50, 2)
    assert opened(payloadSize=100)
    assert (memoryview(ring[0]).shape, ring[0].channels, ring.getBufSize()) == ((100,), 2, 100)
    assert ring.getBitRate() == ring.getBps() == ring.getBytesPerSample() == 0
    for size in (0, -1):
        assert not opened(payloadSize=size)
    assert ring.open("/media", True, 1, audio_format.u8, 101, 2, 1)
    assert ring.getBufSize() == 51


def test_formats_given_as_bits():
    video, audio = memvid(), memaud()
    for bits, name in {8: "GRAY8", 24: "RGB24", 32: "RGBA32"}.items():
        assert video.open("/media", True, 4, 2, bits, 30, 2)
        assert (video.getFormatName(), video.getBpp()) == (name, bits)
    assert video.open("/media", True, w=4, h=2, bpp=24, fps=30, bufs=2)
    for bits, name in {8: "U8", 16: "S16LE", 24: "S24LE", 32: "S32LE"}.items():
        assert audio.open("/media", True, 2, bits, 48000, 50, 2)
        assert (audio.getFormatName(), audio.getBps()) == (name, bits)
    assert audio.open("/media", True, 2, bps=16, sampleRate=48000, fps=50, bufs=2)
    for wrong in (16, 0, -8, audio_format.u8):
        with pytest.raises(ValueError, match="bpp"):
            video.open("/media", True, 4, 2, wrong, 30, 2)
    with pytest.raises(ValueError, match="bps"):
        audio.open("/media", True, 2, 12, 48000, 50, 2)
    with pytest.raises(TypeError):
        video.open("/media", True, 4, 2, 8, 30, 2, 4)
    with pytest.raises(TypeError):
        video.open("/media", True, 4, 2, "gray8", 30, 2)
    assert audio.isOpen()


# -- the ring


def test_next(ring):
    assert (len(ring), ring.getBufs(), ring.getPtr(0), ring.getPtr(-1), ring.getSeq()) == (3, 3, 0, 2, 0)
    assert [ring.getFrameSeq(slot) for slot in range(3)] == [0, 0, 0]
    assert ring.next(1) == 1
    assert (ring.getSeq(), ring.getFrameSeq(0), ring.getFrameSeq(3), ring.getFrameSeq(-3)) == (1, 1, 1, 1)
    assert ring.next(0) == 1
    assert (ring.getFrameSeq(1), ring.getPtr(0)) == (2, 1)
    assert ring.next(-1) == 0
    assert (ring.getSeq(), ring.getFrameSeq(1)) == (3, 3)
    assert ring.next(5) == 2
    assert (ring.setPtr(7), ring.getPtr(0), ring.setPtr(-1)) == (1, 1, 2)
    assert [ring.getPtrErr(pos, 0) for pos in (2, 0, 1)] == [0, 1, -1]
    assert ring.getPtrErr(0, 1) == 0
    assert len(list(ring)) == 3


def test_overrun(ring):
    reader = reader_of(ring)
    for _ in range(10):
        ring.next(1)
    assert [reader.getFrameSeq(slot) for slot in range(3)] == [10, 8, 9]
    assert reader.getFrameSeq(reader.getPtr(-1)) == reader.getSeq() == 10


def test_wait(ring):
    reader = reader_of(ring)
    assert reader.waitForFrame(0, -1)
    assert not reader.waitForFrame(1, 0)
    assert last_error() == errc.timeout
    writer = threading.Thread(target=ring.next, args=(1,))
    writer.start()
    assert reader.waitForFrame(60_000, 0)
    assert last_error() == errc.ok
    writer.join()
    with pytest.raises(TypeError):
        reader.waitForFrame(-1, 0)


def test_a_frame_wakes_who_waits_for_the_stream(ring):
    with Stream.attach("media", writable=False) as stream:
        assert stream.try_wait(0) is None
        ring.next(1)
        assert stream.try_wait(0) == 1


def test_time_stamps(video):
    assert video.setVpts(1, 123456)
    assert video.setApts(4, -5)
    assert (video.getVpts(1), video.getApts(1), video.getVpts(0), video.getVpts(-2)) == (
        123456,
        -5,
        0,
        123456,
    )
    with pytest.raises(TypeError):
        video.setVpts(0, 2**63)


def test_time_stamps_of_sound(audio):
    assert audio.setPts(2, -(2**63))
    assert (audio.getPts(2), audio.getPts(0)) == (-(2**63), 0)


def test_fill(ring):
    assert ring.fill(1, 0x1FF)
    assert set(np.asarray(ring[1]).tobytes()) == {255}
    assert set(np.asarray(ring[0]).tobytes()) == set(np.asarray(ring[2]).tobytes()) == {0}
    assert (ring.fill(0, 1), ring[0].size) == (True, len(np.asarray(ring[0]).tobytes()))


# -- identity and user data


def test_identity(ring):
    assert (ring.getVersion(), ring.getAlign()) == (2 if isinstance(ring, memvid) else 3, 64)
    assert (ring.getFourcc(), ring.getGuid(), ring.getMeta(), ring.getMetaSize()) == (0, None, None, 0)
    assert (ring.getFrameExtra(), ring.getUserData(0), ring.getUserLen(0)) == (0, None, 0)
    assert not ring.setUserData(0, b"")
    session = ring.getSessionId()
    assert session == reader_of(ring).getSessionId() != 0
    assert (ring.existing(), reader_of(ring).existing()) == (False, True)
    again = type(ring)()
    more = {
        "align": 4096,
        "frameextra": 5,
        "fourcc": 2**32 - 1,
        "guid": "0123456789abcdef",
        "meta": b"m\0\xff",
    }
    base = (4, 2, GRAY, 30, 3) if isinstance(ring, memvid) else (2, audio_format.u8, 8000, 50, 3)
    assert again.open("/media", True, *base, **more)
    for handle in (again, reader_of(again)):
        assert (handle.getAlign(), handle.getFrameExtra(), handle.getFourcc()) == (4096, 8, 2**32 - 1)
        assert (handle.getGuid(), handle.getMeta(), handle.getMetaSize()) == (
            b"0123456789abcdef",
            b"m\0\xff",
            3,
        )
        assert np.asarray(handle[1]).ctypes.data % 4096 == 0
    assert again.getSessionId() != session == ring.getSessionId()
    with pytest.raises(ValueError, match="guid must be exactly 16 bytes"):
        again.open("/media", True, *base, guid=b"short")
    for wrong in ({"fourcc": -1}, {"fourcc": 2**32}, {"meta": memoryview(b"")}, {"align": "8"}):
        with pytest.raises(TypeError):
            again.open("/media", True, *base, **wrong)
    assert again.isOpen(), "what raises leaves the old share open"
    assert again.open("/media", True, *base, guid=bytes(16))
    assert again.getGuid() is None


def test_user_data():
    ring = memvid()
    assert ring.open("/media", True, 4, 2, GRAY, 30, 3, frameextra=5)
    assert (ring.getUserData(0), ring.getUserLen(0)) == (b"", 0)
    assert ring.setUserData(0, b"12345678")
    assert ring.setUserData(4, "é")
    assert not ring.setUserData(0, b"123456789")
    assert last_error() == errc.message_too_large
    for _ in range(4):
        ring.next(1)
    reader = reader_of(ring)
    assert [reader.getUserData(slot) for slot in range(3)] == [b"12345678", "é".encode(), b""]
    assert ring.setUserData(0, b"")
    assert reader.getUserLen(-3) == 0


# -- errors


@pytest.mark.parametrize(
    "wrong",
    [
        {"w": 0},
        {"h": -1},
        {"fps": 0},
        {"bufs": 0},
        {"bufs": 2**62},
        {"w": 2**62},
        {"scanwidth": 3},
        {"align": 4},
        {"align": 65},
        {"frameextra": -1},
        {"frameextra": 2**62},
        {"format": video_format(99)},
        {"format": video_format.userType},
        {"format": video_format.yuyv422, "w": 3},
    ],
    ids=str,
)
def test_refused_numbers_of_pictures(video, wrong):
    right = {"w": 4, "h": 2, "format": GRAY, "fps": 30, "bufs": 3}
    assert not video.open("/media", True, **{**right, **wrong})
    assert last_error() == errc.invalid_argument
    assert not video.isOpen()
    assert not memvid.remove("/media")


@pytest.mark.parametrize(
    "wrong", [{"ch": 0}, {"sampleRate": 0}, {"fps": -1}, {"bufs": 0}, {"payloadSize": -1}], ids=str
)
def test_refused_numbers_of_sound(audio, wrong):
    right = {"ch": 2, "format": audio_format.u8, "sampleRate": 8000, "fps": 50, "bufs": 3}
    assert not audio.open("/media", True, **{**right, **wrong})
    assert last_error() == errc.invalid_argument


def test_defaults_of_numbers_below_zero():
    ring = memvid()
    assert ring.open("/media", True, 4, 2, GRAY, 30, 3, scanwidth=-1, align=-1)
    assert (ring[0].scanwidth, ring.getAlign()) == (4, 64)


def test_closed():
    video, audio = memvid(), memaud()
    for ring, none in ((video, -1), (audio, 0)):
        assert not ring.isOpen()
        assert (len(ring), ring.getPtr(0), ring.getSeq(), ring.getFrameSeq(0)) == (0, -1, -1, -1)
        assert (ring.getVersion(), ring.getSessionId(), ring.getAlign(), ring.getFps()) == (-1, 0, 0, none)
        assert (ring.getFormat().value, ring.getFormatName(), ring.getGuid(), ring.getMeta()) == (
            0,
            "unknown",
            None,
            None,
        )
        assert (ring.getUserData(0), ring.getUserLen(0), ring.getFrameExtra()) == (None, 0, 0)
        changes = [
            partial(ring.next, 1),
            partial(ring.setPtr, 0),
            partial(ring.fill, 0, 1),
            partial(ring.setUserData, 0, b""),
        ]
        for change, result in zip(changes, (-1, -1, False, False), strict=True):
            memmap()
            assert change() == result
            assert last_error() == errc.not_open
        assert not ring.waitForFrame(0, -1)
        assert ring.waitForFrame(0, -2)
        with pytest.raises(RuntimeError):
            ring.getBuf(0)
        ring.close()
    assert (video.getWidth(), video.getHeight(), video.getBpp(), video.getVpts(0), video.getApts(0)) == (
        -1,
        -1,
        0,
        0,
        0,
    )
    assert (
        audio.getChannels(),
        audio.getSampleRate(),
        audio.getBufSize(),
        audio.getBitRate(),
        audio.getPts(0),
    ) == (0,) * 5


def test_attached_to_read(ring):
    reader = reader_of(ring)
    stamp = reader.setVpts if isinstance(ring, memvid) else reader.setPts
    calls = {partial(reader.next, 1): -1, partial(reader.setPtr, 1): -1, partial(reader.fill, 0, 1): False,
             partial(stamp, 0, 1): False, partial(reader.setUserData, 0, b""): False}  # fmt: skip
    for call, result in calls.items():
        memmap()
        assert call() is result or call() == result
        assert last_error() == errc.access_denied
    assert memoryview(reader[0]).readonly
    assert (ring.getSeq(), ring.getPtr(0)) == (0, 0)


def test_attached_to_write(video):
    other = memvid()
    attach = partial(other.open, "media", False, 4, 2, GRAY)
    assert attach(30, 3, guid=b"x" * 16, fourcc=5)
    assert (other.existing(), other.getGuid(), other.getFourcc()) == (True, None, 0)
    assert other.next(1) == 1
    assert video.getSeq() == 1
    for wrong in ((31, 3), (30, 4), (30, 3, 8), (30, 3, 0, 4096)):
        assert not attach(*wrong)
        assert last_error() == errc.size_mismatch
    assert not other.open("/absent", False, 4, 2, GRAY, 30, 3)
    assert last_error() == errc.open_failed
    assert not other.open_existing("/absent")
    assert last_error() == errc.open_failed


def test_names(video):
    for name in ("", "/", "/a/b", "//x", "/" + "x" * 300):
        assert not memvid().open(name, True, 4, 2, GRAY, 30, 3)
        assert last_error() == errc.create_failed
        assert not memvid().open_existing(name)
        assert last_error() == errc.open_failed
    assert memvid().open_existing(b"media")
    assert memvid.remove("media")
    assert not memvid.remove("/media")
    assert video.next(1) == 1, "handles go on"


# -- lifetime


def test_views_keep_a_share_open(ring):
    view = ring[0]
    again = (ring.close, partial(ring.open_existing, "/media"))
    for kept in (view, memoryview(view), np.asarray(view)[:1]):
        del view
        view = kept
        for call in again:
            with pytest.raises(RuntimeError, match="while exported buffer views exist"):
                call()
    del view, kept
    ring.close()
    assert not ring.isOpen()
    assert not type(ring).remove("/media"), "the maker removes the name"


def test_views_outlive_their_handle(video):
    made = memvid()
    assert made.open("/other", True, 4, 2, GRAY, 30, 3)
    array = np.asarray(made[0])
    del made
    array[:] = 9
    other = memvid()
    assert other.open_existing("/other")
    assert (np.asarray(other[0]) == 9).all()
    other.close()
    del array
    assert not other.open_existing("/other")


def test_made_again(ring):
    reader, again = reader_of(ring), type(ring)()
    ring.fill(0, 1)
    base = (4, 2, GRAY, 30, 3) if isinstance(ring, memvid) else (2, audio_format.u8, 8000, 50, 3)
    assert again.open("/media", True, *base)
    assert (again.getSeq(), again.existing()) == (0, False)
    assert set(np.asarray(reader[0]).tobytes()) == {1}
    ring.close()
    assert reader.open_existing("/media"), "an old maker leaves the new name"
    assert reader.getSessionId() == again.getSessionId()


def test_views_are_made_by_rings_only():
    for kind in (vidview, audview):
        with pytest.raises(TypeError):
            kind()


def test_indices(ring):
    for wrong in (slice(0, 1), "0", 0.5):
        with pytest.raises(TypeError):
            ring[wrong]
    np.asarray(ring[7]).view(np.uint8)[:] = 3
    assert (np.asarray(ring[1]).view(np.uint8) == 3).all()


# -- damaged files


def words_of(name="media"):
    stream = Stream.attach(name, writable=True)
    data = stream.view(writable=True).reshape(-1).view(np.uint8)
    return stream, data[-data.ctypes.data % 4096 :][:240].view(np.int64)


@pytest.mark.parametrize("word", [0, 1, 2, 3, 7, 8, 11, 12, *range(21, 30)])
@pytest.mark.parametrize("value", [-1, 2**62])
def test_damaged_words(ring, word, value):
    stream, words = words_of()
    words[word] = value
    assert not type(ring)().open_existing("/media")
    assert last_error() == errc.invalid_layout
    assert ring.fill(0, 1), "who has it uses the places that it knows"
    stream.close()


def test_damaged_counters(ring):
    _, words = words_of()
    words[4], words[5] = -7, 2**63 - 1
    reader = reader_of(ring)
    assert reader.getPtr(0) == 2
    assert ring.next(1) == -1
    assert last_error() == errc.invalid_layout


def test_other_files(ring):
    for other in (memvid, memaud):
        if not isinstance(ring, other):
            assert not other().open_existing("/media")
            assert last_error() == errc.invalid_layout
    block = memmap()
    assert block.open("/block", 4096, True)
    with Stream.create("tiny", (1, 1), np.uint8), Stream.create("rows", (2, 4096), np.uint8):
        for name in ("/block", "/tiny", "/rows"):
            assert not type(ring)().open_existing(name)
            assert last_error() == errc.invalid_layout


def test_a_file_that_is_cut_in_use(ring):
    with Stream.attach("media", writable=False) as stream:
        os.truncate(stream.path, 4096)
    assert ring.next(1) == -1
    assert last_error() == errc.invalid_layout
