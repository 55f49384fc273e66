"""Streams made by pymilk along the recipes of the golden files, compared byte for byte.

Not compared are the values that belong to one run: PIDs, inode and times are checked for what they
must be here and then replaced by those of the golden file. The ring records, which the reference
reserves and never writes, are checked for what pymilk stores in them.
"""

from __future__ import annotations

import dataclasses
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk._core import Keyword, Reader, Stream
from support import golden
from support import isio_format as fmt
from support.isio_format import StreamFile

Entry = dict[str, Any]
Writer = Callable[[Stream, Entry], Reader | None]

C_LIBRARY = "C library"


def in_ns(stamp: list[int]) -> int:
    return stamp[0] * 1_000_000_000 + stamp[1]


def text(raw_hex: str) -> str:
    raw = bytes.fromhex(raw_hex).split(b"\0", 1)[0]
    return raw.decode("utf-8", "surrogateescape")


def create(make_stream: Callable[..., Stream], entry: Entry) -> Stream:
    md = entry["metadata"]
    return make_stream(
        entry["name"],
        tuple(md["size"][: md["naxis"]][::-1]),
        fmt.DATATYPES[md["datatype"]],
        nbkw=md["NBkw"],
        nbsem=md["sem"],
        imagetype=md["imagetype"],
        cb_size=md["CBsize"],
        location=md["location"],
    )


def frame_number(entry: Entry, k: int) -> np.ndarray:
    """Evaluate the recipe of the pixels for frame ``k``."""
    recipe = {**entry["array"]["recipe"], "k": k}
    frame = golden.expected_array({**entry, "array": {**entry["array"], "recipe": recipe}})
    assert frame is not None
    return frame


def slice_number(entry: Entry, k: int) -> np.ndarray:
    """Evaluate the recipe of a cube of slices for the slice with frame ``k``."""
    depth = entry["metadata"]["size"][2]
    recipe = {**entry["array"]["recipe"], "slice_frame_k": [k] * depth}
    cube = golden.expected_array({**entry, "array": {**entry["array"], "recipe": recipe}})
    assert cube is not None
    return cube[0]


def keywords(entry: Entry) -> list[Keyword]:
    """Turn the keywords of the manifest into what a user would write."""
    result = []
    for item in entry["keywords"]["list"]:
        value = {
            "L": lambda item: item["value"],
            "D": lambda item: float(item["value"]),
            "S": lambda item: text(item["value_hex"]),
            "N": lambda item: None,
        }[item["type"]](item)
        result.append(
            Keyword(text(item["name_hex"]), value, text(item["comment_hex"]), item["cnt"])
        )
    return result


# --- recipes -----------------------------------------------------------------------------------


def write_as_c_library(stream: Stream, entry: Entry) -> None:
    """Keywords, then frames 1 to cnt0, each with the formula of the manifest."""
    stream.write_keywords(keywords(entry))
    for k in range(1, entry["metadata"]["cnt0"] + 1):
        stream.publish(frame_number(entry, k))


def write_as_wrapper(stream: Stream, entry: Entry) -> None:
    """The creating call writes its buffer as frame 1, which has k = 0; cnt1 follows cnt0."""
    for k in range(entry["metadata"]["cnt0"]):
        stream.publish(frame_number(entry, k))
        stream.cnt1 = k + 1


def take_posts(stream: Stream, entry: Entry) -> None:
    write_as_c_library(stream, entry)
    assert stream.sem_try_wait(1)
    assert stream.sem_try_wait(1)


def end_list_with_zeros(stream: Stream, index: int) -> None:
    """The wrapper ends a list with an all-zero slot, pymilk leaves one that was never used."""
    slots = stream.section("keywords", writable=True)
    slots[index] = np.zeros((), slots.dtype)


def wrapper_keywords(stream: Stream, entry: Entry) -> None:
    write_as_wrapper(stream, entry)
    stream.write_keywords(keywords(entry))
    end_list_with_zeros(stream, 3)


def wrapper_replaces_keywords(stream: Stream, entry: Entry) -> None:
    write_as_wrapper(stream, entry)
    stream.write_keywords([Keyword(f"OLD{i}", i, cnt=0) for i in range(6)])
    end_list_with_zeros(stream, 6)
    stream.write_keywords(keywords(entry))


