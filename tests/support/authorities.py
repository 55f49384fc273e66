"""Certificates that `pymilk bridge keys` would not make."""

from __future__ import annotations

import datetime
import ipaddress
import os
from pathlib import Path

from pymilk.bridge import Tls, make_certificates

#: What certificates of tests are valid for: each end is on this machine.
HERE = ("localhost", "127.0.0.1")


def authority(directory, *names: str) -> Path:
    """Make an authority, and certificates for this machine under some names."""
    make_certificates(str(directory), dict.fromkeys(names, HERE))
    return Path(directory)


def tls_of(directory, name: str, **given) -> Tls:
    """Return the files of a host, as its settings have them."""
    files = (os.path.join(directory, file) for file in ("ca.pem", f"{name}.pem", f"{name}.key"))
    return Tls(*files, **given)


def make_expired(directory, name: str) -> None:
    """Make a certificate of an authority that was valid until yesterday."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    directory = Path(directory)
    signer = serialization.load_pem_private_key((directory / "ca.key").read_bytes(), None)
    issuer = x509.load_pem_x509_certificate((directory / "ca.pem").read_bytes())
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.timezone.utc)
    alternatives = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=9))
        .not_valid_after(now - datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .sign(signer, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (directory / f"{name}.pem").write_bytes(made.public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (directory / f"{name}.key").write_bytes(private)
    (directory / f"{name}.key").chmod(0o600)
