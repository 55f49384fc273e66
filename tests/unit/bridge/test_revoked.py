"""The list of certificates that count no more: what is on it, and who refuses what."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import pytest

pytest.importorskip("cryptography", reason="needs cryptography, the extra net")

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from pymilk.bridge import (
    Allow,
    Links,
    Tls,
    links_of,
    list_certificates,
    make_certificates,
    revoke_certificates,
)
from pymilk.bridge.connections import Connections
from pymilk.bridge.engine import Neighbour
from pymilk.errors import BridgeKeyError, StreamArgumentError
from support.authorities import authority, tls_of
from support.wires import Wires


@pytest.fixture
def keys(tmp_path):
    return authority(tmp_path / "keys", "rtc", "viewer")


@pytest.fixture
def revoked(keys):
    return revoke_certificates(str(keys), ["viewer"])


def test_a_list_that_other_programs_read(keys, revoked):
    found = x509.load_pem_x509_crl((keys / "revoked.crl").read_bytes())
    issuer = x509.load_pem_x509_certificate((keys / "ca.pem").read_bytes())
    viewer = x509.load_pem_x509_certificate((keys / "viewer.pem").read_bytes())
    assert revoked == str(keys / "revoked.crl")
    assert found.is_signature_valid(issuer.public_key())
    assert [each.serial_number for each in found] == [viewer.serial_number]
    context = ssl.create_default_context(cafile=keys / "ca.pem")
    context.load_verify_locations(revoked)
    assert context.cert_store_stats()["crl"] == 1
    assert (keys / "revoked.crl").stat().st_mode & 0o777 == 0o600


def test_who_is_on_the_list(keys, revoked):
    assert {each.name: each.revoked for each in list_certificates(str(keys))} == {
        "pymilk bridge CA": False, "rtc": False, "viewer": True,
    }  # fmt: skip
    assert tls_of(keys, "rtc", revoked=revoked).revoked_names() == {"viewer"}
    assert tls_of(keys, "rtc").revoked_names() == frozenset()
    tls_of(keys, "rtc", revoked=revoked).context()
    with pytest.raises(BridgeKeyError, match=r"viewer\.pem was revoked"):
        tls_of(keys, "viewer", revoked=revoked).context()


def test_names_stay_on_it(keys, revoked):
    make_certificates(str(keys), {"desk": ()})
    assert revoke_certificates(str(keys), ["desk", "viewer"]) == revoked
    assert tls_of(keys, "rtc", revoked=revoked).revoked_names() == {"viewer", "desk"}
    with pytest.raises(BridgeKeyError, match="desk was revoked"):
        make_certificates(str(keys), {"desk": ()}, force=True)


def test_certificates_that_are_not_there(keys, tmp_path):
    for name, message in (("other", "cannot be read"), ("ca", "no certificate of a host")):
        with pytest.raises(BridgeKeyError, match=message):
            revoke_certificates(str(keys), [name])
    other = authority(tmp_path / "other", "rtc")
    (keys / "rtc.pem").write_bytes((other / "rtc.pem").read_bytes())
    with pytest.raises(BridgeKeyError):
        revoke_certificates(str(tmp_path / "empty"), ["rtc"])
    assert not (tmp_path / "empty").exists()
    assert not (keys / "revoked.crl").exists()


def foreign_list(keys):
    """Return a list of the authority whose entry has no name, as another program makes it."""
    key = serialization.load_pem_private_key((keys / "ca.key").read_bytes(), None)
    issuer = x509.load_pem_x509_certificate((keys / "ca.pem").read_bytes())
    now = datetime.datetime.now(datetime.timezone.utc)
    entry = x509.RevokedCertificateBuilder().serial_number(5).revocation_date(now).build()
    builder = x509.CertificateRevocationListBuilder().issuer_name(issuer.subject).last_update(now)
    builder = builder.next_update(now + datetime.timedelta(days=1)).add_revoked_certificate(entry)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def test_lists_that_are_not_believed(keys, revoked, tmp_path):
    """None of them is passed over."""
    other = authority(tmp_path / "other", "viewer")
    files = {
        "cannot be read": None,
        "no list of revoked": b"hello",
        "not signed by the authority": Path(revoke_certificates(str(other), ["viewer"])).read_bytes(),
        "does not say the name": foreign_list(keys),
    }
    for number, (message, data) in enumerate(files.items()):
        path = tmp_path / f"{number}.crl"
        if data is not None:
            path.write_bytes(data)
        with pytest.raises(BridgeKeyError, match=message):
            tls_of(keys, "rtc", revoked=str(path)).context()


def test_a_configuration_with_a_list_and_who_is_denied(keys, revoked):
    text = "[tls]\nca = 'ca.pem'\ncert = 'rtc.pem'\nkey = 'rtc.key'\nrevoked = 'revoked.crl'\n"
    (keys / "a.toml").write_text(text + "[[allow]]\nwho = ['viewer', 'desk']\nreceive = ['rtc/*']\n")
    links = links_of(str(keys / "a.toml"))
    assert links.tls.revoked == revoked
    wires = Wires()
    wires.neighbours = lambda: [Neighbour("tls/1", each) for each in ("viewer", "desk", "else", "")]
    told = Connections(links, wires).told()
    assert told["denied"] == ["else (tls/1): no rule names it", "viewer (tls/1): its certificate was revoked"]
    assert len(told["connected"]) == 4


def test_rules_that_would_let_the_revoked_in(keys, revoked):
    """The engine knows no "all but these"."""
    tls = tls_of(keys, "rtc", revoked=revoked)
    everybody = (Allow(("*",), receive=("rtc/*",)),)
    with pytest.raises(StreamArgumentError, match="rules name who may"):
        Links(tls=tls, allow=everybody)
    tls = Tls(str(keys / "ca.pem"), mutual=False, revoked=revoked)
    with pytest.raises(StreamArgumentError, match="about certificates"):
        Links(tls=tls, passwords="users", allow=everybody)
    Links(tls=tls_of(keys, "rtc"), allow=everybody)
