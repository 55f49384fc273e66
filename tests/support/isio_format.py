"""Encode and decode ``<name>.im.shm`` stream files in pure Python.

The tests use this module as a second opinion on the file format, so it shares nothing with
pymilk: every offset and size below is written out by hand for structure version 2.00 on 64-bit
little-endian Linux. It works on the bytes of a whole file and knows nothing about mapping,
waiting or publishing.

Field names keep the spelling of the C structs. Four builds of the C library lay the file out
differently while storing the same version string; the layout names used here are

========================  ==================================================================
``default``               no build option
``dao``                   packet bookkeeping appended to the metadata
``writehistory``          history indices inside the metadata, history section at the end
``dao+writehistory``      both
========================  ==================================================================
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

__all__ = [
    "DATATYPES",
    "LAYOUTS",
    "METADATA_SIZE",
    "OFFSETS",
    "FormatError",
    "KeywordSlot",
    "Section",
    "StreamFile",
    "decode",
    "empty_ring_record",
    "empty_trace_entry",
    "encode",
    "field_nbytes",
    "file_size",
    "fresh",
    "patch",
    "section_table",
    "semaphore_word",
]

Timespec = tuple[int, int]

LAYOUTS = ("default", "dao", "writehistory", "dao+writehistory")

VERSION = "2.00"

#: Stored data type code -> numpy dtype string.
DATATYPES = {
    1: "<u1",
    2: "<i1",
    3: "<u2",
    4: "<i2",
    5: "<u4",
    6: "<i4",
    7: "<u8",
    8: "<i8",
    9: "<f4",
    10: "<f8",
    11: "<c8",
    12: "<c16",
    13: "<f2",
}

CIRCULAR_BUFFER = 0x1
MATH_DATA = 0x2
ZAXIS_TEMPORAL = 0x20000

# The kind bits and the axis code together. Every bit counts: MATH_DATA next to CIRCULAR_BUFFER
# makes an ordinary cube without per-slice arrays.
KIND_AND_AXIS_MASK = 0xF000F
TEMPORAL_RING = CIRCULAR_BUFFER | ZAXIS_TEMPORAL

NB_PROCTRACE = 10
NB_WRITE_HISTORY = 100
NB_PARTIAL_PACKETS = 512
MAX_NELEMENT = 10_000_000_000
NAME_NBYTES = 80

# Bytes 12 to 31 of a semaphore are never initialised by glibc, so semaphores are kept raw.
_SEM_HEAD = struct.Struct("<III")
SEM_NBYTES = 32
_SEM_SHARED = 128

_KEYWORD = struct.Struct("<16sc7x16sQ80s")
_TRACE = struct.Struct("<iiQqqqqiiQ")
_RING_RECORD = struct.Struct("<QQqqqq")
_HISTORY_RECORD = struct.Struct("<Qi4xqq")
_TIMESPEC = struct.Struct("<qq")


class _Field(NamedTuple):
    name: str
    offset: int
    fmt: str


_HEAD_FIELDS = (
    _Field("version", 0, "32s"),
    _Field("name", 32, "80s"),
    _Field("naxis", 112, "B"),
    _Field("size", 116, "3I"),
    _Field("nelement", 128, "Q"),
    _Field("datatype", 136, "B"),
    _Field("imagetype", 144, "Q"),
    _Field("creationtime", 152, "qq"),
    _Field("lastaccesstime", 168, "qq"),
    _Field("atime", 184, "qq"),
    _Field("writetime", 200, "qq"),
    _Field("creatorPID", 216, "i"),
    _Field("ownerPID", 220, "i"),
    _Field("shared", 224, "B"),
    _Field("inode", 232, "Q"),
    _Field("location", 240, "b"),
    _Field("status", 241, "B"),
    _Field("flag", 248, "Q"),
    _Field("logflag", 256, "B"),
    _Field("sem", 258, "H"),
    _Field("NBproctrace", 260, "H"),
    _Field("cnt0", 264, "Q"),
    _Field("cnt1", 272, "Q"),
    _Field("cnt2", 280, "Q"),
    _Field("write", 288, "B"),
    _Field("NBkw", 290, "H"),
    _Field("CBsize", 292, "I"),
    _Field("CBindex", 296, "I"),
    _Field("CBcycle", 304, "Q"),
)

_FIELDS: dict[str, tuple[_Field, ...]] = {
    "default": (
        *_HEAD_FIELDS,
        _Field("imdatamemsize", 312, "Q"),
        _Field("cudaMemHandle", 320, "64s"),
    ),
    "dao": (
        *_HEAD_FIELDS,
        _Field("imdatamemsize", 312, "Q"),
        _Field("cudaMemHandle", 320, "64s"),
        _Field("lastPos", 384, "I"),
        _Field("lastNb", 388, "I"),
        _Field("packetNb", 392, "I"),
        _Field("packetTotal", 396, "I"),
        _Field("lastNbArray", 400, "512Q"),
    ),
    "writehistory": (
        *_HEAD_FIELDS,
        _Field("wCBindex", 312, "I"),
        _Field("wCBcycle", 320, "Q"),
        _Field("imdatamemsize", 328, "Q"),
        _Field("cudaMemHandle", 336, "64s"),
    ),
    "dao+writehistory": (
        *_HEAD_FIELDS,
        _Field("wCBindex", 312, "I"),
        _Field("wCBcycle", 320, "Q"),
        _Field("imdatamemsize", 328, "Q"),
        _Field("cudaMemHandle", 336, "64s"),
        _Field("lastPos", 400, "I"),
        _Field("lastNb", 404, "I"),
        _Field("packetNb", 408, "I"),
        _Field("packetTotal", 412, "I"),
        _Field("lastNbArray", 416, "512Q"),
    ),
}

#: Layout -> bytes taken by the metadata struct.
METADATA_SIZE = {"default": 384, "dao": 4496, "writehistory": 400, "dao+writehistory": 4512}

#: Layout -> metadata field -> byte offset in the file.
OFFSETS = {layout: {f.name: f.offset for f in fields} for layout, fields in _FIELDS.items()}

_FORMATS = {layout: {f.name: f.fmt for f in fields} for layout, fields in _FIELDS.items()}


def field_nbytes(field: str, layout: str = "default") -> int:
    """Return how many bytes a metadata field takes."""
    return struct.calcsize(f"<{_FORMATS[layout][field]}")


class FormatError(ValueError):
    """A file, or the value asked to be stored in one, breaks the format.

    Attributes
    ----------
    field : str
        C name of the offending field, ``"file size"``, or ``"padding"``.
    expected, found : object
        What the format asks for and what was there.
    """

    def __init__(self, field: str, expected: object, found: object) -> None:
        super().__init__(f"{field}: expected {expected}, found {found!r}")
        self.field = field
        self.expected = expected
        self.found = found


def _text(raw: bytes) -> str:
    """Decode the text before the first NUL; bytes outside UTF-8 become lone surrogates."""
    return raw.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def _raw(text: str | bytes) -> bytes:
    return text.encode("utf-8", "surrogateescape") if isinstance(text, str) else bytes(text)


def _fit(name: str, raw: bytes, nbytes: int) -> bytes:
    """Return ``raw`` unless it overflows its field, which struct would truncate silently."""
    if len(raw) > nbytes:
        raise FormatError(name, f"at most {nbytes} bytes", raw)
    return raw


def _pack_as(name: str, record: struct.Struct, *values: Any) -> bytes:
    try:
        return record.pack(*values)
    except struct.error as error:
        raise FormatError(name, f"values that fit ({error})", values) from error


def _pack(name: str, fmt: str, value: Any) -> bytes:
    if fmt.endswith("s"):
        value = _fit(name, _raw(value), int(fmt[:-1]))
        parts: Sequence[Any] = (value,)
    else:
        parts = value if isinstance(value, Sequence) else (value,)
    return _pack_as(name, struct.Struct(f"<{fmt}"), *parts)


def _unpack(data: bytes, where: _Field) -> Any:
    parts = struct.unpack_from(f"<{where.fmt}", data, where.offset)
    if where.name == "cudaMemHandle":
        return parts[0]
    if where.fmt.endswith("s"):
        # Only the trailing NULs go, so that whatever follows a NUL in the middle survives.
        return parts[0].rstrip(b"\0").decode("utf-8", "surrogateescape")
    if where.fmt == "qq":
        return parts
    return parts[0] if len(parts) == 1 else list(parts)


def patch(data: bytearray, field: str, value: Any, layout: str = "default") -> None:
    """Overwrite one metadata field of an encoded file in place, without any check of meaning.

    Parameters
    ----------
    data : bytearray
        The file; changed.
    field : str
        A key of ``OFFSETS[layout]``.
    value : int, str, bytes or sequence of int
        Text is padded with NULs, times are ``(sec, nsec)`` and ``size`` takes three numbers.
    """
    raw = _pack(field, _FORMATS[layout][field], value)
    offset = OFFSETS[layout][field]
    data[offset : offset + len(raw)] = raw


def semaphore_word(value: int = 0, waiters: int = 0, *, pshared: bool = True) -> bytes:
    """Return the 32 bytes of a glibc x86-64 semaphore."""
    return _SEM_HEAD.pack(value, waiters, _SEM_SHARED if pshared else 0).ljust(SEM_NBYTES, b"\0")


def _sem_value(word: bytes) -> int:
    return _SEM_HEAD.unpack_from(word)[0]


@dataclass
class KeywordSlot:
    """One 128-byte keyword slot; the defaults make a slot as a new stream has it.

    ``name`` and ``comment`` are the stored bytes without trailing NULs. A writer that shortens
    a text may leave old bytes behind a NUL; those are kept, and ``name_text`` and
    ``comment_text`` stop before them. A slot which is zero throughout is
    ``KeywordSlot(type="\\0")``.
    """

    name: bytes = b""
    type: str = "N"
    value: bytes = bytes(16)
    cnt: int = 0
    comment: bytes = b""

    @classmethod
    def make(
        cls,
        name: str | bytes,
        value: float | str | bytes,
        comment: str | bytes = "",
        cnt: int = 0,
    ) -> KeywordSlot:
        """Build a slot of type L, D or S from a Python int, float or text."""
        if isinstance(value, int):
            kind, raw = "L", _pack("value", "q", value)
        elif isinstance(value, float):
            kind, raw = "D", _pack("value", "d", value)
        else:
            kind, raw = "S", _raw(value)
        slot = cls(_raw(name), kind, _fit("value", raw, 16).ljust(16, b"\0"), cnt, _raw(comment))
        slot.pack()
        return slot

    @classmethod
    def unpack(cls, raw: bytes) -> KeywordSlot:
        """Read a slot from its 128 bytes."""
        name, kind, value, cnt, comment = _KEYWORD.unpack(raw)
        return cls(name.rstrip(b"\0"), kind.decode("latin-1"), value, cnt, comment.rstrip(b"\0"))

    def pack(self) -> bytes:
        """Return the 128 bytes of the slot."""
        if len(self.value) != 16:
            raise FormatError("keyword value", "16 bytes", self.value)
        name = _fit("keyword name", self.name, 16)
        comment = _fit("keyword comment", self.comment, 80)
        kind = self.type.encode("latin-1")
        return _pack_as("keyword", _KEYWORD, name, kind, self.value, self.cnt, comment)

    @property
    def is_end(self) -> bool:
        """True if the slot ends the list."""
        return self.name[:1] in (b"", b"\0")

    @property
    def name_text(self) -> str:
        return _text(self.name)

    @property
    def comment_text(self) -> str:
        return _text(self.comment)

    @property
    def decoded(self) -> int | float | str | None:
        """The value as int (L), float (D) or str (S); None for an unused slot."""
        if self.type == "L":
            return struct.unpack_from("<q", self.value)[0]
        if self.type == "D":
            return struct.unpack_from("<d", self.value)[0]
        if self.type == "S":
            return _text(self.value)
        if self.type in ("N", "\0"):
            return None
        raise FormatError("keyword type", "one of L, D, S, N or NUL", self.type)


_TRACE_KEYS = (
    "triggermode",
    "procwrite_PID",
    "trigger_inode",
    "ts_procstart",
    "ts_streamupdate",
    "trigsemindex",
    "triggerstatus",
    "cnt0",
)


def _unpack_trace(raw: bytes) -> dict[str, Any]:
    mode, pid, inode, s0, n0, s1, n1, sem, status, cnt0 = _TRACE.unpack(raw)
    values = (mode, pid, inode, (s0, n0), (s1, n1), sem, status, cnt0)
    return dict(zip(_TRACE_KEYS, values, strict=True))


def _pack_trace(entry: Mapping[str, Any]) -> bytes:
    mode, pid, inode, start, update, sem, status, cnt0 = (entry[key] for key in _TRACE_KEYS)
    return _pack_as("trace", _TRACE, mode, pid, inode, *start, *update, sem, status, cnt0)


def empty_trace_entry() -> dict[str, Any]:
    """Return a process trace entry as a new stream has it."""
    return _unpack_trace(bytes(_TRACE.size)) | {"trigsemindex": -1}


def _unpack_ring_record(raw: bytes) -> dict[str, Any]:
    cnt0, cnt1, s0, n0, s1, n1 = _RING_RECORD.unpack(raw)
    return {"cnt0": cnt0, "cnt1": cnt1, "atime": (s0, n0), "writetime": (s1, n1)}


def _pack_ring_record(record: Mapping[str, Any]) -> bytes:
    times = (*record["atime"], *record["writetime"])
    return _pack_as("ring_records", _RING_RECORD, record["cnt0"], record["cnt1"], *times)


def empty_ring_record() -> dict[str, Any]:
    """Return a ring slot record as a new stream has it."""
    return _unpack_ring_record(bytes(_RING_RECORD.size))


def _unpack_history(raw: bytes) -> dict[str, Any]:
    cnt0, pid, sec, nsec = _HISTORY_RECORD.unpack(raw)
    return {"cnt0": cnt0, "wpid": pid, "writetime": (sec, nsec)}


def _pack_history(record: Mapping[str, Any]) -> bytes:
    values = (record["cnt0"], record["wpid"], *record["writetime"])
    return _pack_as("write_history", _HISTORY_RECORD, *values)


class Section(NamedTuple):
    """Place of a section: ``size`` is its content, ``stored_size`` that rounded up to 8."""

    offset: int
    size: int
    stored_size: int


def _has_slice_arrays(imagetype: int) -> bool:
    return imagetype & KIND_AND_AXIS_MASK == TEMPORAL_RING


def _sections(
    layout: str,
    *,
    frame_nbytes: int,
    depth: int,
    nbkw: int,
    nbsem: int,
    nbproctrace: int,
    cbsize: int,
    imagetype: int,
    location: int,
) -> dict[str, Section]:
    sizes = {"metadata": METADATA_SIZE[layout]}
    if location == -1:
        sizes["array"] = frame_nbytes
    sizes["keywords"] = _KEYWORD.size * nbkw
    sizes["semfile"] = SEM_NBYTES * nbsem
    sizes["semlog"] = SEM_NBYTES
    for name in ("semReadPID", "semWritePID", "semctrl", "semstatus"):
        sizes[name] = 4 * nbsem
    sizes["streamproctrace"] = _TRACE.size * nbproctrace
    if _has_slice_arrays(imagetype):
        sizes["atimearray"] = _TIMESPEC.size * depth
        sizes["writetimearray"] = _TIMESPEC.size * depth
        sizes["cntarray"] = 8 * depth
    sizes["CircBuff_md"] = _RING_RECORD.size * cbsize
    if cbsize > 0:
        sizes["CBimdata"] = frame_nbytes * cbsize
    if "writehistory" in layout:
        sizes["writehist"] = _HISTORY_RECORD.size * NB_WRITE_HISTORY

    table = {}
    offset = 0
    for name, size in sizes.items():
        stored_size = (size + 7) & ~7
        table[name] = Section(offset, size, stored_size)
        offset += stored_size
    return table


def _total(table: Mapping[str, Section]) -> int:
    return sum(section.stored_size for section in table.values())


def section_table(
    size: Sequence[int],
    datatype_code: int,
    *,
    nbkw: int = 50,
    nbsem: int = 10,
    nbproctrace: int = NB_PROCTRACE,
    imagetype: int = MATH_DATA,
    cbsize: int = 0,
    location: int = -1,
    layout: str = "default",
) -> dict[str, Section]:
    """Return the sections present in a stream file, in file order.

    Parameters
    ----------
    size : sequence of 1 to 3 int
        Used axes in storage order, fastest first.
    datatype_code : int
        A key of `DATATYPES`.
    """
    return _sections(
        layout,
        frame_nbytes=math.prod(size) * np.dtype(DATATYPES[datatype_code]).itemsize,
        depth=size[2] if len(size) == 3 else 0,
        nbkw=nbkw,
        nbsem=nbsem,
        nbproctrace=nbproctrace,
        cbsize=cbsize,
        imagetype=imagetype,
        location=location,
    )


def file_size(size: Sequence[int], datatype_code: int, **options: Any) -> int:
    """Return the exact size in bytes of a stream file; options as for `section_table`."""
    return _total(section_table(size, datatype_code, **options))


@dataclass(kw_only=True)
class StreamFile:
    """Everything stored in one stream file, as plain Python values.

    The counts ``NBkw``, ``sem``, ``NBproctrace`` and ``CBsize`` are the lengths of the lists
    they describe. Fields that a layout does not store are 0 or an empty list.

    ``version`` and ``name`` come without trailing NULs. Should anything follow a NUL inside
    the field it stays in the text, so that leftovers show up in comparisons.
    """

    layout: str = "default"
    version: str = VERSION
    name: str
    naxis: int
    size: list[int]
    nelement: int
    datatype: int
    imagetype: int = MATH_DATA
    creationtime: Timespec = (0, 0)
    lastaccesstime: Timespec = (0, 0)
    atime: Timespec = (0, 0)
    writetime: Timespec = (0, 0)
    creatorPID: int = 0
    ownerPID: int = 0
    shared: int = 1
    inode: int = 0
    location: int = -1
    status: int = 0
    flag: int = 0
    logflag: int = 0
    cnt0: int = 0
    cnt1: int = 0
    cnt2: int = 0
    write: int = 0
    CBindex: int = 0
    CBcycle: int = 0
    imdatamemsize: int
    cuda_handle: bytes = bytes(64)

    pixels: bytes
    keyword_slots: list[KeywordSlot] = field(default_factory=list)
    semaphores: list[bytes] = field(default_factory=list)
    semlog: bytes = bytes(SEM_NBYTES)
    semReadPID: list[int] = field(default_factory=list)
    semWritePID: list[int] = field(default_factory=list)
    semctrl: list[int] = field(default_factory=list)
    semstatus: list[int] = field(default_factory=list)
    trace: list[dict[str, Any]] = field(default_factory=list)
    atimearray: list[Timespec] = field(default_factory=list)
    writetimearray: list[Timespec] = field(default_factory=list)
    cntarray: list[int] = field(default_factory=list)
    ring_records: list[dict[str, Any]] = field(default_factory=list)
    ring_slots: list[bytes] = field(default_factory=list)

    wCBindex: int = 0
    wCBcycle: int = 0
    write_history: list[dict[str, Any]] = field(default_factory=list)

    lastPos: int = 0
    lastNb: int = 0
    packetNb: int = 0
    packetTotal: int = 0
    lastNbArray: list[int] = field(default_factory=list)

    @property
    def NBkw(self) -> int:
        return len(self.keyword_slots)

    @property
    def sem(self) -> int:
        return len(self.semaphores)

    @property
    def NBproctrace(self) -> int:
        return len(self.trace)

    @property
    def CBsize(self) -> int:
        return len(self.ring_slots)

    @property
    def cudaMemHandle(self) -> bytes:
        return self.cuda_handle

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a frame as a C-ordered array: the used axes, slowest first."""
        return tuple(reversed(self.size[: self.naxis]))

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(DATATYPES[self.datatype])

    @property
    def sem_values(self) -> list[int]:
        """Current value of every semaphore."""
        return [_sem_value(word) for word in self.semaphores]

    @property
    def semlog_value(self) -> int:
        return _sem_value(self.semlog)

    def used_keywords(self) -> list[KeywordSlot]:
        """Return the slots up to the end of the list: the first empty name, or all of them."""
        used = []
        for slot in self.keyword_slots:
            if slot.is_end:
                break
            used.append(slot)
        return used

    def array(self) -> np.ndarray:
        """Return the array section as a read-only C-ordered array of shape `shape`."""
        if self.location != -1:
            raise ValueError(f"stream {self.name!r}: pixels are on GPU {self.location}")
        return np.frombuffer(self.pixels, self.dtype).reshape(self.shape)

    def slot_array(self, k: int) -> np.ndarray:
        """Return ring slot ``k`` as a read-only C-ordered array of shape `shape`."""
        return np.frombuffer(self.ring_slots[k], self.dtype).reshape(self.shape)

    def sections(self) -> dict[str, Section]:
        """Return the sections of this file, in file order."""
        return _file_sections(self.layout, _header(self))


