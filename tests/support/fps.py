"""Parameter files that milk wrote, and what has to be done to rebuild them; files of other layouts."""

from __future__ import annotations

import gzip
import json
import shutil
import struct
from pathlib import Path
from typing import Any

from pymilk.parameters import FPS
from pymilk.parameters.header import write_field
from pymilk.parameters.layout import LAYOUTS, SLOT_FIELDS, Layout
from pymilk.parameters.records import Header, Program, header_bytes, slot_bytes
from pymilk.parameters.standard import StandardEntries, standard_slots
from pymilk.parameters.table import Entry
from pymilk.parameters.words import ParameterFlag, ParameterType, Signal, Timespec

DATA = Path(__file__).parent.parent / "data" / "fps"
MANIFEST: dict[str, Any] = json.loads((DATA / "manifest.json").read_text())
FACTS: dict[str, Any] = json.loads((DATA / "layout.json").read_text())
FILES = sorted(MANIFEST["fps"])
INTEGERS = ("INT32", "UINT32", "INT64", "UINT64")


def golden_bytes(file: str) -> bytes:
    return gzip.decompress((DATA / f"{file}.gz").read_bytes())


def lay_down(file: str, folder: Path) -> Path:
    """Put a golden file into a directory."""
    path = folder / file
    path.write_bytes(golden_bytes(file))
    return path


def number(kind: str, text: Any) -> Any:
    """Read a number of the manifest."""
    if kind in INTEGERS or kind == "PID":
        return int(text)
    if isinstance(text, str):
        return float.fromhex(text) if "x" in text else float(text)
    return text


def initial(kind: str, texts: list[str] | None) -> tuple[Any, ...] | None:
    """Read the first value of an entry."""
    if texts is None:
        return None
    if kind == "TIMESPEC":
        return ((int(texts[0]), int(texts[1])),)
    if kind in INTEGERS or kind in ("FLOAT32", "FLOAT64", "PID"):
        return tuple(number(kind, text) for text in texts)
    return tuple(texts)


