"""Where everything is in a share of `memvid`, `memaud` or `mempkt`, and the check of one that was found.

A share is a stream of bytes, in rows of `PAGE`. From the first border of `PAGE` on it has words (int64,
native): those of `COMMON`, then those of its kind, then its meta bytes. The words are those of libmembus, but
they are in a stream, which no program of libmembus reads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..._types import Array

__all__ = ["COMMON", "PAGE", "Kind", "Layout", "aligned_bytes", "checked_align", "round_up"]

#: Data begins on a border of these bytes.
PAGE = 4096

#: First word of each share.
MAGIC = 0x5355424D

#: Most bytes of a share.
MOST = 1 << 40

#: Index of each word that all kinds have.
COMMON = {
    "magic": 0, "type": 1, "version": 2, "total": 3, "slot": 4, "seq": 5, "session": 6, "bufs": 7,
    "fourcc": 8, "guid": 9, "align": 11, "meta": 12,
}  # fmt: skip

#: Index of the first word of a kind.
FIRST = 21


def round_up(number: int, border: int) -> int:
    """Return the next multiple of a border."""
    return -(-number // border) * border


def checked_align(align: int) -> int | None:
    """Return the border: 64 for 0 and less, None for what is no power of two from 8 on."""
    if align <= 0:
        return 64
    return align if align >= 8 and not align & (align - 1) else None


class Layout(NamedTuple):
    """What the words of a share say, without those that change.

    Attributes
    ----------
    bufs, align, fourcc : int
    guid : bytes
        16, or none.
    meta_nbytes : int
    fields : dict
        The words of the kind.
    total : int
        Bytes of all.
    """

    bufs: int
    align: int
    fourcc: int
    guid: bytes
    meta_nbytes: int
    fields: dict[str, int]
    total: int


class Kind(NamedTuple):
    """A kind of share.

    Attributes
    ----------
    number, version : int
    given : tuple of str
        Words of it that its maker chooses.
    derived : tuple of str
        Words that follow from those, `bufs`, `align` and the bytes of meta.
    order : tuple of str
        All words of it, in the order of the file.
    derive : callable
        ``derive(fields, bufs, align, meta at)`` returns the derived words, with the bytes of all as
        ``total``; None if there is no such share.
    """

    number: int
    version: int
    given: tuple[str, ...]
    derived: tuple[str, ...]
    order: tuple[str, ...]
    derive: Callable[[dict[str, int], int, int, int], dict[str, int] | None]

    def word(self, name: str) -> int:
        """Return the index of a word of this kind."""
        return FIRST + self.order.index(name)

    @property
    def nbytes(self) -> int:
        """Bytes of all words; meta follows."""
        return 8 * (FIRST + len(self.order))

    def layout(
        self,
        bufs: int,
        align: int,
        fields: dict[str, int],
        meta_nbytes: int,
        fourcc: int = 0,
        guid: bytes = b"",
    ) -> Layout | None:
        """Return the layout of a new share; None if there is none of these numbers."""
        border = checked_align(align)
        if border is None or not 0 < bufs <= MOST or border > MOST or not 0 <= meta_nbytes <= MOST:
            return None
        derived = self.derive(fields, bufs, border, round_up(self.nbytes + meta_nbytes, 8))
        if derived is None or derived["total"] > MOST:
            return None
        words = {**fields, **{name: derived[name] for name in self.derived}}
        return Layout(bufs, border, fourcc, guid, meta_nbytes, words, derived["total"])

    def same(self, found: Layout, wanted: Layout) -> bool:
        """Return whether a share is the one asked for: frameextra, align and meta count by the sizes only."""
        names = {*self.given, "blocksize"} - {"frameextra"}
        sizes = [(each.bufs, each.total, [each.fields.get(name) for name in sorted(names)])
                 for each in (found, wanted)]  # fmt: skip
        return sizes[0] == sizes[1]

    def write(self, data: Array, layout: Layout, session: int, meta: bytes) -> None:
        """Write the words and meta of a new share; `data` holds zeros."""
        words = data[: self.nbytes].view(np.int64)
        numbers = {
            "type": self.number, "version": self.version, "total": layout.total, "session": session,
            "bufs": layout.bufs, "fourcc": layout.fourcc, "align": layout.align, "meta": layout.meta_nbytes,
        }  # fmt: skip
        for name, number in numbers.items():
            words[COMMON[name]] = number
        for name, number in layout.fields.items():
            words[self.word(name)] = number
        if layout.guid:
            words[COMMON["guid"] : COMMON["guid"] + 2] = np.frombuffer(layout.guid, np.int64)
        data[self.nbytes : self.nbytes + len(meta)] = np.frombuffer(meta, np.uint8)
        words[COMMON["magic"]] = MAGIC

    def read(self, data: Array) -> Layout | None:
        """Return the layout of what was found; None if it is of another kind, or its words are wrong."""
        if len(data) < self.nbytes:
            return None
        words = data[: self.nbytes].view(np.int64)
        common = {name: int(words[index]) for name, index in COMMON.items()}
        if (common["magic"], common["type"], common["version"]) != (MAGIC, self.number, self.version):
            return None
        given = {name: int(words[self.word(name)]) for name in self.given}
        guid = words[COMMON["guid"] : COMMON["guid"] + 2].tobytes()
        if common["align"] <= 0 or not 0 <= common["fourcc"] < 2**32:
            return None
        layout = self.layout(
            common["bufs"],
            common["align"],
            given,
            common["meta"],
            common["fourcc"],
            guid if any(guid) else b"",
        )
        if layout is None or layout.total != common["total"] or layout.total > len(data):
            return None
        found = {name: int(words[self.word(name)]) for name in layout.fields}
        return layout if found == layout.fields else None


def aligned_bytes(pixels: Array) -> Array:
    """Return the bytes of a stream from its first border on: that is at the same place in every process."""
    flat = pixels.reshape(-1).view(np.uint8)
    return flat[-flat.ctypes.data % PAGE :]