def given_time_and_old_text(stream: Stream, entry: Entry) -> None:
    (keyword,) = keywords(entry)
    stream.write_keywords([keyword._replace(value="????????OLDBYTES")])
    stream.update_keyword("PI", keyword.value)
    assert stream.read_keywords()[0].cnt == 1
    stream.section("keywords", writable=True)["cnt"] = 0  # the reference does not count
    stream.publish(frame_number(entry, 1), atime_ns=in_ns(entry["notes"]["atime_set_by_caller"]))


def write_slices(stream: Stream, entry: Entry) -> None:
    times = dict(zip(entry["temporal"]["cntarray"], entry["temporal"]["atimearray"], strict=True))
    for k in range(1, entry["metadata"]["cnt0"] + 1):
        # Slices that were overwritten have left no time behind.
        atime_ns = in_ns(times[k]) if k in times else k
        assert stream.publish(slice_number(entry, k), atime_ns=atime_ns) == k


def write_trace(stream: Stream, entry: Entry) -> None:
    write_as_c_library(stream, entry)
    trace = stream.section("trace", writable=True)
    for item in entry["streamproctrace_nondefault"]:
        for field in set(item) - {"index"}:
            trace[item["index"]][field] = tuple(item[field]) if "ts_" in field else item[field]


def use_semaphores(stream: Stream, entry: Entry) -> Reader:
    # The reference claims the slot that it prefers, pymilk the first one that is free.
    first, second, third = (stream.reader() for _ in range(3))
    for reader in (first, second, third):
        assert reader.flush() == 0
    assert third.sem_index == 2
    first.close()
    second.close()
    for _ in range(3):
        stream.post(4)
    for name in ("semctrl", "semstatus"):
        stream.section(name, writable=True)[:] = entry["semaphores"][name]
    md = entry["metadata"]
    stream.cnt2, stream.status, stream.owner_pid = md["cnt2"], md["status"], md["ownerPID"]
    stream.flag, stream.logflag = md["flag"], md["logflag"]
    return third  # it gives its semaphore back when it is collected


def write_on_gpu(stream: Stream, entry: Entry) -> None:
    stream.cuda_handle = bytes.fromhex(entry["metadata"]["cudaMemHandle"])


def write_cube_and_slice(stream: Stream, entry: Entry) -> None:
    write_as_c_library(stream, entry)
    stream.cnt1 = entry["metadata"]["cnt1"]


def write_beside_the_ring(stream: Stream, entry: Entry) -> None:
    """Four frames of the wrapper's write(), which leaves the ring alone, two of its update().

    Every frame that pymilk counts goes to the ring, so that the counter of the other four is
    written into the file from outside.
    """
    for k in (1, 3):
        stream.publish(frame_number(entry, k))
    for _ in range(4):
        stream.post()
    stream.cnt1 = 4
    with open(stream.path, "r+b") as file:
        file.seek(fmt.OFFSETS["default"]["cnt0"])
        file.write(struct.pack("<Q", entry["metadata"]["cnt0"]))
    assert stream.counter == 6


RECIPES: dict[str, Writer] = {
    "ga_u16_sem3": take_posts,
    "ga_i64_py_kw50": wrapper_keywords,
    "ga_kw_stale": wrapper_replaces_keywords,
    "ga_f64_atime": given_time_and_old_text,
    "ga_temporal": write_slices,
    "ga_temporal_cb": write_slices,
    "ga_trace": write_trace,
    "ga_semslots": use_semaphores,
    "ga_gpu": write_on_gpu,
    "ga_circ_noaxis": write_cube_and_slice,
    "ga_py_cb5": write_beside_the_ring,
}


def recipe_of(entry: Entry) -> Writer:
    usual = write_as_c_library if entry["written_with"] == C_LIBRARY else write_as_wrapper
    return RECIPES.get(entry["name"], usual)


# --- comparison --------------------------------------------------------------------------------


def is_set(stamp: tuple[int, int]) -> bool:
    return stamp != (0, 0)


def check_ring_records(made: StreamFile, entry: Entry) -> None:
    """Each record tells the slot, the counter and the times of the frame that is in the slot."""
    slots = entry["circular_buffer"]["slots"] if entry["circular_buffer"] else []
    for record, item in zip(made.ring_records, slots, strict=True):
        if item["update_number"] is None:
            assert record == fmt.empty_ring_record()
            continue
        assert record["cnt0"] == item["update_number"]
        assert record["cnt1"] == item["slot"]
        assert is_set(record["writetime"])
        if entry["temporal"]:
            assert record["atime"] == made.atimearray[record["cnt0"]]
            assert record["writetime"] == made.writetimearray[record["cnt0"]]
        else:
            assert record["atime"] == record["writetime"]
    filled = sorted((r for r in made.ring_records if r["cnt0"]), key=lambda r: r["cnt0"])
    assert [r["writetime"] for r in filled] == sorted(r["writetime"] for r in filled)
    if filled:
        assert (filled[-1]["atime"], filled[-1]["writetime"]) == (made.atime, made.writetime)


