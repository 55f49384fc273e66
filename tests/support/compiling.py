"""Modules that are compiled for a test: they call the inline functions of pymilk/protocol by themselves."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import ModuleType

import pytest

import pymilk

from .paths import ROOT

needs_compiler = [
    pytest.mark.skipif(not (ROOT / "setup.py").exists(), reason="needs the sources"),
    pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler"),
]


def compiled(folder: Path, name: str, code: str) -> ModuleType:
    """Compile the code of a module with Cython, and import it."""
    pytest.importorskip("Cython", reason="needs Cython")
    source, library = folder / f"{name}.pyx", folder / f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}"
    source.write_text(code)
    subprocess.run([sys.executable, "-m", "cython", "-3", "-I", str(ROOT), str(source)], check=True)
    includes = (sysconfig.get_path("include"), pymilk.get_include(), str(ROOT))
    subprocess.run(
        ["cc", "-O1", "-fPIC", "-shared", "-D_GNU_SOURCE", *(f"-I{each}" for each in includes),
         str(source.with_suffix(".c")), "-o", str(library)],
        check=True,
    )  # fmt: skip
    spec = importlib.util.spec_from_file_location(name, library)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
