"""A slot of a parameter file in C: its members, its flags, and one value on its way in or out. See fps.h.

The order of a write is the one of milk: value, then counter, then the request to check again. Nothing of it is
atomic as a whole; a reader that sees the new counter sees the value that belongs to it, or a later one.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from .._isio cimport (
    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED, __ATOMIC_RELEASE, atomic_add_u64, atomic_fence, atomic_load_u64, timespec,
)

cdef extern from "pymilk/parameters/fps.h" nogil:
    enum:
        PYMILK_KEYWORD_NBYTES
        PYMILK_TEXT_NBYTES

    union ParameterValue "__typeof__(((struct pymilk_parameter *)0)->val)":
        int32_t i32[4]
        uint32_t u32[4]
        int64_t i64[4]
        uint64_t u64[4]
        float f32[4]
        double f64[4]
        int32_t pid[2]
        timespec ts[2]
        char text[2][64]

    ctypedef struct FpsParameter "struct pymilk_parameter":
        uint64_t fpflag
        char keywordfull[1280]
        uint32_t type
        ParameterValue val
        uint64_t cnt0

    uint64_t *pymilk_value_counter(FpsParameter *p)

cdef extern from "<string.h>" nogil:
    size_t strnlen(const char *text, size_t most)

# Compiler builtins that _isio.pxd does not declare.
cdef extern from * nogil:
    void prefetch "__builtin_prefetch"(const void *address)
    uint64_t atomic_or_u64 "__atomic_fetch_or"(uint64_t *address, uint64_t bits, int order)
    uint64_t atomic_and_u64 "__atomic_fetch_and"(uint64_t *address, uint64_t bits, int order)
    uint32_t atomic_or_u32 "__atomic_fetch_or"(uint32_t *address, uint32_t bits, int order)
    uint32_t atomic_and_u32 "__atomic_fetch_and"(uint32_t *address, uint32_t bits, int order)

# Numbers of words.py that C code needs; table.pyx checks that they agree.
cdef enum:
    FLAG_ACTIVE = 0x1
    FLAG_WRITE = 0x10
    FLAG_WRITECONF = 0x20
    FLAG_WRITERUN = 0x40
    FLAG_ONOFF = 0x4000
    FLAG_MINLIMIT = 0x20000
    FLAG_MAXLIMIT = 0x40000
    STATUS_CONF = 0x1
    STATUS_RUN = 0x2
    SIGNAL_UPDATE = 0x4
    # Bits of Mapping.closed (PYMILK_CLOSED and PYMILK_LOST of protocol/guard.h, whose table belongs to
    # native/memory and must not be included here).
    CLOSED = 1
    LOST = 2

# How the value of a type is stored.
cdef enum Kind:
    KIND_NONE       # no value, or a type that is not known
    KIND_I32
    KIND_U32
    KIND_I64
    KIND_U64
    KIND_F32
    KIND_F64        # up to here: four numbers
    KIND_ONOFF
    KIND_PID
    KIND_TIME
    KIND_TEXT
    KIND_PROCESS    # two texts that belong to the program; never written here

# One value, out of the file. `kind` says which member is in use.
cdef struct Item:
    Kind kind
    int64_t i       # I32, I64, PID, ONOFF
    uint64_t u      # U32, U64
    double f        # F64, and F32 without loss
    timespec t
    char text[64]   # padded with NULs

# Times that a value of several words is read until two readings agree.
cdef enum:
    STEADY_TRIES = 4


cdef inline Kind kind_of(uint32_t type) noexcept nogil:
    if type == 32:
        return KIND_F32
    if type == 64:
        return KIND_F64
    if type == 8:
        return KIND_I64
    if type == 2:
        return KIND_I32
    if type == 4:
        return KIND_U32
    if type == 16:
        return KIND_U64
    if type == 32768:
        return KIND_ONOFF
    if type == 128:
        return KIND_PID
    if type == 256:
        return KIND_TIME
    if type == 65536:
        return KIND_PROCESS
    if type in (512, 1024, 2048, 4096, 8192, 16384, 131072, 262144):
        return KIND_TEXT
    return KIND_NONE


cdef inline int elements_of(Kind kind) noexcept nogil:
    """Tell how many elements there are: value, limits and last reading of a number; value and another otherwise."""
    if KIND_I32 <= kind <= KIND_F64:
        return 4
    return 0 if kind == KIND_NONE else 1 if kind == KIND_ONOFF else 2


cdef inline void read_steadily(void *to, const void *source, size_t nbytes) noexcept nogil:
    """Copy up to 64 bytes until two copies agree: another process may be in the middle of writing them."""
    cdef char[64] again
    cdef int _try
    memcpy(to, source, nbytes)
    for _try in range(STEADY_TRIES):
        atomic_fence(__ATOMIC_ACQUIRE)
        memcpy(again, source, nbytes)
        if memcmp(to, again, nbytes) == 0:
            return
        memcpy(to, again, nbytes)


cdef inline void load_item(const FpsParameter *p, Kind kind, int element, Item *item) noexcept nogil:
    """Read one element; the caller has checked that the kind has it. Reading changes nothing."""
    item.kind = kind
    if kind == KIND_F32:
        item.f = p.val.f32[element]
    elif kind == KIND_F64:
        item.f = p.val.f64[element]
    elif kind == KIND_I64:
        item.i = p.val.i64[element]
    elif kind == KIND_I32:
        item.i = p.val.i32[element]
    elif kind == KIND_U32:
        item.u = p.val.u32[element]
    elif kind == KIND_U64:
        item.u = p.val.u64[element]
    elif kind == KIND_ONOFF:
        item.i = (atomic_load_u64(<uint64_t *>&p.fpflag, __ATOMIC_RELAXED) & FLAG_ONOFF) != 0
    elif kind == KIND_PID:
        item.i = p.val.pid[element & 1]
    elif kind == KIND_TIME:
        read_steadily(&item.t, &p.val.ts[element & 1], sizeof(timespec))
    elif kind != KIND_NONE:
        read_steadily(item.text, p.val.text[element & 1], PYMILK_TEXT_NBYTES)


cdef inline void store_item(FpsParameter *p, int element, const Item *item) noexcept nogil:
    """Store one element; the caller has checked that the kind has it. Counters and requests are not touched."""
    if item.kind == KIND_F32:
        p.val.f32[element] = <float>item.f
    elif item.kind == KIND_F64:
        p.val.f64[element] = item.f
    elif item.kind == KIND_I64:
        p.val.i64[element] = item.i
    elif item.kind == KIND_I32:
        p.val.i32[element] = <int32_t>item.i
    elif item.kind == KIND_U32:
        p.val.u32[element] = <uint32_t>item.u
    elif item.kind == KIND_U64:
        p.val.u64[element] = item.u
    elif item.kind == KIND_ONOFF:
        # The flag is what is read; the number mirrors it, for programs that look there.
        p.val.i64[0] = item.i
        if item.i:
            atomic_or_u64(&p.fpflag, FLAG_ONOFF, __ATOMIC_RELEASE)
        else:
            atomic_and_u64(&p.fpflag, ~<uint64_t>FLAG_ONOFF, __ATOMIC_RELEASE)
    elif item.kind == KIND_PID:
        p.val.pid[element & 1] = <int32_t>item.i
    elif item.kind == KIND_TIME:
        p.val.ts[element & 1] = item.t
    elif item.kind == KIND_TEXT:
        memcpy(p.val.text[element & 1], item.text, PYMILK_TEXT_NBYTES)


cdef inline int order_of(const Item *one, const Item *other) noexcept nogil:
    """Compare two numbers of one kind: -1, 0, 1, or 2 if one of them is no number (NaN)."""
    if one.kind == KIND_F32 or one.kind == KIND_F64:
        if one.f != one.f or other.f != other.f:
            return 2
        return (one.f > other.f) - (one.f < other.f)
    if one.kind == KIND_U32 or one.kind == KIND_U64:
        return (one.u > other.u) - (one.u < other.u)
    return (one.i > other.i) - (one.i < other.i)


cdef inline void count_write(FpsParameter *p, bint counts_values) noexcept nogil:
    """Tell others that the value was written. Release: a reader that sees the new count sees the value."""
    atomic_add_u64(&p.cnt0, 1, __ATOMIC_RELEASE)
    if counts_values:
        atomic_add_u64(pymilk_value_counter(p), 1, __ATOMIC_RELEASE)


cdef inline bint may_write(uint64_t flags, uint32_t status) noexcept nogil:
    """Tell whether a parameter may be written while its processes are in this state, as milk's check does."""
    if status & STATUS_RUN:
        return flags & FLAG_WRITERUN != 0
    if status & STATUS_CONF:
        return flags & FLAG_WRITECONF != 0
    return flags & FLAG_WRITE != 0
