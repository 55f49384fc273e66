"""A name or a PID leads to the entry of the living process: told by PID and start time."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from pymilk import errors
from pymilk.parameters import ProcessInfo
from pymilk.parameters.process_folders import process_path
from pymilk.parameters.process_layout import V1
from pymilk.times import now_ns


def entry(folder: Path, name: str, pid: int, created_ns: int) -> None:
    """Write a file as a program would leave it."""
    content = bytearray(V1.nbytes)
    content[: len(name)] = name.encode()
    struct.pack_into("<i", content, V1.fields["PID"].offset, pid)
    struct.pack_into("<qq", content, V1.fields["createtime"].offset, *divmod(created_ns, 1_000_000_000))
    Path(process_path(str(folder), name, pid)).write_bytes(content)


#: Long before any process of this machine was started.
LONG_AGO = 1_000_000_000


def test_a_name_whose_older_pid_was_reused(shm_dir: Path) -> None:
    entry(shm_dir, "myloop", os.getppid(), LONG_AGO)  # another program has that PID now
    with ProcessInfo.create("myloop") as process, ProcessInfo.attach("myloop") as found:
        assert found.path == process.path
        entry(shm_dir, "myloop", os.getppid(), now_ns())
        with pytest.raises(errors.ProcessInfoArgumentError, match="2 processes"):
            ProcessInfo.attach("myloop")


def test_a_pid_that_an_ended_process_had_too(shm_dir: Path) -> None:
    entry(shm_dir, "aaa", os.getpid(), LONG_AGO)
    with ProcessInfo.create("myloop"), ProcessInfo.attach(os.getpid()) as found:
        assert found.name == "myloop"


def test_files_that_cannot_be_read_do_not_hide_the_living_one(shm_dir: Path) -> None:
    Path(process_path(str(shm_dir), "myloop", 4_000_000)).write_bytes(b"short")
    with ProcessInfo.create("myloop") as process, ProcessInfo.attach("myloop") as found:
        assert found.path == process.path


def test_ended_ones_are_found_if_none_lives(shm_dir: Path) -> None:
    entry(shm_dir, "myloop", os.getpid(), LONG_AGO)
    entry(shm_dir, "myloop", os.getppid(), LONG_AGO)
    with ProcessInfo.attach("myloop") as found:
        assert found.state == "reused"
        with pytest.raises(errors.ProcessGoneError, match="another process has its PID"):
            found.pause()
