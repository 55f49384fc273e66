"""Videos as footage: values as they are stored, and as many frames as the file says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from .._types import Array
from ..errors import StreamFormatError
from ..system.extras import optional_library
from .base import Sequence, damaged, stem
from .colours import COLOURS, TRANSPARENCY, brightness
from .ends import missing_bytes

__all__ = ["VIDEO_KINDS", "VIDEO_SUFFIXES", "Video", "decoded_pictures"]

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".ts", ".y4m")

#: Contents of files that are videos; see `pymilk.foreign.contents`.
VIDEO_KINDS = ("mp4", "avi", "mkv", "mpeg", "wmv", "ts", "y4m")

#: Formats of pixels whose first plane has one value for each pixel: grey, or luma beside chroma. Group 1 is
#: the depth; P010 and its kin have their values in the upper bits.
_GREY = re.compile(r"gray(f16|f32|\d*)(?:le|be)?")
_LUMA = re.compile(r"yuva?j?4\d\dp(\d*)(?:le|be)?|nv\d\d")
_UPPER = re.compile(r"p[024](\d\d)(?:le|be)?")

#: Luma between chroma of 8 bits, and the format with planes that has the same values.
_INTERLEAVED = {"yuyv422": "yuv422p", "uyvy422": "yuv422p", "yvyu422": "yuv422p", "uyyvyy411": "yuv411p"}

#: Red, green and blue of more than 8 bits, one after the other; and in planes, green first.
_DEEP = re.compile(r"(?:rgb48|bgr48|rgba64|bgra64)(?:le|be)")
_PLANES = re.compile(r"gbrap?(f32|\d*)(?:le|be)?|gbrp(f32|\d*)(?:le|be)?")

#: Colours of 8 bits or less, which the library turns into rgb24 without changing values.
_COLOURS = re.compile(r"(?:rgb|bgr)24|pal8|[argbx0]{4}")

#: A video ends early if this much is missing: frames, of whatever length they are. The second counts for
#: Matroska that says how long frames are, but for these seconds: it rounds times. Others state their length
#: less exactly.
_SHORT_FRAMES, _SHORT_KNOWN, _SHORT_SECONDS = 1.5, 0.75, 0.0015

#: Decoders that hide damage, for lack of a frame before they fill it up with grey or with the frame before,
#: and how to make them tell: by an error, or by a message in the log.
_STRICT = {"mjpeg": {"err_detect": "crccheck+explode"}}
_TELLING = ("ffv1",)


#: Flag of a stream that is the picture of a cover, among the pictures of music and films.
_COVER = 0x400


class Video(Sequence):
    """A video file.

    Grey pixels, and the luma of the usual colour videos, are the values that are stored, with 8 bits or in
    16. Red, green and blue become brightness of the same depth.
    """

    def __init__(self, path: str) -> None:
        self.name = path
        self.stream_name = stem(path)
        self.keywords = []
        self.notes, self.choices = [], []
        self._av = optional_library("av", "video", "videos")
        with self._open() as container:
            stream = self._stream(container)
            self._rate = stream.average_rate or stream.guessed_rate or Fraction(25)
            self.interval_ns = max(1, round(1e9 / self._rate))
        self.look()

    def _open(self) -> Any:
        try:
            container = self._av.open(self.name)
        except Exception as error:
            raise damaged(error, self.name, "video") from error
        if self._stream(container) is None:
            container.close()
            raise StreamFormatError(
                f"{self.name} has no pictures", path=self.name, field="video", expected="1 or more", found=0
            )
        return container

    def _stream(self, container: Any) -> Any:
        """Return the first video in a file that is not the picture of its cover; None if there is none."""
        videos = [each for each in container.streams.video if not _flags(each) & _COVER]
        if len(videos) > 1:
            self._note(f"the first of its {len(videos)} videos")
        return videos[0] if videos else None

    def pictures(self) -> Iterator[tuple[Array, int | None]]:
        """See `Sequence`."""
        with self._open() as container:
            stream = self._stream(container)
            codec = stream.codec_context.name
            stream.thread_type = "SLICE" if codec in _TELLING else "AUTO"
            stream.codec_context.options = _STRICT.get(codec, {})
            before: float | None = None
            length = _Length(container, stream, _Told(self._av.logging, codec))
            try:
                for frame in length.frames():
                    step = self.interval_ns
                    if before is not None and frame.time is not None:
                        step = max(0, round((frame.time - before) * 1e9))
                    before = frame.time
                    if frame.is_corrupt or length.told.damage:
                        whole = length.decoded - 1
                        raise length.error(self.name, f"frame {whole} is damaged", whole)
                    yield self._picture(frame), step
            except (self._av.error.FFmpegError, MemoryError) as error:
                if not length.decoded or isinstance(error, MemoryError):
                    raise damaged(error, self.name, "video") from error
                what = f"frame {length.decoded} is damaged ({error})"
                raise length.error(self.name, what, length.decoded) from error
            length.check(self.name, float(self._rate))

    def _picture(self, frame: Any) -> Array:
        """Return a frame with one value for a pixel, the way up that the file states."""
        values, note = _values_of(frame)
        if values is None:
            raise StreamFormatError(
                f"{self.name} has pixels of a kind that is not read here: {frame.format.name}; convert it "
                "to gray, gray16le or rgb24, for example with ffmpeg -pix_fmt",
                path=self.name,
                field="pixel format",
                found=frame.format.name,
            )
        self._note(note)
        return _upright(values, frame)


class _Told:
    """What a decoder says in its log alone: that it has found damage."""

    def __init__(self, logging: Any, codec: str) -> None:
        self.damage = False
        self._logging, self._codec = logging, codec

    def decode(self, packet: Any) -> list[Any]:
        """Decode a packet, and look into the log."""
        if self._codec not in _TELLING:
            return list(packet.decode())
        level = self._logging.get_level()
        if level is None:  # nothing is logged: let messages be kept, but none be shown
            self._logging.set_level(self._logging.PANIC)
        try:
            before, _ = self._logging.get_last_error()
            frames = list(packet.decode())
            count, last = self._logging.get_last_error()
        finally:
            if level is None:
                self._logging.set_level(None)
        self.damage = self.damage or (count > before and last[1] == self._codec)
        return frames


class _Length:
    """Frames of a video, counted against what its file says."""

    def __init__(self, container: Any, stream: Any, told: _Told) -> None:
        self.told = told
        self.decoded = self._packets = self._nbytes = 0
        self._cut = False  # a packet is shorter than it says
        self._container, self._stream = container, stream
        self._ends: dict[int, Fraction] = {}
        self._timed = True  # the packets say how long they are

    def frames(self) -> Iterator[Any]:
        """Decode all frames."""
        for packet in self._container.demux():
            if packet.pts is not None and packet.time_base is not None:
                end = (packet.pts + (packet.duration or 0)) * packet.time_base
                index = packet.stream.index
                self._ends[index] = max(self._ends.get(index, end), end)
                self._timed = self._timed and bool(packet.duration)
            if packet.stream.index == self._stream.index:
                if packet.dts is not None or packet.size:
                    self._packets += 1  # those without content stand for the frame before
                    self._nbytes = packet.size
                self._cut = self._cut or packet.is_corrupt
                for frame in self.told.decode(packet):
                    self.decoded += 1
                    yield frame

    def check(self, path: str, rate: float) -> None:
        """Raise if the file says that there are more frames, or that it is longer."""
        stated = int(self._stream.frames or 0)
        missing = self._missing_seconds() * rate
        about = self.decoded + round(missing)
        name = self._container.format.name
        if name == "yuv4mpegpipe":
            about = self._count_by_size(path)
            short = self.decoded < about
        elif stated and "mov" not in name:
            short = max(self.decoded, self._packets) < stated
        else:
            # MP4 counts also frames that an edit list leaves out; its duration is without them.
            exact = self._timed and "matroska" in name
            most = max(_SHORT_KNOWN, _SHORT_SECONDS * rate) if exact else _SHORT_FRAMES
            short = missing >= most and not self.decoded >= stated > 0
        if not (short or self._cut or missing_bytes(path)):
            return
        whole = float(self._duration() or Fraction(self._container.duration or 0, 1_000_000))
        about = max(about, round(whole * rate))
        raise self.error(path, "it ends early", self.decoded, about if about > self.decoded else 0)

    def error(self, path: str, what: str, count: int, about: int = 0) -> StreamFormatError:
        """Return the error for a file with fewer frames than it says, as far as it says so."""
        stated = int(self._stream.frames or 0)
        whole = f" of {stated}" if stated else f" of about {about}" if about else ""
        return StreamFormatError(
            f"{path}: {what}; {count}{whole} frames are there",
            path=path,
            field="frames",
            expected=stated or about or None,
            found=count,
        )

    def _count_by_size(self, path: str) -> int:
        """Return how many frames a Y4M file has by its size: it says nothing itself. The last may be cut."""
        with open(path, "rb") as file:
            header = len(file.readline())
            size = file.seek(0, 2) - header
        return -(-size // (len("FRAME\n") + self._nbytes))

    def _duration(self) -> Fraction | None:
        """Return the seconds that the file states for its pictures, with those before their first one."""
        stream = self._stream
        if not stream.duration or stream.time_base is None:
            return None
        duration: Fraction = (stream.duration + (stream.start_time or 0)) * stream.time_base
        return duration

    def _missing_seconds(self) -> float:
        """Return how much of the stated duration is missing: of the pictures, or of all streams together."""
        duration = self._duration()
        if duration is not None:
            return float(duration - self._ends.get(self._stream.index, Fraction(0)))
        if self._container.duration:
            start = Fraction(self._container.start_time or 0, 1_000_000)
            whole = start + Fraction(self._container.duration, 1_000_000)
            return float(whole - max(self._ends.values(), default=Fraction(0)))
        return 0.0


def decoded_pictures(path: str) -> Iterator[Array]:
    """Decode a PNG file with all its bits: shape (height, width), or with values of a pixel behind.

    A moving one (APNG) has several.
    """
    av = optional_library("av", "video", "PNG images with colours of 16 bits")
    stated = _frames_of_png(path)
    with av.open(path, format="apng" if stated else "png_pipe") as container:
        count = 0
        for frame in container.decode(video=0):
            name = frame.format.name
            samples = {"gray16be": 1, "ya16be": 2, "rgb48be": 3, "rgba64be": 4}[name]
            values = _plane(frame, 0, np.dtype(">u2"), samples)
            yield values[..., 0] if samples == 1 else values
            count += 1
        if count < max(stated, 1):
            raise ValueError(f"it ends early; {count} of {max(stated, 1)} frames are there")


def _frames_of_png(path: str) -> int:
    """Return how many frames a moving PNG says it has, and 0 of others: chunk acTL, before the pixels."""
    with open(path, "rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8 and head[4:] != b"IDAT":
            length = int.from_bytes(head[:4], "big")
            if head[4:] == b"acTL":
                return int.from_bytes(file.read(4), "big")
            file.seek(length + 4, 1)
    return 0


def _flags(stream: Any) -> int:
    """Return what a stream is for; older releases of the library say nothing, or have a plain number."""
    found = getattr(stream, "disposition", 0)
    return int(getattr(found, "value", found))


def _upright(values: Array, frame: Any) -> Array:
    """Turn a frame the way up that its display matrix states, mirrored ones included. A view."""
    try:
        [*stated] = (bytes(each) for each in frame.side_data if each.type.name == "DISPLAYMATRIX")
    except ValueError:  # PyAV has no name for what else is there, and gives nothing then, but the angle
        return np.rot90(values, round(frame.rotation / 90))
    if not stated:
        return values
    # A pixel at (x, y) is shown at (a x + c y, b x + d y), the perspective left out.
    a, b, _, c, d = (round(each / 65536) for each in np.frombuffer(stated[0], np.int32, 5).tolist())
    if a and d:
        rows, columns, shown = d, a, values
    elif b and c:
        rows, columns, shown = b, c, values.T
    else:
        return values
    turned: Array = shown[:: -1 if rows < 0 else 1, :: -1 if columns < 0 else 1]
    return turned


# -- pixels ------------------------------------------------------------------------------------


def _plane(frame: Any, number: int, dtype: np.dtype[Any], count: int = 1) -> Array:
    """Return the values of a plane, in native byte order: shape (height, width, count). A copy."""
    plane = frame.planes[number]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    width = frame.width * count * dtype.itemsize
    stored = np.ascontiguousarray(rows[: frame.height, :width]).view(dtype)
    values: Array = stored.astype(dtype.newbyteorder("=")).reshape(frame.height, frame.width, count)
    return values


def _dtype_of(name: str, depth: str) -> np.dtype[Any]:
    """Return the dtype of stored values: of a depth in bits as formats write it, 8 if nothing is said."""
    order = ">" if name.endswith("be") else "<"
    if depth.startswith("f"):
        return np.dtype(f"{order}f{int(depth[1:]) // 8}")
    return np.dtype(np.uint8) if int(depth or 8) <= 8 else np.dtype(f"{order}u2")


def _values_of(frame: Any) -> tuple[Array | None, str]:
    """Return a frame with one value for a pixel, and what was done; None for pixels of an unknown kind."""
    name = frame.format.name
    if name in _INTERLEAVED:
        frame = frame.reformat(format=_INTERLEAVED[name])
        name = frame.format.name
    if match := _GREY.fullmatch(name):
        return _plane(frame, 0, _dtype_of(name, match[1]))[..., 0], ""
    if match := _LUMA.fullmatch(name):
        return _plane(frame, 0, _dtype_of(name, match[1] or ""))[..., 0], "luma as stored, without colours"
    if match := _UPPER.fullmatch(name):
        values = _plane(frame, 0, _dtype_of(name, "16"))[..., 0]
        return values >> (16 - int(match[1])), "luma as stored, without colours"
    if name in ("ya8", "ya16le", "ya16be"):
        return _plane(frame, 0, _dtype_of(name, name[2:].rstrip("lbe")), 2)[..., 0], TRANSPARENCY
    if name in ("monow", "monob"):
        bits = np.unpackbits(_bytes_of_rows(frame), axis=1)[:, : frame.width]
        return bits, ""
    return _colours_of(frame, name)


def _bytes_of_rows(frame: Any) -> Array:
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return rows[: frame.height]


def _colours_of(frame: Any, name: str) -> tuple[Array | None, str]:
    """Return the brightness of red, green and blue."""
    if match := _PLANES.fullmatch(name):
        dtype = _dtype_of(name, match[1] or match[2] or "")
        green, blue, red = (_plane(frame, number, dtype) for number in range(3))
        return brightness(np.concatenate([red, green, blue], axis=-1)), COLOURS
    if _DEEP.fullmatch(name):
        values = _plane(frame, 0, _dtype_of(name, "16"), 4 if "a" in name[:4] else 3)
        return brightness(values[..., 2::-1] if name.startswith("b") else values), COLOURS
    if _COLOURS.fullmatch(name):
        return brightness(_plane(frame.reformat(format="rgb24"), 0, np.dtype(np.uint8), 3)), COLOURS
    return None, ""
