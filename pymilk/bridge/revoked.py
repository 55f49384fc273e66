"""The list of certificates that count no more: a certificate revocation list that the authority signs.

The engine tells certificates apart by their names alone, so the list says the names as well, in an extension
of each entry that other programs pass over.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import BridgeKeyError
from ..system.causes import cause_of
from ..system.extras import optional_library

__all__ = ["read_revoked", "signed_list"]

#: Of the name of an entry: an identifier made of a random UUID. DER: UTF8String, up to 127 bytes.
_NAME = "2.25.209411683925413938274185027389151043791"
_UTF8, _LENGTH_MOST = 0x0C, 127


def signed_list(entries: Mapping[int, tuple[str, datetime.datetime]], authority: Any, key: Any) -> bytes:
    """Return a list in PEM.

    Parameters
    ----------
    entries : mapping of int to (str, datetime)
        Name and time of revocation of each certificate, by its serial number.
    authority, key
        Its certificate and private key, of the library `cryptography`.
    """
    x509 = optional_library("cryptography.x509", "net", "certificates")
    hashes = optional_library("cryptography.hazmat.primitives.hashes", "net", "certificates")
    serialization = optional_library("cryptography.hazmat.primitives.serialization", "net", "certificates")
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.subject)
        .last_update(datetime.datetime.now(datetime.timezone.utc))
        .next_update(authority.not_valid_after_utc)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    )
    for serial, (name, when) in entries.items():
        text = name.encode()
        named = x509.UnrecognizedExtension(x509.ObjectIdentifier(_NAME), bytes((_UTF8, len(text))) + text)
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(when)
        builder = builder.add_revoked_certificate(entry.add_extension(named, critical=False).build())
    made: bytes = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return made


def read_revoked(path: str, authority: Any) -> dict[int, tuple[str, datetime.datetime]]:
    """Return name and time of revocation of each certificate of a list, by its serial number.

    Parameters
    ----------
    path : str
    authority
        Certificate of the authority, of the library `cryptography`.

    Raises
    ------
    LibraryMissingError
    BridgeKeyError
        It cannot be read, is none, is not signed by that authority, or an entry has no name.
    """
    x509 = optional_library("cryptography.x509", "net", "certificates")
    try:
        found = x509.load_pem_x509_crl(Path(path).read_bytes())
    except OSError as error:
        raise BridgeKeyError(f"{path} cannot be read: {cause_of(error, path)}", path=path) from error
    except ValueError as error:
        raise BridgeKeyError(f"{path} is no list of revoked certificates in PEM", path=path) from error
    if found.issuer != authority.subject or not found.is_signature_valid(authority.public_key()):
        raise BridgeKeyError(f"{path} is not signed by the authority of the certificates (ca)", path=path)
    entries = {}
    for each in found:
        name = _name_of(each, x509)
        if name is None:
            raise BridgeKeyError(
                f"{path} does not say the name of each certificate; make it with pymilk bridge keys DIR "
                "--revoke NAME",
                path=path,
            )
        entries[each.serial_number] = (name, each.revocation_date_utc)
    return entries


def _name_of(entry: Any, x509: Any) -> str | None:
    try:
        found = entry.extensions.get_extension_for_oid(x509.ObjectIdentifier(_NAME)).value.value
    except (x509.ExtensionNotFound, ValueError):
        return None
    if len(found) < 3 or found[0] != _UTF8 or not found[1] == len(found) - 2 <= _LENGTH_MOST:
        return None
    try:
        return str(found[2:], "utf-8")
    except UnicodeError:
        return None
