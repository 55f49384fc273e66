"""`mempkt`: a ring of records of any length."""

from __future__ import annotations

import numpy as np

from ..._types import Array
from .arguments import content, integer
from .errors import errc, set_error
from .formats import pkt_kind
from .layout import MOST, PAGE, Kind, round_up
from .rings import LONG, MOST_COUNT, OpenRing, Ring

__all__ = ["mempkt"]

#: Words of a record; its bytes are in the arena.
_SLOT = ("offset", "len", "wcursor", "pts", "kind", "track", "userlen", "seq")
_GIVEN = ("arenasz", "maxrec")
_DERIVED = ("descstride", "descoffset", "arenaoffset")
_TRIES = 8

#: Sequence number of a record while it is written.
_BEING_WRITTEN = -1


def _derive(fields: dict[str, int], bufs: int, align: int, at: int) -> dict[str, int] | None:
    """Return the words that follow from those given; None if there is no such ring."""
    arena, most = fields["arenasz"], fields["maxrec"]
    if not (0 < arena <= MOST and 0 < most <= MOST) or arena % align or round_up(most, align) > arena:
        return None
    stride = 8 * len(_SLOT)
    data = round_up(round_up(at + stride * bufs, align), PAGE)
    return {"descstride": stride, "descoffset": at, "arenaoffset": data, "total": data + arena}


