"""Turns: each question that changes something is done once; one that was seen before is not done again."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass

from ...errors import BridgeMessageError

__all__ = ["Turns", "UnknownAskerError"]

#: Askers that are known at a time; then the oldest one that never asked is forgotten, or the one that was
#: heard longest ago.
_ASKERS_MOST = 256


class UnknownAskerError(BridgeMessageError):
    """The asker was forgotten, or was given its secret by a host that has ended: nothing was done."""


@dataclass
class _Asker:
    number: int = 0
    digest: bytes = b""
    answer: bytes | None = None


class Turns:
    """Askers by a secret that each is given, the number of the last question of each, and its answer.

    An asker numbers its questions upwards. The same question with the last number gets the answer again, as
    an answer may have been lost; a smaller number, or another question with the last one, is refused.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._askers: OrderedDict[str, _Asker] = OrderedDict()

    def give(self) -> str:
        """Return the secret of a new asker."""
        secret = secrets.token_hex(16)
        with self._lock:
            if len(self._askers) >= _ASKERS_MOST:
                # One that never asked: a flood of new ones ends none that works.
                unused = (name for name, asker in self._askers.items() if not asker.number)
                del self._askers[next(unused, next(iter(self._askers)))]
            self._askers[secret] = _Asker()
        return secret

    def begin(self, secret: str, number: int, question: bytes) -> tuple[bool, bytes | None]:
        """Take a question.

        Returns
        -------
        new : bool
            Whether it is to be done.
        answer : bytes or None
            If it is not new: the answer that was kept; None as long as there is none.

        Raises
        ------
        UnknownAskerError
        BridgeMessageError
            It came before.
        """
        digest = hashlib.sha256(question).digest()
        with self._lock:
            asker = self._askers.get(secret)
            if asker is None:
                raise UnknownAskerError("the asker is not known here (any more)")
            if number > asker.number:
                self._askers.move_to_end(secret)
                asker.number, asker.digest, asker.answer = number, digest, None
                return True, None
            if number < asker.number or digest != asker.digest:
                raise BridgeMessageError(f"question {number} came before")
            return False, asker.answer

    def cancel(self, secret: str, number: int) -> bool:
        """Let a question not be done if it comes now; returns whether it has not come yet."""
        with self._lock:
            asker = self._askers.get(secret)
            if asker is None or number <= asker.number:
                return False
            asker.number, asker.digest, asker.answer = number, b"", None
            return True

    def keep(self, secret: str, number: int, answer: bytes) -> None:
        """Keep the answer of a question, if it is still the last one of its asker."""
        with self._lock:
            asker = self._askers.get(secret)
            if asker is not None and asker.number == number:
                asker.answer = answer
