"""Making an image smaller: blocks of pixels become one, at about the speed of memory."""

cimport cython
from libc.math cimport INFINITY, NAN, hypot, isinf, isnan
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc

__all__ = ["bin_complex", "bin_image"]

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

#: Sums of integers of 8 and 16 bits, of 32 bits, and of all others.
ctypedef fused sum_t:
    int32_t
    int64_t
    double

ctypedef fused complex_t:
    float complex
    double complex

cdef enum:
    MEAN
    MAXIMUM
    FIRST

#: Largest block whose sum of 16-bit integers is in an int32_t, and whose mean of 32-bit integers is exact in a double.
cdef Py_ssize_t LARGEST_BLOCK = 32768


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
    cdef int kind = kind_of(how)
    check_fit(rows, columns, down, across, out.shape[0], out.shape[1])
    if rows == 0 or columns == 0:
        return
    cdef bint by_rows = image.strides[1] == sizeof(pixel_t) and down <= LARGEST_BLOCK // across
    if pixel_t is uint64_t or pixel_t is int64_t:
        by_rows = by_rows and kind == MEAN  # there is no vector instruction for the larger of two
    cdef char *room = NULL
    with nogil:
        if kind != FIRST and by_rows:
            # For each column a sum or a largest value, and as much again for blocks of them.
            room = <char *>malloc(2 * columns * sizeof(double))
        if kind == FIRST:
            take_first(image, out, down, across)
        elif room == NULL:
            take_blocks(image, out, down, across, kind)
        elif kind == MAXIMUM:
            take_maximum(image, out, down, across, <pixel_t *>room)
        else:
            take_mean(image, out, down, across, room)
        free(room)


def bin_complex(const complex_t[:, :] image, complex_t[:, ::1] out, Py_ssize_t down, Py_ssize_t across, str how):
    """Do the same for complex numbers.

    Parameters
    ----------
    image : ndarray, shape (rows, columns)
        complex64 or complex128, native byte order; any strides.
    out : ndarray, C order, same dtype
        As that of `bin_image`.
    down, across : int
        1 and more.
    how : {"mean", "max", "first"}
        "max" is the number with the largest amplitude, the first of several. It and "mean" leave out numbers of
        which a part is NaN, and are NaN where there are no others.

    Raises
    ------
    ValueError
        As `bin_image`.

    Notes
    -----
    The GIL is released.
    """
    cdef int kind = kind_of(how)
    check_fit(image.shape[0], image.shape[1], down, across, out.shape[0], out.shape[1])
    with nogil:
        take_complex(image, out, down, across, kind)


cdef int kind_of(str how) except -1:
    if how == "mean":
        return MEAN
    if how == "max":
        return MAXIMUM
    if how == "first":
        return FIRST
    raise ValueError(f"how is 'mean', 'max' or 'first', not {how!r}")


cdef int check_fit(Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t down, Py_ssize_t across, Py_ssize_t height,
                   Py_ssize_t width) except -1:
    if down < 1 or across < 1 or height != (rows + down - 1) // down or width != (columns + across - 1) // across:
        raise ValueError(f"{rows}x{columns} pixels in blocks of {down}x{across} do not make {height}x{width}")
    return 0


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
cdef void take_blocks(const pixel_t[:, :] image, pixel_t[:, ::1] out, Py_ssize_t down, Py_ssize_t across,
                      int kind) noexcept nogil:
    """Any strides and any size, block by block."""
    cdef Py_ssize_t y, x
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            out[y, x] = block_of(image, y * down, min((y + 1) * down, image.shape[0]),
                                 x * across, min((x + 1) * across, image.shape[1]), kind)


cdef pixel_t block_of(const pixel_t[:, :] image, Py_ssize_t top, Py_ssize_t bottom, Py_ssize_t left,
                      Py_ssize_t right, int kind) noexcept nogil:
    if kind == MAXIMUM:
        return maximum_of(image, top, bottom, left, right)
    return mean_of(image, top, bottom, left, right)


