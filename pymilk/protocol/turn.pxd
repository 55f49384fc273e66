"""Copying arrays whose axes lie in memory in another order or direction: what turn.h offers, for Cython."""

from libc.stddef cimport ptrdiff_t

cdef extern from "pymilk/protocol/turn.h" nogil:
    enum:
        PYMILK_TURN_AXES

    ctypedef struct pymilk_turn:
        int naxis
        ptrdiff_t n[8]  # PYMILK_TURN_AXES
        ptrdiff_t to[8]
        ptrdiff_t source "from"[8]
        char *dst
        const char *src
        size_t item
        int narrow

    bint pymilk_turn_can(const pymilk_turn *t)
    void pymilk_turn_copy(pymilk_turn *t)


cdef inline bint describe_turn(pymilk_turn *t, char *dst, const Py_ssize_t *strides, const char *src,
                               const Py_ssize_t *src_strides, const Py_ssize_t *shape, int naxis,
                               size_t item) noexcept nogil:
    """Describe the copy of one array into another; returns whether pymilk_turn_copy can do it.

    strides: of the destination, in bytes; NULL for C order.
    """
    cdef ptrdiff_t step = <ptrdiff_t>item
    cdef int k
    if naxis > PYMILK_TURN_AXES:
        return False
    t.naxis = naxis
    t.dst = dst
    t.src = src
    t.item = item
    t.narrow = 0
    for k in range(naxis - 1, -1, -1):
        t.n[k] = shape[k]
        t.to[k] = step if strides == NULL else strides[k]
        t.source[k] = src_strides[k]
        step *= shape[k]
    return pymilk_turn_can(t)