def _header(stream: StreamFile) -> dict[str, Any]:
    return {f.name: getattr(stream, f.name) for f in _FIELDS[stream.layout]}


def _file_sections(layout: str, header: Mapping[str, Any], nbytes: int = -1) -> dict[str, Section]:
    """Place the sections of a file from its metadata; ``nbytes`` replaces imdatamemsize."""
    return _sections(
        layout,
        frame_nbytes=header["imdatamemsize"] if nbytes < 0 else nbytes,
        depth=header["size"][2],
        nbkw=header["NBkw"],
        nbsem=header["sem"],
        nbproctrace=header["NBproctrace"],
        cbsize=header["CBsize"],
        imagetype=header["imagetype"],
        location=header["location"],
    )


def _check_header(header: Mapping[str, Any]) -> int:
    """Check the fields that lie at the same place in all layouts; return the frame's nbytes."""

    def require(ok: bool, name: str, expected: object) -> None:
        if not ok:
            raise FormatError(name, expected, header[name])

    naxis, size = header["naxis"], header["size"]
    # The version goes first because it is also the last thing a creator writes: until then
    # the other fields mean nothing.
    require(header["version"].startswith("2."), "version", "text starting with '2.'")
    require(header["name"][:1] not in ("", "\0"), "name", "text that is not empty")
    require(header["shared"] == 1, "shared", 1)
    require(1 <= naxis <= 3, "naxis", "1 to 3")
    require(min(size[:naxis]) >= 1, "size", f"at least 1 in each of {naxis} used axes")
    require(not any(size[naxis:]), "size", f"0 beyond the {naxis} used axes")
    require(header["datatype"] in DATATYPES, "datatype", "1 to 13")
    require(header["location"] >= -1, "location", "-1 or a GPU index")
    imagetype = header["imagetype"]
    require(
        imagetype & KIND_AND_AXIS_MASK != CIRCULAR_BUFFER or naxis == 3,
        "imagetype",
        "no circular buffer without axis code unless there are 3 axes",
    )
    nelement = math.prod(size[:naxis])
    require(header["nelement"] == nelement, "nelement", nelement)
    require(nelement <= MAX_NELEMENT, "nelement", f"at most {MAX_NELEMENT}")
    require(
        header["CBsize"] == 0 or header["CBindex"] < header["CBsize"],
        "CBindex",
        f"less than CBsize {header['CBsize']}",
    )
    return nelement * np.dtype(DATATYPES[header["datatype"]]).itemsize


