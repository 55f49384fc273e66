"""What the C headers say: the ImageStreamIO structs, semaphores, clocks, memory and atomics.

Declarations only. ``ImageStruct.h`` is the one that the build was told to use (PYMILK_ISIO); whichever
it is, ``ImageStructCheck.h`` proves its sizes and offsets while compiling.
"""

from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "<time.h>" nogil:
    ctypedef long time_t
    struct timespec:
        time_t tv_sec
        long tv_nsec
    int CLOCK_MONOTONIC
    int CLOCK_MONOTONIC_COARSE
    int CLOCK_THREAD_CPUTIME_ID
    int CLOCK_REALTIME
    int CLOCK_TAI
    int TIMER_ABSTIME
    int clock_gettime(int clock, timespec *now)
    int clock_nanosleep(int clock, int flags, const timespec *request, timespec *remain)

cdef extern from "<semaphore.h>" nogil:
    ctypedef struct sem_t:
        pass
    int sem_init(sem_t *sem, int pshared, unsigned int value)
    int sem_trywait(sem_t *sem)
    int sem_getvalue(sem_t *sem, int *value)

cdef extern from "<sys/types.h>" nogil:
    ctypedef int pid_t
    ctypedef unsigned long ino_t
    ctypedef unsigned long dev_t
    ctypedef long off_t

cdef extern from "ImageStruct.h" nogil:
    enum:
        STRINGMAXLEN_IMAGE_NAME
        KEYWORD_MAX_STRING
        KEYWORD_MAX_COMMENT
        SEMAPHORE_MAXVAL
        IMAGE_NB_PROCTRACE
        IMAGESTRUCT_FRAMEWRITEMDSIZE
        CIRCULAR_BUFFER
        ZAXIS_TEMPORAL
        _DATATYPE_UINT8
        _DATATYPE_HALF

    ctypedef struct IMAGE_METADATA:
        char version[32]
        char name[80]
        uint8_t naxis
        uint32_t size[3]
        uint64_t nelement
        uint8_t datatype
        uint64_t imagetype
        timespec creationtime
        timespec lastaccesstime
        timespec atime
        timespec writetime
        pid_t creatorPID
        pid_t ownerPID
        uint8_t shared
        ino_t inode
        int8_t location
        uint8_t status
        uint64_t flag
        uint8_t logflag
        uint16_t sem
        uint16_t NBproctrace
        uint64_t cnt0
        uint64_t cnt1
        uint64_t cnt2
        uint8_t write
        uint16_t NBkw
        uint32_t CBsize
        uint32_t CBindex
        uint64_t CBcycle
        # Behind this point the layouts differ: see protocol/layout.pxd.

    ctypedef union KEYWORD_VALUE "__typeof__(((IMAGE_KEYWORD *)0)->value)":
        int64_t numl
        double numf
        char valstr[16]

    ctypedef struct IMAGE_KEYWORD:
        char name[16]
        char type
        KEYWORD_VALUE value
        uint64_t cnt
        char comment[80]

    ctypedef struct SEMFILEDATA:
        sem_t semdata

    ctypedef struct STREAM_PROC_TRACE:
        int triggermode
        pid_t procwrite_PID
        ino_t trigger_inode
        timespec ts_procstart
        timespec ts_streamupdate
        int trigsemindex
        int triggerstatus
        uint64_t cnt0

    ctypedef struct CBFRAMEMD:
        uint64_t cnt0
        uint64_t cnt1
        timespec atime
        timespec writetime

    ctypedef struct FRAMEWRITEMD:
        uint64_t cnt0
        pid_t wpid
        timespec writetime

cdef extern from "<sys/prctl.h>" nogil:
    enum:
        PR_GET_TIMERSLACK
        PR_SET_TIMERSLACK
    int prctl(int what, unsigned long value, unsigned long, unsigned long, unsigned long)

cdef extern from "<sys/mman.h>" nogil:
    enum:
        PROT_READ
        PROT_WRITE
        MAP_SHARED
        MAP_PRIVATE
        MAP_ANONYMOUS
        MADV_HUGEPAGE
    void *MAP_FAILED
    void *mmap(void *address, size_t nbytes, int protection, int flags, int fd, off_t offset)
    int munmap(void *address, size_t nbytes)
    int madvise(void *address, size_t nbytes, int advice)

cdef extern from "<sys/stat.h>" nogil:
    struct stat:
        dev_t st_dev
        ino_t st_ino
        off_t st_size
        unsigned int st_mode
        unsigned long st_nlink
        long long st_blocks
    int c_stat "stat"(const char *path, stat *result)
    int fstat(int fd, stat *result)
    bint S_ISREG(unsigned int mode)

cdef extern from "<unistd.h>" nogil:
    int c_close "close"(int fd)
    ssize_t pread(int fd, void *buffer, size_t nbytes, off_t offset)
    ssize_t c_write "write"(int fd, const void *buffer, size_t nbytes)

cdef extern from "<fcntl.h>" nogil:
    int posix_fallocate(int fd, off_t offset, off_t nbytes)

cdef extern from "<pthread.h>" nogil:
    ctypedef unsigned long pthread_t
    int pthread_create(pthread_t *thread, void *attributes, void *(*start)(void *) noexcept nogil, void *argument)
    int pthread_join(pthread_t thread, void **result)

# Compiler builtins. Each use says what it pairs with.
cdef extern from * nogil:
    enum:
        __ATOMIC_RELAXED
        __ATOMIC_ACQUIRE
        __ATOMIC_RELEASE
        __ATOMIC_SEQ_CST
    uint64_t atomic_load_u64 "__atomic_load_n"(uint64_t *address, int order)
    void atomic_store_u64 "__atomic_store_n"(uint64_t *address, uint64_t value, int order)
    uint64_t atomic_add_u64 "__atomic_add_fetch"(uint64_t *address, uint64_t value, int order)
    uint8_t atomic_load_u8 "__atomic_load_n"(uint8_t *address, int order)
    void atomic_store_u8 "__atomic_store_n"(uint8_t *address, uint8_t value, int order)
    uint32_t atomic_load_u32 "__atomic_load_n"(uint32_t *address, int order)
    void atomic_store_u32 "__atomic_store_n"(uint32_t *address, uint32_t value, int order)
    int32_t atomic_load_i32 "__atomic_load_n"(int32_t *address, int order)
    void atomic_store_i32 "__atomic_store_n"(int32_t *address, int32_t value, int order)
    int32_t atomic_or_i32 "__atomic_fetch_or"(int32_t *address, int32_t value, int order)
    bint atomic_swap_if_i32 "__atomic_compare_exchange_n"(
        int32_t *address, int32_t *expected, int32_t desired, bint weak, int success, int failure)
    bint atomic_swap_if_u64 "__atomic_compare_exchange_n"(
        uint64_t *address, uint64_t *expected, uint64_t desired, bint weak, int success, int failure)
    void atomic_fence "__atomic_thread_fence"(int order)
    bint add_overflows "__builtin_add_overflow"(uint64_t a, uint64_t b, uint64_t *result)
    bint mul_overflows "__builtin_mul_overflow"(uint64_t a, uint64_t b, uint64_t *result)
