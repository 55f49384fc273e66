"""Random streams: the core and the pure Python codec agree in both directions."""

from __future__ import annotations

import dataclasses
import math
import os
import struct
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pymilk._core import (
    FLAG_FROM_RING,
    FLAG_VERIFIED,
    FRAME_ROW,
    IMAGETYPES,
    Keyword,
    Stream,
    read_header,
)
from support import isio_format as fmt
from support.isio_format import KeywordSlot, StreamFile

#: Enough to meet every layout, dtype and kind of image; the file takes seconds, not minutes.
thorough = settings(max_examples=150, deadline=None, database=None)
quick = settings(thorough, max_examples=60)

U8, U16, U32, U64 = (st.integers(0, 2**bits - 1) for bits in (8, 16, 32, 64))
I32, I64 = (st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (32, 64))

LAYOUTS = st.sampled_from(fmt.LAYOUTS)
DATATYPES = st.sampled_from(sorted(fmt.DATATYPES))
LOCATIONS = st.sampled_from([-1] * 7 + [0, 127])
SHAPES = st.lists(st.integers(1, 5), max_size=3).map(tuple)
VERSIONS = st.one_of(
    st.just("2.00"), st.from_regex(r"2\.[0-9]{2}(\.[0-9a-z]{1,8})?", fullmatch=True)
)
TIMES = st.tuples(I64, st.integers(0, 999_999_999))

TEMPORAL = IMAGETYPES["CIRCULAR_BUFFER"] | IMAGETYPES["ZAXIS_TEMPORAL"]
KINDS = st.one_of(
    st.just(TEMPORAL),
    st.just(IMAGETYPES["MATH_DATA"]),
    st.sets(st.sampled_from(sorted(IMAGETYPES.values()))).map(sum),
    U64,
)


def raw_text(max_nbytes: int, min_nbytes: int = 0) -> st.SearchStrategy[bytes]:
    """Text as writers leave it: UTF-8 or not, often as long as the field, never with a NUL."""
    anything = st.binary(min_size=min_nbytes, max_size=max_nbytes)
    full = st.binary(min_size=max_nbytes, max_size=max_nbytes)
    letters = st.text(
        st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=min_nbytes
    ).map(lambda text: text[:max_nbytes].encode())
    fits = letters.filter(lambda raw: min_nbytes <= len(raw) <= max_nbytes)
    return st.one_of(fits, anything, full).map(lambda raw: raw.replace(b"\0", b"?"))


def as_text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


#: Names that are paths, or that have the suffix of the file already, are other tests' business.
STREAM_NAMES = raw_text(79, 1).filter(
    lambda raw: b"/" not in raw and raw not in (b".", b"..") and not raw.endswith(b".im.shm")
)

KEYWORDS = st.builds(
    lambda name, value, comment, cnt: Keyword(as_text(name), value, as_text(comment), cnt),
    raw_text(16, 1),
    st.one_of(I64, st.floats(), raw_text(16).map(as_text), st.none()),
    raw_text(80),
    U64,
)


@st.composite
def arguments(draw: st.DrawFn) -> dict[str, Any]:
    """What `Stream.create` takes besides the name."""
    shape = draw(SHAPES)
    imagetype = draw(KINDS)
    # Refused by the reference and by pymilk, see the tests of bad arguments.
    assume(imagetype & 0xF000F != IMAGETYPES["CIRCULAR_BUFFER"] or len(shape) == 3)
    return {
        "shape": shape,
        "dtype": fmt.DATATYPES[draw(DATATYPES)],
        "nbkw": draw(st.integers(0, 6)),
        "nbsem": draw(st.integers(0, 12)),
        "imagetype": imagetype,
        "cb_size": draw(st.integers(0, 5)),
        "location": draw(LOCATIONS),
        "version": draw(VERSIONS),
        "layout": draw(LAYOUTS),
    }


def fresh(name: bytes | str, options: dict[str, Any]) -> StreamFile:
    """Describe the same stream to the codec. No axes are stored as one element."""
    codes = {dtype: code for code, dtype in fmt.DATATYPES.items()}
    stream = fmt.fresh(
        name,
        options["shape"][::-1] or [1],
        codes[options["dtype"]],
        nbkw=options["nbkw"],
        nbsem=options["nbsem"],
        imagetype=options["imagetype"],
        cbsize=options["cb_size"],
        layout=options["layout"],
        location=options["location"],
    )
    return dataclasses.replace(stream, version=options["version"])


