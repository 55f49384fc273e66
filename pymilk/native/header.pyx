"""The header of a stream file: read once, checked once, and turned into places of sections.

Any process may write to a header at any time. So it is copied first (`Snapshot`), and every later address comes from
the checked copy (`Header` of layout.pxd).
"""

cimport cython
from libc.errno cimport errno
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from ..protocol.clock cimport stamp_ns
from .._isio cimport *
from ..protocol.layout cimport *
from ..protocol.port cimport (
    IMAGESTRUCT_VERSION, PYMILK_CYTHON, PYMILK_DEBUG_BUILD, PYMILK_HEADER, PYMILK_HEADER_DAO, PYMILK_HEADER_HISTORY,
)

import errno as _errno
import os
import stat as _stat
import time as _time

from ..arguments import shown
from ..errors import (
    StreamArgumentError,
    StreamError,
    StreamFormatError,
    StreamNotFoundError,
    StreamNotReadyError,
    StreamPermissionError,
    StreamStorageError,
)
from ..names import stream_name, stream_path
from ..system.causes import cause_of
from ..system.files import error_kind
from .formats import DTYPES

__all__ = ["build_info", "header_behind", "read_header"]


cdef str layout_name(Layout layout):
    """Return the name of a layout."""
    if layout.dao:
        return "dao+writehistory" if layout.history else "dao"
    return "writehistory" if layout.history else "default"


cdef Layout layout_of(object name) except *:
    """Return the layout of this name; None is that of the header pymilk was compiled with."""
    cdef Layout layout = Layout(history=PYMILK_HEADER_HISTORY, dao=PYMILK_HEADER_DAO)
    if name is not None:
        if not (isinstance(name, str) and name in ("default", "dao", "writehistory", "dao+writehistory")):
            raise StreamArgumentError(
                f"layout is 'default', 'dao', 'writehistory' or 'dao+writehistory', not {shown(name)}",
                argument="layout", found=name,
            )
        layout.dao = "dao" in name
        layout.history = "writehistory" in name
    return layout


cdef str decode_text(const char *start, size_t limit):
    """Decode a text field up to its first NUL, or all of it. Bytes that are not UTF-8 become surrogates."""
    return bytes(start[:limit]).split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


cdef object format_error(str path, str field, object expected, object found, str advice="",
                         object kind=StreamFormatError):
    """Return an error that names a field of a file, with what it holds and what it should hold."""
    return kind(
        f"{path}: not a usable stream: {field} is {found}, expected {expected}"
        + (f"; {advice}" if advice else ""),
        stream=stream_name(path), path=path, field=field, expected=expected, found=found,
    )


cdef int parse_header(const char *raw, uint64_t file_nbytes, str path, Header *h) except -1:
    """Check one snapshot of a header and fill `h` from it.

    raw holds METADATA_MAX bytes; bytes behind the end of a shorter file are zero.
    """
    check_version(raw, file_nbytes, path)
    check_fields(<const IMAGE_METADATA *>raw, path, h)
    find_layout(raw, file_nbytes, path, h)
    return 0


cdef int check_version(const char *raw, uint64_t file_nbytes, str path) except -1:
    """Raise unless the header is one of ImageStreamIO 2."""
    version = decode_text((<const IMAGE_METADATA *>raw).version, 32)
    if not version:
        raise format_error(
            path, "version", "'2.x'", "empty",
            "the stream is still being created, or its creator died; create it again",
            StreamNotReadyError)
    if not version.startswith("2."):
        words = repr(version) if version.isprintable() else "not text"
        raise format_error(path, "version", "'2.x'", words, foreign_program(raw, file_nbytes))
    return 0


cdef int check_fields(const IMAGE_METADATA *md, str path, Header *h) except -1:
    """Check each field by itself and with the others, and copy them to `h`."""
    cdef uint64_t product = 1, nbytes = 0
    cdef int i
    if not 1 <= md.naxis <= 3:
        raise format_error(path, "naxis", "1 to 3", md.naxis)
    if not md.name[0]:
        raise format_error(path, "name", "a name", "empty")
    if md.shared != 1:
        raise format_error(path, "shared", 1, md.shared)
    if md.imagetype & KIND_AND_AXIS == CIRCULAR_BUFFER and md.naxis != 3:
        raise format_error(path, "naxis", "3 for a circular buffer", md.naxis)
    if md.location < -1:
        raise format_error(path, "location", "-1 or a GPU number", md.location)
    if md.datatype not in DTYPES:
        raise format_error(path, "datatype", "1 to 13 or 20", md.datatype)
    for i in range(md.naxis):
        if md.size[i] == 0:
            raise format_error(path, f"size[{i}]", "1 or more", 0)
        if mul_overflows(product, md.size[i], &product):
            raise format_error(
                path, "size", "a product below 2**64", [md.size[k] for k in range(md.naxis)])
    if md.nelement != product:
        raise format_error(path, "nelement", f"{product} (product of the axes)", md.nelement)
    h.item_nbytes = DTYPES[md.datatype].itemsize
    if mul_overflows(product, h.item_nbytes, &nbytes) or nbytes >> 62:
        raise format_error(path, "nelement", "a frame below 2**62 bytes", md.nelement)
    if md.CBsize and md.CBindex >= md.CBsize:
        raise format_error(path, "CBindex", f"below CBsize {md.CBsize}", md.CBindex)
    h.nelement = product
    h.naxis = md.naxis
    h.datatype = md.datatype
    h.inode = md.inode
    for i in range(3):
        h.size[i] = md.size[i]
    h.n = Counts(
        imagetype=md.imagetype, frame_nbytes=nbytes, slices=md.size[2], cbsize=md.CBsize,
        sem=md.sem, nbkw=md.NBkw, nbtrace=md.NBproctrace, location=md.location)
    note_unit(h)
    return 0


