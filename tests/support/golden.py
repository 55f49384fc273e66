"""Access to the golden stream files in ``data/golden`` and to what they must contain."""

from __future__ import annotations

import functools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from support.paths import TESTS

__all__ = ["GOLDEN_DIR", "entries", "entry", "expected_array", "expected_slot", "path"]

GOLDEN_DIR = TESTS / "data" / "golden"


@functools.cache
def _entries() -> tuple[dict[str, Any], ...]:
    return tuple(json.loads((GOLDEN_DIR / "manifest.json").read_text("utf-8"))["files"])


def entries() -> list[dict[str, Any]]:
    """Return the manifest entries of all golden files. They are shared: do not change them."""
    return list(_entries())


def entry(name: str) -> dict[str, Any]:
    """Return the manifest entry of one stream."""
    for candidate in _entries():
        if candidate["name"] == name:
            return candidate
    raise KeyError(name)


def path(name: str) -> Path:
    """Return the golden file of one stream.

    Opening a stream maps it writable, so code under test gets a copy of this file.
    """
    return GOLDEN_DIR / entry(name)["file"]


def expected_array(entry: dict[str, Any]) -> np.ndarray | None:
    """Evaluate the recipe of the array section; None when the pixels are on a GPU.

    The result is C-ordered, so its shape is that of the manifest reversed.
    """
    if entry["array"] is None:
        return None
    return _evaluate(entry["array"]["recipe"], entry)


def expected_slot(entry: dict[str, Any], k: int) -> np.ndarray:
    """Evaluate the recipe of ring slot ``k``; shape as for `expected_array`."""
    return _evaluate(entry["circular_buffer"]["slots"][k]["recipe"], entry)


def _evaluate(recipe: dict[str, Any], entry: dict[str, Any]) -> np.ndarray:
    dtype = np.dtype(entry["array"]["numpy_dtype"])
    size = entry["array"]["shape_x_y_z"]
    shape = tuple(reversed(size))
    kind = recipe["kind"]
    if kind == "zeros":
        return np.zeros(shape, dtype)
    if kind == "formula":
        values = _formula(recipe["formula"], math.prod(size), recipe.get("k"))
        return np.array(values, dtype).reshape(shape)
    if kind == "formula_complex":
        array = np.empty(shape, dtype)
        array.real = np.reshape(_formula(recipe["formula_re"], array.size), shape)
        array.imag = np.reshape(_formula(recipe["formula_im"], array.size), shape)
        return array
    if kind == "raw_little_endian_hex":
        return np.frombuffer(bytes.fromhex(recipe["hex"]), dtype).reshape(shape)
    if kind == "per_slice":
        array = np.zeros(shape, dtype)
        for frame, k in zip(array, recipe["slice_frame_k"], strict=True):
            if k is not None:
                frame[:] = np.array(_formula(recipe["formula"], frame.size, k)).reshape(frame.shape)
        return array
    raise ValueError(f"unknown recipe kind {kind!r} for stream {entry['name']!r}")


def _formula(text: str, count: int, k: int | None = None) -> list[Any]:
    # Evaluated one element at a time because Python integers stay exact beyond 64 bits,
    # where array arithmetic would wrap or round.
    code = compile(text, "<recipe>", "eval")
    return [eval(code, {"__builtins__": {}}, {"i": i, "k": k}) for i in range(count)]
