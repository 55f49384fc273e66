"""The old names of process information: pinfo, ProcessInfoWrap, CacaoProcessTools."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys

import CacaoProcessTools
import numpy as np
import pyMilk.interfacing.pinfo
import pyMilk.ProcessInfoWrap
import pytest

from pymilk import SHM, errors
from pymilk.parameters.listing import list_processes

CLASSES = [
    pyMilk.interfacing.pinfo.ProcessInfo,
    pyMilk.ProcessInfoWrap.processinfo,
    CacaoProcessTools.processinfo,
]


@pytest.mark.parametrize("kind", CLASSES)
def test_life_of_an_object(kind, shm_dir):
    process = kind("oldloop", 1)
    try:
        assert process.CTRLval == 1
        assert process.name == "oldloop"
        assert os.getpid() == process.PID
        assert process.tmuxname == " "
        process.CTRLval = 0
        for _ in range(3):
            assert process.exec_start() == 0
            assert process.exec_end() == 0
        assert process.loopcnt == 3
        assert process.writeMessage("x" * 300) == 0
        assert process.statusmsg == "x" * 199
        process.description, process.statuscode, process.loopstat = "old", 7, 1
        process.source_FILE, process.source_LINE = "loop.py", 12
        (status,) = list_processes(str(shm_dir))
        assert (status.description, status.status_code, status.doing) == ("old", 7, "running")
        assert status.source.startswith("loop.py:12 ")
        assert status.rate is not None
    finally:
        assert process.close() == 0
    assert list_processes(str(shm_dir)) == []


@pytest.mark.parametrize("kind", CLASSES)
def test_link(kind):
    owner = kind()
    assert owner.create("oldloop", 0) == 0
    other = kind()
    assert other.link("oldloop") == 0
    other.CTRLval = 3
    assert owner.CTRLval == 3
    assert other.close("oldloop") == 0
    assert owner.name == "oldloop"
    owner.close()
    with pytest.raises(errors.ProcessInfoNotFoundError):
        other.link("oldloop")


@pytest.mark.parametrize("kind", CLASSES)
def test_without_a_file(kind):
    process = kind()
    uses = [lambda: process.name, process.exec_start, lambda: process.writeMessage("x")]
    for use in (*uses, lambda: process.sigexit(2)):
        with pytest.raises(errors.ProcessInfoClosedError):
            use()
    assert process.close() == 0


def test_spellings():
    process = pyMilk.interfacing.pinfo.ProcessInfo("oldloop", 0)
    process.source_function = "f"
    process.create_time = pyMilk.ProcessInfoWrap.timespec(5, 6)
    assert (process.create_time.tv_sec, process.create_time.tv_nsec) == (5, 6)
    assert not hasattr(type(process), "source_FUNCTION")
    process.close()
    process = CacaoProcessTools.processinfo("oldloop", 0)
    process.source_FUNCTION = "f"
    process.createtime = CacaoProcessTools.timespec(5, 6)
    assert process.createtime == CacaoProcessTools.timespec(5, 6)
    assert not hasattr(type(process), "create_time")
    process.close()


def test_sigexit(shm_dir):
    process = pyMilk.ProcessInfoWrap.processinfo("oldloop", 0)
    watcher = pyMilk.ProcessInfoWrap.processinfo()
    watcher.link("oldloop")
    assert process.sigexit(15) == 0
    assert watcher.statusmsg.startswith("SIGTERM ")
    assert watcher.loopstat == 6
    watcher.close()
    assert list_processes(str(shm_dir)) == []


@pytest.mark.parametrize(
    ("call", "command"),
    [("processCTRL", ["ps"]), ("streamCTRL", ["top"]), ("fparamCTRL", ["fps", "ls", "--watch"])],
)
def test_views_are_ours(monkeypatch, call, command):
    ran = []
    monkeypatch.setattr(subprocess, "run", lambda *arguments, **options: ran.append((arguments, options)))
    assert getattr(CacaoProcessTools, call)() is None
    assert ran[0][0] == ([sys.executable, "-m", "pymilk", *command],)


@pytest.mark.parametrize("name", [
    "pyMilk.interfacing.glib_loader_fix", "pyMilk.interfacing.pinfo", "pyMilk.ProcessInfoWrap",
    "CacaoProcessTools",
])  # fmt: skip
def test_old_paths_are_our_modules(name):
    found = importlib.import_module(name)
    ours = name.replace("pyMilk", "pymilk") if "pyMilk" in name else f"pymilk.{name}"
    assert found is importlib.import_module(ours)


@pytest.mark.parametrize("name", [
    "visual.shmImshow", "visual.shmPlot", "visual.shmTermshow", "scripts.creashmim", "scripts.updatekw",
])  # fmt: skip
def test_old_commands(name):
    found = importlib.import_module(f"pyMilk.{name}")
    assert found.main.__name__ == name.partition(".")[2]


def test_private_name_that_scripts_call(make):
    shm = make("cam", np.zeros((2, 2), np.float32))
    with SHM("cam", np.ones((2, 2), np.float32)) as new:
        assert shm._attempt_autorelink_if_needed() is None
        assert shm.IMAGE.md.inode == new.IMAGE.md.inode
