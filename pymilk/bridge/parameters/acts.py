"""What changes something at the host: values are written and commands given, once, and where they may be."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ...arguments import check_number, shown
from ...errors import BridgeForbiddenError, BridgeMessageError, FPSKeyError, StreamError
from ...parameters import FPS, ParameterType
from ...system.threads import start_thread
from .account import Account, Rate
from .offer import COMMANDS, ParameterOffer
from .turns import Turns
from .wire import COMMAND_SECONDS, QUESTION_MOST, decode, encode, told_value

__all__ = ["Acts"]

#: Commands that are being done at a time.
_COMMANDS_MOST = 8

#: The answer as long as there is none.
_WAIT = encode({"wait": True})


class Acts:
    """Answer questions that change something.

    Parameters
    ----------
    offer : ParameterOffer
        What may be done.
    host : str
    account : Account
    """

    def __init__(self, offer: ParameterOffer, host: str, account: Account) -> None:
        self._offer, self._host, self._account = offer, host, account
        self._rate = Rate()
        self._turns = Turns()
        self._commands = threading.Semaphore(_COMMANDS_MOST)

    def turn(self, question: bytes) -> bytes:
        """Give a new asker its secret; or cancel a question of an asker that got no answer."""

        def do() -> dict[str, Any]:
            if not question:
                return {"turn": self._turns.give()}
            return {"cancelled": self._turns.cancel(*_numbered(decode(question, QUESTION_MOST)))}

        return self._account.answer(self._rate, do)

    def set(self, name: str, key: str, question: bytes) -> bytes:
        """Write a parameter, or look whether that could be done."""

        def act(asked: dict[str, Any], keep: Callable[[bytes], bytes]) -> bytes:
            return keep(self._done(lambda: self._write(name, key, asked)))

        return self._once(f"{name}/{key}", question, act)

    def command(self, name: str, command: str, question: bytes) -> bytes:
        """Give a command in a thread of its own; the answer is there when it is done."""

        def act(asked: dict[str, Any], keep: Callable[[bytes], bytes]) -> bytes:
            try:
                seconds = self._checked(name, command, asked)
            except StreamError as error:
                return keep(self._account.refuse(error))

            def work() -> None:
                try:
                    keep(self._done(lambda: self._do(name, command, seconds)))
                finally:
                    self._commands.release()

            try:
                start_thread(threading.Thread(target=work, name="pymilk-bridge-command", daemon=True))
            except StreamError as error:
                self._commands.release()
                return keep(self._account.refuse(error))
            return _WAIT

        return self._once(f"{name}/{command}", question, act)

    def _once(
        self, what: str, question: bytes, act: Callable[[dict[str, Any], Callable[[bytes], bytes]], bytes]
    ) -> bytes:
        """Return the answer of a question that is new, or the one that was kept; never raises.

        `act` gets the question, and what keeps its answer.
        """
        self._account.count("asked")
        try:
            self._rate.take()
            asked = decode(question, QUESTION_MOST)
            secret, number = _numbered(asked)
            new, answer = self._turns.begin(secret, number, what.encode("utf-8", "replace") + question)
        except StreamError as error:
            return self._account.refuse(error)
        if not new:
            self._account.count("repeated")
            return _WAIT if answer is None else answer

        def keep(answer: bytes) -> bytes:
            self._turns.keep(secret, number, answer)
            return answer

        return act(asked, keep)

    def _done(self, do: Callable[[], dict[str, Any]]) -> bytes:
        try:
            return encode(do())
        except Exception as error:  # noqa: BLE001 (who asks would wait for an answer)
            return self._account.refuse(error)

    def _write(self, name: str, key: str, asked: dict[str, Any]) -> dict[str, Any]:
        if not self._offer.may_set(name, key):
            raise BridgeForbiddenError(
                f"{self._host} lets nobody set {shown(key, 100)} of fps {name!r}: `pymilk bridge send` there "
                f"needs --allow-set {name}/{key:.100}"
            )
        with FPS(name) as fps:
            param = fps.param(key)
            if param.key != key:  # rules are about one spelling
                raise FPSKeyError(
                    f"fps {name!r}: {key!r} is set as {param.key!r}", fps=name, key=key, similar=[param.key]
                )
            value = asked.get("value")
            if param.type is ParameterType.TIMESPEC and isinstance(value, list):
                value = tuple(value)
            if asked.get("check") is True:
                fps.table.verify(key, value)
            else:
                param.value = value
                self._account.count("written")
            return {"type": param.type_name, "value": told_value(param.value), "count": param.cnt0}

    def _checked(self, name: str, command: str, asked: dict[str, Any]) -> float:
        """Return how long a command may wait for its process, if it may be given."""
        if not self._offer.may_command(name, command):
            raise BridgeForbiddenError(
                f"{self._host} lets nobody tell fps {name!r} {shown(command, 60)}: `pymilk bridge send` "
                f"there needs --allow-command {name}/{command:.60}"
            )
        seconds = check_number(
            "timeout", asked.get("timeout"), f"0 to {COMMAND_SECONDS:g} seconds", 0.0, COMMAND_SECONDS
        )
        if not self._commands.acquire(blocking=False):
            raise BridgeMessageError(f"{_COMMANDS_MOST} commands are being done; ask again later")
        return seconds

    def _do(self, name: str, command: str, seconds: float) -> dict[str, Any]:
        role, what = COMMANDS[command]
        with FPS(name, writable=True) as fps:
            if what == "start" and not fps.tmux_isrunning():
                fps.tmux_start()
            getattr(fps, f"{role}_{what}")(seconds)
            self._account.count("commanded")
            return {"conf": fps.conf_state, "run": fps.run_state}


def _numbered(asked: dict[str, Any]) -> tuple[str, int]:
    """Return the secret of an asker, and the number of its question."""
    secret, number = asked.get("turn"), asked.get("number")
    if not isinstance(secret, str) or type(number) is not int or not 0 < number < 2**63:
        raise BridgeMessageError("a question that changes something has a turn and a number")
    return secret, number
