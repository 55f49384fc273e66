"""The C part, compiled when it is first asked for."""

from __future__ import annotations

import ctypes
import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pymilk

SOURCE = Path(__file__).with_name("reference.c")
FLAGS = ("-O2", "-Wall", "-Wextra", "-shared", "-fPIC")


def compiler() -> str:
    """Return the C compiler's command."""
    return os.environ.get("CC", "cc")


def missing() -> str:
    """Return why there is no C part here, or an empty string."""
    if shutil.which(compiler().split()[0]) is None:
        return f"no C compiler ({compiler()})"
    return ""


@functools.cache
def library() -> ctypes.CDLL:
    """Compile and load; ctypes lets go of the GIL during its calls."""
    with tempfile.TemporaryDirectory(prefix="pymilk-reference-") as folder:
        built = Path(folder, "reference.so")
        subprocess.run(
            [*compiler().split(), *FLAGS, f"-I{pymilk.get_include()}", "-o", built, SOURCE, "-pthread"],
            check=True,
        )
        loaded = ctypes.CDLL(str(built))  # stays mapped when the file is gone
    handle, memory, number = ctypes.c_void_p, ctypes.c_void_p, ctypes.c_long
    for name, result, arguments in (
        ("open", handle, [ctypes.c_char_p]),
        ("close", None, [handle]),
        ("usable", ctypes.c_int, [handle]),
        ("arm", None, [handle]),
        ("lost", number, [handle]),
        ("receive", number, [handle, memory, number, ctypes.c_double]),
        ("receive_ring", number, [handle, memory, number, ctypes.c_double]),
        ("latencies", number, [handle, memory, number, ctypes.c_double, ctypes.c_int, memory]),
        ("copies", None, [memory, memory, ctypes.c_size_t, number]),
        ("sleeps", ctypes.c_double, [number, ctypes.c_double]),
    ):
        function = getattr(loaded, f"reference_{name}")
        function.restype, function.argtypes = result, arguments
    return loaded
