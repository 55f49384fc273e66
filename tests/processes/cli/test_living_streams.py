"""Commands that meet a stream which a living process writes: advice in options, not in arguments."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.calling import call
from support.children import Child

WRITER = """
import numpy as np
from pymilk import SHM
with SHM("cam", np.zeros((3, 4), np.uint16)) as shm:
    print("ready", flush=True)
    input()
"""


@pytest.mark.parametrize(
    ("command", "advice"),
    [
        (["relay", "source", "cam", "--ring", 8], "force it"),
        (["simulate", "cam", "--frames", 1], "end it first, or choose another name"),
        (["create", "cam", 3, 4], "or force it"),
    ],
)
def test_advice_has_no_argument_of_python(
    command: list[object], advice: str, spawn: Callable[..., Child], make_stream: Callable[..., object]
) -> None:
    make_stream("source", (3, 4), "u2")
    assert spawn(WRITER).hear() == "ready"
    found = call(*command)
    assert found.returncode == 1
    assert advice in found.stderr
    assert "replace=" not in found.stderr


def test_a_forced_replacement_names_the_writer_and_no_argument(spawn: Callable[..., Child]) -> None:
    writer = spawn(WRITER)
    assert writer.hear() == "ready"
    found = call("create", "cam", 3, 4, "--force")
    assert found.returncode == 0
    assert f"is written by process {writer.pid}" in found.stderr
    assert "replace=" not in found.stderr
