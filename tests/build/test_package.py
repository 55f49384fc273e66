"""What is installed: the import, the version, the header, the examples in the documentation."""

from __future__ import annotations

import ast
import doctest
import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pymilk
from pymilk.inspection.about import version_lines

OPTIONAL = ("click", "rich", "matplotlib", "astropy", "h5py", "zarr", "imageio", "av",
            "tifffile", "xarray", "dask", "pandas", "h5netcdf", "hdf5plugin", "numcodecs", "Cython",
            "setuptools")  # fmt: skip


def modules() -> list[str]:
    """Name all modules, below "pymilk", but those of commands (their libraries are optional)."""
    root = Path(pymilk.__file__).parent
    names = [".".join(path.relative_to(root).with_suffix("").parts) for path in sorted(root.rglob("*.py"))]
    other = tuple(f"compat.{name}." for name in ("pyMilk", "ImageStreamIOWrap", "CacaoProcessTools"))
    left_out = ("cli.", "__main__", *other)
    kept = [name.removesuffix("__init__").rstrip(".") for name in names if not name.startswith(left_out)]
    return [f".{name}" if name else "" for name in kept]


MODULES = modules()


def run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
    )


def test_import_brings_nothing_optional() -> None:
    code = f"import sys, json, pymilk; print(json.dumps([m for m in {OPTIONAL} if m in sys.modules]))"
    assert json.loads(run(sys.executable, "-c", code).stdout) == []


def test_version_is_the_installed_one() -> None:
    from importlib.metadata import version

    assert version("pymilk-streams") == pymilk.__version__


def test_version_lines() -> None:
    said = run(sys.executable, "-m", "pymilk", "--version")
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.splitlines() == version_lines()
    for word in ("pymilk ", "stream structure 2.00", "header ", "Cython ", "NumPy ", "glibc "):
        assert word in said.stdout


def test_missing_core_is_explained(tmp_path: Path) -> None:
    package = Path(pymilk.__file__).parent
    copy = tmp_path / "pymilk"
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    # The finder of an editable install would still find the core of the checkout.
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r});"
        "sys.meta_path = [f for f in sys.meta_path if 'Editable' not in str(f)]; import pymilk"
    )
    said = run(sys.executable, "-c", code)
    assert said.returncode == 1
    assert "ImportError: pymilk is not compiled" in said.stderr
    assert "pip install -e ." in said.stderr


def test_every_public_name_exists() -> None:
    for name in MODULES:
        module = importlib.import_module(f"pymilk{name}")
        for public in module.__all__:
            assert getattr(module, public) is not None


def test_old_paths_give_the_same_object() -> None:
    from pymilk.interfacing.isio_shmlib import SHM as OLDER
    from pymilk.interfacing.shm import SHM as OLD

    assert OLD is OLDER is pymilk.SHM


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_the_documentation(name: str) -> None:
    module = importlib.import_module(f"pymilk{name}")
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    assert doctest.testmod(module, optionflags=flags).failed == 0


C_READER = r"""
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include "ImageStruct.h"

int main(int count, char **arguments)
{
    int file = open(arguments[1], O_RDONLY);
    IMAGE_METADATA *md = mmap(0, sizeof *md, PROT_READ, MAP_SHARED, file, 0);
    (void)count;
    printf("%s %u %u %lu\n", md->name, md->size[0], md->size[1], (unsigned long)md->cnt0);
    return 0;
}
"""


@pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler")
@pytest.mark.parametrize("option", ["", "-DDAO_COMPAT", "-DIMAGESTRUCT_WRITEHISTORY"])
def test_header_serves_c_programs(tmp_path: Path, make_stream, option: str) -> None:
    source, program = tmp_path / "reader.c", tmp_path / "reader"
    source.write_text(C_READER)
    flags = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", f"-I{pymilk.get_include()}"]
    built = run("cc", *flags, *filter(None, [option]), "-o", program, source)
    assert (built.returncode, built.stderr) == (0, "")
    if not option:
        stream = make_stream("cam", (3, 5), "u2")
        stream.publish(stream.view())
        assert run(program, stream.path).stdout == "cam 5 3 1\n"


def test_library_prints_only_where_its_contract_is_to_print() -> None:
    allowed = {"multi_recv_data", "print_meta_data"}
    found = set()
    root = Path(pymilk.__file__).parent
    for path in root.rglob("*.py"):
        if path.relative_to(root).parts[0] == "cli" or path.name in ("__main__.py", "program.py"):
            continue  # programs
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                for call in ast.walk(function):
                    if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "print":
                        found.add((path.name, function.name))
    assert {name for _, name in found} == allowed, found
