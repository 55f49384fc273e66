"""Parameters under the names of pyMilk and of milk's binding."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyMilk.FpsWrap as wrap
import pytest
from pyMilk.interfacing import fps as names
from pyMilk.interfacing.fps import (
    FPS,
    FPS_flags,
    FPS_type,
    FPSDoesntExistError,
    FPSManager,
    FPSOverrideError,
    SmartAttributesFPS,
    SmartAttributesFPSAutoMetadata,
    SmartFPSInitError,
)

from pymilk.errors import FPSClosedError
from pymilk.parameters import SmartAttributesFPS as NewSmart


@pytest.fixture(autouse=True)
def _work_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def loop() -> Iterator[FPS]:
    fps = FPS.create("loop")
    for key, kind in (
        ("i", "INT32"),
        ("u", "UINT64"),
        ("f", "FLOAT32"),
        ("s", "STRING"),
        ("b", "ONOFF"),
        ("t", "TIMESPEC"),
    ):
        fps.add_param(key, f"comment of {key}", FPS_type[kind])
    yield fps
    fps.disconnect()


def test_create(loop: FPS) -> None:
    assert loop["Name"] == "loop"
    assert int(loop.param("Name").flags) == 7
    assert str(loop) == "loop | CONF: 0 | RUN: 0"
    assert loop.key_types["f"] is FPS_type.FLOAT32
    with pytest.raises(FPSOverrideError):
        FPS.create("loop")
    again = FPS.create("loop", force_recreate=True)
    assert list(again.key_types) == ["Name"]
    again.destroy()
    again.destroy()
    with pytest.raises(FPSDoesntExistError):
        FPS("loop")


def test_ends_of_an_fps_that_was_replaced(loop: FPS) -> None:
    again = FPS.create("loop", force_recreate=True)
    for end in (loop.destroy, loop.destroy, loop.disconnect, loop.disconnect):
        end()
    assert FPS("loop")["Name"] == again["Name"]
    again.disconnect()
    with pytest.raises(FPSClosedError):  # its file would stay, without a word
        again.destroy()


def test_values(loop: FPS) -> None:
    loop["i"] = -5
    loop["u"] = 2**64 - 1
    loop["f"] = 2
    loop["s"] = 42
    loop["b"] = 1
    loop["t"] = 1.5
    assert [loop[key] for key in "iufsbt"] == [-5, 2**64 - 1, 2.0, "42", True, 1.5]
    loop.set_param("i", 3.9)
    assert loop.get_param("i") == 3
    for key in "iuft":
        with pytest.raises(ValueError, match="takes"):
            loop[key] = "text"
    for call in (lambda: loop["x"], lambda: loop.get_param("x"), lambda: loop.set_param("x", 1)):
        with pytest.raises(ValueError, match="no parameter 'x'"):
            call()
    # Neither flags nor limits are heeded.
    loop.add_param("out", "an output", FPS_type.INT64, FPS_flags.DEFAULT_OUTPUT)
    loop["out"] = 7
    assert loop["out"] == 7


def test_the_binding(loop: FPS) -> None:
    fps = wrap.fps("loop")
    assert fps.asdict() == {"Name": "loop", "i": 0, "u": 0, "f": 0.0, "s": "NULLSTRING", "b": False, "t": 0.0}
    assert fps.keys["i"] == wrap.FPS_type.INT32 == wrap.INT32 == 2
    assert fps.get_levelKeys() == ["Name", "i", "u", "f", "s", "b", "t"]
    fps["t"] = wrap.timespec(1, 500000000)
    assert fps["t"] == 1.5
    md = fps.md()
    assert (md.name, md.NBparamMAX, md.confpid, md.kwarray) == ("loop", 200, 0, ":")
    assert md.confpidstarttime == wrap.timespec(0, 0)
    with pytest.raises(AttributeError):
        _ = md.nothing
    assert all(hasattr(md, name) for name in dir(md))
    assert fps.add_entry("new", "what", wrap.FPS_type.FLOAT64) == 0
    assert fps.add_entry("newer", "what", wrap.FPS_type.FLOAT64, wrap.DEFAULT_OUTPUT) == 0
    assert (fps["new"], loop.param("new").description) == (0.0, "what")
    assert fps.set_status(wrap.FPS_status.CHECKOK) == 0
    assert fps.get_status() == wrap.CHECKOK
    assert fps.signal_update() == 0
    assert fps.FPCONFloopstep() == 1
    assert loop.fps.attached.signal == 1
    assert fps.CONFstop() == 0
    assert fps.FPCONFloopstep() == 0
    assert (fps.CONFrunning, fps.RUNrunning) == (0, 0)
    assert fps.RUNexit() == 0
    with pytest.raises(RuntimeError, match="FPS does not exist"):
        wrap.fps("nothing")
    made = wrap.fps("made", True, 5)
    assert made.md().NBparamMAX == 5
    assert made.disconnect() == 0


def test_calls_of_2024(loop: FPS) -> None:
    fps = wrap.fps("loop")
    for kind, key, text, value in (
        ("onoff", "b", "ON", True),
        ("int", "i", "-3", -3),
        ("float", "f", "0.5", 0.5),
        ("double", "f", "0.25", 0.25),
        ("string", "s", "abc", "abc"),
    ):
        assert getattr(fps, f"set_param_value_{kind}")(key, text) == 0
        assert getattr(fps, f"get_param_value_{kind}")(key) == value
    fps.disconnect()


def test_enums() -> None:
    assert [each.name for each in wrap.FPS_status] == [
        "CONF", "RUN", "CMDCONF", "CMDRUN", "RUNLOOP", "CHECKOK", "TMUXCONF", "TMUXRUN", "TMUXCTRL"
    ]  # fmt: skip
    assert len(wrap.FPS_type) == 19
    assert len(wrap.FPS_flags.__members__) == 5
    assert wrap.FPS_flags.DEFAULT_INPUT == 8887
    assert names.FpsWrap.fps is wrap.fps


def test_manager(loop: FPS, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FPS_KEYWORDARRAY", ":ao:cam:")
    FPS.create("labelled").disconnect()
    manager = FPSManager()
    assert sorted(manager.fps_cache) == ["labelled", "loop"]
    assert sorted(FPSManager("l*", "ao").fps_cache) == ["labelled"]
    manager.set_param("loop", "i", 4)
    assert manager.get_param("loop", "i") == 4
    assert not manager.conf_isrunning("loop")
    FPS.create("later").disconnect()
    assert manager.find_fps("later")["Name"] == "later"
    manager.find_fps("later").destroy()
    manager.rescan_all()
    assert sorted(manager.fps_cache) == ["labelled", "loop"]
    with pytest.raises(FPSDoesntExistError):
        manager.find_fps("nothing")


class Loop(SmartAttributesFPS):
    gain: float
    on: bool
    modes: int
    text: str
    _DICT_METADATA = {
        "gain": ("loop gain", FPS_type.FLOAT32, FPS_flags.DEFAULT_INPUT),
        "on": ("closed", FPS_type.ONOFF, FPS_flags.DEFAULT_INPUT),
        "modes": ("how many", FPS_type.UINT64, FPS_flags.DEFAULT_INPUT),
        "text": ("what", FPS_type.STRING, FPS_flags.DEFAULT_OUTPUT),
    }


class More(Loop):
    extra: float
    _DICT_METADATA = {"extra": ("more", FPS_type.FLOAT64, FPS_flags.DEFAULT_STATUS)}


class Plain(SmartAttributesFPSAutoMetadata):
    a: bool
    b: int
    c: float
    d: str


def test_attributes() -> None:
    loop = Loop.create("smart")
    loop.gain, loop.on, loop.modes, loop.text = 0.5, True, 2**64 - 1, 42  # type: ignore[assignment]
    assert (loop.gain, loop.on, loop.modes, loop.text) == (0.5, True, 2**64 - 1, "42")
    with pytest.raises(ValueError, match="takes"):
        loop.gain = "text"  # type: ignore[assignment]
    assert (loop.param("gain").type, loop.param("gain").description) == (32, "loop gain")
    again = Loop("smart")
    assert again.gain == 0.5
    down = Loop.smartfps_downcast(FPS("smart"))
    assert (type(down), down.modes) == (Loop, 2**64 - 1)
    with pytest.raises(TypeError, match="'extra' has to be FLOAT64, and it has no such parameter"):
        More.smartfps_downcast(FPS("smart"))
    more = More.create("more")
    assert (more.gain, more.extra) == (0.0, 0.0)
    plain = Plain.create("plain")
    assert [each.name for each in plain.key_types.values()][1:] == ["ONOFF", "INT64", "FLOAT64", "STRING"]
    plain.b = 5
    assert Plain("plain").b == 5


def test_classes_that_are_wrong() -> None:
    good = ("c", FPS_type.FLOAT32, FPS_flags.DEFAULT_INPUT)
    for annotated, metadata in (
        ({"gain": float}, {}),
        ({}, {"gain": good}),
        ({"gain": int}, {"gain": good}),
        ({"gain": list}, {"gain": good}),
    ):
        wrong: Any = type(
            "Wrong", (SmartAttributesFPS,), {"__annotations__": annotated, "_DICT_METADATA": metadata}
        )
        with pytest.raises(SmartFPSInitError):
            wrong("nothing")
    with pytest.raises(SmartFPSInitError, match="must not define"):
        type("Wrong", (SmartAttributesFPS,), {"_cls_find_annotations": None})


def test_attributes_of_the_new_class() -> None:
    class Strict(NewSmart):
        gain: float
        _DICT_METADATA = {"gain": ("loop gain", FPS_type.FLOAT32, FPS_flags.DEFAULT_INPUT)}  # type: ignore[dict-item]

    with Strict.create("strict", directories=False) as fps:
        fps.gain = 0.25
        assert (fps.gain, fps["gain"]) == (0.25, 0.25)
        with pytest.raises(TypeError):
            fps.gain = "x"  # type: ignore[assignment]
