"""Streams with rings whose writer is a C program."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pymilk
from support.foreign_writer import create_foreign
from support.ring_writers import C_WRITER, MODES, SHAPE, Writer


@pytest.fixture(scope="session")
def program(tmp_path_factory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("ring_writer")
    source, made = folder / "writer.c", folder / "writer"
    source.write_text(C_WRITER)
    subprocess.run(
        [compiler, "-O2", "-Wall", "-Werror", "-pthread", "-I", pymilk.get_include(), source, "-o", made],
        check=True,
    )
    return made


@pytest.fixture
def start_writer(spawn, program, shm_dir) -> Callable[..., Writer]:
    def start(options: str = "w", tag: int = 0, name: str = "cam") -> Writer:
        code = "import os, sys; os.execv(sys.argv[1], sys.argv[1:])"
        return Writer(spawn(code, program, shm_dir / f"{name}.im.shm", options, tag))

    return start


@pytest.fixture
def make_ring(shm_dir, start_writer) -> Callable[..., Writer]:
    """Make the stream "cam" with a ring, as another program does, and start its writer."""

    def make(mode: str, depth: int, shape: Any = SHAPE) -> Writer:
        kind, options = MODES[mode]
        create_foreign(shm_dir / "cam.im.shm", shape, depth, kind)
        return start_writer(options)

    return make

