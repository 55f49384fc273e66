"""Connections that look whole and hand nothing on: they are found by asking the other end, and cut.

Zenoh stays in that state if a connection breaks as soon as it is there again. It may also hand on in one
direction alone: one of several ends that connect to a router at the same time hears it and is not heard:
docs/bridge.md. The end that connects does it, for senders, receivers, routers and all others alike; when it
is cut, the engine connects anew by itself, and all that was told to the others stays told.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import stat
import time
from collections.abc import Iterable
from typing import Protocol

from ..errors import BridgeAddressError
from .engine import Echo, Neighbour
from .links import parts_of

__all__ = ["Asked", "Deafness", "cut"]

#: Seconds without an answer until then; twice as many the next time, up to the second number: the engine
#: itself gives up connections on which nothing is heard for so long.
_SECONDS, _MOST = 1.0, 3.0

#: Cuts without an answer after which the engine of this end may be what fails.
_CUTS = 3

#: So many times as long where nobody answered yet, and the most.
_UNKNOWN, _UNKNOWN_MOST = 3, 60.0

#: Seconds for which a connection is asked; one that answers then stays, and the engine watches it.
_YOUNG_SECONDS = 5.0

#: Questions without an answer after which an end that connected to this one is told that it is not heard;
#: seconds for which it is told that until it connects anew; age of a connection at which the other end has
#: asked so often, so that what it says counts.
_QUESTIONS, _UNHEARD_SECONDS, _SURE_SECONDS = 3, 1.0, 4.0

#: Seconds to wait for an answer.
_ANSWER_SECONDS = 0.5


class Asked(Protocol):
    """What of an engine is used here; see `Engine`."""

    def ask_echo(self, neighbour: Neighbour, timeout: float) -> Echo | None:
        """Ask a neighbour whether it hears."""

    def tell_unheard(self, numbers: Iterable[str]) -> None:
        """Let echoes of this end say whom it does not hear."""

    def renew(self) -> None:
        """Begin anew."""


class Deafness:
    """Ask the other ends of new connections whether they hear; cut those that do not.

    Where nobody ever answered that is done later, and less and less often: it may be another version, or
    rules let nothing pass.

    Parameters
    ----------
    engine : Engine, or those three of its methods
    alone : bool
        Nobody connects to this end: if cutting did not help several times, its engine begins anew.
    """

    def __init__(self, engine: Asked, alone: bool) -> None:
        self._engine, self._alone = engine, alone
        self._cuts: dict[str, int] = {}  # since the last answer
        self._began: dict[tuple[str, str], float] = {}
        self._heard: dict[tuple[str, str], float] = {}  # when it answered last
        self._hears: dict[tuple[str, str], float] = {}  # when it said last that it hears this end
        self._lonely: dict[str, int] = {}  # cuts of an address for that, since it heard this end
        self._questions: dict[tuple[str, str], int] = {}  # to others; -1 once one was answered
        self._patience: dict[str, float] = {}
        self._known: set[str] = set()  # addresses where somebody answered

    def look(self, near: Iterable[Neighbour], others: Iterable[Neighbour] = ()) -> bool:
        """Ask those whose connections are new; cut one that has been silent or deaf for too long.

        Parameters
        ----------
        near : iterable of Neighbour
            Those whom this end connected to.
        others : iterable of Neighbour
            Those who connected to this end: who is not heard is told so, and connects anew by itself.

        Returns
        -------
        bool
            Whether there is one in `near` that is new and did not answer yet.
        """
        links, them = _by_link(near), _by_link(others)
        now = time.monotonic()
        self._began = {key: self._began.get(key, now) for key in (*links, *them)}
        self._heard = {key: when for key, when in self._heard.items() if key in links}
        self._hears = {key: when for key, when in self._hears.items() if key in links}
        for key, each in links.items():
            answered = self._heard.get(key)
            if answered is None or answered - self._began[key] <= _YOUNG_SECONDS:
                self._ask(key, each)
        self._ask_others(them)
        young = time.monotonic() - _YOUNG_SECONDS
        return any(key not in self._heard and self._began[key] > young for key in links)

    def _ask(self, key: tuple[str, str], each: Neighbour) -> None:
        echo = self._engine.ask_echo(each, _ANSWER_SECONDS)
        if echo is None:
            self._weigh(each, self._heard.get(key, self._began[key]))
            return
        now = self._heard[key] = time.monotonic()
        self._patience[each.address] = _SECONDS
        self._known.add(each.address)
        self._cuts.pop(each.address, None)
        if echo.hears:
            self._hears[key] = now
            if now - self._began[key] > _SURE_SECONDS:
                self._lonely.pop(each.address, None)
        elif now - self._hears.get(key, self._began[key]) >= _UNHEARD_SECONDS:
            cuts = self._lonely.get(each.address, 0)
            if cuts < _CUTS and cut(each):
                self._lonely[each.address] = cuts + 1

    def _ask_others(self, them: dict[tuple[str, str], Neighbour]) -> None:
        """Ask each of those who connected to this end until it answers, and say who does not."""
        young = time.monotonic() - _YOUNG_SECONDS
        self._questions = {key: self._questions.get(key, 0) for key in them}
        for key, each in them.items():
            questions = self._questions[key]
            if questions >= 0 and self._began[key] > young:
                answered = self._engine.ask_echo(each, _ANSWER_SECONDS) is not None
                self._questions[key] = -1 if answered else questions + 1
        self._engine.tell_unheard(
            each.number for key, each in them.items() if self._questions[key] >= _QUESTIONS
        )

    def _weigh(self, each: Neighbour, since: float) -> None:
        most = _MOST if each.address in self._known else _UNKNOWN_MOST
        patience = self._patience.get(each.address, _UNKNOWN * _SECONDS)
        if time.monotonic() - since >= patience and cut(each):
            self._patience[each.address] = min(2 * patience, most)
            cuts = self._cuts[each.address] = self._cuts.get(each.address, 0) + 1
            if self._alone and each.address in self._known and cuts % _CUTS == 0:
                self._engine.renew()


def _by_link(near: Iterable[Neighbour]) -> dict[tuple[str, str], Neighbour]:
    return {(each.here, each.address): each for each in near if each.here and each.number}


def cut(neighbour: Neighbour) -> bool:
    """End the connection of this process to somebody; returns whether it was found."""
    wanted = _place(neighbour.here), _place(neighbour.address)
    if None in wanted:
        return False
    for number in map(int, os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError):  # it was closed meanwhile, or is connected to nobody
            if not stat.S_ISSOCK(os.fstat(number).st_mode):
                continue
            with socket.fromfd(number, -1, -1) as link:
                if link.family not in (socket.AF_INET, socket.AF_INET6):
                    continue
                if (_numbers(link.getsockname()), _numbers(link.getpeername())) == wanted:
                    link.shutdown(socket.SHUT_RDWR)
                    return True
    return False


def _place(address: str) -> tuple[str, int] | None:
    try:
        _, host, port = parts_of(address)
        return str(ipaddress.ip_address(host)), port
    except (BridgeAddressError, ValueError):
        return None


def _numbers(name: tuple[str, int]) -> tuple[str, int]:
    host = ipaddress.ip_address(name[0].partition("%")[0])
    return str(getattr(host, "ipv4_mapped", None) or host), name[1]
