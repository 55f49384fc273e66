"""Ask another machine about its parameters, or to change them: answers are checked, changes done once."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable
from typing import Any

from ...errors import BridgeError, BridgeForbiddenError, BridgeMessageError, FPSNotFoundError
from ..connections import Connections
from ..engine import Engine
from ..keys import ABOUT, NEW, READ, TABLE, TURN, parameter_key, parameter_names
from .wire import ANSWER_MOST, RemoteParameter, decode, encode, error_of, parameter_of

__all__ = ["Asking", "ask_about"]

#: Seconds that one attempt to ask may take, between two of them, and between two questions whether a command
#: is done.
_ATTEMPT_SECONDS, _AGAIN_SECONDS, _WAIT_SECONDS = 2.0, 0.1, 0.05

#: Seconds at least to wait for the answer whether a question came that was not answered.
_CANCEL_SECONDS = 2.0

#: How often a table is asked for that changes meanwhile.
_TABLES_MOST = 5


def ask_about(engine: Engine, host: str | None, timeout: float) -> list[tuple[str, str, dict[str, Any]]]:
    """Return host, name and what is known of each FPS, of all who answer.

    Parameters
    ----------
    engine : Engine
    host : str, optional
        None for all.
    timeout : float
        Seconds to wait for somebody who is there. One who is there and silent is waited for longer.
    """
    deadline = time.monotonic() + timeout
    while True:
        answers = engine.ask(parameter_key(host, None, READ, ABOUT), _ATTEMPT_SECONDS)
        if answers or time.monotonic() >= deadline:
            break
        time.sleep(min(_AGAIN_SECONDS, max(0.0, deadline - time.monotonic())))
    found = []
    for answer in answers:
        names = parameter_names(answer.key)
        if names is None:
            continue
        try:
            about = decode(answer.message, ANSWER_MOST)
        except BridgeMessageError:
            continue
        found.append((names[0], names[1], about))
    return sorted(found, key=lambda each: each[:2])


class Asking:
    """Questions about one FPS of another machine.

    Parameters
    ----------
    engine : Engine
    host, fps : str
    timeout : float
        Seconds to wait for an answer.
    connections : Connections, optional
        They know why nobody answers.
    """

    def __init__(
        self, engine: Engine, host: str, fps: str, timeout: float, connections: Connections | None = None
    ) -> None:
        self.engine, self.host, self.fps = engine, host, fps
        self._timeout, self._connections = timeout, connections
        self._turn, self._number = "", 0

    def about(self) -> dict[str, Any]:
        """Return what is known of the FPS, as the other end says it."""
        return self._one(READ, ABOUT, b"")

    def params(self, keys: Iterable[str] | None = None) -> tuple[str, list[RemoteParameter]]:
        """Return which file it is, and all parameters or those of some keys.

        Raises
        ------
        FPSKeyError, FPSNotFoundError
        BridgeError, BridgeUnreachableError, BridgeMessageError
        """
        named = None if keys is None else list(keys)
        for _ in range(_TABLES_MOST):
            file, number, found = "", 1, list[RemoteParameter]()
            while len(found) < number:
                asked = {"first": len(found)} | ({} if named is None else {"keys": named})
                given = self._one(READ, TABLE, encode(asked))
                told, count = given.get("parameters"), given.get("number")
                if not isinstance(told, list) or type(count) is not int or not 0 <= count < 2**20:
                    raise BridgeMessageError(f"what {self.host} says of fps {self.fps!r} is none")
                number = count
                if (found and given.get("file") != file) or (not told and number > len(found)):
                    break  # made anew meanwhile
                file = str(given.get("file"))
                found += [parameter_of(each) for each in told]
            else:
                return file, found[:number]
        raise BridgeError(f"fps {self.fps!r} of {self.host} is made anew again and again")

    def act(self, does: str, what: str, asked: dict[str, Any], patience: float = 0.0) -> dict[str, Any]:
        """Ask for a change, and return the answer; the change is made once, however often it is asked for.

        Parameters
        ----------
        does, what : str
            SET or COMMAND, and the parameter or the command.
        asked : dict
        patience : float
            Seconds that it may take to be done, once it was heard.

        Raises
        ------
        FPSError
            As the FPS there raised it.
        BridgeForbiddenError
            The host does not let it be done, or rules on the way drop the question.
        BridgeError
            Nobody answers: it is not known whether it was done.
        """
        given = self._act_once(does, what, asked, patience)
        if given.get("error") == "UnknownAskerError":
            # It began anew, or there were too many others; nothing was done.
            self._turn = ""
            given = self._act_once(does, what, asked, patience)
        self._check(given)
        return given

    def _act_once(self, does: str, what: str, asked: dict[str, Any], patience: float) -> dict[str, Any]:
        if not self._turn:
            self._turn, self._number = self._new_turn(does, what), 0
        self._number += 1
        mine = {"turn": self._turn, "number": self._number}
        given = self._wait(does, what, encode(asked | mine), patience)
        if given is not None:
            return given
        # No answer that says how it went. If it did not come yet, then it shall not be done later either.
        answers, _ = self._ask(TURN, NEW, encode(mine), max(self._timeout, _CANCEL_SECONDS))
        if any(each.get("cancelled") is True for each in answers):
            raise self._forbidden(does, what)
        self.check_there()
        raise BridgeError(
            f"{self.host} does not answer: whether {self._said(does, what)} was done is not known"
        )

    def check_there(self) -> None:
        """Raise an error that says why nobody answers, unless the FPS is there.

        Raises
        ------
        BridgeUnreachableError, FPSNotFoundError, BridgeError
        """
        found = ask_about(self.engine, self.host, 0.0)
        names = [name for _, name, _ in found]
        if self.fps in names:
            return
        if names:
            raise FPSNotFoundError(
                f"{self.host} offers no fps {self.fps!r}, but {', '.join(map(repr, names[:10]))}",
                fps=self.fps,
            )
        if self._connections is not None:
            self._connections.check()
        raise BridgeError(
            f"nobody offers parameters of {self.host!r}: `pymilk bridge send` there needs --params PATTERN, "
            "there has to be an fps, and access rules must let this machine read it"
        )

    def _said(self, does: str, what: str) -> str:
        return f"{does} {what!r} of fps {self.fps!r}"

    def _forbidden(self, does: str, what: str) -> BridgeForbiddenError:
        return BridgeForbiddenError(
            f"access rules do not let this machine {self._said(does, what)} of {self.host}, or a link is "
            f"full: {self.host} is there, and did not hear of it in {self._timeout:g} s; nothing was done"
        )

    def _new_turn(self, does: str, what: str) -> str:
        answers, _ = self._ask(TURN, NEW, b"")
        if not answers:
            self.check_there()
            raise self._forbidden(does, what)
        turn = answers[0].get("turn")
        if len(answers) > 1:
            raise BridgeError(
                f"{len(answers)} machines offer fps {self.fps!r} as {self.host!r}; give all but one of them "
                "another --host (host=)"
            )
        if not isinstance(turn, str):
            self._check(answers[0])
            raise BridgeMessageError(f"{self.host} gives no turn")
        return turn

    def _wait(self, does: str, what: str, question: bytes, patience: float) -> dict[str, Any] | None:
        """Ask until it is done; None if nobody says whether it was."""
        deadline = time.monotonic() + self._timeout + patience
        asked = 0
        while time.monotonic() < deadline:
            answers, attempts = self._ask(does, what, question)
            asked += attempts
            # A second host of that name does not know this asker.
            known = [each for each in answers if each.get("error") != "UnknownAskerError"]
            if known and known[0].get("wait") is True:
                time.sleep(_WAIT_SECONDS)
                continue
            if known or (answers and asked == 1):
                return (known or answers)[0]
            return None  # a host that began anew does not know what was done before
        return None

    def _one(self, does: str, what: str, question: bytes) -> dict[str, Any]:
        """Return the answer to a question that changes nothing."""
        answers, _ = self._ask(does, what, question)
        if not answers:
            self.check_there()
            raise BridgeError(f"{self.host} does not answer about fps {self.fps!r}")
        self._check(answers[0])
        return answers[0]

    def _ask(
        self, does: str, what: str, question: bytes, seconds: float | None = None
    ) -> tuple[list[dict[str, Any]], int]:
        """Return the answers, none if none came in time, and how often it was asked."""
        key = parameter_key(self.host, self.fps, does, what)
        deadline = time.monotonic() + (self._timeout if seconds is None else seconds)
        for attempt in itertools.count(1):
            left = deadline - time.monotonic()
            answers = self.engine.ask(key, max(0.1, min(_ATTEMPT_SECONDS, left)), question, urgent=True)
            if answers:
                return [decode(each.message, ANSWER_MOST) for each in answers], attempt
            if time.monotonic() >= deadline:
                return [], attempt
            time.sleep(_AGAIN_SECONDS)
        raise AssertionError

    def _check(self, given: dict[str, Any]) -> None:
        if "error" in given:
            raise error_of(given, self.fps)
