"""The facade of magscope.datatypes: names, signatures, types of pixels, and what `install` does."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import logging
import sys
import types
from collections.abc import Iterator

import numpy as np
import pytest

from pymilk.compat import magscope

#: Keyword-only parameters, and those that have a default.
CONSTRUCTORS = {
    "VideoBuffer": "create, locks, n_stacks=None, width=None, height=None, n_images=None, bits=None",
    "MatrixBuffer": "create, locks, name, shape=None",
    "BeadRoiBuffer": "create, locks, capacity=None, name='BeadRoiBuffer'",
    "LiveProfileBuffer": "create, locks, profile_capacity=None, name='LiveProfileBuffer'",
    "ZLUTSweepDataset": "create, locks, capacity=None, profile_length=None, n_steps=None, n_beads=None, "
    "profiles_per_bead=None, name='ZLUTSweepDataset'",
}


@pytest.fixture
def modules() -> Iterator[None]:
    """Have the table of modules as before afterwards."""
    names = [name for name in sys.modules if name.partition(".")[0] == "magscope"]
    before = {name: sys.modules.pop(name) for name in names}
    yield
    for name in ("magscope", "magscope.datatypes"):
        sys.modules.pop(name, None)
    sys.modules.update(before)


@pytest.mark.parametrize("name", CONSTRUCTORS)
def test_constructors_take_keywords_only(name: str) -> None:
    parameters = list(inspect.signature(getattr(magscope, name)).parameters.values())
    assert {each.kind for each in parameters} == {inspect.Parameter.KEYWORD_ONLY}
    written = [
        each.name if each.default is each.empty else f"{each.name}={each.default!r}" for each in parameters
    ]
    assert ", ".join(written) == CONSTRUCTORS[name]
    with pytest.raises(TypeError):
        getattr(magscope, name)(True, {})


def test_exceptions_are_directly_below_exception() -> None:
    for name in ("BufferUnderflow", "BufferOverflow", "DatasetNotReadyError"):
        assert getattr(magscope, name).__bases__ == (Exception,)


def test_types_of_pixels() -> None:
    expected = {8: np.uint8, 16: np.uint16, 32: np.uint32, 64: np.uint64}
    assert magscope.bit_to_dtype == expected
    assert [magscope.int_to_uint_dtype(bits) for bits in expected] == list(expected.values())
    for bits in (0, 7, 128, "8", None, [8]):
        with pytest.raises(ValueError, match="Unsupported bit width: "):
            magscope.int_to_uint_dtype(bits)
    assert isinstance(magscope.logger, logging.Logger)


def test_nobody_finds_it_before_it_is_installed(modules: None) -> None:
    if importlib.util.find_spec("magscope") is None:
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("magscope.datatypes")
    else:  # people have the original
        assert importlib.import_module("magscope.datatypes") is not magscope


def test_installed_it_is_found_under_the_old_name(modules: None) -> None:
    magscope.install()
    magscope.install()  # twice is no error
    from magscope.datatypes import VideoBuffer

    assert VideoBuffer is magscope.VideoBuffer
    assert importlib.import_module("magscope.datatypes") is magscope
    assert importlib.import_module("magscope").datatypes is magscope
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("magscope.gui")


def test_the_package_itself_stays_where_there_is_one(modules: None) -> None:
    original = types.ModuleType("magscope")
    original.__path__ = []
    original.other = 1
    sys.modules["magscope"] = original
    magscope.install()
    assert importlib.import_module("magscope") is original
    assert (original.other, original.datatypes) == (1, magscope)
