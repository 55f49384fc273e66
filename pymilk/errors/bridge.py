"""Errors about streams across machines."""

from __future__ import annotations

from .streams import StreamError

__all__ = [
    "BridgeAddressError",
    "BridgeError",
    "BridgeForbiddenError",
    "BridgeKeyError",
    "BridgeMessageError",
    "BridgeUnreachableError",
]


class BridgeError(StreamError, ConnectionError):
    """The engine that carries frames between machines cannot start, or has ended."""


class BridgeUnreachableError(BridgeError):
    """None of the addresses to connect to can be reached, or none lets this process in.

    Attributes
    ----------
    addresses : tuple of str
    """

    fields = ("addresses",)
    addresses: tuple[str, ...]


class BridgeForbiddenError(BridgeError, PermissionError):
    """The other machine, or access rules on the way, do not let this one do that. Nothing was done."""


class BridgeKeyError(StreamError, ValueError):
    """A certificate, a key or a file of passwords is missing, unusable, expired or open to all.

    Attributes
    ----------
    path : str
    """

    fields = ("path",)
    path: str


class BridgeAddressError(StreamError, ValueError):
    """An address is none, or leaves this machine although nothing protects what is sent.

    Attributes
    ----------
    address : str
    """

    fields = ("address",)
    address: str


class BridgeMessageError(StreamError, ValueError):
    """A message is none of the bridge, of another version, contradicts itself, or is too large."""


# What tracebacks and pickles call them.
for _name in __all__:
    globals()[_name].__module__ = "pymilk.errors"