def _find_layout(
    data: bytes, header: Mapping[str, Any], nbytes: int, layouts: Sequence[str]
) -> str:
    """Return the layout under which the stored frame size and the file size are both right.

    At most one layout fits: given the frame size, which is the same for all, no two layouts
    lead to the same file size.
    """
    stored = {
        layout: struct.unpack_from("<Q", data, OFFSETS[layout]["imdatamemsize"])[0]
        for layout in layouts
    }
    plausible = [layout for layout in layouts if stored[layout] == nbytes]
    if not plausible:
        # Without any clue about the layout, the first one wanted is the one to report.
        raise FormatError("imdatamemsize", nbytes, stored[layouts[0]])
    totals = {layout: _total(_file_sections(layout, header, nbytes)) for layout in plausible}
    for layout, total in totals.items():
        if total == len(data):
            return layout
    expected = " or ".join(f"{total} ({layout})" for layout, total in totals.items())
    raise FormatError("file size", expected, len(data))


def decode(data: bytes, *, layout: str | None = None, check_padding: bool = True) -> StreamFile:
    """Decode a whole stream file.

    Parameters
    ----------
    data : bytes-like
        The complete file.
    layout : str, optional
        Accept only this layout; by default the one that fits the file is found.
    check_padding : bool, default True
        Insist that the bytes which belong to no field are 0. This makes `encode` the exact
        inverse for everything that is accepted.

    Raises
    ------
    FormatError
        The file is inconsistent. It is a `ValueError`, its text and attributes name the field,
        what was expected and what was found.

    Notes
    -----
    ``cnt1`` is passed on as it is even where it selects a slice, since there are writers that
    never wrap it.
    """
    data = bytes(data)
    if len(data) < METADATA_SIZE["default"]:
        raise FormatError("file size", f"at least {METADATA_SIZE['default']}", len(data))
    header = {where.name: _unpack(data, where) for where in _HEAD_FIELDS}
    nbytes = _check_header(header)
    layout = _find_layout(data, header, nbytes, LAYOUTS if layout is None else (layout,))
    header = {where.name: _unpack(data, where) for where in _FIELDS[layout]}
    sections = _file_sections(layout, header)

    def content(name: str) -> bytes:
        section = sections.get(name, Section(0, 0, 0))
        return data[section.offset : section.offset + section.size]

    def pieces(name: str, nbytes: int) -> list[bytes]:
        raw = content(name)
        return [raw[start : start + nbytes] for start in range(0, len(raw), nbytes)]

    def numbers(name: str, fmt: str) -> list[int]:
        return [value for (value,) in struct.iter_unpack(f"<{fmt}", content(name))]

    def times(name: str) -> list[Timespec]:
        return [(sec, nsec) for sec, nsec in _TIMESPEC.iter_unpack(content(name))]

    for name in ("NBkw", "sem", "NBproctrace", "CBsize"):
        del header[name]
    header["cuda_handle"] = header.pop("cudaMemHandle")
    stream = StreamFile(
        layout=layout,
        **header,
        pixels=content("array"),
        keyword_slots=[KeywordSlot.unpack(raw) for raw in pieces("keywords", _KEYWORD.size)],
        semaphores=pieces("semfile", SEM_NBYTES),
        semlog=content("semlog"),
        semReadPID=numbers("semReadPID", "i"),
        semWritePID=numbers("semWritePID", "i"),
        semctrl=numbers("semctrl", "I"),
        semstatus=numbers("semstatus", "I"),
        trace=[_unpack_trace(raw) for raw in pieces("streamproctrace", _TRACE.size)],
        atimearray=times("atimearray"),
        writetimearray=times("writetimearray"),
        cntarray=numbers("cntarray", "Q"),
        ring_records=[_unpack_ring_record(r) for r in pieces("CircBuff_md", _RING_RECORD.size)],
        ring_slots=pieces("CBimdata", nbytes),
        write_history=[_unpack_history(r) for r in pieces("writehist", _HISTORY_RECORD.size)],
    )
    if check_padding:
        _require_same(encode(stream), data)
    return stream


