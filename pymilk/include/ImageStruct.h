/*
 * The ImageStreamIO stream file, structure version 2.00, as C structs.
 *
 * A stream is a file <name>.im.shm that processes map to pass camera frames to each other. It holds
 * these sections in this order, each rounded up to 8 bytes, with nothing between them:
 *
 *     metadata         IMAGE_METADATA
 *     array            imdatamemsize bytes of pixels, absent if location >= 0 (pixels on a GPU)
 *     keywords         IMAGE_KEYWORD[NBkw]
 *     semfile          SEMFILEDATA[sem]
 *     semlog           sem_t
 *     semReadPID       int32_t[sem]
 *     semWritePID      int32_t[sem]
 *     semctrl          uint32_t[sem]
 *     semstatus        uint32_t[sem]
 *     streamproctrace  STREAM_PROC_TRACE[NBproctrace]
 *     atimearray       struct timespec[size[2]]   these three exist if and only if
 *     writetimearray   struct timespec[size[2]]   (imagetype & 0xF000F) ==
 *     cntarray         uint64_t[size[2]]          (CIRCULAR_BUFFER | ZAXIS_TEMPORAL)
 *     CircBuff_md      CBFRAMEMD[CBsize]
 *     CBimdata         CBsize frames of imdatamemsize bytes, the frames themselves not rounded
 *     writehist        FRAMEWRITEMD[IMAGESTRUCT_FRAMEWRITEMDSIZE], with IMAGESTRUCT_WRITEHISTORY
 *
 * Two macros change the layout, and a program must be compiled with the same ones as the writer:
 * DAO_COMPAT and IMAGESTRUCT_WRITEHISTORY. Neither changes the version string.
 *
 * This header declares data only; there is no code in it and nothing to link. It can be used from C11
 * and C++11. Byte order is little endian, alignment is natural.
 */
#ifndef PYMILK_IMAGESTRUCT_H
#define PYMILK_IMAGESTRUCT_H

#include <semaphore.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define IMAGESTRUCT_VERSION "2.00"

/* Limits. The strings fill their fields completely: a text of maximal length has no NUL. */
#define STRINGMAXLEN_IMAGE_NAME 80
#define KEYWORD_MAX_STRING 16
#define KEYWORD_MAX_COMMENT 80
#define SEMAPHORE_MAXVAL 10 /* a semaphore at or above this value is not posted */
#define SEMAPHORE_INITVAL 0
#define IMAGE_NB_SEMAPHORE 10
#define IMAGE_NB_PROCTRACE 10
#define IMAGESTRUCT_FRAMEWRITEMDSIZE 100
#define MAX_NB_PARTIAL_PACKET 512
#define SHAREDMEMDIR "/milk/shm" /* used if $MILK_SHM_DIR is not set */

/* The clock of every time stored in a stream. */
#define CLOCK_ISIO CLOCK_TAI

/* IMAGE_METADATA.datatype */
#define _DATATYPE_UNINITIALIZED 0
#define _DATATYPE_UINT8 1
#define _DATATYPE_INT8 2
#define _DATATYPE_UINT16 3
#define _DATATYPE_INT16 4
#define _DATATYPE_UINT32 5
#define _DATATYPE_INT32 6
#define _DATATYPE_UINT64 7
#define _DATATYPE_INT64 8
#define _DATATYPE_FLOAT 9
#define _DATATYPE_DOUBLE 10
#define _DATATYPE_COMPLEX_FLOAT 11
#define _DATATYPE_COMPLEX_DOUBLE 12
#define _DATATYPE_HALF 13

/* IMAGE_METADATA.imagetype: kind of image in bits 0 to 3, meaning of the third axis in bits 16 to 19 */
#define CIRCULAR_BUFFER 0x0001
#define MATH_DATA 0x0002
#define IMG_RECV 0x0004
#define IMG_SENT 0x0008
#define ZAXIS_UNDEF 0x00000
#define ZAXIS_SPACIAL 0x10000
#define ZAXIS_TEMPORAL 0x20000
#define ZAXIS_WAVELENGTH 0x30000
#define ZAXIS_MAPPING 0x40000

