"""Files that milk wrote: each is read as its manifest says, and rebuilt byte for byte from its recipe."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from pymilk.parameters import FPS, ParameterFlag, ParameterType, Timespec
from pymilk.parameters.layout import LAYOUTS, SLOT_FIELDS
from pymilk.parameters.words import DEFAULT_TEXT, NUMBER_TYPES, MessageCode, Signal, Status
from support.fps import FACTS, FILES, MANIFEST, Replay, golden_bytes, lay_down, number


@pytest.fixture(autouse=True)
def _labels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FPS_KEYWORDARRAY", MANIFEST["environment"]["FPS_KEYWORDARRAY"])


def test_offsets_are_those_that_were_measured() -> None:
    for struct_name, fields, size in (
        ("FUNCTION_PARAMETER_STRUCT_MD", LAYOUTS[0].fields, LAYOUTS[0].header_nbytes),
        ("FUNCTION_PARAMETER", SLOT_FIELDS, LAYOUTS[0].slot_nbytes),
    ):
        facts = FACTS["structs"][struct_name]
        assert {name: list(field[:2]) for name, field in fields.items()} == facts["fields"]
        assert size == facts["size"]


@pytest.mark.parametrize("layout", LAYOUTS[1:], ids=lambda layout: layout.name)
def test_offsets_of_later_layouts(layout: Any) -> None:
    facts = FACTS["layout_variants"][layout.name]
    assert {name: list(field[:2]) for name, field in layout.fields.items()} == facts["md_fields"]
    assert (layout.header_nbytes, layout.slot_nbytes) == (facts["md_size"], facts["param_size"])


@pytest.mark.parametrize(
    ("words", "facts"),
    [
        (ParameterType, "type_codes"), (ParameterFlag, "flag_bits"), (ParameterFlag, "flag_presets"),
        (Status, "status_bits"), (Signal, "signal_bits"), (MessageCode, "message_bits"),
    ],
)  # fmt: skip
def test_words_have_the_numbers_that_were_measured(words: Any, facts: str) -> None:
    assert {name: int(words[name]) for name in FACTS[facts]} == FACTS[facts]


def test_default_texts() -> None:
    assert {kind.name: text for kind, text in DEFAULT_TEXT.items() if kind < 262144} == FACTS["default_text"]


def expected_value(entry: dict[str, Any]) -> Any:
    kind, value = entry["type_name"], entry["value"]
    if kind == "TIMESPEC":
        return Timespec(*value[0])
    if kind == "ONOFF":
        return bool(entry["fpflag"] & ParameterFlag.ONOFF)
    if kind == "UNDEF":
        return None
    return number(kind, value[0]) if kind in ("FLOAT32", "FLOAT64") else value[0]


def expected_current(entry: dict[str, Any]) -> Any:
    kind, value = entry["type_name"], entry["value"]
    if kind in ("ONOFF", "UNDEF", "PROCESS"):
        return None
    if kind == "TIMESPEC":
        return Timespec(*value[1])
    return value[1] if len(value) == 2 else number(kind, value[3])


@pytest.mark.parametrize("file", FILES)
def test_is_read_as_the_manifest_says(file: str, shm_dir: Path) -> None:
    path = lay_down(file, shm_dir)
    expected = MANIFEST["fps"][file]["expected"]
    before = path.read_bytes()
    assert hashlib.sha256(before).hexdigest() == MANIFEST["fps"][file]["sha256"]
    with FPS(path) as fps:
        active = [entry for entry in expected["params"] if entry["fpflag"] & ParameterFlag.ACTIVE]
        assert fps.layout == "v1"
        assert [each.keyword for each in fps.params()] == [entry["keywordfull"] for entry in active]
        for entry in active:
            found = fps.param(entry["keywordfull"])
            value = expected_value(entry)
            assert found.value == value
            assert type(found.value) is type(value)
            assert (found.slot, found.cnt0, int(found.flags)) == (
                entry["index"],
                entry["cnt0"],
                entry["fpflag"],
            )
            assert (found.description, found.imported_from) == (entry["description"], entry["keywordfrom"])
            for limit, flag, element in ((found.low, "MINLIMIT", 1), (found.high, "MAXLIMIT", 2)):
                stored = number(entry["type_name"], entry["value"][element]) if limit is not None else None
                assert limit == stored
                assert (limit is not None) == (
                    ParameterFlag[flag] in found.flags and found.type in NUMBER_TYPES
                )
            assert found.current == expected_current(entry)
        header = fps.header()
        md = dict(expected["md"])
        messages = md.pop("messages")
        assert {
            name: list(header[name]) if isinstance(value, list) else header[name]
            for name, value in md.items()
        } == md
        assert [(m.text, m.slot, m.code) for m in fps.messages()] == [
            (m["text"], m["pindex"], m["code"]) for m in messages
        ]
        fps.as_dict()
        fps.tree()
        repr(fps)
    assert path.read_bytes() == before, "reading wrote"


@pytest.mark.parametrize("file", FILES)
def test_is_rebuilt_byte_for_byte(file: str, shm_dir: Path) -> None:
    recipe = MANIFEST["fps"][file]
    replay = Replay(recipe, shm_dir)
    built = replay.run()
    replay.fps.close()
    golden = golden_bytes(file)
    assert len(built) == len(golden)
    differing = [at for at in range(len(golden)) if built[at] != golden[at]] if built != golden else []
    assert not differing, f"{len(differing)} bytes differ, the first at {differing[0]}"
    if replay.snapshot:
        assert replay.snapshot == golden_bytes(recipe["snapshot"]["file"])
