"""The fuzz target: one file, every way in which pymilk reads or writes a stream.

`drive` puts the bytes into a file and does with it all that the library can do. Whatever the file holds,
each step has to end in time, with a result or with an exception of `pymilk.errors`; every array over the file
has to lie inside its mapping, where an independent description of the format (`isio_format`) puts it; looking
changes no byte, and publishing only what it has to.
"""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import math
import os
import shutil
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pymilk import SHM, RingReader
from pymilk._core import FRAME_ROW, Keyword, Rows, Stream, read_header
from pymilk.compat import xaosim
from pymilk.errors import (
    FitsHeaderWarning,
    FrameTornWarning,
    StreamError,
    StreamInUseWarning,
    StreamTimeoutWarning,
)
from pymilk.fits import multi_read
from pymilk.image import Image
from pymilk.inspection import describe_stream, stream_details, survey
from pymilk.inspection.doctor import examine
from pymilk.loading import creashmim
from pymilk.ring import Relay
from pymilk.streams.directory import find_stale, list_streams
from pymilk.streams.metadata import metadata_of
from support import isio_format as fmt

__all__ = ["PARTS", "Finding", "drive", "some_parts"]

#: Longest wait that is asked for where nothing is to come.
SHORT = 0.001

Array = np.ndarray[Any, Any]


class Finding(AssertionError):
    """pymilk did with a file what it must never do."""


def held_up() -> float:
    """Return the seconds for which this thread was ready to run and waited for a processor, so far."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


class Drive:
    """One file on its way through all steps."""

    def __init__(self, data: bytes, folder: Path) -> None:
        self.data = data
        self.path = folder / "fuzz.im.shm"
        self.name = "fuzz"
        self.header: dict[str, Any] | None = None
        self.table: dict[str, fmt.Section] = {}
        self.slowest = ("", 0.0)
        self.lay_down()

    def lay_down(self) -> None:
        """Write the file as it was, under a new inode."""
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        self.path.write_bytes(self.data)

    def step(self, what: str, call: Callable[[], Any]) -> Any:
        """Do one thing with the stream; None if it was refused as it should be."""
        began = time.monotonic() - held_up()
        try:
            return call()
        except StreamError as error:
            if not str(error) or (type(error) is StreamError and "fuzz" not in str(error)):
                raise Finding(f"{what}: {type(error).__name__} does not say which stream: {error}") from error
            return None
        except Finding:
            raise
        except Exception as error:
            raise Finding(f"{what}: {type(error).__name__}, which is not ours: {error}") from error
        finally:
            taken = time.monotonic() - held_up() - began
            if taken > self.slowest[1]:
                self.slowest = (what, taken)

    def pixels(self) -> bytes:
        """The bytes of the pixels, by the independent description."""
        place = self.table["array"]
        return self.data[place.offset : place.offset + place.size]


def bounds(array: Array) -> tuple[int, int]:
    """Return the addresses of the first byte of an array and of the one behind its last."""
    low = high = int(array.__array_interface__["data"][0])
    if array.size == 0:
        return low, low
    for length, stride in zip(array.shape, array.strides, strict=True):
        if stride < 0:
            low += (length - 1) * stride
        else:
            high += (length - 1) * stride
    return low, high + array.itemsize


def mappings(path: Path) -> list[tuple[int, int]]:
    """Return where this process has the file mapped, by the kernel's account."""
    inode = str(path.stat().st_ino)
    found = []
    with open("/proc/self/maps") as table:
        for line in table:
            # Hundreds of lines under a sanitizer, of which one or two are ours.
            parts = line.split(maxsplit=5) if inode in line else ()
            if len(parts) == 6 and parts[4] == inode:
                begin, _, end = parts[0].partition("-")
                found.append((int(begin, 16), int(end, 16)))
    return found


def inside(drive: Drive, what: str, array: Array, maps: list[tuple[int, int]]) -> int | None:
    """Read all of an array, which has to lie in the file; return the offset at which it begins."""
    low, high = bounds(array)
    for begin, _ in maps:
        if begin <= low and high <= begin + len(drive.data):
            array.tobytes()
            return low - begin
    if array.size == 0:
        return None
    raise Finding(f"{what}: bytes {low:#x} to {high:#x} are outside of the file, which is at {maps}")


