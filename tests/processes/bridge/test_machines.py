"""Three machines, as network namespaces: a camera, a router, and an archive that a C program reads."""

from __future__ import annotations

import json
import subprocess

import numpy as np
import pytest

pytest.importorskip("zenoh", reason="needs eclipse-zenoh, the extra net")
pytest.importorskip("cryptography", reason="needs cryptography, the extra net")

from pymilk.bridge import make_certificates
from support import golden
from support.marks import needs_compiler
from support.networks import ON_MACHINE, Network
from support.ring_programs import compiled_reader
from support.waiting import until

#: Publishes as many frames as a line says, 1 ms apart; the number of a frame is in all its pixels.
CAMERA = (
    ON_MACHINE
    + """
os.environ["MILK_SHM_DIR"] = sys.argv[3]
import time
import numpy as np
from pymilk import SHM
from pymilk.bridge import Links, Sender
from support.authorities import tls_of
links = Links(connect=(sys.argv[2],), tls=tls_of(sys.argv[1], "rtc"))
with SHM("wfs", ((32, 24), np.uint32), ring=512) as source, Sender(("wfs",), links, host="rtc"):
    print("ready", flush=True)
    for line in sys.stdin:
        for _ in range(int(line)):
            source.set_data(np.full((32, 24), source.get_counter() + 1, np.uint32))
            time.sleep(0.001)
        print(source.get_counter(), flush=True)
"""
)

ROUTER = (
    ON_MACHINE
    + """
from pymilk.bridge import Allow, Links, Router
from support.authorities import tls_of
rules = (Allow(("rtc",), send=("rtc/*",)), Allow(("archive",), receive=("rtc/*",)))
with Router(Links(listen=("tls/0.0.0.0:7447",), tls=tls_of(sys.argv[1], "hub"), allow=rules)):
    print("ready", flush=True)
    sys.stdin.readline()
"""
)

ARCHIVE = (
    ON_MACHINE
    + """
import json
from pymilk.bridge import Links, Receiver
from support.authorities import tls_of
links = Links(connect=(sys.argv[2],), tls=tls_of(sys.argv[1], "archive"))
with Receiver("rtc/wfs", links, name="far", ring=512) as receiver:
    print("ready", flush=True)
    for line in sys.stdin:
        rows = [[int(row["cnt0"]), int(row["lost"])] for row in receiver.rows()]
        print(json.dumps({**receiver.report.to_dict(), "frames": rows}), flush=True)
"""
)


class Machines:
    """The three, started. `published` is the counter of the camera."""

    def __init__(self, network, spawn, folder, shm_dir):
        self.network = network
        self.rtc, self.hub, self.desk = (network.machine(name) for name in ("rtc", "hub", "desk"))
        _, near, self.end = network.cable(self.rtc, self.hub)
        _, far, _ = network.cable(self.desk, self.hub)
        keys = folder / "keys"
        make_certificates(str(keys), {"rtc": (), "archive": (), "hub": (near, far)})
        (shm_dir / "rtc").mkdir()
        self.router = spawn(ROUTER, self.hub, keys)
        self.camera = spawn(CAMERA, self.rtc, keys, f"tls/{near}:7447", shm_dir / "rtc")
        self.archive = spawn(ARCHIVE, self.desk, keys, f"tls/{far}:7447")
        for each in (self.router, self.camera, self.archive):
            each.expect("ready")
        self.published = 0

    def publish(self, count):
        self.camera.tell(count)
        self.published = int(self.camera.hear())

    def report(self):
        self.archive.tell()
        return json.loads(self.archive.hear())

    def until_far(self):
        """Publish until a frame has come all the way: what is lost is known with the next frame."""
        goal = self.published + 1

        def came():
            self.publish(1)
            frames = self.report()["frames"]
            return frames and frames[-1][0] >= goal

        until(came)
        until(lambda: self.report()["frames"][-1][0] == self.published)
        return self.report()


@pytest.fixture
def machines(spawn, tmp_path, shm_dir):
    with Network() as network:
        made = Machines(network, spawn, tmp_path, shm_dir)
        yield made
        for each in (made.archive, made.camera, made.router):
            each.process.stdin.close()
        for each in (made.archive, made.camera, made.router):
            assert each.process.wait(60) == 0


def check_account(report, last):
    """Compare gaps of the counters with what is said to be lost."""
    numbers, lost = zip(*report["frames"], strict=True)
    assert report["received"] + report["lost"] == last - numbers[0] + 1
    assert (np.diff(numbers) == np.array(lost[1:]) + 1).all()
    assert (numbers[-1], report["refused"]) == (last, 0)


def test_a_cable_that_is_pulled_and_plugged(machines):
    """The camera is a machine that the archive cannot reach but through the router."""
    machines.until_far()
    machines.publish(50)
    check_account(machines.until_far(), machines.published)
    machines.network.pull(machines.rtc, machines.end)
    machines.publish(50)
    until(lambda: not machines.report()["sender"])  # the connection says nothing for 3 s
    machines.publish(10)
    machines.network.plug(machines.rtc, machines.end)
    report = machines.until_far()
    check_account(report, machines.published)
    assert report["lost"] >= 10
    assert [each.partition(" ")[0] for each in report["connected"]] == ["hub"]


@needs_compiler
def test_a_c_program_reads_what_came(machines, tmp_path, shm_dir):
    """It sees the frames that the receiver counts; the layout is that of a file of the real library."""
    reader = compiled_reader(tmp_path)
    known = golden.entry("ga_f32_cb5")["metadata"]
    told = subprocess.run(
        [reader, golden.path("ga_f32_cb5")], capture_output=True, text=True, check=True
    ).stdout
    size = known["size"]
    assert told == f"2.00 2 {size[0]} {size[1]} {known['datatype']} {known['imagetype']} {known['sem']} 5 1\n"
    machines.until_far()
    program = subprocess.Popen([reader, shm_dir / "far.im.shm", "200"], stdout=subprocess.PIPE, text=True)
    with program:
        assert program.stdout.readline() == f"2.00 2 24 32 5 {known['imagetype']} {known['sem']} 512 1\n"
        begin = machines.published
        while program.poll() is None:
            machines.publish(20)
        bad, waited, frames, gaps, first, last = map(int, program.stdout.read().split())
    report = machines.until_far()
    assert (bad, waited) == (0, 1)
    assert frames >= 200
    assert begin <= first < last <= machines.published
    assert last - first + 1 == frames + gaps
    assert gaps == sum(lost for number, lost in report["frames"] if first < number <= last)
