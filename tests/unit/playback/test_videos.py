"""Videos of others: the values that are stored, and as many frames as the file says."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pymilk.errors import CaptureMemoryError, StreamFormatError
from pymilk.playback import open_footage
from pymilk.playback.ends import missing_bytes
from pymilk.playback.video import Video, _Length
from support.foreign_files import brightness, cut, played, values, write_video

av = pytest.importorskip("av", reason="extra video")


def check(path: Path, expected: np.ndarray) -> None:
    found = played(path)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found[:, ::-1], expected)


@pytest.mark.parametrize(
    ("pixels", "depth"),
    [("gray", 8), ("gray10le", 10), ("gray12le", 12), ("gray16le", 16), ("yuv420p", 8), ("yuv444p", 8),
     ("yuv420p10le", 10), ("yuv422p12le", 12), ("yuv444p16le", 16)],
)  # fmt: skip
def test_values_are_those_that_are_stored(pixels: str, depth: int, tmp_path: Path) -> None:
    given = values("u2", (6, 16, 32)) >> (16 - depth)
    given = given.astype("u1") if depth == 8 else given
    write_video(tmp_path / "x.mkv", list(given), pixels)
    check(tmp_path / "x.mkv", given)
    assert ("luma as stored" in open_footage(tmp_path / "x.mkv").describe()) == pixels.startswith("yuv")


@pytest.mark.parametrize(
    ("pixels", "order", "name", "codec"),
    [
        ("rgb24", [0, 1, 2], "x.mov", "rawvideo"),
        ("bgr24", [2, 1, 0], "x.avi", "rawvideo"),
        ("bgra", [2, 1, 0, 3], "x.mkv", "ffv1"),
        ("rgb24", [0, 1, 2], "p.mov", "png"),
    ],
)
def test_colours_become_brightness(
    pixels: str, order: list[int], name: str, codec: str, tmp_path: Path
) -> None:
    given = values("u1", (4, 16, 32, 4))
    write_video(tmp_path / name, list(given[..., order]), pixels, codec)
    np.testing.assert_array_equal(played(tmp_path / name)[:, ::-1], brightness(given))


def test_deep_colours_become_brightness(tmp_path: Path) -> None:
    given = values("u2", (3, 16, 32, 3))
    write_video(tmp_path / "x.mkv", list(given), "rgb48le")
    check(tmp_path / "x.mkv", brightness(given))


def test_pixels_of_an_unknown_kind_are_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_video(tmp_path / "x.mkv", list(values("u1", (2, 16, 32))), "gray")
    monkeypatch.setattr("pymilk.playback.video._values_of", lambda frame: (None, ""))
    with pytest.raises(StreamFormatError, match="kind that is not read here: gray"):
        played(tmp_path / "x.mkv")


def film(path: Path, codec: str, pixels: str = "yuv420p", **options: Any) -> None:
    """Write 75 frames that differ; the luma of each has a ramp."""
    y, x = np.mgrid[:96, :128]
    frames = [((x + y + 3 * number) % 256).astype(np.uint8) for number in range(75)]
    try:
        write_video(path, frames, pixels, codec, **options)
    except (av.error.FFmpegError, ValueError) as error:
        pytest.skip(f"this libav has no {codec}: {error}")


CONTAINERS = [
    ("x.mp4", "mpeg4", {"options": {"movflags": "faststart"}}),
    ("h.mp4", "libx264", {"options": {"movflags": "faststart"}}),
    ("f.mp4", "libx264", {"options": {"movflags": "frag_keyframe+empty_moov"}}),
    ("x.mov", "mpeg4", {"options": {"movflags": "faststart"}}),
    ("x.mkv", "ffv1", {}),
    ("h.mkv", "libx264", {}),
    ("x.webm", "libvpx-vp9", {}),
    ("x.avi", "mpeg4", {}),
    ("m.avi", "mjpeg", {"pixels": "yuvj420p"}),
    ("r.avi", "rawvideo", {"pixels": "gray"}),
    ("x.y4m", "wrapped_avframe", {"format": "yuv4mpegpipe"}),
]


@pytest.mark.parametrize(("name", "codec", "options"), CONTAINERS, ids=[each[0] for each in CONTAINERS])
def test_as_many_frames_as_the_file_says(
    name: str, codec: str, options: dict[str, Any], tmp_path: Path
) -> None:
    film(tmp_path / name, codec, **options)
    assert len(played(tmp_path / name)) == 75
    words = rf"cut_{name[0]}.*\d+ of (about )?\d+ frames are there"
    with pytest.raises(StreamFormatError, match=words) as caught:
        played(cut(tmp_path / name))
    assert caught.value.found < 75
    assert caught.value.expected > caught.value.found


@pytest.mark.parametrize("seconds", [0.5, 4.0])
@pytest.mark.parametrize("name", ["x.mp4", "x.mkv", "x.avi"])
def test_sound_that_is_longer_or_shorter_is_no_missing_frame(
    name: str, seconds: float, tmp_path: Path
) -> None:
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        pictures, sound = container.add_stream("mpeg4", rate=25), container.add_stream("mp2", rate=44100)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        for number in range(50):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64), number, np.uint8), format="gray")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(pictures.encode(frame.reformat(format="yuv420p")))
        container.mux(pictures.encode())
        samples = np.zeros((1, int(44100 * seconds)), np.int16)
        heard = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        heard.sample_rate, heard.pts, heard.time_base = 44100, 0, Fraction(1, 44100)
        for part in av.AudioResampler(format=sound.format, layout=sound.layout, rate=44100).resample(heard):
            container.mux(sound.encode(part))
        container.mux(sound.encode())
    assert len(played(path)) == 50


@pytest.mark.parametrize(("matrix", "turns"), [((0, 1, -1, 0), -1), ((-1, 0, 0, -1), 2), ((0, -1, 1, 0), 1)])
def test_video_is_turned_the_way_up_that_it_states(
    matrix: tuple[int, int, int, int], turns: int, tmp_path: Path
) -> None:
    given = values("u1", (3, 16, 32, 3))
    write_video(tmp_path / "x.mov", list(given), "rgb24", "rawvideo")
    content = bytearray((tmp_path / "x.mov").read_bytes())
    place = content.index(b"tkhd") + 4 + 4 + 5 * 4 + 8 + 8  # behind version, times, numbers, layer, volume
    a, b, c, d = (65536 * each for each in matrix)
    struct.pack_into(">9i", content, place, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    (tmp_path / "x.mov").write_bytes(content)
    check(tmp_path / "x.mov", np.rot90(brightness(given), turns, (1, 2)))


def test_a_video_that_ends_early_is_not_complete(tmp_path: Path, make_stream: Any) -> None:
    from pymilk import play

    film(tmp_path / "x.avi", "mjpeg", "yuvj420p")
    with pytest.raises(StreamFormatError, match="of 75 frames are there") as caught:
        play(cut(tmp_path / "x.avi"), "film", rate=0)
    report = caught.value.report
    assert (report.ended, 0 < report.published < 75) == ("error", True)


def damage(path: Path, nbytes: int) -> Path:
    """Overwrite some bytes in the middle of a file."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + nbytes] = bytes(nbytes)
    hurt = path.with_name(f"hurt_{path.name}")
    hurt.write_bytes(content)
    return hurt


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "options", "nbytes"),
    [
        ("x.mkv", "ffv1", "gray", {"level": "3", "slicecrc": "1"}, 4),
        ("x.avi", "mjpeg", "yuvj420p", {}, 400),
    ],
)
def test_damage_that_a_decoder_hides_ends_the_player(
    name: str, codec: str, pixels: str, options: dict[str, str], nbytes: int, tmp_path: Path
) -> None:
    given = values("u1", (20, 48, 64))
    write_video(tmp_path / name, list(given), pixels, codec, settings=options)
    assert len(played(tmp_path / name)) == 20
    level = av.logging.get_level()
    with pytest.raises(StreamFormatError, match=r"frame \d+ is damaged"):
        played(damage(tmp_path / name, nbytes))
    assert av.logging.get_level() == level


