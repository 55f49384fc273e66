"""Video and audio: shapes, formats, times, conversions, and keywords that are checked."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

import pymilk
from pymilk import errors
from pymilk._core import Keyword, Stream
from pymilk.channels import AudioFormat, AudioStream, Table, VideoFormat, VideoStream
from pymilk.cli.app import app

DEPTHS = {"gray8": 1, "rgb24": 3, "bgr24": 3, "rgba32": 4, "bgra32": 4, "yuyv422": 2, "uyvy422": 2}
SAMPLES = {"u8": "u1", "s16le": "<i2", "s24le": "u1", "s32le": "<i4", "f32le": "<f4", "f64le": "<f8"}


def random(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Return bits of all kinds, without NaN."""
    numbers = np.random.default_rng(3).integers(0, 256, (*shape, np.dtype(dtype).itemsize), np.uint8)
    array = numbers.view(dtype)[..., 0]
    return np.nan_to_num(array) if array.dtype.kind == "f" else array


@pytest.mark.parametrize("form", VideoFormat)
def test_pictures_come_out_as_they_went_in(form):
    depth = DEPTHS[form.value]
    assert form.bytes_per_pixel == depth
    shape = (5, 6) if depth == 1 else (5, 6, depth)
    with VideoStream.create("v", 6, 5, form.value, 25) as video, VideoStream.attach("v") as reader:
        assert (reader.format, reader.width, reader.height, reader.rate) == (form, 6, 5, 25.0)
        picture = random(shape, "u1")
        assert video.write(picture, time_ns=77) == 1
        view = reader.latest(copy=False)
        assert not view.data.flags.writeable
        for frame in (view, reader.latest(), reader.read(timeout=1)):
            assert frame.data.tolist() == picture.tolist()
            assert (frame.number, frame.time_ns, frame.lost, frame.format) == (1, 77, 0, form)
            assert frame.written_ns > 0
            assert frame.intact()
        with Stream.attach("v") as stream:
            assert (stream.shape, stream.dtype) == (shape, np.uint8)


@pytest.mark.parametrize("form", AudioFormat)
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_sound_comes_out_as_it_went_in(form, channels):
    dtype = SAMPLES[form.value]
    assert form.dtype == dtype
    shape = (7, channels, 3) if form is AudioFormat.S24LE else (7, channels)
    with AudioStream.create("a", 7, channels, form.value, 8000) as audio, AudioStream.attach("a") as reader:
        assert (reader.format, reader.samples, reader.channels, reader.rate) == (form, 7, channels, 8000.0)
        sound = random(shape, dtype)
        assert audio.write(sound) == 1
        with audio.claim(time_ns=9) as place:
            place[...] = sound[::-1]
        first, second = reader.read(timeout=1), reader.read(timeout=1, copy=False)
        assert first.data.tolist() == sound.tolist()
        assert second.data.tolist() == sound[::-1].tolist()
        assert second.time_ns == 9
        assert first.samples().shape == (7, channels)


def test_samples_of_three_bytes_become_integers_and_back():
    numbers = np.array([[0, 1], [-1, 2**23 - 1], [-(2**23), -256], [65536, -65537]], np.int32)
    with AudioStream.create("a", 4, 2, "s24le") as audio, AudioStream.attach("a") as reader:
        audio.write(numbers)
        block = reader.read(timeout=1)
        assert block.data[1].tolist() == [[255, 255, 255], [255, 255, 127]]
        assert block.samples().dtype == np.int32
        assert block.samples().tolist() == numbers.tolist()
        for wrong in (2**23, -(2**23) - 1):
            with pytest.raises(errors.ChannelArgumentError, match="a sample"):
                audio.write(np.full((4, 2), wrong, np.int32))
        assert audio.count == 1


def test_reader_that_is_lapped_is_told_how_many():
    with VideoStream.create("v", 2, 2, "gray8", frames=3) as video, VideoStream.attach("v") as reader:
        video.write(np.zeros((2, 2), np.uint8))
        view = reader.read(timeout=1, copy=False)
        for number in range(2, 12):
            video.write(np.full((2, 2), number, np.uint8))
        assert not view.intact()
        found = [reader.read(timeout=0) for _ in range(3)]
        assert [int(each.data[0, 0]) for each in found] == [9, 10, 11]
        assert [each.lost for each in found] == [7, 0, 0]
        with pytest.raises(errors.ChannelTimeoutError):
            reader.read(timeout=0)


def test_colours():
    red = {"rgb24": (255, 0, 9), "bgr24": (9, 0, 255), "rgba32": (255, 0, 9, 1), "bgra32": (9, 0, 255, 1)}
    for form, pixel in red.items():
        with VideoStream.create("v", 2, 1, form, replace=True) as video:
            video.write(np.array([[pixel, pixel]], np.uint8))
            assert video.latest().to_rgb().tolist() == [[[255, 0, 9]] * 2]
    with VideoStream.create("v", 2, 1, "gray8", replace=True) as video:
        video.write(np.array([[3, 4]], np.uint8))
        assert video.latest().to_rgb().tolist() == [[[3] * 3, [4] * 3]]


