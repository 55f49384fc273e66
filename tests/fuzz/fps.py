"""The fuzz target for parameter files: whatever bytes they have, each is read and written within its limits.

``python -m fuzz run`` drives some among the streams.
"""

from __future__ import annotations

import contextlib
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fuzz.target import Finding
from pymilk.errors import FPSError
from pymilk.parameters import FPS, FPSManager
from pymilk.parameters.layout import LAYOUTS
from support.fps import FILES, golden_bytes, other_layout

__all__ = ["damage", "damaged", "drive"]

#: Longest time that one step may take, in seconds.
LIMIT = 5.0


def seeds() -> list[bytes]:
    """Return files that are well: those of milk that are not too large, and one of each layout."""
    files = [golden_bytes(file) for file in FILES if file != "goldloop-01-32.fps.shm"]
    with tempfile.TemporaryDirectory() as folder:
        for layout in LAYOUTS:
            files.append(other_layout(layout, Path(folder), "fuzz").read_bytes())
    return files


_SEEDS: list[bytes] = []


def damaged(choice: random.Random) -> bytes:
    """Return a file with some damage in it."""
    if not _SEEDS:
        _SEEDS.extend(seeds())
    return damage(choice, choice.choice(_SEEDS))


def damage(choice: random.Random, content: bytes) -> bytes:
    """Return a file with some damage done to it."""
    data = bytearray(content)
    for _ in range(choice.randint(0, 12)):
        kind = choice.randrange(4)
        # Most of a file is texts: numbers of the header and of slots are aimed at.
        at = choice.choice(
            (choice.randrange(len(data)), choice.randrange(11800, 11832), choice.randrange(62648, len(data)))
        )
        nbytes = choice.choice((1, 4, 8, 64, 1300))
        if kind == 0:
            data[at : at + nbytes] = choice.randbytes(min(nbytes, len(data) - at))
        elif kind == 1:
            data[at : at + nbytes] = b"\xff" * min(nbytes, len(data) - at)
        elif kind == 2:
            data[at] ^= 1 << choice.randrange(8)
        else:
            number = choice.choice((0, 1, -1, 2**31, 2**63 - 1, -(2**63))).to_bytes(8, "little", signed=True)
            at = at // 8 * 8
            data[at : at + 8] = number[: len(data) - at]
    if choice.random() < 0.1:
        del data[choice.randrange(len(data)) :]
    return bytes(data)


def step(what: str, call: Callable[[], Any]) -> Any:
    """Do one thing; None if it was refused by an error of ours."""
    began = time.monotonic()
    try:
        result = call()
    except FPSError as error:
        if not str(error):
            raise Finding(f"{what}: an error that says nothing") from error
        result = None
    except Exception as error:
        raise Finding(f"{what}: {type(error).__name__}, which is not ours: {error}") from error
    if time.monotonic() - began > LIMIT:
        raise Finding(f"{what} took {time.monotonic() - began:.1f} s")
    return result


def drive(data: bytes, folder: Path) -> bool:
    """Do with a file all that can be done; returns whether it was accepted."""
    path = folder / "fuzz.fps.shm"
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    path.write_bytes(data)
    fps = step("attach", lambda: FPS("fuzz"))
    step("manager", lambda: repr(FPSManager()))
    if fps is None:
        return False
    with fps:
        for name, look in {
            "as_dict": fps.as_dict, "tree": fps.tree, "header": fps.header, "messages": fps.messages,
            "repr": lambda: repr(fps), "status": lambda: (fps.status_text, fps.signal, fps.status),
            "wait": lambda: fps.wait_for_change(timeout=0), "watch": lambda: list(fps.watch(timeout=0)),
        }.items():  # fmt: skip
            step(name, look)
        params = step("params", fps.params) or []
        for param in params:
            for name in (
                "value",
                "limits",
                "current",
                "type",
                "flags",
                "description",
                "imported_from",
                "status",
            ):
                step(name, lambda name=name, param=param: getattr(param, name))
        if path.read_bytes() != data:
            raise Finding("looking changed the file")
        for param in params:
            for value in (1, 0.5, True, "text", (1, 2)):
                step("set", lambda value=value, param=param: param.set(value, force=True))
                step("set", lambda value=value, param=param: param.set(value))
        step("add", lambda: fps.add_param("fuzz", default=1))
        step("check", fps.check)
        if path.stat().st_size != len(data):
            raise Finding("the file has another size")
    return True
