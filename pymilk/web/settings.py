"""What a server of the page is asked to do."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Any

from ..arguments import bad_argument, check_count, check_number, check_texts, whole_number
from ..errors import StreamArgumentError
from ..system.files import checked_path
from .tokens import TOKEN, WANTED, new_token

__all__ = ["Settings"]

#: Names of this machine itself.
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")


@dataclass(frozen=True)
class Settings:
    """What a server shows, to whom, and where its bounds are.

    Parameters
    ----------
    patterns : tuple of str, default ()
        Streams that are shown, as ``pymilk ls`` takes them. Default: all.
    host : str, default "127.0.0.1"
        Address to listen on. Another one than that of this machine itself lets others in who know the token.
    port : int, default 8347
        0 takes a free one.
    hosts : tuple of str, default ()
        Further names under which browsers reach the server, for instance behind a proxy.
    token : str
        Who knows it may look: at least 16 letters, digits and signs of ASCII, at most 1024, without blanks.
        Default: 128 random bits; `kept_token` has one that stays.
    control : bool, default False
        Let those who may look also set keywords and parameters, and record.
    cert, key : str, optional
        Files of a certificate and its key, for TLS.
    viewers : int, default 64
        Views at a time.
    connections : int, default 256
        Connections at a time.
    rate : float, default 60.0
        Frames a second that one view gets at most.
    opening : float, default 10.0
        Seconds that a connection may take to ask for something, and a view to show its token.
    """

    patterns: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    port: int = 8347
    hosts: tuple[str, ...] = ()
    token: str = field(default_factory=new_token, repr=False)
    control: bool = False
    cert: str | None = None
    key: str | None = None
    viewers: int = 64
    connections: int = 256
    rate: float = 60.0
    opening: float = 10.0

    def __post_init__(self) -> None:
        for name, value in self._checked().items():
            object.__setattr__(self, name, value)
        if (self.cert is None) != (self.key is None):
            raise bad_argument("cert", self.cert, "given together with key, or neither is")
        if not isinstance(self.token, str) or not TOKEN.fullmatch(self.token):
            raise StreamArgumentError(
                f"token is {WANTED}; the one given is kept out of messages", argument="token", found=None
            )
        for each in self.hosts:
            if not (_HOST_NAME.fullmatch(each) or _is_address(each.strip("[]"))):
                raise bad_argument("hosts", each, "a host name or an address, without a port")

    def _checked(self) -> dict[str, Any]:
        """Return the fields that are lists, names, paths and numbers, each of its own type."""
        port = whole_number(self.port)
        if port is None or not 0 <= port <= 65535:
            raise bad_argument("port", self.port, "a number from 0 to 65535")
        if not isinstance(self.host, str):
            raise bad_argument("host", self.host, "an address of this machine, a str")
        paths = {
            each: checked_path(given, "a file for TLS", each)
            for each in ("cert", "key")
            if (given := getattr(self, each)) is not None
        }
        return {
            **paths,
            "patterns": check_texts("patterns", self.patterns, "a tuple of names or patterns"),
            "hosts": check_texts("hosts", self.hosts, "a tuple of host names"),
            "port": port,
            "viewers": check_count("viewers", self.viewers, "views", least=0, below=2**31),
            "connections": check_count("connections", self.connections, "connections", below=2**31),
            "rate": check_number("rate", self.rate, "frames a second, above 0", 0.0, 1e6, above=True),
            "opening": check_number("opening", self.opening, "seconds, above 0", 0.0, 1e6, above=True),
        }

    @property
    def scheme(self) -> str:
        """``"http"`` or ``"https"``."""
        return "https" if self.cert else "http"

    def names(self) -> frozenset[str]:
        """Return the names under which a browser may ask for this server."""
        own = {self.host if ":" not in self.host else f"[{self.host}]"} if not _is_any(self.host) else set()
        return frozenset(each.lower() for each in (*_LOOPBACK, *own, *self.hosts))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_any(host: str) -> bool:
    return _is_address(host) and ipaddress.ip_address(host).is_unspecified
