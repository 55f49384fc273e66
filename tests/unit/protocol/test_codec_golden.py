"""The pure Python codec against the golden files."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
import pytest

from support import golden
from support import isio_format as fmt
from support.isio_format import KeywordSlot, StreamFile


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def tuples(times: list[list[int]]) -> list[tuple[int, ...]]:
    return [tuple(time) for time in times]


def manifest_text(raw: bytes) -> str:
    """Decode stored text the way the manifest does."""
    return raw.split(b"\0", 1)[0].decode("latin-1")


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
