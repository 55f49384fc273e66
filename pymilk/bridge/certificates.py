"""A small authority of one's own, and certificates of hosts that it signs."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..arguments import check_count, check_mapping, check_texts, shown
from ..errors import BridgeKeyError, StreamArgumentError
from ..system.causes import cause_of
from ..system.extras import optional_library
from ..system.files import checked_path, moved_into_place
from .credentials import check_in_time, check_private, read_certificate
from .revoked import read_revoked, signed_list

__all__ = ["Certificate", "list_certificates", "make_certificates", "revoke_certificates"]

#: Name of the files of the authority, and what it calls itself.
_AUTHORITY, _AUTHORITY_NAME = "ca", "pymilk bridge CA"

#: Name of the list of certificates that count no more.
_LIST = "revoked.crl"

#: Days that the authority is valid.
_AUTHORITY_DAYS = 3650

#: Clocks of machines differ: what is made now is valid since so many minutes.
_BEFORE_MINUTES = 60

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,61}[A-Za-z0-9])?")


@dataclass(frozen=True)
class Certificate:
    """A certificate in a directory.

    Attributes
    ----------
    name : str
        That others know its owner by.
    addresses : tuple of str
        Names and IP addresses that it is valid for.
    expires : datetime.datetime
        UTC.
    days : int
        Days left; negative after that.
    path, key : str
        Its file, and that of the private key.
    made : bool
        Whether it is new.
    revoked : bool
        Whether it is on the list of those that count no more.
    """

    name: str
    addresses: tuple[str, ...]
    expires: datetime.datetime
    days: int
    path: str
    key: str
    made: bool = False
    revoked: bool = False


def make_certificates(
    directory: str, hosts: Mapping[str, Sequence[str]], *, days: int = 365, force: bool = False
) -> list[Certificate]:
    """Make an authority if there is none in a directory, and certificates for hosts.

    Parameters
    ----------
    directory : str
        Made if it is not there, for its owner alone. The files are ``ca.pem``, ``ca.key``, and ``NAME.pem``
        and ``NAME.key`` for each host, with permissions 0600.
    hosts : mapping of str to sequence of str
        Further names and IP addresses of each host; its own name is always one.
    days : int, default 365
        How long certificates of hosts are valid, but no longer than the authority.
    force : bool, default False
        Replace the certificates of these hosts. The authority is never replaced: delete its files for that.

    Returns
    -------
    list of Certificate
        The authority first, then those of `hosts`.

    Raises
    ------
    StreamArgumentError
        A host has no usable name.
    BridgeKeyError
        A name was revoked: certificates are told apart by their names. A file is there already, cannot be
        written, or the authority has expired or is not whole.
    LibraryMissingError
    """
    days = check_count("days", days, "days", below=36500)
    directory = checked_path(directory, "the certificates", "directory")
    check_mapping("hosts", hosts, "a dict of host name to its further names and addresses")
    for name, others in hosts.items():
        check_texts("hosts", (name, *check_texts("hosts", others, "a list for each host")), "a dict of str")
        if _HOST.fullmatch(name) is None or name == _AUTHORITY:
            raise StreamArgumentError(
                f"a certificate is made for a host name of letters, digits, '.' and '-', "
                f"not {shown(name, 100)}",
                argument="hosts", found=name,
            )  # fmt: skip
        there = [path for path in _paths(directory, name) if os.path.lexists(path)]
        if there and not force:
            raise BridgeKeyError(
                f"{there[0]} is there already; --force (force=True) replaces it, and its host needs the new "
                "one",
                path=there[0],
            )
    gone = {name for name, _ in _revoked(directory).values()}
    for name in hosts:
        if name in gone:
            raise BridgeKeyError(
                f"{name} was revoked, and certificates are told apart by their names: choose another one",
                path=_paths(directory, name)[0],
            )
    names = {name: _alternatives(name, given) for name, given in hosts.items()}
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        authority = _authority(directory)
        made = [_described(directory, _AUTHORITY, new=authority.new)]
        for name, alternatives in names.items():
            _make_host(directory, name, alternatives, days, authority)
            made.append(_described(directory, name, new=True))
    except OSError as error:
        raise BridgeKeyError(
            f"keys cannot be written into {directory}: {cause_of(error, directory)}", path=directory
        ) from error
    return made


def revoke_certificates(directory: str, names: Sequence[str]) -> str:
    """Put certificates on the list of those that count no more: ``revoked.crl``, signed by the authority.

    Each machine that others connect to needs the list (`Tls`), and heeds it at once when it is changed. A
    name stays on it: a host that goes on gets a certificate of another name.

    Parameters
    ----------
    directory : str
        That of `make_certificates`.
    names : sequence of str
        Hosts with a certificate there.

    Returns
    -------
    str
        Path of the list.

    Raises
    ------
    BridgeKeyError
        There is no certificate of that name, or it is none of the authority; the list cannot be read or
        written; the authority has expired or is not whole.
    LibraryMissingError
    """
    authority = _authority(directory, make=False)
    entries, now = _revoked(directory), datetime.datetime.now(datetime.timezone.utc)
    for name in names:
        path = _paths(directory, name)[0]
        found = read_certificate(path)
        if name == _AUTHORITY or found.issuer != authority.certificate.subject:
            raise BridgeKeyError(f"{path} is no certificate of a host of this authority", path=path)
        entries.setdefault(found.serial_number, (_described(directory, name).name, now))
    path = os.path.join(directory, _LIST)
    try:
        _put(path, signed_list(entries, authority.certificate, authority.key))
    except OSError as error:
        raise BridgeKeyError(f"{path} cannot be written: {cause_of(error, path)}", path=path) from error
    return path


def list_certificates(directory: str) -> list[Certificate]:
    """Return the certificates in a directory: the authority first, then hosts by name.

    Raises
    ------
    BridgeKeyError
        The directory cannot be read, or one of its files is no certificate.
    StreamArgumentError
        `directory` is not a path.
    LibraryMissingError
    """
    directory = checked_path(directory, "the certificates", "directory")
    try:
        found = sorted(each[:-4] for each in os.listdir(directory) if each.endswith(".pem"))
    except OSError as error:
        raise BridgeKeyError(
            f"{directory} cannot be read: {cause_of(error, directory)}", path=directory
        ) from error
    found.sort(key=lambda name: name != _AUTHORITY)
    gone = {name for name, _ in _revoked(directory).values()}
    listed = [_described(directory, name) for name in found]
    return [replace(each, revoked=each.name in gone) for each in listed]


@dataclass(frozen=True)
class _Authority:
    certificate: Any
    key: Any
    new: bool


def _paths(directory: str, name: str) -> tuple[str, str]:
    return os.path.join(directory, f"{name}.pem"), os.path.join(directory, f"{name}.key")


def _described(directory: str, name: str, *, new: bool = False) -> Certificate:
    path, key = _paths(directory, name)
    x509 = optional_library("cryptography.x509", "net", "certificates")
    found = read_certificate(path)
    addresses: tuple[str, ...] = ()
    with contextlib.suppress(x509.ExtensionNotFound):
        extension = found.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        addresses = tuple(str(each.value) for each in extension.value)
    common = found.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    expires = found.not_valid_after_utc
    left = expires - datetime.datetime.now(datetime.timezone.utc)
    return Certificate(str(common[0].value) if common else "", addresses, expires, left.days, path, key, new)


def _alternatives(name: str, given: Sequence[str]) -> list[Any]:
    """Return names and addresses of a host as a certificate has them."""
    x509 = optional_library("cryptography.x509", "net", "certificates")
    found = []
    for each in dict.fromkeys((name, *given)):
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(each)))
        except ValueError:
            if _HOST.fullmatch(each) is None:
                raise StreamArgumentError(
                    f"{shown(each, 100)} is neither a host name nor an IP address",
                    argument="hosts", found=each,
                ) from None  # fmt: skip
            found.append(x509.DNSName(each))
    return found


def _revoked(directory: str) -> dict[int, tuple[str, datetime.datetime]]:
    """Return what is on the list of a directory; nothing if there is none."""
    path = os.path.join(directory, _LIST)
    if not os.path.lexists(path):
        return {}
    return read_revoked(path, read_certificate(_paths(directory, _AUTHORITY)[0]))


def _authority(directory: str, *, make: bool = True) -> _Authority:
    """Return the authority of a directory; make it if there is none."""
    path, key_path = _paths(directory, _AUTHORITY)
    serialization = optional_library("cryptography.hazmat.primitives.serialization", "net", "certificates")
    if make and not os.path.lexists(path) and not os.path.lexists(key_path):
        return _make_authority(path, key_path)
    certificate = check_in_time(path)
    check_private(key_path)
    try:
        key = serialization.load_pem_private_key(Path(key_path).read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise BridgeKeyError(f"{key_path} is no private key, or is enciphered", path=key_path) from error
    if key.public_key() != certificate.public_key():
        raise BridgeKeyError(f"{key_path} is not the private key of {path}", path=key_path)
    return _Authority(certificate, key, False)


def _make_authority(path: str, key_path: str) -> _Authority:
    x509 = optional_library("cryptography.x509", "net", "certificates")
    ec = optional_library("cryptography.hazmat.primitives.asymmetric.ec", "net", "certificates")
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(_AUTHORITY_NAME, key.public_key(), _AUTHORITY_DAYS)
    builder = (
        builder.issuer_name(_subject(_AUTHORITY_NAME))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
    )
    certificate = _signed(builder, key, key)
    _write(path, key_path, certificate, key)
    return _Authority(certificate, key, True)


def _make_host(directory: str, name: str, alternatives: list[Any], days: int, authority: _Authority) -> None:
    x509 = optional_library("cryptography.x509", "net", "certificates")
    ec = optional_library("cryptography.hazmat.primitives.asymmetric.ec", "net", "certificates")
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority.certificate
    builder = _builder(name, key.public_key(), days, issuer.not_valid_after_utc)
    purposes = [x509.ExtendedKeyUsageOID.SERVER_AUTH, x509.ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = (
        builder.issuer_name(issuer.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    )
    certificate = _signed(builder, authority.key, key, issuer.public_key())
    _write(*_paths(directory, name), certificate, key)


def _subject(name: str) -> Any:
    x509 = optional_library("cryptography.x509", "net", "certificates")
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def _builder(name: str, public: Any, days: int, most: datetime.datetime | None = None) -> Any:
    x509 = optional_library("cryptography.x509", "net", "certificates")
    now = datetime.datetime.now(datetime.timezone.utc)
    expires = now + datetime.timedelta(days=days)
    return (
        x509.CertificateBuilder()
        .subject_name(_subject(name))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=_BEFORE_MINUTES))
        .not_valid_after(expires if most is None else min(expires, most))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _usage(*, signs: bool) -> Any:
    x509 = optional_library("cryptography.x509", "net", "certificates")
    return x509.KeyUsage(
        digital_signature=not signs, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, key_cert_sign=signs, crl_sign=signs,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _signed(builder: Any, signer: Any, key: Any, issuer: Any = None) -> Any:
    x509 = optional_library("cryptography.x509", "net", "certificates")
    hashes = optional_library("cryptography.hazmat.primitives.hashes", "net", "certificates")
    known = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer or key.public_key())
    return builder.add_extension(known, critical=False).sign(signer, hashes.SHA256())


def _write(path: str, key_path: str, certificate: Any, key: Any) -> None:
    """Put both files in place, the key first: a reader never finds a part of one."""
    serialization = optional_library("cryptography.hazmat.primitives.serialization", "net", "certificates")
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    for target, data in ((key_path, private), (path, certificate.public_bytes(pem))):
        _put(target, data)


def _put(target: str, data: bytes) -> None:
    """Put a file in place, for its owner alone."""
    with moved_into_place(target) as hidden:
        descriptor = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
