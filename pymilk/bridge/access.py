"""Who may send and receive which streams."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import StreamArgumentError
from .keys import source_of

__all__ = ["Allow"]

#: Letters of patterns that other commands know, and rules do not.
_REFUSED = "?["


@dataclass(frozen=True)
class Allow:
    """A rule: what some of those who connect may do. What no rule allows is refused.

    Parameters
    ----------
    who : tuple of str
        Names of certificates (their CN); of users where no certificates are asked for. ``*``: all of them.
    send, receive : tuple of str
        Streams, ``HOST/STREAM`` each; ``*`` stands for any letters within host or stream.

    Raises
    ------
    StreamArgumentError, BridgeAddressError

    Notes
    -----
    A rule is about those who are connected directly: behind a router, the router has the rules.
    """

    who: tuple[str, ...]
    send: tuple[str, ...] = ()
    receive: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for what, names in (("who", self.who), ("send", self.send), ("receive", self.receive)):
            if not isinstance(names, tuple) or not all(isinstance(each, str) and each for each in names):
                raise StreamArgumentError(f"{what} is a list of names", argument=what, found=names)
        if not self.who or not (self.send or self.receive):
            raise StreamArgumentError(
                "a rule says who, and what to send or to receive", argument="allow", found=self
            )
        for each in (*self.send, *self.receive):
            source_of(each)
            if any(letter in each for letter in _REFUSED):
                raise StreamArgumentError(
                    f"in {each!r}, * is the only letter that stands for others", argument="allow", found=each
                )
