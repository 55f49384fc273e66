"""``pymilk bridge``: what is refused before anything is opened."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

pytest.importorskip("click", reason="extra cli")
pytest.importorskip("rich", reason="extra cli")

from pymilk.bridge import Sender, zenoh
from pymilk.channels import MessageLog
from pymilk.errors import LibraryMissingError
from support.calling import call, done
from support.waiting import until
from support.wires import Wires


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("send", "x", "--listen", "tcp/0.0.0.0:7447"), "--insecure"),
        (("recv", "rtc/x", "--connect", "tcp/rtc:7447"), "ssh -L"),
        (("ls", "--connect", "rtc"), "tcp/HOST:PORT"),
        (("router", "--listen", "tcp/10.0.0.1:7447"), "leaves this machine"),
        (("fetch", "rtc/x", "--connect", "tcp/rtc:7447"), "leaves this machine"),
        (("recv", "wfs"), "HOST/STREAM"),
        (("recv", "rtc/x", "--as", "a/b"), "a/b"),
        (("recv", "rtc/wfs*"), "is a pattern"),
        (("fetch", "*/wfs"), "is a pattern"),
        (("tail", "rtc/cam[01]"), "is a pattern"),
        (("router", "--listen", "tcp/127.0.0.1:1", "--listen", "tcp/127.0.0.1:1"), "is said twice"),
    ],
)
def test_wrong_addresses_and_names(arguments, why):
    result = call("bridge", *arguments)
    assert result.returncode == (2 if "pattern" in why else 1)
    assert why in result.stderr


def test_without_the_engine_it_says_what_to_install(monkeypatch):
    def missing(module, extra, purpose):
        raise LibraryMissingError(f"{purpose} need eclipse-zenoh: pip install eclipse-zenoh", extra=extra)

    monkeypatch.setattr(zenoh, "optional_library", missing)
    result = call("bridge", "ls")
    assert result.returncode == 1
    assert "pip install eclipse-zenoh" in result.stderr


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--connect", "tls/rtc:7447"), "pymilk bridge keys"),
        (("--tls-cert", "a.pem", "--tls-key", "a.key"), "need --tls-ca"),
        (("--tls-revoked", "a.crl"), "need --tls-ca"),
        (("--tls-ca", "ca.pem", "--tls-cert", "a.pem"), "belong together"),
        (("--listen", "tls/127.0.0.1:7447", "--tls-ca", "ca.pem"), "a certificate is needed"),
        (("--user", "me"), "belong together"),
        (("--config", "nothing.toml"), "nothing.toml cannot be read"),
    ],
)
def test_wrong_options_about_who_one_is(options, why):
    result = call("bridge", "ls", *options)
    assert result.returncode in (1, 2)
    assert why in result.stderr


def test_keys_are_made_and_listed(tmp_path):
    pytest.importorskip("cryptography", reason="extra net")
    made = done("bridge", "keys", tmp_path / "k", "rtc=10.0.0.1,rtc.site", "desk", "--days", 30)
    assert done("bridge", "keys", tmp_path / "k").split("\n")[0] == made.split("\n")[0]
    told = json.loads(done("bridge", "keys", tmp_path / "k", "--json"))
    assert [(each["name"], each["days"]) for each in told[1:]] == [("desk", 29), ("rtc", 29)]
    assert told[2]["addresses"] == ["rtc", "10.0.0.1", "rtc.site"]
    refused = call("bridge", "keys", tmp_path / "k", "rtc")
    assert refused.returncode == 1
    assert "--force" in refused.stderr
    assert done("bridge", "keys", tmp_path / "k", "rtc", "--force").split()
    listed = done("bridge", "keys", tmp_path / "k", "--revoke", "desk").split("\n")
    assert [line.split()[2] for line in listed[2:4]] == ["revoked", "364"]
    assert (tmp_path / "k" / "revoked.crl").exists()
    refused = call("bridge", "keys", tmp_path / "k", "desk", "--force")
    assert "choose another one" in refused.stderr


def test_streams_and_logs_are_listed_with_their_kinds(monkeypatch, make_stream):
    wires = Wires()
    monkeypatch.setattr(sys.modules["pymilk.bridge.directory"], "open_engine", lambda links, most: wires)
    make_stream("wfs", (4, 6), np.uint16)
    with (
        MessageLog.create("app", 8192) as log,
        Sender(("wfs",), host="rtc", log=("app",), engine=wires) as made,
    ):
        log.append("one")
        until(lambda: made.report.logs and made.report.streams)
        lines = call("bridge", "ls").stdout.splitlines()
        assert [line.split()[:5] for line in lines] == [
            ["stream", "kind", "dtype", "shape", "counter"], ["rtc/app", "log", "-", "-", "1"],
            ["rtc/wfs", "stream", "uint16", "4x6", "0"],
        ]  # fmt: skip
        told = json.loads(call("bridge", "ls", "--json").stdout)
        assert [each["kind"] for each in told] == ["log", "stream"]
