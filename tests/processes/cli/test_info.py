"""``pymilk info`` of streams that a live process writes."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import Any

import pytest

from support.children import heed_interrupts

pytest.importorskip("click", reason="extra cli")

pytest.importorskip("rich", reason="extra cli")

from pymilk._core import Stream
from pymilk.inspection import measure_stream
from support.calling import done
from support.commands import COMMAND, READER, run


def test_info_of_a_live_stream(writer, spawn):
    reader = spawn(READER, "cam")
    index = int(reader.hear())
    told = json.loads(done("info", "cam", "--measure", 0.2, "--json", function=run))
    assert told["measured"]["frames"] > 0
    assert told["measured"]["seconds"] >= 0.2
    assert told["measured"]["rate"] == pytest.approx(told["measured"]["frames"] / told["measured"]["seconds"])
    assert told["measured"]["intervals"] > 0
    assert told["measured"]["min_us"] <= told["measured"]["mean_us"] <= told["measured"]["max_us"]
    assert told["measured"]["writes"] == 0 or (
        0 < told["measured"]["write_p50_us"] <= told["measured"]["write_max_us"]
        and told["measured"]["write_error_us"] > 0
    )
    assert told["used_by"] == sorted([writer.pid, reader.pid])
    semaphores = told["semaphores"]
    assert [each["index"] for each in semaphores] == list(range(10))
    assert (semaphores[index]["owner_pid"], semaphores[index]["owner_alive"]) == (reader.pid, True)
    assert semaphores[index]["poster_pid"] == writer.pid
    assert semaphores[index - 1]["owner_pid"] is None
    with Stream.attach("cam", writable=False) as stream:
        assert told["metadata"]["crtime_ns"] == stream.creation_time_ns
        owners = [int(pid) for pid in stream.section("sem_read_pid")]
    assert owners.count(reader.pid) == 1  # info took none
    assert sum(pid > 0 for pid in owners) == 1


#: Holds every frame open for 3 ms.
SLOW_WRITER = """
import sys, time
from pymilk import Stream
stream = Stream.create("cam", (2, 2), "u2")
print("ready", flush=True)
while True:
    with stream.claim() as pixels:
        time.sleep(0.003)
    time.sleep(0.003)
"""


def test_info_times_writes_by_their_flag(spawn):
    spawn(SLOW_WRITER).expect("ready")
    told: dict[str, Any] = {"writes": 0}
    with Stream.attach("cam", writable=False) as stream:
        for _ in range(50):  # where cores are busy, looks are apart now and then
            told = measure_stream(stream, 0.4)
            if told["writes"]:
                break
    assert told["write_max_us"] >= told["write_p50_us"] >= 2900
    assert 0 < told["write_error_us"] <= told["write_max_us"] / 10


def test_info_of_nothing(shm_dir):
    said = run("info", "cam")
    assert said.returncode == 1
    assert "no stream 'cam'" in said.stderr


def test_info_ends_with_ctrl_c(make_stream):
    from pymilk.inspection import processes_using

    stream = make_stream("cam", (2, 2), "u1")
    child = subprocess.Popen(
        [*COMMAND, "info", "cam", "--measure", "100"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,
    )
    while child.pid not in processes_using(stream) and child.poll() is None:
        pass
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, out, err) == (130, "", "pymilk: interrupted\n")
