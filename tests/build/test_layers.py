"""The check of floors and sizes: the package passes it, and it finds what it is for."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).with_name("check_layers.py")


@pytest.fixture
def check() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_layers", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not (module.ROOT / "pymilk").is_dir():
        pytest.skip("needs the sources")
    return module


def test_the_package_passes(check: ModuleType) -> None:
    assert [*check.stairs(), *check.circles(), *check.sizes()] == []


def test_finds_arrows_up_circles_and_giants(check: ModuleType, tmp_path: Path, monkeypatch) -> None:
    package = tmp_path / "pymilk"
    for folder in ("streams", "native", "protocol", "compat", "ring", "view"):
        (package / folder).mkdir(parents=True)
    (package / "streams" / "up.py").write_text("from ..shm import SHM\n")
    (package / "ring" / "reach.py").write_text("from ..streams.waiting import _hidden\n")
    (package / "native" / "up.pyx").write_text("from .._core cimport Stream\nfrom .other cimport a\n")
    (package / "native" / "other.pxd").write_text("from .up cimport b\n")
    (package / "protocol" / "python.pxd").write_text("import os\nfrom ..names import check_name\n")
    (package / "view" / "first.py").write_text("from .second import b\n")
    (package / "view" / "second.py").write_text("def late():\n    from . import first\n")
    typed = "if TYPE_CHECKING:\n    from .used import Used\n"
    (package / "view" / "user.py").write_text(f"from typing import TYPE_CHECKING\n{typed}")
    (package / "view" / "used.py").write_text("from .user import user\n")
    body = "\n".join(f"    x{n} = {n}" for n in range(61))
    (package / "ring" / "long.py").write_text(f"def giant():\n{body}\n")
    (package / "native" / "long.pyx").write_text(f"cdef int giant() noexcept nogil:\n{body}\n")
    monkeypatch.setattr(check, "PACKAGE", package)
    found = "\n".join([*check.stairs(), *check.circles(), *check.sizes()])
    for words in (
        "streams/up.py: imports shm (SHM), which is not on a lower floor",
        "ring/reach.py: imports streams.waiting (_hidden), a private name of another wing",
        "native/up.pyx: cimports _core (Stream), which is not on a lower floor",
        "circle of imports: native.other -> native.up -> native.other",
        "circle of imports: view.first -> view.second -> view.first",
        "protocol has no Python",
        "ring/long.py: function giant has 61 lines",
        "native/long.pyx: function giant has 61 lines",
    ):
        assert words in found
    assert "view.user" not in found
