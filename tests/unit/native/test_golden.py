"""Streams written by the reference, attached read-only and compared with what they must contain."""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk._core import FLAG_FROM_RING, FLAG_TORN, FLAG_VERIFIED, FRAME_ROW, Stream, read_header
from pymilk.errors import StreamFormatError, StreamTimeoutError
from support import golden
from support import isio_format as fmt

NAMES = [entry["name"] for entry in golden.entries()]
ON_DISK = [entry["name"] for entry in golden.entries() if entry["array"] is not None]

pixels_on_disk = pytest.mark.parametrize("entry", ON_DISK, indirect=True)


@pytest.fixture(params=NAMES)
def entry(request: pytest.FixtureRequest) -> dict[str, Any]:
    return golden.entry(request.param)


@pytest.fixture
def stream(entry: dict[str, Any]) -> Iterator[Stream]:
    """The golden file itself, attached read-only; not a byte and not a time of it may change."""
    path = golden.path(entry["name"])
    before, stat = path.read_bytes(), path.stat()
    with Stream.attach(path, writable=False) as stream:
        yield stream
    assert path.read_bytes() == before
    after = path.stat()
    assert (after.st_mtime_ns, after.st_ino) == (stat.st_mtime_ns, stat.st_ino)
    assert hashlib.sha256(before).hexdigest() == entry["file_sha256"]


def in_ns(stamp: list[int]) -> int:
    return stamp[0] * 1_000_000_000 + stamp[1]


def stamps(section: np.ndarray) -> list[list[int]]:
    return [[int(item["sec"]), int(item["nsec"])] for item in section]


def text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


# --- metadata ----------------------------------------------------------------------------------


def test_metadata(entry: dict[str, Any], stream: Stream) -> None:
    md = entry["metadata"]
    naxis = md["naxis"]
    expected = {
        "name": entry["name"],
        "path": str(golden.path(entry["name"])),
        "shape": tuple(md["size"][:naxis][::-1]),
        "frame_shape": tuple(md["size"][: naxis - (entry["temporal"] is not None)][::-1]),
        "size": tuple(md["size"][:naxis]),
        "naxis": naxis,
        "nelement": md["nelement"],
        "nbytes": md["imdatamemsize"],
        "file_nbytes": entry["file_size"],
        "datatype": md["datatype"],
        "imagetype": md["imagetype"],
        "temporal": entry["temporal"] is not None,
        "location": md["location"],
        "shared": md["shared"],
        "stored_name": md["name"],
        "version": md["version"],
        "layout": "default",
        "counter": md["cnt0"],
        "cnt1": md["cnt1"],
        "cnt2": md["cnt2"],
        "write": md["write"],
        "status": md["status"],
        "flag": md["flag"],
        "logflag": md["logflag"],
        "inode": md["inode"],
        "creator_pid": md["creatorPID"],
        "owner_pid": md["ownerPID"],
        "nbsem": md["sem"],
        "nbkw": md["NBkw"],
        "nbproctrace": md["NBproctrace"],
        "cb_size": md["CBsize"],
        "cb_index": md["CBindex"],
        "cb_cycle": md["CBcycle"],
        "creation_time_ns": in_ns(md["creationtime"]),
        "last_access_time_ns": in_ns(md["lastaccesstime"]),
        "acquisition_time_ns": in_ns(md["atime"]),
        "write_time_ns": in_ns(md["writetime"]),
        "cuda_handle": bytes.fromhex(md["cudaMemHandle"]),
    }
    assert {name: getattr(stream, name) for name in expected} == expected


def test_dtype(entry: dict[str, Any], stream: Stream) -> None:
    assert stream.dtype == np.dtype(fmt.DATATYPES[entry["metadata"]["datatype"]])
    if entry["array"] is not None:
        assert stream.dtype == np.dtype(entry["array"]["numpy_dtype"])


def test_handle_is_read_only(entry: dict[str, Any], stream: Stream) -> None:
    assert not stream.writable
    assert not stream.closed
    assert stream.note.startswith("read-only as asked")
    assert repr(stream) == (
        f"<Stream {entry['name']!r} shape={stream.shape} dtype={stream.dtype} "
        f"counter={entry['metadata']['cnt0']}, {stream.note}>"
    )


