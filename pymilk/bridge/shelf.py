"""Recordings that a sender serves: those of its streams in one folder, to read."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from .._types import Array
from ..arguments import shown
from ..errors import StreamArgumentError, StreamNotFoundError
from ..native.formats import EVENT, dtype_name
from ..recording import Recording, is_recording_name, load
from ..system.faults import words_of_fault
from ..system.files import checked_path
from ..system.journal import warn
from ..system.latch import Latch
from ..system.threads import join_thread, start_thread
from ..times import frame_times
from .disbelief import json_in
from .header import FRAMES_MOST
from .keys import names_in
from .pieces import packed_rows, piece_of
from .telling import refusal

__all__ = ["WAIT", "Shelf"]

#: The answer to a question that takes a while: ask again.
WAIT = b"PMWT"

#: Most questions that wait, seconds that an answer is kept, and that a recording stays open.
_WAITING_MOST, _KEPT_SECONDS, _OPEN_SECONDS = 32, 10.0, 30.0

#: Most recordings of a folder that are looked at, that are told, and that are open; most bytes of frames of
#: an answer.
_FILES_MOST, _TOLD_MOST, _OPEN_MOST, _PIECE_NBYTES = 100_000, 1000, 8, 4 << 20

_PART = re.compile(r"_\d{6,}(?=\.[A-Za-z0-9.]+$)")


class Shelf:
    """Answer questions about the recordings of a folder.

    Parameters
    ----------
    folder : str or PathLike
        With folders in it; links out of it are not followed.
    allowed : callable
        Gets the name of a stream, and returns whether its recordings may be read.

    Raises
    ------
    StreamNotFoundError
        There is no such folder.
    """

    def __init__(self, folder: str | os.PathLike[str], allowed: Callable[[str], bool]) -> None:
        self._root = os.path.realpath(checked_path(folder, "recordings", "serve"))
        if not os.path.isdir(self._root):
            raise StreamNotFoundError(f"there is no folder {folder!r} to serve", path=os.fspath(folder))
        self._allowed = allowed
        self._lock = threading.Lock()
        self._lists: dict[bytes, tuple[float, bytes]] = {}
        self._open: dict[str, tuple[Recording, float]] = {}
        self._known: dict[str, tuple[Any, str]] = {}  # state of the files, and the stream
        self._ending = False
        self._news = Latch()
        self._thread = threading.Thread(target=self._run, name="pymilk-bridge-shelf", daemon=True)
        start_thread(self._thread)

    def close(self) -> None:
        """End, and close the files."""
        self._ending = True
        self._news.set()
        join_thread(self._thread)
        with self._lock:
            for recording, _ in self._open.values():
                recording.close()
            self._open.clear()

    def answer(self, key: str, question: bytes) -> bytes:
        """Answer a question about the stream of a key; never raises."""
        try:
            asked = _read(question)
            names = names_in(key)
            if names is None or names[1] != asked["stream"]:
                return refusal("a question names the stream of its key")  # rules are about keys
            if not self._allowed(asked["stream"]):
                return refusal(f"{shown(asked['stream'], 60)} is none of the streams that are sent")
            if "name" not in asked:
                return self._list(question)
            return self._frames(asked)
        except Exception as error:  # noqa: BLE001 (libraries raise all kinds for files that are damaged)
            return self._refusal(error)

    def _refusal(self, error: BaseException) -> bytes:
        return refusal(words_of_fault(error).replace(self._root + os.sep, ""))

    # -- frames --------------------------------------------------------------------------------

    def _frames(self, asked: dict[str, Any]) -> bytes:
        path = self._path(asked["name"])
        begin, first, count = (asked[name] for name in ("begin", "first", "count"))
        with self._lock:
            recording = self._opened(path, begin + first + count)
            if recording.header.get("stream") != asked["stream"] or recording.info is None:
                return refusal("it is no recording of that stream")
            if begin + first + count > len(recording):
                return refusal("it does not have these frames")
            frame_nbytes = max(1, math.prod(recording.shape[1:]) * recording.dtype.itemsize)
            most = max(1, min(asked["nbytes"], _PIECE_NBYTES) // frame_nbytes)
            return piece_of(recording, begin, first, min(count, most, FRAMES_MOST)).encode()

    def _opened(self, path: str, frames: int) -> Recording:
        """Return an open recording; opened anew if it had fewer frames when it was opened."""
        found = self._open.pop(path, None)
        if found is not None and frames > len(found[0]):
            found[0].close()
            found = None
        while len(self._open) >= _OPEN_MOST:
            self._open.pop(next(iter(self._open)))[0].close()
        recording = load(path) if found is None else found[0]
        self._open[path] = (recording, time.monotonic())
        return recording

    def _path(self, name: str) -> str:
        """Return the path of a recording of the folder; a name that leads out of it is refused."""
        path = os.path.join(self._root, name)
        inside = os.path.realpath(path).startswith(self._root + os.sep)
        if os.path.isabs(name) or ".." in name.split("/") or not inside or not is_recording_name(name):
            raise StreamArgumentError(
                f"{shown(name, 100)} is no recording of the folder", argument="name", found=name
            )
        return path

    # -- lists, in a thread of its own -----------------------------------------------------------

    def _list(self, question: bytes) -> bytes:
        with self._lock:
            _, said = self._lists.get(question, (0.0, b""))
            if said and said is not WAIT:
                return said
            if len(self._lists) >= _WAITING_MOST:
                return refusal("too many others ask; ask again")
            self._lists.setdefault(question, (time.monotonic(), WAIT))
        self._news.set()
        return WAIT

    def _run(self) -> None:
        while not self._ending:
            self._news.wait(_KEPT_SECONDS / 2)
            self._news.clear()
            try:
                waiting = self._tidy()
            except Exception as error:  # noqa: BLE001 (a thread that ends here answers nobody any more)
                warn("bridge: recordings of %s: %s", self._root, words_of_fault(error))
                continue
            for question in waiting:
                try:
                    said = json.dumps(self._found(_read(question))).encode()
                except Exception as error:  # noqa: BLE001 (for who asks)
                    said = self._refusal(error)
                with self._lock:
                    self._lists[question] = (time.monotonic(), said)

    def _tidy(self) -> list[bytes]:
        """Forget old answers, and close recordings that nobody reads; returns questions that wait."""
        now = time.monotonic()
        with self._lock:
            waiting = [each for each, (_, said) in self._lists.items() if said is WAIT]
            for each in [each for each, (when, _) in self._lists.items() if now - when > _KEPT_SECONDS]:
                if each not in waiting:
                    del self._lists[each]
            for path in [path for path, (_, used) in self._open.items() if now - used > _OPEN_SECONDS]:
                self._open.pop(path)[0].close()
        return waiting

    def _found(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        """Return what is told of the recordings of a stream that have frames of a time."""
        told: list[dict[str, Any]] = []
        for name in self._names():
            if self._ending or len(told) == _TOLD_MOST:
                break
            try:
                path = self._path(name)
                if self._stream_of(path) != asked["stream"]:
                    continue
                with load(path) as recording:
                    said = _told(name, recording, asked["since"], asked["until"])
            except MemoryError:
                raise
            except Exception:  # noqa: BLE001 (libraries raise all kinds for files that are damaged)
                continue
            if said is not None:
                told.append(said)
        return told

    def _stream_of(self, path: str) -> str:
        """Return the stream that was recorded; opened again only after a change of the file."""
        state = None
        with contextlib.suppress(OSError):
            found = os.stat(path)
            state = (found.st_ino, found.st_size, found.st_mtime_ns)
        if state is None or self._known.get(path, (None, ""))[0] != state:
            with load(path) as recording:
                self._known[path] = (state, str(recording.header.get("stream", "")))
        return self._known[path][1]

    def _names(self) -> list[str]:
        """Return the recordings of the folder, series by their names."""
        names: set[str] = set()
        for folder, inner, files in os.walk(self._root):
            made = [each for each in inner if is_recording_name(each)]
            inner[:] = [each for each in inner if each not in made and not each.startswith(".")]
            for each in (*made, *files):
                if each.startswith(".") or not is_recording_name(each) or ".info." in each:
                    continue
                path = os.path.relpath(os.path.join(folder, each), self._root)
                whole = _PART.sub("", path)
                names.add(path if os.path.exists(os.path.join(self._root, whole)) else whole)
            if len(names) > _FILES_MOST:
                break
        return sorted(names)


def _told(name: str, recording: Recording, since: int, until: int) -> dict[str, Any] | None:
    """Return what is told of a recording; None if it has no frame of that time."""
    info = recording.info
    if info is None or not len(info):
        return None
    offset = recording.header.get("tai_offset")
    times = frame_times(info) - (offset if isinstance(offset, int) else 0) * 1_000_000_000
    chosen = np.flatnonzero((times >= since) & (times < until))
    if not len(chosen):
        return None
    begin, end = int(chosen[0]), int(chosen[-1]) + 1
    rows: Array = packed_rows(info[begin:end])
    header = {key: recording.header.get(key) for key in ("stream_shape", "symcode", "tri_dim", "squeeze")}
    return {
        "name": name,
        "begin": begin,
        "count": end - begin,
        "frames": len(info),
        "since": int(times[begin]),
        "until": int(times[end - 1]),
        "lost": int(info["lost"][begin + 1 : end].sum()),
        "dtype": dtype_name(EVENT) if recording.dtype == EVENT else recording.dtype.newbyteorder("<").str,
        "rows": hashlib.sha256(rows.tobytes()).hexdigest(),
        "complete": recording.complete,
        "keywords": recording.header.get("keywords", []),
        **header,
    }


def _read(question: bytes) -> dict[str, Any]:
    """Check a question."""
    given = json_in(question)
    if not isinstance(given, dict) or not isinstance(given.get("stream"), str):
        raise StreamArgumentError("a question names a stream", argument="stream", found=question[:60])
    numbers = ("begin", "first", "count", "nbytes") if "name" in given else ("since", "until")
    if any(type(given.get(each)) is not int or not 0 <= given[each] < 2**63 for each in numbers):
        raise StreamArgumentError(f"{', '.join(numbers)} are numbers", argument="numbers", found=given)
    if "name" in given and (not isinstance(given["name"], str) or not given["name"] or "\0" in given["name"]):
        raise StreamArgumentError("name is a recording", argument="name", found=given["name"])
    return given