@st.composite
def files(draw: st.DrawFn) -> StreamFile:
    """A stream file in which any field may hold anything that is not a contradiction."""
    options = draw(arguments())
    stream = fresh(draw(STREAM_NAMES), options)
    nbytes, nbsem = stream.imdatamemsize, stream.sem
    seed = draw(U32)
    noise = np.random.default_rng(seed)

    def words(strategy: st.SearchStrategy[int], count: int) -> list[int]:
        return draw(st.lists(strategy, min_size=count, max_size=count))

    def times(count: int) -> list[tuple[int, int]]:
        return draw(st.lists(TIMES, min_size=count, max_size=count))

    for name in ("creationtime", "lastaccesstime", "atime", "writetime"):
        setattr(stream, name, draw(TIMES))
    for name in ("inode", "flag", "cnt0", "cnt1", "cnt2", "CBcycle"):
        setattr(stream, name, draw(U64))
    for name in ("creatorPID", "ownerPID"):
        setattr(stream, name, draw(I32))
    for name in ("status", "logflag", "write"):
        setattr(stream, name, draw(U8))
    stream.cuda_handle = noise.bytes(64)
    stream.pixels = noise.bytes(len(stream.pixels))
    stream.keyword_slots = [slot_of(keyword) for keyword in draw(keyword_lists(stream.NBkw))]
    stream.keyword_slots += [
        KeywordSlot(type=draw(st.sampled_from("N\0"))) for _ in range(options["nbkw"] - stream.NBkw)
    ]
    stream.semaphores = [fmt.semaphore_word(value) for value in words(st.integers(0, 11), nbsem)]
    stream.semlog = fmt.semaphore_word(draw(st.integers(0, 11)), pshared=False)
    stream.semReadPID, stream.semWritePID = words(I32, nbsem), words(I32, nbsem)
    stream.semctrl, stream.semstatus = words(U32, nbsem), words(U32, nbsem)
    stream.trace[draw(st.integers(0, 9))] = {
        "triggermode": draw(I32),
        "procwrite_PID": draw(I32),
        "trigger_inode": draw(U64),
        "ts_procstart": draw(TIMES),
        "ts_streamupdate": draw(TIMES),
        "trigsemindex": draw(I32),
        "triggerstatus": draw(I32),
        "cnt0": draw(U64),
    }
    depth = len(stream.cntarray)
    stream.atimearray, stream.writetimearray = times(depth), times(depth)
    stream.cntarray = words(U64, depth)
    for record in stream.ring_records:
        record.update(cnt0=draw(U64), cnt1=draw(U64), atime=draw(TIMES), writetime=draw(TIMES))
    stream.ring_slots = [noise.bytes(nbytes) for _ in stream.ring_slots]
    if stream.CBsize:
        stream.CBindex = draw(st.integers(0, stream.CBsize - 1))
    if stream.write_history:
        stream.wCBindex, stream.wCBcycle = draw(st.integers(0, 99)), draw(U64)
        stream.write_history[draw(st.integers(0, 99))] = {
            "cnt0": draw(U64),
            "wpid": draw(I32),
            "writetime": draw(TIMES),
        }
    if stream.lastNbArray:
        stream.lastPos, stream.packetTotal = draw(U32), draw(U32)
        stream.lastNbArray[draw(st.integers(0, 511))] = draw(U64)
    return stream


def keyword_lists(nbkw: int) -> st.SearchStrategy[list[Keyword]]:
    return st.lists(KEYWORDS, max_size=nbkw)


def slot_of(keyword: Keyword) -> KeywordSlot:
    name, comment = (text.encode("utf-8", "surrogateescape") for text in (keyword[0], keyword[2]))
    if keyword.value is None:
        return KeywordSlot(name, cnt=keyword.cnt, comment=comment)
    return KeywordSlot.make(name, keyword.value, comment, keyword.cnt)


def without_leftovers(slot: KeywordSlot) -> KeywordSlot:
    """A number takes 8 of the 16 bytes; an older text may show behind it, and means nothing."""
    if slot.type == "S":
        return slot
    return dataclasses.replace(slot, value=slot.value[:8].ljust(16, b"\0"))


def in_ns(time: tuple[int, int]) -> int:
    """Nanoseconds, in 64 bits like the core: times that make no sense wrap and harm nobody."""
    return (time[0] * 1_000_000_000 + time[1] + 2**63) % 2**64 - 2**63


def stamps(section: np.ndarray) -> list[tuple[int, int]]:
    return [(int(item["sec"]), int(item["nsec"])) for item in section]


