"""Exceptions: their bases, their attributes, their pickles."""

from __future__ import annotations

import collections
import copy
import inspect
import pickle
import signal
import threading
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from pymilk import errors
from pymilk._core import FRAME_ROW, Stream
from support.refusals import OUT

EXCEPTIONS = list({getattr(errors, name): 0 for name in errors.__all__ if name.endswith("Error")})
WARNINGS = [getattr(errors, name) for name in errors.__all__ if name.endswith("Warning")]


def test_list_of_exceptions_is_complete() -> None:
    defined = {
        item.__name__
        for item in vars(errors).values()
        if inspect.isclass(item)
        and issubclass(item, Exception)
        and item.__module__ == "pymilk.errors"
    }
    assert defined == {cls.__name__ for cls in EXCEPTIONS + WARNINGS}
    assert all(issubclass(cls, errors.StreamError) for cls in EXCEPTIONS)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("cls", EXCEPTIONS)
def test_exception_survives_pickling(cls: type[errors.StreamError], protocol: int) -> None:
    attributes = {field: (field, 2**64 - 1, 0.5) for field in cls.fields}
    message = "stream 'cam0': no \N{SNOWMAN}, 'quotes' and\nlines"
    error = cls(message, stream="cam0", **attributes)
    for again in (pickle.loads(pickle.dumps(error, protocol)), copy.copy(error)):
        assert type(again) is cls
        assert again.__class__.__mro__ == cls.__mro__
        assert str(again) == again.message == message
        assert again.args == (message,)
        assert again.stream == "cam0"
        assert {field: getattr(again, field) for field in cls.fields} == attributes


@pytest.mark.parametrize("cls", EXCEPTIONS)
def test_exception_without_attributes(cls: type[errors.StreamError]) -> None:
    error = pickle.loads(pickle.dumps(cls("message")))
    assert str(error) == "message"
    assert error.stream is None
    assert all(getattr(error, field) is None for field in cls.fields)
    with pytest.raises(TypeError, match="no attribute"):
        cls("message", colour="red")


@pytest.mark.parametrize("cls", WARNINGS)
def test_warning_survives_pickling(cls: type[Warning]) -> None:
    again = pickle.loads(pickle.dumps(cls("message")))
    assert (type(again), str(again)) == (cls, "message")
    assert issubclass(cls, UserWarning)


def test_raised_exceptions_survive_pickling(stream: Stream) -> None:
    """The attributes of real ones, arrays and dtypes among them."""
    raised = []
    for call in (
        lambda: Stream.attach("missing"),
        lambda: Stream.attach(""),
        lambda: Stream.create("bad", (0,), "u1"),
        lambda: stream.publish(np.zeros((3, 2))),
        lambda: stream.receive(OUT, np.zeros(0, FRAME_ROW), timeout=0),
        lambda: stream.wait(0),
        lambda: stream.update_keyword("THIRD", 1),
        lambda: stream.write_keywords([("A", "v" * 17)]),
    ):
        with pytest.raises(errors.StreamError) as caught:
            call()
        raised.append(caught.value)
    for error in raised:
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again)) == (type(error), str(error))
        for field in error.fields:
            assert repr(getattr(again, field)) == repr(getattr(error, field))


def test_what_a_call_could_not_return_travels_with_its_error() -> None:
    error = errors.StreamChangedError("stream 'cam': it changed", stream="cam", field="shape")
    errors.carry(error, capture=[1, 2], report={"recorded": 3})
    error.add_note("seen at night")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert (again.capture, again.report) == ([1, 2], {"recorded": 3})
        assert again.__notes__ == ["seen at night"]
        again.add_note("another")
    assert error.__notes__ == ["seen at night"]


def test_what_only_this_process_can_have_goes_as_text() -> None:
    class Name(str):
        pass

    class Fault(ValueError):
        pass

    class Pair(NamedTuple):
        one: int

    counts = collections.defaultdict(lambda: 0, {"n": 1})
    for found in (Name("cam"), Fault("no"), Pair(1), counts, [Name("cam")]):
        error = errors.StreamArgumentError("n is a number", stream="cam", argument="n", found=found)
        assert pickle.loads(pickle.dumps(error)).found == repr(found)
    nested = (1, [2], {"n": {3}})
    for found in (1.5, "cam", nested, ValueError("no"), np.float32(2), Path("cam"), signal.SIGINT):
        error = errors.StreamArgumentError("n is a number", stream="cam", argument="n", found=found)
        again = pickle.loads(pickle.dumps(error)).found
        assert (type(again), repr(again)) == (type(found), repr(found))


class Unshown:
    """Neither its pickle nor its repr can be made."""

    def __reduce__(self) -> str:
        raise ValueError

    def __repr__(self) -> str:
        raise ValueError


@pytest.mark.parametrize("found", [lambda: 0, Unshown(), threading.Lock()], ids=["lambda", "unshown", "lock"])
def test_errors_travel_whatever_was_given(found: object) -> None:
    error = errors.StreamArgumentError("n is a number", stream="cam", argument="n", found=found)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.argument, again.stream) == ("n is a number", "n", "cam")
    assert type(again.found) is str
    assert type(found).__name__ in again.found
    assert copy.copy(error).found is found
