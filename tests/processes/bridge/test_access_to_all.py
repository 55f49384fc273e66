"""What a rule about one stream lets pass: its frames, kinds of them, its past, its clock, its recordings."""

from __future__ import annotations

import contextlib
import os
import sys

import numpy as np
import pytest

pytest.importorskip("zenoh", reason="needs eclipse-zenoh, the extra net")
pytest.importorskip("cryptography", reason="needs cryptography, the extra net")

import pymilk
from pymilk import SHM
from pymilk.bridge import Allow, Links, Options, Receiver, Router, Sender, directory, fetch, recordings
from pymilk.bridge.header import MAX_FRAME, nbytes_most
from pymilk.bridge.zenoh import open_engine
from pymilk.errors import BridgeError, BridgeUnreachableError
from support.authorities import authority, tls_of
from support.bridging import free_port
from support.waiting import until


@pytest.fixture
def address():
    return f"tls/127.0.0.1:{free_port()}"


@pytest.fixture
def links_as(tmp_path, address):
    keys = authority(tmp_path / "keys", "hub", "rtc", "viewer", "desk")
    return lambda name: Links(connect=(address,), tls=tls_of(keys, name))


@pytest.fixture
def served(shm_dir, tmp_path):
    """Streams wfs and dm, and recordings of them and of one that is gone."""
    (tmp_path / "served").mkdir()
    with contextlib.ExitStack() as stack:
        for name in ("wfs", "dm", "wfs_old"):
            shm = stack.enter_context(SHM(name, ((4, 6), np.uint16), ring=64))
            with shm.ring_reader() as ring:
                shm.set_many(np.zeros((20, 4, 6), np.uint16))
                pymilk.save(ring.read(20), tmp_path / "served" / f"{name}.npy")
            if name == "wfs_old":
                os.remove(shm_dir / "wfs_old.im.shm")
        yield tmp_path / "served"


def test_a_rule_about_one_stream(served, links_as, address, tmp_path):
    rules = (Allow(("rtc",), send=("rtc/wfs*",)), Allow(("viewer",), receive=("rtc/wfs",)))
    hub = links_as("hub").tls
    with (
        Router(Links(listen=(address,), tls=hub, allow=rules)),
        Sender(("*",), links_as("rtc"), host="rtc", serve=served),
        Receiver(
            "rtc/wfs", links_as("viewer"), name="far", ring=64, options=Options(history=10, bin=2)
        ) as receiver,
    ):
        with SHM("wfs") as wfs:
            until(lambda: receiver.report.received and receiver.report.clock_offset is not None)
            until(lambda: wfs.set_data(np.full((4, 6), 7, np.uint16)) or receiver.report.received > 12)
            until(lambda: receiver.rows()[-1]["cnt0"] == wfs.get_counter())
        report = receiver.report
        assert report.history >= 9
        assert (report.lost, report.refused, report.trouble) == (0, 0, "")
        (found,) = directory(links_as("viewer"), timeout=30)
        assert found.stream == "wfs"
        assert found.clock_offset is not None
        assert [each.name for each in recordings("rtc/wfs", links_as("viewer"))] == ["wfs.npy"]
        assert fetch("rtc/wfs", tmp_path / "out.npy", links_as("viewer")).frames == 20


def test_recordings_of_a_stream_that_is_gone(served, links_as, address):
    """They are offered under the pattern that the sender was given: it must be within the rules."""
    rules = (Allow(("rtc",), send=("rtc/wfs*",)), Allow(("viewer",), receive=("rtc/wfs*",)))
    with (
        Router(Links(listen=(address,), tls=links_as("hub").tls, allow=rules)),
        Sender(("wfs*",), links_as("rtc"), host="rtc", serve=served),
    ):
        assert [each.name for each in recordings("rtc/wfs_old", links_as("viewer"))] == ["wfs_old.npy"]


def test_who_may_not_receive_fetches_nothing(served, links_as, address, monkeypatch):
    rules = (Allow(("rtc",), send=("rtc/*",)), Allow(("viewer",), receive=("rtc/wfs",)))
    with (
        Router(Links(listen=(address,), tls=links_as("hub").tls, allow=rules)),
        Sender(("wfs", "dm"), links_as("rtc"), host="rtc", serve=served) as sender,
        contextlib.closing(open_engine(links_as("viewer"), nbytes_most(MAX_FRAME))) as engine,
    ):
        until(lambda: len(sender.report.streams) == 2)
        assert recordings("rtc/wfs", engine=engine)
        monkeypatch.setattr(sys.modules["pymilk.bridge.fetch"], "_FIRST_SECONDS", 0.1)
        with pytest.raises(BridgeError, match="access rules"):
            recordings("rtc/dm", engine=engine)
    with pytest.raises(BridgeUnreachableError, match="nothing listens there"):
        recordings("rtc/wfs", links_as("viewer"))
