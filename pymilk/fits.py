"""Arrays and streams in FITS files: orientation, pixel types, header cards. Needs astropy (extra ``fits``).

Two layouts are written. The *old* one, default of `multi_write`, is what scripts have written for years: the
stored form of an image, indexed as ``[x, y]``, is written in C order, so that x is NAXIS2 and viewers show
the image on its side. The *upright* one has the axes of the stream: NAXIS1 is ``size[0]``, which runs
fastest. Viewers show x to the right and row 0 at the bottom. Upright files carry the card `UPRIGHT_CARD`.
Files without it, those of other programs among them, are read in the old layout by `multi_read`, as scripts
expect it, and as viewers show them, ``[y, x]``, by `pymilk.load`, `pymilk.play` and ``pymilk show --dark``.
"""

from __future__ import annotations

import math
import os
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from . import times
from ._types import Array
from .arguments import shown
from .axes import Which3DState, check_symcode, check_tri_dim, decode, encode
from .errors import (
    CaptureMemoryError,
    FitsHeaderWarning,
    StreamArgumentError,
    StreamFormatError,
    StreamUnsupportedError,
)
from .foreign.hdus import astropy_fits, check_scale, checked_hdu, choose, opened, split_hdu
from .native.formats import EVENT, dtype_name
from .system.arrays import as_pixels
from .system.files import checked_path, file_error, memory_error, moved_into_place
from .system.memory import free_memory

__all__ = [
    "UPRIGHT_CARD",
    "UPRIGHT_COMMENT",
    "check_pixels",
    "multi_read",
    "multi_write",
    "stream_cards",
    "stream_facts",
    "stream_header",
    "warn_of_cut",
]

#: The card of upright files, and its value for images and for a single pixel without axes.
UPRIGHT_CARD = "SHM_AXES"
UPRIGHT_COMMENT = "axes as in the stream: NAXIS1 is size[0]"
_AXES, _NO_AXES = "STREAM", "NONE"

#: Names of cards that describe the file or the scale of pixels, and of cards that are not keywords.
_RESERVED = re.compile(
    "SIMPLE|XTENSION|BITPIX|NAXIS[0-9]*|PCOUNT|GCOUNT|GROUPS|TFIELDS|THEAP|EXTEND|EXTNAME|EXTVER|EXTLEVEL"
    f"|INHERIT|BSCALE|BZERO|BLANK|CHECKSUM|DATASUM|END|HISTORY|COMMENT|CONTINUE|HIERARCH|{UPRIGHT_CARD}"
)

#: Cards that describe the file a header comes from, besides those that astropy's strip removes.
_OF_ITS_FILE = (UPRIGHT_CARD, "EXTEND", "BLANK", "CHECKSUM", "DATASUM")

_STANDARD_NAME = re.compile("[A-Z0-9_-]{1,8}")

#: Length of a card, of the value field that numbers and short text are padded to, of the longest name kept,
#: and of a comment in a CONTINUE card.
_CARD, _VALUE, _NAME, _COMMENT = 80, 20, 40, 64

#: How the cards begin in which text goes on.
_GOES_ON = "CONTINUE  "


# -- reading and writing -----------------------------------------------------------------------


