"""`StagedSink`: a sink of chunks, which are collected, packed if that was asked for, and written whole."""

from __future__ import annotations

import abc
from typing import Any, ClassVar

import numpy as np

from ..._types import Array
from .base import Sink
from .packers import Packers, Piece
from .packing import Encode
from .staging import Staging

__all__ = ["StagedSink"]


class StagedSink(Sink):
    """A sink that collects the frames of a chunk in `_staging` before they are written.

    A chunk that lies whole in the ring is written from there, unless it has to be packed. Chunks are packed
    by threads of their own, and written by the one that calls `commit` and `flush`.

    A subclass calls `_stage`, and defines `_write`, which sets `_in_file`: how many of them are written;
    `write` for the frames of one chunk, which sets `_placed`; `_add`, which counts them; and `_put_piece`.
    One whose frames are always packed needs no `_write`.
    """

    hurries = True

    #: Whether a chunk has its full length in the file, also while some of its frames are still missing: it is
    #: packed again with the others. Else what is there is written, and the others go behind it.
    whole_chunks: ClassVar[bool] = True

    _staging: Staging
    _in_file = 0
    _placed = 0  # bytes that `write` took in the file, whose frames do not count yet
    _packers: Packers | None = None
    _broken: BaseException | None = None  # what a chunk that others follow could not be written for
    _part_nbytes = 0  # of the part of the present chunk that is in the file, packed

    def _stage(self, shape: tuple[int, ...], dtype: np.dtype[Any], rows: int, encode: Encode | None) -> None:
        """Make memory for chunks of so many frames, and threads that pack them with `encode`."""
        self._staging = Staging(shape, dtype, rows)
        if encode is not None:
            self._packers = Packers(encode, lambda: Staging(shape, dtype, rows))
            self.packed = self._packers.account

    def room(self, count: int) -> Array:
        """See `Sink`."""
        self._placed = 0
        return self._staging.room(count)

    def in_place(self, count: int) -> int:
        """See `Sink`."""
        rows = len(self._staging.frames)
        ready = self._packers is None or self.hurried
        return rows if ready and count >= rows and not self._staging.used else 0

    def commit(self, info: Array) -> None:
        """See `Sink`."""
        if self._broken is not None:
            raise self._broken
        if self._placed:
            nbytes, self._placed = self._placed, 0
            self._add(info)
            self._note_stored(nbytes, len(info), plain=True)
            return
        self._staging.add(info)
        if not self._staging.full:
            return
        if self._packers is None:
            self._write()
            self._staging.used = self._in_file = 0
        else:
            self._hand_over(self._packers)

    # -- chunks that are packed ----------------------------------------------------------------

    def _piece(self) -> Piece:
        """Return what is to be packed of the present chunk."""
        staging, first = self._staging, self._in_file
        frames = staging.frames if self.whole_chunks else staging.frames[first : staging.used]
        return Piece(staging, first, frames)

    def _hand_over(self, packers: Packers) -> None:
        """Have the full chunk packed, or stored as it is if there is no time; go on with the next."""
        packers.put(self._piece(), pack=not self.hurried)
        self._in_file = 0
        self._write_packed(packers)
        while (free := packers.memory()) is None:
            self._write_packed(packers, most=1, wait=True)
        self._staging = free

    def _write_packed(self, packers: Packers, most: int | None = None, wait: bool = False) -> None:
        """Write chunks that are packed: those that are ready, up to `most`; or wait for them."""
        try:
            while most != 0 and (piece := packers.next(wait)) is not None:
                nbytes, staging = self._put_piece(piece), piece.staging
                whole = staging.full
                self._note_stored(nbytes, staging.used - piece.first, piece.content is None)
                self._part_nbytes = nbytes if self.whole_chunks and not whole else 0
                if whole:
                    packers.give_back(staging)
                most = None if most is None else most - 1
        except BaseException as error:
            # Frames behind a chunk that is not there do not count.
            self._broken = error
            packers.drop()
            self._staging.used = self._in_file
            raise

    def _note_stored(self, nbytes: int, frames: int, plain: bool) -> None:
        """Note what a chunk takes in the file, its new frames, and whether it is as it was."""
        if self.packed is not None:
            self.packed.stored_nbytes += nbytes - self._part_nbytes
            self.packed.frames_nbytes += frames * self._staging.frames[0].nbytes
            self.packed.unpacked += frames if plain else 0

    def _flush_packed(self, packers: Packers) -> None:
        """Write all chunks, and the present one as far as it is filled."""
        self._write_packed(packers, wait=True)
        staging = self._staging
        if self._broken is None and staging.used > self._in_file:
            staging.frames[staging.used :] = 0
            packers.put(self._piece())
            self._write_packed(packers, wait=True)
            self._in_file = staging.used

    def _let_packers_go(self) -> None:
        """End the threads."""
        if self._packers is not None:
            self._packers.close()

    @abc.abstractmethod
    def _put_piece(self, piece: Piece) -> int:
        """Write a chunk, of which the first frames may be in the file already, and count the others.

        Returns
        -------
        int
            Bytes that it takes in the file.
        """

    def _write(self) -> None:
        """Write the frames of `_staging` behind `_in_file`."""
        raise NotImplementedError

    @abc.abstractmethod
    def _add(self, info: Array) -> None:
        """Count the frames that `write` wrote; `info` has their rows."""
