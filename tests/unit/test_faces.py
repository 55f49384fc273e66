"""What a wing hands on late is not hidden by a room of the same name."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import pymilk

TOP = Path(pymilk.__file__).parent

LATE = [path for path in sorted(TOP.rglob("__init__.py")) if "__getattr__" in path.read_text()]


@pytest.mark.parametrize("face", LATE, ids=lambda path: path.parent.name)
def test_no_room_has_the_name_of_what_is_imported_late(face: Path) -> None:
    rooms = {path.name.partition(".")[0] for path in face.parent.iterdir()}
    # Modules on purpose: imported with the face, not late.
    hidden = {"errors", "times"} if face.parent == TOP else set()
    hidden |= {
        name.name
        for each in ast.parse(face.read_text()).body
        if isinstance(each, ast.ImportFrom)
        for name in each.names
    }
    module = importlib.import_module(".".join(face.parent.relative_to(TOP.parent).parts))
    assert not set(module.__all__) & rooms - hidden


def test_late_names_exist() -> None:
    assert {"parameters", "pymilk"} <= {path.parent.name for path in LATE}
