"""Sums, means and extremes of frames, block by block: in constant memory, the same for all formats."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .._types import Array
from ..arguments import bad_argument, check_dtype, check_number
from ..errors import FrameMismatchError
from .sinks.base import batch_of

__all__ = ["Reductions", "block_frames"]

#: Bytes of a block: several whole chunks of every format, and small enough for the cache of a processor.
_BLOCK_NBYTES = 4 << 20

#: Types in which so many small integers are added without a carry.
_NARROW = {"b": np.int32, "h": np.int32, "B": np.uint32, "H": np.uint32}
_NARROW_FRAMES = 1 << 16

#: Called with the number of frames that are done, and that of all.
Progress = Callable[[int, int], object]


def block_frames(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """Return how many frames of this shape are read at a time: 4 MiB, and one at least."""
    return batch_of(shape, dtype, _BLOCK_NBYTES)


class Reductions:
    """Base of `LazyFrames` and `Recording`: the reductions of an array, without all frames in memory.

    Frames are read in blocks of 4 MiB; `sum`, `mean`, `min`, `max`, `std` and `var` need memory for some
    blocks and for the result. Floating-point numbers are added in double precision at least, and the blocks
    are the same for every format, for one file and for a series, so the results are the same to the last
    bit. ``numpy.mean(frames, axis=0)`` and its like call them.

    Notes
    -----
    Parameters, of all:

    axis : int or tuple of int, optional
        As of the whole array, (n, *shape): 0 is time. None: all axes. A reduction that leaves time has a
        result for each frame.
    dtype : dtype, optional
        Of the result. Default: as NumPy chooses.
    out : ndarray, optional
        Filled and returned; it has the shape of the result.
    keepdims : bool, default False
        Axes that are gone stay with length 1.
    ddof : int, default 0
        Of `std` and `var`: the divisor is the number of values minus this.
    progress : callable, optional
        ``progress(done, frames)`` after each block. What it raises ends the reduction.

    Raises are those of reading frames, FrameMismatchError if `out` does not fit, and of NumPy for an axis
    that is not there.
    """

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def shape(self) -> tuple[int, ...]: ...  # noqa: D102

        @property
        def dtype(self) -> np.dtype[Any]: ...  # noqa: D102

        def __getitem__(self, key: Any) -> Any: ...

    def _have_read(self) -> None:
        """Raise if what was read may not be right; called at the end."""

    def sum(
        self,
        axis: Any = None,
        dtype: Any = None,
        out: Array | None = None,
        keepdims: bool = False,
        *,
        progress: Progress | None = None,
    ) -> Any:
        """Return the sum; small integers are added as int64 or uint64. See `Reductions`."""
        usual = np.add.reduce(np.empty(0, self.dtype)).dtype
        result = usual if dtype is None else _number("dtype", dtype)
        return self._reduced(_Sum(_wide(result)), result, axis, out, keepdims, progress)

    def mean(
        self,
        axis: Any = None,
        dtype: Any = None,
        out: Array | None = None,
        keepdims: bool = False,
        *,
        progress: Progress | None = None,
    ) -> Any:
        """Return the mean; float64 for integers. See `Reductions`."""
        result = _inexact(self.dtype) if dtype is None else _number("dtype", dtype)
        wide = _wide(np.result_type(result, _inexact(self.dtype)))
        return self._reduced(_Mean(wide), result, axis, out, keepdims, progress)

    def min(
        self,
        axis: Any = None,
        out: Array | None = None,
        keepdims: bool = False,
        *,
        progress: Progress | None = None,
    ) -> Any:
        """Return the least value; NaN if there is one. See `Reductions`."""
        return self._reduced(_Extreme(np.minimum), self.dtype, axis, out, keepdims, progress)

    def max(
        self,
        axis: Any = None,
        out: Array | None = None,
        keepdims: bool = False,
        *,
        progress: Progress | None = None,
    ) -> Any:
        """Return the largest value; NaN if there is one. See `Reductions`."""
        return self._reduced(_Extreme(np.maximum), self.dtype, axis, out, keepdims, progress)

    def var(
        self,
        axis: Any = None,
        dtype: Any = None,
        out: Array | None = None,
        ddof: float = 0,
        keepdims: bool = False,
        *,
        progress: Progress | None = None,
    ) -> Any:
        """Return the variance, in one pass; float64 for integers. See `Reductions`."""
        fold = _Spread(self.dtype, ddof, root=False)
        return self._reduced(fold, _real(dtype, self.dtype), axis, out, keepdims, progress)

    def std(
        self,
        axis: Any = None,
        dtype: Any = None,
        out: Array | None = None,
        ddof: float = 0,
        keepdims: bool = False,
        *,
        progress: Progress | None = None,
    ) -> Any:
        """Return the standard deviation, in one pass; float64 for integers. See `Reductions`."""
        fold = _Spread(self.dtype, ddof, root=True)
        return self._reduced(fold, _real(dtype, self.dtype), axis, out, keepdims, progress)

    def _reduced(
        self,
        fold: _Fold,
        dtype: np.dtype[Any],
        axis: Any,
        out: Array | None,
        keepdims: bool,
        progress: Progress | None,
    ) -> Any:
        """Reduce all frames by `fold`."""
        count, ndim = self.shape[0], len(self.shape)
        axes = _axes_of(axis, ndim)
        step = block_frames(self.shape[1:], self.dtype)
        state: Any = None
        kept: Array | None = None  # of reductions that leave time
        for start in range(0, max(count, 1), step):
            stop = min(count, start + step)
            part = fold.begin(np.asarray(self[start:stop]), axes)
            if 0 in axes:
                state = part if state is None else fold.join(state, part)
            else:
                found = fold.finish(part)
                if kept is None:
                    kept = np.empty((count, *found.shape[1:]), dtype)
                kept[start:stop] = found
            if progress is not None:
                progress(stop, count)
        self._have_read()
        made = kept if kept is not None else fold.finish(state).astype(dtype, copy=False)
        if not keepdims:
            made = made.reshape([length for at, length in enumerate(made.shape) if at not in axes])
        return _delivered(made, out)


class _Fold:
    """A reduction that is done in parts; all arrays keep their axes."""

    def begin(self, block: Array, axes: tuple[int, ...]) -> Any:
        """Reduce a block."""
        raise NotImplementedError

    def join(self, state: Any, part: Any) -> Any:
        """Return what two parts are together; may change the first."""
        raise NotImplementedError

    def finish(self, state: Any) -> Array:
        """Return the result."""
        raise NotImplementedError


class _Sum(_Fold):
    def __init__(self, wide: np.dtype[Any]) -> None:
        self._wide = wide

    def begin(self, block: Array, axes: tuple[int, ...]) -> Array:
        narrow = _NARROW.get(block.dtype.char)
        if narrow is not None and 0 in axes and len(block) <= _NARROW_FRAMES:
            block = np.add.reduce(block, 0, narrow, keepdims=True)  # exact, and twice as fast
        made: Array = np.add.reduce(block, axes, self._wide, keepdims=True)
        return made

    def join(self, state: Array, part: Array) -> Array:
        state += part
        return state

    def finish(self, state: Array) -> Array:
        return state


class _Mean(_Fold):
    """State: number of values, and their sum."""

    def __init__(self, wide: np.dtype[Any]) -> None:
        self._sum = _Sum(wide)

    def begin(self, block: Array, axes: tuple[int, ...]) -> tuple[int, Array]:
        return _values(block, axes), self._sum.begin(block, axes)

    def join(self, state: tuple[int, Array], part: tuple[int, Array]) -> tuple[int, Array]:
        return state[0] + part[0], self._sum.join(state[1], part[1])

    def finish(self, state: tuple[int, Array]) -> Array:
        made: Array = np.true_divide(state[1], state[0])
        return made


class _Extreme(_Fold):
    def __init__(self, choose: np.ufunc) -> None:
        self._choose = choose

    def begin(self, block: Array, axes: tuple[int, ...]) -> Array:
        made: Array = self._choose.reduce(block, axes, keepdims=True)
        return made

    def join(self, state: Array, part: Array) -> Array:
        made: Array = self._choose(state, part)
        return made

    def finish(self, state: Array) -> Array:
        return state


class _Spread(_Fold):
    """State: number of values, their mean, and the sum of squared distances from it.

    Two parts are joined by their means, which loses no digits where squares of large values would.
    """

    def __init__(self, dtype: np.dtype[Any], ddof: float, root: bool) -> None:
        self._mean = _Mean(_wide(_inexact(dtype)))
        self._ddof = check_number("ddof", ddof, "a number, such as 0 or 1", -(2.0**53), 2.0**53)
        self._root = root

    def begin(self, block: Array, axes: tuple[int, ...]) -> tuple[int, Array, Array]:
        part = self._mean.begin(block, axes)
        mean = self._mean.finish(part)
        squares: Array = np.add.reduce(_squared(block - mean), axes, keepdims=True)
        return part[0], mean, squares

    def join(
        self, state: tuple[int, Array, Array], part: tuple[int, Array, Array]
    ) -> tuple[int, Array, Array]:
        count = state[0] + part[0]
        apart = part[1] - state[1]
        mean = state[1] + apart * (part[0] / count)
        return count, mean, state[2] + part[2] + _squared(apart) * (state[0] * part[0] / count)

    def finish(self, state: tuple[int, Array, Array]) -> Array:
        var: Array = np.true_divide(state[2], max(state[0] - self._ddof, 0))
        return np.sqrt(var) if self._root else var


def _squared(values: Array) -> Array:
    """Return squared absolute values."""
    if values.dtype.kind == "c":
        absolute: Array = np.square(values.real) + np.square(values.imag)
        return absolute
    return np.square(values)


def _values(block: Array, axes: tuple[int, ...]) -> int:
    """Return how many values become one."""
    return math.prod(block.shape[axis] for axis in axes)


def _axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    """Return axes from 0 on, each once."""
    if axis is None:
        return tuple(range(ndim))
    given = [operator.index(each) for each in (axis if isinstance(axis, tuple) else (axis,))]
    for each in given:
        if not -ndim <= each < ndim:
            raise np.exceptions.AxisError(each, ndim)
    axes = tuple(each % ndim for each in given)
    if len(set(axes)) != len(axes):
        raise ValueError(f"axis {axis} has an axis twice")
    return axes


def _number(argument: str, dtype: Any) -> np.dtype[Any]:
    """Return a type of numbers that a result is asked for in."""
    given = check_dtype(argument, dtype)
    if given.kind not in "biufc":
        raise bad_argument(argument, dtype, "a type of numbers")
    return given


def _inexact(dtype: Any) -> np.dtype[Any]:
    """Return the type of a mean: float64 for integers."""
    given = np.dtype(dtype)
    return given if given.kind in "fc" else np.dtype(np.float64)


def _wide(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type in which values are added: double precision at least, integers as they are."""
    return np.result_type(dtype, np.float64) if dtype.kind in "fc" else dtype


def _real(dtype: Any, own: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type of a variance."""
    return _number("dtype", dtype) if dtype is not None else np.empty(0, _inexact(own)).real.dtype


def _delivered(made: Array, out: Array | None) -> Any:
    """Return a result: a scalar if it has no axes, or `out`."""
    if out is None:
        return made[()]
    if not isinstance(out, np.ndarray):
        raise bad_argument("out", out, "an array")
    if out.shape != made.shape:
        raise FrameMismatchError(
            f"out has the shape {out.shape}, and the result {made.shape}",
            field="shape",
            expected=made.shape,
            found=out.shape,
        )
    np.copyto(out, made, casting="same_kind")
    return out
