"""Command lines in what users read have options that the help shows, not older words for them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

pytest.importorskip("click", reason="extra cli")
pytest.importorskip("rich", reason="extra cli")

from support.calling import walk
from support.paths import ROOT

#: The words of each command that the help shows.
SHOWN = {
    path: {word for each in command.params if not getattr(each, "hidden", False) for word in each.opts}
    for path, command in walk()
}

#: A command with what follows it, and an option of it.
COMMAND = re.compile(rf"\bpymilk ({'|'.join(sorted(SHOWN, key=len, reverse=True))})((?: [^`\n|;]*)?)")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def command_lines() -> Iterator[tuple[str, str, str]]:
    """Find commands in texts, examples and units: the place, the command, and the rest of the line."""
    kinds = ("docs/**/*.md", "examples/*.py", "contrib/**/*.service")
    for place in [ROOT / "README.md", *(path for kind in kinds for path in ROOT.glob(kind))]:
        for each in COMMAND.finditer(place.read_text()):
            yield str(place.relative_to(ROOT)), each[1], each[2]


@pytest.mark.skipif(not (ROOT / "README.md").exists(), reason="needs the sources")
def test_options_are_those_of_the_help() -> None:
    seen = [
        (place, path, word) for place, path, rest in command_lines() for word in OPTION.findall(rest)
    ]
    assert len(seen) > 50
    assert [each for each in seen if each[2] not in SHOWN[each[1]] | {"--help"}] == []
