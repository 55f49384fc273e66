"""The choice of the header at build time, from a checkout."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path
from types import ModuleType

import pytest

import pymilk
from support.paths import ROOT

SETUP = ROOT / "setup.py"

pytestmark = [
    pytest.mark.skipif(not SETUP.exists(), reason="needs the sources"),
    pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler"),
]


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    pytest.importorskip("setuptools", reason="needs setuptools")
    spec = importlib.util.spec_from_file_location("pymilk_setup", SETUP)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "OWN_INCLUDE", Path(pymilk.get_include()))
    return module


def site(tmp_path: Path, change: tuple[str, str] = ("", "")) -> Path:
    """Make an installation of ImageStreamIO headers, from our own header with one change."""
    folder = tmp_path / "prefix" / "include" / "ImageStreamIO"
    folder.mkdir(parents=True)
    text = Path(pymilk.get_include(), "ImageStruct.h").read_text()
    # A site's header brings no checks of its own.
    text = text.replace('#include "ImageStructCheck.h"', "")
    assert change[0] in text
    (folder / "ImageStruct.h").write_text(text.replace(*change))
    return tmp_path / "prefix"


def check(build: ModuleType, choice: str) -> str:
    name, includes, flags = build.find_header(choice)
    build.check_header(name, includes, flags)
    return name


def test_bundled(build: ModuleType) -> None:
    assert check(build, "bundled") == "bundled"


@pytest.mark.parametrize(
    "change",
    [
        ("", ""),
        ("uint8_t write;", "volatile uint8_t write;"),
        ("typedef struct {\n    char version", "#define DAO_COMPAT\ntypedef struct {\n    char version"),
        (
            "typedef struct {\n    char version",
            "#define IMAGESTRUCT_WRITEHISTORY\ntypedef struct {\n    char version",
        ),
        ('#define IMAGESTRUCT_VERSION "2.00"', ""),
    ],
    ids=["plain", "volatile", "dao", "history", "without version"],
)
def test_prefix(build: ModuleType, tmp_path: Path, change: tuple[str, str]) -> None:
    prefix = site(tmp_path, change)
    assert check(build, str(prefix)) == f"{prefix}/include/ImageStreamIO/ImageStruct.h"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (("uint32_t CBindex;", ""), "lacks IMAGE_METADATA.CBindex"),
        (("    uint64_t cnt;", ""), "lacks IMAGE_KEYWORD.cnt"),
        (("uint64_t cnt0; /*", "uint32_t cnt0; /*"), "does not describe structure version 2.00"),
        (("#define STRINGMAXLEN_IMAGE_NAME 80", "#define STRINGMAXLEN_IMAGE_NAME 40"), "does not describe"),
    ],
)
def test_header_that_will_not_do(
    build: ModuleType, tmp_path: Path, change: tuple[str, str], word: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        check(build, str(site(tmp_path, change)))
    assert word in str(stopped.value)


def test_no_header_at_all(build: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"no ImageStruct.h there; looked for"):
        build.find_header(str(tmp_path))


def test_system_asks_pkg_config(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = site(tmp_path)
    tool = tmp_path / "pkg-config"
    tool.write_text(f'#!/bin/sh\n[ "$2" = ImageStreamIO ] && echo -I{prefix}/include\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PKG_CONFIG", str(tool))
    assert check(build, "system") == f"{prefix}/include/ImageStreamIO/ImageStruct.h"
    tool.write_text("#!/bin/sh\necho not found >&2\nexit 1\n")
    with pytest.raises(SystemExit, match="does not know ImageStreamIO"):
        build.find_header("system")
    monkeypatch.setenv("PKG_CONFIG", os.path.join(tmp_path, "none"))
    with pytest.raises(SystemExit, match="needs pkg-config"):
        build.find_header("system")


def test_other_systems_are_refused(build: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build.sys, "platform", "darwin")
    with pytest.raises(SystemExit, match="Linux only"):
        build.main()


def test_sanitizers(build: ModuleType) -> None:
    assert build.sanitizer_flags("") == ([], [])
    compiling, linking = build.sanitizer_flags("address,undefined")
    assert compiling[0] == linking[0] == "-fsanitize=address,undefined"
    assert "-fno-sanitize-recover=all" in compiling
    with pytest.raises(SystemExit, match="PYMILK_SANITIZE=nonsense: the compiler does not accept"):
        build.sanitizer_flags("nonsense")


def test_a_changed_room_recompiles_what_includes_it(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cython was installed anew, made all C again, and the C is the same: times say what is compiled."""
    pytest.importorskip("Cython", reason="needs Cython")
    package = tmp_path / "pymilk"
    package.mkdir()
    (package / "door.pxd").write_text("cdef enum:\n    DOOR\n")
    sources = {
        "alone.pyx": "x = 1\n",
        "behind.pyx": "from .door cimport DOOR\nx = DOOR\n",
        "changed.pyx": "x = 2\n",
    }
    for name, text in sources.items():
        (package / name).write_text(text)
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "PACKAGE", package)
    monkeypatch.chdir(tmp_path)
    old, new = 1_000_000_000, 2_000_000_000
    for name in ("__init__.py", *sources):
        (package / name).touch()
        os.utime(package / name, (old, old))
    made = [(package / name).with_suffix(".c") for name in sources]
    for file in made:
        file.write_text("int x;")
        os.utime(file, (old + 10, old + 10))
    for name in ("door.pxd", "changed.pyx"):
        os.utime(package / name, (old + 20, old + 20))
    before = build.generated()
    for file in made:
        os.utime(file, (new, new))
    build.keep_times(before)
    times = {file.name: file.stat().st_mtime for file in made}
    assert times == {"alone.c": old + 10, "behind.c": new, "changed.c": new}
