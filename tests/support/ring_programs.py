"""A C program that reads a stream with a ring, over the header that pymilk installs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pymilk

# With one argument it tells the layout of a file. With a second one it waits, on a semaphore, for so many
# frames of 32-bit pixels, takes each from its slot, and compares the pixels with the number in the first.
READER = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "ImageStruct.h"

static size_t up(size_t nbytes) { return (nbytes + 7) / 8 * 8; }

int main(int argc, char **argv)
{
    struct stat st;
    int fd = open(argv[1], O_RDWR);
    if (fd < 0 || fstat(fd, &st) != 0) return 2;
    char *at = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), *base = at;
    if (at == MAP_FAILED) return 3;
    volatile IMAGE_METADATA *md = (IMAGE_METADATA *)at;
    at += up(sizeof(IMAGE_METADATA)) + up(md->imdatamemsize) + up(md->NBkw * sizeof(IMAGE_KEYWORD));
    SEMFILEDATA *semaphores = (SEMFILEDATA *)at;
    at += up((md->sem + 1) * sizeof(SEMFILEDATA)) + 4 * up(md->sem * 4);
    at += up(md->NBproctrace * sizeof(STREAM_PROC_TRACE)) + up(md->CBsize * sizeof(CBFRAMEMD));
    char *slots = at;
    at += up(md->CBsize * md->imdatamemsize);
    printf("%s %u %u %u %u %llu %d %u %d\n", md->version, md->naxis, md->size[0], md->size[1], md->datatype,
           (unsigned long long)md->imagetype, md->sem, md->CBsize, at - base == st.st_size);
    fflush(stdout);
    if (argc < 3) return 0;

    long wanted = atol(argv[2]), frames = 0, bad = 0, posts = 0;
    uint64_t index = md->CBindex, first = 0, last = 0, gaps = 0;
    while (frames < wanted) {
        struct timespec end;
        clock_gettime(CLOCK_REALTIME, &end);
        end.tv_sec += 60;
        if (sem_timedwait(&semaphores[md->sem - 1].semdata, &end) != 0) return 4;
        posts++;
        uint64_t newest = __atomic_load_n(&((IMAGE_METADATA *)base)->CBindex, __ATOMIC_ACQUIRE);
        while (index != newest) {
            index = (index + 1) % md->CBsize;
            uint32_t *pixels = (uint32_t *)(slots + index * md->imdatamemsize);
            for (uint64_t k = 1; k < md->nelement; k++) bad += pixels[k] != pixels[0];
            if (!first) first = pixels[0];
            if (last) gaps += pixels[0] - last - 1;
            last = pixels[0];
            frames++;
        }
    }
    printf("%ld %d %ld %llu %llu %llu\n", bad, posts > 0, frames, (unsigned long long)gaps,
           (unsigned long long)first, (unsigned long long)last);
    return 0;
}
"""


def compiled_reader(folder: Path) -> Path:
    """Compile the program; returns its path."""
    (folder / "reader.c").write_text(READER)
    command = ["cc", "-O2", "-std=gnu11", "-Wall", "-Wextra", "-pthread", "-I", pymilk.get_include()]
    subprocess.run([*command, folder / "reader.c", "-o", folder / "reader"], check=True, timeout=100)
    return folder / "reader"
