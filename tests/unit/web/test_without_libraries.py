"""What is said where a library of the extra is missing."""

from __future__ import annotations

import sys

import pytest

pytest.importorskip("click")

from click.testing import CliRunner

import pymilk.web
from pymilk.cli.commands.web import web
from pymilk.errors import LibraryMissingError


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("pymilk.web.")]:
        monkeypatch.delitem(sys.modules, name)
    for name in pymilk.web.__all__:
        monkeypatch.delitem(vars(pymilk.web), name, raising=False)
    for name in ("starlette", "uvicorn"):
        monkeypatch.setitem(sys.modules, name, None)


def test_in_python(missing: None) -> None:
    with pytest.raises(LibraryMissingError, match=r"need uvicorn, .* pip install uvicorn"):
        pymilk.web.WebServer  # noqa: B018
    assert pymilk.web.Settings(port=0).port == 0  # needs nothing


def test_in_the_command(missing: None) -> None:
    said = CliRunner().invoke(web, ["--port", "0"])
    assert said.exit_code == 1
    assert "pip install starlette uvicorn websockets" in said.output


def test_without_websockets(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("uvicorn")
    monkeypatch.setitem(sys.modules, "websockets", None)
    with pytest.raises(LibraryMissingError, match="pip install websockets"):
        pymilk.web.WebServer(pymilk.web.Settings(port=0)).start()