@pytest.mark.parametrize("form", ["yuyv422", "uyvy422"])
def test_luma_and_chroma(form):
    pytest.importorskip("av")

    def turned(luma, first, second, **how):
        order = [(luma, first), (luma, second)] if form == "yuyv422" else [(first, luma), (second, luma)]
        picture = np.array([order * 3] * 3, np.uint8)
        with VideoStream.create("v", 6, 3, form, replace=True) as video:
            video.write(picture)
            rgb = video.latest().to_rgb(**how)
        assert rgb.shape == (3, 6, 3)
        assert np.ptp(rgb.reshape(-1, 3), axis=0).max() <= 1
        return rgb[1, 2].astype(int)

    def near(found, wanted):
        return np.abs(found - wanted).max() <= 3

    assert near(turned(16, 128, 128), 0)
    assert near(turned(235, 128, 128), 255)
    assert near(turned(255, 128, 128, full_range=True), 255)
    assert near(turned(16, 128, 128, full_range=True), 16)
    # Red of ITU-R BT.601 and of BT.709.
    assert near(turned(81, 90, 240), (255, 0, 0))
    assert near(turned(63, 102, 240, matrix="bt709"), (255, 0, 0))
    assert not near(turned(81, 90, 240, matrix="bt709"), (255, 0, 0))
    with pytest.raises(errors.StreamArgumentError, match="matrix"):
        turned(1, 1, 1, matrix="bt1")


@pytest.mark.parametrize(
    "frame",
    [np.zeros((2, 4), np.uint8), np.zeros((4, 2, 3), np.uint8), np.zeros((2, 4, 3), np.int8),
     np.zeros((2, 4, 3)), np.zeros((1, 2, 4, 3), np.uint8), [1, 2], None],
)  # fmt: skip
def test_frames_that_do_not_fit_are_refused_and_nothing_is_written(frame):
    with VideoStream.create("v", 4, 2) as video:
        with pytest.raises(errors.FrameMismatchError):
            video.write(frame)
        assert video.count == 0
        with pytest.raises(errors.ChannelTimeoutError, match="nothing was written"):
            video.latest()
        with pytest.raises(errors.ChannelTimeoutError, match="nothing was written"):
            video.latest(copy=False)


@pytest.mark.parametrize(
    "wrong",
    [{"width": 0}, {"height": -1}, {"width": 2.5}, {"format": "rgb"}, {"format": None}, {"rate": 0},
     {"rate": float("nan")}, {"rate": "25"}, {"frames": 0}, {"width": 3, "format": "yuyv422"},
     {"format": AudioFormat.U8}],
)  # fmt: skip
def test_video_that_cannot_be(wrong):
    with pytest.raises(errors.StreamError, match=next(iter(wrong))):
        VideoStream.create("v", **{"width": 4, "height": 2, **wrong})
    assert pymilk.list_streams() == []


@pytest.mark.parametrize(
    "wrong", [{"samples": 0}, {"channels": 0}, {"format": "s8"}, {"rate": -1.0}, {"blocks": True}]
)
def test_audio_that_cannot_be(wrong):
    with pytest.raises(errors.StreamError, match=next(iter(wrong))):
        AudioStream.create("a", **{"samples": 4, **wrong})
    assert pymilk.list_streams() == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("PMKIND", "audio"), ("PMKIND", 1), ("PMFORM", "gray8"), ("PMFORM", 3), ("PMFORM", "rgba32"),
     ("PMRATE", 0.0), ("PMRATE", float("nan")), ("PMRATE", "30"), ("PMRATE", float("inf"))],
)  # fmt: skip
def test_keywords_are_checked(name, value):
    with VideoStream.create("v", 4, 2) as video:
        video.stream.update_keyword(name, value, "")
        with pytest.raises(errors.ChannelFormatError, match="has no video"):
            VideoStream.attach("v")


def test_streams_that_hold_something_else():
    with AudioStream.create("a", 4), Table.create("t", [("x", "f4")]), Stream.create("s", (2, 2), np.uint8):
        for name in ("a", "t", "s"):
            with pytest.raises(errors.ChannelFormatError, match="PMKIND"):
                VideoStream.attach(name)
        for name, kind in (("t", AudioStream), ("a", Table)):
            with pytest.raises(errors.ChannelFormatError, match="PMKIND"):
                kind.attach(name)
    words = [Keyword("PMFORM", "s16le"), Keyword("PMRATE", 8), Keyword("PMKIND", "audio")]
    with Stream.create("s", (4, 2), np.uint16) as stream:
        stream.write_keywords(words)
        with pytest.raises(errors.ChannelFormatError, match="frame shape"):
            AudioStream.attach("s")


def test_one_writer_and_made_anew():
    picture = np.zeros((2, 4, 3), np.uint8)
    with VideoStream.create("v", 4, 2) as video, VideoStream.attach("v") as reader:
        with pytest.raises(errors.ChannelReadOnlyError):
            reader.write(picture)
        with pytest.raises(errors.ChannelReadOnlyError):
            reader.claim()
        with pytest.raises(errors.StreamLockedError):
            VideoStream.attach("v", write=True)
        video.close()
        with VideoStream.create("v", 4, 2, replace=True) as again:
            again.write(picture + 1)
            assert reader.read(timeout=1).data.min() == 1
        with VideoStream.create("v", 4, 2, "bgr24", replace=True) as again:
            again.write(picture)
            for copy in (True, False):
                with pytest.raises(errors.ChannelFormatError, match="format and rate"):
                    reader.read(timeout=1, copy=copy)
                again.write(picture)
            again.remove()
            with pytest.raises((errors.ChannelRemovedError, errors.ChannelFormatError)):
                reader.read(timeout=1)


def test_commands_tell_what_it_is():
    with VideoStream.create("v", 4, 2, "uyvy422", 12.5), AudioStream.create("a", 480, 2):
        listed = CliRunner().invoke(app, ["ls"]).stdout.splitlines()
        assert [line.split()[:2] for line in listed[1:]] == [["a", "audio"], ["v", "video"]]
        said = CliRunner().invoke(app, ["info", "v", "--measure", "0"]).stdout
        assert "video: uyvy422, 4 wide, 2 high, 12.5 frames a second" in said
        said = CliRunner().invoke(app, ["info", "a", "--measure", "0"]).stdout
        assert "audio: s16le, 2 channels, 48000 samples a second, 480 in a block" in said
