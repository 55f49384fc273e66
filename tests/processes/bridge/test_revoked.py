"""Certificates that were revoked, over the real engine: they connect, and may do nothing."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

pytest.importorskip("zenoh", reason="needs eclipse-zenoh, the extra net")
pytest.importorskip("cryptography", reason="needs cryptography, the extra net")

from pymilk import SHM
from pymilk.bridge import Allow, Links, Receiver, Router, Sender, revoke_certificates
from support.authorities import authority, tls_of
from support.bridging import free_port, start_all
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