def multi_read(
    file_path: str | os.PathLike[str],
    symcode: int = 4,
    tri_dim: int = Which3DState.LAST2LAST,
    *,
    hdu: int | str | tuple[str, int] | None = None,
) -> Any:
    """Read the images of a FITS file.

    Parameters
    ----------
    file_path : str or PathLike
        Compressed files work as well. ``"file.fits[SCI]"`` reads that HDU alone.
    symcode : int, default 4
    tri_dim : Which3DState, default LAST2LAST
        Orientation to return the image in. With those that it was written with, the array is as it was.
    hdu : int, str or (str, int), optional
        Read this HDU alone: number (0 is the primary), name, or name and version.

    Returns
    -------
    ndarray, or tuple
        The image of a file with one HDU, or of the one that was asked for; of one with several, a tuple with
        an array for each, or None for one without pixels. Native byte order; memory of its own, which the
        caller may change. The images of several HDUs are turned only if they were written upright.

    Raises
    ------
    StreamNotFoundError, StreamPermissionError
        The file is not there, or cannot be read.
    StreamFormatError
        It is not a FITS file, is damaged, or has no image.
    StreamArgumentError
        `symcode`, `tri_dim` or the path are none; or there is no such HDU, or it is a table.
    LibraryMissingError
        An ImportError: astropy is not installed.

    Notes
    -----
    The whole file is read into memory. Pixels are those that astropy gives: scaled integers become what
    their scale says, unsigned ones come back unsigned, and missing ones (BLANK) are NaN.
    """
    check_symcode(symcode)
    check_tri_dim(tri_dim)
    astropy_fits()
    path, named = split_hdu(checked_path(file_path, "a FITS file", "file_path"))
    wanted = checked_hdu(hdu) if named is None else named
    try:
        with opened(path, path, "file_path", memmap=False) as hdus:
            chosen = list(enumerate(hdus)) if wanted is None else [choose(hdus, wanted, path)[1::-1]]
            found = [(_data_of(hdu, number, path), hdu.header.get(UPRIGHT_CARD)) for number, hdu in chosen]
    except CaptureMemoryError:
        raise
    except MemoryError as error:
        raise memory_error(path, "read", os.path.getsize(path)) from error
    images = [_as_user(data, axes, symcode, tri_dim, alone=len(found) == 1) for data, axes in found]
    if len(images) > 1:
        return tuple(images)
    if images[0] is None:
        raise StreamFormatError(
            f"{path} has no image: its only HDU has no pixels",
            path=path,
            field="NAXIS",
            expected="1 or more",
            found=0,
        )
    return images[0]


def multi_write(
    file_path: str | os.PathLike[str],
    data: Any,
    symcode: int = 4,
    tri_dim: int = Which3DState.LAST2LAST,
    *,
    upright: bool = False,
    header: Any = None,
) -> None:
    """Write one image, or several, into a FITS file; one of that name is replaced.

    Parameters
    ----------
    file_path : str or PathLike
        With the ending ``.gz`` it is compressed.
    data : ndarray, or iterable of array_like
        An array becomes the primary HDU. Of an iterable every item becomes an HDU, the first one the
        primary; in the old layout these are written as they are, without orientation. Masked pixels become
        NaN; with integers they are refused.
    symcode : int, default 4
    tri_dim : Which3DState, default LAST2LAST
        Orientation of `data`: that of the `SHM` it comes from.
    upright : bool, default False
        True: the axes of the file are those of the stream, and viewers show row 0 at the bottom and x to the
        right. False: the old layout. `multi_read` recognises both.
    header : dict or astropy.io.fits.Header, optional
        Further cards of the primary HDU. A dict has name to value or to ``(value, comment)``, as
        `SHM.get_keywords` gives them, and what FITS cannot hold is changed as `stream_header` says. Of a
        Header the cards that describe the layout of its own image are left out.

    Raises
    ------
    StreamUnsupportedError
        FITS has no such pixels: complex, float16, bool.
    StreamArgumentError
        No image, an image without pixels, or `symcode`, `tri_dim`, `header` or the path are not valid.
    StreamNotFoundError, StreamPermissionError, StreamStorageError
        The directory does not exist, is not writable, or is full.
    StreamExistsError
        The path leads to a pipe, a socket or a device.
    LibraryMissingError
        An ImportError: astropy is not installed.

    Notes
    -----
    The file is written under a hidden name in the same directory and renamed, so that it is always complete.
    `data` is never changed, not even for a moment. Unsigned integers and int8 are stored with an offset, as
    FITS defines it, and keep their values and type.
    """
    check_symcode(symcode)
    check_tri_dim(tri_dim)
    fits = astropy_fits()
    path = checked_path(file_path, "a FITS file", "file_path")
    alone = isinstance(data, np.ndarray)
    hdus = fits.HDUList()
    for item in [data] if alone else _items(data):
        pixels = _pixels(item)
        cards = _header_of(fits, header) if not hdus else fits.Header()
        if upright:
            axes = _AXES if pixels.ndim else _NO_AXES
            cards.insert(0, (UPRIGHT_CARD, axes, UPRIGHT_COMMENT))
            pixels = _stream_order(pixels, symcode, tri_dim)
        elif alone:
            pixels = encode(pixels, symcode, tri_dim)
        # FITS has no image without axes. Astropy may swap the bytes of an array in place while it writes,
        # which other threads, and other processes that use the stream, would see.
        pixels = pixels.reshape(1) if pixels.ndim == 0 else pixels.view()
        pixels.flags.writeable = False
        hdus.append((fits.ImageHDU if hdus else fits.PrimaryHDU)(pixels, header=cards))
    if not hdus:
        raise StreamArgumentError("there is no image to write", argument="data", found=data)
    try:
        with moved_into_place(path) as hidden:
            hdus.writeto(hidden)
    except OSError as error:
        raise file_error(error, path, "written", "file_path") from error
    except (ValueError, fits.VerifyError) as error:
        raise StreamArgumentError(
            f"{path} cannot be written with this header: {error}", argument="header", found=header
        ) from error


