"""Making an image smaller: blocks of pixels become one, at about the speed of memory."""

cimport cython
from libc.math cimport NAN, isnan
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

__all__ = ["bin_image"]

ctypedef fused pixel_t:
    uint8_t
    int8_t
    uint16_t
    int16_t
    uint32_t
    int32_t
    uint64_t
    int64_t
    float
    double

cdef enum:
    MEAN
    MAXIMUM
    FIRST


def bin_image(const pixel_t[:, :] image, pixel_t[:, ::1] out, Py_ssize_t down, Py_ssize_t across, str how):
    """Fill a small image from a large one: each pixel from a block of `down` rows by `across` columns.

    Parameters
    ----------
    image : ndarray, shape (rows, columns)
        Integers of 8 to 64 bits, float32 or float64, native byte order; any strides.
    out : ndarray, C order, same dtype
        Shape (ceil(rows / down), ceil(columns / across)). Blocks at the end may be smaller.
    down, across : int
        1 and more.
    how : {"mean", "max", "first"}
        "mean" is rounded to the nearest integer, half away from zero; of 64-bit integers it has the precision of
        float64. Both it and "max" leave out NaN, and are NaN where there is nothing else.

    Raises
    ------
    ValueError
        The shapes do not fit, or `how` is another word.

    Notes
    -----
    The GIL is released.
    """
    cdef Py_ssize_t rows = image.shape[0], columns = image.shape[1]
    cdef int kind
    if how == "mean":
        kind = MEAN
    elif how == "max":
        kind = MAXIMUM
    elif how == "first":
        kind = FIRST
    else:
        raise ValueError(f"how is 'mean', 'max' or 'first', not {how!r}")
    if down < 1 or across < 1 or out.shape[0] != (rows + down - 1) // down \
            or out.shape[1] != (columns + across - 1) // across:
        raise ValueError(
            f"{rows}x{columns} pixels in blocks of {down}x{across} do not make {out.shape[0]}x{out.shape[1]}")
    if rows == 0 or columns == 0:
        return
    with nogil:
        if kind == FIRST:
            take_first(image, out, down, across)
        elif kind == MAXIMUM:
            take_maximum(image, out, down, across)
        else:
            take_mean(image, out, down, across)


@cython.boundscheck(False)
@cython.wraparound(False)
cdef void take_first(const pixel_t[:, :] image, pixel_t[:, ::1] out, Py_ssize_t down,
                     Py_ssize_t across) noexcept nogil:
    cdef Py_ssize_t y, x
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            out[y, x] = image[y * down, x * across]


@cython.boundscheck(False)
@cython.wraparound(False)
cdef void take_maximum(const pixel_t[:, :] image, pixel_t[:, ::1] out, Py_ssize_t down,
                       Py_ssize_t across) noexcept nogil:
    cdef Py_ssize_t y, x, i, j
    cdef pixel_t best, value
    cdef const pixel_t *row
    cdef Py_ssize_t step = image.strides[1]
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            best = image[y * down, x * across]
            for i in range(y * down, min((y + 1) * down, image.shape[0])):
                row = &image[i, 0]
                for j in range(x * across, min((x + 1) * across, image.shape[1])):
                    value = (<const pixel_t *>(<const char *>row + j * step))[0]
                    if pixel_t is float or pixel_t is double:
                        # Whatever replaces a NaN, even another.
                        if value > best or isnan(best):
                            best = value
                    elif value > best:
                        best = value
            out[y, x] = best


@cython.boundscheck(False)
@cython.wraparound(False)
cdef void take_mean(const pixel_t[:, :] image, pixel_t[:, ::1] out, Py_ssize_t down,
                    Py_ssize_t across) noexcept nogil:
    cdef Py_ssize_t y, x, i, j, count
    cdef Py_ssize_t step = image.strides[1]
    cdef const pixel_t *row
    cdef pixel_t value
    cdef double total, mean
    cdef int64_t whole
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            total = 0.0
            whole = 0
            count = 0
            for i in range(y * down, min((y + 1) * down, image.shape[0])):
                row = &image[i, 0]
                for j in range(x * across, min((x + 1) * across, image.shape[1])):
                    value = (<const pixel_t *>(<const char *>row + j * step))[0]
                    if pixel_t is float or pixel_t is double:
                        if not isnan(value):
                            total += value
                            count += 1
                    elif pixel_t is uint64_t or pixel_t is int64_t:
                        total += <double>value
                        count += 1
                    else:
                        whole += value
                        count += 1
            if pixel_t is float or pixel_t is double:
                out[y, x] = <pixel_t>(total / count) if count else <pixel_t>NAN
            elif pixel_t is uint64_t:
                mean = total / count + 0.5
                out[y, x] = <pixel_t>0xffffffffffffffff if mean >= 18446744073709551615.0 else <pixel_t>mean
            elif pixel_t is int64_t:
                mean = total / count + (0.5 if total >= 0 else -0.5)
                out[y, x] = <pixel_t>0x7fffffffffffffff if mean >= 9223372036854775807.0 else <pixel_t>mean
            else:
                # Rounded without floating point: twice the sum, less or more the count.
                out[y, x] = <pixel_t>((2 * whole + (count if whole >= 0 else -count)) / (2 * count))
