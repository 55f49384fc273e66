"""Parameters between two processes over the real engine: set, watched, refused; rules; what comes again."""

from __future__ import annotations

import json
import os
import select
import signal

import pytest

pytest.importorskip("zenoh", reason="needs eclipse-zenoh, the extra net")

from pymilk.bridge import Allow, Links, RemoteParameters, Router, remote_fps
from pymilk.bridge.keys import SET, TURN, parameter_key
from pymilk.bridge.parameters import asking
from pymilk.bridge.parameters.wire import decode, encode
from pymilk.errors import (
    BridgeError,
    BridgeForbiddenError,
    BridgeUnreachableError,
    FPSLimitError,
    StreamForkedError,
)
from pymilk.parameters import FPS
from support.attackers import raw_session
from support.authorities import authority, tls_of
from support.bridging import connecting, free_port
from support.children import ended
from support.waiting import until

#: A host of all its parameters: address, directory of certificates ("" for none).
HOST = """
import sys
from pymilk.bridge import Links, ParameterOffer, Sender
from support.authorities import tls_of
address, keys = sys.argv[1:]
links = Links(connect=(address,), tls=tls_of(keys, "rtc")) if keys else Links(listen=(address,))
offer = ParameterOffer(("*",), set=("loop/*",), command=("loop/*stop",))
with Sender((), links, host="rtc", params=offer) as sender:
    print("ready", flush=True)
    for line in sys.stdin:
        report = sender.report.parameters
        print(report.written, report.repeated, report.refused, flush=True)
"""

#: The conf process of the fps, until it is told to end.
CONF = """
from pymilk.parameters import FPS
with FPS("loop") as fps, fps.running(conf=True, run=False) as run:
    print("ready", flush=True)
    print(run.wait(60), flush=True)
"""


@pytest.fixture
def loop(shm_dir):
    with FPS.create("loop", directories=False) as made:
        made.add_param("gain", default=0.25, limits=(0.0, 1.0))
        made.add_param("mode", default=1)
        yield made


def test_set_from_one_seen_by_the_other(loop, spawn):
    port = free_port()
    host = spawn(HOST, f"tcp/127.0.0.1:{port}", "")
    host.expect("ready")
    with RemoteParameters("rtc", "loop", connecting(port), timeout=60) as remote:
        assert remote.as_dict() == loop.as_dict()
        remote["gain"] = 0.5
        assert (loop["gain"], loop.param("gain").cnt0) == (0.5, 2)
        with pytest.raises(FPSLimitError, match=r"0.0 to 1.0"):
            remote["gain"] = 2.0
        process = spawn(CONF)
        process.expect("ready")
        assert remote.conf_state == "running"
        remote.conf_stop(60)
        process.expect("True")
        assert process.finish()[0] == 0
        with pytest.raises(BridgeForbiddenError, match="--allow-command loop/runstart"):
            remote.run_start(0)
        with remote.watch("gain", "mode") as watch:
            for number in range(2, 30):
                loop["mode"] = number
                assert next(watch)[:3] == ("mode", number, number)
        if not (child := os.fork()):  # the connection stays with the parent
            try:
                remote.as_dict()
            except StreamForkedError:
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert remote["gain"] == 0.5
        host.kill()
        remote._asking._timeout = 0.1
        until(lambda: not remote_fps(timeout=0, engine=remote._asking.engine))
        with pytest.raises(BridgeUnreachableError, match="nothing listens there"):
            remote["gain"] = 0.75
    assert loop["gain"] == 0.5


