"""What the bridge needs of an engine that carries bytes between machines: one is enough to write another.

Keys are texts of parts with ``/`` between; a part ``*`` of a key stands for any one part, and ``$*``
in a part for any letters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

__all__ = ["Answer", "Echo", "Engine", "Neighbour", "Outlet", "Registration"]


class Registration(Protocol):
    """Something that was told to the others, until it is closed."""

    def close(self) -> None:
        """Take it back; does nothing the second time."""


class Outlet(Registration, Protocol):
    """Where messages of one key are put."""

    @property
    def wanted(self) -> bool:
        """Whether anybody listens."""

    def put(self, message: bytes) -> None:
        """Send a message to all who listen.

        It waits some 20 ms at most for a link that is full, and is dropped then, of which nobody is told:
        messages carry numbers of their own.

        Raises
        ------
        BridgeError
            The engine has ended.
        """


class Answer(NamedTuple):
    """An answer to a question.

    Attributes
    ----------
    key : str
        Of the one who answered.
    message : bytes
    at_ns : int
        When it came: CLOCK_TAI here.
    """

    key: str
    message: bytes
    at_ns: int


class Neighbour(NamedTuple):
    """Somebody who is connected.

    Attributes
    ----------
    address : str
        Of the other end, with numbers for names.
    name : str
        Of its certificate; "" without one.
    here : str
        Address of this end.
    number : str
        Which engine it is.
    """

    address: str
    name: str
    here: str = ""
    number: str = ""


class Echo(NamedTuple):
    """What a neighbour answered: this end hears it.

    Attributes
    ----------
    hears : bool
        Whether it hears this end as well, as far as it knows: False if it has asked, and asked again.
    """

    hears: bool


class Engine(Protocol):
    """Publishing, listening, questions, and who is there.

    Functions that an engine calls run in threads of its own: they must be short, and raise nothing.

    Attributes
    ----------
    failed : bool
        It failed within itself, and carries nothing until it begins anew.
    """

    failed: bool

    def outlet(self, key: str, heard: Callable[[], object], *, urgent: bool = False) -> Outlet:
        """Open a place for messages of a key; `heard` is called when somebody begins or ceases to listen.

        On a link that is busy, urgent messages go before others.
        """

    def listen(self, key: str, take: Callable[[bytes], object]) -> Registration:
        """Call `take` with each message of a key, in order, one at a time, in the thread that received it."""

    def answer(self, key: str, say: Callable[[str, bytes], bytes | None]) -> Registration:
        """Answer questions about a key, which may stand for many.

        `say` gets the key that was asked, and the question, usually b""; None is no answer. Rules about keys
        hold for the first alone: what a question names itself is not checked by them.
        """

    def ask(self, key: str, timeout: float, question: bytes = b"", *, urgent: bool = False) -> list[Answer]:
        """Ask all whose key fits, and return what came within so many seconds; see `outlet` for `urgent`."""

    def appear(self, key: str) -> Registration:
        """Be there under a key, until it is closed or this process ends, however it does."""

    def notice(self, key: str, changed: Callable[[str, bool], object]) -> Registration:
        """Call `changed` with a key and whether somebody is there, for all who are, come and go."""

    def neighbours(self) -> list[Neighbour]:
        """Return who is connected now; nobody after the end."""

    def ask_echo(self, neighbour: Neighbour, timeout: float) -> Echo | None:
        """Ask a neighbour whether it hears; None if it did not answer within so many seconds."""

    def tell_unheard(self, numbers: Iterable[str]) -> None:
        """Let echoes of this end say whom it asked and does not hear."""

    def renew(self) -> None:
        """Begin anew, with files about who may do what as they are now; connections end.

        What was told to the others is told again, messages of that moment get lost.

        Raises
        ------
        BridgeError, BridgeKeyError
            It cannot; nobody is connected until another call of this can.
        """

    def close(self) -> None:
        """End all of it."""
