"""`memaud`: a ring of sound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._types import Array
from .arguments import integer
from .formats import audio_format, audio_format_bytes_per_sample, audio_format_name
from .layout import MOST, Kind
from .media import MediaRing, MediaView, bits_or_format, extras, slot_places
from .rings import LONG

__all__ = ["audview", "memaud"]

_BITS = {8: audio_format.u8, 16: audio_format.s16le, 24: audio_format.s24le, 32: audio_format.s32le}
#: What a sample is in the view; s24le and userType are bytes.
_DTYPES = {
    audio_format.u8: "u1",
    audio_format.s16le: "<i2",
    audio_format.s32le: "<i4",
    audio_format.f32le: "<f4",
    audio_format.f64le: "<f8",
}
_SLOT = ("size", "pts", "userlen", "seq")
_GIVEN = ("ch", "rate", "format", "fps", "frameextra", "payloadsize")
_DERIVED = ("blocksize", "useroffset", "dataoffset")


def _payload(fields: dict[str, int]) -> int:
    """Return the bytes of the sound in a slot."""
    sample = audio_format_bytes_per_sample(audio_format(fields["format"]))
    return -(-fields["rate"] // fields["fps"]) * fields["ch"] * sample or fields["payloadsize"]


def _derive(fields: dict[str, int], bufs: int, align: int, at: int) -> dict[str, int] | None:
    """Return the words that follow from those given; None if there is no such ring."""
    numbers = (fields["ch"], fields["rate"], fields["fps"], fields["payloadsize"])
    if not all(0 < number <= MOST for number in numbers) or audio_format(fields["format"]).name == "???":
        return None
    if _payload(fields) != fields["payloadsize"]:
        return None
    return slot_places(8 * len(_SLOT), fields["payloadsize"], fields["frameextra"], bufs, align, at)


class audview(MediaView):
    """Sound in its slot, as `memaud.getBuf` returns it: a buffer.

    Shape (samples, channels) of uint8, int16, int32, float32 or float64; s24le and userType are flat bytes.
    Read-only if the handle is.
    """

    _channels: int

    @property
    def channels(self) -> int:
        """Samples that belong to one moment."""
        return self._channels


class memaud(MediaRing):
    """A ring of sound, from one process to any number of others.

    A slot holds the sound of one frame: sample rate / fps samples, rounded up. Fill the slot ``getPtr(0)``,
    then call `next`. The stream holds bytes: header, user data, slots.

    Notes
    -----
    `open`, `open_existing` and `close` raise RuntimeError while views of sound are alive.
    """

    _kind = Kind(
        2, 3, _GIVEN, _DERIVED,
        (*_GIVEN[:4], "blocksize", "frameextra", *_DERIVED[1:], "payloadsize"), _derive,
    )  # fmt: skip
    _slot_words = _SLOT
    _formats = audio_format
    _view = audview

    @bits_or_format("bps", audio_format, _BITS)
    def open(
        self, sName: str, bCreate: bool, ch: int, format: audio_format, sampleRate: int, fps: int, bufs: int,
        align: int = 0, frameextra: int = 0, fourcc: int = 0, guid: bytes = b"", meta: bytes = b"",
        payloadSize: int = 0,
    ) -> bool:  # fmt: skip
        """Make a ring in place of an old one, or attach one of the same parameters.

        Parameters
        ----------
        sName : str
        bCreate : bool
        ch : int
            Channels.
        format : audio_format
            Or bits of a sample (``bps``): 8, 16, 24, 32 for u8, s16le, s24le, s32le; then nothing behind
            `bufs`.
        sampleRate, fps, bufs : int
            Samples and slots a second; slots.
        align, frameextra, fourcc, guid, meta
            As for `memvid.open`.
        payloadSize : int, default 0
            Bytes of a slot, for userType, which needs them. Other formats ignore it unless it is negative.

        Returns
        -------
        bool
            False, and what is raised: as for `memvid.open`.
        """
        given = {"ch": ch, "rate": sampleRate, "fps": fps, "payloadsize": payloadSize}
        numbers = {name: integer(value, name, *LONG) for name, value in given.items()}
        slots, more = integer(bufs, "bufs", *LONG), extras(align, frameextra, fourcc, guid, meta)
        if not isinstance(format, audio_format):
            raise TypeError(f"format is an audio_format, not {type(format).__name__}")
        numbers |= {"format": format.value, "frameextra": more.frameextra}
        if numbers["fps"] > 0 and numbers["payloadsize"] >= 0:
            numbers["payloadsize"] = _payload(numbers)
        return self._open_new(sName, bCreate, slots, numbers, more)

    @staticmethod
    def _payload_nbytes(fields: Mapping[str, int]) -> int:
        return fields["payloadsize"]

    @staticmethod
    def _shaped(payload: Array, view: Any, fields: Mapping[str, int]) -> Array:
        view._channels = fields["ch"]
        dtype = _DTYPES.get(view._format)
        return payload if dtype is None else payload.view(dtype).reshape(-1, view._channels)

    def getChannels(self) -> int:
        """Return the channels; 0 if closed."""
        return self._field("ch")

    def getSampleRate(self) -> int:
        """Return the samples a second of each channel; 0 if closed."""
        return self._field("rate")

    def getBytesPerSample(self) -> int:
        """Return the bytes of a sample of one channel; 0 for userType, or closed."""
        return audio_format_bytes_per_sample(self.getFormat())

    def getBps(self) -> int:
        """Return the bits of a sample of one channel; 0 for userType, or closed."""
        return 8 * self.getBytesPerSample()

    def getBitRate(self) -> int:
        """Return the bits a second of all channels; 0 for userType, or closed."""
        return self.getSampleRate() * self.getChannels() * self.getBps()

    def getBufSize(self) -> int:
        """Return the bytes of a slot; 0 if closed."""
        return self._field("payloadsize")

    def getFormatName(self) -> str:
        """Return the format in capitals; "unknown" if closed."""
        return audio_format_name(self.getFormat())

    def setPts(self, idx: int, pts: int) -> bool:
        """Set the time stamp of a slot. False: not_open, access_denied."""
        return self._set(idx, "pts", pts)

    def getPts(self, idx: int) -> int:
        """Return the time stamp of a slot; 0 if closed."""
        return self._get(idx, "pts", 0)
