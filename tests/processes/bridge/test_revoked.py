"""Certificates that were revoked, over the real engine: they connect, and may do nothing."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("zenoh", reason="needs eclipse-zenoh, the extra net")
pytest.importorskip("cryptography", reason="needs cryptography, the extra net")

from pymilk import SHM
from pymilk.bridge import Allow, Links, Receiver, Router, Sender, revoke_certificates
from support.authorities import authority, tls_of
from support.bridging import check_account, free_port, start_all
from support.waiting import until


@pytest.fixture
def keys(tmp_path):
    return authority(tmp_path / "keys", "hub", "rtc", "viewer", "lost", "desk")


@pytest.fixture
def address():
    return f"tls/127.0.0.1:{free_port()}"


@pytest.fixture
def links_as(keys, address):
    return lambda name, **given: Links(connect=(address,), tls=tls_of(keys, name, **given))


ALL = Allow(("rtc", "viewer", "lost"), send=("*/*",), receive=("*/*",))


@pytest.mark.parametrize("rules", [(), (ALL,)])
def test_who_was_revoked_neither_receives_nor_sends(keys, shm_dir, links_as, address, rules):
    """Without rules, and where rules allow it all; the others notice nothing."""
    tls = tls_of(keys, "hub", revoked=revoke_certificates(str(keys), ["lost"]))
    with contextlib.ExitStack() as stack:
        wfs, false = (
            stack.enter_context(SHM(name, ((4, 6), np.uint16), ring=64)) for name in ("wfs", "false")
        )
        router, _, lost, allowed, refused, deceived = start_all(
            stack,
            Router(Links(listen=(address,), tls=tls, allow=rules)),
            Sender(("wfs",), links_as("rtc"), host="rtc"),
            Sender(("false",), links_as("lost"), host="lost"),
            Receiver("rtc/wfs", links_as("viewer"), name="far"),
            Receiver("rtc/wfs", links_as("lost"), name="no"),
            Receiver("lost/false", links_as("viewer"), name="none"),
        )
        until(lambda: refused.report.connected and lost.report.connected and deceived.report.connected)
        until(lambda: wfs.set_data(np.full((4, 6), 7, np.uint16)) or allowed.report.received > 50)
        false.set_data(np.zeros((4, 6), np.uint16))
        for each in (refused, deceived):
            assert (each.report.received, each.report.senders) == (0, 0)
        assert not lost.report.streams[0].wanted
        denied = router.report.denied
        assert len(denied) == 2
        assert all(each.startswith("lost (tls/") for each in denied)
        assert all(each.endswith("): its certificate was revoked") for each in denied)


def test_a_certificate_that_is_revoked_while_it_is_used(keys, shm_dir, links_as, address):
    """Sender, receivers and the router go on; what is missing meanwhile is counted."""
    tls = tls_of(keys, "hub", revoked=revoke_certificates(str(keys), ["desk"]))
    with contextlib.ExitStack() as stack:
        wfs = stack.enter_context(SHM("wfs", ((4, 6), np.uint16), ring=512))
        router, _, allowed, lost = start_all(
            stack,
            Router(Links(listen=(address,), tls=tls)),
            Sender(("wfs",), links_as("rtc"), host="rtc"),
            Receiver("rtc/wfs", links_as("viewer"), name="far", ring=512),
            Receiver("rtc/wfs", links_as("lost"), name="no"),
        )

        def comes(receiver):
            goal = receiver.report.received + 10
            until(lambda: wfs.set_data(np.zeros((4, 6), np.uint16)) or receiver.report.received >= goal)

        comes(lost)
        comes(allowed)
        revoke_certificates(str(keys), ["lost"])
        # It is not named while the router begins anew.
        until(lambda: any(each.endswith("): its certificate was revoked") for each in router.report.denied))
        received = lost.report.received
        comes(allowed)
        assert (lost.report.received, lost.report.senders) == (received, 0)
        check_account(allowed, wfs)


@pytest.mark.parametrize("end", ["send", "receive"])
def test_ends_that_have_a_list_of_their_own_heed_it(keys, shm_dir, address, end):
    """Each of them listens here, and begins anew in the same place."""
    path = revoke_certificates(str(keys), ["desk"])
    there, here = ("lost", "viewer") if end == "receive" else ("viewer", "lost")
    listening = Links(
        listen=(address,), tls=tls_of(keys, {"send": there, "receive": here}[end], revoked=path)
    )
    connecting = Links(connect=(address,), tls=tls_of(keys, {"send": here, "receive": there}[end]))
    with contextlib.ExitStack() as stack:
        wfs = stack.enter_context(SHM("wfs", ((4, 6), np.uint16), ring=64))
        sender, receiver = start_all(
            stack,
            Sender(("wfs",), listening if end == "send" else connecting, host="rtc"),
            Receiver("rtc/wfs", connecting if end == "send" else listening, name="far"),
        )
        wary = sender if end == "send" else receiver
        until(lambda: wfs.set_data(np.zeros((4, 6), np.uint16)) or receiver.report.received > 10)
        revoke_certificates(str(keys), ["lost"])
        until(lambda: any("revoked" in each for each in wary.report.denied))
        until(lambda: not receiver.report.senders)
        received = receiver.report.received
        for _ in range(20):
            wfs.set_data(np.zeros((4, 6), np.uint16))
        assert receiver.report.received == received
        assert wary.running


def test_a_list_that_cannot_be_read_any_more_is_told_of(keys, address):
    path = revoke_certificates(str(keys), ["lost"])
    whole = Path(path).read_bytes()
    with Router(Links(listen=(address,), tls=tls_of(keys, "hub", revoked=path))) as router:
        Path(path).write_bytes(whole[:50])
        until(lambda: router.report.denied)
        (said,) = router.report.denied
        assert said.startswith("the list of revoked certificates was changed, and that before holds: ")
        assert "no list of revoked certificates in PEM" in said
        Path(path).write_bytes(whole)
        until(lambda: not router.report.denied)


def test_who_connects_to_a_revoked_machine(keys, shm_dir, links_as, address):
    """Here the one who connects has the list; another one without it hears the false hub."""
    path = revoke_certificates(str(keys), ["lost"])
    with contextlib.ExitStack() as stack:
        wfs = stack.enter_context(SHM("wfs", ((4, 6), np.uint16), ring=64))
        _, wary, trusting = start_all(
            stack,
            Sender(("wfs",), Links(listen=(address,), tls=tls_of(keys, "lost")), host="rtc"),
            Receiver("rtc/wfs", links_as("viewer", revoked=path), name="far"),
            Receiver("rtc/wfs", links_as("desk"), name="other"),
        )
        until(lambda: wary.report.denied)
        until(lambda: wfs.set_data(np.zeros((4, 6), np.uint16)) or trusting.report.received > 50)
        assert (wary.report.received, wary.report.senders) == (0, 0)
        assert "its certificate was revoked" in "".join(wary.report.reasons())


def test_who_is_in_no_rule_is_told_of(keys, links_as, address):
    """The router says so; the one who connects is told nothing."""
    rules = (Allow(("viewer",), receive=("rtc/*",)),)
    with contextlib.ExitStack() as stack:
        router, desk, _ = start_all(
            stack,
            Router(Links(listen=(address,), tls=tls_of(keys, "hub"), allow=rules)),
            Router(links_as("desk")),
            Router(links_as("viewer")),
        )
        until(lambda: len(router.report.connected) == 2)
        (denied,) = router.report.denied
        assert denied.startswith("desk (tls/")
        assert denied.endswith("): no rule names it")
        assert desk.report.denied == []