/* semctrl (writer to readers) and semstatus (readers to stream) bits */
#define IMAGE_SEMAPHORE_CONTROL_READY 0x01
#define IMAGE_SEMAPHORE_STATUS_CONNECTED 0x01
#define IMAGE_SEMAPHORE_STATUS_SEMWAIT 0x02
#define IMAGE_SEMAPHORE_STATUS_SEMREADYWAIT 0x04
#define IMAGE_SEMAPHORE_STATUS_SEMTIMEOUT 0x08

typedef struct {
    char version[32]; /* written last at creation; empty while the stream is not ready */
    char name[STRINGMAXLEN_IMAGE_NAME];

    uint8_t naxis;     /* 1 to 3 */
    uint32_t size[3];  /* size[0] varies fastest; unused entries are 0 */
    uint64_t nelement; /* product of the used sizes */
    uint8_t datatype;
    uint64_t imagetype;

    struct timespec creationtime;
    struct timespec lastaccesstime;
    struct timespec atime;     /* when the newest frame was acquired */
    struct timespec writetime; /* when the newest frame was published */

    pid_t creatorPID;
    pid_t ownerPID;
    uint8_t shared; /* 1 in every file */
    ino_t inode;    /* of the file at creation; another inode under the same path is another stream */
    int8_t location; /* -1: pixels in the file; 0 and up: number of the GPU that holds them */
    uint8_t status;
    uint64_t flag;
    uint8_t logflag;
    uint16_t sem; /* number of semaphores */
    uint16_t NBproctrace;

    uint64_t cnt0; /* frames published since creation: the truth that readers go by */
    uint64_t cnt1; /* slice written last, in a 3D stream that is used as a ring */
    uint64_t cnt2;
    uint8_t write; /* 1 while a writer changes the pixels */
    uint16_t NBkw;

    uint32_t CBsize;  /* slots of the fast circular buffer, 0 if there is none */
    uint32_t CBindex; /* slot that holds the newest frame */
    uint64_t CBcycle; /* times that CBindex came round to 0 */

#ifdef IMAGESTRUCT_WRITEHISTORY
    uint32_t wCBindex;
    uint64_t wCBcycle;
#endif

    uint64_t imdatamemsize; /* bytes of one frame */
    char cudaMemHandle[64]; /* CUDA inter-process handle of the pixels, if location >= 0 */

#ifdef DAO_COMPAT
    uint32_t lastPos;
    uint32_t lastNb;
    uint32_t packetNb;
    uint32_t packetTotal;
    uint64_t lastNbArray[MAX_NB_PARTIAL_PACKET];
#endif
} IMAGE_METADATA;

typedef struct {
    char name[KEYWORD_MAX_STRING]; /* the first slot with an empty name ends the list */
    char type;                     /* 'L' int64, 'D' double, 'S' text, 'N' unused */
    union {
        int64_t numl;
        double numf;
        char valstr[KEYWORD_MAX_STRING];
    } value;
    uint64_t cnt; /* meant to grow at each write of the keyword */
    char comment[KEYWORD_MAX_COMMENT];
} IMAGE_KEYWORD;

typedef struct {
    sem_t semdata;
} SEMFILEDATA;

/* How the newest frame came to be: entry 0 is the last processing step, entry 1 the one before it. */
typedef struct {
    int triggermode;
    pid_t procwrite_PID;
    ino_t trigger_inode;
    struct timespec ts_procstart;
    struct timespec ts_streamupdate;
    int trigsemindex;
    int triggerstatus;
    uint64_t cnt0;
} STREAM_PROC_TRACE;

/* One slot of the fast circular buffer. */
typedef struct {
    uint64_t cnt0;
    uint64_t cnt1;
    struct timespec atime;
    struct timespec writetime;
} CBFRAMEMD;

/* One entry of the write history. */
typedef struct {
    uint64_t cnt0;
    pid_t wpid;
    struct timespec writetime;
} FRAMEWRITEMD;

#include "ImageStructCheck.h"

#endif /* PYMILK_IMAGESTRUCT_H */
