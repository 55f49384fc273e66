"""FITS files by content: opened packed or not, and the HDU that is asked for. Needs astropy (extra ``fits``).

One rule holds for `pymilk.load`, `pymilk.play`, `pymilk.fits.multi_read` and darks. An HDU is named as ds9
and CFITSIO name it: ``file.fits[1]``, ``file.fits[SCI]``, ``file.fits[SCI,2]``; or by an argument ``hdu`` or
an option ``--hdu``. Numbers count from 0, the primary HDU. Without a name it is the first HDU with an image.
"""

from __future__ import annotations

import errno
import io
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

from ..arguments import bad_argument, whole_number
from ..errors import StreamArgumentError, StreamError, StreamFormatError
from ..system.causes import ended_resources
from ..system.extras import optional_library
from ..system.files import file_error
from ..system.memory import free_memory
from ..system.regular import regular_file
from .contents import Content, content_of, open_packed
from .fits_headers import check_headers, read_as_far_as_told

__all__ = ["Chosen", "Hdu", "astropy_fits", "check_scale", "checked_hdu", "choose", "opened", "silenced",
           "split_hdu", "unpacked"]  # fmt: skip

#: Number, name, or name and version (EXTVER) of an HDU.
Hdu = int | str | tuple[str, int]

#: A path with an HDU behind it.
_WITH_HDU = re.compile(r"(.+)\[([^\[\]]+)\]", re.DOTALL)


class Chosen(NamedTuple):
    """An HDU of a file.

    Attributes
    ----------
    hdu : HDU of astropy
    number : int
    label : str
        How to ask for it again: ``"[SCI]"``, ``"[0]"``.
    others : tuple of str
        Labels of further HDUs with images, if none was asked for.
    """

    hdu: Any
    number: int
    label: str
    others: tuple[str, ...]


def astropy_fits() -> Any:
    """Import `astropy.io.fits`, or raise `LibraryMissingError`."""
    return optional_library("astropy.io.fits", "fits", "FITS files")


def split_hdu(path: str) -> tuple[str, Hdu | None]:
    """Divide ``file.fits[SCI]`` into the path and the HDU; a file of that very name comes first."""
    match = _WITH_HDU.fullmatch(path)
    if match is None or os.path.lexists(path):
        return path, None
    return match[1], checked_hdu(match[2])


def checked_hdu(given: Any) -> Hdu | None:
    """Return an HDU as it was asked for: None, a number, a name, or name and version.

    Raises
    ------
    StreamArgumentError
        It is nothing of that kind.
    """
    if given is None:
        return None
    if isinstance(given, str) and given.strip():
        name, comma, version = (part.strip() for part in given.partition(","))
        if not comma:
            return int(name) if name.isdecimal() else name
        if name and version.isdecimal():
            return name, int(version)
    elif isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], str):
        number = whole_number(given[1])
        if number is not None:
            return given[0], number
    else:
        number = whole_number(given)
        if number is not None and number >= 0:
            return number
    wanted = "the number of an HDU (0 is the primary), its name, or name and version (SCI,2)"
    raise bad_argument("hdu", given, wanted)


@contextmanager
def opened(source: Any, path: str, argument: str = "path", **options: Any) -> Iterator[Any]:
    """Open a FITS file with astropy; what goes wrong within the block becomes an error of pymilk.

    Parameters
    ----------
    source : str or file object
        The path, or what `unpacked` gives.
    path : str
        For messages.
    argument : str, default "path"
        Name of the argument that the path came from.
    **options
        Of `astropy.io.fits.open`.

    Raises
    ------
    StreamNotFoundError, StreamPermissionError
        The file is not there, or cannot be read.
    StreamFormatError
        It is no FITS file, or it is damaged.
    """
    fits = astropy_fits()
    try:
        with ExitStack() as stack:
            if isinstance(source, str):
                source = stack.enter_context(_file(source))
            check_headers(source, path)
            yield stack.enter_context(fits.open(source, **options))
    except (StreamError, MemoryError):
        raise
    except Exception as error:  # astropy has no error of its own for damaged files: anything can come
        # A header may tell of places beyond the largest file, which the system calls invalid.
        cause = ended_resources(error)
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            cause = error
        if cause is not None:
            raise file_error(cause, path, "read", argument) from error
        raise StreamFormatError(
            f"{path} is no FITS file, or it is damaged: {str(error) or type(error).__name__}",
            path=path,
            field="file",
            expected="FITS",
            found=repr(error),
        ) from error


def _file(path: str) -> Any:
    """Open a file, or its unpacked content: astropy leaves its own open where it finds it damaged."""
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    content = content_of(path)
    return io.BytesIO(unpacked(path, content)) if content.packed else regular_file(path)


