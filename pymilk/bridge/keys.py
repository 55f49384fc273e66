"""Keys under which streams are known to the engine, and the names in them."""

from __future__ import annotations

import re
import socket
import urllib.parse

from ..errors import BridgeAddressError, StreamNameError
from ..names import check_name

__all__ = ["ABOUT", "FRAMES", "HERE", "LIKE", "host_name", "key_like", "key_of", "names_in", "source_of"]

#: First parts of all keys. The number is the version of what is sent under them.
_ROOT = "pymilk/1"

#: Last part: frames, a message without frames, what is known of the stream, and that its sender is there.
FRAMES, LIKE, ABOUT, HERE = "frames", "like", "about", "here"


def host_name() -> str:
    """Return what this machine is called, as far as the first dot."""
    return socket.gethostname().partition(".")[0] or "localhost"


def _part(name: str) -> str:
    # What the engine keeps for itself (* $ ? # /) is not in the unreserved letters of URLs.
    return urllib.parse.quote(name, safe="", errors="surrogateescape").replace("~", "%7E")


def key_of(host: str, stream: str, last: str) -> str:
    """Return the key of a stream; ``*`` for all hosts or all streams."""
    host, stream = ("*" if name == "*" else _part(name) for name in (host, stream))
    return f"{_ROOT}/{host}/{stream}/{last}"


def key_like(source: str, letters: str) -> str:
    """Return the first parts of all keys of ``HOST/STREAM``, where ``*`` stands for any letters.

    `letters` is what the engine writes for that within a part; for all of a part it is ``*``.
    """
    parts = (re.sub(r"\*+", "*", part) for part in source.split("/"))
    found = ("*" if part == "*" else letters.join(map(_part, part.split("*"))) for part in parts)
    return "/".join((_ROOT, *found))


def names_in(key: str) -> tuple[str, str] | None:
    """Return host and stream of a key, or None if there are none in it."""
    parts = key.split("/")
    if len(parts) < 5 or "/".join(parts[:2]) != _ROOT:
        return None
    host, stream = (urllib.parse.unquote(part, errors="surrogateescape") for part in parts[2:4])
    try:
        return check_name(host), check_name(stream)
    except StreamNameError:
        return None


def source_of(text: str) -> tuple[str, str]:
    """Return host and stream of ``HOST/STREAM``.

    Raises
    ------
    BridgeAddressError
    """
    host, _, stream = text.partition("/")
    try:
        return check_name(host), check_name(stream)
    except StreamNameError as error:
        raise BridgeAddressError(
            f"a stream of another machine is HOST/STREAM, as `pymilk bridge ls` prints it, not {text!r:.100}",
            address=text,
        ) from error
