"""Docstrings: the parameters that they describe are those of the signature, with its defaults."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from support.paths import ROOT

pytestmark = pytest.mark.skipif(not (ROOT / "setup.py").exists(), reason="needs the sources")


class Told(NamedTuple):
    """What a section "Parameters" says, and what there is."""

    where: str
    said: dict[str, str]
    args: ast.arguments
    fields: bool

    @property
    def names(self) -> set[str]:
        """Names of the signature."""
        args = self.args
        there = [*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg]
        return {each.arg for each in there if each} - {"self", "cls"}


def parameters(doc: str) -> dict[str, str]:
    """Return the names in the section "Parameters", each with what stands behind its colon."""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\w[\w ]*\n-{3,}|\Z)", inspect.cleandoc(doc), re.M | re.S)
    if section is None:
        return {}
    heads = [line.partition(" : ") for line in section[1].split("\n") if line and not line[0].isspace()]
    return {name.strip(" *"): what for names, _, what in heads for name in names.split(",")}


def each_docstring(path: Path) -> Iterator[Told]:
    """Tell each function and class of a file whose docstring has parameters."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        said = parameters(ast.get_docstring(node) or "")
        if said:
            where = f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
            args, fields = made_by(node) if isinstance(node, ast.ClassDef) else (node.args, False)
            yield Told(where, said, args, fields)


def made_by(node: ast.ClassDef) -> tuple[ast.arguments, bool]:
    """Return the arguments that a class is made with; of one without a constructor its fields, and True."""
    for name in ("__init__", "__new__"):
        for each in node.body:
            if isinstance(each, ast.FunctionDef) and each.name == name:
                return each.args, False
    fields = [each for each in node.body if isinstance(each, ast.AnnAssign)]
    values = [f"{ast.unparse(each.target)}={ast.unparse(each.value or ast.Constant(...))}" for each in fields]
    found = ast.parse(f"def made({', '.join(values)}): ...").body[0]
    assert isinstance(found, ast.FunctionDef)
    return found.args, True


def defaults(args: ast.arguments) -> dict[str, object]:
    """Return the defaults that are written as literals, by name."""
    placed = [*args.posonlyargs, *args.args]
    pairs = [*zip(placed[len(placed) - len(args.defaults) :], args.defaults, strict=True)]
    pairs += [(each, value) for each, value in zip(args.kwonlyargs, args.kw_defaults, strict=True) if value]
    return {each.arg: literal(ast.unparse(value)) for each, value in pairs}


def literal(text: str) -> object:
    """Return the value of a literal; `Ellipsis` for anything else."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return ...


@pytest.fixture(scope="module")
def told() -> list[Told]:
    """Return what all docstrings say of parameters."""
    return [each for path in sorted((ROOT / "pymilk").rglob("*.py")) for each in each_docstring(path)]


def test_sections_are_read(told: list[Told]) -> None:
    doc = "Do it.\n\nParameters\n----------\na, b : int, default 3\n    Text.\n*rest\n\nReturns\n-------\nint"
    assert parameters(doc) == {"a": "int, default 3", "b": "int, default 3", "rest": ""}
    assert len(told) > 400


def test_parameters_are_those_of_the_signature(told: list[Told]) -> None:
    wrong = []
    for each in told:
        said = set(each.said)
        # Some fields of a class are no parameters: what it works out itself.
        if not (said <= each.names if each.fields else said == each.names):
            wrong.append((each.where, sorted(said ^ each.names)))
    assert wrong == []


def test_defaults_are_those_of_the_signature(told: list[Told]) -> None:
    wrong = []
    for each in told:
        there = defaults(each.args)
        for name, what in each.said.items():
            found = re.search(r"\bdefault (.+)$", what)
            said = literal(found[1]) if found else ...
            if said is not ... and there.get(name, ...) not in (..., said):
                wrong.append((each.where, name, said))
    assert wrong == []
