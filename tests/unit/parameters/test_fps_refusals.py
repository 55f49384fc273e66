"""What an FPS refuses, it refuses with an error of its own, and nothing is written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk.errors import (
    FPSArgumentError,
    FPSExistsError,
    FPSFullError,
    FPSLimitError,
    FPSNameError,
    FPSTextError,
    FPSTypeError,
)
from pymilk.parameters import FPS, FPSManager, Program, Timespec
from pymilk.parameters.layout import LAYOUTS
from support.fps import other_layout

NAN, INF = float("nan"), float("inf")


@pytest.fixture
def fps(shm_dir: Path) -> Iterator[FPS]:
    with FPS.create("loop", 40, directories=False) as made:
        yield made


def content(fps: FPS) -> bytes:
    return Path(fps.path).read_bytes()


@pytest.mark.parametrize("kind", ["INT32", "UINT64", "FLOAT32", "PID", "ONOFF", "TIMESPEC", "STRING"])
@pytest.mark.parametrize(
    "value",
    [np.array([1, 0]), np.zeros((2, 2)), [1], {"a": 1}, 1 + 2j, b"1", object()],
    ids=lambda value: f"{type(value).__name__}{np.shape(value)}",
)
def test_values_of_other_types(fps: FPS, kind: str, value: Any) -> None:
    fps.add_param("p", type=kind)
    before = content(fps)
    for call in (
        lambda: fps.set("p", value),
        lambda: fps.set("p", value, force=True),
        lambda: fps.add_param("new", type=kind, default=value),
    ):
        with pytest.raises(FPSTypeError):
            call()
    assert content(fps) == before


@pytest.mark.parametrize(
    "value",
    [(np.array([1, 2]), 0), (1, 2, 3), (1.5, 0), ("1", "2"), ()],
    ids=["array", "3", "float", "str", "0"],
)
def test_pairs_that_are_no_time(fps: FPS, value: Any) -> None:
    fps.add_param("t", type="TIMESPEC")
    for call in (lambda: fps.set("t", value), lambda: fps.add_param("new", "TIMESPEC", value)):
        with pytest.raises(FPSTypeError):
            call()
    assert list(fps) == ["t"]


@pytest.mark.parametrize("value", [NAN, INF, -INF, 2.0**63, (2**63, 0), (0, 10**9), (0, -1)])
def test_times_that_cannot_be_stored(fps: FPS, value: Any) -> None:
    fps.add_param("t", type="TIMESPEC")
    for call in (lambda: fps.set("t", value), lambda: fps.add_param("new", "TIMESPEC", value)):
        with pytest.raises(FPSLimitError):
            call()
    assert (list(fps), fps["t"]) == (["t"], Timespec(0, 0))


def test_first_times_are_as_exact_as_later_ones(fps: FPS) -> None:
    for number, value in enumerate((0.25, 1_700_000_000.5, np.float32(0.5), np.int64(3), 7, (1, 2))):
        fps.add_param(f"t{number}", "TIMESPEC", value)
        first = fps[f"t{number}"]
        fps[f"t{number}"] = value
        assert fps[f"t{number}"] == first
    assert fps["t1"] == Timespec(1_700_000_000, 500_000_000)


@pytest.mark.parametrize("text", ["\ud800", "a\ud800b"])
def test_texts_that_no_encoding_has(fps: FPS, text: str) -> None:
    fps.add_param("t", default="abc")
    before = content(fps)
    for call in (
        lambda: fps.set("t", text),
        lambda: fps.add_param("new", default=text),
        lambda: fps.add_param("new", default=1, description=text),
        lambda: FPS.create("other", description=text, directories=False),
    ):
        with pytest.raises(FPSTextError, match="cannot be encoded"):
            call()
    assert content(fps) == before
    assert len(list(Path(fps.path).parent.iterdir())) == 1


def test_a_description_ends_at_its_nul(fps: FPS) -> None:
    assert fps.add_param("n", default=1, description="a\0b").description == "a"
    assert fps.add_param("m", default=1, description="é" * 40).description == "é" * 31


@pytest.mark.parametrize(
    ("kind", "low", "high", "error"),
    [
        ("INT64", 1, 2**63, FPSLimitError),
        ("INT32", -5, 2.5, FPSTypeError),
        ("UINT32", -1, 5, FPSLimitError),
        ("FLOAT32", 0.0, 1e39, FPSLimitError),
        ("FLOAT64", 0.0, "1", FPSTypeError),
        ("INT64", 5, 1, FPSLimitError),
        ("FLOAT64", 0.0, NAN, FPSLimitError),
        ("FLOAT64", NAN, None, FPSLimitError),
    ],
)
def test_limits_that_cannot_be_leave_the_old_ones(
    fps: FPS, kind: str, low: Any, high: Any, error: type[Exception]
) -> None:
    param = fps.add_param("n", kind, 2, limits=(0, 3))
    before = content(fps)
    with pytest.raises(error):
        param.set_limits(low, high)
    assert content(fps) == before
    with pytest.raises((FPSLimitError, FPSTypeError)):
        fps.add_param("new", kind, limits=(low, high))
    if error is not FPSLimitError or low is not NAN:
        assert content(fps) == before


def test_limits_without_a_first_value(fps: FPS) -> None:
    param = fps.add_param("modes", "INT64", limits=(1, 10))
    assert (param.value, param.limits, param.cnt0) == (0, (1, 10), 0)
    assert not param.status.initialized
    with pytest.raises(FPSLimitError):
        fps["modes"] = 0
    fps["modes"] = 10
    assert (param.value, param.cnt0) == (10, 1)


def test_an_fps_that_is_refused_leaves_no_directories(
    fps: FPS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for error, call in (
        (FPSExistsError, lambda: FPS.create("loop")),
        (FPSArgumentError, lambda: FPS.create("bad", 0)),
        (FPSFullError, lambda: FPS.create("bad", 3, standard=True)),
        (FPSTextError, lambda: FPS.create("bad", description="x" * 200)),
        (FPSArgumentError, lambda: FPS.create("bad", program=Program(modules=["m"] * 51))),
        (FPSArgumentError, lambda: FPS.create("bad", labels=[1])),  # type: ignore[list-item]
    ):
        with pytest.raises(error):
            call()
    assert list(tmp_path.iterdir()) == []


def test_directories_that_cannot_be_made_leave_no_file(fps: FPS, tmp_path: Path) -> None:
    (tmp_path / "fps.bad.confdir").write_text("in the way")
    with pytest.raises(FPSExistsError, match="directories=False"):
        FPS.create("bad", program=Program(workdir=str(tmp_path)))
    assert [each.name for each in tmp_path.iterdir()] == ["fps.bad.confdir"]
    assert not (Path(fps.path).parent / "bad.fps.shm").exists()


def test_all_four_elements_as_they_are(fps: FPS) -> None:
    param = fps.add_param("u", "UINT64", (2**64 - 1, 0, 5, 7), flags=8887)
    assert (param.value, param.limits, param.current, param.cnt0) == (2**64 - 1, (None, None), 7, 1)
    assert [fps.table.element(fps.table.entry("u"), number) for number in (1, 2)] == [0, 5]
    for wrong, error in (
        ((1, 2, 3), FPSTypeError),
        ((1, 2, 3, "4"), FPSTypeError),
        ((-1, 0, 1, 2), FPSLimitError),
    ):
        with pytest.raises(error):
            fps.add_param("new", "UINT64", wrong)
    with pytest.raises(FPSTypeError):
        fps.add_param("new", "UINT64", (1, 2, 3, 4), limits=(0, 5))
    assert list(fps) == ["u"]


def test_names_that_milk_takes_are_attached(shm_dir: Path) -> None:
    """milk looks at no length; what fits the header can be used, and is not made here."""
    long = "x" * 80
    with pytest.raises(FPSNameError, match="80 bytes; at most 63 fit"):
        FPS.create(long, directories=False)
    path = other_layout(LAYOUTS[0], shm_dir, "short")
    path.rename(shm_dir / f"{long}.fps.shm")
    with FPS(long) as fps:
        assert fps["short.gain"] == fps["gain"] == 0.5
    assert list(FPSManager()) == [long]
