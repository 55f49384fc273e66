"""What `memvid` and `memaud` have in common: slots with a header, user data, and views of the payload."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ..._core import ArrayExporter
from ..._types import Array
from .arguments import content, integer
from .enumeration import Enumeration
from .errors import errc, failed, set_error
from .layout import MOST, PAGE, Layout, round_up
from .rings import LONG, OpenRing, Ring
from .share import LeasedArray, Share, Single

__all__ = ["Extras", "MediaRing", "MediaView", "bits_or_format", "extras", "slot_places"]

_Open = TypeVar("_Open", bound=Callable[..., bool])


def bits_or_format(
    bits: str, kind: type[Enumeration], formats: Mapping[int, Enumeration]
) -> Callable[[_Open], _Open]:
    """Let an ``open`` take its format as bits, too, without the arguments behind ``bufs``.

    Parameters
    ----------
    bits : str
        That name.
    kind : type
    formats : mapping
        Formats by their bits.
    """

    def decorate(open: _Open) -> _Open:
        @functools.wraps(open)
        def either(self: Any, *given: Any, **named: Any) -> bool:
            if bits in named:
                if "format" in named:
                    raise TypeError(f"open takes format or {bits}, not both")
                named["format"] = named.pop(bits)
            place = list(open.__code__.co_varnames).index("format") - 1
            format = named.get("format", given[place] if len(given) > place else None)
            if format is None or isinstance(format, kind):
                return open(self, *given, **named)
            if len(given) + len(named) > 7:
                raise TypeError(f"open takes no argument behind bufs with {bits}")
            number = integer(format, bits)
            found = None if isinstance(format, Enumeration) else formats.get(number)
            if found is None:
                raise ValueError(f"{bits} is one of {sorted(formats)}, not {format}")
            if "format" in named:
                return open(self, *given, **{**named, "format": found})
            return open(self, *given[:place], found, *given[place + 1 :], **named)

        return either  # type: ignore[return-value]

    return decorate


class Extras(NamedTuple):
    """The arguments behind those of the picture or sound, checked."""

    align: int
    frameextra: int
    fourcc: int
    guid: bytes
    meta: bytes


def extras(align: object, frameextra: object, fourcc: object, guid: object, meta: object) -> Extras:
    """Check the types of what both kinds take. TypeError, ValueError (guid)."""
    identity = content(guid, "guid")
    found = Extras(
        integer(align, "align", *LONG),
        integer(frameextra, "frameextra", *LONG),
        integer(fourcc, "fourcc", 0, 2**32 - 1),
        identity,
        content(meta, "meta"),
    )
    if len(identity) not in (0, 16):
        raise ValueError("guid must be exactly 16 bytes")
    return found


def slot_places(
    header: int, payload: int, frameextra: int, bufs: int, align: int, at: int
) -> dict[str, int] | None:
    """Return the words ``blocksize useroffset dataoffset`` and the bytes of all.

    Parameters
    ----------
    header, payload, frameextra : int
        Bytes of a slot.
    bufs, align : int
    at : int
        Where the user data of all slots begin.
    """
    if not 0 < payload <= MOST or not 0 <= frameextra <= MOST or frameextra % 8:
        return None
    block = round_up(round_up(header, align) + payload, align)
    data = round_up(round_up(at + frameextra * bufs, align), PAGE)
    return {"blocksize": block, "useroffset": at, "dataoffset": data, "total": data + bufs * block}


class MediaView(ArrayExporter, Single):
    """What is in a slot of a ring, in place: a buffer. It keeps the share alive, and its handle open."""

    _share: Share
    _data: Array
    _lent: Any
    _format: Any
    _nbytes: int

    def __init__(self) -> None:
        raise TypeError(f"{type(self).__name__} has no constructor; a ring makes it")

    @property
    def size(self) -> int:
        """Bytes, with those between rows."""
        return self._nbytes

    @property
    def format(self) -> Any:
        """The format."""
        return self._format

    def _exported(self) -> LeasedArray:
        leased = self._share.lend(self._data)
        self._lent.add(leased.lease)
        return leased


class MediaRing(Ring):
    """A ring of slots of one size."""

    #: Words of the header of a slot.
    _slot_words: tuple[str, ...]
    _formats: type[Enumeration]
    _view: type[MediaView]
    #: Returned for numbers of a closed handle.
    _closed = 0

    @staticmethod
    def _shaped(payload: Array, view: Any, fields: Mapping[str, int]) -> Array:
        """Return the payload of a slot in its shape, and fill in what the view says of it."""
        raise NotImplementedError

    @staticmethod
    def _payload_nbytes(fields: Mapping[str, int]) -> int:
        """Return the bytes of a slot that are data, from the words of the kind."""
        raise NotImplementedError

    def _open_new(
        self, sName: object, create: object, bufs: int, fields: dict[str, int], more: Extras
    ) -> bool:
        """Close, check the numbers, make or attach."""
        self._let_go("reopen")
        layout: Layout | None = None
        if fields["frameextra"] >= 0:
            words = {**fields, "frameextra": round_up(fields["frameextra"], 8)}
            layout = self._kind.layout(bufs, more.align, words, len(more.meta), more.fourcc, more.guid)
        if layout is not None and not any(layout.guid):
            layout = layout._replace(guid=b"")
        return self._open(sName, bool(create), layout, more.meta)

    # -- slots

    def _begin(self, ring: OpenRing, index: int) -> int:
        return ring.layout.fields["dataoffset"] + (index % ring.layout.bufs) * ring.layout.fields["blocksize"]

    def _header(self, ring: OpenRing, index: int) -> Array:
        begin = self._begin(ring, index)
        return ring.data[begin : begin + 8 * len(self._slot_words)].view(np.int64)

    def _payload(self, ring: OpenRing, index: int) -> Array:
        begin = self._begin(ring, index) + round_up(8 * len(self._slot_words), ring.layout.align)
        return ring.data[begin : begin + self._payload_nbytes(ring.layout.fields)]

    def _get(self, idx: object, name: str, closed: int) -> int:
        index, ring = integer(idx, "idx", *LONG), self._ring
        if ring is None:
            return closed
        return int(self._header(ring, index)[self._slot_words.index(name)])

    def _set(self, idx: object, name: str, value: object) -> bool:
        index, number = integer(idx, "idx", *LONG), integer(value, "pts", *LONG)
        ring = self._to_write()
        if ring is None:
            return False
        self._header(ring, index)[self._slot_words.index(name)] = number
        return True

    def getBuf(self, idx: int) -> Any:
        """Return the view of a slot, whose number counts round the ring. RuntimeError if closed."""
        index, ring = integer(idx, "idx", *LONG), self._ring
        if ring is None:
            set_error(errc.not_open)
            raise RuntimeError(f"{type(self).__name__} is not open")
        view = self._view.__new__(self._view)
        fields = ring.layout.fields
        view._share, view._lent = ring.share, self._lent
        view._format, view._nbytes = self._formats(fields["format"]), self._payload_nbytes(fields)
        view._data = self._shaped(self._payload(ring, index), view, fields)
        self._lent.add(view)
        return view

    def __getitem__(self, idx: int) -> Any:
        return self.getBuf(idx)

    def __iter__(self) -> Iterator[Any]:
        """Go through the slots once."""
        return (self.getBuf(index) for index in range(self.getBufs()))

    def fill(self, idx: int, col: int) -> bool:
        """Set all bytes of a slot to the low 8 bits of a number. False: not_open, access_denied."""
        index, byte = integer(idx, "idx", *LONG), integer(col, "col", *LONG) & 0xFF
        ring = self._to_write()
        if ring is None:
            return False
        self._payload(ring, index)[:] = byte
        return True

    def setPtr(self, ptr: int) -> int:
        """Make a slot the one that is written next; returns it, or -1: not_open, access_denied."""
        place = integer(ptr, "ptr", *LONG)
        ring = self._to_write()
        return -1 if ring is None else ring.move(place)

    def getPtrErr(self, pos: int, bias: int) -> int:
        """Return how far a slot is behind (or, negative, before) slot ``getPtr(bias)``, the shorter way."""
        place, far = integer(pos, "pos", *LONG), integer(bias, "bias", *LONG)
        ring = self._ring
        if ring is None:
            return 0
        bufs = ring.layout.bufs
        ahead = (place - ring.slot - far) % bufs
        return ahead if ahead <= bufs // 2 else ahead - bufs

    def next(self, inc: int) -> int:
        """Publish the slot that is written, and go on by a number of slots.

        Returns
        -------
        int
            The slot that is written next; -1: not_open, access_denied, invalid_layout (the file was cut).
        """
        step = integer(inc, "inc", *LONG)
        ring = self._to_write()
        if ring is None:
            return -1
        with self._turn:
            seq, slot = ring.seq + 1, ring.slot
            header = self._header(ring, slot)
            header[0] = self._payload_nbytes(ring.layout.fields)
            header[self._slot_words.index("seq")] = seq
            place = ring.move(slot + step)
            return place if ring.publish(seq) else -1

    def getFrameSeq(self, idx: int) -> int:
        """Return the sequence number of a slot; 0 if it never was published, -1 if closed."""
        return self._get(idx, "seq", -1)

    # -- user data

    def getAlign(self) -> int:
        """Return the border on which payloads begin; 0 if closed."""
        ring = self._ring
        return 0 if ring is None else ring.layout.align

    def getFrameExtra(self) -> int:
        """Return the most bytes of user data of a slot; 0 if closed."""
        return self._field("frameextra")

    def _user(self, ring: OpenRing, index: int) -> Array:
        most = ring.layout.fields["frameextra"]
        begin = ring.layout.fields["useroffset"] + (index % ring.layout.bufs) * most
        return ring.data[begin : begin + most]

    def _user_nbytes(self, ring: OpenRing, index: int) -> int:
        """Return how many of them were set, as far as they can be there."""
        said = int(self._header(ring, index)[self._slot_words.index("userlen")])
        return min(max(0, said), ring.layout.fields["frameextra"])

    def setUserData(self, idx: int, data: bytes | str) -> bool:
        """Set the bytes beside a slot; they stay until they are set again.

        Returns
        -------
        bool
            False: message_too_large (they do not fit, or there is no room at all), not_open, access_denied.
        """
        index, given = integer(idx, "idx", *LONG), content(data, "data")
        ring = self._to_write()
        if ring is None:
            return False
        place = self._user(ring, index)
        if not len(place) or len(given) > len(place):
            return failed(errc.message_too_large)
        place[: len(given)] = np.frombuffer(given, np.uint8)
        self._header(ring, index)[self._slot_words.index("userlen")] = len(given)
        return True

    def getUserLen(self, idx: int) -> int:
        """Return how many bytes are beside a slot; 0 if closed."""
        index, ring = integer(idx, "idx", *LONG), self._ring
        return 0 if ring is None else self._user_nbytes(ring, index)

    def getUserData(self, idx: int) -> bytes | None:
        """Return the bytes beside a slot: a copy; None if there is no room for any, or closed."""
        index, ring = integer(idx, "idx", *LONG), self._ring
        if ring is None or not ring.layout.fields["frameextra"]:
            return None
        return self._user(ring, index)[: self._user_nbytes(ring, index)].tobytes()

    # -- what it holds

    def getFormat(self) -> Any:
        """Return the format; number 0 if closed."""
        return self._formats(self._field("format"))

    def getFps(self) -> int:
        """Return the frames a second; if closed -1 (memvid) or 0 (memaud)."""
        return self._field("fps", self._closed)
