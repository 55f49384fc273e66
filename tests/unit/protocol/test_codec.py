"""The pure Python codec: layouts, and files that it builds."""

from __future__ import annotations

import dataclasses
import itertools
import struct
from typing import Any

import numpy as np
import pytest

from support import isio_format as fmt
from support.isio_format import KeywordSlot, StreamFile

# --- layouts -----------------------------------------------------------------------------------


class Values:
    """Values of fields, each other than those before it."""

    def __init__(self) -> None:
        self._counter = itertools.count(1)

    def number(self) -> int:
        return 0x0101010101010101 * (next(self._counter) % 127 + 1)

    def short(self) -> int:
        return self.number() & 0x7F7F7F7F

    def time(self) -> tuple[int, int]:
        return self.number(), self.number()

    def chunk(self, nbytes: int) -> bytes:
        return bytes(next(self._counter) % 255 + 1 for _ in range(nbytes))

    def trace(self) -> dict[str, Any]:
        return {
            "triggermode": self.short(),
            "procwrite_PID": self.short(),
            "trigger_inode": self.number(),
            "ts_procstart": self.time(),
            "ts_streamupdate": self.time(),
            "trigsemindex": self.short(),
            "triggerstatus": self.short(),
            "cnt0": self.number(),
        }


def filled(layout: str, location: int = -1) -> StreamFile:
    """Make a stream in which no field has its initial value or that of a neighbour."""
    values = Values()
    number, short, time, chunk = values.number, values.short, values.time, values.chunk
    # A frame of 15 bytes leaves padding behind the array and shifts the ring slots.
    stream = fmt.fresh(
        "n" * 79,
        [5, 1, 3],
        1,
        nbkw=3,
        nbsem=3,
        cbsize=2,
        imagetype=0xABCDEF12345_2FFF1,
        layout=layout,
        location=location,
    )
    stream.version = "2." + "9" * 30
    stream.name = "n" * 80
    for name in ("creationtime", "lastaccesstime", "atime", "writetime"):
        setattr(stream, name, time())
    for name in ("inode", "flag", "cnt0", "cnt1", "cnt2", "CBcycle"):
        setattr(stream, name, number())
    for name in ("creatorPID", "ownerPID"):
        setattr(stream, name, short())
    stream.status, stream.logflag, stream.write, stream.CBindex = 11, 12, 13, 1
    stream.cuda_handle = chunk(64)
    stream.pixels = chunk(15) if location == -1 else b""
    stream.keyword_slots = [
        KeywordSlot(chunk(16), kind, chunk(16), number(), chunk(80)) for kind in "LDS"
    ]
    stream.semaphores = [chunk(32) for _ in range(3)]
    stream.semlog = chunk(32)
    for name in ("semReadPID", "semWritePID", "semctrl", "semstatus"):
        setattr(stream, name, [short() for _ in range(3)])
    stream.trace = [values.trace() for _ in range(10)]
    stream.atimearray = [time() for _ in range(3)]
    stream.writetimearray = [time() for _ in range(3)]
    stream.cntarray = [number() for _ in range(3)]
    stream.ring_records = [
        {"cnt0": number(), "cnt1": number(), "atime": time(), "writetime": time()} for _ in range(2)
    ]
    stream.ring_slots = [chunk(15), chunk(15)]
    if "writehistory" in layout:
        stream.wCBindex, stream.wCBcycle = short(), number()
        stream.write_history = [
            {"cnt0": number(), "wpid": short(), "writetime": time()} for _ in range(100)
        ]
    if "dao" in layout:
        for name in ("lastPos", "lastNb", "packetNb", "packetTotal"):
            setattr(stream, name, short())
        stream.lastNbArray = [number() for _ in range(512)]
    return stream


@pytest.mark.parametrize("location", [-1, 0])
@pytest.mark.parametrize("layout", fmt.LAYOUTS)
def test_round_trip_with_every_field_in_use(layout: str, location: int) -> None:
    stream = filled(layout, location)
    raw = fmt.encode(stream)
    again = fmt.decode(raw)
    assert again == stream
    assert again.layout == layout
    assert fmt.encode(again) == raw
    assert len(raw) == sum(section.stored_size for section in again.sections().values())


@pytest.mark.parametrize("layout", fmt.LAYOUTS)
def test_fresh_round_trip(layout: str) -> None:
    stream = fmt.fresh("cam0", [8, 4], 9, layout=layout)
    raw = fmt.encode(stream)
    assert fmt.decode(raw) == stream
    assert fmt.decode(raw, layout=layout) == stream
    assert len(raw) == fmt.file_size([8, 4], 9, layout=layout)
    for other in set(fmt.LAYOUTS) - {layout}:
        with pytest.raises(fmt.FormatError):
            fmt.decode(raw, layout=other)


