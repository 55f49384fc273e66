#!/usr/bin/env python3
"""Check floors and sizes: which module imports which, and how long files, classes and functions are.

    python tests/build/check_layers.py

Floors are read from the contract "Floors" of import-linter in pyproject.toml; compiled rooms stand between
them as said in `COMPILED`. import-linter sees Python only: this script follows ``cimport`` as well.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "pymilk"

#: Compiled floors, bottom to top; they stand on the floor of `GROUND`.
COMPILED = ("_isio", "protocol", "native", "_core")
GROUND = "system"

#: Lines of a function without its docstring, of a class, and of a file; the heart may be longer.
FUNCTION_LINES = 60
CLASS_LINES = 900
FILE_LINES = 1000
HEART = ("_core.pyx", 1700)

#: A face, the ``__init__`` of a wing, has fewer lines. That of the package also says what is imported later.
FACE_LINES = 20

_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+(?P<where>\.*[\w.]*)[ \t]+(?P<how>c?import)[ \t]+(?P<names>\([^)]*\)|[^\n#]*)"
    r"|(?P<plain>c?import)[ \t]+(?P<modules>[\w., \t]+))",
    re.MULTILINE,
)


def floors() -> dict[str, int]:
    """Return the floor of each room and wing at the top of the package."""
    text = (ROOT / "pyproject.toml").read_text()
    contract = re.search(r'name = "Floors".*?layers = \[(.*?)\]', text, re.DOTALL)
    assert contract is not None, "pyproject.toml has no contract of floors"
    layers = [re.split(r"[ |]+", layer) for layer in re.findall(r'"([^"]+)"', contract[1])]
    found: dict[str, int] = {}
    level = 0
    for layer in reversed(layers):
        found.update(dict.fromkeys(layer, level))
        level += 1
        if GROUND in layer:
            for name in COMPILED:
                found[name] = level
                level += 1
    return found


def sources(*suffixes: str) -> list[Path]:
    """Return the sources of the package with these suffixes, but for import names of other libraries."""
    other = [folder for folder in (PACKAGE / "compat").iterdir() if folder.is_dir()]
    found = [path for path in sorted(PACKAGE.rglob("*")) if path.suffix in suffixes]
    return [path for path in found if not any(map(path.is_relative_to, other))]


def module_of(path: Path) -> tuple[str, ...]:
    """Return the module of a file, below the package."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def imports(path: Path) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Give the imports of a file from the package: the module, the name, and "import" or "cimport"."""
    folder = path.relative_to(PACKAGE).parent.parts
    for found in _IMPORT.finditer(path.read_text()):
        if found["plain"]:
            continue  # the package imports itself by relative names only
        where, how = found["where"], found["how"]
        dots = len(where) - len(where.lstrip("."))
        if dots == 0:
            if where.split(".")[0] == "pymilk":
                yield tuple(where.split(".")[1:]), "", how
            continue
        base = folder[: len(folder) - dots + 1]
        rest = tuple(filter(None, where.lstrip(".").split(".")))
        for name in re.split(r"[,\s()]+", re.sub(r"#.*|\bas\s+\w+", "", found["names"])):
            if name:
                yield (*base, *rest), name, how


def _typing_only(path: Path) -> set[tuple[tuple[str, ...], str]]:
    """Return the imports of a Python file that only type checkers see."""
    folder = path.relative_to(PACKAGE).parent.parts
    seen = set()
    for block in ast.walk(ast.parse(path.read_text())):
        if isinstance(block, ast.If) and getattr(block.test, "id", "") == "TYPE_CHECKING":
            for node in ast.walk(block):
                if isinstance(node, ast.ImportFrom) and node.level:
                    base = folder[: len(folder) - node.level + 1]
                    rest = tuple((node.module or "").split(".")) if node.module else ()
                    seen.update(((*base, *rest), name.name) for name in node.names)
    return seen


def stairs() -> Iterator[str]:
    """Give the imports that run up a floor, or into a private name of another wing."""
    level = floors()
    for path in sources(".py", ".pyx", ".pxd"):
        own = module_of(path)
        if not own:
            continue  # the face of the package hands on names of all floors
        ignored = _typing_only(path) if path.suffix == ".py" else set()
        for module, name, how in imports(path):
            if (module, name) in ignored:
                continue
            target = module or (name,)
            place = f"{path.relative_to(PACKAGE.parent)}: {how}s {'.'.join(target)} ({name or '*'})"
            if target[0] not in level or own[0] not in level:
                yield f"{place}: one of them has no floor in pyproject.toml"
            elif own[0] != target[0] and level[target[0]] >= level[own[0]]:
                yield f"{place}, which is not on a lower floor"
            elif own[0] != target[0] and _is_private(target, name, how):
                yield f"{place}, a private name of another wing"
            if own[0] == "protocol" and how == "import":
                yield f"{place}: protocol has no Python"