def test_copied_file_is_neither_replaced_nor_deleted(stream: Stream) -> None:
    # Its stored inode is that of the stream it was copied from.
    assert stream.inode != os.stat(stream.path).st_ino
    assert not stream.replaced()
    assert not stream.deleted


def test_read_header(entry: dict[str, Any], stream: Stream) -> None:
    md = entry["metadata"]
    assert read_header(Path(stream.path)) == {
        "name": entry["name"],
        "path": stream.path,
        "version": md["version"],
        "layout": "default",
        "shape": stream.shape,
        "dtype": stream.dtype,
        "imagetype": md["imagetype"],
        "location": md["location"],
        "counter": md["cnt0"],
        "cnt1": md["cnt1"],
        "write": md["write"],
        "nbsem": md["sem"],
        "nbkw": md["NBkw"],
        "cb_size": md["CBsize"],
        "creator_pid": md["creatorPID"],
        "write_time_ns": in_ns(md["writetime"]),
        "creation_time_ns": in_ns(md["creationtime"]),
        "nbytes": entry["file_size"],
        "inode": os.stat(stream.path).st_ino,
    }


# --- keywords ----------------------------------------------------------------------------------


def expected_value(item: dict[str, Any]) -> int | float | str | None:
    raw = bytes.fromhex(item["value_hex"])
    if item["type"] == "L":
        return struct.unpack_from("<q", raw)[0]
    if item["type"] == "D":
        return struct.unpack_from("<d", raw)[0]
    return text(raw) if item["type"] == "S" else None


def test_keywords(entry: dict[str, Any], stream: Stream) -> None:
    expected = entry["keywords"]
    found = stream.read_keywords()
    assert len(found) == expected["used"]
    for keyword, item in zip(found, expected["list"], strict=True):
        value = expected_value(item)
        assert keyword.name == text(bytes.fromhex(item["name_hex"]))
        # repr tells -0.0 from 0.0, an int from a float, and finds a NaN equal to itself.
        assert (type(keyword.value), repr(keyword.value)) == (type(value), repr(value))
        assert keyword.comment == text(bytes.fromhex(item["comment_hex"]))
        assert keyword.cnt == item["cnt"]
        if item["type"] in "LD" and item["value"] not in ("inf", "nan"):
            assert repr(keyword.value) == repr(item["value"])


def test_keyword_slots_as_they_are_stored(entry: dict[str, Any], stream: Stream) -> None:
    expected = entry["keywords"]
    slots = stream.section("keywords")
    assert slots.shape == (entry["metadata"]["NBkw"],)
    assert slots.itemsize == 128
    filled = expected["list"] + expected["slots_beyond_terminator_with_content"]
    for item in filled:
        slot = slots[item["index"]]
        # numpy drops trailing NULs of text, and of nothing else.
        assert slot["name"] == bytes.fromhex(item["name_hex"]).rstrip(b"\0")
        assert slot["type"] == item["type"].encode()
        assert slot["value"].tobytes().hex() == item["value_hex"]
        assert slot["cnt"] == item["cnt"]
        assert slot["comment"] == bytes.fromhex(item["comment_hex"])
    empty = {bytes(128), bytes(16) + b"N" + bytes(111)}
    for index in set(range(len(slots))) - {item["index"] for item in filled}:
        assert slots[index].tobytes() in empty
    end = expected["terminator_slot"]
    if end is None:
        assert expected["used"] == len(slots)
    else:
        assert end["index"] == expected["used"]
        assert slots[end["index"]]["name"] == b""
        assert slots[end["index"]]["type"] == bytes.fromhex(end["type_hex"]).rstrip(b"\0")


def test_keyword_text_that_is_not_utf_8() -> None:
    with Stream.attach(golden.path("ga_kw50_full"), writable=False) as stream:
        keywords = {keyword.name: keyword for keyword in stream.read_keywords()}
    assert keywords["café"].value == "naïve"
    latin1 = keywords["LAT1_\udce9"]
    assert latin1.value == "\udcff\udcfe\udc80"
    assert latin1.comment.startswith("\udcb0C Latin-1")


# --- frames ------------------------------------------------------------------------------------


