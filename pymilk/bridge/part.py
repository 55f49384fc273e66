"""Frames of a recording on their way into a file: a folder until they are verified."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from dataclasses import asdict
from typing import BinaryIO

import numpy as np

from .._types import Array
from ..axes import Orientation
from ..capture import finished_capture
from ..errors import BridgeError, StreamBusyError
from ..recording import load, save, taken_by
from ..system.files import delete, put_in_place
from .pieces import PACKED_ROW, Piece, packed_rows, rows_of
from .remote import RemoteRecording

__all__ = ["Part"]

#: A piece in the list of those that are there: number of its first frame, frames, SHA-256.
_SUM = np.dtype([("first", "<u8"), ("count", "<u8"), ("sum", "V32")])

#: What may change while the frames stay: a recorder goes on behind them.
_PASSING = ("frames", "complete")


class Part:
    """Frames on their way into a file: a folder ``PATH.part``, until they are verified.

    Parameters
    ----------
    folder : str
    chosen : RemoteRecording
        What is in the folder of another one is deleted.

    Attributes
    ----------
    done : int
        Frames that are there, from the first on.
    """

    def __init__(self, folder: str, chosen: RemoteRecording) -> None:
        self._folder, self._chosen = folder, chosen
        self._sums: list[tuple[int, int, bytes]] = []
        self.done = 0
        self._files: list[BinaryIO] = []

    def __enter__(self) -> Part:
        os.makedirs(self._folder, exist_ok=True)
        about = _about(self._chosen)
        lock = open(self._path("about"), "a+b")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise StreamBusyError(f"another fetch writes into {self._folder}") from None
        self._files = [lock]
        lock.seek(0)
        if lock.read() != about:
            for name in ("frames", "rows", "sums", "made"):
                delete(self._path(name))
            lock.truncate(0)
            lock.write(about)
            lock.flush()
        self._files += [open(self._path(name), "a+b") for name in ("frames", "rows", "sums")]  # noqa: SIM115
        self._resume()
        return self

    def __exit__(self, *exc: object) -> None:
        for each in self._files:
            with contextlib.suppress(OSError):  # what it could not write was told of; all are closed
                each.close()

    def _path(self, name: str) -> str:
        return os.path.join(self._folder, name)

    def _resume(self) -> None:
        """Keep the pieces that are there and undamaged, and cut what is behind them."""
        frames, rows, sums = self._files[1:]
        for each in (frames, rows, sums):
            each.seek(0)
        listed = np.frombuffer(sums.read(), np.uint8)
        listed = listed[: len(listed) // _SUM.itemsize * _SUM.itemsize].view(_SUM)
        for first, count, checksum in listed.tolist():
            if first != self.done or not 0 < count <= self._chosen.count - first:
                break
            read = (rows.read(count * PACKED_ROW.itemsize), frames.read(count * self._chosen.frame_nbytes))
            if Piece(first, *read).checksum != checksum:
                break
            self._note(first, count, checksum)
        self._cut()

    def _cut(self) -> None:
        sizes = (self._chosen.frame_nbytes * self.done, PACKED_ROW.itemsize * self.done)
        for each, size in zip(self._files[1:], (*sizes, _SUM.itemsize * len(self._sums)), strict=True):
            each.truncate(size)
            each.seek(0, os.SEEK_END)

    def _note(self, first: int, count: int, checksum: bytes) -> None:
        self._sums.append((first, count, checksum))
        self.done = first + count

    def add(self, piece: Piece) -> None:
        """Keep a piece; it is listed when it is there."""
        frames, rows, sums = self._files[1:]
        try:
            for file, content in ((frames, piece.pixels), (rows, piece.rows)):
                file.write(content)
                file.flush()
            sums.write(np.array([(piece.first, piece.count, piece.checksum)], _SUM).tobytes())
            sums.flush()
        except OSError:
            with contextlib.suppress(OSError):
                self._cut()
            raise
        self._note(piece.first, piece.count, piece.checksum)

    def deliver(self, path: str, stream: str) -> None:
        """Write the recording, verify it, give it its name, and delete the folder."""
        chosen = self._chosen
        packed = np.fromfile(self._path("rows"), PACKED_ROW)
        if hashlib.sha256(packed.tobytes()).hexdigest() != chosen.rows:
            delete(self._folder)
            raise BridgeError(f"{chosen.name} was changed meanwhile: its rows are not those that were listed")
        shape = (chosen.count, *chosen.stream_shape)
        native: Array = np.memmap(self._path("frames"), np.dtype(chosen.dtype), "r", shape=shape)
        turn = chosen.orientation
        frames = turn.view(native)
        capture = finished_capture(stream, chosen.count, frames, rows_of(packed), turn, 0.0)
        delete(self._path("made"))
        os.mkdir(self._path("made"))
        made = os.path.join(self._path("made"), os.path.basename(path))
        save(capture, made, keywords=[tuple(each) for each in chosen.keywords])
        self._verify(made, turn)
        for each in reversed(taken_by(made)):  # the one that it is called after comes last
            if os.path.lexists(each):
                put_in_place(each, os.path.join(os.path.dirname(path), os.path.basename(each)))
        delete(self._folder)

    def _verify(self, made: str, turn: Orientation) -> None:
        """Read the recording back, and compare it with what was sent."""
        with load(made) as found:
            assert found.info is not None
            rows = packed_rows(found.info)
            good = len(found) == self.done
            for first, count, checksum in self._sums:
                chosen = slice(first, first + count)
                frames = turn.native(np.asarray(found.frames[chosen]))
                pixels = np.ascontiguousarray(frames, np.dtype(self._chosen.dtype)).reshape(-1).view(np.uint8)
                good = good and Piece(first, rows[chosen].tobytes(), pixels).checksum == checksum
        if not good:
            delete(self._path("made"))
            raise BridgeError(
                f"what was written to {made} is not what was sent: the disk or the format changed it"
            )


def _about(chosen: RemoteRecording) -> bytes:
    told = {name: value for name, value in asdict(chosen).items() if name not in _PASSING}
    return json.dumps(told, sort_keys=True).encode()
