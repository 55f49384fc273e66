"""The model of what a frame costs: past the caches where pymilk copies so, and not told what it predicts."""

from __future__ import annotations

import importlib
import re
from types import ModuleType

import pytest

from support.paths import ROOT

pytestmark = pytest.mark.skipif(not (ROOT / "setup.py").exists(), reason="needs the sources")


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import the model."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("scaling_model")


@pytest.mark.parametrize(
    ("name", "file", "in_protocol"),
    [("READ_PAST", "copying.pxd", "STREAMING_READ_NBYTES"), ("SLOT_PAST", "frame.pxd", "STREAMING_NBYTES")],
)
def test_copies_go_past_the_caches_where_pymilk_says(
    model: ModuleType, name: str, file: str, in_protocol: str
) -> None:
    text = (ROOT / "pymilk" / "protocol" / file).read_text()
    found = re.findall(rf"^ +{in_protocol} = ([\d_]+)$", text, re.M)
    assert [int(number) for number in found] == [getattr(model, name)]


def test_no_constant_is_a_point_that_is_predicted(model: ModuleType) -> None:
    sizes = {*model.SIZES, model.SMALL, model.LARGE}
    assert not sizes & {*model.FRAMES, *model.PAST_OUT, *model.PAST_SLOTS}
    assert not sizes & {nbytes for nbytes, _, _ in model.RECORDINGS}
    assert not {*model.DEPTHS, *model.STREAMS} & set(model.PLACES)
    assert not set(model.DEPTHS) & set(model.TINY_DEPTHS)
    assert not set(model.STREAMS) & set(model.TINY_STREAMS)
    assert not set(model.READERS) & set(model.TINY_READERS)


def test_costs_by_the_bytes_in_use(model: ModuleType) -> None:
    """A machine whose cache has 3 MiB, and whose calls cost nothing but their bytes."""
    near, far = 1.0, 4.0
    steep = {model.KIB: near, 3 * model.MIB - 1: near, 3 * model.MIB: far, 64 * model.MIB: far}
    fixed = dict.fromkeys(("publish", "receive", "publish to readers", "receive a new frame"), 0.0)
    machine = model.Machine(fixed, {1: 1e-9}, {1: 1e-9}, steep, steep, steep, {1: 0.5}, {1: 0.25}, 0.0)
    frame, small = model.MIB, 8 * model.KIB
    assert machine.publish(frame) == pytest.approx(frame * near)
    assert machine.publish(4 * frame) == pytest.approx(4 * frame * far)
    assert machine.receive(frame) == pytest.approx(frame * near)
    assert machine.receive(4 * frame) == pytest.approx(4 * frame * 0.5)
    assert machine.publish(frame, 128) == pytest.approx(frame * (near + 0.25))
    assert machine.publish(small, 32) == pytest.approx(small * (near + near))
    assert machine.publish(small, 2048) == pytest.approx(small * (near + far))
    assert machine.publish_in_turn(small, 2) == pytest.approx(small * near)
    assert machine.shared(frame, 1) == pytest.approx(frame * (far + far))
    assert machine.shared(frame, 3) == pytest.approx(frame * (far + far + 2 * near))
    assert machine.cold().publish(small) == pytest.approx(small * far)


def test_smoothing_leaves_steps_and_takes_outliers(model: ModuleType) -> None:
    step = {1: 1.0, 2: 1.0, 3: 9.0, 4: 9.0}
    assert model.smooth(step) == step
    assert model.smooth({1: 1.0, 2: 5.0, 3: 1.5, 4: 2.0}) == {1: 1.0, 2: 1.5, 3: 2.0, 4: 2.0}
