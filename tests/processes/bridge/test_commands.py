"""``pymilk bridge``: the commands as users start them."""

from __future__ import annotations

import json
import signal
import time

import numpy as np
import pytest

pytest.importorskip("zenoh", reason="needs eclipse-zenoh, the extra net")
pytest.importorskip("click", reason="extra cli")
pytest.importorskip("rich", reason="extra cli")

from pymilk import SHM
from support.bridging import free_port
from support.children import ended
from support.waiting import until


def test_send_receive_and_list(start_command, shm_dir):
    address = f"tcp/127.0.0.1:{free_port()}"
    with SHM("wfs", ((4, 6), np.uint16), ring=64) as source:
        sending = start_command("bridge", "send", "w*", "--host", "rtc", "--listen", address, "--json")
        receiving = start_command(
            "bridge", "recv", "rtc/wfs", "--as", "far", "--ring", 32, "--connect", address
        )
        until(lambda: (shm_dir / "far.im.shm").exists())
        with SHM("far") as far:
            until(lambda: far.get_counter() == source.get_counter())
            for _ in range(20):
                source.set_data(np.full((4, 6), 7, np.uint16))
                time.sleep(0.001)
            until(lambda: far.get_counter() == source.get_counter())
            assert far.get_data()[0, 0] == 7
        code, said, _ = ended(start_command("bridge", "ls", "--connect", address, "--timeout", 30, "--json"))
        (found,) = json.loads(said)
        last = source.get_counter()
        assert (code, found["host"], found["stream"], found["counter"]) == (0, "rtc", "wfs", last)
        assert (found["sent"], found["missing"], found["wanted"]) == (last, 0, True)
        receiving.send_signal(signal.SIGINT)
        code, said, _ = ended(receiving)
        assert code == 0
        assert f"rtc/wfs -> far: {source.get_counter()} frames, 0 lost" in said
        assert not (shm_dir / "far.im.shm").exists()
        sending.send_signal(signal.SIGTERM)
        code, said, _ = ended(sending)
        assert code == 0
        assert json.loads(said)["streams"][0]["sent"] == source.get_counter()


def test_an_address_that_nobody_listens_on(start_command, shm_dir):
    """It is said once, and tried on until Ctrl-C; a list of streams has nothing to wait for."""
    address = f"tcp/127.0.0.1:{free_port()}"
    receiving = start_command("bridge", "recv", "rtc/wfs", "--connect", address)
    code, said, err = ended(start_command("bridge", "ls", "--connect", address, "--timeout", 0))
    assert (code, said) == (1, "")
    assert err == f"pymilk: not connected: {address}: nothing listens there\n"
    assert receiving.stderr.readline() == "receiving rtc/wfs into wfs_rtc; Ctrl-C ends it\n"
    line = f"not connected: {address}: nothing listens there; it is tried again and again\n"
    assert receiving.stderr.readline() == line
    receiving.send_signal(signal.SIGINT)
    assert ended(receiving)[0] == 0