@cython.boundscheck(False)
@cython.wraparound(False)
cdef pixel_t maximum_of(const pixel_t[:, :] image, Py_ssize_t top, Py_ssize_t bottom, Py_ssize_t left,
                        Py_ssize_t right) noexcept nogil:
    cdef Py_ssize_t i, j, step = image.strides[1]
    cdef const pixel_t *row
    cdef pixel_t value, best = image[top, left]
    for i in range(top, bottom):
        row = &image[i, 0]
        for j in range(left, right):
            value = (<const pixel_t *>(<const char *>row + j * step))[0]
            if pixel_t is float or pixel_t is double:
                # Whatever replaces a NaN, even another.
                if value > best or isnan(best):
                    best = value
            elif value > best:
                best = value
    return best


@cython.boundscheck(False)
@cython.wraparound(False)
cdef pixel_t mean_of(const pixel_t[:, :] image, Py_ssize_t top, Py_ssize_t bottom, Py_ssize_t left,
                     Py_ssize_t right) noexcept nogil:
    cdef Py_ssize_t i, j, count = 0, step = image.strides[1]
    cdef const pixel_t *row
    cdef pixel_t value
    cdef double total = 0.0
    cdef int64_t whole = 0
    for i in range(top, bottom):
        row = &image[i, 0]
        for j in range(left, right):
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
        return <pixel_t>(total / count) if count else <pixel_t>NAN
    elif pixel_t is uint64_t or pixel_t is int64_t:
        return nearest(total, count, <pixel_t>0)
    else:
        # Rounded without floating point: twice the sum, less or more the count.
        return <pixel_t>((2 * whole + (count if whole >= 0 else -count)) / (2 * count))


cdef inline pixel_t nearest(double total, Py_ssize_t count, pixel_t like) noexcept nogil:
    """The mean of 64-bit integers, as near as a double says."""
    cdef double mean = total / count + (0.5 if total >= 0 else -0.5)
    if pixel_t is uint64_t:
        return <pixel_t>0xffffffffffffffff if mean >= 18446744073709551615.0 else <pixel_t>mean
    else:
        return <pixel_t>0x7fffffffffffffff if mean >= 9223372036854775807.0 else <pixel_t>mean


# By rows: what lies below one another first, in loops that the compiler makes vectors of; then what lies side by side.

@cython.boundscheck(False)
@cython.wraparound(False)
cdef void take_maximum(const pixel_t[:, :] image, pixel_t[:, ::1] out, Py_ssize_t down, Py_ssize_t across,
                       pixel_t *best) noexcept nogil:
    cdef Py_ssize_t y, x, i, bottom, columns = image.shape[1], whole = columns // across
    cdef const pixel_t *row
    for y in range(out.shape[0]):
        bottom = min((y + 1) * down, image.shape[0])
        for x in range(columns):
            if pixel_t is float or pixel_t is double:
                best[x] = -<pixel_t>INFINITY  # less than all but itself; a NaN is not more
            else:
                best[x] = image[y * down, x]
        for i in range(y * down, bottom):
            row = &image[i, 0]
            for x in range(columns):
                best[x] = row[x] if row[x] > best[x] else best[x]
        # With a width that is known, the compiler writes the inner loop out.
        if across == 2:
            largest_neighbours(best, &out[y, 0], whole, 2)
        elif across == 3:
            largest_neighbours(best, &out[y, 0], whole, 3)
        elif across == 4:
            largest_neighbours(best, &out[y, 0], whole, 4)
        else:
            largest_neighbours(best, &out[y, 0], whole, across)
        if pixel_t is float or pixel_t is double:
            for x in range(whole):
                if out[y, x] == -<pixel_t>INFINITY:  # or nothing but NaN
                    out[y, x] = maximum_of(image, y * down, bottom, x * across, (x + 1) * across)
        if whole < out.shape[1]:
            out[y, whole] = maximum_of(image, y * down, bottom, whole * across, columns)


