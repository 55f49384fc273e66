"""The pure Python codec against the golden files, against bad files and against itself."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import math
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import golden
import isio_format as fmt
from isio_format import KeywordSlot, StreamFile

NAMES = [entry["name"] for entry in golden.entries()]


@pytest.fixture(params=NAMES)
def entry(request: pytest.FixtureRequest) -> dict[str, Any]:
    return golden.entry(request.param)


@pytest.fixture
def raw(entry: dict[str, Any]) -> bytes:
    return golden.path(entry["name"]).read_bytes()


@pytest.fixture
def stream(raw: bytes) -> StreamFile:
    return fmt.decode(raw)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def tuples(times: list[list[int]]) -> list[tuple[int, ...]]:
    return [tuple(time) for time in times]


def manifest_text(raw: bytes) -> str:
    """Decode stored text the way the manifest does."""
    return raw.split(b"\0", 1)[0].decode("latin-1")


# --- golden files ------------------------------------------------------------------------------


def test_every_golden_file_has_an_entry() -> None:
    found = sorted(path.name for path in golden.GOLDEN_DIR.glob("*.im.shm"))
    assert found == sorted(entry["file"] for entry in golden.entries())
    assert len(found) == 29


def test_unknown_golden_name() -> None:
    with pytest.raises(KeyError):
        golden.entry("no such stream")


def test_file_is_intact(entry: dict[str, Any], raw: bytes) -> None:
    assert len(raw) == entry["file_size"]
    assert sha256(raw) == entry["file_sha256"]


def test_metadata(entry: dict[str, Any], stream: StreamFile) -> None:
    expected = dict(entry["metadata"])
    expected["cudaMemHandle"] = bytes.fromhex(expected["cudaMemHandle"])
    for name in ("creationtime", "lastaccesstime", "atime", "writetime"):
        expected[name] = tuple(expected[name])
    assert stream.layout == "default"
    assert set(expected) == set(fmt.OFFSETS["default"])
    assert {name: getattr(stream, name) for name in expected} == expected


def test_sections(entry: dict[str, Any], stream: StreamFile) -> None:
    expected = {name: tuple(section.values()) for name, section in entry["sections"].items()}
    assert all(list(s) == ["offset", "size", "stored_size"] for s in entry["sections"].values())
    md = entry["metadata"]
    options = {
        "nbkw": md["NBkw"],
        "nbsem": md["sem"],
        "nbproctrace": md["NBproctrace"],
        "imagetype": md["imagetype"],
        "cbsize": md["CBsize"],
        "location": md["location"],
    }
    size = md["size"][: md["naxis"]]
    table = fmt.section_table(size, md["datatype"], **options)
    assert table == expected
    assert list(table) == list(expected)
    assert stream.sections() == table
    assert fmt.file_size(size, md["datatype"], **options) == entry["file_size"]


def check_keyword(slot: KeywordSlot, expected: dict[str, Any]) -> None:
    assert slot.name.ljust(16, b"\0").hex() == expected["name_hex"]
    assert manifest_text(slot.name) == expected["name"]
    assert slot.type == expected["type"]
    assert slot.value.hex() == expected["value_hex"]
    assert slot.cnt == expected["cnt"]
    assert slot.comment.split(b"\0", 1)[0].hex() == expected["comment_hex"]
    assert manifest_text(slot.comment) == expected["comment"]
    assert (len(slot.name) == 16) == expected.get("name_fills_all_16_bytes", False)
    assert (len(slot.comment) == 80) == expected.get("comment_fills_all_80_bytes", False)
    if expected.get("value_fills_all_16_bytes"):
        assert b"\0" not in slot.value

    value = slot.decoded
    if slot.type == "S":
        assert value.encode("utf-8", "surrogateescape").decode("latin-1") == expected["value"]
    elif expected["value"] in ("inf", "nan"):
        assert type(value) is float
        assert repr(value) == expected["value"]
    else:
        # repr tells -0.0 from 0.0 and an int from a float.
        assert repr(value) == repr(expected["value"])


def test_keywords(entry: dict[str, Any], stream: StreamFile) -> None:
    expected = entry["keywords"]
    used = stream.used_keywords()
    assert len(used) == expected["used"] == len(expected["list"])
    assert [item["index"] for item in expected["list"]] == list(range(len(used)))
    for slot, item in zip(used, expected["list"], strict=True):
        check_keyword(slot, item)

    end = expected["terminator_slot"]
    if end is None:
        assert len(used) == stream.NBkw
    else:
        assert end["index"] == len(used)
        slot = stream.keyword_slots[end["index"]]
        assert slot == KeywordSlot(type=bytes.fromhex(end["type_hex"]).decode("latin-1"))

    stale = {item["index"]: item for item in expected["slots_beyond_terminator_with_content"]}
    for index, item in stale.items():
        check_keyword(stream.keyword_slots[index], item)
    for index, slot in enumerate(stream.keyword_slots[len(used) + 1 :], len(used) + 1):
        if index not in stale:
            assert slot in (KeywordSlot(), KeywordSlot(type="\0"))


def test_stale_keyword_slots_follow_the_end() -> None:
    slots = fmt.decode(golden.path("ga_kw_stale").read_bytes()).keyword_slots
    assert [slot.name_text for slot in slots[:6]] == ["NEW0", "NEW1", "NEW2", "", "OLD4", "OLD5"]
    assert "".join(slot.type for slot in slots) == "LDS\0LL\0NNN"


def test_keyword_leftovers_in_the_value_union() -> None:
    slot = fmt.decode(golden.path("ga_f64_atime").read_bytes()).keyword_slots[0]
    assert slot.decoded == math.pi
    assert slot.value[8:] == b"OLDBYTES"


def test_semaphores(entry: dict[str, Any], stream: StreamFile) -> None:
    expected = entry["semaphores"]
    assert stream.sem_values == expected["values"]
    assert stream.semlog_value == expected["semlog_value"]
    for name in ("semReadPID", "semWritePID", "semctrl", "semstatus"):
        assert getattr(stream, name) == expected[name]
    # Nobody was waiting, and only semlog was never initialised as process-shared.
    assert stream.semaphores == [fmt.semaphore_word(value) for value in expected["values"]]
    assert stream.semlog == fmt.semaphore_word(expected["semlog_value"], pshared=False)


def test_trace(entry: dict[str, Any], stream: StreamFile) -> None:
    expected = [fmt.empty_trace_entry() for _ in range(10)]
    for item in entry["streamproctrace_nondefault"]:
        times = {key: tuple(item[key]) for key in ("ts_procstart", "ts_streamupdate")}
        expected[item["index"]] = {k: v for k, v in item.items() if k != "index"} | times
    assert stream.trace == expected


def test_pixels(entry: dict[str, Any], stream: StreamFile) -> None:
    expected = golden.expected_array(entry)
    if expected is None:
        assert (stream.location, stream.pixels) == (0, b"")
        with pytest.raises(ValueError, match="GPU 0"):
            stream.array()
        return
    facts = entry["array"]
    array = stream.array()
    assert sha256(stream.pixels) == facts["sha256"]
    assert len(stream.pixels) == facts["nbytes"]
    assert array.dtype == expected.dtype == np.dtype(facts["numpy_dtype"])
    assert array.shape == expected.shape == tuple(reversed(facts["shape_x_y_z"]))
    assert expected.tobytes() == stream.pixels
    assert array.tobytes() == stream.pixels


def test_first_axis_is_the_fastest() -> None:
    stream = fmt.decode(golden.path("ga_i16_cube").read_bytes())
    assert stream.size == [4, 3, 2]
    x, y, z = 3, 1, 1
    assert stream.array()[z, y, x] == (x + 4 * (y + 3 * z)) * 100 - 2400


def test_ring(entry: dict[str, Any], stream: StreamFile) -> None:
    expected = entry["circular_buffer"]
    if expected is None:
        assert stream.ring_slots == stream.ring_records == []
        assert stream.CBsize == 0
        return
    assert stream.CBsize == expected["CBsize"] == len(expected["slots"])
    assert (stream.CBindex, stream.CBcycle) == (expected["CBindex"], expected["CBcycle"])
    assert {len(slot) for slot in stream.ring_slots} == {expected["slot_stride"]}
    assert expected["CircBuff_md_all_zero"]
    assert stream.ring_records == [fmt.empty_ring_record()] * stream.CBsize
    for k, item in enumerate(expected["slots"]):
        assert item["slot"] == k
        assert sha256(stream.ring_slots[k]) == item["sha256"]
        assert golden.expected_slot(entry, k).tobytes() == stream.ring_slots[k]
        assert stream.slot_array(k).shape == stream.shape
    # Counting updates from 1 and starting with slot 1, the newest one sits at CBindex.
    updates = stream.CBcycle * stream.CBsize + stream.CBindex
    assert expected["slots"][stream.CBindex]["update_number"] == updates


def test_slice_arrays(entry: dict[str, Any], stream: StreamFile) -> None:
    expected = entry["temporal"]
    if expected is None:
        assert stream.atimearray == stream.writetimearray == stream.cntarray == []
        return
    assert stream.size[2] == expected["depth"]
    assert stream.cnt1 == expected["last_slice_cnt1"]
    assert stream.cntarray == expected["cntarray"]
    assert stream.atimearray == tuples(expected["atimearray"])
    assert stream.writetimearray == tuples(expected["writetimearray"])


def test_encode_gives_the_golden_file_back(raw: bytes, stream: StreamFile) -> None:
    assert fmt.encode(stream) == raw
    assert fmt.decode(fmt.encode(stream)) == stream


def test_decode_takes_any_bytes_like(raw: bytes, stream: StreamFile) -> None:
    assert fmt.decode(bytearray(raw)) == fmt.decode(memoryview(raw)) == stream


@pytest.mark.parametrize("name", ["ga_u8_empty", "ga_gpu"])
def test_fresh_matches_a_stream_the_library_just_created(name: str) -> None:
    md = golden.entry(name)["metadata"]
    stream = fmt.fresh(
        name,
        md["size"][: md["naxis"]],
        md["datatype"],
        nbkw=md["NBkw"],
        nbsem=md["sem"],
        location=md["location"],
        creationtime=tuple(md["creationtime"]),
        lastaccesstime=tuple(md["lastaccesstime"]),
        creatorPID=md["creatorPID"],
        inode=md["inode"],
    )
    stream.cuda_handle = bytes.fromhex(md["cudaMemHandle"])
    assert fmt.encode(stream) == golden.path(name).read_bytes()


def test_fresh_and_make_rebuild_the_full_keyword_table() -> None:
    golden_entry = golden.entry("ga_kw50_full")
    md = golden_entry["metadata"]
    stream = fmt.fresh(
        "ga_kw50_full",
        [1],
        1,
        nbsem=1,
        creationtime=tuple(md["creationtime"]),
        lastaccesstime=tuple(md["lastaccesstime"]),
        creatorPID=md["creatorPID"],
        inode=md["inode"],
    )
    for item in golden_entry["keywords"]["list"]:
        value = item["value"]
        if item["type"] == "S":
            value = value.encode("latin-1")
        elif item["type"] == "D":
            value = float(value)
        name, comment = bytes.fromhex(item["name_hex"]), bytes.fromhex(item["comment_hex"])
        if item["type"] == "N":
            slot = KeywordSlot(name.rstrip(b"\0"), comment=comment)
        else:
            slot = KeywordSlot.make(name, value, comment, item["cnt"])
        stream.keyword_slots[item["index"]] = slot
    assert fmt.encode(stream) == golden.path("ga_kw50_full").read_bytes()


# --- layouts -----------------------------------------------------------------------------------


def filled(layout: str, location: int = -1) -> StreamFile:
    """Make a stream in which no field has its initial value or that of a neighbour."""
    counter = itertools.count(1)

    def number() -> int:
        return 0x0101010101010101 * (next(counter) % 127 + 1)

    def short() -> int:
        return number() & 0x7F7F7F7F

    def time() -> tuple[int, int]:
        return number(), number()

    def chunk(nbytes: int) -> bytes:
        return bytes(next(counter) % 255 + 1 for _ in range(nbytes))

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
    stream.trace = [
        {
            "triggermode": short(),
            "procwrite_PID": short(),
            "trigger_inode": number(),
            "ts_procstart": time(),
            "ts_streamupdate": time(),
            "trigsemindex": short(),
            "triggerstatus": short(),
            "cnt0": number(),
        }
        for _ in range(10)
    ]
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


# --- bad files ---------------------------------------------------------------------------------


def base(**options: Any) -> bytearray:
    data = bytearray(fmt.encode(fmt.fresh("base", [8, 4], 9, **{"nbkw": 4, "nbsem": 3} | options)))
    return data


def patched(nbytes: int | None = None, /, **fields: Any) -> bytearray:
    """Return the base file with fields replaced and everything from ``nbytes`` on cut off."""
    data = base()
    for name, value in fields.items():
        fmt.patch(data, name, value)
    return data[:nbytes]


def wrapped_size(imdatamemsize: int) -> int:
    """File size that a reader adding up in 64-bit arithmetic would expect of the base file."""
    return (1856 - 128 + imdatamemsize) % 2**64


def test_base_file() -> None:
    assert len(base()) == 1856
    fmt.decode(base())


BAD_FILES: list[tuple[str, str, Callable[[], bytearray]]] = [
    ("empty", "file size", lambda: bytearray()),
    ("half the metadata", "file size", lambda: base()[:383]),
    ("metadata only", "file size", lambda: base()[:384]),
    ("metadata and one byte", "file size", lambda: base()[:385]),
    ("8 bytes short", "file size", lambda: base()[:-8]),
    ("1 byte short", "file size", lambda: base()[:-1]),
    ("1 byte long", "file size", lambda: base() + b"\0"),
    ("8 bytes long", "file size", lambda: base() + bytes(8)),
    ("all zero", "version", lambda: bytearray(1856)),
    ("version empty", "version", lambda: patched(version="")),
    ("version 1.99", "version", lambda: patched(version="1.99")),
    ("version 20", "version", lambda: patched(version="20")),
    ("name empty", "name", lambda: patched(name="")),
    ("name starts with NUL", "name", lambda: patched(name=b"\0base")),
    ("naxis 0", "naxis", lambda: patched(naxis=0)),
    ("naxis 7", "naxis", lambda: patched(naxis=7)),
    ("naxis 3, size[2] 0", "size", lambda: patched(naxis=3)),
    ("naxis 1, size[1] used", "size", lambda: patched(naxis=1, nelement=8)),
    ("size[0] 0", "size", lambda: patched(size=(0, 4, 0))),
    ("datatype 0", "datatype", lambda: patched(datatype=0)),
    ("datatype 14", "datatype", lambda: patched(datatype=14)),
    ("datatype 20", "datatype", lambda: patched(datatype=20)),
    ("datatype 99", "datatype", lambda: patched(datatype=99)),
    ("location -2", "location", lambda: patched(location=-2)),
    ("shared 0", "shared", lambda: patched(shared=0)),
    ("shared 2", "shared", lambda: patched(shared=2)),
    ("sem 60000", "file size", lambda: patched(sem=60_000)),
    ("sem 0", "file size", lambda: patched(sem=0)),
    ("NBkw 65535", "file size", lambda: patched(NBkw=65_535)),
    ("NBproctrace 65535", "file size", lambda: patched(NBproctrace=65_535)),
    ("CBsize 4e9", "file size", lambda: patched(CBsize=4_000_000_000)),
    ("location 0, array there", "file size", lambda: patched(location=0)),
    ("nelement 10000000001", "nelement", lambda: patched(nelement=10_000_000_001)),
    ("nelement 1e9", "nelement", lambda: patched(nelement=1_000_000_000)),
    (
        "more elements than allowed",
        "nelement",
        lambda: patched(size=(10_000_000, 1001, 0), nelement=10_010_000_000),
    ),
    ("size[0] 4e9", "nelement", lambda: patched(size=(4_000_000_000, 4, 0))),
    ("size[2] 1000", "nelement", lambda: patched(naxis=3, size=(8, 4, 1000))),
    (
        "axes 2^22, product wraps to 0",
        "nelement",
        lambda: patched(naxis=3, size=(2**22, 2**22, 2**22), nelement=0, imdatamemsize=0),
    ),
    ("datatype 12 on float data", "imdatamemsize", lambda: patched(datatype=12)),
    (
        "imdatamemsize + 2^32",
        "imdatamemsize",
        lambda: patched(imdatamemsize=128 + 2**32),
    ),
    (
        "imdatamemsize 2^64-384",
        "imdatamemsize",
        lambda: patched(wrapped_size(2**64 - 384), imdatamemsize=2**64 - 384),
    ),
    (
        "imdatamemsize 2^64-8",
        "imdatamemsize",
        lambda: patched(wrapped_size(2**64 - 8), imdatamemsize=2**64 - 8),
    ),
    (
        "imdatamemsize 0, NBkw 5",
        "imdatamemsize",
        lambda: patched(imdatamemsize=0, NBkw=5),
    ),
    ("circular without axis code on 2D", "imagetype", lambda: patched(imagetype=1)),
]


@pytest.mark.parametrize(
    ("field", "make"),
    [pytest.param(field, make, id=label) for label, field, make in BAD_FILES],
)
def test_decode_rejects(field: str, make: Callable[[], bytearray]) -> None:
    with pytest.raises(ValueError, match=f"^{field}: expected .*, found ") as caught:
        fmt.decode(make())
    assert isinstance(caught.value, fmt.FormatError)
    assert caught.value.field == field


def test_decode_rejects_slice_arrays_without_room() -> None:
    data = bytearray(fmt.encode(fmt.fresh("cube", [8, 4, 2], 9, imagetype=2)))
    fmt.patch(data, "imagetype", 0x20001)
    with pytest.raises(fmt.FormatError, match="file size"):
        fmt.decode(data)


@pytest.mark.parametrize("index", [2, 2**32 - 1])
def test_decode_rejects_ring_index_out_of_range(index: int) -> None:
    data = base(cbsize=2)
    fmt.patch(data, "CBindex", index)
    with pytest.raises(
        fmt.FormatError, match=f"^CBindex: expected less than CBsize 2, found {index}$"
    ):
        fmt.decode(data)


@pytest.mark.parametrize("offset", [113, 137, 225, 242, 257, 262, 289, 300, 384 + 128 + 17])
def test_decode_rejects_content_in_padding(offset: int) -> None:
    data = base()
    data[offset] = 1
    with pytest.raises(
        fmt.FormatError, match=f"^padding: expected byte 0 at offset {offset}, found 1$"
    ):
        fmt.decode(data)
    assert fmt.decode(data, check_padding=False) == fmt.decode(base())


@pytest.mark.parametrize("layout", fmt.LAYOUTS)
def test_decode_rejects_wrong_size_in_every_layout(layout: str) -> None:
    data = base(layout=layout)
    with pytest.raises(fmt.FormatError, match="file size"):
        fmt.decode(data + bytes(8))
    fmt.patch(data, "imdatamemsize", 136, layout)
    with pytest.raises(fmt.FormatError, match="imdatamemsize"):
        fmt.decode(data)


def test_decode_accepts_array_cut_out_for_a_gpu() -> None:
    data = patched(location=0)
    del data[384 : 384 + 128]
    stream = fmt.decode(data)
    assert (stream.location, stream.pixels, stream.imdatamemsize) == (0, b"", 128)


def test_decode_accepts_temporal_ring_without_third_axis() -> None:
    # The C library creates such streams; their per-slice arrays have no elements.
    stream = fmt.decode(patched(imagetype=0x20001))
    assert stream.atimearray == stream.writetimearray == stream.cntarray == []


def test_decode_keeps_slice_index_out_of_range() -> None:
    # Existing writers count frames in cnt1 without ever wrapping it, also on ring cubes.
    stream = fmt.fresh("cube", [8, 4, 4], 9, imagetype=0x20001)
    stream.cnt1 = 2**32 + 1
    assert fmt.decode(fmt.encode(stream)).cnt1 == 2**32 + 1