@pixels_on_disk
def test_view(entry: dict[str, Any], stream: Stream) -> None:
    expected = golden.expected_array(entry)
    assert expected is not None
    frame = stream.view()
    assert (frame.shape, frame.dtype) == (expected.shape, expected.dtype)
    assert frame.flags.c_contiguous
    assert not frame.flags.writeable
    assert frame.tobytes() == expected.tobytes()
    assert hashlib.sha256(frame.tobytes()).hexdigest() == entry["array"]["sha256"]


@pixels_on_disk
def test_copy_frame(entry: dict[str, Any], stream: Stream) -> None:
    out = np.empty(stream.shape, stream.dtype)
    flags = stream.copy_frame(out)
    assert out.tobytes() == golden.expected_array(entry).tobytes()
    # The one file that was copied while its writer was in a frame cannot be trusted.
    in_write = entry["metadata"]["write"] == 1
    assert in_write == (entry["name"] == "ga_midwrite")
    assert flags == (FLAG_TORN if in_write else FLAG_VERIFIED)


@pixels_on_disk
def test_receive(entry: dict[str, Any], stream: Stream) -> None:
    """What there is for a reader that has seen none: the newest frame, or those in the ring."""
    md = entry["metadata"]
    frames, expected = frames_to_be_had(entry)
    out = np.empty((max(1, len(frames)), *stream.frame_shape), stream.dtype)
    info = np.zeros(len(out), FRAME_ROW)
    reader = stream.reader()
    if md["cnt0"] == 0:
        with pytest.raises(StreamTimeoutError) as caught:
            reader.receive(out, info, after=0, timeout=0)
        assert (caught.value.timeout, caught.value.counter) == (0, 0)
        return
    assert reader.receive(out, info, after=0, timeout=0) == len(frames)
    assert [frame.tobytes() for frame in out] == [frame.tobytes() for frame in frames]
    assert [{name: int(row[name]) for name in expected[0]} for row in info] == expected
    assert (reader.last, reader.sem_index) == (md["cnt0"], None)
    with pytest.raises(StreamTimeoutError):
        reader.receive(out, info, after=md["cnt0"], timeout=0)


def frames_to_be_had(entry: dict[str, Any]) -> tuple[list[np.ndarray], list[dict[str, int]]]:
    """The frames that a reader can still get, oldest first, and what their rows say."""
    md, ring, temporal = entry["metadata"], entry["circular_buffer"], entry["temporal"]
    newest_times = (in_ns(md["atime"]), in_ns(md["writetime"]))
    pixels = golden.expected_array(entry)
    if temporal is not None:
        depth, newest = temporal["depth"], temporal["last_slice_cnt1"]
        slots = [(newest + back) % depth for back in range(2 - depth, 1)]
        frames = [pixels[slot] for slot in slots]
        numbers = [temporal["cntarray"][slot] for slot in slots]
        times = [
            (in_ns(temporal["atimearray"][slot]), in_ns(temporal["writetimearray"][slot]))
            for slot in slots
        ]
    elif ring is not None and md["CBsize"] > 1:
        depth = md["CBsize"]
        updates = ring["CBcycle"] * depth + ring["CBindex"]
        held = min(updates, depth - 1)
        slots = [update % depth for update in range(updates - held + 1, updates + 1)]
        frames = [golden.expected_slot(entry, slot) for slot in slots]
        numbers = list(range(md["cnt0"] - held + 1, md["cnt0"] + 1))
        # The reference stores no times in the ring: only those of the newest frame are known.
        times = [(0, 0)] * (held - 1) + [newest_times]
    else:
        frames, slots, numbers, times = [pixels], [md["cnt1"]], [md["cnt0"]], [newest_times]
    in_ring = temporal is not None or (ring is not None and md["CBsize"] > 1)
    flags = FLAG_FROM_RING | FLAG_VERIFIED if in_ring else FLAG_VERIFIED
    rows = [
        {
            "cnt0": number,
            "cnt1": slot,
            "lost": number - before - 1,
            "atime_ns": atime,
            "writetime_ns": writetime,
            "flags": FLAG_TORN if md["write"] else flags,
        }
        for number, before, slot, (atime, writetime) in zip(
            numbers, [0, *numbers], slots, times, strict=False
        )
    ]
    return frames, rows