cdef inline void largest_neighbours(const pixel_t *best, pixel_t *out, Py_ssize_t number, Py_ssize_t across) noexcept nogil:
    cdef Py_ssize_t x, j
    cdef pixel_t most
    for x in range(number):
        most = best[x * across]
        for j in range(1, across):
            most = best[x * across + j] if best[x * across + j] > most else most
        out[x] = most


@cython.boundscheck(False)
@cython.wraparound(False)
cdef void take_mean(const pixel_t[:, :] image, pixel_t[:, ::1] out, Py_ssize_t down, Py_ssize_t across,
                    char *room) noexcept nogil:
    cdef Py_ssize_t y, bottom, columns = image.shape[1], whole = columns // across
    for y in range(out.shape[0]):
        bottom = min((y + 1) * down, image.shape[0])
        if pixel_t is uint8_t or pixel_t is int8_t or pixel_t is uint16_t or pixel_t is int16_t:
            mean_row(image, &out[y, 0], y * down, bottom, across, <int32_t *>room)
        elif pixel_t is uint32_t or pixel_t is int32_t:
            mean_row(image, &out[y, 0], y * down, bottom, across, <int64_t *>room)
        else:
            mean_row(image, &out[y, 0], y * down, bottom, across, <double *>room)
        if whole < out.shape[1]:
            out[y, whole] = mean_of(image, y * down, bottom, whole * across, columns)


@cython.boundscheck(False)
@cython.wraparound(False)
cdef inline void mean_row(const pixel_t[:, :] image, pixel_t *out, Py_ssize_t top, Py_ssize_t bottom,
                          Py_ssize_t across, sum_t *sums) noexcept nogil:
    """All blocks of one row of the small image that are not cut off at the right."""
    cdef Py_ssize_t x, i, columns = image.shape[1], whole = columns // across, count = (bottom - top) * across
    cdef const pixel_t *row
    cdef sum_t *blocks = sums + columns
    row = &image[top, 0]
    for x in range(columns):
        sums[x] = <sum_t>row[x]
    for i in range(top + 1, bottom):
        row = &image[i, 0]
        for x in range(columns):
            sums[x] += <sum_t>row[x]
    # With a width that is known, the compiler writes the inner loop out.
    if across == 1:
        blocks = sums
    elif across == 2:
        add_neighbours(sums, blocks, whole, 2)
    elif across == 3:
        add_neighbours(sums, blocks, whole, 3)
    elif across == 4:
        add_neighbours(sums, blocks, whole, 4)
    else:
        add_neighbours(sums, blocks, whole, across)
    if pixel_t is uint64_t or pixel_t is int64_t:
        for x in range(whole):
            out[x] = nearest(<double>blocks[x], count, <pixel_t>0)
    elif pixel_t is float or pixel_t is double:
        for x in range(whole):
            out[x] = <pixel_t>(<double>blocks[x] / count)
        for x in range(whole):
            if isnan(out[x]):  # one that is left out, or infinities of both signs
                out[x] = mean_of(image, top, bottom, x * across, (x + 1) * across)
    else:
        round_to(blocks, out, whole, count)


cdef inline void add_neighbours(const sum_t *sums, sum_t *blocks, Py_ssize_t number, Py_ssize_t across) noexcept nogil:
    cdef Py_ssize_t x, j
    cdef sum_t total
    for x in range(number):
        total = sums[x * across]
        for j in range(1, across):
            total += sums[x * across + j]
        blocks[x] = total


