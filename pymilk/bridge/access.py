"""Who may send and receive which streams, and do what with which parameters."""

from __future__ import annotations

from dataclasses import dataclass

from ..arguments import shown
from ..errors import StreamArgumentError
from .keys import check_names, source_of

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
    offer, read : tuple of str
        Parameters (FPS) to offer to others, and to read: ``HOST/FPS`` each.
    set, command : tuple of str
        Parameters to write, ``HOST/FPS/PARAMETER`` each, and processes to start and stop,
        ``HOST/FPS/COMMAND`` each. Whoever may do that may read as well. The host has a say
        too: see `ParameterOffer`.

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
    offer: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    set: tuple[str, ...] = ()
    command: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_names(self)
        streams, groups = (*self.send, *self.receive), (*self.offer, *self.read)
        single = (*self.set, *self.command)
        if not self.who or not (streams or groups or single):
            raise StreamArgumentError(
                "a rule says who, and what to send, receive, offer, read, set or command",
                argument="allow", found=self,
            )  # fmt: skip
        for name in streams:
            source_of(name)
        for name in (*groups, *single):
            wanted = "HOST/FPS/NAME" if name in single else "HOST/FPS"
            parts = name.split("/", 2)
            if len(parts) != wanted.count("/") + 1 or not all(parts):
                raise StreamArgumentError(
                    f"parameters in rules are {wanted}, not {shown(name, 100)}", argument="allow", found=name
                )
        for name in (*streams, *groups, *single):
            if any(letter in name for letter in _REFUSED):
                raise StreamArgumentError(
                    f"in {name!r}, * is the only letter that stands for others", argument="allow", found=name
                )