def test_ring(entry: dict[str, Any], stream: Stream) -> None:
    expected = entry["circular_buffer"]
    slots, records = stream.section("ring_slots"), stream.section("ring_records")
    assert slots.shape == (entry["metadata"]["CBsize"], *stream.shape)
    assert slots.dtype == stream.dtype
    assert records.shape == (entry["metadata"]["CBsize"],)
    # The reference reserves the records and never writes one.
    assert not any(records.tobytes())
    if expected is None:
        assert slots.size == 0
        return
    assert (stream.cb_index, stream.cb_cycle) == (expected["CBindex"], expected["CBcycle"])
    for k, item in enumerate(expected["slots"]):
        assert slots[k].tobytes() == golden.expected_slot(entry, k).tobytes()
        assert hashlib.sha256(slots[k].tobytes()).hexdigest() == item["sha256"]
    assert slots[stream.cb_index].tobytes() == stream.view().tobytes()


def test_slices(entry: dict[str, Any], stream: Stream) -> None:
    expected = entry["temporal"]
    names = ("slice_atime", "slice_writetime", "slice_cnt0")
    atime, writetime, cnt0 = (stream.section(name) for name in names)
    if expected is None:
        assert atime.shape == writetime.shape == cnt0.shape == (0,)
        return
    assert stream.temporal
    assert stream.shape[0] == expected["depth"]
    assert stream.cnt1 == expected["last_slice_cnt1"]
    assert stamps(atime) == expected["atimearray"]
    assert stamps(writetime) == expected["writetimearray"]
    assert cnt0.tolist() == expected["cntarray"]


# --- semaphores, trace -------------------------------------------------------------------------


def test_semaphores(entry: dict[str, Any], stream: Stream) -> None:
    expected = entry["semaphores"]
    assert stream.sem_values() == expected["values"]
    assert [stream.sem_value(i) for i in range(stream.nbsem)] == expected["values"]
    assert stream.section("sem_read_pid").tolist() == expected["semReadPID"]
    assert stream.section("sem_write_pid").tolist() == expected["semWritePID"]
    assert stream.section("semctrl").tolist() == expected["semctrl"]
    assert stream.section("semstatus").tolist() == expected["semstatus"]


def test_trace(entry: dict[str, Any], stream: Stream) -> None:
    trace = stream.section("trace")
    assert trace.shape == (10,)
    filled = {item["index"]: item for item in entry["streamproctrace_nondefault"]}
    empty = np.zeros(1, trace.dtype)
    empty["trigsemindex"] = -1
    for index, found in enumerate(trace):
        if index not in filled:
            assert found.tobytes() == empty.tobytes()
            continue
        for field, value in filled[index].items():
            if field.startswith("ts_"):
                assert stamps(found[field].reshape(1)) == [value]
            elif field != "index":
                assert found[field] == value


def test_history_is_absent(stream: Stream) -> None:
    assert stream.section("history").shape == (0,)


# --- GPU ---------------------------------------------------------------------------------------


def test_stream_on_a_gpu() -> None:
    path = golden.path("ga_gpu")
    with Stream.attach(path, writable=False) as stream:
        assert (stream.location, stream.shape, stream.dtype) == (0, (16, 16), np.float32)
        assert stream.nbytes == 1024
        assert stream.cuda_handle == bytes(range(64))
        assert stream.read_keywords() == []
        assert stream.sem_values() == [0, 0, 0]
        out = np.zeros((1, 16, 16), np.float32)
        for access in (
            stream.view,
            lambda: stream.copy_frame(out[0]),
            lambda: stream.receive(out, timeout=0, after=1),
        ):
            with pytest.raises(StreamFormatError, match="pixels are on GPU 0") as caught:
                access()
            assert caught.value.stream == "ga_gpu"
            assert caught.value.field == "location"
            assert (caught.value.expected, caught.value.found) == (-1, 0)
        assert not out.any()
        # Its counter can still be waited for.
        assert stream.wait(timeout=0, after=1) == 0
        with pytest.raises(StreamTimeoutError):
            stream.wait(timeout=0)
