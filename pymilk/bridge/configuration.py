"""Addresses, certificates and rules from a TOML file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..errors import BridgeKeyError, StreamArgumentError
from ..system.causes import cause_of
from ..system.extras import toml_of
from .access import Allow
from .credentials import Login, Tls, check_private
from .links import Links
from .parameters import ParameterOffer

__all__ = ["Links", "links_of", "log_of", "login_of", "offer_of"]

#: What may be said, by table; "" is the beginning of the file.
_KNOWN: dict[str, dict[str, type]] = {
    "": {"listen": list, "connect": list, "insecure": bool, "user": str, "password_file": str,
         "passwords": str, "tls": dict, "allow": list, "log": list, "params": dict},
    "tls": {"ca": str, "cert": str, "key": str, "mutual": bool, "revoked": str},
    "allow": {"who": list, "send": list, "receive": list, "offer": list, "read": list, "set": list,
              "command": list},
    "params": {"fps": list, "set": list, "command": list},
}  # fmt: skip

_KINDS = {list: "a list of texts", bool: "true or false", str: "a text", dict: "a table"}


def links_of(path: str) -> Links:
    """Read where to listen, whom to connect to, and who may do what.

    Parameters
    ----------
    path : str
        A TOML file: ``listen``, ``connect`` (lists of addresses), ``insecure``, ``user``, ``password_file``,
        ``passwords``, a table ``[tls]`` with ``ca``, ``cert``, ``key``, ``mutual``, ``revoked``, and tables
        ``[[allow]]`` with ``who``, ``send``, ``receive``, ``offer``, ``read``, ``set``, ``command``. Paths in
        it count from its directory. The list ``log`` is for `log_of`, a table ``[params]`` for `offer_of`.

    Returns
    -------
    Links

    Raises
    ------
    StreamArgumentError
        It is no TOML file, or says what is not known, or of another type.
    BridgeAddressError, BridgeKeyError, StreamError
    """
    said = toml_of(path, "net", "configuration files", "config")
    _check(path, "", said)
    directory = os.path.dirname(os.path.abspath(path))
    tls = said.get("tls")
    if tls is not None:
        _check(path, "tls", tls)
        if "ca" not in tls:
            raise StreamArgumentError(f"{path}: [tls] needs ca", argument="config", found=tls)
        named = ("ca", "cert", "key", "revoked")
        paths = {name: os.path.join(directory, tls[name]) for name in named if name in tls}
        tls = Tls(**paths, mutual=tls.get("mutual", True))
    rules = []
    for rule in said.get("allow", []):
        _check(path, "allow", rule)
        rules.append(Allow(**{"who": (), **{name: tuple(each) for name, each in rule.items()}}))
    files = {
        name: os.path.join(directory, said[name]) for name in ("password_file", "passwords") if name in said
    }
    return Links(
        listen=tuple(said.get("listen", ())), connect=tuple(said.get("connect", ())),
        insecure=said.get("insecure", False), tls=tls,
        login=login_of(said.get("user"), files.get("password_file")), passwords=files.get("passwords"),
        allow=tuple(rules),
    )  # fmt: skip


def log_of(path: str) -> tuple[str, ...]:
    """Read which message logs are sent: the list ``log``; none if it is not there.

    Raises
    ------
    StreamArgumentError
    """
    said = toml_of(path, "net", "configuration files", "config")
    _check(path, "", said)
    return tuple(said.get("log", ()))


def offer_of(path: str) -> ParameterOffer | None:
    """Read which parameters are offered: a table ``[params]`` with ``fps``, ``set``, ``command``, or None.

    Raises
    ------
    StreamArgumentError
    """
    said = toml_of(path, "net", "configuration files", "config")
    _check(path, "", said)
    if "params" not in said:
        return None
    _check(path, "params", said["params"])
    given = {name: tuple(each) for name, each in said["params"].items()}
    return ParameterOffer(**{"fps": (), **given})


def login_of(user: str | None, password_file: str | None) -> Login | None:
    """Return user and password, or None if there is no user.

    Raises
    ------
    StreamArgumentError
        One of the two is missing.
    BridgeKeyError
        The file cannot be read, or all users of this machine may read it.
    """
    if user is None and password_file is None:
        return None
    if user is None or password_file is None:
        raise StreamArgumentError(
            "user and password file belong together (--user, --password-file)", argument="user", found=user
        )
    check_private(password_file)
    try:
        return Login(user, Path(password_file).read_text(encoding="utf-8").rstrip("\n"))
    except OSError as error:
        raise BridgeKeyError(
            f"{password_file} cannot be read: {cause_of(error, password_file)}", path=password_file
        ) from error
    except UnicodeError as error:
        raise BridgeKeyError(f"{password_file} is no text", path=password_file) from error


def _check(path: str, table: str, said: Any) -> None:
    """Refuse what is not known, and values of another type."""
    known, where = _KNOWN[table], f"{path}: {f'[{table}] ' if table else ''}"
    if not isinstance(said, dict):
        raise StreamArgumentError(f"{where}is no table", argument="config", found=said)
    for name, value in said.items():
        if name not in known:
            raise StreamArgumentError(
                f"{where}{name!r} is not known; known are {', '.join(known)}", argument="config", found=name
            )
        kind = known[name]
        right = type(value) is kind
        if right and kind is list and name != "allow":
            right = all(isinstance(each, str) for each in value)
        if not right:
            raise StreamArgumentError(f"{where}{name} is {_KINDS[kind]}", argument="config", found=value)
