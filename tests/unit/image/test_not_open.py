"""An `Image` that is not open."""

from __future__ import annotations

import gc
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from pymilk.errors import ImageNotInitializedError
from support.images import BUFFERS, CALLS, Image, ramp

Make = Callable[..., Any]

ATTRIBUTES = (
    "acqtimearray",
    "cntarray",
    "md",
    "semReadPID",
    "semWritePID",
    "shape",
    "streamproctrace0",
    "writetimearray",
)
ALWAYS_THERE = {"create", "last_error", "memsize", "open", "used"}

EVERY: dict[str, Callable[[Any], Any]] = {
    **CALLS,
    **{name: lambda image, name=name: getattr(image, name) for name in ATTRIBUTES},
    **BUFFERS,
}


def test_no_member_is_forgotten() -> None:
    public = {name for name in dir(Image) if not name.startswith("_")}
    assert public == set(CALLS) | set(ATTRIBUTES) | ALWAYS_THERE


@pytest.mark.parametrize("member", EVERY)
@pytest.mark.parametrize("state", ["new", "closed", "destroyed", "not found"])
def test_not_initialized(member: str, state: str) -> None:
    image = Image()
    if state != "new":
        assert image.create("x", ramp(3)) == 0
    if state == "closed":
        assert image.close() == 0
    elif state == "destroyed":
        assert image.destroy() == 0
    elif state == "not found":
        assert image.open("nowhere") == 40
    with pytest.raises(RuntimeError, match=r"^image not initialized$") as caught:
        EVERY[member](image)
    assert type(caught.value) is ImageNotInitializedError
    assert (image.used, image.memsize) == (0, 0)
    assert repr(image) == "<Image not initialized>"


def test_metadata_that_outlives_its_image(make: Make) -> None:
    image = make("x", ramp(3))
    md, trace = image.md, image.streamproctrace0
    assert (md.cnt0, trace.cnt0) == (1, 0)
    image.close()
    for read in (lambda: md.cnt0, lambda: md.naxis, lambda: repr(md), lambda: trace.cnt0, lambda: md.acqtime):
        with pytest.raises(ImageNotInitializedError):
            read()


def test_metadata_keeps_a_forgotten_image_open() -> None:
    def metadata() -> Any:
        image = Image()
        assert image.create("x", ramp(3)) == 0
        return image.md

    md = metadata()
    gc.collect()
    assert (md.name, md.cnt0) == ("x", 1)


@pytest.mark.parametrize("name", [*ATTRIBUTES, "used", "memsize", "last_error"])
def test_attributes_cannot_be_set(make: Make, name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(make("x", ramp(3)), name, 1)


def test_image_takes_no_arguments() -> None:
    for arguments in (("x",), (1,)):
        with pytest.raises(TypeError):
            Image(*arguments)


def test_signatures() -> None:
    signatures = {
        "create": "name, buffer, location=-1, shared=1, NBsem=10, NBkw=1, imagetype=2, CBsize=0",
        "open": "name",
        "getsemwaitindex": "index",
        "semwait": "index",
        "semtimedwait": "index, timeoutsec",
        "semtrywait": "index",
        "sempost": "index=-1",
        "semflush": "index",
        "semvalue": "index",
        "set_kws": "keywords",
        "set_kws_list": "keywords",
        "update_atime": "atime",
        "write": "buffer",
    }
    for name in CALLS | {"open": None, "create": None}:
        parameters = list(inspect.signature(getattr(Image, name)).parameters.values())[1:]
        shown = ", ".join(
            each.name if each.default is each.empty else f"{each.name}={int(each.default)}"
            for each in parameters
        )
        assert shown == signatures.get(name, ""), name