def _require_same(again: bytes, data: bytes) -> None:
    """Report the first byte of ``data`` that no field accounts for."""
    if again == data:
        return
    offset = next(i for i, (a, b) in enumerate(zip(again, data, strict=True)) if a != b)
    raise FormatError("padding", f"byte {again[offset]} at offset {offset}", data[offset])


_OPTIONAL_FIELDS = ("wCBindex", "wCBcycle", "lastPos", "lastNb", "packetNb", "packetTotal")


def _check_storable(stream: StreamFile) -> None:
    """Refuse what has no place in the file, or not the place that the counts say."""
    for name in _OPTIONAL_FIELDS:
        if name not in OFFSETS[stream.layout] and getattr(stream, name) != 0:
            raise FormatError(name, f"0 in layout {stream.layout}", getattr(stream, name))
    depth = stream.size[2] if _has_slice_arrays(stream.imagetype) else 0
    expected = {
        "size": 3,
        "pixels": stream.imdatamemsize if stream.location == -1 else 0,
        "cuda_handle": 64,
        "semlog": SEM_NBYTES,
        "semReadPID": stream.sem,
        "semWritePID": stream.sem,
        "semctrl": stream.sem,
        "semstatus": stream.sem,
        "atimearray": depth,
        "writetimearray": depth,
        "cntarray": depth,
        "ring_records": stream.CBsize,
        "write_history": NB_WRITE_HISTORY if "writehistory" in stream.layout else 0,
        "lastNbArray": NB_PARTIAL_PACKETS if "dao" in stream.layout else 0,
    }
    for name, length in expected.items():
        found = len(getattr(stream, name))
        if found != length:
            raise FormatError(name, f"length {length}", found)
    for name, items, length in (
        ("semaphores", stream.semaphores, SEM_NBYTES),
        ("ring_slots", stream.ring_slots, stream.imdatamemsize),
    ):
        for k, item in enumerate(items):
            if len(item) != length:
                raise FormatError(f"{name}[{k}]", f"length {length}", len(item))


