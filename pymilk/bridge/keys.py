"""Keys under which streams are known to the engine, and the names in them."""

from __future__ import annotations

import re
import socket
import urllib.parse
from dataclasses import fields
from typing import Any

from ..arguments import shown
from ..errors import BridgeAddressError, StreamArgumentError, StreamNameError
from ..names import check_name

__all__ = ["ABOUT", "CHANGES", "CLOCK", "COMMAND", "FRAMES", "HERE", "LIKE", "LOG", "NEW", "NEWS", "OPTIONS",
           "PAST", "READ", "RECORDINGS", "SET", "SOME", "TABLE", "TURN", "check_names", "echo_key",
           "host_name", "key_fitting", "key_like", "key_of", "names_in", "parameter_key",
           "parameter_key_like", "parameter_names", "source_of"]  # fmt: skip

#: First parts of all keys. The number is the version of what is sent under them.
_ROOT = "pymilk/1"

#: Last part: frames, a message without frames, what is known of the stream, that its sender is there, what
#: a receiver may ask for, and the past.
FRAMES, LIKE, ABOUT, HERE, OPTIONS, PAST = "frames", "like", "about", "here", "options", "past"

#: Last part: answers with the time there.
CLOCK = "clock"

#: Last part: recordings that are served.
RECORDINGS = "recordings"

#: Last parts of a message log: answers with messages, and that there are new ones.
LOG, NEWS = "log", "news"

#: First parts of all keys of parameters (FPS). Rules about streams do not include them.
_PARAMETERS = "pymilk/fps/1"

#: What is done with parameters: the part behind the FPS.
READ, TURN, SET, COMMAND = "read", "turn", "set", "command"

#: Last part: who is given a turn.
NEW = "new"

#: Last part of what is read, besides what is known of the FPS: all parameters, and changes.
TABLE, CHANGES = "table", "changes"

#: Stands for any letters within a part, as an engine has it.
SOME = "$*"

#: What stands for letters in a pattern of streams.
_LETTERS = re.compile(r"\[!?\]?[^\]]*\]|[?*]")


def host_name() -> str:
    """Return what this machine is called, as far as the first dot."""
    return socket.gethostname().partition(".")[0] or "localhost"


def _part(name: str) -> str:
    # What the engine keeps for itself (* $ ? # /) is not in the unreserved letters of URLs.
    return urllib.parse.quote(name, safe="", errors="surrogateescape").replace("~", "%7E")


def key_of(host: str | None, stream: str | None, last: str) -> str:
    """Return the key of a stream; None for all hosts or all streams."""
    host, stream = ("*" if name is None else _part(name) for name in (host, stream))
    return f"{_ROOT}/{host}/{stream}/{last}"


def _part_like(part: str, letters: str) -> str:
    part = re.sub(r"\*+", "*", part)
    return "*" if part == "*" else letters.join(map(_part, part.split("*")))


def key_like(source: str, letters: str = SOME) -> str:
    """Return the first parts of all keys of ``HOST/STREAM``, where ``*`` stands for any letters.

    `letters` is what the engine writes for that within a part; for all of a part it is ``*``.
    """
    return "/".join((_ROOT, *(_part_like(part, letters) for part in source.split("/"))))


def echo_key(number: str) -> str:
    """Return the key under which an engine answers that it hears; ``*`` for all."""
    return f"pymilk/echo/1/{number}"


def parameter_key(host: str | None, fps: str | None, does: str, what: str | None) -> str:
    """Return the key of something of an FPS; None for all hosts, FPS, or parameters."""
    host, fps, what = ("*" if name is None else _part(name) for name in (host, fps, what))
    return f"{_PARAMETERS}/{host}/{fps}/{does}/{what}"


def parameter_key_like(source: str, does: str = "**") -> str:
    """Return a key for all that ``HOST/FPS`` or ``HOST/FPS/NAME`` means; ``*`` is any letters of a part."""
    host, fps, *names = (_part_like(part, SOME) for part in source.split("/", 2))
    last = names or ([] if does == "**" else ["*"])
    return "/".join((_PARAMETERS, host, fps, does, *last))


def parameter_names(key: str) -> tuple[str, str, str] | None:
    """Return host, FPS and last part of a key of parameters; None if it is none, or stands for many."""
    parts = key.split("/")
    if len(parts) != 7 or "/".join(parts[:3]) != _PARAMETERS or "*" in key:
        return None
    host, fps, what = (urllib.parse.unquote(parts[each], errors="surrogateescape") for each in (3, 4, 6))
    return host, fps, what


def key_fitting(host: str, pattern: str, last: str) -> str:
    """Return a key for all streams of a host that fit a pattern, and perhaps for more of them.

    A question mark, and letters in brackets, are any letters there.
    """
    return f"{_ROOT}/{_part(host)}/{_part_like(_LETTERS.sub('*', pattern), SOME)}/{last}"


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
    if not isinstance(text, str):
        raise BridgeAddressError(
            f"a stream of another machine is HOST/STREAM, a str, not {shown(text)}", address=shown(text)
        )
    host, _, stream = text.partition("/")
    try:
        return check_name(host), check_name(stream)
    except StreamNameError as error:
        raise BridgeAddressError(
            f"a stream of another machine is HOST/STREAM, as `pymilk bridge ls` prints it, "
            f"not {shown(text, 100)}",
            address=text,
        ) from error


def check_names(rule: Any) -> None:
    """Raise `StreamArgumentError` unless each field of a rule, a dataclass, is a tuple of names."""
    for each in fields(rule):
        names = getattr(rule, each.name)
        if not isinstance(names, tuple) or not all(isinstance(name, str) and name for name in names):
            raise StreamArgumentError(f"{each.name} is a list of names", argument=each.name, found=names)
