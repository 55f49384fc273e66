"""Messages of other machines are not believed: how they are read and refused."""

from __future__ import annotations

import json
from typing import Any

from ..errors import BridgeMessageError

__all__ = ["json_in", "refused_message"]


def json_in(message: bytes) -> Any:
    """Return what a message says in JSON; None if it is not JSON."""
    try:
        return json.loads(message)
    except (ValueError, RecursionError):
        return None


def refused_message(why: str) -> BridgeMessageError:
    """Return the error for a message that is not taken; what is wrong with it is a sentence."""
    return BridgeMessageError(f"a message of the bridge was refused: {why}")
