"""`memvid`: a ring of pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._types import Array
from .arguments import integer
from .formats import video_format, video_format_bytes_per_pixel, video_format_name
from .layout import MOST, Kind
from .media import MediaRing, MediaView, bits_or_format, extras, slot_places
from .rings import LONG

__all__ = ["memvid", "vidview"]

_CHROMA = (video_format.yuyv422, video_format.uyvy422)
_BITS = {8: video_format.gray8, 24: video_format.rgb24, 32: video_format.rgba32}
_SLOT = ("size", "vpts", "apts", "userlen", "seq")
_GIVEN = ("width", "height", "scanwidth", "format", "fps", "frameextra")
_DERIVED = ("blocksize", "useroffset", "dataoffset")


def _derive(fields: dict[str, int], bufs: int, align: int, at: int) -> dict[str, int] | None:
    """Return the words that follow from those given; None if there is no such ring."""
    wide, high, scan = fields["width"], fields["height"], fields["scanwidth"]
    format = video_format(fields["format"])
    if not all(0 < number <= MOST for number in (wide, high, scan, fields["fps"])) or format.name == "???":
        return None
    if scan < wide * video_format_bytes_per_pixel(format) or (format in _CHROMA and wide % 2):
        return None
    return slot_places(8 * len(_SLOT), scan * high, fields["frameextra"], bufs, align, at)


class vidview(MediaView):
    """A picture in its slot, as `memvid.getBuf` returns it: a buffer of uint8.

    Shape (height, width) for gray8, (height, width, 3 or 4) for colours, (height, scanwidth) for yuyv422 and
    uyvy422, (scanwidth x height,) for userType. Rows are `scanwidth` bytes apart. Read-only if the handle is.
    """

    _width: int
    _height: int
    _scanwidth: int

    @property
    def width(self) -> int:
        """Pixels of a row."""
        return self._width

    @property
    def height(self) -> int:
        """Rows."""
        return self._height

    @property
    def scanwidth(self) -> int:
        """Bytes from one row to the next."""
        return self._scanwidth


class memvid(MediaRing):
    """A ring of pictures, from one process to any number of others.

    Fill the slot ``getPtr(0)``, then call `next`. The stream holds bytes: header, user data, slots.

    Notes
    -----
    `open`, `open_existing` and `close` raise RuntimeError while views of pictures are alive.
    """

    _kind = Kind(1, 2, _GIVEN, _DERIVED, (*_GIVEN[:5], "blocksize", "frameextra", *_DERIVED[1:]), _derive)
    _slot_words = _SLOT
    _formats = video_format
    _view = vidview
    _closed = -1

    @bits_or_format("bpp", video_format, _BITS)
    def open(
        self, sName: str, bCreate: bool, w: int, h: int, format: video_format, fps: int, bufs: int,
        scanwidth: int = 0, align: int = 0, frameextra: int = 0, fourcc: int = 0, guid: bytes = b"",
        meta: bytes = b"",
    ) -> bool:  # fmt: skip
        """Make a ring in place of an old one, or attach one of the same parameters.

        Parameters
        ----------
        sName : str
        bCreate : bool
        w, h : int
            Pixels; an even width for yuyv422 and uyvy422.
        format : video_format
            Or bits of a pixel (``bpp``): 8, 24, 32 for gray8, rgb24, rgba32; then nothing behind `bufs`.
        fps, bufs : int
            Frames a second; slots.
        scanwidth : int, default 0
            Bytes from row to row; 0 and less: as many as a row has. userType needs it.
        align : int, default 0
            Payloads begin on such borders: a power of two from 8 on. 0 and less: 64.
        frameextra : int, default 0
            Most bytes of user data of a picture.
        fourcc : int, default 0
            Of 32 bits.
        guid : bytes or str, default b""
            16 bytes, or none.
        meta : bytes or str, default b""

        Returns
        -------
        bool
            False: invalid_argument, create_failed, open_failed, invalid_layout (the file is another),
            size_mismatch (other parameters), access_denied. The old share is closed then, too.

        Raises
        ------
        RuntimeError
            Views of the last share are alive.
        TypeError, ValueError
            The old share stays open.
        """
        fields = {"width": w, "height": h, "scanwidth": scanwidth, "fps": fps}
        numbers = {name: integer(value, name, *LONG) for name, value in fields.items()}
        slots, more = integer(bufs, "bufs", *LONG), extras(align, frameextra, fourcc, guid, meta)
        if not isinstance(format, video_format):
            raise TypeError(f"format is a video_format, not {type(format).__name__}")
        if numbers["scanwidth"] <= 0:
            numbers["scanwidth"] = numbers["width"] * video_format_bytes_per_pixel(format)
        numbers |= {"format": format.value, "frameextra": more.frameextra}
        return self._open_new(sName, bCreate, slots, numbers, more)

    @staticmethod
    def _payload_nbytes(fields: Mapping[str, int]) -> int:
        return fields["scanwidth"] * fields["height"]

    @staticmethod
    def _shaped(payload: Array, view: Any, fields: Mapping[str, int]) -> Array:
        wide, high, scan = (fields[name] for name in ("width", "height", "scanwidth"))
        view._width, view._height, view._scanwidth = wide, high, scan
        if view._format == video_format.userType:
            return payload
        rows = payload.reshape(high, scan)
        if view._format in _CHROMA:
            return rows
        depth = video_format_bytes_per_pixel(view._format)
        return rows[:, : wide * depth].reshape((high, wide) if depth == 1 else (high, wide, depth))

    def getWidth(self) -> int:
        """Return the pixels of a row; -1 if closed."""
        return self._field("width", -1)

    def getHeight(self) -> int:
        """Return the rows; -1 if closed."""
        return self._field("height", -1)

    def getBpp(self) -> int:
        """Return the bits of a pixel; 0 for userType, or closed."""
        return 8 * video_format_bytes_per_pixel(self.getFormat())

    def getFormatName(self) -> str:
        """Return the format in capitals; "unknown" if closed."""
        return video_format_name(self.getFormat())

    def setVpts(self, idx: int, pts: int) -> bool:
        """Set the time stamp of a picture. False: not_open, access_denied."""
        return self._set(idx, "vpts", pts)

    def getVpts(self, idx: int) -> int:
        """Return the time stamp of a picture; 0 if closed."""
        return self._get(idx, "vpts", 0)

    def setApts(self, idx: int, pts: int) -> bool:
        """Set the time stamp of the sound to a picture. False: not_open, access_denied."""
        return self._set(idx, "apts", pts)

    def getApts(self, idx: int) -> int:
        """Return the time stamp of the sound to a picture; 0 if closed."""
        return self._get(idx, "apts", 0)
