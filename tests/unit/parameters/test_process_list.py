"""The process list: slots taken, lost and freed."""

from __future__ import annotations

import os
import struct

import numpy as np
import pytest

from pymilk import errors
from pymilk.parameters.process_folders import ProcessList, process_path
from pymilk.parameters.process_layout import LIST_FILE, SLOT_NBYTES, SlotState
from pymilk.parameters.processinfo import ProcessInfo

NOBODY = 2**22 + 12345


def make_list(folder, slots, states=None, pids=None):
    content = np.zeros(slots * SLOT_NBYTES, "u1")
    numbers = content.view("<i4")
    numbers[:slots] = 0 if pids is None else pids
    numbers[slots : 2 * slots] = 0 if states is None else states
    (folder / LIST_FILE).write_bytes(content.tobytes())


def test_first_free_slot_is_taken(shm_dir):
    make_list(shm_dir, 10_000, states=[1, 2, 3] + [0] * 9_997)
    with ProcessInfo.create("myloop") as process:
        slots, index = process._list
        assert (slots.slots, index) == (10_000, 3)
        found = slots.slot(3)
        assert (found.pid, found.state, found.name) == (os.getpid(), SlotState.ACTIVE, "myloop")
        assert found.created == pytest.approx(process.created_ns / 1e9)
    with ProcessList(str(shm_dir), False) as slots:
        # Freed by the monitor, not by the owner.
        assert slots.slot(3).state == SlotState.ACTIVE


def test_slot_that_a_program_is_about_to_take_is_left(shm_dir):
    """Programs of milk store their PID first, and mark the slot some time later."""
    make_list(shm_dir, 8, pids=[os.getppid(), NOBODY, 0, 0, 0, 0, 0, 0])
    with ProcessInfo.create("myloop") as process:
        assert process._list[1] == 1


def test_overwritten_slot_is_left_to_the_other_program(shm_dir):
    with ProcessInfo.create("myloop") as process:
        slots, index = process._list
        slots._fill(index, os.getppid(), "theirs", 1)
        assert list(process.loop(range(2))) == [0, 1]
        other, now = process._list
        assert now != index
        assert other.holds(now, os.getpid(), "myloop")
        assert slots.slot(index).name == "theirs"


def test_overwritten_at_once(shm_dir, monkeypatch):
    """Another program writes into the slot between our store and our second look."""
    fill = ProcessList._fill
    stolen = []

    def filled(self, index, pid, name, created_ns):
        fill(self, index, pid, name, created_ns)
        if not stolen:
            stolen.append(index)
            fill(self, index, os.getppid(), "theirs", 1)

    monkeypatch.setattr(ProcessList, "_fill", filled)
    with ProcessInfo.create("myloop") as process:
        slots, index = process._list
        assert stolen == [0]
        assert index == 1
        assert slots.slot(0).name == "theirs"


def test_full_table(shm_dir):
    make_list(shm_dir, 4, states=[1] * 4, pids=[os.getppid()] * 4)
    for index in range(4):
        name = f"other{index}"
        open(process_path(str(shm_dir), name, os.getppid()), "wb").close()
        with ProcessList(str(shm_dir), True) as slots:
            slots._fill(index, os.getppid(), name, 1)
    before = sorted(os.listdir(shm_dir)), (shm_dir / LIST_FILE).read_bytes()
    with pytest.raises(errors.ProcessListFullError) as caught:
        ProcessInfo.create("myloop")
    assert isinstance(caught.value, OSError)
    assert (caught.value.slots, caught.value.process) == (4, "myloop")
    assert (sorted(os.listdir(shm_dir)), (shm_dir / LIST_FILE).read_bytes()) == before


def test_slots_whose_files_are_gone_are_taken_in_a_full_table(shm_dir):
    make_list(shm_dir, 2, states=[1, 2], pids=[os.getppid(), NOBODY])
    with ProcessInfo.create("myloop") as process:
        assert process._list[1] == 0


def test_freeing(shm_dir):
    with ProcessInfo.create("alive") as process, ProcessList(str(shm_dir), True) as slots:
        index = process._list[1]
        slots._fill(index + 1, NOBODY, "gone", 1)
        slots._fill(index + 2, NOBODY, "left", 1)
        open(process_path(str(shm_dir), "left", NOBODY), "wb").close()
        assert slots.free_unused() == 1
        states = [slots.slot(index + at).state for at in range(3)]
        assert states == [SlotState.ACTIVE, SlotState.FREE, SlotState.PROCESS_GONE]


@pytest.mark.parametrize("nbytes", [0, 1, 95, 97, 96 * 1_000_001])
def test_files_that_are_no_list(shm_dir, nbytes):
    with open(shm_dir / LIST_FILE, "wb") as file:
        file.truncate(nbytes)
    with pytest.raises(errors.ProcessInfoFormatError):
        ProcessList(str(shm_dir), False)
    with pytest.raises(errors.ProcessInfoFormatError):
        ProcessInfo.create("myloop")
    assert os.listdir(shm_dir) == [LIST_FILE]


def test_hostile_content(shm_dir):
    content = np.full(16 * SLOT_NBYTES, 0xFF, "u1")
    (shm_dir / LIST_FILE).write_bytes(content.tobytes())
    with ProcessList(str(shm_dir), False) as slots:
        found = slots.read()
        assert len(found) == 16
        assert (found[0].pid, found[0].state) == (-1, -1)
    with ProcessInfo.create("myloop") as process:  # nobody's files are there
        assert process._list[1] == 0


def test_list_that_is_cut_in_use(shm_dir):
    with ProcessInfo.create("myloop"), ProcessList(str(shm_dir), True) as slots:
        os.truncate(slots.path, 0)
        with pytest.raises(errors.ProcessInfoDamagedError):
            slots.read()


def test_list_that_is_replaced_in_use(shm_dir):
    make_list(shm_dir, 8)
    with ProcessList(str(shm_dir), True) as slots:
        os.unlink(slots.path)
        with pytest.raises(errors.ProcessInfoDamagedError):
            slots.take(os.getpid(), "myloop", 1)
        make_list(shm_dir, 8)
        with pytest.raises(errors.ProcessInfoDamagedError):
            slots.free_unused()
        assert struct.unpack("<i", (shm_dir / LIST_FILE).read_bytes()[:4]) == (0,)


def test_damaged_list_does_not_end_a_loop(shm_dir):
    with ProcessInfo.create("myloop") as process:
        os.truncate(shm_dir / LIST_FILE, 0)
        assert list(process.loop(range(3))) == [0, 1, 2]