def test_what_is_put_on_the_wire_again_is_not_done_again(loop, spawn):
    port = free_port()
    host = spawn(HOST, f"tcp/127.0.0.1:{port}", "")
    host.expect("ready")
    session = raw_session(f"tcp/127.0.0.1:{port}")

    def ask(does, what, question):
        replies = session.get(parameter_key("rtc", "loop", does, what), payload=question, timeout=30)
        return [decode(each.ok.payload.to_bytes(), 1 << 20) for each in replies if each.ok is not None]

    until(lambda: ask(TURN, "new", b""))
    turn = ask(TURN, "new", b"")[0]["turn"]
    first, second = (encode({"turn": turn, "number": each, "value": each / 10}) for each in (1, 2))
    assert ask(SET, "gain", first)[0]["value"] == 0.1
    assert ask(SET, "gain", second)[0]["value"] == 0.2
    loop["gain"] = 0.9
    assert ask(SET, "gain", second)[0]["value"] == 0.2
    for bad in (first, b"", b"PMFP" + b"\xff" * 60000, second[:-1]):
        assert "error" in ask(SET, "gain", bad)[0]
    third = encode({"turn": turn, "number": 3, "value": 0.3})
    assert "error" in ask(SET, "*", third)[0]
    session.close()
    assert loop["gain"] == 0.9
    host.tell()
    assert host.hear() == "2 1 5"
    assert host.finish()[::2] == (0, "")


def test_rules_by_certificate(loop, tmp_path, spawn, monkeypatch):
    """At a router: who reads, who sets which one, who neither."""
    pytest.importorskip("cryptography", reason="needs cryptography, the extra net")
    keys = authority(tmp_path / "keys", "hub", "rtc", "desk", "operator", "viewer")
    address = f"tls/127.0.0.1:{free_port()}"
    rules = (
        Allow(("rtc",), offer=("rtc/*",)),
        Allow(("desk",), read=("rtc/*",)),
        Allow(("operator",), set=("rtc/loop/gain",), command=("rtc/loop/confstop",)),
        Allow(("viewer",), receive=("*/*",)),
    )

    def links(name):
        return Links(connect=(address,), tls=tls_of(keys, name))

    with (
        Router(Links(listen=(address,), tls=tls_of(keys, "hub"), allow=rules)) as router,
        RemoteParameters("rtc", "loop", links("desk"), timeout=60) as desk,
        RemoteParameters("rtc", "loop", links("operator"), timeout=60) as operator,
        RemoteParameters("rtc", "loop", links("viewer"), timeout=0.1) as viewer,
    ):
        spawn(HOST, address, keys).expect("ready")
        assert desk.as_dict() == loop.as_dict()
        operator["gain"] = 0.5
        operator.conf_stop(0)
        assert loop["gain"] == desk["gain"] == operator["gain"] == 0.5
        with desk.watch("mode") as watch:
            loop["mode"] = 7
            assert next(watch).value == 7
        monkeypatch.setattr(asking, "_ATTEMPT_SECONDS", 60.0)
        monkeypatch.setattr(asking, "_CANCEL_SECONDS", 60.0)
        for remote in (desk, operator):
            remote._asking._timeout = 0.1
        for call in (
            lambda: desk.set("gain", 0.75), desk.conf_stop, lambda: operator.set("mode", 2), operator.run_stop
        ):  # fmt: skip
            with pytest.raises(BridgeForbiddenError, match="access rules do not let this machine"):
                call()
        assert loop.as_dict() == {"gain": 0.5, "mode": 7}
        assert [each["name"] for each in remote_fps(engine=desk._asking.engine, timeout=30)] == ["loop"]
        until(lambda: any(each.startswith("viewer") for each in router.report.connected))
        with pytest.raises(BridgeError, match="nobody offers"):
            viewer.as_dict()


def test_the_commands(loop, start_command):
    pytest.importorskip("click", reason="extra cli")
    pytest.importorskip("rich", reason="extra cli")
    address = f"tcp/127.0.0.1:{free_port()}"
    sending = start_command("bridge", "send", "--host", "rtc", "--params", "l*", "--allow-set", "loop/gain",
                            "--listen", address, "--json")  # fmt: skip
    assert sending.stderr.readline() == f"sending parameters of l* as rtc, {address}; Ctrl-C ends it\n"
    watching = start_command("bridge", "params", "rtc", "loop", "--watch", "--json",
                             "--connect", address, "--timeout", 60)  # fmt: skip
    told: list[object] = []
    while not told:  # until it listens
        loop["mode"] += 1
        told, _, _ = select.select([watching.stdout], [], [], 0.1)
    assert json.loads(watching.stdout.readline())["key"] == "mode"
    for each in (watching, sending):
        each.send_signal(signal.SIGINT)
    ended(watching)
    code, said, _ = ended(sending)
    assert (code, json.loads(said)["parameters"]["fps"]) == (0, ["loop"])