@pytest.mark.parametrize(
    ("matrix", "shown"),
    [
        ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),
        ((-1, 0, 0, -1), lambda image: image[::-1, ::-1]),
        ((0, -1, 1, 0), np.rot90),
        ((-1, 0, 0, 1), lambda image: image[:, ::-1]),
        ((1, 0, 0, -1), lambda image: image[::-1]),
        ((0, 1, 1, 0), lambda image: image.T),
        ((0, -1, -1, 0), lambda image: image[::-1, ::-1].T),
    ],
)
def test_rotated_and_mirrored_videos(matrix: tuple[int, ...], shown: Any, tmp_path: Path) -> None:
    """As cameras of telephones write them: the header of the track has a matrix."""
    given = values("u1", (16, 32))
    path = tmp_path / "x.mp4"
    try:
        write_video(path, [given] * 2, "gray", "libx264", settings={"qp": "0"})
    except (av.error.FFmpegError, ValueError) as error:
        pytest.skip(f"this libav has no libx264: {error}")
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 4
    place += 4 + (32 if content[place] else 20) + 16
    a, b, c, d = (each << 16 for each in matrix)
    content[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    check(path, np.stack([shown(given)] * 2))


def write_two_videos(path: Path, cover: bool) -> np.ndarray:
    """Write a small video, or the picture of a cover, before another video, whose frames are returned."""
    given = np.arange(5, dtype=np.uint8)[:, None, None] * np.full((16, 32), 10, np.uint8)
    with av.open(str(path), "w") as container:
        first = container.add_stream("png" if cover else "ffv1", rate=1 if cover else 25)
        second = container.add_stream("ffv1", rate=25)
        for stream, width, height in ((first, 16, 8), (second, 32, 16)):
            stream.width, stream.height, stream.pix_fmt = width, height, "gray"
        if cover:
            first.disposition = av.stream.Disposition.attached_pic
        for stream, frames in ((first, given[: 1 if cover else 5, :8, :16] + 100), (second, given)):
            for number, each in enumerate(frames):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(each), "gray")
                frame.pts = number
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    return given