def decode(stream: Stream) -> StreamFile:
    return fmt.decode(Path(stream.path).read_bytes())


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """One stream directory for all examples of a test, which replace each other's streams."""
    root = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(prefix="pymilk-test-", dir=root) as path:
        yield Path(path)


@pytest.fixture(scope="module")
def store(folder: Path) -> Callable[[StreamFile], Path]:
    """Write what the codec encodes as a file that can be attached."""

    def write(stream: StreamFile) -> Path:
        path = folder / "stored.im.shm"
        path.write_bytes(fmt.encode(stream))
        return path

    return write


# --- created by the core, read by the codec ----------------------------------------------------


@thorough
@given(name=STREAM_NAMES.filter(lambda raw: all(31 < byte != 127 for byte in raw)), options=arguments())
def test_a_created_stream_is_a_fresh_one(
    folder: Path, name: bytes, options: dict[str, Any]
) -> None:
    path = Path(os.fsdecode(os.fsencode(folder) + b"/" + name + b".im.shm"))
    with Stream.create(path, **options) as stream:
        made = decode(stream)
        expected = dataclasses.replace(
            fresh(name, options),
            creationtime=made.creationtime,
            lastaccesstime=made.lastaccesstime,
            creatorPID=os.getpid(),
            inode=os.stat(path).st_ino,
        )
        assert made == expected
        assert made.creationtime >= made.lastaccesstime > (0, 0)
        assert stream.file_nbytes == path.stat().st_size == len(fmt.encode(expected))
        assert (stream.name, stream.stored_name) == (os.fsdecode(name), as_text(name))
        stream.destroy()


@quick
@given(options=arguments(), data=st.data())
def test_keywords_written_by_the_core(
    folder: Path, options: dict[str, Any], data: st.DataObject
) -> None:
    with Stream.create(folder / "written.im.shm", **options) as stream:
        first, second = (data.draw(keyword_lists(options["nbkw"])) for _ in range(2))
        stream.write_keywords(first)
        used = decode(stream).used_keywords()
        assert used == [slot_of(keyword) for keyword in first]
        # NaN is not equal to itself, its text is.
        assert repr(stream.read_keywords()) == repr(first)

        stream.write_keywords(second)
        used = [without_leftovers(slot) for slot in decode(stream).used_keywords()]
        assert used == [slot_of(keyword) for keyword in second]
        assert repr(stream.read_keywords()) == repr(second)


@quick
@given(old=KEYWORDS, value=st.one_of(I64, st.floats(), raw_text(16).map(as_text)), data=st.data())
def test_keyword_updated_by_the_core(
    folder: Path, old: Keyword, value: float | str, data: st.DataObject
) -> None:
    comment = data.draw(st.one_of(st.none(), raw_text(80).map(as_text)))
    with Stream.create(folder / "updated.im.shm", (2,), "u1", nbkw=2) as stream:
        stream.write_keywords([old])
        stream.update_keyword(old.name, value, comment)
        kept = old.comment if comment is None else comment
        count = old.cnt + 1
        if isinstance(value, str) and len(os.fsencode(value)) == 16:
            count = (count + 255) // 256 * 256  # its low byte ends the text for C programs
        expected = Keyword(old.name, value, kept, count % 2**64)
        assert repr(stream.read_keywords()) == repr([expected])
        (slot,) = decode(stream).used_keywords()
        assert without_leftovers(slot) == slot_of(expected)
        assert isinstance(value, str) or slot.value[8:] == slot_of(old).value[8:]


# --- encoded by the codec, attached by the core ------------------------------------------------


