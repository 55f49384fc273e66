"""Streams through the real engine, between real processes, which are killed, and links that are cut."""

from __future__ import annotations

import contextlib
import os
import time

import numpy as np
import pytest

pytest.importorskip("zenoh", reason="needs eclipse-zenoh, the extra net")

from pymilk import SHM, Stream
from pymilk.bridge import FLAG_AWAY, Links, Receiver, Router, Sender, directory
from pymilk.errors import BridgeError, StreamInUseError
from support.bridging import Proxy, connecting, free_port, listening, start_all
from support.engine import without_engine
from support.waiting import until
from support.wires import Wires

SENDER = """
import sys
from pymilk.bridge import Sender
from support.bridging import connecting, listening
links = (listening if sys.argv[2] == "listen" else connecting)(int(sys.argv[1]))
with Sender(("wfs*",), links, host="rtc") as sender:
    print("ready", flush=True)
    sys.stdin.readline()
    report = sender.report.streams[0]
    print(report.sent, report.missing, flush=True)
"""

RECEIVER = """
import sys
from pymilk.bridge import Receiver
from support.bridging import connecting
with Receiver("rtc/wfs", connecting(int(sys.argv[1])), name="far", ring=64) as receiver:
    print("ready", flush=True)
    sys.stdin.readline()
    report = receiver.report
    print(report.received, report.before, report.on_way, report.away, flush=True)
"""


@pytest.fixture
def source(shm_dir):
    with SHM("wfs", ((32, 32), np.uint32), ring=512) as shm:
        yield shm


@pytest.fixture
def port():
    return free_port()


def publish(source, count):
    for _ in range(count):
        source.set_data(np.full((32, 32), source.get_counter() + 1, np.uint32))
        time.sleep(0.001)


def until_far(receiver, source):
    """Publish until a frame has come all the way: what is lost is known with the next frame only."""
    goal = source.get_counter() + 1

    def came():
        source.set_data(np.full((32, 32), source.get_counter() + 1, np.uint32))
        rows = receiver.rows()
        time.sleep(0.002)
        return len(rows) and rows[-1]["cnt0"] >= goal

    until(came)
    until(lambda: receiver.rows()[-1]["cnt0"] == source.get_counter())


def check_account(receiver, first):
    """Compare gaps of the counters with what is said to be lost."""
    rows, report = receiver.rows(), receiver.report
    assert rows["cnt0"][0] == first
    assert (np.diff(rows["cnt0"].astype(int)) == rows["lost"][1:].astype(int) + 1).all()
    assert report.received + report.lost == rows["cnt0"][-1] - first + 1
    assert report.refused == 0


def test_frames_come_whole_and_in_order(source, port, spawn):
    sending = spawn(SENDER, port, "listen")
    sending.expect("ready")
    with Receiver("rtc/wfs", connecting(port), name="far", ring=512) as receiver:
        until(lambda: receiver.report.received)
        with SHM("far") as far, far.ring_reader(start="next") as ring:
            first = receiver.rows()[-1]["cnt0"]
            publish(source, 300)
            until_far(receiver, source)
            capture = ring.read(300)
        check_account(receiver, first)
        assert receiver.report.lost == 0
        assert (capture.frames == capture.info["cnt0"][:, None, None]).all()
        assert (np.diff(capture.info["atime_ns"]) > 0).all()
        until(lambda: receiver.report.sender)
        sending.tell()
        sent, missing = map(int, sending.hear().split())
        assert (sent, missing) == (receiver.report.received, 0)
        sending.finish()
        until(lambda: not receiver.report.sender)