cdef inline void round_to(const sum_t *totals, pixel_t *out, Py_ssize_t number, Py_ssize_t count) noexcept nogil:
    """Means of integers of up to 32 bits, halves away from zero.

    (2 * total + count + 1/2) / (2 * count) has the whole part that the division of integers has, and is further from
    the next one than a double is wrong, with a `count` of up to LARGEST_BLOCK.
    """
    cdef Py_ssize_t x
    cdef double half = count + 0.5, part = 1.0 / (2.0 * count), twice
    for x in range(number):
        twice = 2.0 * <double>totals[x]
        if pixel_t is uint8_t or pixel_t is uint16_t:
            out[x] = <pixel_t><int32_t>((twice + half) * part)
        elif pixel_t is uint32_t:
            out[x] = <pixel_t><int64_t>((twice + half) * part)
        else:
            out[x] = <pixel_t><int32_t>((twice + (half if twice >= 0.0 else -half)) * part)


# Complex numbers, block by block: what they cost is memory.

@cython.boundscheck(False)
@cython.wraparound(False)
cdef void take_complex(const complex_t[:, :] image, complex_t[:, ::1] out, Py_ssize_t down, Py_ssize_t across,
                       int kind) noexcept nogil:
    cdef Py_ssize_t y, x, top, bottom, left, right
    for y in range(out.shape[0]):
        top, bottom = y * down, min((y + 1) * down, image.shape[0])
        for x in range(out.shape[1]):
            left, right = x * across, min((x + 1) * across, image.shape[1])
            if kind == FIRST:
                out[y, x] = image[top, left]
            elif kind == MEAN:
                out[y, x] = complex_mean_of(image, top, bottom, left, right)
            else:
                out[y, x] = complex_maximum_of(image, top, bottom, left, right)


@cython.boundscheck(False)
@cython.wraparound(False)
cdef complex_t complex_mean_of(const complex_t[:, :] image, Py_ssize_t top, Py_ssize_t bottom, Py_ssize_t left,
                               Py_ssize_t right) noexcept nogil:
    cdef Py_ssize_t i, j, count = 0
    cdef double real = 0.0, imaginary = 0.0
    cdef complex_t value, mean
    for i in range(top, bottom):
        for j in range(left, right):
            value = image[i, j]
            if not isnan(value.real) and not isnan(value.imag):
                real += value.real
                imaginary += value.imag
                count += 1
    mean.real = real / count if count else NAN
    mean.imag = imaginary / count if count else NAN
    return mean


@cython.boundscheck(False)
@cython.wraparound(False)
cdef complex_t complex_maximum_of(const complex_t[:, :] image, Py_ssize_t top, Py_ssize_t bottom,
                                  Py_ssize_t left, Py_ssize_t right) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef double square, most = -1.0
    cdef Py_ssize_t place, best = 0, step = image.strides[1]
    cdef const char *row
    cdef complex_t value
    # Without branches: which one is the largest cannot be foretold.
    for i in range(top, bottom):
        row = <const char *>&image[i, 0]
        for j in range(left, right):
            value = (<const complex_t *>(row + j * step))[0]
            square = <double>value.real * value.real + <double>value.imag * value.imag
            place = i * image.shape[1] + j
            best = place if square > most else best  # a NaN is not more
            most = square if square > most else most
    # Squares of doubles are too large or too small for one long before amplitudes are.
    if most < 1e-290 or isinf(most):
        return complex_extreme_of(image, top, bottom, left, right)
    return image[best // image.shape[1], best % image.shape[1]]


@cython.boundscheck(False)
@cython.wraparound(False)
cdef complex_t complex_extreme_of(const complex_t[:, :] image, Py_ssize_t top, Py_ssize_t bottom,
                                  Py_ssize_t left, Py_ssize_t right) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef double amplitude, most = -1.0
    cdef complex_t value, best
    best.real = best.imag = NAN
    for i in range(top, bottom):
        for j in range(left, right):
            value = image[i, j]
            if isnan(value.real) or isnan(value.imag):
                continue
            amplitude = hypot(value.real, value.imag) if value.real or value.imag else 0.0
            if amplitude > most:
                most = amplitude
                best = value
    return best