def encode(stream: StreamFile) -> bytes:
    """Return the bytes of a stream file, padding zero.

    It is only checked that everything has its place. Metadata that contradict each other are
    written as they are, so that tests can make bad files.
    """
    _check_storable(stream)
    header = _header(stream)
    sections = _file_sections(stream.layout, header)
    data = bytearray(_total(sections))

    for name, value in header.items():
        patch(data, name, value, stream.layout)

    def put(name: str, raw: bytes) -> None:
        if raw:
            start = sections[name].offset
            data[start : start + len(raw)] = raw

    def put_numbers(name: str, fmt: str) -> None:
        values = getattr(stream, name)
        put(name, _pack(name, f"{len(values)}{fmt}", values))

    def put_times(name: str) -> None:
        put(name, b"".join(_pack_as(name, _TIMESPEC, *time) for time in getattr(stream, name)))

    put("array", stream.pixels)
    put("keywords", b"".join(slot.pack() for slot in stream.keyword_slots))
    put("semfile", b"".join(stream.semaphores))
    put("semlog", stream.semlog)
    put_numbers("semReadPID", "i")
    put_numbers("semWritePID", "i")
    put_numbers("semctrl", "I")
    put_numbers("semstatus", "I")
    put("streamproctrace", b"".join(_pack_trace(entry) for entry in stream.trace))
    put_times("atimearray")
    put_times("writetimearray")
    put_numbers("cntarray", "Q")
    put("CircBuff_md", b"".join(_pack_ring_record(record) for record in stream.ring_records))
    # Slots follow each other without rounding; only the section as a whole is rounded up.
    put("CBimdata", b"".join(stream.ring_slots))
    put("writehist", b"".join(_pack_history(record) for record in stream.write_history))
    return bytes(data)


