"""What receivers ask for, through the real engine and the commands."""

from __future__ import annotations

import json
import signal
import time

import numpy as np
import pytest

pytest.importorskip("zenoh", reason="needs eclipse-zenoh, the extra net")
pytest.importorskip("blosc2", reason="needs blosc2, the extra net")
pytest.importorskip("click", reason="extra cli")
pytest.importorskip("rich", reason="extra cli")

from pymilk import SHM
from pymilk.bridge import Options, Receiver
from support.bridging import connecting, free_port
from support.children import ended
from support.waiting import until


def publish_slowly(source):
    source.set_many(np.full((5, 8, 6), 7, np.uint16))
    time.sleep(0.005)


def test_options_of_two_receivers(start_command, shm_dir):
    """A viewer gets few small frames, an archive all of them; the sender is killed and comes again."""
    port = free_port()
    address = f"tcp/127.0.0.1:{port}"
    command = ("bridge", "send", "wfs", "--host", "rtc", "--listen", address)
    with SHM("wfs", ((8, 6), np.uint16), ring=256) as source:
        sending = start_command(*command)
        viewing = start_command(
            "bridge", "recv", "rtc/wfs", "--as", "view", "--rate", 1000, "--bin", 2, "--compress", "blosc2",
            "--connect", address, "--json",
        )  # fmt: skip
        asked = Options(compress="blosc2")
        with Receiver("rtc/wfs", connecting(port), name="all", ring=256, options=asked) as receiver:
            far = shm_dir / "view.im.shm"
            until(lambda: receiver.report.received and far.exists())
            for _ in range(2):
                with SHM("view") as view:
                    goal = source.get_counter() + 20

                    def both_came(view=view, goal=goal):
                        publish_slowly(source)
                        return view.get_counter() > 1 and receiver.rows()[-1]["cnt0"] >= goal

                    until(both_came)
                    data = view.get_data()
                    assert (data.shape, (data == 7).all()) == ((4, 3), True)
                sending.kill()
                sending.wait(30)
                until(lambda: not receiver.report.sender)
                before = receiver.report.received
                sending = start_command(*command)

                def came_again(before=before):
                    publish_slowly(source)
                    return receiver.report.received > before

                until(came_again)
                # What was published behind that frame comes as well: account and rows are of the same frames.
                until(lambda: receiver.rows()[-1]["cnt0"] == source.get_counter())
            report, rows = receiver.report, receiver.rows()
            assert (report.skipped, report.refused) == (0, 0)
            assert report.received + report.lost == rows["cnt0"][-1] - rows["cnt0"][0] + 1
        viewing.send_signal(signal.SIGINT)
        code, said, _ = ended(viewing)
        found = json.loads(said)
        assert (code, found["before"], found["refused"]) == (0, 0, 0)
        assert found["skipped"] > 0
        sending.send_signal(signal.SIGTERM)
        assert ended(sending)[0] == 0


def test_a_late_receiver_gets_the_past(start_command, shm_dir):
    """While frames go on: those of the past and the live ones, each once."""
    port = free_port()
    with SHM("wfs", ((32, 32), np.uint32), ring=1024) as source:
        sending = start_command("bridge", "send", "wfs", "--host", "rtc", "--listen", f"tcp/127.0.0.1:{port}")
        for number in range(1, 800):
            source.set_data(np.full((32, 32), number + 1, np.uint32))
        asked = Options(history=600)
        with Receiver("rtc/wfs", connecting(port), name="far", ring=4096, options=asked) as receiver:
            for _ in range(400):
                source.set_data(np.full((32, 32), source.get_counter() + 1, np.uint32))
                time.sleep(0.001)

            def came():
                source.set_data(np.full((32, 32), source.get_counter() + 1, np.uint32))
                return receiver.report.history and receiver.rows()[-1]["cnt0"] >= source.get_counter() - 1

            until(came)
            rows, report = receiver.rows(), receiver.report
            first = int(rows["cnt0"][0])
            assert (report.lost, report.trouble) == (0, "")
            assert report.history > 590
            np.testing.assert_array_equal(rows["cnt0"], np.arange(first, first + len(rows)))
            with SHM("far") as far, far.ring_reader(start="oldest") as ring:
                capture = ring.dump(frames=1000)
            assert (capture.frames == capture.info["cnt0"][:, None, None]).all()
        sending.send_signal(signal.SIGTERM)
        assert ended(sending)[0] == 0
