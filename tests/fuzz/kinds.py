"""Kinds of files that the fuzz target takes: streams mostly, and parameter files."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from fuzz import fps, inputs, target
from support import isio_format

__all__ = ["Kind", "kind_of_file", "kind_of_number"]

#: One in so many inputs of `python -m fuzz run` is a parameter file.
EACH = 16


class Kind(NamedTuple):
    """One kind of files."""

    #: Suffix of files that are saved; by it `python -m fuzz files` knows what they are.
    suffix: str
    #: Makes an input from the name of its series and its number.
    make: Callable[[str, int], bytes]
    #: Drives one in a folder, all parts if the last argument says so; tells whether it was accepted.
    drive: Callable[[bytes, Path, bool], bool]
    #: Drives a file that is whole instead, by the same steps.
    drive_whole: Callable[[bytes, Path, bool], bool]
    #: Damages a file in one of many ways.
    mutate: Callable[[random.Random, Path], bytes]


def _drive_stream(data: bytes, folder: Path, everything: bool) -> bool:
    if everything:
        return target.drive(data, folder)
    return target.drive(data, folder, parts=target.some_parts(data), limit=1.0)


def _drive_whole_stream(data: bytes, folder: Path, everything: bool) -> bool:
    whole = isio_format.encode(isio_format.fresh("fuzz", (4, 4), 3))
    return target.drive(whole, folder, parts=target.some_parts(data), limit=1.0)


STREAM = Kind(
    ".bin",
    inputs.make_input,
    _drive_stream,
    _drive_whole_stream,
    lambda choice, path: inputs.mutate(choice, inputs.own_file(path)),
)

PARAMETERS = Kind(
    ".fps.bin",
    lambda seed, number: fps.damaged(random.Random(f"{seed}/{number}")),
    lambda data, folder, everything: fps.drive(data, folder),
    lambda data, folder, everything: fps.drive(fps.seeds()[0], folder),
    lambda choice, path: fps.damage(choice, path.read_bytes()),
)


def kind_of_number(number: int) -> Kind:
    """Return the kind of an input of `python -m fuzz run`."""
    return PARAMETERS if number % EACH == EACH - 1 else STREAM


def kind_of_file(path: Path) -> Kind:
    """Return the kind of a file by its name."""
    return PARAMETERS if path.name.endswith((PARAMETERS.suffix, ".fps.shm")) else STREAM