def fresh(
    name: str | bytes,
    size: Sequence[int],
    datatype_code: int,
    *,
    nbkw: int = 50,
    nbsem: int = 10,
    imagetype: int = MATH_DATA,
    cbsize: int = 0,
    layout: str = "default",
    location: int = -1,
    creationtime: Timespec = (0, 0),
    lastaccesstime: Timespec = (0, 0),
    creatorPID: int = 0,
    inode: int = 0,
) -> StreamFile:
    """Return the content of a stream that was created and not touched since.

    Parameters
    ----------
    name : str or bytes
        Cut to 79 bytes, as the creator does with the stored name.
    size : sequence of 1 to 3 int
        Used axes in storage order, fastest first.
    datatype_code : int
        A key of `DATATYPES`.
    nbkw, nbsem, cbsize : int
        Keyword slots, semaphores and ring slots.
    creationtime, lastaccesstime, creatorPID, inode
        The only values that differ from one creation to the next.

    Raises
    ------
    FormatError
        The creator would refuse these arguments, or a count does not fit its field.
    """
    if datatype_code not in DATATYPES:
        raise FormatError("datatype", "1 to 13", datatype_code)
    for count, value in (("NBkw", nbkw), ("sem", nbsem)):
        if not 0 <= value <= 0xFFFF:
            raise FormatError(count, "0 to 65535", value)
    nelement = math.prod(size)
    nbytes = nelement * np.dtype(DATATYPES[datatype_code]).itemsize
    padded = [*size, 0, 0, 0][: max(3, len(size))]
    depth = padded[2] if _has_slice_arrays(imagetype) else 0
    stream = StreamFile(
        layout=layout,
        name=_raw(name)[: NAME_NBYTES - 1].decode("utf-8", "surrogateescape"),
        naxis=len(size),
        size=padded,
        nelement=nelement,
        datatype=datatype_code,
        imagetype=imagetype,
        creationtime=creationtime,
        lastaccesstime=lastaccesstime,
        creatorPID=creatorPID,
        inode=inode,
        location=location,
        imdatamemsize=nbytes,
        pixels=bytes(nbytes if location == -1 else 0),
        keyword_slots=[KeywordSlot() for _ in range(nbkw)],
        semaphores=[semaphore_word() for _ in range(nbsem)],
        semReadPID=[-1] * nbsem,
        semWritePID=[-1] * nbsem,
        semctrl=[0] * nbsem,
        semstatus=[0] * nbsem,
        trace=[empty_trace_entry() for _ in range(NB_PROCTRACE)],
        atimearray=[(0, 0)] * depth,
        writetimearray=[(0, 0)] * depth,
        cntarray=[0] * depth,
        ring_records=[empty_ring_record() for _ in range(cbsize)],
        ring_slots=[bytes(nbytes)] * cbsize,
        write_history=[
            _unpack_history(bytes(_HISTORY_RECORD.size))
            for _ in range(NB_WRITE_HISTORY if "writehistory" in layout else 0)
        ],
        lastNbArray=[0] * (NB_PARTIAL_PACKETS if "dao" in layout else 0),
    )
    _check_header(_header(stream))
    return stream
