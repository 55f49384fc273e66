"""Who is connected; and for addresses that are not, why."""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import os
import socket
import threading
import time
from collections.abc import Iterable

from ..errors import BridgeError, BridgeUnreachableError, StreamError
from ..system.faults import words_of_fault
from ..system.forks import tell_after_fork
from ..system.latch import Latch
from ..system.threads import do_all, start_thread
from .deafness import Deafness
from .engine import Echo, Engine, Neighbour
from .links import Links, parts_of
from .probing import why_not

__all__ = ["Connections"]

#: Seconds between two looks, until an address that is not connected is tried, and until it is tried again.
_LOOK_SECONDS, _PATIENCE_SECONDS, _AGAIN_SECONDS = 0.25, 1.0, 5.0

#: Seconds between two looks at a new connection that has not answered yet.
_SOON_SECONDS = 0.05


class _Turns:
    """An engine as the thread below calls it: not after the end, and the end waits for the call in progress.

    A thread that comes back from the engine once the interpreter has ended would abort the process.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine, self._turn, self._over = engine, threading.Lock(), False

    def neighbours(self) -> list[Neighbour]:
        """Return who is connected now."""
        with self._turn:
            return [] if self._over else self._engine.neighbours()

    def ask_echo(self, neighbour: Neighbour, timeout: float) -> Echo | None:
        """Ask a neighbour whether it hears."""
        with self._turn:
            return None if self._over else self._engine.ask_echo(neighbour, timeout)

    def tell_unheard(self, numbers: Iterable[str]) -> None:
        """Let echoes of this end say whom it does not hear."""
        self._engine.tell_unheard(numbers)

    def renew(self) -> None:
        """Begin anew."""
        with self._turn:
            if not self._over:
                self._engine.renew()

    def revive(self) -> None:
        """Begin anew if it failed within itself."""
        with self._turn:
            if not self._over and self._engine.failed:
                self._engine.renew()

    def end(self) -> None:
        """Let no call begin any more, and wait for that in progress."""
        self._over = True
        with self._turn:
            pass

    def leave(self) -> None:
        """End in a child after fork: the thread stayed with the parent, perhaps within a call."""
        self._turn, self._over = threading.Lock(), True


class Connections:
    """Look at the addresses that an engine is to connect to: when asked, or in a thread of its own.

    Parameters
    ----------
    links : Links
    engine : Engine
    """

    def __init__(self, links: Links, engine: Engine) -> None:
        self._links, self._engine = links, engine
        self._reasons: dict[str, str] = {}
        self._numbers: dict[str, set[str]] = {}
        self._over = Latch()
        self._turns = _Turns(engine)
        self._deafness = Deafness(self._turns, alone=not links.listen)
        self._list_at = self._found()
        self._revoked = links.tls.revoked_names() if links.tls is not None else frozenset()
        self._complaint = ""
        self._fault = ""  # of the thread
        self._soon = False
        tell_after_fork(self)

    def _after_fork(self) -> None:
        self._over.set()
        self._turns.leave()

    def watch(self) -> Connections:
        """Look in a thread, until `close`; returns itself.

        None is started if there are no addresses.
        """
        if self._links.connect or self._links.listen:
            start_thread(threading.Thread(target=self._run, name="pymilk-bridge-links", daemon=True))
        return self

    def told(self) -> dict[str, list[str]]:
        """Return three fields of reports: who is connected, who may do nothing, addresses not connected."""
        near = [] if self._over.is_set() else self._engine.neighbours()
        reasons = dict(self._reasons)
        return {
            "connected": sorted(_called(each) for each in near),
            "not_connected": [
                *(f"{each}: {reasons[each]}" for each in self._links.connect if each in reasons),
                *filter(None, [self._fault]),
            ],
            "denied": [
                *filter(None, [self._complaint]),
                *sorted({f"{_called(each)}: {why}" for each in near if (why := self._refusal(each))}),
            ],
        }

    @property
    def _list(self) -> str | None:
        """Return the list of certificates that count no more."""
        return None if self._links.tls is None else self._links.tls.revoked

    def _found(self) -> tuple[int, ...]:
        """Return what changes when the list is written anew; () if there is none."""
        try:
            found = os.stat(self._list or "")
        except OSError:
            return ()
        return found.st_ino, found.st_size, found.st_mtime_ns

    def _heed(self) -> None:
        """Begin anew if the list changed; while it cannot be read, the one before holds."""
        at, tls = self._found(), self._links.tls
        if tls is None or at == self._list_at or self._over.is_set():
            return
        try:
            names = tls.revoked_names()
        except StreamError as error:
            self._complaint = f"the list of revoked certificates was changed, and that before holds: {error}"
            return
        self._complaint = ""
        try:
            if names != self._revoked:
                self._revoked = names | {""}  # until it has begun anew, it is to do that
                self._turns.renew()
        except StreamError as error:
            self._complaint = f"nobody is connected: for changed certificates, {error}"
            return
        self._revoked, self._list_at = names, at

    def _refusal(self, each: Neighbour) -> str:
        """Return why somebody who is connected may do nothing; "" if it is not so, or not known."""
        if each.name in self._revoked:
            return "its certificate was revoked"
        rules = self._links.allow
        named = any({each.name, "*"} & set(rule.who) for rule in rules)
        return "no rule names it" if rules and each.name and not named else ""

    def check(self) -> None:
        """Try all addresses now.

        Raises
        ------
        BridgeUnreachableError
            There are some, none is connected, and nobody else is.
        """
        missing = self._missing(self._engine)
        if len(missing) < len(self._links.connect) or not missing or self._engine.neighbours():
            return
        reasons = "; ".join(f"{address}: {self._why(address)}" for address in missing)
        raise BridgeUnreachableError(f"not connected: {reasons}", addresses=tuple(missing))

    def close(self) -> None:
        """End the thread. It is waited for only where it is in the engine: it may be looking up a name."""
        self._over.set()
        self._turns.end()

    def _why(self, address: str) -> str:
        if address in self._links.listen:
            return "this program itself listens there"
        try:
            return why_not(address, self._links.tls)
        except StreamError as error:
            return str(error)
        except OSError as error:
            return error.strerror or str(error)

    def _missing(self, engine: Engine | _Turns) -> list[str]:
        near = {each.address for each in engine.neighbours()}
        return [address for address in self._links.connect if not near & self._numbers_of(address)]

    def _numbers_of(self, address: str) -> set[str]:
        """Return an address as the engine writes it: with numbers."""
        if address not in self._numbers:
            kind, host, port = parts_of(address)
            found: set[str] = set()
            with contextlib.suppress(OSError, UnicodeError):
                for *_, place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
                    number = ipaddress.ip_address(str(place[0]).partition("%")[0])
                    found.add(
                        f"{kind}/[{number}]:{port}" if number.version == 6 else f"{kind}/{number}:{port}"
                    )
            if not found:
                return found
            self._numbers[address] = found
        return self._numbers[address]

    def _run(self) -> None:
        due = dict.fromkeys(self._links.connect, time.monotonic() + _PATIENCE_SECONDS)
        while not self._over.is_set():
            # Each by itself: whoever was revoked must not stay because a name could not be looked up.
            fault = do_all(self._turns.revive, self._tend, self._heed, functools.partial(self._explain, due))
            self._fault = "" if fault is None else f"links are not looked after: {words_of_fault(fault)}"
            self._over.wait(_SOON_SECONDS if self._soon else _LOOK_SECONDS)

    def _explain(self, due: dict[str, float]) -> None:
        """Find out why addresses are not connected, each when it is due."""
        missing = self._missing(self._turns)
        for address in self._links.connect:
            now = time.monotonic()
            if address not in missing:
                self._reasons.pop(address, None)
                due[address] = now + _PATIENCE_SECONDS
            elif now >= due[address] and not self._over.is_set():
                self._reasons[address] = self._why(address)
                due[address] = time.monotonic() + _AGAIN_SECONDS

    def _tend(self) -> None:
        """Cut connections that hand nothing on; notes whether to look again soon."""
        self._soon = False
        near = self._turns.neighbours()
        named = set().union(*map(self._numbers_of, self._links.connect))
        with contextlib.suppress(BridgeError):  # it has ended
            self._soon = self._deafness.look(
                [each for each in near if each.address in named],
                [each for each in near if each.address not in named],
            )


def _called(each: Neighbour) -> str:
    return f"{each.name} ({each.address})" if each.name else each.address
