"""Every name that milk's bindings have is there, with its members: parameters and process information."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import CacaoProcessTools
import pyMilk.FpsWrap
import pyMilk.ProcessInfoWrap
import pytest

STATUS = [
    "CONF", "RUN", "CMDCONF", "CMDRUN", "RUNLOOP", "CHECKOK", "TMUXCONF", "TMUXRUN", "TMUXCTRL",
]  # fmt: skip
TYPES = [
    "AUTO", "UNDEF", "INT32", "UINT32", "INT64", "UINT64", "FLOAT32", "FLOAT64", "PID", "TIMESPEC",
    "FILENAME", "FITSFILENAME", "EXECFILENAME", "DIRNAME", "STREAMNAME", "STRING", "ONOFF", "PROCESS",
    "FPSNAME",
]  # fmt: skip
FLAGS = [
    "DEFAULT_INPUT", "DEFAULT_OUTPUT", "DEFAULT_INPUT_STREAM", "DEFAULT_OUTPUT_STREAM",
    "DEFAULT_STATUS",
]  # fmt: skip
FPS_CALLS = [
    "asdict", "__getitem__", "__setitem__", "md", "add_entry", "get_status", "set_status", "disconnect",
    "get_levelKeys", "keys", "CONFstart", "CONFstop", "FPCONFexit", "FPCONFloopstep", "RUNstart",
    "RUNstop", "RUNexit", "CONFrunning", "RUNrunning", "signal_update",
]  # fmt: skip
OF_2024 = [
    f"{do}_param_value_{kind}"
    for do in ("get", "set")
    for kind in ("onoff", "int", "float", "double", "string")
]
MD = [
    "name", "description", "kwarray", "workdir", "datadir", "confdir", "sourcefname", "sourceline",
    "pname", "callprogname", "NBnameindex", "confpid", "confpidstarttime", "runpid", "runpidstarttime",
    "signal", "confwaitus", "status", "NBparamMAX", "msgpindex", "msgcode", "msgcnt", "conferrcnt",
]  # fmt: skip


@pytest.mark.parametrize("module", [CacaoProcessTools, pyMilk.FpsWrap], ids=lambda module: module.__name__)
def test_names_of_parameters(module: Any) -> None:
    for enumeration, names in (("FPS_status", STATUS), ("FPS_type", TYPES), ("FPS_flags", FLAGS)):
        kind = getattr(module, enumeration)
        assert list(kind.__members__) == names
        for name in names:
            assert getattr(module, name) is kind[name]
    assert [name for name in (*FPS_CALLS, *OF_2024) if not hasattr(module.fps, name)] == []


def test_a_star_takes_everything() -> None:
    taken: dict[str, Any] = {}
    exec("from CacaoProcessTools import *", taken)
    expected = {
        "fps",
        "processinfo",
        "timespec",
        "processCTRL",
        "streamCTRL",
        "fparamCTRL",
        *STATUS,
        *TYPES,
        *FLAGS,
    }
    assert expected - set(taken) == set()
    taken = {}
    exec("from pyMilk.FpsWrap import *", taken)
    assert {"fps", "timespec", *STATUS, *TYPES, *FLAGS} - set(taken) == set()
    with pytest.raises(AttributeError):
        _ = CacaoProcessTools.nothing


def test_one_kind_of_time_everywhere() -> None:
    kinds = {
        importlib.import_module(name).timespec
        for name in (
            "CacaoProcessTools",
            "pyMilk.FpsWrap",
            "pyMilk.ProcessInfoWrap",
            "pyMilk.interfacing.pinfo",
        )
    }
    assert len(kinds) == 1
    time = CacaoProcessTools.timespec(1, 2)
    time.tv_sec, time.tv_nsec = 3, 4
    assert time == pyMilk.ProcessInfoWrap.timespec(3, 4) != CacaoProcessTools.timespec(3, 5)
    assert time != (3, 4)
    assert repr(time) == "timespec(tv_sec=3, tv_nsec=4)"


def test_header_is_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # it makes directories there
    made = CacaoProcessTools.fps("loop", True)
    md = made.md()
    assert [name for name in MD if not hasattr(md, name)] == []
    assert md.runpidstarttime == CacaoProcessTools.timespec(0, 0)
    for name in MD:
        with pytest.raises(AttributeError):
            setattr(md, name, 1)
    made.disconnect()