def _items(data: Any) -> Iterable[Any]:
    if not isinstance(data, Iterable):
        raise StreamArgumentError(
            f"data is an array or an iterable of arrays, not {type(data).__name__}",
            argument="data",
            found=data,
        )
    return data


def _pixels(item: Any) -> Array:
    """Return an item as an array that FITS can store, in native byte order."""
    pixels = as_pixels(item, "data")
    dtype = pixels.dtype.newbyteorder("=")
    check_pixels(dtype)
    if pixels.size == 0:
        raise StreamArgumentError(
            f"an image of shape {pixels.shape} has no pixels", argument="data", found=pixels.shape
        )
    return pixels.astype(dtype, copy=False)


def check_pixels(dtype: np.dtype[Any]) -> None:
    """Raise `StreamUnsupportedError` if FITS has no pixels of this type."""
    if not (dtype.kind in "iu" or dtype in (np.float32, np.float64)):
        what = dtype_name(dtype) if dtype == EVENT else dtype
        raise StreamUnsupportedError(f"FITS has no pixels of {what}; {_advice(dtype)}")


def _advice(dtype: np.dtype[Any]) -> str:
    """Return advice how to convert pixels that FITS does not have."""
    if dtype.kind == "c":
        part = "float32" if dtype == np.complex64 else "float64"
        return f"write the {part} arrays .real and .imag, for example as two images"
    if dtype.kind == "f":
        return f"convert them with astype({'float32' if dtype == np.float16 else 'float64'!r})"
    if dtype.kind == "b":
        return "convert them with astype('uint8')"
    if dtype.names:
        return f"write each field as an image, for example frame[{dtype.names[-1]!r}]"
    return "convert them to integers, float32 or float64"


def _stream_order(pixels: Array, symcode: int, tri_dim: int) -> Array:
    """Return an image of the user with the axes of the stream in C order. A view."""
    return encode(pixels, symcode, tri_dim).T if pixels.ndim in (2, 3) else pixels


def _data_of(hdu: Any, number: int, path: str) -> Any:
    """Return the pixels of an image, or the rows of a table, as astropy gives them.

    None for an HDU of another kind: random groups, and one that is marked as no standard.
    """
    if not hdu.is_image:
        return hdu.data if hasattr(hdu, "columns") and not isinstance(hdu, astropy_fits().GroupsHDU) else None
    check_scale(hdu, number, path)
    _check_room(hdu, path)
    if hdu.header["BITPIX"] != 8 or hdu.header.get("BSCALE", 1) != 1 or hdu.header.get("BZERO", 0) != -128:
        return hdu.data
    # Signed bytes, of which astropy fails to make integers if they have a BLANK or a BZERO with a point.
    with opened(path, path, "file_path", memmap=False, do_not_scale_image_data=True) as stored:
        return (stored[number].data ^ np.uint8(0x80)).view(np.int8)


