"""Message logs of another machine, through the real engine and the commands."""

from __future__ import annotations

import contextlib
import json
import signal

import pytest

pytest.importorskip("zenoh", reason="needs eclipse-zenoh, the extra net")
pytest.importorskip("cryptography", reason="needs cryptography, the extra net")
pytest.importorskip("click", reason="extra cli")
pytest.importorskip("rich", reason="extra cli")

from pymilk.bridge import Allow, Links, Router, Sender, Tail
from pymilk.channels import MessageLog
from support.authorities import authority, tls_of
from support.bridging import Proxy, connecting, free_port, start_all
from support.children import ended
from support.waiting import until


@pytest.fixture
def log(shm_dir):
    with MessageLog.create("app") as made:
        yield made


def said_by(child, count):
    return [json.loads(child.stdout.readline()) for _ in range(count)]


def test_the_commands_and_a_killed_sender(log, start_command, shm_dir):
    """What was written while nobody sent comes when it is sent again."""
    address = f"tcp/127.0.0.1:{free_port()}"
    command = ("bridge", "send", "--log", "a*", "--host", "rtc", "--listen", address)
    log.append_many(["one", "two"])
    sending = start_command(*command)
    tailing = start_command(
        "bridge", "tail", "rtc/app", "-n", 1, "--follow", "--as", "far", "--json", "--connect", address
    )
    assert [each["text"] for each in said_by(tailing, 1)] == ["two"]
    log.append("three")
    assert [each["number"] for each in said_by(tailing, 1)] == [3]
    sending.kill()
    sending.wait(30)
    log.append_many(["four", "five"])
    sending = start_command(*command, "--json")
    found = said_by(tailing, 2)
    assert [(each["number"], each["text"], each["lost"]) for each in found] == [
        (4, "four", 0),
        (5, "five", 0),
    ]
    tailing.send_signal(signal.SIGINT)
    code, _, err = ended(tailing)
    assert code == 0
    assert "rtc/app: 4 messages, 0 lost (0 before, 0 on the way, 0 away)" in err
    with MessageLog.attach("far", start="oldest") as far:
        assert [far.read(0).data for _ in range(4)] == ["two", "three", "four", "five"]
    sending.send_signal(signal.SIGINT)
    code, said, _ = ended(sending)
    assert (code, json.loads(said)["logs"][0]["sent"]) == (0, 2)


def test_a_link_that_is_cut(log, shm_dir, monkeypatch):
    """While messages are written. After a second cut at once the engine stays connected and deaf."""
    monkeypatch.setattr("pymilk.bridge.deafness._SECONDS", 0.3)
    port = free_port()
    listen = Links(listen=(f"tcp/127.0.0.1:{port}",))
    with contextlib.ExitStack() as stack:
        proxy = stack.enter_context(Proxy(port))
        _, reader = start_all(
            stack,
            Sender((), listen, host="rtc", log=("app",)),
            Tail("rtc/app", connecting(proxy.port), last=0),
        )
        until(lambda: reader._ask() or reader._heard)
        found = []
        for _ in range(3):
            log.append("before")
            proxy.cut()
            log.append_many(f"behind {number}" for number in range(3))
            while not found or found[-1] < log.count:
                found.append(reader.read(30).number)
        assert found == list(range(1, log.count + 1))
        assert reader.report.lost == 0


def test_rules_hold_for_logs(log, shm_dir, tmp_path):
    """A rule about a name is about the stream and the log of that name."""
    keys, address = authority(tmp_path / "keys", "hub", "rtc", "viewer"), f"tls/127.0.0.1:{free_port()}"
    rules = (Allow(("rtc",), send=("rtc/*",)), Allow(("viewer",), receive=("rtc/app",)))
    mine = Links(connect=(address,), tls=tls_of(keys, "viewer"))
    log.append("hello")
    with contextlib.ExitStack() as stack:
        secret = stack.enter_context(MessageLog.create("secret"))
        _, sender, refused, allowed = start_all(
            stack,
            Router(Links(listen=(address,), tls=tls_of(keys, "hub"), allow=rules)),
            Sender((), Links(connect=(address,), tls=tls_of(keys, "rtc")), host="rtc", log=("*",)),
            Tail("rtc/secret", mine),
            Tail("rtc/app", mine),
        )
        secret.append("not for all")
        assert allowed.read(30).data == "hello"
        until(lambda: refused.report.connected)
        assert not refused._ask()
        assert {each.log: each.sent for each in sender.report.logs} == {"app": 1, "secret": 0}
        assert "nobody answers for rtc/secret" in refused.report.reasons()[0]
