"""The base file that tests damage, and the names of the golden files."""

from __future__ import annotations

from typing import Any

from support import golden
from support import isio_format as fmt

NAMES = [entry["name"] for entry in golden.entries()]


def base(**options: Any) -> bytearray:
    data = bytearray(fmt.encode(fmt.fresh("base", [8, 4], 9, **{"nbkw": 4, "nbsem": 3} | options)))
    return data


def patched(nbytes: int | None = None, /, **fields: Any) -> bytearray:
    """Return the base file with fields replaced and everything from ``nbytes`` on cut off."""
    data = base()
    for name, value in fields.items():
        fmt.patch(data, name, value)
    return data[:nbytes]