class mempkt(Ring):
    """A ring of records of bytes, from one process to any number of others.

    The oldest records give way, also when the bytes of the arena are used up. The stream holds bytes: header,
    descriptions of the records, arena.
    """

    _kind = Kind(3, 2, _GIVEN, _DERIVED, ("arenasz", "maxrec", "wcursor", *_DERIVED), _derive)

    def open(
        self, sName: str, bCreate: bool, bufs: int, arenasz: int, maxrec: int,
        align: int = 0, fourcc: int = 0, meta: bytes = b"",
    ) -> bool:  # fmt: skip
        """Make a ring in place of an old one, or attach one of the same parameters.

        Parameters
        ----------
        sName : str
        bCreate : bool
        bufs : int
            Records that can be kept.
        arenasz, maxrec : int
            Bytes of all records, rounded up to `align`; most bytes of one, with its meta.
        align : int, default 0
            Records begin on such borders: a power of two from 8 on. 0 and less: 64.
        fourcc : int, default 0
            Of 32 bits.
        meta : bytes or str, default b""

        Returns
        -------
        bool
            False: invalid_argument, create_failed, open_failed, invalid_layout (the file is another),
            size_mismatch (other parameters), access_denied. The old share is closed then, too.
        """
        given = {"bufs": bufs, "arenasz": arenasz, "maxrec": maxrec, "align": align}
        numbers = {name: integer(value, name, *LONG) for name, value in given.items()}
        code, data = integer(fourcc, "fourcc", 0, 2**32 - 1), content(meta, "meta")
        self._let_go("reopen")
        border = numbers["align"] if numbers["align"] > 0 else 64
        fields = {"arenasz": round_up(numbers["arenasz"], border), "maxrec": numbers["maxrec"]}
        layout = self._kind.layout(numbers["bufs"], border, fields, len(data), code)
        return self._open(sName, bool(bCreate), layout, data)

    def getArenaSize(self) -> int:
        """Return the bytes of all records; 0 if closed."""
        return self._field("arenasz")

    def getMaxRec(self) -> int:
        """Return the most bytes of a record with its meta; 0 if closed."""
        return self._field("maxrec")

    def getWcursor(self) -> int:
        """Return the bytes that were used in all, with those left empty; 0 if closed."""
        ring = self._ring
        return 0 if ring is None else self._cursor(ring)

    def getFrameSeq(self, idx: int) -> int:
        """Return the sequence number of a slot; 0 if it has no record, -1 if closed."""
        index, ring = integer(idx, "idx", *LONG), self._ring
        return -1 if ring is None else max(0, int(self._record(ring, index)[-1]))

    def write(
        self,
        payload: bytes | str,
        kind: pkt_kind = pkt_kind.data,
        track: int = 0,
        pts: int = 0,
        meta: bytes = b"",
    ) -> int:
        """Write a record.

        Parameters
        ----------
        payload : bytes or str
        kind : pkt_kind
        track, pts : int
            Of 64 bits with a sign.
        meta : bytes or str, default b""

        Returns
        -------
        int
            The slot that is written next: the record is in the one before. -1: message_too_large,
            invalid_argument (nothing to write), not_open, access_denied, invalid_layout (the file was cut).
        """
        data, extra = content(payload, "payload"), content(meta, "meta")
        if not isinstance(kind, pkt_kind):
            raise TypeError(f"kind is a pkt_kind, not {type(kind).__name__}")
        numbers = (integer(pts, "pts", *LONG), kind.value, integer(track, "track", *LONG))
        ring = self._to_write()
        if ring is None:
            return -1
        nbytes = len(data) + len(extra)
        if not nbytes or nbytes > ring.layout.fields["maxrec"]:
            set_error(errc.message_too_large if nbytes else errc.invalid_argument)
            return -1
        if not 0 <= self._cursor(ring) < MOST_COUNT:
            set_error(errc.invalid_layout)
            return -1
        with self._turn:
            return self._append(ring, data, extra, numbers)

    def _append(self, ring: OpenRing, data: bytes, extra: bytes, numbers: tuple[int, int, int]) -> int:
        arena, nbytes = ring.layout.fields["arenasz"], len(data) + len(extra)
        room, begin = round_up(nbytes, ring.layout.align), self._cursor(ring)
        if begin % arena + room > arena:
            begin = round_up(begin, arena)
        seq, slot = ring.seq + 1, ring.slot
        record = self._record(ring, slot)
        record[-1] = _BEING_WRITTEN
        # First the cursor: readers of what is overwritten now know it by that.
        ring.words[self._kind.word("wcursor")] = begin + room
        place = ring.layout.fields["arenaoffset"] + begin % arena
        ring.data[place : place + nbytes] = np.frombuffer(extra + data, np.uint8)
        record[:-1] = (begin % arena, len(data), begin, *numbers, len(extra))
        record[-1] = seq
        following = ring.move(slot + 1)
        return following if ring.publish(seq) else -1

    def getRecord(self, idx: int) -> tuple[bytes, bytes, dict[str, object]] | None:
        """Return the record of a slot, whose number counts round the ring: copies.

        Returns
        -------
        tuple of (bytes, bytes, dict) or None
            Payload, meta and ``seq wcursor pts kind track len userlen``. None: there is none, its bytes are
            overwritten, it is being written, or closed. The slot may hold a newer record than the one
            looked for: compare ``seq``.
        """
        index, ring = integer(idx, "idx", *LONG), self._ring
        if ring is None:
            return None
        for _ in range(_TRIES):
            record = self._record(ring, index)
            # Before and after all else: the words that are read between are of one record then.
            seq = int(record[-1])
            if seq == 0:
                return None
            if seq != _BEING_WRITTEN:
                found = self._copied(ring, record.copy())
                if int(record[-1]) == seq:
                    return found
        return None

    def _copied(self, ring: OpenRing, record: Array) -> tuple[bytes, bytes, dict[str, object]] | None:
        """Return what a description tells of; None if it is overwritten, or no description of this ring."""
        offset, nbytes, begin, pts, kind, track, extra, seq = map(int, record)
        arena, most = ring.layout.fields["arenasz"], ring.layout.fields["maxrec"]
        sizes_fit = min(nbytes, extra) >= 0 and nbytes + extra <= most
        if not sizes_fit or offset != begin % arena or offset + nbytes + extra > arena:
            return None
        place = ring.layout.fields["arenaoffset"] + offset
        data = ring.data[place : place + extra + nbytes].tobytes()
        if self._cursor(ring) - begin > arena:
            return None
        info: dict[str, object] = {
            "seq": seq, "wcursor": begin, "pts": pts, "kind": pkt_kind(kind), "track": track, "len": nbytes,
            "userlen": extra,
        }  # fmt: skip
        return data[extra:], data[:extra], info

    def _cursor(self, ring: OpenRing) -> int:
        return int(ring.words[self._kind.word("wcursor")])

    @staticmethod
    def _record(ring: OpenRing, index: int) -> Array:
        fields = ring.layout.fields
        begin = fields["descoffset"] + (index % ring.layout.bufs) * fields["descstride"]
        return ring.data[begin : begin + fields["descstride"]].view(np.int64)
