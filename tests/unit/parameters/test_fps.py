"""FPS as a mapping: exact keys, typed values, limits, permissions, counters."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk.errors import (
    FPSArgumentError,
    FPSClosedError,
    FPSExistsError,
    FPSFullError,
    FPSKeyError,
    FPSLimitError,
    FPSNameError,
    FPSNotFoundError,
    FPSReadOnlyError,
    FPSReplacedError,
    FPSTextError,
    FPSTimeoutError,
    FPSTypeError,
)
from pymilk.parameters import (
    FPS,
    ParameterFlag,
    ParameterType,
    Program,
    Signal,
    StandardEntries,
    Status,
    Timespec,
)

#: Each type with a value, something of another type, and something that does not fit.
VALUES: list[tuple[str, Any, Any, Any]] = [
    ("INT32", -(2**31), 1.0, 2**31),
    ("UINT32", 2**32 - 1, "1", -1),
    ("INT64", -(2**63), True, 2**63),
    ("UINT64", 2**64 - 1, None, 2**64),
    ("FLOAT32", 0.5, "0.5", 1e39),
    ("FLOAT64", 1e300, True, None),
    ("PID", 12345, 1.5, 2**31),
    ("TIMESPEC", Timespec(1700000000, 123456789), "1", (1, 10**9)),
    ("FILENAME", "a.txt", 1, "x" * 64),
    ("FITSFILENAME", "a.fits", 1, "x" * 64),
    ("EXECFILENAME", "/bin/true", 1, "x" * 64),
    ("DIRNAME", "dir", 1, "x" * 64),
    ("STREAMNAME", "cam0", b"cam0", "é" * 32),
    ("STRING", "é" * 31, 42, "a\0b"),
    ("ONOFF", True, "on", 2),
    ("FPSNAME", "other", 1, "x" * 64),
]


@pytest.fixture
def fps(shm_dir: Path) -> Iterator[FPS]:
    with FPS.create("loop", 40, directories=False) as made:
        yield made


def content(fps: FPS) -> bytes:
    return Path(fps.path).read_bytes()


@pytest.mark.parametrize(("kind", "value", "wrong", "outside"), VALUES, ids=[row[0] for row in VALUES])
def test_values_by_type(fps: FPS, kind: str, value: Any, wrong: Any, outside: Any) -> None:
    param = fps.add_param("p", type=kind)
    assert (param.type, param.cnt0) == (ParameterType[kind], 0)
    fps["p"] = value
    assert fps["p"] == value
    assert type(fps["p"]) is type(value)
    assert param.cnt0 == 1
    before = content(fps)
    with pytest.raises(FPSTypeError) as caught:
        fps.set("p", wrong, force=True)
    assert (caught.value.key, caught.value.expected, caught.value.found) == ("p", kind, wrong)
    assert isinstance(caught.value, TypeError)
    if outside is not None:
        with pytest.raises((FPSLimitError, FPSTextError, FPSTypeError)):
            fps.set("p", outside, force=True)
    assert content(fps) == before
    # A second object, and a first value, come to the same.
    fps.add_param("q", default=value, type=kind)
    with FPS("loop", writable=False) as other:
        assert (other["p"], other["q"]) == (value, value)


def test_types_follow_from_values(fps: FPS) -> None:
    for key, value in {"on": True, "n": 3, "x": 0.5, "t": "abc"}.items():
        fps.add_param(key, default=value)
    assert [each.type_name for each in fps.params()] == ["ONOFF", "INT64", "FLOAT64", "STRING"]
    assert fps.as_dict() == {"on": True, "n": 3, "x": 0.5, "t": "abc"}
    with pytest.raises(FPSTypeError, match="give it with type="):
        fps.add_param("what", default=None)
    for wrong in ("INT33", 2, 0.5):
        with pytest.raises(FPSArgumentError, match=f"{wrong!r} is not a type"):
            fps.add_param("what", wrong)  # type: ignore[arg-type]
    assert (
        fps.add_param("gain", "FLOAT32", 0.5, (0, 1), ParameterFlag.DEFAULT_OUTPUT, "all in order").high == 1
    )


def test_numbers_of_numpy_are_numbers(fps: FPS) -> None:
    for key, value in {"n": 3, "x": 0.5, "on": False}.items():
        fps.add_param(key, default=value)
    fps["n"], fps["x"], fps["on"] = np.int16(-4), np.float32(0.25), np.bool_(True)
    assert fps.as_dict() == {"n": -4, "x": 0.25, "on": True}
    fps["x"] = 2
    assert fps["x"] == 2.0
    with pytest.raises(FPSTypeError):
        fps["n"] = np.bool_(True)


@pytest.mark.parametrize(
    ("given", "stored"),
    [(1, (1, 0)), (0.25, (0, 250000000)), (-0.5, (-1, 500000000)), ((3, 4), (3, 4)), (1e-9, (0, 1))],
)
def test_times(fps: FPS, given: Any, stored: tuple[int, int]) -> None:
    fps.add_param("t", type="TIMESPEC")
    fps["t"] = given
    assert fps["t"] == stored
    assert float(fps["t"]) == pytest.approx(stored[0] + stored[1] / 1e9)
    assert fps["t"].ns == stored[0] * 10**9 + stored[1]
    fps.add_param("first", default=given, type="TIMESPEC")
    assert fps["first"] == stored
    for wrong in (float("nan"), float("inf"), 1e30):
        with pytest.raises(FPSLimitError):
            fps["t"] = wrong


def test_keys_are_exact(fps: FPS) -> None:
    for key in ("gain2", "gain.x", "gain", "a.b.c"):
        fps.add_param(key, default=key)
    assert list(fps) == ["gain2", "gain.x", "gain", "a.b.c"]
    assert [fps[key] for key in fps] == list(fps)
    assert (fps["loop.gain"], fps["loop.a.b.c"]) == ("gain", "a.b.c")
    assert ("gain" in fps, "ain" in fps, ".gain" in fps, 3 in fps) == (True, False, False, False)
    assert (len(fps), dict(fps.items())) == (4, fps.as_dict())
    assert fps.tree() == {"gain2": "gain2", "gain": {"x": "gain.x", "": "gain"}, "a": {"b": {"c": "a.b.c"}}}
    for key in ("gai", "loop", "loop.", "", "b.c", "loop.loop.gain"):
        with pytest.raises(FPSKeyError) as caught:
            fps[key]
        assert isinstance(caught.value, KeyError)
        assert caught.value.key == key
    assert fps.get("nothing") is None
    with pytest.raises(FPSKeyError, match="did you mean 'gain' or 'gain2'"):
        fps["gain3"]
    with pytest.raises(FPSKeyError):
        fps["gai"] = 1


def test_a_keyword_without_the_name_in_front(fps: FPS) -> None:
    """Some builds of the binding make such entries."""
    from pymilk.parameters.records import slot_bytes

    for keyword in ("plain", "other.key", "loop.plain"):
        fps.table.add(slot_bytes(keyword, ParameterType.STRING, 7, "", (keyword,), fps="loop", nbytes=4112))
    assert fps.as_dict() == {"plain": "plain", "other.key": "other.key", "loop.plain": "loop.plain"}
    assert fps["key"] == "other.key"


def test_keywords_that_change_are_found_anew(fps: FPS) -> None:
    fps.add_param("gain", default=1)
    slot = fps.table.slot_offset(0)
    assert fps["gain"] == 1
    fps.table.write(slot + 16, b"loop.gone\0")
    with pytest.raises(FPSKeyError):
        fps["gain"]
    assert fps["gone"] == 1
    fps.table.clear_flags(fps.table.entry("gone"), ParameterFlag.ACTIVE)
    assert list(fps) == []
    fps.add_param("new", default=2)  # takes the first free slot
    assert fps.param("new").slot == 0


def test_entries_of_others_are_found(fps: FPS) -> None:
    with FPS("loop") as other:
        assert "late" not in other
        fps.add_param("late", default=5)
        assert other["late"] == 5
        other.add_param("later", default=6)
    assert fps.as_dict() == {"late": 5, "later": 6}


def test_limits(fps: FPS) -> None:
    param = fps.add_param("gain", default=0.3, type="FLOAT32", limits=(0.1, 0.7))
    assert param.limits == (np.float32(0.1), np.float32(0.7))
    assert param.current == np.float32(0.3)
    fps["gain"] = 0.7  # the limit itself, which is no float32
    fps["gain"] = 0.1
    before = content(fps)
    for value in (0.7001, -1, float("nan"), float("inf")):
        with pytest.raises(FPSLimitError, match="outside of the limits of 'gain'") as caught:
            fps["gain"] = value
        assert (caught.value.low, caught.value.high) == param.limits
        assert isinstance(caught.value, ValueError)
    assert content(fps) == before
    fps.set("gain", 5, force=True)
    assert fps["gain"] == 5.0
    param.set(0.2)
    param.value = 0.3
    assert param.value == np.float32(0.3)
    half = fps.add_param("half", default=5, limits=(None, 9))
    assert half.limits == (None, 9)
    fps["half"] = -(2**62)
    with pytest.raises(FPSLimitError, match="at most 9"):
        fps["half"] = 10
    with pytest.raises(FPSLimitError, match="first value 11"):
        fps.add_param("bad", default=11, limits=(0, 10))
    with pytest.raises(FPSTypeError, match="only numbers do"):
        fps.add_param("bad", default="a", limits=(0, 10))


def test_limits_belong_to_the_creator(fps: FPS) -> None:
    fps.add_param("n", default=5, type="UINT64", limits=(1, 2**64 - 1))
    fps.param("n").set_limits(None, 10)
    assert fps.param("n").limits == (None, 10)
    with FPS("loop") as other:
        with pytest.raises(FPSReadOnlyError, match="force=True"):
            other.param("n").set_limits(0, 1)
        other.param("n").set_limits(0, 7, force=True)
    assert fps.param("n").limits == (0, 7)
    fps.add_param("t", default="a")
    with pytest.raises(FPSTypeError, match="has no limits"):
        fps.param("t").set_limits(0, 1)


@pytest.mark.parametrize(
    ("status", "flag"),
    [
        (0, "WRITE"),
        (Status.CONF, "WRITECONF"),
        (Status.RUN, "WRITERUN"),
        (Status.CONF | Status.RUN, "WRITERUN"),
        (Status.CMDCONF | Status.CMDRUN | Status.CHECKOK, "WRITE"),
    ],
)
def test_permission_follows_the_state(fps: FPS, status: int, flag: str) -> None:
    all_of_them = ParameterFlag.WRITE | ParameterFlag.WRITECONF | ParameterFlag.WRITERUN
    fps.add_param("yes", default=0, flags=7 | ParameterFlag[flag])
    fps.add_param("no", default=0, flags=7 | all_of_them & ~ParameterFlag[flag])
    fps.change_status(set=status)
    fps["yes"] = 1
    before = content(fps)
    with pytest.raises(FPSReadOnlyError, match=rf"flag {flag} is not set.*force=True") as caught:
        fps["no"] = 1
    assert isinstance(caught.value, PermissionError)
    assert content(fps) == before
    assert (fps.param("yes").status.writable, fps.param("no").status.writable) == (True, False)
    fps.set("no", 1, force=True)
    assert fps["no"] == 1


def test_a_write_counts_and_asks_for_a_check(fps: FPS) -> None:
    fps.add_param("n", default=1)
    assert (fps.param("n").cnt0, fps.signal) == (1, Signal.CONFRUN)
    fps["n"] = 2
    assert (fps.param("n").cnt0, fps.signal) == (2, Signal.CONFRUN | Signal.UPDATE)
    fps.request(clear=Signal.UPDATE)
    assert fps.signal == Signal.CONFRUN


def test_texts(fps: FPS) -> None:
    fps.add_param("t", default="x" * 63)
    assert fps["t"] == "x" * 63
    fps["t"] = "short"
    assert fps["t"] == "short"
    fps["t"] = ""
    assert fps["t"] == ""
    for text, found in (("x" * 64, 64), ("é" * 32, 64), ("a\0", 2)):
        with pytest.raises(FPSTextError) as caught:
            fps["t"] = text
        assert (caught.value.limit, caught.value.found) == (63, found)
    # A text without its NUL, and bytes that are no UTF-8, come out and go in again.
    at = fps.table.slot_offset(0) + 3928
    fps.table.write(at, b"\xff" * 64)
    text = fps["t"]
    assert len(text) == 64
    fps["t"] = text[:63]
    assert fps.table.read(at, 65) == b"\xff" * 63 + b"\0N"


def test_adding_one_that_exists_changes_nothing(fps: FPS) -> None:
    fps.add_param("gain", default=0.5, limits=(0, 1), description="first")
    before = content(fps)
    assert fps.add_param("loop.gain", default=0.7, description="second").value == 0.5
    assert fps.add_param(".gain", default=0.7).description == "first"
    with pytest.raises(FPSTypeError, match="already, as FLOAT64"):
        fps.add_param("gain", default=1)
    assert content(fps) == before


def test_a_full_table(fps: FPS) -> None:
    for number in range(40):
        fps.add_param(f"p{number}", default=number)
    before = content(fps)
    with pytest.raises(FPSFullError, match="all 40 slots are in use") as caught:
        fps.add_param("more", default=1)
    assert caught.value.slots == 40
    assert content(fps) == before
    with pytest.raises(FPSFullError):
        FPS.create("few", 3, standard=True, directories=False)
    assert not (Path(fps.path).parent / "few.fps.shm").exists()


@pytest.mark.parametrize("key", ["", ".", "a..b", "a b", "x" * 64, ".".join("x" * 20), "a\nb", 3, "\ud800"])
def test_keys_that_cannot_be_stored(fps: FPS, key: Any) -> None:
    before = content(fps)
    with pytest.raises(FPSNameError):
        fps.add_param(key, default=1)
    assert content(fps) == before


@pytest.mark.parametrize("name", ["", "a.b", "a/b.fps.shm.x", "a b", "x" * 100, "a\0b", ".", "a\n", 5, None])
def test_names_that_cannot_be(name: Any) -> None:
    for call in (FPS, FPS.create):
        with pytest.raises(FPSNameError) as caught:
            call(name)
        assert isinstance(caught.value, ValueError)


def test_missing(shm_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FPSNotFoundError, match="there is no fps 'nothing'") as caught:
        FPS("nothing")
    assert caught.value.path == str(shm_dir / "nothing.fps.shm")
    assert isinstance(caught.value, FileNotFoundError)
    monkeypatch.setenv("MILK_SHM_DIR", "/no/such/directory")
    with pytest.raises(FPSNotFoundError, match="MILK_SHM_DIR"):
        FPS("nothing")


def test_create(shm_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    old_mask = os.umask(0)
    try:
        fps = FPS.create(
            "a-01-two", description="what", labels=["x", "y"], program=Program(modules=["m"]), standard=True
        )
    finally:
        os.umask(old_mask)
    assert os.stat(fps.path).st_mode & 0o777 == 0o600
    assert fps.labels == ["x", "y"]
    assert (fps.description, fps.slots, len(fps)) == ("what", 200, 16)
    header = fps.header()
    assert (header["pname"], header["NBnameindex"], header["nameindexW"][:3]) == ("a", 2, ["01", "two", ""])
    assert (header["workdir"], header["modulename"]) == (str(tmp_path), ["m"])
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "fps.a-01-two.confdir",
        "fps.a-01-two.datadir",
    ]
    with pytest.raises(FPSExistsError, match="replace=True"):
        FPS.create("a-01-two")
    fps["conf.label"] = "mine"
    with FPS.create("a-01-two", replace=True, standard=StandardEntries(loops=5)) as new:
        assert new["conf.label"] == ""
        assert new["procinfo.loopcntMax"] == 5
        assert fps["conf.label"] == "mine"
        assert not fps.is_current()
        with pytest.raises(FPSReplacedError, match="was made anew"):
            fps["conf.label"] = "nobody sees it"
    fps.destroy()  # leaves the new one alone
    assert (shm_dir / "a-01-two.fps.shm").exists()
    for wrong in (0, -1, 10**6, True, 2.0):
        with pytest.raises(FPSArgumentError):
            FPS.create("bad", wrong)  # type: ignore[arg-type]
    with pytest.raises(FPSTextError, match="description"):
        FPS.create("bad", description="x" * 200)
    with pytest.raises(FPSArgumentError, match="at most 50 modules"):
        FPS.create("bad", program=Program(modules=["m"] * 51))
    assert sorted(each.name for each in shm_dir.iterdir()) == ["a-01-two.fps.shm"]


def test_long_parts_of_a_name_run_into_the_next_row() -> None:
    with FPS.create("n-abcdefghijklmnopqrst-x-abcdefghijkl", directories=False) as fps:
        # The second row is overwritten by the second part.
        assert fps.header()["nameindexW"][:4] == ["abcdefghij", "x", "abcdefghij", "kl"]


def test_closed(fps: FPS) -> None:
    fps.add_param("n", default=1)
    param = fps.param("n")
    fps.close()
    fps.close()
    assert fps.closed
    for call in (
        lambda: fps["n"], lambda: fps.set("n", 1), fps.as_dict, lambda: list(fps), lambda: fps.status,
        lambda: param.set_limits(0, 1), fps.destroy, lambda: param.value, fps.check,
        lambda: fps.wait_for_change("n"), lambda: fps.watch("n"),
    ):  # fmt: skip
        with pytest.raises(FPSClosedError, match="closed"):
            call()
    assert repr(fps) == "<FPS loop (closed)>"


def test_read_only(fps: FPS) -> None:
    fps.add_param("n", default=1)
    with FPS("loop", writable=False) as other:
        assert not other.writable
        with pytest.raises(FPSReadOnlyError, match="attached read-only"):
            other["n"] = 2
        with pytest.raises(FPSReadOnlyError):
            other.add_param("m", default=2)
        with pytest.raises(FPSReadOnlyError):
            other.check()
        with pytest.raises(FPSReadOnlyError), other.running():
            pass
    assert fps["n"] == 1


def test_removed(fps: FPS) -> None:
    fps.add_param("n", default=1)
    with FPS("loop") as other:
        fps.destroy()
        assert other["n"] == 1
        assert not other.is_current()
        with pytest.raises(FPSReplacedError, match="was removed"):
            other["n"] = 2
        with pytest.raises(FPSReplacedError):
            other.wait_for_change("n", 5)
        other.destroy()


def test_waiting_that_ends(fps: FPS) -> None:
    fps.add_param("n", default=1)
    fps.add_param("m", default=1)
    with pytest.raises(FPSTimeoutError, match=r"'n' was written in 0\.001 s") as caught:
        fps.wait_for_change("n", 0.001)
    assert caught.value.timeout == 0.001
    assert fps.wait_for_change(["n", "m"], 0, since={"n": 0}) == {"n": 1}
    for wrong in (-1, float("nan"), "x"):
        with pytest.raises(FPSArgumentError):
            fps.wait_for_change("n", wrong)  # type: ignore[arg-type]
        with pytest.raises(FPSArgumentError):
            fps.watch(timeout=wrong)  # type: ignore[arg-type]
    with pytest.raises(FPSArgumentError, match="no parameter to wait for"):
        fps.wait_for_change([], 1)
    with pytest.raises(FPSKeyError):
        fps.wait_for_change("x", 1)


def test_watching_what_has_happened(fps: FPS) -> None:
    fps.add_param("n", default=1)
    fps.add_param("m", default=1)
    with fps.watch(timeout=0.001) as watch:
        fps["n"], fps["m"] = 2, 3
        fps["n"] = 4
        fps.add_param("new", default="text")
        assert [tuple(change) for change in watch] == [("n", 4, 3, 1), ("m", 3, 2, 0), ("new", "text", 1, 0)]
    assert list(watch) == []


def test_repr_and_pickle(fps: FPS) -> None:
    fps.add_param("n", default=1)
    assert repr(fps) == "<FPS loop: 1 of 40 parameters, conf stopped, run stopped, check not done>"
    assert repr(fps.param("n")) == "<Parameter loop.n INT64 1>"
    assert {fps: 1}[fps] == 1
    with pickle.loads(pickle.dumps(fps)) as again:
        assert again["n"] == 1
        assert again != fps