def check_times(made: StreamFile, reference: StreamFile, entry: Entry) -> None:
    assert is_set(made.lastaccesstime)
    assert made.lastaccesstime <= made.creationtime
    published = made.cnt0 > 0
    assert is_set(made.writetime) == published
    assert made.writetime >= made.creationtime or not published
    if reference.atime == reference.writetime:
        assert made.atime == made.writetime
    else:
        # Given by the writer.
        assert made.atime == reference.atime
    assert made.atimearray == reference.atimearray
    assert [is_set(t) for t in made.writetimearray] == [is_set(t) for t in reference.writetimearray]
    if made.writetimearray:
        assert made.writetimearray[made.cnt1] == made.writetime


def as_if_of_one_run(made: StreamFile, reference: StreamFile, stream: Stream) -> StreamFile:
    """Check the PIDs and the inode and replace them, and the times, by those of the golden file."""
    pid, writer = os.getpid(), reference.creatorPID
    assert made.creatorPID == pid
    assert made.inode == os.stat(stream.path).st_ino
    return dataclasses.replace(
        made,
        creatorPID=writer,
        inode=reference.inode,
        semReadPID=[writer if owner == pid else owner for owner in made.semReadPID],
        semWritePID=[writer if poster == pid else poster for poster in made.semWritePID],
        creationtime=reference.creationtime,
        lastaccesstime=reference.lastaccesstime,
        atime=reference.atime,
        writetime=reference.writetime,
        writetimearray=reference.writetimearray,
        ring_records=reference.ring_records,
    )


def differences(made: StreamFile, reference: StreamFile) -> dict[str, tuple[Any, Any]]:
    """Return the fields that differ: what pymilk stored, what the reference did."""
    return {
        field.name: (getattr(made, field.name), getattr(reference, field.name))
        for field in dataclasses.fields(StreamFile)
        if getattr(made, field.name) != getattr(reference, field.name)
    }


def check_against_golden(stream: Stream, entry: Entry) -> None:
    raw = golden.path(entry["name"]).read_bytes()
    reference = fmt.decode(raw)
    # Decoding refuses content in bytes that belong to no field: equal fields are equal files.
    made = fmt.decode(Path(stream.path).read_bytes())
    check_times(made, reference, entry)
    check_ring_records(made, entry)
    made = as_if_of_one_run(made, reference, stream)
    assert differences(made, reference) == {}
    assert fmt.encode(made) == raw


@pytest.mark.parametrize(
    "name", [entry["name"] for entry in golden.entries() if entry["name"] != "ga_midwrite"]
)
def test_same_file_as_the_reference(name: str, make_stream: Callable[..., Stream]) -> None:
    entry = golden.entry(name)
    stream = create(make_stream, entry)
    reader = recipe_of(entry)(stream, entry)
    check_against_golden(stream, entry)
    assert (reader is not None) == (name == "ga_semslots")


def test_same_file_in_the_middle_of_a_write(make_stream: Callable[..., Stream]) -> None:
    entry = golden.entry("ga_midwrite")
    stream = create(make_stream, entry)
    for _ in range(2):
        stream.publish(np.zeros(stream.shape, stream.dtype))
    with stream.claim() as frame:
        frame[:] = golden.expected_array(entry)
        check_against_golden(stream, entry)
    assert (stream.counter, stream.write) == (3, 0)


@pytest.mark.parametrize("name", ["ga_f32_cb5", "ga_cb_odd", "ga_cb1"])
def test_every_way_to_publish_fills_the_ring_alike(
    name: str, make_stream: Callable[..., Stream]
) -> None:
    entry = golden.entry(name)
    frames = [frame_number(entry, k) for k in range(1, entry["metadata"]["cnt0"] + 1)]
    stream = create(make_stream, entry)
    stream.write_keywords(keywords(entry))
    stream.publish(frames[0])
    with stream.claim() as frame:
        frame[...] = frames[1]
    assert stream.publish_many(np.array(frames[2:])) == len(frames)
    check_against_golden(stream, entry)
