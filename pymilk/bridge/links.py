"""Where the engine listens, and whom it connects to: this machine alone, unless it is said otherwise."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from ..errors import BridgeAddressError

__all__ = ["PORT", "Links"]

#: The usual port.
PORT = 7447

_ENDPOINT = re.compile(r"tcp/(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]{1,253}):([0-9]{1,5})")


@dataclass(frozen=True)
class Links:
    """Addresses of a sender, a receiver or a router.

    Parameters
    ----------
    listen, connect : tuple of str
        ``tcp/HOST:PORT`` each.
    insecure : bool, default False
        Let addresses leave this machine. Nothing is enciphered, and whoever reaches the port may listen and
        send.

    Raises
    ------
    BridgeAddressError
    """

    listen: tuple[str, ...] = ()
    connect: tuple[str, ...] = ()
    insecure: bool = False

    def __post_init__(self) -> None:
        for address in (*self.listen, *self.connect):
            host = _host(address)
            if not self.insecure and not _is_here(host):
                raise BridgeAddressError(
                    f"{address} leaves this machine, and nothing is enciphered or asked for a password; "
                    "connect through a tunnel (ssh -L), or allow it with --insecure (insecure=True) on a "
                    "network that you trust",
                    address=address,
                )


def _host(address: str) -> str:
    found = _ENDPOINT.fullmatch(address)
    if found is None or not 0 < int(found[2]) < 65536:
        raise BridgeAddressError(
            f"an address is tcp/HOST:PORT, as in tcp/127.0.0.1:{PORT}, not {address!r:.100}", address=address
        )
    return found[1].strip("[]")


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