#: Name of a section in pymilk -> in the independent description.
SECTIONS = {
    "keywords": "keywords",
    "sem_read_pid": "semReadPID",
    "sem_write_pid": "semWritePID",
    "semctrl": "semctrl",
    "semstatus": "semstatus",
    "trace": "streamproctrace",
    "slice_atime": "atimearray",
    "slice_writetime": "writetimearray",
    "slice_cnt0": "cntarray",
    "ring_records": "CircBuff_md",
    "ring_slots": "CBimdata",
    "history": "writehist",
}


# --- reading -----------------------------------------------------------------------------------


def look(drive: Drive) -> bool:
    """Read the header; tell whether the file passes for a stream."""
    drive.header = drive.step("read_header", lambda: read_header(drive.path))
    stream = drive.step("attach", lambda: Stream.attach(drive.path, writable=False))
    if (stream is None) != (drive.header is None):
        raise Finding("read_header and attach disagree")
    if stream is None:
        return False
    with stream:
        drive.table = fmt.section_table(
            stream.size,
            stream.datatype,
            nbkw=stream.nbkw,
            nbsem=stream.nbsem,
            nbproctrace=stream.nbproctrace,
            imagetype=stream.imagetype,
            cbsize=stream.cb_size,
            location=stream.location,
            layout=stream.layout,
        )
    end = max(place.offset + place.stored_size for place in drive.table.values())
    if end != len(drive.data):
        raise Finding(f"accepted with {len(drive.data)} bytes, although its sections take {end}")
    return True


def read_core(drive: Drive) -> None:
    """The compiled core, without writing."""
    with Stream.attach(drive.path, writable=False) as stream:
        maps = mappings(drive.path)
        step = drive.step
        step("metadata", lambda: metadata_of(stream))
        step("cuda handle", lambda: stream.cuda_handle)
        step("describe", lambda: describe_stream(stream))
        for name, other in SECTIONS.items():
            if (array := step(f"section {name}", lambda name=name: stream.section(name))) is None:
                continue
            offset = inside(drive, f"section {name}", array, maps)
            place = drive.table.get(other, fmt.Section(0, 0, 0))
            if array.nbytes != place.size or (place.size and offset != place.offset):
                raise Finding(f"section {name} is {array.nbytes} bytes at {offset}, and should be at {place}")
        step("keywords", stream.read_keywords)
        step("values of semaphores", stream.sem_values)
        view = step("view", stream.view)
        if view is not None:
            if inside(drive, "view", view, maps) != drive.table["array"].offset:
                raise Finding("the view is not of the pixels")
            frame, _, _ = step("read", stream.read)
            whole = drive.pixels()
            unit = len(frame.tobytes())
            slices = [whole[at : at + unit] for at in range(0, len(whole), unit)]
            out = np.empty(stream.frame_shape, stream.dtype)
            step("copy_frame", lambda: stream.copy_frame(out))
            if frame.tobytes() not in slices or out.tobytes() not in slices:
                raise Finding("what was read is no frame of the file")
        counter = stream.counter
        before = (counter - 1) % 2**64
        step("try_wait", lambda: stream.try_wait(counter))
        step("wait", lambda: stream.wait(0))
        step("wait for an older frame", lambda: stream.wait(0, after=before))
        cube = np.empty((2, *stream.frame_shape), stream.dtype)
        info = np.zeros(2, FRAME_ROW)
        step("receive", lambda: stream.receive(cube, info, timeout=0))
        step("receive what is there", lambda: stream.receive(cube, info, timeout=0, after=before))
        step("receive from 0", lambda: stream.receive(cube, info, timeout=0, after=0, missed=3))
        read_cursor(drive, stream, maps)


