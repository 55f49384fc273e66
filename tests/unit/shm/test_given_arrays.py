"""What cannot be read as an array is refused in words, by every door through which pixels come in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pymilk import SHM, Stream, fits
from pymilk.errors import FrameMismatchError, StreamArgumentError
from pymilk.image import Image
from pymilk.playback.footage import open_footage

ON_GPU = r"is on a GPU; copy it first: tensor\.cpu\(\) of torch, array\.get\(\) of CuPy"


class Gpu:
    """As arrays of CuPy and tensors of torch: copying by itself is refused."""

    dtype = np.dtype("u2")
    shape = (2, 2)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (2, 0)

    def __dlpack__(self, **_options: Any) -> Any:
        raise BufferError("CUDA")

    def __array__(self, *_args: Any, **_options: Any) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")


class Bare:
    """On a GPU, and its library knows nothing of NumPy."""

    def __dlpack_device__(self) -> tuple[int, int]:
        return (2, 0)

    def __dlpack__(self, **_options: Any) -> Any:
        raise BufferError("CUDA")


class Copies(Gpu):
    """As arrays of JAX: on a GPU, and copied by itself."""

    def __array__(self, *_args: Any, **_options: Any) -> Any:
        return np.full((2, 2), 7, np.uint16)


class Refuses:
    """As a tensor of torch that needs its gradient."""

    def __array__(self, *_args: Any, **_options: Any) -> Any:
        raise RuntimeError("use tensor.detach()")


class Meta:
    """As a tensor of torch on its device "meta": it has no memory, and raises where it is asked for it."""

    def __dlpack_device__(self) -> tuple[int, int]:
        raise ValueError("Unknown device type meta for Dlpack")

    def __dlpack__(self, **_options: Any) -> Any:
        raise ValueError("Unknown device type meta for Dlpack")

    def __array__(self, *_args: Any, **_options: Any) -> Any:
        raise NotImplementedError("Cannot copy out of meta tensor; no data!")


class Handed:
    """DLPack of the processor, and nothing else."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._array.__dlpack_device__()

    def __dlpack__(self, **options: Any) -> Any:
        return self._array.__dlpack__(**options)


UNREADABLE = [
    pytest.param(Gpu(), ON_GPU, id="gpu"),
    pytest.param(Bare(), ON_GPU, id="bare"),
    pytest.param(Meta(), r"cannot be read as an array: Cannot copy out of meta tensor", id="meta"),
    pytest.param(Refuses(), r"cannot be read as an array: use tensor\.detach\(\)", id="refuses"),
]
UNEQUAL = pytest.param([[1], [1, 2]], r"\(list\) cannot be read as an array: .*inhomogeneous", id="unequal")

DOORS: dict[str, Callable[[SHM, Any], object]] = {
    "set_data": lambda shm, data: shm.set_data(data),
    "check_dt": lambda shm, data: shm.set_data(data, check_dt=True),
    "set_many": lambda shm, data: shm.set_many(data),
    "publish": lambda shm, data: Stream.attach(shm.FNAME).publish(data),
    "fits": lambda shm, data: fits.multi_write("never.fits", [data]),
    "playback": lambda shm, data: open_footage(data),
}


@pytest.fixture
def cam() -> Any:
    with SHM("cam", np.zeros((2, 2), np.uint16)) as shm:
        yield shm


@pytest.mark.parametrize(("data", "words"), [*UNREADABLE, UNEQUAL])
@pytest.mark.parametrize("door", DOORS)
def test_what_is_no_array(cam, door, data, words):
    with pytest.raises(StreamArgumentError, match=words) as caught:
        DOORS[door](cam, data)
    assert str(caught.value).startswith(("data (", "frames (", "frame (", "source ("))
    assert caught.value.found is type(data)
    assert cam.get_counter() == 1


@pytest.mark.parametrize(("data", "words"), UNREADABLE)
def test_images(cam, data, words):
    image = Image()
    assert image.open("cam") == 0
    with pytest.raises(StreamArgumentError, match=words):
        image.write(data)
    image.close()
    assert cam.get_counter() == 1


@pytest.mark.parametrize("data", ["abc", {1: 2}, object(), [None, None]])
def test_what_cannot_be_converted(cam, data):
    with pytest.raises(FrameMismatchError, match="cannot be converted to uint16"):
        cam.set_data(data, check_dt=True)
    assert cam.get_counter() == 1


def test_a_gpu_array_that_is_copied_by_itself(cam):
    cam.set_data(Copies())
    assert (cam.get_data() == 7).all()


def test_dlpack_of_the_processor(cam):
    frame = np.arange(4, dtype=np.uint16).reshape(2, 2)
    cam.set_data(Handed(frame))
    assert (cam.get_data() == frame).all()
    Stream.attach("cam").publish(Handed(frame + 1))
    assert (cam.get_data() == frame + 1).all()


@pytest.mark.parametrize(
    ("out", "words"),
    [
        (Gpu(), "Gpu is on a GPU"),
        (Meta(), "Meta cannot be used: Unknown device type meta"),
        (Handed(np.zeros((2, 2), "M8[s]")), "Handed cannot be used: "),
    ],
    ids=["gpu", "meta", "dates"],
)
def test_memory_that_nothing_can_be_copied_into(cam, out, words):
    with pytest.raises(FrameMismatchError, match=words):
        cam.get_data(out=out)
