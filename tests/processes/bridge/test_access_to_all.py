"""What a rule about one stream lets pass: its frames, kinds of them, its past, its clock, its recordings."""

from __future__ import annotations

import contextlib
import os
import sys
from concurrent.futures import ThreadPoolExecutor

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
from support.bridging import free_port, start_all
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


def opened(links):
    """Open a session of somebody who asks several things: each of its own takes half a second."""
    return open_engine(links, nbytes_most(MAX_FRAME))


def test_a_rule_about_one_stream(served, links_as, address, tmp_path):
    rules = (Allow(("rtc",), send=("rtc/wfs*",)), Allow(("viewer",), receive=("rtc/wfs",)))
    hub, options = links_as("hub").tls, Options(history=10, bin=2)
    with contextlib.ExitStack() as stack:
        start_all(
            stack,
            Router(Links(listen=(address,), tls=hub, allow=rules)),
            Sender(("*",), links_as("rtc"), host="rtc", serve=served),
        )
        viewer = stack.enter_context(contextlib.closing(opened(links_as("viewer"))))
        receiver = stack.enter_context(
            Receiver("rtc/wfs", name="far", ring=64, options=options, engine=viewer)
        )
        with SHM("wfs") as wfs:
            until(lambda: receiver.report.received and receiver.report.clock_offset is not None)
            until(lambda: wfs.set_data(np.full((4, 6), 7, np.uint16)) or receiver.report.received > 12)
            until(lambda: receiver.rows()[-1]["cnt0"] == wfs.get_counter())
        report = receiver.report
        assert report.history >= 9
        assert (report.lost, report.refused, report.trouble) == (0, 0, "")
        (found,) = directory(timeout=30, engine=viewer)
        assert found.stream == "wfs"
        assert found.clock_offset is not None
        assert [each.name for each in recordings("rtc/wfs", engine=viewer)] == ["wfs.npy"]
        assert fetch("rtc/wfs", tmp_path / "out.npy", engine=viewer).frames == 20


def test_who_may_receive_what_is_gone_and_who_may_not(served, links_as, address, monkeypatch):
    """Recordings of a stream that is gone are offered under the pattern that the sender was given, which must
    be within the rules. A stream that somebody may not receive is not fetched either."""
    rules = (
        Allow(("rtc",), send=("rtc/wfs*", "rtc/dm")),
        Allow(("viewer",), receive=("rtc/wfs*",)),
        Allow(("desk",), receive=("rtc/wfs",)),
    )
    with contextlib.ExitStack() as stack:
        _, sender = start_all(
            stack,
            Router(Links(listen=(address,), tls=links_as("hub").tls, allow=rules)),
            Sender(("wfs*", "dm"), links_as("rtc"), host="rtc", serve=served),
        )
        with ThreadPoolExecutor(2) as pool:
            sessions = pool.map(opened, (links_as("viewer"), links_as("desk")))
            viewer, desk = (stack.enter_context(contextlib.closing(each)) for each in sessions)
        assert [each.name for each in recordings("rtc/wfs_old", engine=viewer)] == ["wfs_old.npy"]
        until(lambda: len(sender.report.streams) == 2)
        assert recordings("rtc/wfs", engine=desk)
        monkeypatch.setattr(sys.modules["pymilk.bridge.fetch"], "_FIRST_SECONDS", 0.1)
        for name in ("dm", "wfs_old"):
            with pytest.raises(BridgeError, match="access rules"):
                recordings(f"rtc/{name}", engine=desk)
    with pytest.raises(BridgeUnreachableError, match="nothing listens there"):
        recordings("rtc/wfs", links_as("viewer"))
