"""The host's end of parameters: says which there are, and answers those who read or change them."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from typing import Any

from ...errors import BridgeError, BridgeMessageError, FPSError
from ...parameters import FPS, list_fps
from ...parameters.survey import describe_fps
from ...system.latch import Latch
from ...system.threads import do_all, join_thread, start_thread
from ..engine import Engine, Registration
from ..keys import ABOUT, CHANGES, COMMAND, NEW, READ, SET, TABLE, TURN, parameter_key, parameter_names
from ..reports import ParameterReport
from .account import Account, Rate
from .acts import Acts
from .changes import ChangeOutlet, file_of
from .offer import ParameterOffer
from .wire import ANSWER_MOST, QUESTION_MOST, decode, encode, told_parameter

__all__ = ["ParameterDesk"]

#: Seconds between two looks for FPS that are new or gone, and for changes while somebody listens.
_LOOK_SECONDS, _CHANGE_SECONDS = 0.5, 0.02

#: Bytes of parameters after which the rest of them is left for the next answer.
_PIECE_NBYTES = ANSWER_MOST // 4


class ParameterDesk:
    """Offer the parameters of this machine, until it is closed.

    Parameters
    ----------
    offer : ParameterOffer
    host : str
        What this machine is called.
    engine : Engine

    Notes
    -----
    One thread looks for FPS, and for changes while somebody listens to them. Questions are answered in
    threads of the engine; each attaches its FPS anew, so that they share nothing.
    """

    def __init__(self, offer: ParameterOffer, host: str, engine: Engine) -> None:
        self._offer, self._host, self._engine = offer, host, engine
        self._account = Account()
        self._acts = Acts(offer, host, self._account)
        self._rate = Rate()
        self._changes: dict[str, ChangeOutlet] = {}
        self._said: dict[str, list[Registration]] = {}
        self._ending = False
        self._news = Latch()
        self._thread = threading.Thread(target=self._run, name="pymilk-bridge-parameters", daemon=True)
        start_thread(self._thread)

    @property
    def report(self) -> ParameterReport:
        """What was asked, done and refused so far."""
        return self._account.told(sorted(self._said))

    def close(self) -> None:
        """End it. Commands that are being done go on, and nobody is told how they end."""
        self._ending = True
        self._news.set()
        join_thread(self._thread)

    # -- the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        look = 0.0
        while not self._ending:
            self._news.clear()
            try:
                now = time.monotonic()
                if now >= look:
                    look = now + _LOOK_SECONDS
                    self._look()
                heard = [each.push() for each in self._changes.values()]
                rest = _CHANGE_SECONDS if any(heard) else max(0.0, look - time.monotonic())
            except BridgeError as error:  # the engine has ended
                self._account.refuse(error)
                break
            # Also what is no Exception, as when the engine fails within itself: a thread that ends in silence
            # looks like parameters that nobody changes.
            except BaseException as error:  # noqa: BLE001
                self._account.note(error)
                rest = _LOOK_SECONDS
            self._news.wait(rest)
        do_all(*(functools.partial(self._end, name) for name in list(self._said)))

    def _look(self) -> None:
        """Begin with FPS that are new, and end those that are gone."""
        try:
            found = {name for name in list_fps() if self._offer.offers(name)}
        except FPSError:
            found = set()  # the directory is gone, or not there yet
        for name in found - self._said.keys():
            self._begin(name)
        for name in self._said.keys() - found:
            self._end(name)

    def _begin(self, name: str) -> None:
        engine, host = self._engine, self._host
        answers: dict[tuple[str, str | None], Callable[[str, bytes], bytes]] = {
            (READ, ABOUT): lambda *_: self._reads(_about, name),
            (READ, TABLE): lambda _, question: self._reads(_table, name, question),
            (TURN, NEW): lambda _, question: self._acts.turn(question),
            (SET, None): lambda key, question: self._changes_one(self._acts.set, name, key, question),
            (COMMAND, None): lambda key, question: self._changes_one(self._acts.command, name, key, question),
        }
        said = self._said[name] = []
        try:
            for where, say in answers.items():
                said.append(engine.answer(parameter_key(host, name, *where), say))
            key = parameter_key(host, name, READ, CHANGES)
            self._changes[name] = ChangeOutlet(name, lambda: engine.outlet(key, self._news.set, urgent=True))
        except BaseException:
            self._end(name)  # the next look begins anew
            raise

    def _end(self, name: str) -> None:
        changes = self._changes.pop(name, None)
        ends: list[Any] = [*self._said.pop(name), *([] if changes is None else [changes])]
        fault = do_all(*(each.close for each in ends))
        if fault is not None:
            raise fault

    # -- questions, in threads of the engine ---------------------------------------------------

    def _changes_one(
        self, act: Callable[[str, str, bytes], bytes], name: str, key: str, question: bytes
    ) -> bytes:
        """Change what the key says: rules are about keys, so that the question itself names nothing."""
        names = parameter_names(key)
        if names is None or names[:2] != (self._host, name):
            return self._account.refuse(BridgeMessageError("a change is of one parameter, or one command"))
        return act(name, names[2], question)

    def _reads(self, read: Callable[..., dict[str, Any]], *about: Any) -> bytes:
        return self._account.answer(self._rate, lambda: read(*about))


def _about(name: str) -> dict[str, Any]:
    with FPS(name, writable=False) as fps:
        found = describe_fps(fps)
    del found["path"]
    return found


def _table(name: str, question: bytes) -> dict[str, Any]:
    """Return parameters: those that are named, or all from a number on; as many as fit."""
    asked = decode(question, QUESTION_MOST)
    keys, first = asked.get("keys"), asked.get("first")
    named = isinstance(keys, list) and all(isinstance(each, str) for each in keys)
    if not (keys is None or named) or type(first) is not int or first < 0:
        raise BridgeMessageError("a question about parameters names keys, and the number of the first one")
    with FPS(name, writable=False) as fps:
        file = file_of(fps)
        params = fps.params() if keys is None else [fps.param(each) for each in keys]
        told: list[dict[str, Any]] = []
        nbytes = 0
        for each in params[first:]:
            told.append(told_parameter(each))
            nbytes += len(encode(told[-1]))
            if nbytes > _PIECE_NBYTES:
                break
        return {"file": file, "number": len(params), "first": first, "parameters": told}