def _check_room(hdu: Any, path: str) -> None:
    """Raise `CaptureMemoryError` if the pixels that an HDU promises, twice as float64, find no room."""
    needed, available = 2 * 8 * math.prod(map(int, hdu.shape)), free_memory()
    if needed > available and type(hdu).__name__ == "CompImageHDU":
        raise CaptureMemoryError(
            f"{path} cannot be read: its pixels of shape {hdu.shape} are packed, which may take {needed} "
            f"bytes of memory, and {available} are free",
            needed=needed,
            available=available,
        )


def _as_user(data: Any, axes: Any, symcode: int, tri_dim: int, *, alone: bool) -> Any:
    """Return the image of an HDU in the orientation of the user; None if it has no pixels."""
    if data is None or data.dtype.names:  # tables are not turned
        return data
    pixels = data.astype(data.dtype.newbyteorder("="), copy=False)
    if axes == _NO_AXES:
        return pixels.reshape(())
    if axes == _AXES:
        return decode(pixels.T, symcode, tri_dim) if pixels.ndim in (2, 3) else pixels
    return decode(pixels, symcode, tri_dim) if alone else pixels


# -- header cards ------------------------------------------------------------------------------


def stream_header(
    keywords: Iterable[tuple[Any, ...]] = (),
    *,
    name: str | None = None,
    symcode: int | None = None,
    tri_dim: int | None = None,
    cnt0: int | None = None,
    atime_ns: int | None = None,
    wtime_ns: int | None = None,
    tai_offset: int | None = None,
) -> Any:
    """Return keywords, times and counter of a stream as a FITS header, for `multi_write`.

    Parameters
    ----------
    keywords : iterable of Keyword
        Or of other tuples that begin with name, value and comment.
    name : str, optional
        Of the stream: card SHM_NAME.
    symcode, tri_dim : int, optional
        Orientation to read the file with to get the same image: cards SYMCODE and TRI_DIM.
    cnt0 : int, optional
        Counter of the frame: card CNT0.
    atime_ns, wtime_ns : int, optional
        Acquisition and write time, nanoseconds of CLOCK_TAI: cards ATIME_NS and WTIME_NS, as they are. The
        acquisition time also becomes DATE-OBS in UTC, with TIMESYS and the offset used, TAI-UTC. A time of
        0 is "never": there is no DATE-OBS then.
    tai_offset : int, optional
        Seconds that TAI was ahead of UTC on the writer's machine; default `pymilk.times.tai_offset`.

    Returns
    -------
    astropy.io.fits.Header
        These cards first, then the keywords in their order.

    Raises
    ------
    StreamArgumentError
        A value is not a number, text or None.
    LibraryMissingError
        An ImportError: astropy is not installed.

    Notes
    -----
    No keyword of a stream is refused. Names and values that FITS cannot store are changed:

    - Names of more than 8 characters, or not of ``A-Z 0-9 _ -`` alone, become HIERARCH cards. Characters
      other than letters, digits, ``_`` and ``-`` become ``_``.
    - A name that FITS uses itself (NAXIS, BZERO, COMMENT, ...), or that is taken already in any case, becomes
      ``HIERARCH KW <name>``, with a number behind if that is taken too.
    - NaN and infinities become the text "nan", "inf" or "-inf"; integers beyond 64 bits hexadecimal text.
      Numbers of more digits than the 20 characters of a value field hold lose the last ones.
    - Characters beyond printable ASCII are written as Python escapes: ``\\n``, ``\\xe9``. Text and its
      comment go on in CONTINUE cards if they are too long for one; blanks at the end of text are lost, as
      ever in FITS. Comments of numbers cannot go on, and are cut: one `FitsHeaderWarning` names them.
    """
    facts = stream_facts(
        name=name,
        symcode=symcode,
        tri_dim=tri_dim,
        cnt0=cnt0,
        atime_ns=atime_ns,
        wtime_ns=wtime_ns,
        tai_offset=tai_offset,
    )
    header, cut = stream_cards(facts, keywords)
    warn_of_cut(cut)
    return header