WRITER = """
import sys
import numpy as np
from pymilk import SHM
with SHM(sys.argv[1], ((2, 2), np.uint8)) as mine:
    mine.set_data(np.ones((2, 2), np.uint8))
    print("ready", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.filterwarnings("ignore::pymilk.errors.StreamInUseWarning")
def test_a_name_that_another_process_writes_is_refused_in_the_words_of_a_receiver(source, spawn):
    spawn(WRITER, "far").expect("ready")
    wires = Wires()
    with Sender(("wfs",), host="rtc", engine=wires):
        until(lambda: wires.here)
        with Receiver("rtc/wfs", name="far", engine=wires) as receiver:
            with pytest.raises(StreamInUseError) as caught:
                receiver.wait(60)
            assert str(caught.value).endswith("end it first, choose another name, or force it")
        with Receiver("rtc/wfs", name="far", force=True, engine=wires) as forced:
            publish(source, 1)
            until(lambda: forced.report.received)


def test_a_killed_sender_is_followed_and_its_absence_counted(source, port, spawn):
    sending = spawn(SENDER, port, "listen")
    sending.expect("ready")
    with Receiver("rtc/wfs", connecting(port), name="far", ring=64) as receiver:
        until(lambda: receiver.report.received)
        first = receiver.rows()[0]["cnt0"]
        publish(source, 20)
        until_far(receiver, source)
        before = receiver.rows()[-1]["cnt0"]
        sending.kill()
        until(lambda: not receiver.report.sender)
        publish(source, 20)
        again = spawn(SENDER, port, "listen")
        again.expect("ready")
        until_far(receiver, source)
        check_account(receiver, first)
        report, rows = receiver.report, receiver.rows()
        assert report.away >= 19
        (gap,) = rows[rows["flags"] & FLAG_AWAY > 0]
        assert gap["cnt0"] - gap["lost"] == before + 1
        again.tell()
        again.finish()
    assert not [name for name in os.listdir("/dev/shm") if name.endswith(".zenoh")]


def test_a_killed_receiver_is_gone_on_with(source, port, spawn):
    with Sender(("wfs",), listening(port), host="rtc"):
        first = spawn(RECEIVER, port)
        first.expect("ready")
        until(lambda: os.path.exists(os.path.join(os.environ["MILK_SHM_DIR"], "far.im.shm")))
        with SHM("far") as far:
            until(lambda: far.get_counter() == source.get_counter())
            publish(source, 20)
            until(lambda: far.get_counter() == source.get_counter())
            first.kill()
            publish(source, 20)
            with Receiver("rtc/wfs", connecting(port), name="far", ring=64) as receiver:
                until(lambda: far.get_counter() == source.get_counter())  # the same file
                report = receiver.report
                assert (report.lost, report.away) == (19, 19)


def test_cut_and_stalled_links(source, port):
    with (
        Sender(("wfs",), listening(port), host="rtc"),
        Proxy(port) as proxy,
        Receiver("rtc/wfs", connecting(proxy.port), name="far", ring=64) as receiver,
    ):
        until(lambda: receiver.report.received)
        first = receiver.rows()[0]["cnt0"]
        publish(source, 20)
        proxy.cut()
        publish(source, 50)
        until_far(receiver, source)
        check_account(receiver, first)
        proxy.stall()
        publish(source, 50)
        proxy.flow()
        until_far(receiver, source)
        check_account(receiver, first)


def test_a_slow_receiver_holds_nobody_up(source, port):
    """One that takes nothing: the writer, the sender and another receiver go on."""
    with (
        Sender(("wfs",), listening(port), host="rtc"),
        Proxy(port) as proxy,
        Receiver("rtc/wfs", connecting(proxy.port), name="slow", ring=8) as slow,
        Receiver("rtc/wfs", connecting(port), name="far", ring=8) as quick,
    ):
        until_far(slow, source)  # who listens later waits for the next frame
        until_far(quick, source)
        first = quick.rows()[0]["cnt0"]
        proxy.stall()
        publish(source, 100)
        until_far(quick, source)
        check_account(quick, first)
        assert quick.report.on_way == 0
        proxy.flow()


def test_through_a_router_that_is_killed_and_comes_again(source, port, spawn):
    router = (
        "import sys\n"
        "from pymilk.bridge import Router\n"
        "from support.bridging import listening\n"
        "with Router(listening(int(sys.argv[1]))):\n"
        "    print('ready', flush=True)\n"
        "    sys.stdin.readline()\n"
    )
    first_router = spawn(router, port)
    first_router.expect("ready")
    with (
        Sender(("wfs",), connecting(port), host="rtc"),
        Receiver("rtc/wfs", connecting(port), name="far", ring=64) as receiver,
    ):
        until(lambda: receiver.report.received)
        first = receiver.rows()[0]["cnt0"]
        (found,) = directory(connecting(port), timeout=30)
        assert (found.host, found.stream, found.wanted) == ("rtc", "wfs", True)
        first_router.kill()
        publish(source, 20)
        second_router = spawn(router, port)
        second_router.expect("ready")
        until_far(receiver, source)
        check_account(receiver, first)
        second_router.tell()
        second_router.finish()


def test_a_port_in_use(port, shm_dir):
    with Router(listening(port)), pytest.raises(BridgeError, match=f"listening on tcp/127.0.0.1:{port}"):
        Router(listening(port)).start()


def test_left_running_it_ends_with_the_interpreter(source, port, spawn):
    child = spawn(
        "import sys\n"
        "from pymilk.bridge import Receiver, Sender, directory\n"
        "from support.bridging import connecting, listening\n"
        "port = int(sys.argv[1])\n"
        "sender = Sender(('wfs',), listening(port), host='rtc').start()\n"
        "receiver = Receiver('rtc/wfs', connecting(port), name='far', ring=8).start()\n"
        "assert directory(connecting(port), timeout=30)\n",
        port,
    )
    code, out, err = child.finish()
    assert (code, out, without_engine(err)) == (0, "", "")
    with pytest.raises(FileNotFoundError):
        Stream.attach("far")


def test_a_forked_child_has_none_of_it(source, port, spawn):
    child = spawn(
        "import os, sys\n"
        "from pymilk.bridge import Receiver, Sender\n"
        "from pymilk.errors import StreamForkedError\n"
        "from support.bridging import connecting, listening\n"
        "from support.waiting import until\n"
        "port = int(sys.argv[1])\n"
        "sender = Sender(('wfs',), listening(port), host='rtc').start()\n"
        "receiver = Receiver('rtc/wfs', connecting(port), name='far', ring=8).start()\n"
        "until(lambda: receiver.report.received)\n"
        "child = os.fork()\n"
        "for each in (sender, receiver) if not child else ():\n"
        "    try:\n"
        "        each.wait(1)\n"
        "    except StreamForkedError:\n"
        "        print('not here', flush=True)\n"
        "    assert not each.running\n"
        "    each.stop()\n"
        "if child:\n"
        "    assert os.waitpid(child, 0)[1] == 0\n"
        "    assert sender.running and receiver.running\n",
        port,
    )
    code, out, err = child.finish()
    assert (code, out, without_engine(err)) == (0, "not here\nnot here\n", "")


def test_a_link_that_is_cut_as_soon_as_it_is_there_again(shm_dir, monkeypatch):
    """The engine stays connected and deaf then: that connection is cut once more, and the account goes on."""
    monkeypatch.setattr("pymilk.bridge.deafness._SECONDS", 0.3)
    port = free_port()
    with (
        SHM("wfs", ((4, 6), np.uint16), ring=64) as source,
        Sender(("wfs",), listening(port), host="rtc"),
        Proxy(port) as proxy,
        Receiver("rtc/wfs", connecting(proxy.port), name="far", ring=256) as receiver,
    ):
        until(lambda: receiver.report.received)
        first = int(receiver.rows()[0]["cnt0"])
        for _ in range(3):
            goal = receiver.report.received + 1
            proxy.cut()
            until(
                lambda goal=goal: source.set_data(np.zeros((4, 6), np.uint16))
                or receiver.report.received >= goal
            )
        # The last frame may be lost, too, which the next one would tell.
        until(lambda: accounted(receiver) == receiver.rows()[-1]["cnt0"] - first + 1)
        until(lambda: receiver.report.senders == 1)  # frames may come first
        assert receiver.report.refused == 0


def test_what_senders_and_routers_connect_through_is_cut_as_soon_as_it_is_there_again(shm_dir, monkeypatch):
    """Camera, router, second router, archive; the engine would not end the deaf connection in this test."""
    monkeypatch.setattr("pymilk.bridge.zenoh._LEASE_MS", 600_000)
    ports = free_port(), free_port()
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(SHM("wfs", ((4, 6), np.uint16), ring=512))
        proxies = [stack.enter_context(Proxy(port)) for port in ports]
        far = Links(listen=listening(ports[1]).listen, connect=connecting(proxies[0].port).connect)
        *_, receiver = start_all(
            stack,
            Router(listening(ports[0])),
            Router(far),
            Sender(("wfs",), connecting(proxies[1].port), host="rtc"),
            Receiver("rtc/wfs", connecting(ports[0]), name="far", ring=512),
        )

        def comes():
            goal = receiver.report.received + 1
            until(
                lambda: source.set_data(np.zeros((4, 6), np.uint16)) or receiver.report.received >= goal
            )

        comes()
        first = int(receiver.rows()[0]["cnt0"])
        for proxy in proxies:
            for _ in range(3):
                proxy.cut()
                comes()
                proxy.cut()
                comes()
        until(lambda: accounted(receiver) == receiver.rows()[-1]["cnt0"] - first + 1)
        assert receiver.report.refused == 0


def accounted(receiver):
    report = receiver.report
    return report.received + report.lost


def test_a_router_in_a_forked_child_has_ended(port, spawn):
    child = spawn(
        "import os, sys\n"
        "from pymilk.bridge import Router\n"
        "from support.bridging import listening\n"
        "router = Router(listening(int(sys.argv[1]))).start()\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    assert router.wait() and not router.running\n"
        "    assert router.report.connected == []\n"
        "    router.stop()\n"
        "    print('ended', flush=True)\n"
        "else:\n"
        "    assert os.waitpid(child, 0)[1] == 0\n"
        "    assert router.running and not router.wait(0)\n"
        "    router.stop()\n",
        port,
    )
    code, out, err = child.finish()
    assert (code, out, without_engine(err)) == (0, "ended\n", "")
