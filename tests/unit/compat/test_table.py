"""`docs/compat.md` says what exists and with which signature. This walks its tables and looks."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

from pymilk import SHM, Which3DState
from pymilk.compat import ndsharray, pymembus, xaosim
from pymilk.image import ImageStreamIOType
from support.paths import ROOT

PAGE = ROOT / "docs" / "compat.md"
STATUSES = ("same", "better", "different", "not yet")
EXISTING = STATUSES[:3]

#: Section of the page to the module whose names it lists, and the class in it if it lists members.
PLACES = {
    "1.1": (None, None),
    "1.2": ("pyMilk.interfacing.shm", None),
    "1.3": ("pyMilk.interfacing.shm", "SHM"),
    "1.4": ("pyMilk.interfacing.shm", "SHM"),
    "1.5": ("pyMilk.interfacing.shm", "SHM"),
    "1.6": ("pyMilk.interfacing.shm", "SHM"),
    "1.7": ("pyMilk.interfacing.shm", "SHM"),
    "1.8": ("pyMilk.interfacing.fits", None),
    "1.9": ("pyMilk.interfacing.shm_functions", None),
    "1.10": ("pyMilk.util.img_shapes", None),
    "1.11": ("pyMilk.util.threadHandler", "ThreadHandler"),
    "1.12": ("pyMilk.interfacing.pinfo", "ProcessInfo"),
    "1.13": ("pyMilk.ProcessInfoWrap", None),
    "1.14": ("CacaoProcessTools", None),
    "1.15": ("pyMilk.interfacing.fps", None),
    "1.16": ("pyMilk.interfacing.fps", "FPS"),
    "1.17": ("pyMilk.interfacing.fps", "FPSManager"),
    "1.18": ("pyMilk.interfacing.fps", "SmartAttributesFPS"),
    "1.19": ("pyMilk.FpsWrap", None),
    "1.20": ("pyMilk.FpsWrap", "fps"),
    "1.21": ("pyMilk.FpsWrap", "FPS_md"),
    "2.1": ("ImageStreamIOWrap", None),
    "2.2": ("ImageStreamIOWrap", "Image"),
    "2.3": ("ImageStreamIOWrap", "Image"),
    "2.4": ("ImageStreamIOWrap", "Image_kw"),
    "2.5": ("ImageStreamIOWrap", "Proc_trace"),
    "2.6": ("ImageStreamIOWrap", "Image_md"),
    "3.1": ("pymilk.compat.xaosim", "shm"),
    "3.3": ("pymilk.compat.xaosim", "shm"),
    "6.1": ("pymilk.compat.magscope", None),
    "6.2": ("pymilk.compat.magscope", "VideoBuffer"),
    "6.3": ("pymilk.compat.magscope", "MatrixBuffer"),
    "6.4": ("pymilk.compat.magscope", "BeadRoiBuffer"),
    "6.5": ("pymilk.compat.magscope", "LiveProfileBuffer"),
    "6.6": ("pymilk.compat.magscope", "ZLUTSweepDataset"),
    "7.1": ("pymilk.compat.ndsharray", None),
    "7.2": ("pymilk.compat.ndsharray", "NdShArray"),
    "8.1": ("pymilk.compat.pymembus", None),
    "8.2": ("pymilk.compat.pymembus", "memmap"),
    "8.3": ("pymilk.compat.pymembus", "memmsg"),
    "8.4": ("pymilk.compat.pymembus", "memcmd"),
    "8.5": ("pymilk.compat.pymembus", "memkv"),
    "8.6": ("pymilk.compat.pymembus", "memvid"),
    "8.7": ("pymilk.compat.pymembus", "memvid"),
    "8.8": ("pymilk.compat.pymembus", "memaud"),
    "8.9": ("pymilk.compat.pymembus", "mempkt"),
}

#: What stands for defaults on the page.
VALUES = {
    "np": np,
    "Which3DState": Which3DState,
    "MATH_DATA": ImageStreamIOType.MATH_DATA_TYPE,
    "EMPTY": ndsharray.EMPTY,
    "pkt_kind": pymembus.pkt_kind,
}


class Row(NamedTuple):
    """One name of one row."""

    section: str
    spelling: str
    status: str

    @property
    def name(self) -> str:
        return self.spelling.partition("(")[0]

    @property
    def signature(self) -> str | None:
        return self.spelling.partition("(")[2].removesuffix(")") if "(" in self.spelling else None


def rows() -> Iterator[Row]:
    section = ""
    for line in PAGE.read_text().splitlines():
        if line.startswith("#"):
            numbered = re.match(r"#+ (\d+(?:\.\d+)?)", line)
            section = numbered[1] if numbered else ""
        elif section and line.startswith("|"):
            name, status = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:3]]
            if status in STATUSES:
                for spelling in re.findall(r"`([^`]+)`", name):
                    yield Row(section, spelling, status)


ROWS = list(rows())


def row_id(row: Row) -> str:
    return f"{row.section} {row.name} {row.status}"


@pytest.fixture(scope="module")
def members() -> Any:
    """Tell whether a class has a member, also one that only its constructor sets."""

    @functools.cache
    def source_of(cls: type) -> str:
        files = [getattr(sys.modules[each.__module__], "__file__", None) or "" for each in cls.__mro__]
        ours = [each for each, file in zip(cls.__mro__, files, strict=True) if file.endswith(".py")]
        return "".join(inspect.getsource(each) for each in ours)

    def has(cls: type, name: str) -> bool:
        if hasattr(cls, name):
            return True
        return re.search(rf"self\.{re.escape(name)}\b[^=\n]*=(?!=)", source_of(cls)) is not None

    return has


def find(row: Row) -> tuple[Any, Any]:
    """Return what holds the name, and what has it (None if it is not there)."""
    module_name, class_name = PLACES[row.section]
    if module_name is None:
        try:
            return None, importlib.import_module(row.name)
        except ModuleNotFoundError:
            return None, None
    module = importlib.import_module(module_name)
    if row.name == module_name:
        return None, module
    if class_name is None or row.name == class_name:
        return module, getattr(module, row.name, None)
    cls = getattr(module, class_name)
    if row.name in ("AutoRelinkError", "AutoRelinkSizeError", "AutoRelinkTypeError"):
        return cls, getattr(importlib.import_module("pyMilk.errors"), row.name, None)
    return cls, inspect.getattr_static(cls, row.name, None)


def wanted(signature: str) -> list[tuple[str, Any]]:
    """Read the parameters of a signature as they stand on the page: names and defaults."""
    arguments = ast.parse(f"def f({signature}): ...").body[0].args
    names = [each.arg for each in arguments.args]
    if arguments.kwarg:
        names.append(f"**{arguments.kwarg.arg}")
    defaults = [
        eval(compile(ast.Expression(each), str(PAGE), "eval"), dict(VALUES)) for each in arguments.defaults
    ]
    count = len(arguments.args) - len(defaults)
    values = [inspect.Parameter.empty] * count + defaults
    return list(zip(names, [*values, inspect.Parameter.empty], strict=False))


def offered(found: Any) -> list[tuple[str, Any]]:
    """Return the parameters of a function or class in the same form, without those that are keyword-only."""
    function = getattr(found, "__func__", found)
    parameters = list(inspect.signature(function).parameters.values())
    if not isinstance(found, type) and parameters and parameters[0].name in ("self", "cls"):
        del parameters[0]
    return [
        (f"**{each.name}" if each.kind is each.VAR_KEYWORD else each.name, each.default)
        for each in parameters
        if each.kind is not each.KEYWORD_ONLY
    ]


def test_page_is_read():
    assert len(ROWS) > 200
    assert {row.section for row in ROWS} >= set(PLACES)
    assert {row.status for row in ROWS} >= set(EXISTING)


@pytest.mark.parametrize("row", [row for row in ROWS if row.status in EXISTING], ids=row_id)
def test_name_exists(row, members):
    if row.section == "3.2":
        assert row.name in xaosim_metadata(row)
        return
    owner, found = find(row)
    assert found is not None or members(owner, row.name), f"{row.name} is not in {owner}"


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.status in ("same", "better") and row.signature is not None], ids=row_id
)
def test_signature_is_the_one_on_the_page(row):
    _, found = find(row)
    assert offered(found) == wanted(row.signature)


@pytest.mark.parametrize("row", [row for row in ROWS if row.status == "not yet"], ids=row_id)
def test_name_does_not_exist_yet(row, members):
    if row.section == "3.2":
        assert row.name not in xaosim_metadata(row)
        return
    try:
        owner, found = find(row)
    except ModuleNotFoundError:
        return
    assert found is None, f"{row.name} exists now: say so"
    assert owner is None or not isinstance(owner, type) or not members(owner, row.name)


def xaosim_metadata(row: Row) -> set[str]:
    stream = xaosim.shm("table", np.zeros((2, 3), np.float32))
    keys = set(stream.mtdata)
    stream.close()
    return keys


def test_signatures_on_the_page_can_fail():
    empty = inspect.Parameter.empty
    assert wanted("a, b=1, **c") == [("a", empty), ("b", 1), ("**c", empty)]
    assert offered(SHM.get_counter) == []
    assert offered(SHM.get_keyword) == wanted("key, comment=False, n_tries=4")
    assert offered(SHM.get_keyword) != wanted("key, comment=True, n_tries=4")
    assert offered(SHM.get_data) == wanted(
        "check=False, timeout=5.0, copy=True, checkSemAndFlush=True, autorelink_if_need=True, "
        "return_none_on_timeout=False"
    )
