"""Frames of simulated cameras, faults, options, and the optics of the loop."""

from __future__ import annotations

import numpy as np
import pytest

from pymilk import Stream
from pymilk.errors import StreamArgumentError, StreamBusyError
from pymilk.simulate import SCENES, Faults
from pymilk.simulate.faults import hits, next_hit
from pymilk.simulate.optics import ACTUATORS, SENSOR, Air, Controller, Sensor
from pymilk.simulate.options import CameraOptions, LoopOptions
from pymilk.simulate.scenes import SceneFrames, ramp, ramp_modulus

MOVING = [kind for kind in SCENES if kind != "ramp"]


@pytest.mark.parametrize("kind", MOVING)
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "i4", "f4", "f8"])
def test_frames_move_and_are_the_same_for_a_seed(kind: str, dtype: str) -> None:
    shape = SCENES[kind].shape if len(SCENES[kind].shape) == 1 else (24, 20)
    frames = SCENES[kind].make(shape, np.dtype(dtype), 6, 3)
    assert (frames.shape, frames.dtype) == ((6, *shape), np.dtype(dtype))
    assert len({frame.tobytes() for frame in frames}) == 6
    assert np.isfinite(frames).all()
    np.testing.assert_array_equal(frames, SCENES[kind].make(shape, np.dtype(dtype), 6, 3))
    assert not np.array_equal(frames, SCENES[kind].make(shape, np.dtype(dtype), 6, 4))


@pytest.mark.parametrize("kind", MOVING)
def test_the_last_frame_is_followed_by_the_first(kind: str) -> None:
    shape = (16,) if kind == "telemetry" else (20, 20)
    cycle = SCENES[kind].make(shape, np.dtype("f8"), 64, 1)
    steps = np.abs(np.roll(cycle, -1, 0) - cycle).mean(axis=tuple(range(1, cycle.ndim)))
    assert steps[-1] < 2 * steps[:-1].max()


@pytest.mark.parametrize("kind", SCENES)
def test_frames_that_are_not_possible(kind: str) -> None:
    usual = SCENES[kind].shape
    for shape, dtype in (((1, 2, 3, 4), "u2"), (usual, "c8"), ((0,) * len(usual), "u2")):
        with pytest.raises(StreamArgumentError, match=r"pixels of an|a ramp has"):
            SceneFrames(kind, shape, np.dtype(dtype))


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i8", "f2", "f4", "f8"])
def test_pixels_of_a_ramp_carry_the_number(dtype: str) -> None:
    modulus = ramp_modulus(dtype)
    for first in (1, modulus - 3, 10**12):
        frames = ramp((4, 5), dtype, first, 7)
        assert frames.dtype == np.dtype(dtype)
        for k, frame in enumerate(frames):
            wanted = [(first + k + pixel) % modulus for pixel in range(20)]
            assert [int(value) for value in frame.ravel()] == wanted


def test_frames_by_number() -> None:
    cycle = SceneFrames("dm", (3, 3), np.dtype("f4"))
    assert cycle.cycle is not None
    assert len(cycle.take(1, 1000)) == len(cycle.cycle)
    np.testing.assert_array_equal(cycle.take(len(cycle.cycle) + 2, 1)[0], cycle.cycle[1])
    numbers = SceneFrames("ramp", (3,), np.dtype("u2")).take(9, 2)
    np.testing.assert_array_equal(numbers, [[9, 10, 11], [10, 11, 12]])


@pytest.mark.parametrize("fraction", [0.5, 0.1, 1 / 3, 0.01, 1.0, 0.9, 1e-5])
def test_faults_are_evenly_spaced(fraction: float) -> None:
    count = 2000
    met = [number for number in range(1, count + 1) if hits(fraction, number)]
    assert len(met) == int(count * fraction)
    following = next_hit(fraction, 1)
    for number in met:
        assert following == number
        following = next_hit(fraction, number + 1)
    assert next_hit(0.0, 1) == 0


@pytest.mark.parametrize(
    "given", [{"drop": 1.5}, {"tear": -0.1}, {"late": "x"}, {"die": -1}, {"restart": float("nan")}]
)
def test_faults_that_are_none(given: dict) -> None:
    with pytest.raises(StreamArgumentError, match=next(iter(given))):
        Faults(**given)


@pytest.mark.parametrize(
    "given",
    [{"kind": "x"}, {"rate": -1}, {"frames": 1.5}, {"ring": -1}, {"seed": -1},
     {"ring": 8, "faults": Faults(tear=0.1)}],
)  # fmt: skip
def test_options_of_a_camera_that_are_none(given: dict) -> None:
    with pytest.raises(StreamArgumentError):
        CameraOptions("cam", **given)


@pytest.mark.parametrize("given", [{"rate": 0}, {"gain": 3}, {"frames": -1}])
def test_options_of_a_loop_that_are_none(given: dict) -> None:
    with pytest.raises(StreamArgumentError):
        LoopOptions("ao", **given)


def test_the_loop_flattens_the_wavefront() -> None:
    air, sensor = Air(300, np.random.default_rng(1)), Sensor(np.random.default_rng(2))
    controller, mirror = Controller(0.4), np.zeros(ACTUATORS)
    before, behind = [], []
    for _ in range(100):
        wavefront = air.step()
        frame = sensor.frame(wavefront - mirror)
        assert (frame.shape, frame.dtype) == (SENSOR, np.uint16)
        before.append(wavefront.std())
        behind.append((wavefront - mirror).std())
        mirror = controller.next(frame, mirror)
    assert np.mean(behind[-50:]) < 0.25 * np.mean(before[-50:])


def test_claim_behind_missing_frames(make_stream) -> None:
    stream = make_stream("cam", (2, 2), "u2")
    ring = make_stream("ring", (2, 2), "u2", cb_size=4)
    for each in (stream, ring):
        with each.claim(missed=3) as frame:
            frame[...] = 7
        assert each.counter == 4
    for wrong in (-1, 1.5, None):
        with pytest.raises(StreamArgumentError, match="missed"):
            stream.claim(missed=wrong)


def test_frame_counted_early(make_stream) -> None:
    stream = make_stream("cam", (2, 2), "u2")
    stamps = []
    claim = stream.claim()
    with claim as frame:
        frame[0] = 1
        claim.count_early()
        assert (stream.counter, stream.write, claim.counter) == (1, 1, 1)
        stamps.append(stream.sem_values())
        with pytest.raises(StreamBusyError, match="once"):
            claim.count_early()
        frame[1] = 1
    assert (stream.counter, stream.write) == (1, 0)
    assert stamps == [stream.sem_values()]
    assert stream.sem_values()[0] == 1
    with pytest.raises(StreamBusyError):
        claim.count_early()
    with stream.claim():
        pass
    before = stream.counter
    stream.close()
    assert before == 2


@pytest.mark.parametrize("kind", ["fast", "temporal"])
def test_frames_of_rings_are_not_counted_early(kind: str, make) -> None:
    make("cam", ((2, 2), "u2"), ring=4, ring_kind=kind)
    stream = Stream.attach("cam")
    claim = stream.claim()
    with claim, pytest.raises(StreamArgumentError, match="plain streams"):
        claim.count_early()
    before = stream.counter
    stream.close()
    assert before == 2