def read_cursor(drive: Drive, stream: Stream, maps: list[tuple[int, int]]) -> None:
    """The ring of the stream itself, if it has one."""
    step = drive.step
    cursor = step("ring_cursor", stream.ring_cursor)
    if cursor is None:
        return
    inside(drive, "slots", cursor.slots, maps)
    for start in ("oldest", "newest", "next"):
        cursor.begin(start)
        step("unread", cursor.unread)
        step("idle", cursor.idle)
        while (got := step("take", lambda: cursor.take(2))) is not None:
            slot, count, info = got[0], got[1], got[2]
            if not len(info):
                break
            step("overwritten", lambda slot=slot, count=count: cursor.overwritten(slot, count))
        step("rewind", lambda: cursor.rewind(3))
        step("skip", lambda: cursor.skip(1))
        room = np.empty((3, *stream.frame_shape), stream.dtype)
        rows = Rows(3)
        step("copy", lambda room=room, rows=rows: cursor.copy(room, rows, 0))
        step("copy, strictly", lambda room=room, rows=rows: cursor.copy(room, rows, 0, strict=True))
        step("take the newest", lambda: cursor.take(1, newest=True))
        step("missing", lambda: (cursor.missing, cursor.capacity, cursor.lost, cursor.counter))
        step("fork", cursor.fork)


def read_shm(drive: Drive) -> None:
    """`SHM` in every orientation."""
    for symcode in range(8):
        read_oriented(drive, symcode, symcode % 4)


def read_oriented(drive: Drive, symcode: int, tri_dim: int) -> None:
    step = drive.step
    shm = step("SHM", lambda: SHM(drive.name, symcode=symcode, triDim=tri_dim, autoSqueeze=symcode % 2 == 0))
    if shm is None:
        return
    with shm:
        maps = mappings(drive.path)
        for cube in (False, True):
            view = step("get_data, a view", lambda cube=cube: shm.get_data(copy=False, cube=cube))
            if view is not None:
                inside(drive, "get_data(copy=False)", view, maps)
        step("get_data", shm.get_data)
        step("get_data of all slices", lambda: shm.get_data(cube=True))
        step("get_data into memory", lambda: shm.get_data(out=np.empty(shm.shape, shm.nptype)))
        step("get_crop", shm.get_crop)
        if symcode == zlib.crc32(drive.data) % 8:
            step("get_data, the next", lambda: shm.get_data(check=True, timeout=SHORT))
            step("get_data, seen", lambda: shm.get_data(True, timeout=SHORT, checkSemAndFlush=False))
            step("capture", lambda: shm.capture(2, timeout=SHORT))
            step("multi_recv_data", lambda: shm.multi_recv_data(1, True, timeout=SHORT))
            step("semaphore", lambda: (shm.semID, shm.check_sem_value(), shm.check_sem_trywait()))
            step("wait for semaphore", lambda: shm.check_sem_timedwait(SHORT))
            step("mtdata", lambda: shm.mtdata)
            step("get_keywords", lambda: (shm.get_keywords(), shm.get_keywords(comments=True)))
            step("keywords", lambda: (dict(shm.keywords), repr(shm.keywords), shm.keywords.named()))
            for name in ("get_expt", "get_fps", "get_ndr", "get_counter"):
                step(name, getattr(shm, name))
            with contextlib.redirect_stdout(io.StringIO()):
                step("read_meta_data", shm.read_meta_data)
            step("md", lambda: (repr(shm.md), repr(shm.IMAGE), repr(shm)))


def read_ring(drive: Drive) -> None:
    """`RingReader` of the stream's own ring, and of a collector."""
    for source in ("auto", "collector"):
        for start in ("oldest", "newest", "next"):
            read_ring_from(drive, source, start)


def read_ring_from(drive: Drive, source: str, start: str) -> None:
    step = drive.step
    stream = step("attach", lambda: Stream.attach(drive.path))
    if stream is None:
        return
    with stream:
        ring = step(
            f"ring reader, {source}, {start}", lambda: RingReader(stream, depth=4, source=source, start=start)
        )
        if ring is None:
            return
        with ring:
            maps = mappings(drive.path)
            step("report", lambda: (str(ring.report), repr(ring)))
            step("lag", lambda: (ring.lag, ring.level, ring.lost, ring.depth))
            block = step("peek", lambda: ring.peek(3))
            if block is not None:
                if ring.source != "collector":
                    inside(drive, "block", block.frames, maps)
                step("intact", lambda: (block.intact(), block.overwritten, repr(block)))
            step("dump", ring.dump)
            step("dump of seconds", lambda: ring.dump(seconds=1))
            step("dump of frames", lambda: ring.dump(frames=2))
            step("latest", ring.latest)
            step("rewind", lambda: ring.rewind(2))
            step("read", lambda: ring.read(2, timeout=SHORT))
            step("blocks", lambda: next(ring.blocks(timeout=SHORT)))
            step("skip", lambda: ring.skip(1))
            step("fileno", ring.fileno)
        strict = step("strict ring reader", lambda: RingReader(stream, depth=4, on_lost="raise", start=start))
        if strict is not None:
            with strict:
                step("read, strictly", lambda: strict.read(2, timeout=SHORT))
        newest = step("newest ring reader", lambda: RingReader(stream, depth=4, policy="newest"))
        if newest is not None:
            with newest:
                step("latest block", lambda: newest.latest(block=True))


