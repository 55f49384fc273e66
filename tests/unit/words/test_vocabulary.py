"""One word for one thing: parameters of public functions and methods, walked through."""

from __future__ import annotations

import dataclasses
import enum
import importlib
import inspect
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import pymilk
from pymilk import SHM, Capture, RingReader, capture_many
from pymilk.arguments import older_words

#: What users import.
FACES = (
    "pymilk", "pymilk.bench", "pymilk.capture", "pymilk.channels", "pymilk.fits", "pymilk.inspection",
    "pymilk.multi", "pymilk.parameters", "pymilk.playback", "pymilk.recording", "pymilk.ring",
    "pymilk.simulate", "pymilk.times", "pymilk.view",
)  # fmt: skip

#: Words that others use, and ours.
FOREIGN = {
    **dict.fromkeys(("n", "k", "count", "nframes", "n_frames", "num", "max_frames"), "frames"),
    **dict.fromkeys(("duration", "secs", "period_s", "time_limit", "max_seconds", "for_seconds"), "seconds"),
    **dict.fromkeys(("time_out", "wait_time", "max_wait", "wait_seconds", "patience", "sleepT"), "timeout"),
    **dict.fromkeys(("hz", "fps", "freq", "frequency", "speed", "interval", "interval_ns", "period"), "rate"),
    **dict.fromkeys(("size", "slots", "nslots", "cb_size", "capacity", "ring_size", "maxlen"), "depth"),
}

#: The same words for something else, or the names of milk and of existing scripts.
OTHERWISE = {
    ("SHM.multi_recv_data", "n"): "existing scripts",
    ("SHM.get_data", "sleepT"): "existing scripts",
    ("SmartAttributesFPS.smartfps_downcast", "fps"): "an FPS, not a rate",
    ("Stream.create", "cb_size"): "the name of the field in the file, as all of this class",
    ("Stream.local", "cb_size"): "the name of the field in the file, as all of this class",
    ("Stream.publish_many", "count"): "frames are the frames themselves there",
    ("Stream.publish_many", "interval_ns"): "integers alone, as all of this class",
    ("CommandQueue.create", "size"): "bytes of a command",
    ("CommandQueue.create", "slots"): "of commands",
    ("FPS.create", "slots"): "of parameters",
    ("ProcessInfo.loop", "period"): "milk's word for the time between two passes of a loop",
    ("ProcessInfo.set_limits", "period"): "milk's word for the time between two passes of a loop",
    ("ProcessInfo.set_limits", "duration"): "of one pass",
    ("finish", "count"): "what it has received, for rings and captures alone",
    ("finished_capture", "duration"): "what it took, for rings and captures alone",
    ("Table.last", "n"): "of rows",
    ("shack_hartmann", "count"): "of lenses along a side",
}

#: Functions that take any names on purpose.
ANY_NAMES = {
    "SharedState.update",  # keys, as dict.update
    "SHM.live",  # what the address of the page can say
    "live",
    "SmartAttributesFPS",  # existing scripts
    "SmartAttributesFPS.create",
}


def is_record(kind: type) -> bool:
    """Return whether users get objects of this kind, and do not make them: reports, rows, constants."""
    return dataclasses.is_dataclass(kind) or issubclass(kind, (tuple, enum.Enum, BaseException))


def members(name: str, kind: type) -> Iterator[tuple[str, Any]]:
    if not is_record(kind):
        yield name, kind
    for each in dir(kind):
        found = inspect.getattr_static(kind, each)
        found = getattr(found, "__func__", found)
        own = any(each in base.__dict__ for base in kind.__mro__ if base.__module__.startswith("pymilk"))
        if own and not each.startswith("_") and callable(found):
            yield f"{name}.{each}", found


def public() -> dict[str, inspect.Signature]:
    """Return the signature of each public function, class and method that Python can tell."""
    found: dict[str, inspect.Signature] = {}
    for face in map(importlib.import_module, FACES):
        for name in getattr(face, "__all__", ()):
            each = getattr(face, name)
            if not getattr(each, "__module__", "").startswith("pymilk") or not callable(each):
                continue
            for full, function in members(name, each) if inspect.isclass(each) else [(name, each)]:
                try:
                    found[full] = inspect.signature(function)
                except (TypeError, ValueError):  # a compiled class, made by its methods
                    continue
    return found


def test_the_walk_finds_what_is_public() -> None:
    signatures = public()
    assert len(signatures) > 300
    some = {"SHM.capture", "RingReader.read", "Stream.receive", "record", "Recorder", "Table.create"}
    assert some <= set(signatures)


def test_one_word_for_one_thing() -> None:
    foreign = {
        (name, word): FOREIGN[word]
        for name, each in public().items()
        for word in each.parameters
        if word in FOREIGN
    }
    assert {at: ours for at, ours in foreign.items() if at not in OTHERWISE} == {}
    assert set(OTHERWISE) <= set(foreign), "exceptions that are none any more"


def test_every_parameter_is_spelled_out() -> None:
    kinds = inspect.Parameter
    loose = {
        name
        for name, each in public().items()
        if any(one.kind == kinds.VAR_KEYWORD for one in each.parameters.values())
    }
    assert loose == ANY_NAMES


@pytest.mark.parametrize("word", ["seconds", "timeout", "rate", "frames", "depth"])
def test_our_words_are_used(word: str) -> None:
    assert sum(word in each.parameters for each in public().values()) >= 5


def test_older_words_of_captures(make: Callable[..., SHM]) -> None:
    shm = make("cam", ((2, 3), np.uint16), ring=8)
    shm.set_many(np.zeros((4, 2, 3), np.uint16))
    old: Any = shm
    assert old.capture(n=1, timeout=30, background=True).requested == 1
    assert capture_many({"cam": shm}, n=2, background=True)["cam"].requested == 2  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="'frames' or its older name 'n', not both"):
        old.capture(frames=1, n=1)
    with pytest.raises(TypeError, match="multiple values for argument 'frames'"):
        old.capture(1, n=1)


def test_older_words_of_ring_readers(make: Callable[..., SHM]) -> None:
    shm = make("cam", ((2, 3), np.uint16), ring=8)
    shm.set_many(np.zeros((6, 2, 3), np.uint16))
    reader: RingReader
    with shm.ring_reader(start="oldest") as reader:
        ring: Any = reader
        assert len(ring.peek(k=2)) == 2
        assert ring.skip(k=1) == 1
        assert ring.rewind(k=1) == 1
        assert isinstance(ring.read(n=2), Capture)
        assert len(next(ring.blocks(max_frames=3))) == 3


def test_older_words_keep_what_is_said_of_a_function() -> None:
    @older_words(n="frames")
    def take(frames: int, *, out: object = None) -> SimpleNamespace:
        """Take."""
        return SimpleNamespace(frames=frames, out=out)

    assert str(inspect.signature(take)) == "(frames: 'int', *, out: 'object' = None) -> 'SimpleNamespace'"
    assert (take.__name__, take.__doc__) == ("take", "Take.")
    assert take(n=3, out=1) == take(3, out=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        take(m=3)  # type: ignore[call-arg]
    assert pymilk.SHM.capture.__doc__ is not None