class Replay:
    """Does what a recipe says, with pymilk."""

    def __init__(self, recipe: dict[str, Any], folder: Path) -> None:
        self.recipe = recipe
        self.folder = folder
        self.fps: FPS
        self.snapshot = b""

    def run(self) -> bytes:
        """Do all operations; returns the file."""
        for operation in self.recipe["operations"]:
            getattr(self, f"do_{operation['op']}")(operation)
        # milk's setters ask for no check; ours do.
        self.fps.request(clear=Signal.UPDATE)
        return Path(self.fps.path).read_bytes()

    def find(self, fragment: str) -> Entry:
        """Find a parameter as milk does: the first one whose keyword has the fragment in it."""
        return next(each for each in self.fps._table.entries() if fragment in each.keyword)

    def at(self, operation: dict[str, Any], field: str) -> int:
        slot = self.find(operation["match"]).slot
        return self.fps._table.slot_offset(slot) + SLOT_FIELDS[field].offset

    def do_create(self, operation: dict[str, Any]) -> None:
        environment = MANIFEST["environment"]
        self.fps = FPS.create(
            operation["name"],
            operation["NBparamMAX"],
            program=Program(
                environment["callprogname"], environment["callfuncname"], workdir=environment["cwd"]
            ),
            directories=False,
        )

    def do_direct_store(self, operation: dict[str, Any]) -> None:
        table, field, value = self.fps._table, operation["field"], operation["value"]
        if field == "md.sourcefname,md.sourceline":
            write_field(table, "sourcefname", value[0])
            write_field(table, "sourceline", value[1])
        elif field == "md.status":
            table.change_status(int(value.removeprefix("or "), 0))
        elif field == "userflag":
            # The manifest has it as a rounded number; the raw bytes are exact.
            at = self.at(operation, "userflag")
            table.write(at, golden_bytes(f"{self.fps.name}.fps.shm")[at : at + 8])
        elif field == "keywordfrom":
            table.write(self.at(operation, "keywordfrom"), value.encode() + b"\0")
        else:
            write_field(table, field.removeprefix("md."), value)

    def do_add_entry(self, operation: dict[str, Any]) -> None:
        keyword, kind = operation["keyword"], operation["type"]
        first = initial(kind, operation["initial"])
        if not keyword.startswith("."):  # our FPS put their names in front of all keywords
            content = slot_bytes(
                keyword, ParameterType[kind], operation["fpflag"], operation["description"], first,
                fps=self.fps.name, nbytes=LAYOUTS[0].slot_nbytes,
            )  # fmt: skip
            assert self.fps._table.add(content) >= 0
            return
        if first is not None and len(first) == 1:
            (first,) = first
        if kind == "ONOFF" and first is not None:
            first = first == "1"
        self.fps.add_param(
            keyword, kind, first, flags=operation["fpflag"], description=operation["description"]
        )

    def do_add_standard_processinfo_entries(self, operation: dict[str, Any]) -> None:
        chosen = StandardEntries(
            operation["RTprio"],
            operation["loopcntMax"],
            operation["triggermode"],
            operation["triggersname"],
            operation["semindexrequested"],
            tuple(operation["triggerdelay"]),
            tuple(operation["triggertimeout"]),
        )
        for content in standard_slots(self.fps.name, chosen, LAYOUTS[0].slot_nbytes):
            self.fps._table.add(content)

    def do_set(self, operation: dict[str, Any]) -> None:
        kind, value = operation["type"], operation["value"]
        entry = self.find(operation["match"])
        if kind in (*INTEGERS, "FLOAT32", "FLOAT64", "TIMESPEC"):
            value = number(kind, value)
        elif kind == "ONOFF":
            value = value == "1"
        else:
            value = value[:63]
        self.fps.set(entry.keyword, value, force=True)

    def do_read_with_feedback(self, operation: dict[str, Any]) -> None:
        self.fps.param(self.find(operation["match"]).keyword).feed_back()

    def do_flag_set(self, operation: dict[str, Any]) -> None:
        self.fps._table.set_flags(self.find(operation["match"]), operation["bits"])

    def do_flag_clear(self, operation: dict[str, Any]) -> None:
        self.fps._table.clear_flags(self.find(operation["match"]), operation["bits"])

    def do_snapshot(self, operation: dict[str, Any]) -> None:
        self.snapshot = Path(self.fps.path).read_bytes()

    def do_disconnect(self, operation: dict[str, Any]) -> None:
        self.fps.close()

    def do_connect(self, operation: dict[str, Any]) -> None:
        self.fps = FPS(operation["name"])
        if operation["mode"] == 1:
            header = self.recipe["expected"]["md"]
            write_field(self.fps._table, "confpid", header["confpid"])
            write_field(self.fps._table, "confpidstarttime", Timespec(*header["confpidstarttime"]))

    def do_check_all_parameters(self, operation: dict[str, Any]) -> None:
        self.fps.check()


def other_layout(layout: Layout, folder: Path, name: str = "other") -> Path:
    """Make a file of any layout, with a number, a switch and a text in it."""
    content = header_bytes(Header(name, 4, workdir="/tmp"), layout)
    for key, kind, value in (
        ("gain", ParameterType.FLOAT32, (0.5, 0.0, 1.0, 0.5)),
        ("on", ParameterType.ONOFF, (0,)),
        ("text", ParameterType.STRING, ("abc",)),
    ):
        flags = ParameterFlag.DEFAULT_INPUT | ParameterFlag.MINLIMIT | ParameterFlag.MAXLIMIT
        content += slot_bytes(f"{name}.{key}", kind, flags, key, value, fps=name, nbytes=layout.slot_nbytes)
    path = folder / f"{name}.fps.shm"
    path.write_bytes(content + bytes(layout.slot_nbytes))
    return path


def copy_of(path: Path) -> bytes:
    return path.read_bytes()


def store(path: Path, offset: int, form: str, *values: Any) -> None:
    """Change bytes of a file in place, as another program would."""
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(struct.pack(form, *values))


def cleared(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
