"""Create streams, and fill them from files."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import numpy as np
import numpy.typing as npt

from .axes import Which3DState, encode
from .errors import (
    FrameMismatchError,
    SeveralImagesError,
    StreamArgumentError,
    StreamFormatError,
    StreamNotFoundError,
    StreamPermissionError,
)
from .fits import multi_read
from .shm import SHM

__all__ = ["creashmim", "read_fits_load_shm", "shm_to_fits"]


def creashmim(
    name: str,
    shape: Any,
    data_type: npt.DTypeLike = np.float32,
    nb_kw: int = 50,
    symcode: int = 4,
    tri_dim: int = Which3DState.LAST2LAST,
    delete_existing: bool = False,
    attempt_reuse: bool = True,
    do_zero: bool = True,
) -> SHM:
    """Return a stream of this shape and pixel type: the existing one, or a new one.

    Parameters
    ----------
    name : str
    shape : sequence of int, or int
        As the user sees a frame, with `symcode` and `tri_dim`. Axes of length 1 count.
    data_type : dtype, default float32
    nb_kw : int, default 50
        Least room for keywords.
    symcode : int, default 4
    tri_dim : Which3DState, default LAST2LAST
        Orientation of the object that is returned.
    delete_existing : bool, default False
        No effect; a new stream replaces any existing file.
    attempt_reuse : bool, default True
        Keep an existing stream of equal shape and pixel type with enough room for keywords. Its pixels are
        kept unless `do_zero` is true, its keywords always. False always makes a new file.
    do_zero : bool, default True
        Publish zeros in a stream that is kept. The first frame of a new stream is always zeros.

    Returns
    -------
    SHM
        Of exactly this shape.

    Raises
    ------
    StreamNameError, StreamArgumentError, StreamStorageError, StreamPermissionError
        As for `SHM`. The existing stream is unchanged then.

    Notes
    -----
    Processes that have a replaced stream attached follow the new one if it has the same shape and pixel type.
    """
    if attempt_reuse:
        found = _reusable(name, shape, data_type, nb_kw, symcode, tri_dim)
        if found is not None:
            if do_zero:
                found.set_data(np.zeros(found.shape, found.nptype))
            return found
    return SHM(name, (shape, data_type), nbkw=nb_kw, symcode=symcode, triDim=tri_dim)


def _reusable(
    name: str, shape: Any, data_type: npt.DTypeLike, nb_kw: int, symcode: int, tri_dim: int
) -> SHM | None:
    """Return the existing stream if it fits; nothing is written to it."""
    try:
        shm = SHM(name, autoSqueeze=False, symcode=symcode, triDim=tri_dim)
    except (StreamNotFoundError, StreamFormatError, StreamPermissionError):
        return None
    wanted = tuple(np.atleast_1d(np.asarray(shape, dtype=object)))
    with contextlib.suppress(TypeError, ValueError):  # invalid: creating the new stream raises the error
        # Compare with the file: `SHM` shows a ring of slices as a stream of images.
        if (
            shm.shape == wanted
            and shm.shape_c == encode(np.broadcast_to(np.uint8(0), shm.shape), symcode, tri_dim).shape
            and np.dtype(shm.nptype) == np.dtype(data_type)
            and shm.mtdata["nbkw"] >= nb_kw
        ):
            return shm
    shm.close()
    return None


def read_fits_load_shm(
    file_path: str | os.PathLike[str],
    shm_name: str,
    symcode: int = 0,
    tri_dim: int = Which3DState.LAST2LAST,
    create_shm: bool = False,
    *,
    hdu: int | str | tuple[str, int] | None = None,
) -> SHM:
    """Publish the image of a FITS file.

    Parameters
    ----------
    file_path : str or PathLike
        With one image, or as ``"file.fits[SCI]"``.
    shm_name : str
    symcode : int, default 0
    tri_dim : Which3DState, default LAST2LAST
        Orientation of the object that is returned. The pixels in the stream do not depend on it.
    create_shm : bool, default False
        Make a new stream, replacing one of that name. False needs one of equal shape and pixel type.
    hdu : int, str or (str, int), optional
        Which image of a file with several: number (0 is the primary), name, or name and version.

    Returns
    -------
    SHM

    Raises
    ------
    SeveralImagesError
        An AssertionError: the file has several images, and none was asked for.
    FrameMismatchError
        The stream has another shape or pixel type; nothing was written.
    StreamNotFoundError
        There is no such file, or no such stream.
    StreamError
        As for `pymilk.fits.multi_read` and `SHM`.
    """
    image = multi_read(file_path, symcode, tri_dim, hdu=hdu)
    if isinstance(image, tuple):
        number = _only_image(image, os.fspath(file_path))
        image = multi_read(file_path, symcode, tri_dim, hdu=number)
    if create_shm:
        return SHM(shm_name, image, symcode=symcode, triDim=tri_dim)
    shm = SHM(shm_name, symcode=symcode, triDim=tri_dim)
    try:
        _check_type(image, shm, os.fspath(file_path))
        shm.set_data(image)
    except BaseException:
        shm.close()
        raise
    return shm


def _only_image(found: tuple[Any, ...], path: str) -> int:
    """Return the number of the HDU with the image, if it is the only one."""
    images = [at for at, each in enumerate(found) if each is not None and not each.dtype.names]
    if len(images) == 1:
        return images[0]
    raise SeveralImagesError(
        f"{path} has {len(found)} HDUs, {len(images)} of them with an image, and a stream takes one image; "
        f"choose with hdu=, or as {path}[1]",
        path=path,
        field="number of HDUs",
        expected=1,
        found=len(found),
    )


def _check_type(image: Any, shm: SHM, path: str) -> None:
    """Raise if the pixels are not those of the stream: nothing is converted without being asked for."""
    if image.dtype != np.dtype(shm.nptype):
        raise FrameMismatchError(
            f"stream {shm.FNAME!r}: the image of {path} is {image.dtype}, the stream {np.dtype(shm.nptype)}; "
            "make a new one with create_shm=True, or convert it: shm.set_data(image, check_dt=True)",
            stream=shm.FNAME,
            field="dtype",
            expected=np.dtype(shm.nptype),
            found=image.dtype,
        )


def shm_to_fits(shm_obj_or_name: SHM | str, file_path: str | os.PathLike[str]) -> None:
    """Write the newest frame of a stream into a FITS file, replacing one of that name.

    Parameters
    ----------
    shm_obj_or_name : SHM or str
        A name is attached for the time of the call, with the default orientation.
    file_path : str or PathLike

    Raises
    ------
    StreamError
        As for `SHM` and `pymilk.fits.multi_write`.

    See Also
    --------
    SHM.save_as_fits : the same, with keywords and times in the header.
    """
    if isinstance(shm_obj_or_name, SHM):
        shm_obj_or_name.save_as_fits(file_path)
        return
    if not isinstance(shm_obj_or_name, str):
        raise StreamArgumentError(
            f"shm_obj_or_name is an SHM or the name of a stream, not {type(shm_obj_or_name).__name__}",
            argument="shm_obj_or_name",
            found=shm_obj_or_name,
        )
    with SHM(shm_obj_or_name) as shm:
        shm.save_as_fits(file_path)
