"""What the system may lack or calls by another name, and how the package was built: port.h, for Cython."""

cdef extern from "pymilk/protocol/port.h" nogil:
    enum:
        PYMILK_HEADER_HISTORY
        PYMILK_HEADER_DAO
        PYMILK_DEBUG_BUILD
        MADV_POPULATE_READ
        MADV_POPULATE_WRITE
    const char *IMAGESTRUCT_VERSION
    const char *PYMILK_HEADER
    const char *PYMILK_CYTHON
    void pymilk_pause()
    void pymilk_stream_copy(void *to, const void *source, size_t nbytes)
    void pymilk_fence(char *base, size_t nbytes)
    void pymilk_unfence(char *base, size_t nbytes)
    bint pymilk_may_spin()
    int pymilk_populate(char *start, size_t nbytes, size_t align)
    void PYMILK_ASSERT(bint condition)
