"""Which streams and message logs are sent, by whom."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

from ..arguments import check_number
from .clocks import Clock, ClockOffset, ask_clock
from .connections import Connections
from .disbelief import json_in
from .engine import Engine
from .keys import ABOUT, CLOCK, key_of, names_in
from .links import Links
from .zenoh import open_engine

__all__ = ["RemoteStream", "directory", "read_about"]

#: Bytes of an answer.
_MOST = 65536

#: Letters of what is wrong with a stream.
_WORDS_MOST = 500

#: Seconds between two questions while nobody has answered.
_AGAIN_SECONDS = 0.1

#: Round trips to each machine that compare its clock.
_ROUND_TRIPS = 8

#: Seconds to wait for further answers after a first one.
_OTHERS_SECONDS = 0.5


@dataclass(frozen=True)
class RemoteStream:
    """A stream or a message log that is sent.

    Attributes
    ----------
    host, stream : str
        What the machine is called, and the stream or the log.
    shape : tuple of int
        () if the stream is not there now.
    dtype : str
    counter : int
        Of its newest frame; of a log: messages that were ever written to it.
    age : float or None
        Seconds since its last frame or message, by the clock of its machine; None if that is not known.
    sent, missing : int
        Frames that were sent, and that could not be. Of a log: messages of all answers, and 0.
    wanted : bool
        Whether somebody receives it.
    pid : int
        The process that sends it.
    trouble : str
        Why it cannot be sent now although somebody receives it; empty otherwise.
    clock_offset, clock_uncertainty : float or None
        Seconds that the clock there is ahead of the one here, and how far off that may be; None if it is not
        known.
    kind : str
        "stream" or "log".
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
    trouble: str = ""
    clock_offset: float | None = None
    clock_uncertainty: float | None = None
    kind: str = "stream"


def directory(
    links: Links | None = None, *, timeout: float = 1.0, engine: Engine | None = None
) -> list[RemoteStream]:
    """Return the streams and message logs of all senders that can be reached.

    Parameters
    ----------
    links : Links, optional
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
            answers = asking.ask(key_of(None, None, ABOUT), _OTHERS_SECONDS)
            if answers or time.monotonic() >= deadline:
                break
            time.sleep(min(_AGAIN_SECONDS, max(0.0, deadline - time.monotonic())))
        if not answers and engine is None:
            Connections(links, asking).check()
        found = [read_about(answer.key, answer.message) for answer in answers]
        known = [each for each in found if each is not None]
        hosts = {each.host: each for each in sorted(known, key=lambda each: each.kind == "stream")}
        offsets = {host: _clock_of(asking, each) for host, each in hosts.items()}
    finally:
        if engine is None:
            asking.close()
    known = [
        replace(each, clock_offset=clock.offset, clock_uncertainty=clock.uncertainty) if clock else each
        for each in known
        for clock in [offsets[each.host]]
    ]
    return sorted(known, key=lambda each: (each.host, each.stream, each.kind, each.pid))


def _clock_of(engine: Engine, stream: RemoteStream) -> ClockOffset | None:
    """Compare the clock of a machine with the one here."""
    clock = Clock()
    for _ in range(_ROUND_TRIPS):
        if not ask_clock(engine, key_of(stream.host, stream.stream, CLOCK), clock, _OTHERS_SECONDS):
            break
    return clock.read()


def read_about(key: str, message: bytes) -> RemoteStream | None:
    """Return what an answer says; what is none is left out."""
    names = names_in(key)
    if names is None or len(message) > _MOST:
        return None
    said = json_in(message)
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
        age=_seconds(age),
        wanted=said.get("wanted") is True,
        counter=_count(said.get("counter")),
        sent=_count(said.get("sent")),
        missing=_count(said.get("missing")),
        pid=_count(said.get("pid")),
        trouble=_words(said.get("trouble")),
        kind="log" if said.get("kind") == "log" else "stream",
    )


def _seconds(value: Any) -> float | None:
    """Return a time that another machine tells, if it is one."""
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e12
    return float(value) if good else None


def _words(value: Any) -> str:
    """Return words of another machine, short and printable."""
    text = value[:_WORDS_MOST] if isinstance(value, str) else ""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _count(value: Any) -> int:
    return value if type(value) is int and 0 <= value < 2**63 else 0