def stream_facts(
    *,
    name: str | None = None,
    symcode: int | None = None,
    tri_dim: int | None = None,
    cnt0: int | None = None,
    atime_ns: int | None = None,
    wtime_ns: int | None = None,
    tai_offset: int | None = None,
) -> list[tuple[str, Any, str]]:
    """Return the cards of `stream_header` that are no keywords, as (name, value, comment)."""
    facts: list[tuple[str, Any, str]] = []
    if atime_ns is not None and 0 < atime_ns <= times.LAST_DATE_NS:
        offset = times.tai_offset() if tai_offset is None else tai_offset
        facts += [
            ("DATE-OBS", str(times.to_utc(atime_ns, offset)), "UTC of the acquisition"),
            ("TIMESYS", "UTC", "time scale of DATE-OBS"),
            ("TAI-UTC", offset, "[s] offset used for DATE-OBS"),
        ]
    others = (
        ("ATIME_NS", atime_ns, "[ns] acquisition time, TAI since 1970"),
        ("WTIME_NS", wtime_ns, "[ns] write time, TAI since 1970"),
        ("CNT0", cnt0, "frames published so far"),
        ("SHM_NAME", name, "name of the stream"),
        ("SYMCODE", symcode, "orientation in the program that wrote this"),
        ("TRI_DIM", None if tri_dim is None else int(tri_dim), "stack axis in that program"),
    )
    return facts + [card for card in others if card[1] is not None]


def stream_cards(
    facts: Iterable[tuple[str, Any, str]],
    keywords: Iterable[tuple[Any, ...]],
    taken: Iterable[str] = (),
) -> tuple[Any, list[str]]:
    """Return these cards and the keywords as a header, and the names of cards whose comments were cut.

    Parameters
    ----------
    facts : iterable of (name, value, comment)
        See `stream_facts`.
    keywords : iterable of Keyword
    taken : iterable of str
        Names of further cards of the file, which keywords cannot have.
    """
    cards = _Cards(astropy_fits(), taken)
    for card, value, comment in facts:
        cards.add(card, value, comment)
    for keyword, value, comment, *_ in keywords:
        cards.add(keyword, value, comment or "")
    return cards.header, cards.cut


def warn_of_cut(names: Sequence[str], stacklevel: int = 3) -> None:
    """Warn once of all comments that were cut."""
    if names:
        warnings.warn(
            f"comments of {', '.join(names)} were cut: a number and its comment have 80 characters in a FITS "
            "header",
            FitsHeaderWarning,
            stacklevel=stacklevel,
        )


class _Cards:
    """A header that is being built; changes what FITS cannot store."""

    def __init__(self, fits: Any, taken: Iterable[str] = ()) -> None:
        self.header = fits.Header()
        self.cut: list[str] = []
        self._card = fits.Card
        self._taken = set(taken)

    def add(self, name: str, value: Any, comment: str = "") -> None:
        """Append a card."""
        given = _value(name, value)
        free = self._free(name)
        # Name first, then value: a card made of both at once misreads some text as a record-valued card.
        card = self._card(free)
        room = _CARD - max(len(free) + len(" = "), len("KEYWORD = "))
        text = _ascii(comment)
        if isinstance(given, str):
            width = max(_VALUE, len(given) + given.count("'") + len("''"))
            if width + (len(" / ") + len(text) if text else 0) > room:
                self.header.append(self._card.fromstring(_long_image(free, given, text)), end=True)
                return
        else:
            width = max(_VALUE, len(str(given)))
        card.value = given
        card.comment = text[: max(0, room - width - len(" / "))]
        if card.comment != text:
            self.cut.append(name)
        self.header.append(card, end=True)

    def _free(self, name: str) -> str:
        """Return a free name for a new card, as astropy expects it."""
        plain = re.sub("[^A-Za-z0-9_-]", "_", name)[:_NAME] or "_"
        free = plain
        number = 1
        while free.upper() in self._taken or _RESERVED.fullmatch(free.upper()):
            free = f"KW {plain}" + (f" {number}" if number > 1 else "")
            number += 1
        self._taken.add(free.upper())
        return free if _STANDARD_NAME.fullmatch(free) else f"HIERARCH {free}"