def test_layouts_differ_as_the_build_options_say() -> None:
    sizes = {
        layout: fmt.file_size([8, 4], 9, nbkw=4, nbsem=3, layout=layout) for layout in fmt.LAYOUTS
    }
    assert sizes == {
        "default": 1856,
        "dao": 1856 + 4112,
        "writehistory": 1856 + 16 + 3200,
        "dao+writehistory": 1856 + 4112 + 16 + 3200,
    }
    assert {layout: table["imdatamemsize"] for layout, table in fmt.OFFSETS.items()} == {
        "default": 312,
        "dao": 312,
        "writehistory": 328,
        "dao+writehistory": 328,
    }
    assert fmt.OFFSETS["default"]["cnt0"] == 264
    assert fmt.OFFSETS["dao"]["lastNbArray"] == 400
    assert fmt.OFFSETS["dao+writehistory"]["lastNbArray"] == 416
    assert "wCBindex" not in fmt.OFFSETS["dao"]


@pytest.mark.parametrize("layout", fmt.LAYOUTS)
def test_optional_fields_are_stored_where_the_structs_have_them(layout: str) -> None:
    # No golden file has these, so the places are spelled out a second time here.
    stream = filled(layout)
    raw = fmt.encode(stream)
    end_of_common = 384
    if "writehistory" in layout:
        end_of_common = 400
        assert struct.unpack_from("<I4xQQ", raw, 312) == (stream.wCBindex, stream.wCBcycle, 15)
        assert raw[336:400] == stream.cuda_handle
        for record, stored in zip(
            stream.write_history, struct.iter_unpack("<QiIqq", raw[-3200:]), strict=True
        ):
            assert stored == (record["cnt0"], record["wpid"], 0, *record["writetime"])
    else:
        assert struct.unpack_from("<Q", raw, 312) == (15,)
        assert raw[320:384] == stream.cuda_handle
    if "dao" in layout:
        packets = (stream.lastPos, stream.lastNb, stream.packetNb, stream.packetTotal)
        assert struct.unpack_from("<4I", raw, end_of_common) == packets
        assert list(struct.unpack_from("<512Q", raw, end_of_common + 16)) == stream.lastNbArray
        end_of_common += 4112
    assert raw[end_of_common : end_of_common + 15] == stream.pixels


@pytest.mark.parametrize("layout", fmt.LAYOUTS)
def test_sections_follow_each_other(layout: str) -> None:
    table = fmt.section_table([5, 1, 3], 1, nbsem=3, cbsize=3, imagetype=0x20001, layout=layout)
    end = 0
    for section in table.values():
        assert section.offset == end
        assert section.stored_size % 8 == 0
        assert 0 <= section.stored_size - section.size < 8
        end += section.stored_size
    assert table["CBimdata"] == (table["CBimdata"].offset, 45, 48)
    assert ("writehist" in table) == ("writehistory" in layout)


@pytest.mark.parametrize(
    ("imagetype", "present"),
    [
        (0x20001, True),
        (0x20001 | 0xFFF0, True),
        (0x20001 | 1 << 63, True),
        (0x20003, False),
        (0x20005, False),
        (0x20009, False),
        (0x00001, False),
        (0x30001, False),
        (0x60001, False),
        (0x20002, False),
    ],
)
def test_slice_arrays_exist_for_exactly_one_kind_and_axis(imagetype: int, present: bool) -> None:
    table = fmt.section_table([4, 3, 2], 3, imagetype=imagetype)
    for name in ("atimearray", "writetimearray", "cntarray"):
        assert (name in table) == present
    stream = fmt.fresh("cube", [4, 3, 2], 3, imagetype=imagetype)
    assert len(stream.cntarray) == (2 if present else 0)
    assert fmt.decode(fmt.encode(stream)) == stream


@pytest.mark.parametrize("layout", fmt.LAYOUTS)
def test_patch_reaches_every_metadata_field(layout: str) -> None:
    source, target = filled(layout), fmt.fresh("x", [1], 1, nbkw=0, layout=layout)
    data = bytearray(fmt.encode(target))
    for name in fmt.OFFSETS[layout]:
        fmt.patch(data, name, getattr(source, name), layout)
    nbytes = fmt.METADATA_SIZE[layout]
    assert data[:nbytes] == fmt.encode(source)[:nbytes]
    assert data[nbytes:] == fmt.encode(target)[nbytes:]


def test_patch_packs_the_type_of_the_field() -> None:
    data = bytearray(fmt.encode(fmt.fresh("x", [1], 1)))
    fmt.patch(data, "cnt0", 2**64 - 1)
    fmt.patch(data, "location", -2)
    fmt.patch(data, "size", (4_000_000_000, 1, 2))
    fmt.patch(data, "atime", (-1, 999_999_999))
    assert data[264:272] == b"\xff" * 8
    assert data[240] == 0xFE
    assert struct.unpack_from("<3I", data, 116) == (4_000_000_000, 1, 2)
    assert struct.unpack_from("<qq", data, 184) == (-1, 999_999_999)
    with pytest.raises(fmt.FormatError, match="write"):
        fmt.patch(data, "write", 256)
    with pytest.raises(fmt.FormatError, match="version"):
        fmt.patch(data, "version", "v" * 33)
    with pytest.raises(KeyError):
        fmt.patch(data, "wCBindex", 1)