def test_of_several_videos_the_first_is_played_and_it_is_said(tmp_path: Path) -> None:
    given = write_two_videos(tmp_path / "x.mkv", cover=False)
    check(tmp_path / "x.mkv", given[:, :8, :16] + 100)
    assert "the first of its 2 videos" in open_footage(tmp_path / "x.mkv").describe()


def test_the_picture_of_a_cover_is_no_video(tmp_path: Path) -> None:
    try:
        given = write_two_videos(tmp_path / "x.mp4", cover=True)
    except (av.error.FFmpegError, ValueError) as error:
        pytest.skip(f"this libav does not write covers: {error}")
    check(tmp_path / "x.mp4", given)
    assert "videos" not in open_footage(tmp_path / "x.mp4").describe()


def test_a_cover_that_comes_first_is_passed_over(tmp_path: Path) -> None:
    """Files have it there whose words about the music stand before its tracks."""
    write_video(tmp_path / "x.mkv", list(values("u1", (2, 16, 32))), "gray")
    video = Video(str(tmp_path / "x.mkv"))
    cover, film = SimpleNamespace(disposition=0x400), SimpleNamespace(disposition=0)
    assert video._stream(SimpleNamespace(streams=SimpleNamespace(video=[cover, film]))) is film
    assert video._stream(SimpleNamespace(streams=SimpleNamespace(video=[cover]))) is None
    assert not video.notes


@pytest.mark.parametrize("kind", [MemoryError, av.error.MemoryError])
@pytest.mark.parametrize("place", ["_open", "frames", "_picture"])
def test_a_video_without_memory_for_it(
    kind: Any, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise kind() if kind is MemoryError else kind(12, "Cannot allocate memory")

    write_video(tmp_path / "x.mkv", list(values("u1", (2, 16, 32))), "gray")
    where: Any = {"_open": av, "frames": _Length, "_picture": Video}[place]
    monkeypatch.setattr(where, place.removeprefix("_") if where is av else place, fail)
    with pytest.raises(CaptureMemoryError, match=r"x\.mkv cannot be read: there is no memory for it"):
        open_footage(tmp_path / "x.mkv")


@pytest.mark.parametrize("share", [0.5, 0.9])
@pytest.mark.parametrize(("name", "codec"), [("x.mkv", "libx265"), ("x.avi", "png")])
def test_cut_where_later_frames_came_first(name: str, codec: str, share: float, tmp_path: Path) -> None:
    """The last frame by its time is there; or the last packet is, and decodes to nothing."""
    pixels = "gray" if codec == "png" else "yuv420p"
    random = np.random.default_rng(3)
    frames = [random.integers(0, 256, (48, 64), np.uint8) for _ in range(7)]
    try:
        settings = {"x265-params": "log-level=none"} if codec == "libx265" else {}
        write_video(tmp_path / name, frames, pixels, codec, settings)
    except (av.error.FFmpegError, ValueError) as error:
        pytest.skip(f"this libav has no {codec}: {error}")
    assert len(played(tmp_path / name)) == 7
    with pytest.raises(StreamFormatError, match=r"frames are there"):
        played(cut(tmp_path / name, share))


def test_what_stands_beside_pixels_needs_no_name(tmp_path: Path) -> None:
    """PyAV has no name for what TIFF pictures of a film come with."""
    frames = [values("u1", (48, 64)) for _ in range(2)]
    try:
        write_video(tmp_path / "x.mov", frames, "gray", "tiff")
    except (av.error.FFmpegError, ValueError) as error:
        pytest.skip(f"this libav has no TIFF: {error}")
    check(tmp_path / "x.mov", np.stack(frames))


def test_where_a_file_ends_by_what_it_says(tmp_path: Path) -> None:
    def missing(content: bytes) -> int:
        (tmp_path / "x").write_bytes(content)
        return missing_bytes(str(tmp_path / "x"))

    box = struct.pack(">I4s", 8, b"free")
    assert [missing(each) for each in (b"", b"RI", box, box + b"anything", b"anything at all")] == [0] * 5
    assert missing(box + struct.pack(">I4s", 108, b"mdat") + bytes(40)) == 60
    assert missing(box + struct.pack(">I4sQ", 1, b"mdat", 116) + bytes(40)) == 60
    assert missing(struct.pack(">I4s", 0, b"mdat") + bytes(40)) == 0  # to the end, wherever that is
    assert missing(b"RIFF" + struct.pack("<I", 104) + b"AVI " + bytes(40)) == 60
    assert missing(b"RIFF" + struct.pack("<I", 52) + b"AVI " + bytes(40)) == 0  # its head is counted twice
    assert missing(b"RIFF" + bytes(4) + b"AVI " + bytes(40)) == 0  # it was not finished
    head = bytes.fromhex("1a45dfa3 82 0000 18538067")
    assert missing(head + bytes.fromhex("4064") + bytes(40)) == 60
    for unknown in ("ff", "01ffffffffffffff", "", "40", "00"):
        assert missing(head + bytes.fromhex(unknown) + (bytes(40) if len(unknown) > 2 else b"")) == 0
    assert missing(bytes.fromhex("1a45dfa3 82 0000 18538068 4064")) == 0
