"""The reference of names: a page for each public face, and one for each of its classes, from ``__all__``."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .files import write_all

__all__ = ["FACES", "Face", "faces", "write_name_pages"]

#: Modules that users import from. A name is documented in the first that has it.
FACES = (
    "pymilk", "pymilk.capture", "pymilk.ring", "pymilk.recording", "pymilk.multi", "pymilk.image",
    "pymilk.channels", "pymilk.parameters", "pymilk.simulate", "pymilk.inspection", "pymilk.bench",
    "pymilk.playback", "pymilk.view", "pymilk.web", "pymilk.bridge", "pymilk.fits", "pymilk.loading",
    "pymilk.axes", "pymilk.times", "pymilk.errors",
    "pymilk.compat.ndsharray", "pymilk.compat.xaosim", "pymilk.compat.magscope", "pymilk.compat.pymembus",
)  # fmt: skip


#: Base classes whose members are Python's and not listed.
BUILTIN = "int, tuple, dict, list, str, Exception, ndarray"


@dataclass
class Face:
    """A module and the names that it hands on, by kind; `elsewhere` are documented by an earlier face."""

    name: str
    classes: list[str] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)
    elsewhere: dict[str, str] = field(default_factory=dict)


def faces(modules: tuple[str, ...] = FACES) -> Iterator[Face]:
    """Sort the public names of each module."""
    known: dict[int, str] = {}
    for name in modules:
        module = importlib.import_module(name)
        face = Face(name)
        for each in module.__all__:
            if each.startswith("__"):
                continue
            found = getattr(module, each)
            if inspect.ismodule(found):
                continue
            documented = inspect.isclass(found) or inspect.isroutine(found)
            if documented and id(found) in known:
                face.elsewhere[each] = known[id(found)]
                continue
            if documented:
                known[id(found)] = f"{name}.{each}"
            _list_of(face, found).append(each)
        yield face


def _list_of(face: Face, found: object) -> list[str]:
    if inspect.isclass(found):
        return face.errors if issubclass(found, Exception | Warning) else face.classes
    return face.functions if inspect.isroutine(found) else face.values


def write_name_pages(folder: Path) -> None:
    """Write the pages into a folder, which holds nothing else; files that would not change are left alone."""
    pages = {}
    found = list(faces())
    for face in found:
        pages[f"{face.name}.rst"] = _face_page(face)
        for name in face.classes:
            pages[f"{face.name}.{name}.rst"] = _class_page(face.name, name)
    write_all(folder, pages)


def _title(text: str, line: str = "=") -> str:
    return f"{text}\n{line * len(text)}\n\n"


def _class_page(module: str, name: str) -> str:
    return (
        f"{_title(name)}.. currentmodule:: {module}\n\n"
        f".. autoclass:: {module}.{name}\n   :members:\n   :inherited-members: {BUILTIN}\n"
    )


def _first_sentence(module: str, name: str) -> str:
    text = inspect.getdoc(getattr(importlib.import_module(module), name)) or ""
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
    # The compiler puts the signature of a compiled class or function before its words.
    if len(paragraphs) > 1 and paragraphs[0].startswith(f"{name}("):
        del paragraphs[0]
    return paragraphs[0] if paragraphs else ""


def _face_page(face: Face) -> str:
    parts = [
        _title(face.name),
        f".. automodule:: {face.name}\n   :no-members:\n\n",
        f".. currentmodule:: {face.name}\n\n",
    ]
    if face.classes:
        parts.append(_title("Classes", "-"))
        for name in face.classes:
            parts.append(f":doc:`{name} <{face.name}.{name}>`\n   {_first_sentence(face.name, name)}\n\n")
        listed = "".join(f"   {face.name}.{name}\n" for name in face.classes)
        parts.append(f".. toctree::\n   :hidden:\n\n{listed}\n")
    for heading, names, directive in (
        ("Functions", face.functions, "autofunction"),
        ("Errors and warnings", face.errors, "autoexception"),
    ):
        if names:
            parts.append(_title(heading, "-"))
            parts.extend(f".. {directive}:: {face.name}.{name}\n\n" for name in names)
    if face.values:
        listed = ", ".join(f"``{name}``" for name in face.values)
        parts.append(f"{_title('Values', '-')}{listed}\n\n")
    if face.elsewhere:
        parts.append(_title("Also here", "-"))
        parts.append(", ".join(f":py:obj:`{name} <{home}>`" for name, home in face.elsewhere.items()))
        parts.append("\n")
    return "".join(parts)
