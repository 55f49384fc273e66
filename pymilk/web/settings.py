"""What a server of the page is asked to do."""

from __future__ import annotations

import ipaddress
import re
import secrets
from dataclasses import dataclass, field

from ..arguments import bad_argument, check_texts

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
        Who knows it may look. Default: 128 random bits.
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
    token: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    control: bool = False
    cert: str | None = None
    key: str | None = None
    viewers: int = 64
    connections: int = 256
    rate: float = 60.0
    opening: float = 10.0

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise bad_argument("port", self.port, "a number from 0 to 65535")
        if (self.cert is None) != (self.key is None):
            raise bad_argument("cert", self.cert, "given together with key, or neither is")
        if not isinstance(self.token, str) or len(self.token) < 16:
            raise bad_argument("token", "a short one", "at least 16 characters")
        check_texts("hosts", self.hosts, "a tuple of host names")
        for each in self.hosts:
            if not (_HOST_NAME.fullmatch(each) or _is_address(each.strip("[]"))):
                raise bad_argument("hosts", each, "a host name or an address, without a port")

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
