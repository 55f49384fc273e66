"""The 16 standard entries: every default that the page states is what is made, and what it states is all."""

from __future__ import annotations

import re

from pymilk.parameters import FPS, ParameterFlag, StandardEntries, Timespec
from support.paths import ROOT

PAGE = ROOT / "docs" / "parameters.md"


def rows_of_page() -> list[list[str]]:
    lines = PAGE.read_text().splitlines()
    cells = [
        [cell.strip().strip("`") for cell in line.split("|")[1:-1]]
        for line in lines
        if line.startswith("| `")
    ]
    return [row for row in cells if row[0].startswith(("conf.", "procinfo."))]


def shown(value: object) -> str:
    if isinstance(value, Timespec):
        return f"({value.seconds}, {value.nanoseconds})"
    return "on" if value is True else "off" if value is False else str(value)


def limits(low: object, high: object) -> str:
    return "" if low is None else f"at least {low}" if high is None else f"{low} to {high}"


def test_the_page_states_every_default() -> None:
    with FPS.create("loop", standard=True, directories=False) as fps:
        found = [
            [
                param.key,
                param.type_name,
                shown(param.value).replace("loop", "NAME"),
                limits(*param.limits),
                "conf, run" if ParameterFlag.WRITERUN in param.flags else "conf",
            ]
            for param in fps.params()
        ]
    stated = [[*row[:5]] for row in rows_of_page()]
    assert stated == found


def test_values_that_are_chosen() -> None:
    chosen = StandardEntries(5, 1000, 3, "cam", 2, (0, 7), (1, 8))
    with FPS.create("loop", standard=chosen, directories=False) as fps:
        assert fps.as_dict().items() >= {
            "procinfo.RTprio": 5, "procinfo.loopcntMax": 1000, "procinfo.triggermode": 3,
            "procinfo.triggersname": "cam", "procinfo.semindexrequested": 2,
            "procinfo.triggerdelay": Timespec(0, 7), "procinfo.triggertimeout": Timespec(1, 8),
        }.items()  # fmt: skip


def test_docstring_states_the_defaults() -> None:
    said = str(StandardEntries.__doc__)
    stated = dict(re.findall(r"^    (\w+) : .*, default (.+)$", said, re.MULTILINE))
    assert stated == {name: repr(value) for name, value in StandardEntries._field_defaults.items()}
