"""Certificates, users and the files that name them."""

from __future__ import annotations

import os
import ssl

import pytest

pytest.importorskip("cryptography", reason="needs cryptography, the extra net")

from pymilk.bridge import Allow, Links, Login, Tls, links_of, list_certificates, make_certificates
from pymilk.errors import BridgeAddressError, BridgeKeyError, StreamArgumentError, StreamError
from support.authorities import HERE, authority, make_expired, tls_of


@pytest.fixture
def keys(tmp_path):
    return authority(tmp_path / "keys", "rtc", "viewer")


def test_files_are_private_and_never_overwritten(tmp_path):
    made = make_certificates(str(tmp_path / "k"), {"rtc": ("10.0.0.1", "rtc.site.org", "fe80::1")}, days=30)
    assert [(each.name, each.made) for each in made] == [("pymilk bridge CA", True), ("rtc", True)]
    assert made[1].addresses == ("rtc", "10.0.0.1", "rtc.site.org", "fe80::1")
    assert made[1].days == 29
    assert os.stat(tmp_path / "k").st_mode & 0o777 == 0o700
    files = sorted(os.listdir(tmp_path / "k"))
    assert files == ["ca.key", "ca.pem", "rtc.key", "rtc.pem"]
    assert {os.stat(tmp_path / "k" / each).st_mode & 0o777 for each in files} == {0o600}
    before = {each: (tmp_path / "k" / each).read_bytes() for each in files}
    with pytest.raises(BridgeKeyError, match="--force") as caught:
        make_certificates(str(tmp_path / "k"), {"archive": (), "rtc": ()})
    assert caught.value.path == str(tmp_path / "k" / "rtc.pem")
    assert {each: (tmp_path / "k" / each).read_bytes() for each in os.listdir(tmp_path / "k")} == before
    again = make_certificates(str(tmp_path / "k"), {"rtc": ()}, force=True)
    assert [each.made for each in again] == [False, True]
    after = {each: (tmp_path / "k" / each).read_bytes() for each in files}
    assert {each for each in files if after[each] != before[each]} == {"rtc.key", "rtc.pem"}
    assert [each.name for each in list_certificates(str(tmp_path / "k"))] == ["pymilk bridge CA", "rtc"]


