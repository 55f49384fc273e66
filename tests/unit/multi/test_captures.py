"""`capture_many`: its arguments, and rows that belong together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pymilk import capture_many
from pymilk._core import FLAG_NEW_FILE
from pymilk.errors import StreamArgumentError
from support import isio_format
from support.waiting import until

# -- what goes wrong ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "call"),
    [
        ("streams", lambda: capture_many("wfs", 3)),
        ("streams", lambda: capture_many([], 3)),
        ("streams", lambda: capture_many(5, 3)),
        ("streams", lambda: capture_many(["wfs", "wfs"], 3)),
        ("streams", lambda: capture_many([3], 3)),
        ("streams['wfs']", lambda: capture_many({"wfs": 0})),
        ("streams['wfs']", lambda: capture_many({"wfs": 2.5})),
        ("streams['wfs']", lambda: capture_many({"wfs": True})),
        ("frames", lambda: capture_many(["wfs"])),
        ("frames", lambda: capture_many(["wfs"], -1)),
        ("frames", lambda: capture_many(["wfs"], {"psf": 3})),
        ("frames['wfs']", lambda: capture_many(["wfs"], {"wfs": "3"})),
        ("out", lambda: capture_many(["wfs"], 1, out={"psf": np.zeros(3)})),
        ("out", lambda: capture_many(["wfs"], 1, out=np.zeros(3))),
        ("len(out['wfs'])", lambda: capture_many(["wfs"], out={"wfs": np.zeros(())})),
        ("seconds", lambda: capture_many(["wfs"], seconds=0)),
        ("seconds", lambda: capture_many(["wfs"], seconds=float("nan"))),
        ("seconds", lambda: capture_many(["wfs"], seconds="10")),
        ("timeout", lambda: capture_many(["wfs"], 1, timeout=-1)),
        ("wait", lambda: capture_many(["wfs"], 1, wait="never")),
    ],
)
def test_arguments_that_do_not_fit(argument: str, call: Callable[[], Any]) -> None:
    with pytest.raises(StreamArgumentError) as caught:
        call()
    assert caught.value.argument == argument


# -- rows that belong together --------------------------------------------------------------------------


def test_aligned_shows_what_was_lost_and_a_restart(make_stream) -> None:
    streams = {name: make_stream(name, (2, 2), np.uint16) for name in "ab"}
    many = capture_many({"a": 6, "b": 6}, background=True)

    def publish(*names: str) -> None:
        for name in names:
            received = many[name].received
            streams[name].publish(np.zeros((2, 2), np.uint16))
            until(lambda name=name, received=received: many[name].received > received)

    publish("a", "b")
    # One was lost: the writer is at number 3 already when the reader looks.
    with open(streams["a"].path, "r+b") as file:
        file.seek(isio_format.OFFSETS["default"]["cnt0"])
        file.write((3).to_bytes(8, "little"))
    until(lambda: many["a"].received == 2)
    publish("b", "b", "b", "a")
    for name in "ab":
        streams[name] = make_stream(name, (2, 2), np.uint16)
        publish(name)
    publish("a", "b", "a")
    many.join()
    assert many["a"].info["cnt0"].tolist() == [1, 3, 4, 1, 2, 3]
    assert many["a"].info["lost"].tolist() == [0, 1, 0, 0, 0, 0]
    assert many["b"].info["cnt0"].tolist() == [1, 2, 3, 4, 1, 2]
    assert many["a"].info["flags"][3] & FLAG_NEW_FILE
    rows = many.aligned("counter")
    assert rows.numbers.tolist() == [1, 2, 3, 4, 1, 2, 3]
    assert rows["a"].tolist() == [0, -1, 1, 2, 3, 4, 5]
    assert rows["b"].tolist() == [0, 1, 2, 3, 4, 5, -1]
    assert rows.lost["a"].tolist() == [0, 0, 1, 0, 0, 0, 0]
    assert many.report.lost == 1
    assert many.report.streams["a"].new_files == 1
