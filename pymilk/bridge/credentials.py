"""What a process shows to others, and asks of them: certificates, user and password."""

from __future__ import annotations

import datetime
import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import BridgeKeyError, StreamArgumentError
from ..system.causes import cause_of
from ..system.extras import optional_library
from .revoked import read_revoked

__all__ = ["Login", "Tls", "check_in_time", "check_private", "read_certificate"]


@dataclass(frozen=True)
class Tls:
    """Files for ``tls/`` addresses, all PEM; `pymilk bridge keys` makes them.

    Parameters
    ----------
    ca : str
        Certificates of the authority: only those that it signed are believed.
    cert, key : str, optional
        Certificate of this machine, and its private key.
    mutual : bool, default True
        Ask those who connect for a certificate. Without it, they need a password.
    revoked : str, optional
        List of certificates that count no more, signed by the authority. When it is changed, all connections
        end, and those who are not on it connect again.

    Raises
    ------
    StreamArgumentError
        One of certificate and key is missing.
    """

    ca: str
    cert: str | None = None
    key: str | None = None
    mutual: bool = True
    revoked: str | None = None

    def __post_init__(self) -> None:
        if (self.cert is None) != (self.key is None) or (self.mutual and self.cert is None):
            raise StreamArgumentError(
                "a certificate and its key belong together (--tls-cert, --tls-key; cert=, key=), and both "
                "are needed unless mutual = false",
                argument="cert", found=self.cert,
            )  # fmt: skip

    def context(self) -> ssl.SSLContext:
        """Return a context of Python's own TLS with these files.

        Raises
        ------
        LibraryMissingError
            The library that reads certificates is not installed.
        BridgeKeyError
            A file is not there, is none, has expired, was revoked, belongs to another key, or its key may be
            read by all.
        """
        check_in_time(self.ca)
        revoked = self._revoked()
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        made.load_verify_locations(self.ca)
        if self.cert is not None and self.key is not None:
            if check_in_time(self.cert).serial_number in revoked:
                raise BridgeKeyError(
                    f"{self.cert} was revoked; make one of another name: pymilk bridge keys DIR NAME",
                    path=self.cert,
                )
            check_private(self.key)
            try:
                # A password of the key would be asked for on the terminal: there is none.
                made.load_cert_chain(self.cert, self.key, password=b"")
            except (ssl.SSLError, ValueError) as error:
                raise BridgeKeyError(
                    f"{self.key} is not the private key of {self.cert}, or is enciphered", path=self.key
                ) from error
        return made

    def revoked_names(self) -> frozenset[str]:
        """Return the names of certificates that count no more.

        Raises
        ------
        LibraryMissingError, BridgeKeyError
        """
        return frozenset(name for name, _ in self._revoked().values())

    def _revoked(self) -> dict[int, tuple[str, datetime.datetime]]:
        return {} if self.revoked is None else read_revoked(self.revoked, read_certificate(self.ca))


@dataclass(frozen=True)
class Login:
    """User and password of this process.

    Parameters
    ----------
    user, password : str
        Without line ends; the user also without ``:``.

    Raises
    ------
    StreamArgumentError
    """

    user: str
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.user, str) or not self.user or ":" in self.user or not self.user.isprintable():
            raise StreamArgumentError(
                "a user has letters, and no ':' and no line end", argument="user", found=self.user
            )
        if not isinstance(self.password, str) or not self.password or not self.password.isprintable():
            raise StreamArgumentError(
                "a password has letters, and no line end", argument="password", found=None
            )


def read_certificate(path: str) -> Any:
    """Return the first certificate of a PEM file, of the library `cryptography`.

    Raises
    ------
    LibraryMissingError
    BridgeKeyError
    """
    x509 = optional_library("cryptography.x509", "net", "certificates")
    try:
        return x509.load_pem_x509_certificate(Path(path).read_bytes())
    except OSError as error:
        raise BridgeKeyError(f"{path} cannot be read: {cause_of(error, path)}", path=path) from error
    except ValueError as error:
        raise BridgeKeyError(f"{path} is no certificate in PEM", path=path) from error


def check_in_time(path: str) -> Any:
    """Return the certificate of a file; `BridgeKeyError` if it is not valid now."""
    found = read_certificate(path)
    now = datetime.datetime.now(datetime.timezone.utc)
    if now >= found.not_valid_after_utc:
        raise BridgeKeyError(
            f"{path} expired on {found.not_valid_after_utc:%Y-%m-%d}; make a new one: pymilk bridge keys "
            f"{os.path.dirname(path) or '.'} NAME --force",
            path=path,
        )
    if now < found.not_valid_before_utc:
        raise BridgeKeyError(
            f"{path} is valid from {found.not_valid_before_utc:%Y-%m-%d %H:%M} UTC; set the clock of this "
            "machine",
            path=path,
        )
    return found


def check_private(path: str) -> None:
    """Raise `BridgeKeyError` if a file is missing, or may be used by all users of this machine."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise BridgeKeyError(f"{path} cannot be read: {cause_of(error, path)}", path=path) from error
    if mode & 0o007:
        raise BridgeKeyError(f"{path} may be used by all users of this machine: chmod 600 {path}", path=path)
