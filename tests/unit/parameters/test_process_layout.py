"""The offsets of process information, against those that a compiler gave."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pymilk.parameters import process_layout
from pymilk.parameters.process_layout import FW, LAYOUTS, V1

FACTS = json.loads((Path(__file__).parents[2] / "data" / "processes" / "procinfo_layout.json").read_text())


@pytest.mark.parametrize(
    ("layout", "fields"),
    [(V1, FACTS["structs"]["PROCESSINFO"]["fields"]), (FW, FACTS["layout_variants"]["fw"]["fields"])],
    ids=["v1", "fw"],
)
def test_offsets_are_those_of_the_compiler(layout, fields):
    ours = {name: (field.offset, field.nbytes) for name, field in layout.fields.items()}
    assert ours == {name: (field["offset"], field["size"]) for name, field in fields.items()}
    assert list(ours) == list(fields)


def test_sizes_tell_layouts():
    assert {nbytes: layout.name for nbytes, layout in LAYOUTS.items()} == {4624: "v1", 4640: "fw"}
    assert FACTS["list_file"]["size"] == process_layout.LIST_SLOTS * process_layout.SLOT_NBYTES


@pytest.mark.parametrize(
    ("kind", "codes", "renamed"),
    [
        ("Control", "CTRLval_codes", {"STEP": "STEP_ONCE_THEN_PAUSE", "IDLE": "ITERATE_WITHOUT_COMPUTING"}),
        ("LoopState", "loopstat_codes", {}),
        ("TriggerMode", "triggermode_codes", {}),
        ("TriggerStatus", "triggerstatus_codes", {}),
        ("SlotState", "active_codes", {}),
    ],
)
def test_codes(kind, codes, renamed):
    members = {renamed.get(each.name, each.name): each.value for each in getattr(process_layout, kind)}
    members.pop("UNUSED", None)
    assert members == FACTS[codes]