def test_certificates_are_those_that_tls_wants(keys):
    """A handshake of Python's own TLS with strict checks, in memory."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_verify_locations(keys / "ca.pem")
    server.load_cert_chain(keys / "rtc.pem", keys / "rtc.key")
    server.verify_mode = ssl.CERT_REQUIRED
    client = tls_of(keys, "viewer").context()
    for each in (server, client):
        each.verify_flags |= ssl.VERIFY_X509_STRICT
    near, far = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(near, far, server_hostname="127.0.0.1"),
        server.wrap_bio(far, near, server_side=True),
    )
    left = set(ends)
    for _ in range(8):
        for end in list(left):
            try:
                end.do_handshake()
                left.discard(end)
            except ssl.SSLWantReadError:
                pass
    assert not left
    assert ends[1].getpeercert()["subject"] == ((("commonName", "viewer"),),)


@pytest.mark.parametrize("name", ["", "ca", "a/b", "../x", "a b", "x" * 64, "-a", "ä"])
def test_hosts_without_a_usable_name(tmp_path, name):
    with pytest.raises(StreamArgumentError, match="host name"):
        make_certificates(str(tmp_path / "k"), {name: ()})
    assert not (tmp_path / "k").exists()


def test_addresses_that_are_none(tmp_path):
    with pytest.raises(StreamArgumentError, match="neither a host name nor an IP"):
        make_certificates(str(tmp_path / "k"), {"rtc": ("1.2.3.4/8",)})
    assert not (tmp_path / "k").exists()


def test_an_authority_that_is_not_whole(keys):
    (keys / "ca.key").write_bytes((keys / "rtc.key").read_bytes())
    with pytest.raises(BridgeKeyError, match="not the private key"):
        make_certificates(str(keys), {"archive": ()})
    (keys / "ca.key").unlink()
    with pytest.raises(BridgeKeyError, match=r"ca\.key"):
        make_certificates(str(keys), {"archive": ()})
    assert not (keys / "archive.pem").exists()


def test_files_that_are_not_usable(keys, tmp_path):
    make_expired(keys, "old")
    make_certificates(str(tmp_path / "open"), {"rtc": HERE})
    (tmp_path / "open" / "rtc.key").chmod(0o604)
    (keys / "text.pem").write_text("text")
    (keys / "text.key").write_text("text")
    cases = {
        (keys, "old"): "expired on",
        (keys, "nobody"): "cannot be read",
        (keys, "text"): "no certificate in PEM",
        (tmp_path / "open", "rtc"): "chmod 600",
    }
    for (directory, name), message in cases.items():
        with pytest.raises(BridgeKeyError, match=message):
            tls_of(directory, name).context()
    crossed = Tls(*(str(keys / each) for each in ("ca.pem", "rtc.pem", "viewer.key")))
    with pytest.raises(BridgeKeyError, match="not the private key"):
        crossed.context()
    assert tls_of(keys, "rtc").context()


def test_certificate_and_key_belong_together():
    for given in ({}, {"cert": "a"}, {"key": "a"}, {"cert": "a", "mutual": False}):
        with pytest.raises(StreamArgumentError, match="belong together"):
            Tls("ca.pem", **given)
    assert Tls("ca.pem", mutual=False).cert is None


def test_what_protects_an_address(keys):
    mine = tls_of(keys, "rtc")
    assert Links(listen=("tls/0.0.0.0:7447",), connect=("tls/rtc:7447",), tls=mine).named == "certificate"
    for listen, given, message in (
        ("tls/127.0.0.1:7447", {}, "needs certificates"),
        ("tls/127.0.0.1:7447", {"tls": Tls("ca.pem", mutual=False)}, "a certificate is needed"),
        ("tcp/0.0.0.0:7447", {"tls": mine}, "leaves this machine"),
        ("tcp/0.0.0.0:7447", {"passwords": "file"}, "leaves this machine"),
        ("tls/0.0.0.0:7447", {"tls": tls_of(keys, "rtc", mutual=False)}, "leaves this machine"),
    ):
        with pytest.raises(BridgeAddressError, match=message):
            Links(listen=(listen,), **given)
    users = Links(listen=("tls/0.0.0.0:7447",), tls=tls_of(keys, "rtc", mutual=False), passwords="file")
    assert users.named == "user"
    assert Links(connect=("tls/rtc:7447",), tls=Tls("ca.pem", mutual=False)).named == ""


def test_rules(keys):
    with pytest.raises(StreamArgumentError, match="who it is"):
        Links(allow=(Allow(("viewer",), receive=("rtc/*",)),))
    for wrong in ({"send": ("rtc/*",)}, {"who": ("a",)}, {"who": ("a",), "send": ("rtc/w?s",)},
                  {"who": "a", "send": ("rtc/*",)}):  # fmt: skip
        with pytest.raises(StreamArgumentError):
            Allow(**{"who": (), **wrong})
    with pytest.raises(BridgeAddressError, match="HOST/STREAM"):
        Allow(("a",), send=("wfs",))


def test_a_password_is_not_shown():
    login = Login("viewer", "secret")
    assert "secret" not in repr(login)
    assert "secret" not in repr(Links(login=login))
    for user, password in (("", "a"), ("a:b", "a"), ("a", ""), ("a", "b\nc"), ("a\n", "b")):
        with pytest.raises(StreamArgumentError):
            Login(user, password)


CONFIG = """
listen = ["tls/0.0.0.0:7447"]
user = "me"
password_file = "password"
[tls]
ca = "ca.pem"
cert = "rtc.pem"
key = "rtc.key"
[[allow]]
who = ["viewer"]
receive = ["rtc/wfs*"]
"""


def test_a_configuration(keys):
    (keys / "password").write_text("secret\n")
    (keys / "password").chmod(0o600)
    (keys / "bridge.toml").write_text(CONFIG)
    expected = Links(
        listen=("tls/0.0.0.0:7447",), tls=tls_of(keys, "rtc"), login=Login("me", "secret"),
        allow=(Allow(("viewer",), receive=("rtc/wfs*",)),),
    )  # fmt: skip
    assert links_of(str(keys / "bridge.toml")) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("listen = 'tcp/127.0.0.1:1'", "listen is a list"),
        ("listen = [1]", "listen is a list"),
        ("lisen = []", "'lisen' is not known"),
        ("insecure = 1", "insecure is true or false"),
        ("[tls]\ncert = 'a'\nkey = 'a'", "needs ca"),
        ("[tls]\nca = 'a'\nsecret = 'a'", "'secret' is not known"),
        ("allow = [1]", "no table"),
        ("[[allow]]\nwho = ['a']\nsend = 'rtc/*'", "send is a list"),
        ("user = 'a'", "belong together"),
        ("[", "no TOML"),
    ],
)
def test_configurations_that_say_too_much(tmp_path, text, message):
    (tmp_path / "bridge.toml").write_text(text)
    with pytest.raises(StreamArgumentError, match=message):
        links_of(str(tmp_path / "bridge.toml"))


def test_a_configuration_that_is_not_there(tmp_path):
    with pytest.raises(StreamError, match=r"bridge\.toml cannot be read"):
        links_of(str(tmp_path / "bridge.toml"))