def unpacked(path: str, content: Content) -> bytes:
    """Return the bytes of a file that is packed as a whole.

    Raises
    ------
    StreamFormatError
        It is damaged, or an archive of several files.
    """
    try:
        with open_packed(path, content.packed) as file:
            return read_as_far_as_told(file, path, free_memory() // 2)
    except (StreamError, MemoryError):
        raise
    except Exception as error:  # of any of these libraries
        ended = ended_resources(error)
        if ended is not None:
            raise file_error(ended, path, "read") from error
        raise StreamFormatError(
            f"{path} ({content.words}) cannot be unpacked: {error}",
            path=path,
            field="file",
            expected="FITS",
            found=str(error),
        ) from error


def choose(hdus: Any, wanted: Hdu | None, path: str) -> Chosen:
    """Return the HDU that is asked for, or the first one with an image.

    Raises
    ------
    StreamArgumentError
        There is no such HDU, or it has no image.
    StreamFormatError
        The file has no image at all.
    """
    if wanted is None:
        return _first(hdus, path)
    for number, hdu, label in _labelled(hdus):
        if _is_called(hdu, number, wanted):
            if _has_image(hdu):
                check_scale(hdu, number, path)
                return Chosen(hdu, number, label, ())
            what = "no pixels" if hdu.is_image else "a table, and no image"
            raise _no_hdu(f"HDU {_words(wanted)} of {path} has {what}", hdus, wanted)
    raise _no_hdu(f"{path} has no HDU {_words(wanted)}", hdus, wanted)


def check_scale(hdu: Any, number: int, path: str) -> None:
    """Raise `StreamFormatError` if the scale of an image is no number: libraries fail in the middle of it."""
    for name in ("BSCALE", "BZERO"):
        found = hdu.header.get(name, 0)
        if not isinstance(found, (int, float)):
            raise StreamFormatError(
                f"{path} is damaged: {name} of HDU [{number}] is no number: {str(found)!r}",
                path=path,
                field=name,
                expected="a number",
                found=found,
            )


def _first(hdus: Any, path: str) -> Chosen:
    """Return the first HDU with an image, and the labels of further ones."""
    found: Chosen | None = None
    others = []
    try:
        for number, hdu, label in _labelled(hdus):
            if not _has_image(hdu):
                continue
            if found is not None:
                others.append(label)
                continue
            check_scale(hdu, number, path)
            found = Chosen(hdu, number, label, ())
            if "SHM_DONE" in hdu.header:
                break  # a recording: behind its cube there may be frames that are not counted yet
    except StreamFormatError:
        raise
    except Exception:  # of astropy: something behind the image is damaged
        if found is None:
            raise
    if found is None:
        raise StreamFormatError(
            f"{path} has no image", path=path, field="NAXIS", expected="1 or more", found=0
        )
    return found._replace(others=tuple(others))


def _has_image(hdu: Any) -> bool:
    if not hdu.is_image or not hdu.header.get("NAXIS", 0):
        return False
    return all(hdu.shape) or "SHM_DONE" in hdu.header  # a recording may have no frame yet


def _is_called(hdu: Any, number: int, wanted: Hdu) -> bool:
    if isinstance(wanted, int):
        return number == wanted
    name, version = wanted if isinstance(wanted, tuple) else (wanted, None)
    found, its_version = _name(hdu)
    return found.upper() == name.upper() and version in (None, its_version)


def _name(hdu: Any) -> tuple[str, Any]:
    """Return name and version of an HDU; none where the cards of them cannot be read."""
    try:
        return hdu.name, hdu.ver
    except astropy_fits().VerifyError:
        return "", None


def _labelled(hdus: Any) -> Iterator[tuple[int, Any, str]]:
    """Give each HDU with its number, and how to ask for it.

    That is its name, or its number where the name would be read as something else, or leads to one before.
    """
    before: set[Hdu] = set()
    for number, hdu in enumerate(hdus):
        name, version = _name(hdu)
        folded, text = name.upper(), name
        read = number > 0 and name.strip() == name != "" and not set(name) & set("[],")
        if version == 1:
            read = read and not name.isdecimal() and folded not in before
        else:
            text = f"{name},{version}"
            read = read and type(version) is int and version >= 0 and (folded, version) not in before
        yield number, hdu, f"[{text}]" if read else f"[{number}]"
        before |= {folded, (folded, version)}


def _words(wanted: Hdu) -> str:
    return f"{wanted[0]},{wanted[1]}" if isinstance(wanted, tuple) else str(wanted)


def _no_hdu(text: str, hdus: Any, wanted: Hdu) -> StreamArgumentError:
    """Return the error for an HDU that is not there, with those that are."""
    images = [label for _, hdu, label in _labelled(hdus) if _has_image(hdu)]
    there = f"it has images in {', '.join(images)}" if images else "it has no image"
    return StreamArgumentError(f"{text}; {there}", argument="hdu", found=wanted)


@contextmanager
def silenced() -> Iterator[None]:
    """Keep astropy from warning about what becomes an error here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