cdef int find_layout(const char *raw, uint64_t file_nbytes, str path, Header *h) except -1:
    """Find the one of the four layouts that has the size of the file, and place its sections."""
    cdef uint64_t nbytes = h.n.frame_nbytes, stored = 0
    cdef Layout layout
    computed = {}
    for layout.dao in range(2):
        for layout.history in range(2):
            memcpy(&stored, raw + at_imdatamemsize(layout), 8)
            if stored != nbytes:
                continue
            if not plan_sections(layout, &h.n, &h.at):
                raise format_error(path, "file size", "below 2**64", "more")
            if h.at.total == file_nbytes:
                h.layout = layout
                return 0
            computed[layout_name(layout)] = h.at.total
    if not computed:
        memcpy(&stored, raw + AT_IMDATAMEMSIZE, 8)
        raise format_error(
            path, "imdatamemsize", f"{nbytes} ({h.nelement} elements of {h.item_nbytes} bytes)", stored)
    raise format_error(
        path, "file size",
        " or ".join(f"{size} ({name} layout)" for name, size in computed.items()), file_nbytes,
        f"the file was {'cut' if file_nbytes < min(computed.values()) else 'extended'}, or its counts were "
        "overwritten")


cdef str foreign_program(const char *raw, uint64_t file_nbytes):
    """Say which other program wrote a file called .im.shm, as far as its header tells."""
    cdef uint32_t axes[3]
    cdef uint64_t nelement, item_nbytes, rest, product = 1
    cdef uint16_t nbkw
    cdef uint8_t naxis = <uint8_t>raw[80], datatype = <uint8_t>raw[104]
    cdef int i
    version = decode_text(raw, 32)
    if version.startswith("1."):
        return (f"this is a stream of ImageStreamIO {version}, whose semaphores are separate files; "
                "recreate it with ImageStreamIO 2")
    if version.startswith("0.0."):
        return (f"this is a stream of ImageStreamIO {version}, with an older header (336 or 368 bytes); "
                "recreate it with ImageStreamIO 2")
    if version[:1] in "3456789" and version[1:2] == ".":
        return f"structure version {version} is newer than this pymilk; look for a newer one"
    if version.startswith("xaosim"):
        return "this file was written by xaosim's own code, with a 336-byte header; recreate it"
    # The oldest headers have no version and begin with the name: naxis at 80, size at 84, nelement
    # at 96, type at 104, NBkw at 178.
    memcpy(axes, raw + 84, 12)
    memcpy(&nelement, raw + 96, 8)
    memcpy(&nbkw, raw + 178, 2)
    if not (1 <= naxis <= 3 and _DATATYPE_UINT8 <= datatype < _DATATYPE_HALF):
        return "the file was not written by ImageStreamIO 2"
    for i in range(naxis):
        product *= axes[i]
    if product != nelement:
        return "the file was not written by ImageStreamIO 2"
    # Durham's DAO appends packet counters to that header; its files end with the keywords.
    item_nbytes = DTYPES[datatype].itemsize
    rest = file_nbytes - nelement * item_nbytes - 120 * nbkw  # wraps around if the header makes no sense
    if rest in (4296, 5344, 16400, 16448):
        return "this file was written by Durham's DAO library, whose header differs; use its own reader"
    return "this file has the header of early CACAO or DAO software, without a version; recreate it"


@cython.final
@cython.auto_pickle(False)
cdef class Snapshot:
    """The header of a stream file, read once and checked, and the file that it was read from."""


cdef int open_file(str path, bint writable, bint follow=True) except -1:
    """Open a stream file, through a symbolic link only if `follow`; errors of the system become ours."""
    cdef int flags = os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK  # a FIFO must not make us wait
    if not follow:
        flags |= os.O_NOFOLLOW
    name = stream_name(path)
    try:
        return os.open(path, flags | (os.O_RDWR if writable else os.O_RDONLY))
    except OSError as error:
        kind = error_kind(error)
        if kind is StreamNotFoundError:
            raise StreamNotFoundError(
                f"no stream {name!r}: {path} does not exist; start its writer, or check MILK_SHM_DIR",
                stream=name, path=path) from None
        if kind is StreamPermissionError:
            raise StreamPermissionError(
                f"{path}: no permission to open it for {'writing' if writable else 'reading'}",
                stream=name, path=path) from None
        if error.errno in (_errno.EISDIR, _errno.ENXIO):  # a directory; a socket or a device
            raise format_error(path, "file", "a regular file", kind_of_file(os.stat(path).st_mode)) from None
        raise StreamStorageError(f"{path}: cannot be opened: {cause_of(error)}", stream=name, path=path) from error