def _is_private(target: tuple[str, ...], name: str, how: str) -> bool:
    known = {"_core", "_types", "_interpreter", "_version", "_isio"}
    rooms = [part for part in target if part not in known]
    private_name = name.startswith("_") and name not in known and not name.startswith("__")
    return how == "import" and (private_name or any(part.startswith("_") for part in rooms))


def circles() -> Iterator[str]:
    """Give the circles in which rooms import each other, also inside functions, or include each other."""
    graph: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    paths = sources(".py", ".pyx", ".pxd")
    known = {module_of(path) for path in paths}
    for path in paths:
        own = module_of(path)
        wanted = graph.setdefault(own, set())
        ignored = _typing_only(path) if path.suffix == ".py" else set()
        for module, name, _ in imports(path):
            target = (*module, name) if (*module, name) in known else module
            if target != own and (module, name) not in ignored:
                wanted.add(target)
    done: set[tuple[str, ...]] = set()

    def follow(module: tuple[str, ...], way: list[tuple[str, ...]]) -> Iterator[str]:
        if module in way:
            yield "circle of imports: " + " -> ".join(map(".".join, [*way[way.index(module) :], module]))
        elif module not in done:
            for target in sorted(graph.get(module, ())):
                yield from follow(target, [*way, module])
            done.add(module)

    for module in sorted(graph):
        yield from follow(module, [])


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _blocks(path: Path) -> Iterator[tuple[str, str, int]]:
    """Give kind, name and length of the functions and classes of a file; functions without docstring."""
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                yield "class", node.name, (node.end_lineno or 0) - node.lineno + 1
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                first = node.body[1 if ast.get_docstring(node, clean=False) and node.body[1:] else 0]
                yield "function", node.name, (node.end_lineno or 0) - first.lineno + 1
        return
    lines = path.read_text().splitlines()
    start = re.compile(r"^( *)(?:(cdef )?class (\w+)|(?:cdef|cpdef|def) [^=;]*?(\w+)\()")
    for at, line in enumerate(lines):
        found = start.match(line)
        if found is None or line.rstrip().endswith(";"):
            continue
        inner = len(found[1]) + 1
        end = at + 1
        while end < len(lines) and (not lines[end].strip() or _indent(lines[end]) >= inner):
            end += 1
        body = "\n".join(lines[at:end]).rstrip()
        if found[3]:
            yield "class", found[3], body.count("\n") + 1
            continue
        signature = re.search(r"\)[^\n]*:[^\n]*(?:\n|$)", body)
        body = body[signature.end() :] if signature else body
        body = re.sub(r'^\s*r?"""(?:.*?)"""\n?', "", body, count=1, flags=re.DOTALL)
        yield "function", found[4], body.count("\n") + 1


def sizes() -> Iterator[str]:
    """Give what is too long."""
    for path in sources(".py", ".pyx", ".pxd", ".pyi"):
        place = path.relative_to(PACKAGE.parent)
        lines = len(path.read_text().splitlines())
        most = HEART[1] if path.name == HEART[0] else FILE_LINES
        if lines > most:
            yield f"{place}: {lines} lines, more than {most}"
        if path.name == "__init__.py" and module_of(path) and lines >= FACE_LINES and not _is_lazy(path):
            yield f"{place}: {lines} lines; a face has under {FACE_LINES}"
        if path.suffix == ".pyi":
            continue
        for kind, name, length in _blocks(path):
            limit = CLASS_LINES if kind == "class" else FUNCTION_LINES
            if length > limit:
                yield f"{place}: {kind} {name} has {length} lines, more than {limit}"


def _is_lazy(path: Path) -> bool:
    """Tell whether a face imports its rooms when they are asked for, and so may be longer."""
    body = ast.parse(path.read_text()).body
    made = [node.name for node in body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    given = [ast.unparse(node) for node in body if isinstance(node, ast.Assign)]
    late = "__getattr__ = late_names(__name__, _ROOMS)"
    return made == ["__getattr__"] or (not made and late in given)


def main() -> int:
    """Print what is wrong; returns the exit status."""
    found = [*stairs(), *circles(), *sizes()]
    print("\n".join(found) or "all stairs lead down, and no room is too large")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
