"""`ArrayLike`: what objects that hold frames have in common with an array."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ._types import Array

__all__ = ["ArrayLike"]

#: What DLPack calls the memory of the processor.
_HOST = (1, 0)

#: First version of DLPack that can say that memory is read-only, and the first of NumPy that knows it.
_TELLS_READ_ONLY = (1, 0)
_NUMPY_TELLS = np.lib.NumpyVersion(np.__version__) >= "2.1.0"


class ArrayLike:
    """Base of objects that NumPy, torch and others take for an array of frames.

    A subclass has `shape` and `dtype`, and makes an array in `_as_array`. ``numpy.asarray(it)`` and
    ``from_dlpack(it)`` give that; its docstring says whether it is a copy or a view.
    """

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def shape(self) -> tuple[int, ...]: ...  # noqa: D102

        @property
        def dtype(self) -> np.dtype[Any]: ...  # noqa: D102

    def _as_array(self, copy: bool | None) -> Array:
        """Return an array: True: a copy; False: a view, or ValueError; None: as the class promises."""
        raise NotImplementedError

    @property
    def ndim(self) -> int:
        """Number of axes of `shape`."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of pixels of `shape`."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of these pixels."""
        return self.size * self.dtype.itemsize

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Return an array, as ``numpy.asarray`` asks for it.

        Parameters
        ----------
        dtype : dtype, optional
            Convert to this one: always a copy.
        copy : bool, optional
            True: a copy. False: a view. Default: as the class promises.

        Raises
        ------
        ValueError
            ``copy=False``, and there is no array of this dtype without a copy.
        """
        made = self._as_array(copy)
        if dtype is None or made.dtype == dtype:
            return made
        if copy is False:
            raise ValueError(f"{made.dtype} pixels cannot be an array of {np.dtype(dtype)} without a copy")
        return made.astype(dtype)

    def __dlpack__(
        self,
        *,
        stream: None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """Hand the array to another library: torch, JAX, CuPy, ``numpy.from_dlpack``.

        Parameters
        ----------
        stream : None
            The processor has no streams of a GPU.
        max_version : (int, int), optional
            Newest version of DLPack that the caller knows.
        dl_device : (int, int), optional
            Where the caller wants the pixels: in the memory of the processor.
        copy : bool, optional
            As for ``numpy.asarray``. By default pixels are also copied if the caller could not take them
            otherwise: read-only memory before version 1.0 of DLPack, or axes that run backwards.

        Raises
        ------
        BufferError
            Another device is asked for, or ``copy=False`` and the caller could not take the view.
        """
        if dl_device not in (None, _HOST) or stream is not None:
            raise BufferError(f"pixels are in the memory of the processor, {_HOST}, not on {dl_device}")
        made = self._as_array(copy)
        tells = _NUMPY_TELLS and max_version is not None and tuple(max_version) >= _TELLS_READ_ONLY
        if copy is not False and (min(made.strides, default=0) < 0 or not (tells or made.flags.writeable)):
            made = made.copy(order="C")
        return made.__dlpack__(max_version=max_version) if tells else made.__dlpack__()

    def __dlpack_device__(self) -> tuple[int, int]:
        """Return where the pixels are: the memory of the processor."""
        return _HOST
