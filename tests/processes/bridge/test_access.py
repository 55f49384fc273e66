"""Rules by the names of certificates, at a router between a sender and those who want its frames."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

pytest.importorskip("zenoh", reason="needs eclipse-zenoh, the extra net")
pytest.importorskip("cryptography", reason="needs cryptography, the extra net")

from pymilk import SHM
from pymilk.bridge import Allow, Links, Login, Receiver, Router, Sender, directory
from pymilk.bridge.keys import FRAMES, key_of
from support.authorities import authority, tls_of
from support.bridging import free_port
from support.waiting import until

#: Puts a message again and again on keys of argv[4:], as the certificate argv[3], until a line comes.
ATTACKER = """
import sys, threading
from support.attackers import raw_session
address, directory, name, *keys = sys.argv[1:]
session = raw_session(address, directory, name)
over = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), over.set()), daemon=True).start()
print("ready", flush=True)
while not over.wait(0.01):
    for key in keys:
        session.put(key, b"not from the camera")
session.close()
"""


@pytest.fixture
def keys(tmp_path):
    return authority(tmp_path / "keys", "hub", "rtc", "viewer", "desk")


@pytest.fixture
def address():
    return f"tls/127.0.0.1:{free_port()}"


@pytest.fixture
def links_as(keys, address):
    return lambda name: Links(connect=(address,), tls=tls_of(keys, name))


@pytest.fixture
def router(keys, address):
    rules = (
        Allow(("rtc",), send=("rtc/*",)),
        Allow(("viewer",), receive=("rtc/w*s",)),
        Allow(("desk",), send=("desk/*",)),
    )
    with Router(Links(listen=(address,), tls=tls_of(keys, "hub"), allow=rules)) as made:
        yield made


@pytest.fixture
def sources(shm_dir):
    with contextlib.ExitStack() as stack:
        made = [stack.enter_context(SHM(name, ((4, 6), np.uint16), ring=64)) for name in ("wfs", "dm")]
        for each in made:
            each.set_data(np.full((4, 6), 7, np.uint16))
        yield made


def test_who_may_not_receive_gets_nothing(router, sources, links_as, address):
    """The engine does not tell whom it refuses: such a receiver is connected, and sees no sender."""
    source = sources[0]
    with (
        Sender(("wfs", "dm"), links_as("rtc"), host="rtc") as sender,
        Receiver("rtc/wfs", links_as("viewer"), name="far") as allowed,
        Receiver("rtc/dm", links_as("viewer"), name="far_dm") as other,
        Receiver("rtc/wfs", links_as("desk"), name="desk") as refused,
    ):
        until(lambda: allowed.report.received)
        for each in (other, refused):
            until(lambda each=each: each.report.connected)
        goal = source.get_counter() + 50
        while source.get_counter() < goal:
            source.set_data(np.full((4, 6), 7, np.uint16))
        until(lambda: allowed.rows()[-1]["cnt0"] == goal)
        assert [(each.host, each.stream) for each in directory(links_as("viewer"), timeout=30)] == [
            ("rtc", "wfs")
        ]
        assert directory(links_as("desk"), timeout=0) == []
        for each in (other, refused):
            report = each.report
            assert (report.received, report.refused, report.sender, report.not_connected) == (0, 0, False, [])
            assert f"hub ({address}) offers no {each.source}" in report.reasons()[0]
        assert {line.stream: line.wanted for line in sender.report.streams} == {"wfs": True, "dm": False}


def publish_through(source, receiver, count):
    for _ in range(count):
        before = receiver.report.received
        source.set_data(np.full((4, 6), 7, np.uint16))
        until(lambda before=before: receiver.report.received > before)


def connected(router, name):
    return sum(each.startswith(f"{name} (") for each in router.report.connected)


def test_frames_of_who_may_not_send_never_arrive(router, sources, links_as, keys, address, spawn):
    """First the same attack with a certificate that may send, to know that it reaches its aim."""
    wanted = key_of("rtc", "wfs", FRAMES)
    with (
        Sender(("wfs",), links_as("rtc"), host="rtc"),
        Receiver("rtc/wfs", links_as("viewer"), name="far") as receiver,
    ):
        until(lambda: receiver.report.received)
        own, refused = {"rtc": 1, "desk": 0, "viewer": 1}, []
        for name in ("rtc", "desk", "viewer"):
            attacker = spawn(ATTACKER, address, keys, name, wanted)
            attacker.expect("ready")
            until(lambda name=name: connected(router, name) > own[name])
            if name == "rtc":
                until(lambda: receiver.report.refused)
            publish_through(sources[0], receiver, 50)
            attacker.tell()
            attacker.finish()
            until(lambda name=name: connected(router, name) == own[name])
            publish_through(sources[0], receiver, 1)  # behind all that the attacker sent
            refused.append(receiver.report.refused)
        assert refused[0] == refused[1] == refused[2]
        assert receiver.report.lost == 0


def test_rules_by_user(shm_dir, tmp_path):
    """Users with passwords, on this machine; a star is all of them."""
    users = tmp_path / "users"
    users.write_text("rtc:a\nviewer:b\ndesk:c\n")
    users.chmod(0o600)
    address = f"tcp/127.0.0.1:{free_port()}"

    def links(user, password):
        return Links(connect=(address,), login=Login(user, password))

    rules = (
        Allow(("*",), receive=("rtc/dm",)),
        Allow(("rtc",), send=("*/*",)),
        Allow(("viewer",), receive=("*/wfs",)),
    )
    with (
        SHM("wfs", ((4, 6), np.uint16), ring=64) as wfs,
        SHM("dm", ((4, 6), np.uint16), ring=64) as dm,
        Router(Links(listen=(address,), passwords=str(users), allow=rules)),
        Sender(("wfs", "dm"), links("rtc", "a"), host="rtc"),
        Receiver("rtc/wfs", links("viewer", "b"), name="far") as allowed,
        Receiver("rtc/dm", links("desk", "c"), name="far_dm") as star,
        Receiver("rtc/wfs", links("desk", "c"), name="desk") as refused,
    ):
        for each in (wfs, dm):
            each.set_data(np.full((4, 6), 7, np.uint16))
        until(lambda: allowed.report.received and star.report.received and refused.report.connected)
        assert not refused.report.sender
        assert [each.stream for each in directory(links("desk", "c"), timeout=30)] == ["dm"]
