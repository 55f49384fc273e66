"""Process-information files that are not what they say, or are cut while they are in use."""

from __future__ import annotations

import os
import random
import struct
from pathlib import Path

import pytest

from pymilk import errors
from pymilk.parameters.findings import process_findings
from pymilk.parameters.graph import read_graph
from pymilk.parameters.listing import list_processes
from pymilk.parameters.process_layout import FW, V1
from pymilk.parameters.processinfo import ProcessInfo


def path_of(folder: Path, name: str = "bad", pid: int | None = None) -> Path:
    return folder / f"proc.{name}.{os.getpid() if pid is None else pid:06d}.shm"


@pytest.mark.parametrize("nbytes", [0, 1, 4623, 4625, 4632, 4639, 4641, 4880, 1_000_000])
def test_sizes_of_no_layout(shm_dir, nbytes):
    path = path_of(shm_dir)
    path.write_bytes(bytes(nbytes))
    with pytest.raises(errors.ProcessInfoFormatError) as caught:
        ProcessInfo.attach("bad")
    assert isinstance(caught.value, ValueError)
    assert caught.value.field == "file size"
    assert caught.value.found == nbytes
    assert caught.value.path == str(path)
    (found,) = list_processes(str(shm_dir))
    assert found.error == str(caught.value)
    assert found.doing == "unreadable"
    assert any(each["found"] == found.error for each in process_findings())


def test_directories_links_and_pipes(shm_dir):
    path_of(shm_dir, "folder").mkdir()
    os.mkfifo(path_of(shm_dir, "pipe"))
    target = shm_dir / "target"
    target.write_bytes(bytes(V1.nbytes))
    path_of(shm_dir, "link").symlink_to(target)
    for name in ("folder", "pipe", "link"):
        with pytest.raises(errors.ProcessInfoError):
            ProcessInfo.attach(name)
    assert {each.name: each.error is not None for each in list_processes(str(shm_dir))} == {
        "folder": True, "link": True, "pipe": True
    }  # fmt: skip


@pytest.mark.parametrize("name", ["proc.x.1.shm", "proc..000001.shm", "proc.x.000001.shm.bak", "x.000001.shm",
                                  "proc.x.-00001.shm", "proc.x.99999999999.shm"])  # fmt: skip
def test_file_names_that_are_no_entries(shm_dir, name):
    (shm_dir / name).write_bytes(bytes(V1.nbytes))
    assert list_processes(str(shm_dir)) == []


def test_missing_directory(shm_dir):
    with pytest.raises(errors.ProcessInfoNotFoundError):
        list_processes(str(shm_dir / "missing"))


@pytest.mark.parametrize("layout", [V1, FW], ids=["v1", "fw"])
def test_texts_without_nul(shm_dir, layout):
    path_of(shm_dir).write_bytes(b"\xff" * layout.nbytes)
    with ProcessInfo.attach("bad") as process:
        assert process.name == "�" * 80
        assert len(process.timing) == 0
        status = process.status()
    assert (status.control, status.loop_state, status.loop_count) == (-1, -1, -1)
    assert status.doing == "dead"
    status.to_dict()


@pytest.mark.parametrize("index", [-1, 100, 2**31 - 1, -(2**31)])
def test_ring_index_out_of_range(shm_dir, index):
    content = bytearray(V1.nbytes)
    struct.pack_into("<i", content, V1.fields["timerindex"].offset, index)
    path_of(shm_dir).write_bytes(content)
    with ProcessInfo.attach("bad") as process:
        assert len(process.timing) == 0


def test_owner_survives_an_index_that_others_spoil():
    with ProcessInfo.create("myloop") as process:
        for index in (-5, 100, 2**31 - 1, -(2**31)):
            process.store("timerindex", index)
            process.exec_start()
            process.store("timerindex", index)
            process.exec_end()


def test_times_that_descend_or_are_impossible(shm_dir):
    content = bytearray(V1.nbytes)
    at = V1.fields["texecstart"].offset
    for slot, pair in enumerate([(0, 0), (2**62, 0), (10, 0), (9, 0), (10, 2**40), (10, 5), (11, 0)]):
        struct.pack_into("<qq", content, at + 16 * slot, *pair)
    struct.pack_into("<i", content, V1.fields["timerindex"].offset, 6)
    path_of(shm_dir).write_bytes(content)
    with ProcessInfo.attach("bad") as process:
        assert process.timing.starts_ns.tolist() == [9_000_000_000, 10_000_000_005, 11_000_000_000]


def test_random_bytes(shm_dir):
    """Nothing that is stored makes a reader fail otherwise than with an error of ours."""
    source = random.Random(1)
    for layout in (V1, FW):
        for _ in range(50):
            path_of(shm_dir).write_bytes(source.randbytes(layout.nbytes))
            for status in list_processes(str(shm_dir)):
                status.to_dict()
            process_findings()
            read_graph()


@pytest.mark.parametrize("nbytes", [0, 100, 4096])
def test_cut_in_use(shm_dir, nbytes):
    path = path_of(shm_dir)
    path.write_bytes(bytes(V1.nbytes))
    with ProcessInfo.attach("bad") as process:
        os.truncate(path, nbytes)
        uses = [process.status, process.fields, lambda: process.timing, lambda: process.message]
        for use in uses if nbytes < 4096 else uses[:1]:
            with pytest.raises(errors.ProcessInfoDamagedError) as caught:
                use()
            assert isinstance(caught.value, errors.ProcessInfoFormatError)


def test_owner_whose_file_is_cut():
    process = ProcessInfo.create("myloop")
    os.truncate(process.path, 0)
    with pytest.raises(errors.ProcessInfoDamagedError):
        process.exec_start()
    with pytest.raises(errors.ProcessInfoDamagedError):
        process.message = "lost"
    process.close()
    assert not os.path.exists(process.path)