@thorough
@given(expected=files())
def test_every_field_is_read_as_stored(
    store: Callable[[StreamFile], Path], expected: StreamFile
) -> None:
    path = store(expected)
    with Stream.attach(path, writable=False) as stream:
        fields = {
            "stored_name": expected.name,
            "shape": expected.shape,
            "dtype": expected.dtype,
            "cnt1": expected.cnt1,
            "cnt2": expected.cnt2,
            "counter": expected.cnt0,
            "creation_time_ns": in_ns(expected.creationtime),
            "last_access_time_ns": in_ns(expected.lastaccesstime),
            "acquisition_time_ns": in_ns(expected.atime),
            "write_time_ns": in_ns(expected.writetime),
            "creator_pid": expected.creatorPID,
            "owner_pid": expected.ownerPID,
            "nbsem": expected.sem,
            "nbkw": expected.NBkw,
            "nbproctrace": expected.NBproctrace,
            "cb_size": expected.CBsize,
            "cb_index": expected.CBindex,
            "cb_cycle": expected.CBcycle,
            "nbytes": expected.imdatamemsize,
            "file_nbytes": path.stat().st_size,
        }
        same = (
            "version layout naxis nelement datatype imagetype location shared inode status flag"
            " logflag write cuda_handle"
        )
        fields |= {name: getattr(expected, name) for name in same.split()}
        assert {name: getattr(stream, name) for name in fields} == fields
        assert stream.sem_values() == expected.sem_values
        assert stream.section("sem_read_pid").tolist() == expected.semReadPID
        assert stream.section("sem_write_pid").tolist() == expected.semWritePID
        assert stream.section("semctrl").tolist() == expected.semctrl
        assert stream.section("semstatus").tolist() == expected.semstatus
        check_keywords(stream, expected)
        check_trace_and_slices(stream, expected)
        check_frames(stream, expected)
    header = read_header(path)
    assert (header["shape"], header["dtype"]) == (expected.shape, expected.dtype)
    assert (header["layout"], header["nbytes"]) == (expected.layout, path.stat().st_size)
    assert path.read_bytes() == fmt.encode(expected)


def check_keywords(stream: Stream, expected: StreamFile) -> None:
    used = expected.used_keywords()
    assert repr([tuple(keyword) for keyword in stream.read_keywords()]) == repr(
        [(slot.name_text, slot.decoded, slot.comment_text, slot.cnt) for slot in used]
    )
    stored = b"".join(slot.pack() for slot in expected.keyword_slots)
    assert stream.section("keywords").tobytes() == stored


def check_trace_and_slices(stream: Stream, expected: StreamFile) -> None:
    for found, entry in zip(stream.section("trace"), expected.trace, strict=True):
        for field, value in entry.items():
            assert found[field].item() == value
    assert stamps(stream.section("slice_atime")) == expected.atimearray
    assert stamps(stream.section("slice_writetime")) == expected.writetimearray
    assert stream.section("slice_cnt0").tolist() == expected.cntarray
    for found, record in zip(stream.section("history"), expected.write_history, strict=True):
        assert (found["cnt0"], found["wpid"]) == (record["cnt0"], record["wpid"])
        assert found["writetime"].item() == record["writetime"]


def check_frames(stream: Stream, expected: StreamFile) -> None:
    for found, record in zip(stream.section("ring_records"), expected.ring_records, strict=True):
        for field, value in record.items():
            assert found[field].item() == value
    slots = stream.section("ring_slots")
    assert slots.shape == (expected.CBsize, *expected.shape)
    assert slots.tobytes() == b"".join(expected.ring_slots)
    if expected.location == -1:
        assert stream.view().tobytes() == expected.pixels
        assert stream.view().shape == expected.shape


@quick
@given(expected=files(), extra=st.integers(-16, 16).filter(bool))
def test_a_file_of_another_size_is_refused(
    store: Callable[[StreamFile], Path], expected: StreamFile, extra: int
) -> None:
    path = store(expected)
    nbytes = path.stat().st_size
    os.truncate(path, nbytes + extra)
    with pytest.raises(ValueError, match=str(nbytes + extra)) as caught:
        Stream.attach(path)
    assert caught.value.field == "file size"
    assert caught.value.found == nbytes + extra
    assert str(nbytes) in caught.value.expected


@quick
@given(expected=files())
def test_setters_change_one_field(
    store: Callable[[StreamFile], Path], expected: StreamFile
) -> None:
    with Stream.attach(store(expected)) as stream:
        stream.cnt1, stream.cnt2 = expected.cnt2, expected.cnt1
        stream.owner_pid, stream.flag = abs(expected.creatorPID) % 2**31, expected.inode
        stream.status, stream.logflag = expected.logflag, expected.status
        stream.cuda_handle = expected.cuda_handle[::-1]
        assert decode(stream) == dataclasses.replace(
            expected,
            cnt1=expected.cnt2,
            cnt2=expected.cnt1,
            ownerPID=abs(expected.creatorPID) % 2**31,
            flag=expected.inode,
            status=expected.logflag,
            logflag=expected.status,
            cuda_handle=expected.cuda_handle[::-1],
        )


# --- published by the core, read by the codec --------------------------------------------------


