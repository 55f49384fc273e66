"""Which streams are sent, by whom."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from ..arguments import check_number
from .connections import Connections
from .engine import Engine
from .keys import ABOUT, key_of, names_in
from .links import Links
from .zenoh import open_engine

__all__ = ["RemoteStream", "directory"]

#: Bytes of an answer.
_MOST = 65536

#: Seconds between two questions while nobody has answered.
_AGAIN_SECONDS = 0.1

#: Seconds to wait for further answers after a first one.
_OTHERS_SECONDS = 0.5


@dataclass(frozen=True)
class RemoteStream:
    """A stream that is sent.

    Attributes
    ----------
    host, stream : str
    shape : tuple of int
        () if the stream is not there now.
    dtype : str
    counter : int
        Of its newest frame.
    age : float or None
        Seconds since its last frame, by the clock of its machine; None if that is not known.
    sent, missing : int
        Frames that were sent, and that could not be.
    wanted : bool
        Whether somebody receives it.
    pid : int
        The process that sends it.
    """

    host: str
    stream: str
    shape: tuple[int, ...]
    dtype: str
    counter: int
    age: float | None
    sent: int
    missing: int
    wanted: bool
    pid: int


def directory(
    links: Links | None = None, *, timeout: float = 1.0, engine: Engine | None = None
) -> list[RemoteStream]:
    """Return the streams of all senders that can be reached.

    Parameters
    ----------
    links : Links
        Whom to connect to.
    timeout : float, default 1.0
        Seconds to wait for the first answer.
    engine : Engine, optional
        Instead of one of its own; it stays the caller's.

    Returns
    -------
    list of RemoteStream
        By host and stream; empty if nobody answers.

    Raises
    ------
    LibraryMissingError, BridgeError, BridgeKeyError
    BridgeUnreachableError
        There are addresses to connect to, and none lets this process in; the message says why.
    StreamArgumentError
        Of the timeout.
    """
    limit = check_number("timeout", timeout, "a time of 0 to 3600 seconds", 0.0, 3600.0)
    links = links or Links()
    asking = engine or open_engine(links, _MOST)
    try:
        deadline = time.monotonic() + limit
        while True:
            answers = asking.ask(key_of("*", "*", ABOUT), _OTHERS_SECONDS)
            if answers or time.monotonic() >= deadline:
                break
            time.sleep(min(_AGAIN_SECONDS, max(0.0, deadline - time.monotonic())))
        if not answers and engine is None:
            Connections(links, asking).check()
    finally:
        if engine is None:
            asking.close()
    found = [_read(answer.key, answer.message) for answer in answers]
    known = [each for each in found if each is not None]
    return sorted(known, key=lambda each: (each.host, each.stream, each.pid))


def _read(key: str, message: bytes) -> RemoteStream | None:
    """Return what an answer says; what is none is left out."""
    names = names_in(key)
    if names is None or len(message) > _MOST:
        return None
    try:
        said = json.loads(message)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    shape, age = said.get("shape"), said.get("age")
    usable = isinstance(shape, list) and len(shape) <= 3 and all(type(each) is int for each in shape)
    dtype = said.get("dtype")
    return RemoteStream(
        host=names[0],
        stream=names[1],
        shape=tuple(shape) if usable and shape else (),
        dtype=dtype[:40] if isinstance(dtype, str) and dtype.isprintable() else "",
        age=float(age) if isinstance(age, (int, float)) else None,
        wanted=said.get("wanted") is True,
        counter=_count(said.get("counter")),
        sent=_count(said.get("sent")),
        missing=_count(said.get("missing")),
        pid=_count(said.get("pid")),
    )


def _count(value: Any) -> int:
    return value if type(value) is int and 0 <= value < 2**63 else 0