def _value(name: str, value: Any) -> bool | int | float | complex | str | None:
    """Return the value of a card, as a plain Python object that FITS has."""
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, bool) or plain is None:
        return plain
    if isinstance(plain, str):
        return _ascii(plain)
    if isinstance(plain, int):
        return int(plain) if -(2**63) <= plain < 2**64 else f"{plain:#x}"
    if isinstance(plain, float):
        return plain if math.isfinite(plain) else str(plain)
    raise StreamArgumentError(
        f"header card {name!r}: the value is a number, text or None, not {type(value).__name__}",
        argument="header",
        found=value,
    )


def _ascii(text: str) -> str:
    """Return the text with escapes for what is not printable ASCII."""
    return "".join(
        letter if " " <= letter <= "~" else letter.encode("unicode_escape").decode() for letter in text
    )


def _long_image(name: str, value: str, comment: str) -> str:
    """Return the cards of text that goes on in CONTINUE cards, and its comment behind it."""
    head = f"{name:<8}= " if len(name) <= 8 else f"{name} = "
    cards = []
    rest, comments = value, _lines(comment, _COMMENT) if comment else []
    while True:
        piece, rest = _cut(rest, _CARD - len(head) - len("'&'"))
        cards.append(f"{head}'{_quoted(piece)}{'&' if rest or comments else ''}'")
        head = _GOES_ON
        if not rest:
            break
    for at, line in enumerate(comments, 1):
        cards.append(f"{_GOES_ON}'{'&' if at < len(comments) else ''}' / {line}")
    return "".join(card.ljust(_CARD) for card in cards)


def _quoted(text: str) -> str:
    return text.replace("'", "''")


def _cut(text: str, room: int) -> tuple[str, str]:
    """Divide text into what fits between quotes, where every quote in it takes two places, and the rest."""
    end = min(len(text), room)
    while end + text.count("'", 0, end) > room:
        end -= 1
    return text[:end], text[end:]


def _lines(text: str, room: int) -> list[str]:
    """Divide a comment at blanks, which readers put between the parts."""
    lines = []
    while len(text) > room:
        at = text.rfind(" ", 1, room + 1)
        if at < 1:
            lines.append(text[:room])
            text = text[room:]
        else:
            lines.append(text[:at])
            text = text[at + 1 :]
    return [*lines, text]


def _header_of(fits: Any, given: Any) -> Any:
    """Return the header that a user gave, without cards that would contradict the image."""
    if isinstance(given, fits.Header):
        copied = given.copy(strip=True)
        for name in _OF_ITS_FILE:
            copied.remove(name, ignore_missing=True, remove_all=True)
        warn_of_cut(_fitted(fits, copied), stacklevel=4)
        return copied
    cards = _Cards(fits)
    if given is None:
        return cards.header
    if not isinstance(given, Mapping):
        raise StreamArgumentError(
            f"header is a dict or an astropy Header, not {type(given).__name__}",
            argument="header",
            found=given,
        )
    for name, entry in given.items():
        parts = entry if isinstance(entry, tuple) else (entry,)
        comment = parts[1] if len(parts) == 2 else ""
        if not (isinstance(name, str) and 1 <= len(parts) <= 2 and isinstance(comment, str | None)):
            raise StreamArgumentError(
                f"header card {name!r} is a value or (value, comment), not {shown(entry)}",
                argument="header",
                found=entry,
            )
        cards.add(name, parts[0], comment or "")
    warn_of_cut(cards.cut, stacklevel=4)
    return cards.header


def _fitted(fits: Any, header: Any) -> list[str]:
    """Let text of a header go on in CONTINUE cards where astropy would cut its comment; tell what is cut."""
    cut = []
    for at, card in enumerate(header.cards):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", fits.verify.VerifyWarning)
            image = card.image
        if not any("truncated" in str(each.message) for each in said):
            continue
        name = f"HIERARCH {card.keyword}" if image.startswith("HIERARCH") else card.keyword
        if isinstance(card.value, str):
            del header[at]
            header.insert(at, fits.Card.fromstring(_long_image(name, card.value, card.comment)))
        else:
            cut.append(card.keyword)
            header.comments[at] = fits.Card.fromstring(image).comment
    return cut