def read_image(drive: Drive) -> None:
    """`Image`, the interface of the C library's Python module."""
    step = drive.step
    image = Image()
    if step("Image.open", lambda: image.open(drive.name)) != 0:
        step("last_error", lambda: repr(image.last_error))
        return
    try:
        maps = mappings(drive.path)
        for name in ("memsize", "used", "shape", "semReadPID", "semWritePID", "acqtimearray",
                     "writetimearray", "cntarray", "md", "streamproctrace0"):  # fmt: skip
            step(name, lambda name=name: repr(getattr(image, name)))
        for owner in ("md", "streamproctrace0"):
            kind = type(step(owner, lambda owner=owner: getattr(image, owner)))
            for name in (name for name in vars(kind) if not name.startswith("_")):
                step(f"{owner}.{name}", lambda owner=owner, name=name: getattr(getattr(image, owner), name))
        array = step("array of Image", lambda: np.asarray(image))
        if array is not None:
            inside(drive, "array of Image", array, maps)
        step("Image.copy", image.copy)
        step("get_kws", lambda: {name: repr(keyword) for name, keyword in image.get_kws().items()})
        step("get_kws_list", lambda: repr(image.get_kws_list()))
        for index in (-1, 0, 1, 10, 65535):
            step("semvalue", lambda index=index: image.semvalue(index))
            step("semtrywait", lambda index=index: image.semtrywait(index))
            step("semtimedwait", lambda index=index: image.semtimedwait(index, SHORT))
            step("semflush", lambda index=index: image.semflush(index))
        step("getsemwaitindex", lambda: image.getsemwaitindex(0))
    finally:
        step("Image.close", image.close)


def read_xaosim(drive: Drive) -> None:
    """The interface of xaosim."""
    step = drive.step
    with contextlib.redirect_stdout(io.StringIO()):
        shm = step("xaosim.shm", lambda: xaosim.shm(drive.name))
        if shm is None:
            return
        for name in ("get_counter", "read_meta_data", "read_keywords", "get_data", "get_latest_data",
                     "get_latest_data_slice", "print_meta_data", "select_dtype", "select_atype"):  # fmt: skip
            step(name, getattr(shm, name))
        step("get_data, the next", lambda: shm.get_data(check=2**62, timeout=SHORT))
        step("values of semaphores", lambda: [each.value for each in shm.sems])
        step("xaosim.close", lambda: shm.close(erase_file=False))


def read_outside(drive: Drive) -> None:
    """Inspection, and the commands that show it."""
    step = drive.step
    folder = str(drive.path.parent)
    step("list_streams", lambda: list_streams(folder))
    step("find_stale", lambda: find_stale(folder))
    step("survey", lambda: json.dumps(survey(folder)))
    step("examine", lambda: json.dumps(examine()))
    stream = step("attach", lambda: Stream.attach(drive.path, writable=False))
    if stream is not None:
        with stream:
            step("stream_details", lambda: stream_details(stream))
    for arguments in (["ls"], ["ls", "--json"], ["info", "fuzz", "--measure", "0"],
                      ["info", "fuzz", "--measure", "0", "--json"], ["kw", "fuzz"], ["doctor"]):  # fmt: skip
        step(f"pymilk {' '.join(arguments)}", lambda arguments=arguments: command(arguments))


