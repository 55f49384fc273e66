"""What a file holds, told by its first bytes and not by its name."""

from __future__ import annotations

import importlib
import os
import stat
from typing import Any, NamedTuple

from ..system.causes import ended_resources

__all__ = ["Content", "content_of", "open_packed"]


class Content(NamedTuple):
    """What is in a file.

    Attributes
    ----------
    kind : str
        A short word to decide by: ``"fits"``, ``"npy"``, ``"hdf5"``, ``"tiff"``, ``"folder"``, ...
    words : str
        What to call it in a message: "a TIFF image".
    packed : str
        Compression of the whole file (``"gzip"``, ``"bzip2"``, ``"xz"``, ``"zip"``), or an empty string.
    """

    kind: str
    words: str
    packed: str = ""


#: Kind, words, place of the mark in the file, and the mark. The first that fits counts.
_MARKS: tuple[tuple[str, str, int, bytes], ...] = (
    ("fits", "a FITS file", 0, b"SIMPLE  ="),
    ("npy", "an NPY array", 0, b"\x93NUMPY"),
    ("hdf5", "an HDF5 file", 0, b"\x89HDF\r\n\x1a\n"),
    ("tiff", "a TIFF image", 0, b"II*\0"),
    ("tiff", "a TIFF image", 0, b"MM\0*"),
    ("tiff", "a TIFF image", 0, b"II+\0\x08\0"),
    ("tiff", "a TIFF image", 0, b"MM\0+\0\x08"),
    ("png", "a PNG image", 0, b"\x89PNG\r\n\x1a\n"),
    ("jpeg", "a JPEG image", 0, b"\xff\xd8\xff"),
    ("gif", "a GIF image", 0, b"GIF8"),
    ("webp", "a WebP image", 8, b"WEBPVP8"),
    ("avi", "an AVI video", 8, b"AVI LIST"),
    ("mkv", "a Matroska or WebM video", 0, b"\x1aE\xdf\xa3"),
    ("mp4", "an MP4 or MOV video", 4, b"ftyp"),
    ("mp4", "an MP4 or MOV video", 4, b"moov"),
    ("y4m", "a Y4M video", 0, b"YUV4MPEG2"),
    ("mpeg", "an MPEG video", 0, b"\0\0\x01\xba"),
    ("mpeg", "an MPEG video", 0, b"\0\0\x01\xb3"),
    ("wmv", "a WMV video", 0, b"0&\xb2u\x8ef\xcf\x11"),
    ("pdf", "a PDF document", 0, b"%PDF"),
    ("compress", "a file packed by compress (.Z)", 0, b"\x1f\x9d"),
    ("zstd", "a file packed by zstd", 0, b"(\xb5/\xfd"),
    ("7z", "a 7z archive", 0, b"7z\xbc\xaf'\x1c"),
    ("tar", "a tar archive", 257, b"ustar"),
)

#: Bytes that are looked at.
_HEAD_NBYTES = 512


#: Compressions of a whole file: mark, name, and the module that opens it.
_PACKERS = (
    (b"\x1f\x8b", "gzip", "gzip"),
    (b"BZh", "bzip2", "bz2"),
    (b"\xfd7zXZ\0", "xz", "lzma"),
    (b"PK\x03\x04", "zip", "zipfile"),
)


class SeveralFiles(ValueError):
    """An archive has not one file in it."""


def open_packed(path: str, packed: str) -> Any:
    """Open the content of a file that is packed as a whole; of an archive, its only file.

    Parameters
    ----------
    path : str
    packed : str
        See `Content`.

    Returns
    -------
    file object

    Raises
    ------
    Exception
        Of many kinds, if it is damaged; `SeveralFiles` if it is an archive of several.
    """
    [module] = [each for _, name, each in _PACKERS if name == packed]
    library = importlib.import_module(module)  # here, so that nobody waits for it who needs it not
    if packed != "zip":
        return library.open(path)
    archive = library.ZipFile(path)
    names = archive.namelist()
    if len(names) != 1:
        raise SeveralFiles(f"it is an archive of {len(names)} files")
    return archive.open(names[0])


def content_of(path: str) -> Content:
    """Look what is in a file, also under a compression of the whole file.

    Parameters
    ----------
    path : str

    Returns
    -------
    Content
        Of kind ``"unknown"`` if it is none of those known.

    Raises
    ------
    OSError
        It is not there, or cannot be read.
    """
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        return Content("folder", "a folder")
    if not stat.S_ISREG(mode):
        return Content("special", "a pipe, a socket or a device, and no regular file")
    with open(path, "rb") as file:
        head = file.read(_HEAD_NBYTES)
    for mark, name, _ in _PACKERS:
        if head.startswith(mark):
            return _unpacked(path, name)
    return _told_by(head)


def _unpacked(path: str, name: str) -> Content:
    """Look what is in a compressed file."""
    try:
        with open_packed(path, name) as file:
            inside = _told_by(file.read(_HEAD_NBYTES))
    except MemoryError:
        raise
    except SeveralFiles as error:
        return Content("archive", str(error).removeprefix("it is "), name)
    except Exception as error:  # noqa: BLE001 (of any of these libraries)
        ended = ended_resources(error)
        if ended is not None:
            raise ended from error.__cause__
        return Content("damaged", f"a damaged {name} file ({error})", name)
    return Content(inside.kind, f"{inside.words}, packed by {name}", name)


def _told_by(head: bytes) -> Content:
    """Tell the content by the first bytes."""
    if not head:
        return Content("empty", "an empty file")
    for kind, words, place, mark in _MARKS:
        if head[place : place + len(mark)] == mark:
            return Content(kind, words)
    if head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace():
        return Content("pnm", "a PBM, PGM or PPM image")
    if head[0] == 0x47 and head[188:189] == b"\x47":
        return Content("ts", "an MPEG transport stream")
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return Content("bmp", "a BMP image")
    if all(byte >= 0x20 or byte in b"\t\n\r\f\x1b" for byte in head):
        return Content("text", "text")
    return Content("unknown", "of no kind that is known here")
