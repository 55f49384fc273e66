"""Fetch recordings of another machine: resumable, verified, whole or nothing."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..arguments import bad_argument, shown
from ..errors import BridgeError, BridgeMessageError, StreamError, StreamNotFoundError
from ..recording import taken_by
from ..reports import Report
from ..system.files import check_room_for, checked_path, file_error
from ..times import from_user
from .connections import Connections
from .disbelief import json_in
from .engine import Engine
from .header import FRAMES_MOST, MAX_FRAME, TOGETHER_NBYTES, nbytes_most
from .keys import RECORDINGS, key_of, source_of
from .links import Links
from .part import Part
from .pieces import Piece
from .remote import RemoteRecording, read_recording
from .shelf import WAIT
from .telling import refused
from .zenoh import open_engine

__all__ = ["FetchReport", "RemoteRecording", "fetch", "recordings"]

#: Seconds to wait for the first answer, for a list that is being made, and for a piece; between two attempts.
_FIRST_SECONDS, _LIST_SECONDS, _PIECE_SECONDS, _AGAIN_SECONDS = 10.0, 120.0, 10.0, 0.2

#: How often a piece is asked for.
_ATTEMPTS = 6

_FOREVER = 2**63 - 1


@dataclass(kw_only=True, repr=False, eq=False)
class FetchReport(Report):
    """What was fetched.

    Attributes
    ----------
    source : str
        ``HOST/STREAM``.
    recording : str
        Its name there.
    path : str
    frames, lost : int
        Frames that are in the file, and those that are missing between them.
    resumed : int
        Frames that were there already from an attempt before.
    duration : float
        Seconds.
    nbytes : int
        Bytes of frames that came now.
    rate : float
        Bytes of these a second.
    """

    source: str
    recording: str
    path: str
    frames: int
    lost: int
    resumed: int
    duration: float
    nbytes: int
    rate: float = field(init=False)

    def __post_init__(self) -> None:
        self.rate = self.nbytes / self.duration if self.duration > 0 else 0.0

    def __str__(self) -> str:
        resumed = f", {self.resumed} of them were there already" if self.resumed else ""
        return (
            f"{self.source} {self.recording} -> {self.path}: {self.frames} frames{resumed}, {self.lost} "
            f"missing in the recording, {self.rate / 1e6:.1f} MB/s, verified"
        )


def recordings(
    source: str,
    links: Links | None = None,
    *,
    since: datetime.datetime | float | None = None,
    until: datetime.datetime | float | None = None,
    engine: Engine | None = None,
) -> list[RemoteRecording]:
    """Return the recordings of a stream that another machine serves.

    Parameters
    ----------
    source : str
        ``HOST/STREAM``.
    links : Links, optional
        Whom to connect to.
    since, until : datetime or float, optional
        Only those with frames of that time: a datetime without a zone is local time, a number seconds since
        1970. Frames are of the time that their rows say, by the clock of the source.
    engine : Engine, optional
        Instead of one of its own; it stays the caller's.

    Returns
    -------
    list of RemoteRecording
        By name, 1000 at most.

    Raises
    ------
    BridgeAddressError, StreamArgumentError, LibraryMissingError
    BridgeKeyError
    BridgeUnreachableError
        There are addresses to connect to, and none lets this process in.
    BridgeError
        Nobody answers, or it is refused.
    """
    with _asking(engine, links, MAX_FRAME, source) as ask:
        return ask.list(since, until)


def fetch(
    source: str,
    path: str | os.PathLike[str],
    links: Links | None = None,
    *,
    since: datetime.datetime | float | None = None,
    until: datetime.datetime | float | None = None,
    recording: str | None = None,
    max_frame: int = MAX_FRAME,
    engine: Engine | None = None,
) -> FetchReport:
    """Write frames of a recording of another machine, with their rows, into a recording of this one.

    Parameters
    ----------
    source : str
        ``HOST/STREAM``.
    path : str or PathLike
        As for `pymilk.save`: the suffix chooses the format. It must not exist.
    links, since, until, engine
        See `recordings`.
    recording : str, optional
        Its name, where several have frames of that time.
    max_frame : int, default 64_000_000
        Bytes that a frame may have.

    Returns
    -------
    FetchReport

    Raises
    ------
    StreamExistsError, StreamBusyError
        The file exists; another fetch is writing it.
    StreamNotFoundError
        No recording has frames of that time.
    BridgeKeyError, BridgeUnreachableError
        See `recordings`.
    BridgeError
        Nobody answers, it is refused, several recordings have such frames, or what was written is not what
        was sent. What came stays in ``PATH.part``, and the same call goes on there.
    StreamError
        As for `pymilk.save`.

    Notes
    -----
    Each piece comes with a checksum. At the end the file is read back and compared with all of them and with
    the checksum of all rows, and only then gets its name. Until then the disk holds the frames twice.
    """
    where = checked_path(path, "a recording")
    with _asking(engine, links, max_frame, source) as ask:
        check_room_for(where, taken_by(where), ask.stream)
        chosen = _chosen(ask.list(since, until), source, recording)
        if chosen.frame_nbytes > max_frame:
            raise BridgeMessageError(
                f"a frame of {chosen.name} has {chosen.frame_nbytes} bytes, and {max_frame} are allowed "
                "(--max-frame, max_frame=)"
            )
        began = time.monotonic()
        try:
            with Part(f"{where}.part", chosen) as part:
                resumed = part.done
                while part.done < chosen.count:
                    part.add(ask.piece(chosen, part.done, max(max_frame, TOGETHER_NBYTES)))
                took = time.monotonic() - began
                part.deliver(where, ask.stream)
        except OSError as error:
            if isinstance(error, StreamError):
                raise
            raise file_error(error, where, "written") from error
        return FetchReport(
            source=source, recording=chosen.name, path=where, frames=chosen.count, lost=chosen.lost,
            resumed=resumed, duration=took, nbytes=(chosen.count - resumed) * chosen.frame_nbytes,
        )  # fmt: skip


@contextlib.contextmanager
def _asking(engine: Engine | None, links: Links | None, max_frame: int, source: str) -> Iterator[_Asking]:
    """Ask through the engine of the caller, or through one of its own."""
    if engine is not None:
        yield _Asking(engine, source)
        return
    links = links or Links()
    own = open_engine(links, nbytes_most(max_frame))
    try:
        yield _Asking(own, source, Connections(links, own))
    finally:
        own.close()


def _chosen(found: list[RemoteRecording], source: str, name: str | None) -> RemoteRecording:
    """Return the recording that is meant."""
    if name is not None:
        found = [each for each in found if each.name == name]
    if not found:
        which = "no recording" if name is None else f"no recording {shown(name, 100)}"
        raise StreamNotFoundError(f"{which} of {source} has frames of that time", stream=source)
    if len(found) > 1:
        names = ", ".join(repr(each.name) for each in found[:10])
        raise BridgeError(
            f"{len(found)} recordings of {source} have frames of that time: {names}; choose one with "
            "--recording (recording=)"
        )
    return found[0]


class _Asking:
    """Ask a machine about its recordings of a stream."""

    def __init__(self, engine: Engine, source: str, connections: Connections | None = None) -> None:
        host, self.stream = source_of(source)
        self._connections = connections
        self._source, self._engine = source, engine
        self._key = key_of(host, self.stream, RECORDINGS)

    def list(
        self, since: datetime.datetime | float | None, until: datetime.datetime | float | None
    ) -> list[RemoteRecording]:
        question: dict[str, Any] = {
            "stream": self.stream,
            "since": 0 if since is None else max(0, from_user(since, self.stream, "since")),
            "until": _FOREVER if until is None else max(0, from_user(until, self.stream, "until")),
        }
        if question["since"] >= question["until"]:
            raise bad_argument("since", since, f"a time before until, which is {until}")
        said = self._wait(question, _LIST_SECONDS)
        if said is None:
            if self._connections is not None:
                self._connections.check()
            raise BridgeError(
                f"nobody serves recordings of {self._source}: `pymilk bridge send` there needs --serve DIR, "
                "and access rules must let this machine receive the stream"
            )
        given = json_in(said)
        if not isinstance(given, list):
            raise BridgeMessageError(f"the list of recordings of {self._source} is none")
        return [read_recording(each) for each in given[:1000]]

    def piece(self, chosen: RemoteRecording, first: int, nbytes: int) -> Piece:
        """Return the next frames of a recording."""
        left = chosen.count - first
        question = {
            "stream": self.stream, "name": chosen.name, "begin": chosen.begin, "first": first, "count": left,
            "nbytes": nbytes,
        }  # fmt: skip
        trouble = "nobody answers"
        for _ in range(_ATTEMPTS):
            said = self._wait(question, _PIECE_SECONDS)
            if said is not None:
                try:
                    return Piece.decode(said, first, min(left, FRAMES_MOST), chosen.frame_nbytes)
                except BridgeMessageError as error:
                    trouble = str(error)
        raise BridgeError(
            f"{first} of {chosen.count} frames of {self._source} {chosen.name} came, then: {trouble}; the "
            "same command goes on there"
        )

    def _wait(self, question: dict[str, Any], seconds: float) -> bytes | None:
        """Return an answer, or None if nobody answers."""
        asked = json.dumps(question).encode()
        began = time.monotonic()
        heard = False
        while True:
            for answer in self._engine.ask(self._key, _PIECE_SECONDS, asked):
                why = refused(answer.message)
                if why:
                    raise BridgeError(f"{self._source} refuses: {why}")
                if answer.message != WAIT:
                    return answer.message
                heard = True
            if time.monotonic() - began > (seconds if heard else _FIRST_SECONDS):
                return None
            time.sleep(_AGAIN_SECONDS)
