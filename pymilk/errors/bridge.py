"""Errors about streams across machines."""

from __future__ import annotations

from .streams import StreamError

__all__ = ["BridgeAddressError", "BridgeError", "BridgeMessageError"]


class BridgeError(StreamError, ConnectionError):
    """The engine that carries frames between machines cannot start, or has ended."""


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
