"""Where the engine listens, whom it connects to, and what protects that."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from ..arguments import bad_argument, check_kind, check_texts, shown
from ..errors import BridgeAddressError, StreamArgumentError
from .access import Allow
from .credentials import Login, Tls

__all__ = ["PORT", "Links", "parts_of"]

#: The usual port.
PORT = 7447

_ENDPOINT = re.compile(r"(tcp|tls)/(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]{1,253}):([0-9]{1,5})")


@dataclass(frozen=True)
class Links:
    """Addresses of a sender, a receiver or a router, and who may do what there.

    Parameters
    ----------
    listen, connect : tuple of str, default ()
        ``tcp/HOST:PORT`` or ``tls/HOST:PORT`` each. Without any nobody is reached: the address that the
        commands have by default, ``tcp/127.0.0.1:7447``, is to be given here.
    insecure : bool, default False
        Let addresses that nothing protects leave this machine: there, whoever reaches the port may listen and
        send.
    tls : Tls, optional
        Certificates for ``tls/`` addresses.
    login : Login, optional
        User and password to show to others.
    passwords : str, optional
        File with a line ``USER:PASSWORD`` for each user that may connect; others are refused.
    allow : tuple of Allow, default ()
        Who may send and receive what. Default: all who may connect may do all.

    Raises
    ------
    BridgeAddressError
    StreamArgumentError
        Rules without names to apply them to, or for all names although some were revoked.
    """

    listen: tuple[str, ...] = ()
    connect: tuple[str, ...] = ()
    insecure: bool = False
    tls: Tls | None = None
    login: Login | None = None
    passwords: str | None = None
    allow: tuple[Allow, ...] = ()

    def __post_init__(self) -> None:
        for argument in ("listen", "connect"):
            wanted = f"a tuple of addresses, as in ('tcp/127.0.0.1:{PORT}',)"
            object.__setattr__(self, argument, check_texts(argument, getattr(self, argument), wanted))
        check_kind("tls", self.tls, Tls, "a pymilk.bridge.Tls")
        if not isinstance(self.allow, tuple) or not all(isinstance(each, Allow) for each in self.allow):
            raise bad_argument("allow", self.allow, "a tuple of pymilk.bridge.Allow")
        for address in (*self.listen, *self.connect):
            self._check(address, address in self.listen)
        for argument in ("listen", "connect"):
            for address in (given := getattr(self, argument)):
                if given.count(address) > 1:
                    raise BridgeAddressError(f"{argument}: {address} is said twice", address=address)
        if self.allow and not self.named:
            raise StreamArgumentError(
                "rules need to know who it is: certificates (tls) or users (passwords)",
                argument="allow", found=len(self.allow),
            )  # fmt: skip

        listed = self.tls is not None and self.tls.revoked is not None
        if self.allow and listed and self.named != "certificate":
            raise StreamArgumentError(
                "with a list of revoked certificates, rules are about certificates (mutual = true)",
                argument="allow", found=len(self.allow),
            )  # fmt: skip
        if listed and any("*" in each.who for each in self.allow):
            raise StreamArgumentError(
                "with a list of revoked certificates, rules name who may: * would let these in as well",
                argument="allow", found="*",
            )  # fmt: skip

    @property
    def named(self) -> str:
        """What those who connect are known by: "certificate", "user", or "" if nothing is asked of them."""
        if self.tls is not None and self.tls.mutual:
            return "certificate"
        return "user" if self.passwords is not None else ""

    def _check(self, address: str, listening: bool) -> None:
        kind, host, _ = parts_of(address)
        if kind == "tls" and self.tls is None:
            raise BridgeAddressError(
                f"{address} needs certificates: --tls-ca, --tls-cert and --tls-key, [tls] of --config "
                "FILE.toml, or tls=Tls(...); `pymilk bridge keys` makes them",
                address=address,
            )
        if kind == "tls" and listening and self.tls is not None and self.tls.cert is None:
            raise BridgeAddressError(
                f"to listen on {address}, a certificate is needed (--tls-cert, --tls-key; cert=, key=)",
                address=address,
            )
        protected = kind == "tls" and (not listening or bool(self.named))
        if not (protected or self.insecure or _is_here(host)):
            raise BridgeAddressError(
                f"{address} leaves this machine, and nothing is enciphered or asked for a certificate; use "
                "tls/HOST:PORT with certificates (pymilk bridge keys), connect through a tunnel (ssh -L), or "
                "allow it with --insecure (insecure=True) on a network that you trust",
                address=address,
            )


def parts_of(address: str) -> tuple[str, str, int]:
    """Return protocol, host and port of an address; `BridgeAddressError` if it is none."""
    found = _ENDPOINT.fullmatch(address)
    if found is None or not 0 < int(found[3]) < 65536 or not _is_host(found[2]):
        raise BridgeAddressError(
            f"an address is tcp/HOST:PORT or tls/HOST:PORT, as in tcp/127.0.0.1:{PORT}, "
            f"not {shown(address, 100)}",
            address=address,
        )
    return found[1], found[2].strip("[]"), int(found[3])


def _is_host(host: str) -> bool:
    """Tell whether a host is a number of version 6 in brackets, or a number or name without."""
    if not host.startswith("["):
        return all(host.rstrip(".").split("."))
    try:
        ipaddress.IPv6Address(host[1:-1])
    except ValueError:
        return False
    return True


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
