"""Connections that look whole and hand nothing on: they are found by asking the other end, and cut.

Zenoh stays in that state if a connection breaks as soon as it is there again: docs/bridge.md. The end that
connects does it, for senders, receivers, routers and all others alike; when it is cut, the engine connects
anew by itself, and all that was told to the others stays told.
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
from .engine import Neighbour
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

#: Seconds to wait for an answer.
_ANSWER_SECONDS = 0.5


class Asked(Protocol):
    """What of an engine is used here; see `Engine`."""

    def reaches(self, neighbour: Neighbour, timeout: float) -> bool:
        """Ask a neighbour whether it hears."""

    def renew(self) -> None:
        """Begin anew."""


class Deafness:
    """Ask the other ends of new connections whether they hear; cut those that do not.

    Where nobody ever answered that is done later, and less and less often: it may be another version, or
    rules let nothing pass.

    Parameters
    ----------
    engine : Engine, or those two of its methods
    alone : bool
        Nobody connects to this end: if cutting did not help several times, its engine begins anew.
    """

    def __init__(self, engine: Asked, alone: bool) -> None:
        self._engine, self._alone = engine, alone
        self._cuts: dict[str, int] = {}  # since the last answer
        self._began: dict[tuple[str, str], float] = {}
        self._heard: dict[tuple[str, str], float] = {}
        self._patience: dict[str, float] = {}
        self._known: set[str] = set()  # addresses where somebody answered

    def look(self, near: Iterable[Neighbour]) -> bool:
        """Ask those of these whose connections are new, and cut one that has been silent for too long.

        Returns whether there is one that is new and did not answer yet.
        """
        links = {(each.here, each.address): each for each in near if each.here and each.number}
        self._began = {key: self._began.get(key, time.monotonic()) for key in links}
        self._heard = {key: when for key, when in self._heard.items() if key in links}
        for key, each in links.items():
            answered = self._heard.get(key)
            if answered is not None and answered - self._began[key] > _YOUNG_SECONDS:
                continue
            if self._engine.reaches(each, _ANSWER_SECONDS):
                self._heard[key] = time.monotonic()
                self._patience[each.address] = _SECONDS
                self._known.add(each.address)
                self._cuts.pop(each.address, None)
            else:
                self._weigh(each, self._heard.get(key, self._began[key]))
        young = time.monotonic() - _YOUNG_SECONDS
        return any(key not in self._heard and began > young for key, began in self._began.items())

    def _weigh(self, each: Neighbour, since: float) -> None:
        most = _MOST if each.address in self._known else _UNKNOWN_MOST
        patience = self._patience.get(each.address, _UNKNOWN * _SECONDS)
        if time.monotonic() - since >= patience and cut(each):
            self._patience[each.address] = min(2 * patience, most)
            cuts = self._cuts[each.address] = self._cuts.get(each.address, 0) + 1
            if self._alone and each.address in self._known and cuts % _CUTS == 0:
                self._engine.renew()


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