class Model:
    """What the format says that publishing does, on the codec's own objects."""

    def __init__(self, stream: StreamFile) -> None:
        self.file = stream

    def publish(
        self,
        pixels: bytes,
        atime: tuple[int, int],
        now: tuple[int, int],
        *,
        one_slice: bool = False,
    ) -> None:
        file = self.file
        if one_slice:
            z = (file.cnt1 + 1) % file.size[2]
            start = z * len(pixels)
            pixels = file.pixels[:start] + pixels + file.pixels[start + len(pixels) :]
            file.atimearray[z], file.writetimearray[z] = atime, now
            file.cntarray[z] = file.cnt0 + 1
            file.cnt1 = z
        file.pixels = pixels
        file.cnt0 += 1
        if file.CBsize:
            file.CBindex += 1
            if file.CBindex == file.CBsize:
                file.CBindex = 0
                file.CBcycle = (file.CBcycle + 1) % 2**64
            file.ring_slots[file.CBindex] = pixels
            file.ring_records[file.CBindex] = {
                "cnt0": file.cnt0,
                "cnt1": file.CBindex,
                "atime": atime,
                "writetime": now,
            }
        file.atime, file.writetime = atime, now
        if file.write_history:
            file.wCBindex += 1
            if file.wCBindex == len(file.write_history):
                file.wCBindex = 0
                file.wCBcycle = (file.wCBcycle + 1) % 2**64
            file.write_history[file.wCBindex] = {
                "cnt0": file.cnt0,
                "wpid": os.getpid(),
                "writetime": now,
            }
        self.post()

    def post(self) -> None:
        file = self.file
        for i, value in enumerate(file.sem_values):
            if value < 10:
                file.semaphores[i] = fmt.semaphore_word(value + 1)
                file.semWritePID[i] = os.getpid()
        if file.semlog_value < 10:
            file.semlog = fmt.semaphore_word(file.semlog_value + 1, pshared=False)


@st.composite
def publications(draw: st.DrawFn) -> tuple[dict[str, Any], list[tuple[str, int]]]:
    options = draw(arguments())
    options["location"] = -1
    ways = ["publish", "claim", "publish_many", "fortran"]
    if options["imagetype"] & 0xF000F == TEMPORAL and len(options["shape"]) == 3:
        ways += ["slice"] * 4
    steps = draw(st.lists(st.tuples(st.sampled_from(ways), I64), min_size=1, max_size=13))
    return options, steps


def publish_one(stream: Stream, how: str, frame: np.ndarray, atime_ns: int) -> bool:
    """Publish a frame one way or another; returns whether it was given the time."""
    if how == "claim":
        with stream.claim(atime_ns=atime_ns) as pixels:
            pixels[...] = frame
    elif how == "publish_many":
        stream.publish_many(frame[None])
        return False
    elif how == "fortran":
        stream.publish(np.asfortranarray(frame), atime_ns=atime_ns)
    else:
        stream.publish(frame, atime_ns=atime_ns)
    return True


@thorough
@given(plan=publications(), seed=U32)
def test_published_frames_follow_the_model(
    folder: Path, plan: tuple[dict[str, Any], list[tuple[str, int]]], seed: int
) -> None:
    options, steps = plan
    noise = np.random.default_rng(seed)
    with Stream.create(folder / "published.im.shm", **options) as stream:
        model = Model(decode(stream))
        for how, atime_ns in steps:
            one_slice = stream.temporal and how in ("slice", "claim", "publish_many")
            shape = stream.frame_shape if one_slice else stream.shape
            frame = np.frombuffer(noise.bytes(stream.nbytes), stream.dtype)[: math.prod(shape)]
            given_time = publish_one(stream, how, frame.reshape(shape), atime_ns)
            made = decode(stream)
            atime = divmod(atime_ns, 1_000_000_000) if given_time else made.writetime
            model.publish(frame.tobytes(), atime, made.writetime, one_slice=one_slice)
            assert made == model.file
            assert made.write == 0
        assert stream.counter == len(steps)