# --- building ----------------------------------------------------------------------------------


def test_fresh_has_the_defaults_of_a_new_stream() -> None:
    stream = fmt.fresh("cam0", [8, 4], 9)
    assert (stream.NBkw, stream.sem, stream.NBproctrace, stream.CBsize) == (50, 10, 10, 0)
    assert (stream.version, stream.imagetype, stream.location, stream.shared) == ("2.00", 2, -1, 1)
    assert (stream.naxis, stream.size, stream.nelement) == (2, [8, 4, 0], 32)
    assert stream.imdatamemsize == len(stream.pixels) == 128
    assert (stream.shape, stream.dtype) == ((4, 8), np.dtype("<f4"))
    assert stream.sem_values == [0] * 10
    assert stream.semReadPID == stream.semWritePID == [-1] * 10
    assert {slot.type for slot in stream.keyword_slots} == {"N"}
    assert {entry["trigsemindex"] for entry in stream.trace} == {-1}
    assert stream.used_keywords() == []


def test_fresh_cuts_the_stored_name() -> None:
    assert fmt.fresh("n" * 100, [1], 1).name == "n" * 79


@pytest.mark.parametrize(
    ("field", "arguments", "options"),
    [
        ("name", ("", [1], 1), {}),
        ("naxis", ("x", [], 1), {}),
        ("naxis", ("x", [1, 1, 1, 1], 1), {}),
        ("size", ("x", [4, 0], 1), {}),
        ("datatype", ("x", [1], 0), {}),
        ("datatype", ("x", [1], 20), {}),
        ("location", ("x", [1], 1), {"location": -2}),
        ("imagetype", ("x", [2, 2], 1), {"imagetype": 1}),
        ("NBkw", ("x", [1], 1), {"nbkw": 70_000}),
        ("sem", ("x", [1], 1), {"nbsem": 70_000}),
    ],
)
def test_fresh_refuses(field: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
    with pytest.raises(fmt.FormatError) as caught:
        fmt.fresh(*arguments, **options)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("value", "kind", "raw"),
    [
        (-(2**63), "L", "0000000000000080"),
        (2**63 - 1, "L", "ffffffffffffff7f"),
        (-0.0, "D", "0000000000000080"),
        ("0123456789ABCDEF", "S", b"0123456789ABCDEF".hex()),
        ("µm", "S", "c2b56d"),
        ("\udcff", "S", "ff"),
        ("", "S", ""),
    ],
)
def test_keyword_values(value: float | str, kind: str, raw: str) -> None:
    slot = KeywordSlot.make("KEY", value, "a comment", cnt=2**64 - 1)
    assert slot.type == kind
    assert slot.value == bytes.fromhex(raw).ljust(16, b"\0")
    assert repr(slot.decoded) == repr(value)
    assert KeywordSlot.unpack(slot.pack()) == slot
    assert (slot.name_text, slot.comment_text) == ("KEY", "a comment")


@pytest.mark.parametrize(
    "arguments",
    [
        ("SEVENTEEN_LETTERS", 1),
        ("KEY", 2**63),
        ("KEY", "17 bytes of text."),
        ("KEY", 1, "c" * 81),
        ("KEY", 1, "", -1),
    ],
)
def test_keyword_that_does_not_fit(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match="expected"):
        KeywordSlot.make(*arguments)


def test_keyword_text_stops_at_the_first_nul() -> None:
    raw = b"AB\0CD".ljust(16, b"\0") + b"S".ljust(8, b"\0") + b"xy\0z".ljust(16, b"\0")
    raw += bytes(8) + b"new\0old".ljust(80, b"\0")
    slot = KeywordSlot.unpack(raw)
    assert (slot.name_text, slot.decoded, slot.comment_text) == ("AB", "xy", "new")
    assert slot.pack() == raw


def test_keyword_of_unknown_type_has_no_value() -> None:
    with pytest.raises(ValueError, match="keyword type"):
        _ = KeywordSlot(b"KEY", "X").decoded


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pixels", bytes(127)),
        ("semctrl", [0, 0]),
        ("semaphores", [bytes(31)] * 3),
        ("cntarray", [1]),
        ("ring_slots", [bytes(128)]),
        ("wCBindex", 1),
        ("lastNbArray", [0] * 512),
        ("cnt0", -1),
        ("atime", (0, 2**63)),
    ],
)
def test_encode_refuses_what_it_cannot_place(field: str, value: Any) -> None:
    stream = fmt.fresh("base", [8, 4], 9, nbkw=4, nbsem=3)
    with pytest.raises(fmt.FormatError):
        fmt.encode(dataclasses.replace(stream, **{field: value}))