def command(arguments: list[str]) -> None:
    """Run a command of ``pymilk``; it has to end with a code that it documents."""
    try:
        from click.testing import CliRunner

        from pymilk.cli.app import app
    except ImportError:  # the extra "cli" is not installed
        return
    result = CliRunner().invoke(app, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    if result.exit_code not in (0, 1):
        raise Finding(f"pymilk {' '.join(arguments)} ended with {result.exit_code}: {result.output}")
    if "--json" in arguments and result.exit_code == 0:
        json.loads(result.output)


def read_fits(drive: Drive) -> None:
    """A frame with its keywords and times in a FITS file, and back."""
    target = drive.path.parent / "fuzz.fits"
    shm = drive.step("SHM", lambda: SHM(drive.name))
    if shm is None:
        return
    with shm:
        if drive.step("save_as_fits", lambda: shm.save_as_fits(str(target))) is not None:
            drive.step("multi_read", lambda: multi_read(str(target)))
            target.unlink()


# --- writing -----------------------------------------------------------------------------------

#: Parts of the file that publishing a frame leaves as they are.
_UNTOUCHED = ("keywords", "semctrl", "semstatus", "streamproctrace")

#: Fields of the metadata that nobody changes who writes frames.
_FIXED = (
    "version", "name", "naxis", "size", "nelement", "datatype", "imagetype", "creationtime", "creatorPID",
    "shared", "location", "sem", "NBproctrace", "NBkw", "CBsize", "imdatamemsize", "cudaMemHandle",
)  # fmt: skip


def write_frames(drive: Drive) -> None:
    """Every way to publish; what is not part of a frame stays as it was."""
    step = drive.step
    stream = step("attach", lambda: Stream.attach(drive.path))
    if stream is None:
        return
    with stream:
        pixels = math.prod(stream.frame_shape)
        frame = (np.arange(pixels) % 100).astype(stream.dtype).reshape(stream.frame_shape)
        before = stream.counter
        if step("publish", lambda: stream.publish(frame)) is not None:
            if stream.counter != (before + 1) % 2**64 or stream.write != 0:
                raise Finding(f"the counter went from {before} to {stream.counter}, write is {stream.write}")
            if step("read", stream.read)[0].tobytes() != frame.tobytes():
                raise Finding("what was published is not what is read")
        step("publish, of a time", lambda: stream.publish(frame, atime_ns=-1))
        step("announce", lambda: stream.announce(atime_ns=1))
        many = np.stack([frame, frame, frame])
        step("publish_many", lambda: stream.publish_many(many, 5))
        step("claim", lambda: _fill(stream, frame))
        step("claim that is abandoned", lambda: _abandon(stream))
        step("post", stream.post)
        for index in (0, stream.nbsem - 1, stream.nbsem, -1):
            step("post one", lambda index=index: stream.post(index))
            step("value", lambda index=index: stream.sem_value(index))
            step("flush one", lambda index=index: stream.flush(index))
            step("sem_try_wait", lambda index=index: stream.sem_try_wait(index))
            step("sem_wait", lambda index=index: stream.sem_wait(index, SHORT))
        step("flush", stream.flush)
        step("take_semaphore", lambda: stream.take_semaphore(1))
        for after in (None, stream.counter):
            step("wait", lambda after=after: stream.wait(SHORT, after=after))
        cube = np.empty((1, *stream.frame_shape), stream.dtype)
        step("receive", lambda: stream.receive(cube, timeout=SHORT))
    unchanged(drive, _UNTOUCHED)


def _fill(stream: Stream, frame: Array) -> None:
    with stream.claim(atime_ns=5) as pixels:
        pixels[...] = frame


def _abandon(stream: Stream) -> None:
    with contextlib.suppress(ZeroDivisionError), stream.claim():
        raise ZeroDivisionError


def unchanged(drive: Drive, names: tuple[str, ...]) -> None:
    """Check what writing must not have changed, and that the file still is the same stream."""
    now = drive.path.read_bytes()
    if len(now) != len(drive.data):
        raise Finding(f"the file had {len(drive.data)} bytes, and has {len(now)}")
    for name in names:
        place = drive.table.get(name, fmt.Section(0, 0, 0))
        part = slice(place.offset, place.offset + place.size)
        if now[part] != drive.data[part]:
            raise Finding(f"writing changed {name}")
    layout = drive.header["layout"] if drive.header else "default"
    for field in _FIXED:
        at = fmt.OFFSETS[layout][field]
        part = slice(at, at + fmt.field_nbytes(field, layout))
        if now[part] != drive.data[part]:
            raise Finding(f"writing changed {field}")
    if drive.step("read_header", lambda: read_header(drive.path)) is None:
        raise Finding("the stream cannot be attached any more")


def write_keywords(drive: Drive) -> None:
    """Every way to store keywords; pixels stay as they were."""
    step = drive.step
    shm = step("SHM", lambda: SHM(drive.name))
    if shm is None:
        return
    with shm:
        for value in (1, -(2**63), 0.5, float("nan"), "text", "x" * 16, True):
            step("update_keyword", lambda value=value: shm.update_keyword("KEY", value, "comment"))
            step("shm[...]", lambda value=value: shm.__setitem__("OTHER", value))
        step("get_keyword", lambda: shm.get_keyword("KEY", comment=True))
        step("set_keywords", lambda: shm.set_keywords({"A": 1, "B": (2.0, "two")}))
        step("del", lambda: shm.keywords.__delitem__("A"))
        step("reset_keywords", lambda: shm.reset_keywords({"A": "one"}))
    stream = Stream.attach(drive.path)
    with stream:
        step("write_keywords", lambda: stream.write_keywords([Keyword("K", 1), ("L", 2.5, "half")]))
        step("write back", lambda: stream.write_keywords(stream.read_keywords()))
        step("clear_keywords", stream.clear_keywords)
    unchanged(drive, ("array", "semfile", "streamproctrace", "CBimdata"))


def write_shm(drive: Drive) -> None:
    """`SHM`, `Image` and xaosim, as writers."""
    step = drive.step
    for symcode in (0, zlib.crc32(drive.data) % 8):
        write_oriented(drive, symcode)
    unchanged(drive, _UNTOUCHED)
    image = Image()
    if step("Image.open", lambda: image.open(drive.name)) == 0:
        step("Image.write", lambda: image.write(np.zeros(image.shape, image.copy().dtype)))
        step("Image.update", image.update)
        step("Image.update_atime", lambda: image.update_atime(datetime.datetime(2030, 1, 1)))
        step("sempost", lambda: (image.sempost(-1), image.sempost(0), image.sempost(999)))
        step("set_kws_list", lambda: image.set_kws_list(image.get_kws_list()))
        step("set_kws", lambda: image.set_kws({}))
        step("Image.close", image.close)
    with contextlib.redirect_stdout(io.StringIO()):
        other = step("xaosim.shm", lambda: xaosim.shm(drive.name))
        if other is not None:
            step("xaosim.set_data", lambda: other.set_data(other.get_data(), check_dt=True))
            step("increment_counter", lambda: [other.increment_counter(ii) for ii in range(3)])
            step("post_sems", other.post_sems)
            step("catch_up_with_sem", lambda: other.catch_up_with_sem(0))
            step("xaosim.update_keyword", lambda: other.update_keyword(0, "KEY", 1.0, ""))
            step("write_keywords", other.write_keywords)
            step("xaosim.close", lambda: other.close(erase_file=False))


def write_oriented(drive: Drive, symcode: int) -> None:
    step = drive.step
    shm = step("SHM", lambda: SHM(drive.name, symcode=symcode))
    if shm is None:
        return
    with shm:
        frame = np.zeros(shm.shape, shm.nptype)
        step("set_data", lambda: shm.set_data(frame))
        step("set_data of a list", lambda: shm.set_data(frame.tolist(), check_dt=True))
        step("set_many", lambda: shm.set_many(np.stack([frame, frame])))
        step("claim", lambda: _claim(shm))
        step("repost", shm.repost)
        step("repost, of a time", lambda: shm.repost(1.5))


def _claim(shm: SHM) -> None:
    with shm.claim() as pixels:
        pixels[...] = 1


def write_around(drive: Drive) -> None:
    """Metadata, relaying, and making a new stream in the place of this one."""
    step = drive.step
    stream = step("attach", lambda: Stream.attach(drive.path))
    if stream is None:
        return
    with stream:
        for name in ("cnt1", "cnt2", "owner_pid", "status", "flag", "logflag"):
            step(name, lambda name=name: setattr(stream, name, 1))
        step("cuda_handle", lambda: setattr(stream, "cuda_handle", bytes(64)))
    step("relay", lambda: _relay(drive))
    reused = step("creashmim", lambda: creashmim(drive.name, (2, 3), np.uint16))
    if reused is not None:
        with reused:
            step("destroy", reused.destroy)
    drive.lay_down()
    old = step("attach", lambda: Stream.attach(drive.path))
    if old is not None:
        with old, Stream.create(drive.path, (2, 3), np.uint16) as new:
            step("replaced", old.replaced)
            step("successor", lambda: old.successor(0))
            step("wait", lambda: old.wait(SHORT))
            step("destroy the new one", new.destroy)


def _relay(drive: Drive) -> None:
    with Relay(drive.name, "target", 3) as relay:
        str(relay.report)
        relay.target.destroy()


#: Everything that is done with a file, by name. What reads comes first.
PARTS: dict[str, Callable[[Drive], None]] = {
    "core": read_core,
    "shm": read_shm,
    "ring": read_ring,
    "image": read_image,
    "xaosim": read_xaosim,
    "fits": read_fits,
    "outside": read_outside,
    "frames": write_frames,
    "keywords": write_keywords,
    "writers": write_shm,
    "around": write_around,
}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Let pass the warnings that a damaged stream deserves, and no other."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind in (FitsHeaderWarning, FrameTornWarning, StreamInUseWarning, StreamTimeoutWarning):
            warnings.simplefilter("ignore", kind)
        yield


def drive(
    data: bytes,
    folder: str | os.PathLike[str],
    *,
    parts: tuple[str, ...] | None = None,
    limit: float = math.inf,
) -> bool:
    """Do with a file all that pymilk can do with one.

    Parameters
    ----------
    data : bytes
        What is in the file.
    folder : path
        A directory for this alone, which is the stream directory (``$MILK_SHM_DIR``). It is emptied.
    parts : tuple of str, optional
        Keys of `PARTS`. Default: all.
    limit : float, optional
        Seconds that a step may take. A busy machine can hold up any step: drive the file again to be sure.

    Returns
    -------
    bool
        Whether the file is a stream.

    Raises
    ------
    Finding
        pymilk did what it must never do.
    """
    work = Path(folder)
    if os.environ.get("MILK_SHM_DIR") != str(work):
        raise ValueError("drive works in the stream directory only: set MILK_SHM_DIR to the folder")
    chosen = tuple(PARTS) if parts is None else parts
    with _quiet():
        job = Drive(data, work)
        try:
            accepted = look(job)
            if accepted:
                for part in chosen:
                    if PARTS[part] is not read_core:
                        job.lay_down()
                    PARTS[part](job)
                    if PARTS[part] is read_core and job.path.read_bytes() != data:
                        raise Finding("looking changed the file")
            else:
                refused(job, chosen)
        finally:
            _empty(work)
    if job.slowest[1] > limit:
        raise Finding(f"{job.slowest[0]} took {job.slowest[1]:.1f} s")
    return accepted


def refused(job: Drive, chosen: tuple[str, ...]) -> None:
    """Every other door must be closed to this file as well."""
    for part in ("image", "xaosim", "fits"):
        if part in chosen:
            PARTS[part](job)
    if "shm" in chosen and job.step("SHM", lambda: SHM(job.name)) is not None:
        raise Finding("SHM takes what attach refuses")
    if "ring" in chosen and job.step("RingReader", lambda: RingReader(job.name)) is not None:
        raise Finding("RingReader takes what attach refuses")
    if "outside" in chosen:
        read_outside(job)
    if job.path.read_bytes() != job.data:
        raise Finding("a file that was refused was changed")


def some_parts(data: bytes) -> tuple[str, ...]:
    """Return the parts for one of very many files: the core, and some of the others.

    Always the same ones for the same bytes. Most of the other parts wait for frames that do not come.
    """
    draw = zlib.crc32(data)
    others = [name for name in PARTS if name not in ("core", "frames")]
    parts = ["core"]
    if draw % 4 == 0:
        parts.append("frames")
    if draw % 16 == 1:
        parts.append(others[draw // 16 % len(others)])
    return tuple(parts)


def _empty(folder: Path) -> None:
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry)
        else:
            os.unlink(entry)