@quick
@given(plan=publications())
def test_ring_goes_round(folder: Path, plan: tuple[dict[str, Any], list[tuple[str, int]]]) -> None:
    """Any number of updates: the newest is in slot U mod size, U div size turns were made.

    So it is with the slices of a temporal cube.
    """
    options, steps = plan
    options["cb_size"] = max(1, options["cb_size"])
    updates = len(steps) * 7
    with Stream.create(folder / "ring.im.shm", **options) as stream:
        frames = np.zeros((updates, *stream.frame_shape), stream.dtype)
        frames.view(np.uint8).reshape(updates, -1)[:, 0] = np.arange(1, updates + 1)
        assert stream.publish_many(frames) == updates
        made = decode(stream)
        slices = stream.shape[0] if stream.temporal else 0
    depth = options["cb_size"]
    assert (made.CBindex, made.CBcycle) == (updates % depth, updates // depth)
    for update in range(max(1, updates - depth + 1), updates + 1):
        if slices:
            # A slot holds the whole cube as it was then: each update filled one slice of it.
            cube = np.zeros((slices, *frames.shape[1:]), frames.dtype)
            for earlier in range(max(1, update - slices + 1), update + 1):
                cube[earlier % slices] = frames[earlier - 1]
            assert made.ring_slots[update % depth] == cube.tobytes()
        else:
            assert made.ring_slots[update % depth] == frames[update - 1].tobytes()
        assert made.ring_records[update % depth]["cnt0"] == update
    if slices:
        assert made.cnt1 == updates % slices
        for update in range(max(1, updates - slices + 1), updates + 1):
            assert made.cntarray[update % slices] == update
    assert made.sem_values == [min(updates, 10)] * options["nbsem"]
    if made.write_history:
        assert (made.wCBindex, made.wCBcycle) == (updates % 100, updates // 100)


@quick
@given(expected=files(), spare=st.integers(1, 3))
def test_publishing_into_any_stream(
    store: Callable[[StreamFile], Path], expected: StreamFile, spare: int
) -> None:
    """A stream left in any state by its last writer: counters go on from where they are."""
    assume(expected.location == -1 and expected.cnt0 < 2**64 - spare)
    with Stream.attach(store(expected)) as stream:
        model = Model(expected)
        for k in range(spare):
            frame = np.full(stream.nbytes, k, np.uint8).view(stream.dtype).reshape(stream.shape)
            assert stream.publish(frame, atime_ns=k) == expected.cnt0 + 1
            made = decode(stream)
            expected.write = 0
            model.publish(frame.tobytes(), (0, k), made.writetime)
            assert made == expected


@quick
@given(expected=files(), keeps_records=st.booleans())
def test_received_row_tells_what_is_stored(
    store: Callable[[StreamFile], Path], expected: StreamFile, keeps_records: bool
) -> None:
    assume(expected.location == -1 and 0 < expected.cnt0 < 2**62)
    expected.write = 0
    flags, slot = FLAG_VERIFIED, expected.cnt1
    pixels, atime, writetime = expected.pixels, expected.atime, expected.writetime
    depth = len(expected.cntarray)
    if depth > 1:
        # Numbers and times of a slice are those stored with it.
        flags, slot = FLAG_VERIFIED | FLAG_FROM_RING, expected.cnt1 % depth
        nbytes = len(pixels) // depth
        pixels = pixels[slot * nbytes : (slot + 1) * nbytes]
        expected.cntarray[slot] = expected.cnt0
        assume(in_ns(expected.writetimearray[slot]))
        atime, writetime = expected.atimearray[slot], expected.writetimearray[slot]
    elif expected.CBsize > 1 and not depth:
        flags, slot = FLAG_VERIFIED | FLAG_FROM_RING, expected.CBindex
        expected.CBcycle %= 2**32
        updates = expected.CBcycle * expected.CBsize + slot
        # None is "nothing yet"; one more than counted is a frame that is just being published.
        assume(updates not in (0, expected.cnt0 + 1, expected.cnt0 + 1 + expected.CBsize))
        pixels, record = expected.ring_slots[slot], expected.ring_records[slot]
        record["cnt0"] = expected.cnt0 - 1 + keeps_records
        if keeps_records and in_ns(record["writetime"]):
            atime, writetime = record["atime"], record["writetime"]
    with Stream.attach(store(expected), writable=False) as stream:
        out, info = np.empty((1, *stream.frame_shape), stream.dtype), np.zeros(1, FRAME_ROW)
        assert stream.receive(out, info, after=expected.cnt0 - 1, timeout=0) == 1
    assert out.tobytes() == pixels
    row = info[0]
    assert (row["cnt0"], row["cnt1"], row["lost"]) == (expected.cnt0, slot, 0)
    assert row["atime_ns"] == in_ns(atime)
    assert row["writetime_ns"] == in_ns(writetime)
    assert row["flags"] == flags


def test_times_that_overflow_wrap() -> None:
    assert (
        in_ns((2**62, 5)) == struct.unpack("<q", struct.pack("<Q", (2**62 * 10**9 + 5) % 2**64))[0]
    )