cdef str kind_of_file(unsigned int mode):
    """Name the kind of a file that is no regular file."""
    kinds = (("a directory", _stat.S_ISDIR), ("a FIFO", _stat.S_ISFIFO), ("a socket", _stat.S_ISSOCK),
             ("a device", _stat.S_ISCHR), ("a device", _stat.S_ISBLK))
    return next((kind for kind, fits in kinds if fits(mode)), _stat.filemode(mode))


cdef Snapshot take_snapshot(int fd, str path, int ready_wait_ms):
    """Read and check the header of an open file. A header that is still empty gets `ready_wait_ms` to be written."""
    cdef Snapshot shot = Snapshot.__new__(Snapshot)
    cdef stat st
    cdef char *raw = <char *>shot.raw
    cdef ssize_t got
    while True:
        if fstat(fd, &st) != 0:
            raise StreamError(f"{path}: {os.strerror(errno)}", stream=stream_name(path))
        if not S_ISREG(st.st_mode):
            raise format_error(path, "file", "a regular file", kind_of_file(st.st_mode))
        memset(raw, 0, sizeof(shot.raw))
        got = pread(fd, raw, METADATA_MAX, 0)
        # The C library makes the file, then sets its size, and writes the version last.
        if (got >= METADATA_MIN and raw[0]) or ready_wait_ms <= 0:
            break
        _time.sleep(0.002)
        ready_wait_ms -= 2
    if st.st_size <= METADATA_MIN or got < METADATA_MIN:
        raise format_error(
            path, "file size", f"more than {METADATA_MIN}", min(st.st_size, got), "",
            StreamFormatError if st.st_size else StreamNotReadyError)
    parse_header(raw, st.st_size, path, &shot.h)
    shot.device = st.st_dev
    shot.inode = st.st_ino
    return shot


def read_header(name_or_path):
    """Read and check the header of a stream without mapping it.

    Parameters
    ----------
    name_or_path : str or PathLike

    Returns
    -------
    dict
        ``name``, ``path``, ``version``, ``layout``, ``shape`` (C order), ``dtype``, ``imagetype``,
        ``location``, ``counter``, ``cnt1``, ``write``, ``nbsem``, ``nbkw``, ``cb_size``,
        ``creator_pid``, ``write_time_ns``, ``creation_time_ns``, ``nbytes`` (of the file), ``inode``.

    Raises
    ------
    StreamNotFoundError, StreamPermissionError, StreamFormatError
        As `Stream.attach`.
    """
    path = stream_path(name_or_path)
    cdef int fd = open_file(path, False)
    try:
        return header_behind(fd, path)
    finally:
        c_close(fd)


def header_behind(int fd, str path):
    """Do the same with an open file, which need not have a name any more; `path` is for messages."""
    cdef Snapshot shot = take_snapshot(fd, path, 0)
    cdef IMAGE_METADATA *md = <IMAGE_METADATA *>shot.raw
    return {
        "name": stream_name(path),
        "path": path,
        "version": decode_text(md.version, 32),
        "layout": layout_name(shot.h.layout),
        "shape": tuple([shot.h.size[i] for i in range(shot.h.naxis)][::-1]),
        "dtype": DTYPES[shot.h.datatype],
        "imagetype": md.imagetype,
        "location": md.location,
        "counter": md.cnt0,
        "cnt1": md.cnt1,
        "write": md.write,
        "nbsem": md.sem,
        "nbkw": md.NBkw,
        "cb_size": md.CBsize,
        "creator_pid": md.creatorPID,
        "write_time_ns": stamp_ns(&md.writetime),
        "creation_time_ns": stamp_ns(&md.creationtime),
        "nbytes": shot.h.at.total,
        "inode": shot.inode,
    }


cdef tuple shape_of(const Header *h):
    """Return the shape of the pixels in the file, in C order."""
    return tuple([h.size[i] for i in range(h.naxis)][::-1])


cdef tuple frame_shape_of(const Header *h):
    """Return the shape of one frame: that of a slice where the stream is a temporal cube."""
    return shape_of(h)[1:] if h.temporal else shape_of(h)


def build_info():
    """Return how the compiled modules were built.

    Returns
    -------
    dict
        ``header`` ("bundled" or a path), ``cython``, ``structure_version``, ``layout`` (of streams
        created by default) and ``debug``.
    """
    return {
        "header": PYMILK_HEADER.decode(),
        "cython": PYMILK_CYTHON.decode(),
        "structure_version": IMAGESTRUCT_VERSION.decode(),
        "layout": layout_name(Layout(history=PYMILK_HEADER_HISTORY, dao=PYMILK_HEADER_DAO)),
        "debug": bool(PYMILK_DEBUG_BUILD),
    }
