"""Files of the real library: read, and written again from their recipe."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from pathlib import Path

import pytest

from pymilk.parameters.listing import list_processes
from pymilk.parameters.process_folders import ProcessList
from pymilk.parameters.process_layout import V1, Control, LoopState, TriggerMode
from pymilk.parameters.processinfo import ProcessInfo

DATA = Path(__file__).parents[2] / "data" / "processes"
FACTS = json.loads((DATA / "manifest.json").read_text())
NAME = "proc.goldproc.009188.shm"
EXPECTED = FACTS["processinfo"][NAME]["expected"]

#: What belongs to the run that made the file.
INSTANCE = {"PID", "createtime", "texecstart", "texecend", "dtiter_limit_cnt"}


def in_ns(pair: list[int]) -> int:
    return pair[0] * 1_000_000_000 + pair[1]


@pytest.fixture
def golden(shm_dir):
    return Path(shutil.copy(DATA / NAME, shm_dir))


def test_every_field_is_read(golden):
    with ProcessInfo.attach(9188) as process:
        assert process.layout == "v1"
        for name, value in EXPECTED.items():
            if name in ("texecstart", "texecend"):
                continue
            if name == "CPUmask_hex":
                assert process.field("CPUmask").hex() == value
            elif isinstance(value, list):
                assert process.field(name) == in_ns(value)
            else:
                assert process.field(name) == value, name
        assert {*process.fields()} >= {*EXPECTED} - {"CPUmask_hex", "texecstart", "texecend"}


def test_properties(golden):
    with ProcessInfo.attach("goldproc") as process:
        assert (process.name, process.pid) == ("goldproc", 9188)
        assert (process.loop_count, process.loop_limit) == (7, None)
        assert process.control is Control.PAUSE
        assert process.loop_state is LoopState.ACTIVE
        assert process.message == "seven iterations done"
        assert process.description == "a loop for testing"
        assert process.trigger_name is None
        assert process.cpus == []
        assert process.created_ns == in_ns(EXPECTED["createtime"])


def test_timing_of_seven_iterations(golden):
    starts = [in_ns(pair) for pair in EXPECTED["texecstart"][1:8]]
    ends = [in_ns(pair) for pair in EXPECTED["texecend"][1:8]]
    with ProcessInfo.attach(9188) as process:
        timing = process.timing
    assert timing.starts_ns.tolist() == starts
    assert timing.ends_ns.tolist() == ends
    assert timing.rate == pytest.approx(6e9 / (starts[-1] - starts[0]))
    assert timing.duration == pytest.approx(sorted(b - a for a, b in zip(starts, ends, strict=True))[3] / 1e9)


def test_reading_writes_nothing(golden):
    before, stamp = golden.read_bytes(), golden.stat().st_mtime_ns
    with ProcessInfo.attach(9188) as process:
        process.status()
        process.fields()
    list_processes()
    assert golden.read_bytes() == before
    assert golden.stat().st_mtime_ns == stamp


def test_list_of_the_library(shm_dir):
    facts = FACTS["list"]["processinfo.list.shm.gz"]
    path = shm_dir / "processinfo.list.shm"
    path.write_bytes(gzip.decompress((DATA / "processinfo.list.shm.gz").read_bytes()))
    assert path.stat().st_size == facts["uncompressed_size"]
    slot = facts["expected_slot_0"]
    with ProcessList(str(shm_dir), False) as processes:
        assert processes.slots == 50_000
        assert processes.read() == [
            (0, slot["PID"], slot["active"], slot["pname"], float.fromhex(slot["createtime"]))
        ]


def test_list_is_made_as_the_library_makes_it(shm_dir):
    """The slot is found at the same bytes, but for PID and time."""
    golden = bytearray(gzip.decompress((DATA / "processinfo.list.shm.gz").read_bytes()))
    with ProcessInfo.create("goldproc"):
        ours = bytearray((shm_dir / "processinfo.list.shm").read_bytes())
    for content in (golden, ours):
        content[0:4] = bytes(4)
        content[4_400_000:4_400_008] = bytes(8)
    assert ours == golden


def test_file_is_made_from_its_recipe():
    """The same bytes as the library's, but for times, PID and the limit of the first period."""
    with ProcessInfo.create("goldproc", description="a loop for testing", message="startup") as process:
        process.store("source_FUNCTION", "run_loop")
        process.store("source_FILE", "goldproc.c")
        process.store("source_LINE", 55)
        process.set_limits(period=1e-9, duration=1e-9)
        process._begin_loop(None)  # as the library, which has no object for a loop
        process.store("triggermode", TriggerMode.DELAY)
        process.store("triggerdelay", 200_000)
        for count in range(1, 8):
            process._record.triggered(count, 0)
            process.exec_start()
            process.exec_end()
        process.message = "seven iterations done"
        process.store("CTRLval", 1)
        ours = Path(process.path).read_bytes()
        assert os.stat(process.path).st_mode & 0o777 == 0o666
    golden = (DATA / NAME).read_bytes()
    for name, (offset, nbytes, kind) in V1.fields.items():
        parts = ours[offset : offset + nbytes], golden[offset : offset + nbytes]
        if kind == "text":  # the library leaves the rest of a longer text behind the NUL
            parts = parts[0].partition(b"\0")[0], parts[1].partition(b"\0")[0]
        if name not in INSTANCE:
            assert parts[0] == parts[1], name
    assert len(ours) == len(golden)
