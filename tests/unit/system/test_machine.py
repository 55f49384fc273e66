"""What is told of the machine."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pymilk
from pymilk.system import machine


def test_facts_of_the_machine(shm_dir: Path) -> None:
    facts = machine.describe()
    assert facts["cores"] == sorted(os.sched_getaffinity(0))
    assert facts["pymilk"] == pymilk.__version__
    json.dumps(facts)
    assert machine._cores("1-3,6") == [1, 2, 3, 6]
    assert machine._cores("") == []
    assert machine.in_memory("tmpfs")
    assert not machine.in_memory("ext4")
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    mounted = {line.partition(" - ")[2].split()[0] for line in mounts}
    assert machine.file_system_of(shm_dir) in {*mounted, ""}


def test_processor_time_of_the_machine() -> None:
    clock = machine.CpuClock()
    began = time.thread_time()
    while time.thread_time() - began < 0.1:
        pass
    busy, stolen = clock.shares()
    assert busy > 0
    assert stolen >= 0
