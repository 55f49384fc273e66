"""Certificates and passwords over the real engine: who is let in, and what the others are told."""

from __future__ import annotations

import contextlib
import json
import signal
import socket

import numpy as np
import pytest

pytest.importorskip("zenoh", reason="needs eclipse-zenoh, the extra net")
pytest.importorskip("cryptography", reason="needs cryptography, the extra net")

from pymilk import SHM
from pymilk.bridge import Links, Login, Receiver, Router, Tls, directory, make_certificates
from pymilk.errors import BridgeKeyError, BridgeUnreachableError
from support.authorities import authority, make_expired, tls_of
from support.bridging import free_port, start_all
from support.children import ended
from support.waiting import until

#: A router of the authority in argv[1], under the name argv[2], at the address argv[3].
ROUTER = """
import sys
from pymilk.bridge import Links, Router, Tls
from support.authorities import tls_of
if sys.argv[2] == "old":
    Tls.context = lambda tls: None  # others have to notice it
links = Links(listen=(sys.argv[3],), tls=tls_of(sys.argv[1], sys.argv[2]))
with Router(links) as router:
    print("ready", flush=True)
    for line in sys.stdin:
        print(*router.report.connected, flush=True)
"""


@pytest.fixture
def keys(tmp_path):
    return authority(tmp_path / "keys", "rtc", "viewer")


def until_said(receiver, text):
    """Wait for a reason; on a busy machine another one may come first, that nothing answered in time."""
    until(lambda: any(text in each for each in receiver.report.not_connected))


def test_frames_come_through_tls(keys, shm_dir, start_command):
    """The commands, with options and with a configuration file; names of certificates are in the reports."""
    address = f"tls/127.0.0.1:{free_port()}"
    (keys / "rtc.toml").write_text(
        f"listen = ['{address}']\n[tls]\nca = 'ca.pem'\ncert = 'rtc.pem'\nkey = 'rtc.key'\n"
    )
    mine = ("--connect", address, "--tls-ca", keys / "ca.pem",
            "--tls-cert", keys / "viewer.pem", "--tls-key", keys / "viewer.key", "--json")  # fmt: skip
    with SHM("wfs", ((4, 6), np.uint16), ring=64) as source:
        source.set_data(np.full((4, 6), 7, np.uint16))
        sending = start_command("bridge", "send", "wfs", "--host", "rtc", "--config", keys / "rtc.toml")
        receiving = start_command("bridge", "recv", "rtc/wfs", "--as", "far", *mine)
        until(lambda: (shm_dir / "far.im.shm").exists())
        with SHM("far") as far:
            until(lambda: far.get_counter() == source.get_counter())
            assert (far.get_data() == 7).all()
        code, said, err = ended(start_command("bridge", "ls", *mine, "--timeout", 30))
        assert (code, json.loads(said)[0]["stream"], err) == (0, "wfs", "")
        for each in (receiving, sending):
            each.send_signal(signal.SIGINT)
        code, said, _ = ended(receiving)
        assert code == 0
        assert json.loads(said)["received"] == 1
        assert ended(sending)[0] == 0


def test_who_is_refused_and_what_is_said(keys, tmp_path, spawn):
    """All at once, because each waits for a second or two."""
    other = authority(tmp_path / "other", "rtc")
    make_expired(keys, "old")
    make_certificates(str(keys), {"else": ()})
    at = {name: f"tls/127.0.0.1:{free_port()}" for name in ("rtc", "old", "else", "nobody")}
    children = [spawn(ROUTER, keys, name, at[name]) for name in ("rtc", "old", "else")]
    for each in children:
        each.expect("ready")
    near = tls_of(keys, "viewer")
    good = at["rtc"]
    foreign = (str(other / f"rtc.{end}") for end in ("pem", "key"))
    with socket.create_server(("127.0.0.1", 0)) as mute:
        silent = f"tls/127.0.0.1:{mute.getsockname()[1]}"
        cases = {
            "it wants a certificate": Links(connect=(good,), tls=Tls(str(keys / "ca.pem"), mutual=False)),
            "its certificate is of another authority": Links(connect=(good,), tls=tls_of(other, "rtc")),
            "refuses this machine's certificate: another authority": Links(
                connect=(good,), tls=Tls(str(keys / "ca.pem"), *foreign)
            ),
            "its certificate has expired": Links(connect=(at["old"],), tls=near),
            "its certificate is for other addresses": Links(connect=(at["else"],), tls=near),
            "it is a port for tls/": Links(connect=(good.replace("tls", "tcp"),)),
            "it does not answer in TLS": Links(connect=(silent,), tls=near),
            "nothing listens there": Links(connect=(at["nobody"],), tls=near),
        }
        with contextlib.ExitStack() as stack:
            let_in = Receiver("rtc/wfs", Links(connect=(good,), tls=near))
            made = {
                said: Receiver(f"rtc/s{number}", links) for number, (said, links) in enumerate(cases.items())
            }
            start_all(stack, let_in, *made.values())
            for said, receiver in made.items():
                until_said(receiver, said)
                assert said in " ".join(str(receiver.report).split())
                assert not receiver.report.connected
                assert receiver.running
            until(lambda: let_in.report.connected == [f"rtc ({good})"])
            until(lambda: not let_in.report.not_connected)
            children[0].tell()
            assert children[0].hear().startswith("viewer (tls/127.0.0.1:")
            with pytest.raises(BridgeUnreachableError, match="not connected") as caught:
                directory(cases["it wants a certificate"], timeout=0)
            assert caught.value.addresses == (good,)


def test_what_is_refused_at_once(keys):
    make_expired(keys, "old")
    for start in (
        Router(Links(listen=("tls/127.0.0.1:1",), tls=tls_of(keys, "old"))).start,
        Receiver("rtc/wfs", Links(connect=("tls/127.0.0.1:1",), tls=tls_of(keys, "old"))).start,
        lambda: directory(Links(connect=("tls/127.0.0.1:1",), tls=tls_of(keys, "old"))),
    ):
        with pytest.raises(BridgeKeyError, match="expired on"):
            start()


def test_users_and_passwords(keys, spawn):
    """Certificates of the machine that listens alone: those who connect have a password."""
    (keys / "users").write_text("viewer:secret\n")
    (keys / "users").chmod(0o644)
    address = f"tls/127.0.0.1:{free_port()}"
    listening = Links(listen=(address,), tls=tls_of(keys, "rtc", mutual=False), passwords=str(keys / "users"))
    with pytest.raises(BridgeKeyError, match="chmod 600"):
        Router(listening).start()
    (keys / "users").chmod(0o600)
    ca = Tls(str(keys / "ca.pem"), mutual=False)
    with Router(listening) as router, contextlib.ExitStack() as stack:
        good = Receiver("rtc/wfs", Links(connect=(address,), tls=ca, login=Login("viewer", "secret")))
        made = [
            Receiver(f"rtc/s{number}", Links(connect=(address,), tls=ca, login=login))
            for number, login in enumerate((None, Login("viewer", "wrong"), Login("other", "secret")))
        ]
        start_all(stack, good, *made)
        until(lambda: good.report.connected)
        for receiver in made:
            until_said(receiver, "user or password")
            assert not receiver.report.connected
        assert len(router.report.connected) == 1
