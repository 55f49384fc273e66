"""Semaphores in files: the C library on the other side, files cut within a wait, words written over."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pymilk
from pymilk._core import Stream
from support import isio_format
from support.children import Child
from support.marks import needs_compiler

BEGIN = r"""
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>
#include "protocol/semaphore.h"

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static const int64_t HOUR = INT64_C(3600000000000);
"""

#: A wait times out, is woken, takes what is there, and is ended by a signal.
WAITS = (
    BEGIN
    + r"""
static sem_t sem;

static void on_alarm(int number)
{
    (void)number;
}

static void *post(void *nothing)
{
    usleep(20000);
    pymilk_sem_post(&sem);
    return nothing;
}

int main(void)
{
    struct sigaction action = {.sa_handler = on_alarm};
    struct itimerval soon = {{0, 20000}, {0, 20000}};
    pthread_t thread;
    int64_t until = now() + 50000000;
    sem_init(&sem, 0, 0);
    printf("%d", pymilk_sem_wait_until(&sem, until) == ETIMEDOUT && now() >= until);
    printf(" %d", pymilk_sem_wait_until(&sem, now() - 1) == ETIMEDOUT);
    pthread_create(&thread, NULL, post, NULL);
    printf(" %d", pymilk_sem_wait_until(&sem, now() + HOUR));
    pthread_join(thread, NULL);
    pymilk_sem_post(&sem);
    printf(" %d", pymilk_sem_wait_until(&sem, 0));
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
    printf(" %d", pymilk_sem_wait_until(&sem, now() + HOUR) == EINTR);
    ((int *)&sem)[0] = INT_MAX;
    printf(" %d", pymilk_sem_post(&sem) == -1 && errno == EOVERFLOW);
    ((int *)&sem)[2] = 17;
    printf(" %d", pymilk_sem_post(&sem) == -1 && errno == EINVAL);
    ((int *)&sem)[0] = 0;
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
    until = now() + 20000000;
    printf(" %d\n", pymilk_sem_wait_until(&sem, until) == ETIMEDOUT && now() >= until);
    return 0;
}
"""
)

#: Half of the threads use the C library's calls, half ours, on one semaphore. Prints what is left of it.
BOTH_SIDES = (
    BEGIN
    + r"""
#define POSTS 20000
static sem_t sem;
static int taken;

static void *take(void *ours)
{
    for (;;) {
        int got = ours != NULL ? pymilk_sem_wait_until(&sem, now() + HOUR) : sem_wait(&sem);
        if (got == 0 && __atomic_add_fetch(&taken, 1, __ATOMIC_RELAXED) > 2 * POSTS)
            return NULL; /* one post for each taker ends it */
    }
}

static void *post(void *ours)
{
    int i;
    for (i = 0; i < POSTS; i++) {
        if (ours != NULL ? pymilk_sem_post(&sem) : sem_post(&sem))
            return ours;
        if (i % 64 == 0)
            usleep(10); /* so that takers fall asleep */
    }
    return NULL;
}

static unsigned waiters(void)
{
    return __atomic_load_n((unsigned *)(void *)&sem + 1, __ATOMIC_RELAXED);
}

int main(void)
{
    pthread_t thread[4], poster[2];
    int k;
    sem_init(&sem, SHARED, 0);
    /* Alone: each kind of taker is seen to wait, and woken by the other kind of post. */
    for (k = 0; k < 2; k++) {
        taken = 2 * POSTS;
        pthread_create(&thread[0], NULL, take, k ? &sem : NULL);
        while (waiters() != 1)
            usleep(100);
        printf("%u ", pymilk_sem_shared(&sem));
        k ? sem_post(&sem) : pymilk_sem_post(&sem);
        pthread_join(thread[0], NULL);
    }
    taken = 0;
    for (k = 0; k < 4; k++)
        pthread_create(&thread[k], NULL, take, k % 2 ? &sem : NULL);
    for (k = 0; k < 2; k++)
        pthread_create(&poster[k], NULL, post, k ? &sem : NULL);
    for (k = 0; k < 2; k++)
        pthread_join(poster[k], NULL);
    for (k = 0; k < 4; k++)
        pymilk_sem_post(&sem);
    for (k = 0; k < 4; k++)
        pthread_join(thread[k], NULL);
    printf("%u %u %d\n", ((unsigned *)&sem)[0], waiters(), taken);
    return 0;
}
"""
)


def said_by(folder: Path, source: str, *flags: str) -> str:
    """Compile a program over our header, and return what it prints."""
    (folder / "program.c").write_text(source)
    package = os.path.dirname(pymilk.__file__)
    command = ["cc", "-O2", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-pthread", f"-I{package}", *flags]
    built = subprocess.run(
        [*command, "-o", folder / "program", folder / "program.c"],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (built.returncode, built.stderr) == (0, "")
    assert b"sem_timedwait" not in (folder / "program").read_bytes()
    ran = subprocess.run([folder / "program"], capture_output=True, text=True, timeout=100)
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


@needs_compiler
@pytest.mark.parametrize("flags", [(), ("-DPYMILK_WITHOUT_OWN_SEMAPHORES",)], ids=["own", "watched"])
def test_waits_and_posts(tmp_path: Path, flags: tuple[str, ...]) -> None:
    assert said_by(tmp_path, WAITS, *flags) == "1 1 0 0 1 1 1 1\n"


@needs_compiler
@pytest.mark.parametrize(("shared", "word"), [(0, 0), (1, 128)])
def test_both_sides_may_be_the_c_library(tmp_path: Path, shared: int, word: int) -> None:
    """Every post is taken once, nobody sleeps on, and no waiter is left in the account."""
    assert said_by(tmp_path, BOTH_SIDES, f"-DSHARED={shared}") == f"{word} {word} 0 0 40004\n"


#: A process that is stopped as it enters the kernel with a semaphore of the file; the file is cut then.
CUT = """
import os, signal, sys
import numpy as np
from support.killing import AT_CALL, SYSCALL, Victim, permitted, ptrace
from pymilk import SHM
from pymilk._core import Stream
from pymilk.errors import StreamDamagedError

what, path = sys.argv[1:]
CONT, FUTEX = 7, {"x86_64": "202", "aarch64": "98"}.get(os.uname().machine)
if FUTEX is None or not permitted():
    print("not here")
    sys.exit()
tells, told = os.pipe()

def prepare():
    shm = SHM("cam")
    shm.get_data()
    shm.semID
    return shm, np.ones((4, 4), np.uint16)

def act(given):
    shm, frame = given
    try:
        if what == "wait":
            Stream.attach("cam").wait(30)
        elif what == "semaphore":
            shm.check_sem_timedwait(30)
        else:
            shm.set_data(frame)  # the call that is stopped, and another
            shm.set_data(frame)
        os.write(told, b"nothing raised")
    except StreamDamagedError:
        os.write(told, b"damaged")
    except BaseException as error:
        os.write(told, repr(error).encode())

def of_the_file(pid):
    "Tell whether the call that it is about to make is a futex call on the file."
    number, *arguments = open(f"/proc/{pid}/syscall").read().split()
    if number != FUTEX:
        return False
    address = int(arguments[0], 16)
    for line in open(f"/proc/{pid}/maps"):
        begin, _, end = line.split()[0].partition("-")
        if int(begin, 16) <= address < int(end, 16):
            return line.rstrip().endswith(path)
    return False

victim = Victim(prepare, act)
try:
    while not of_the_file(victim.pid):
        stop = victim.go(SYSCALL)
        assert stop == AT_CALL, stop
    os.truncate(path, 0)
    signal_number = 0
    while True:
        ptrace(CONT, victim.pid, signal_number)
        signal_number = victim._wait()
        if signal_number in (signal.SIGSTOP, signal.SIGABRT, -1):
            break
    if signal_number == signal.SIGSTOP:
        print(os.read(tells, 1000).decode())
    else:
        print("ended by", signal_number)
finally:
    victim.kill()
"""


@pytest.mark.parametrize("what", ["wait", "semaphore", "post"])
def test_file_that_is_cut_between_the_look_and_the_sleep(
    spawn: Any, make_stream: Any, shm_dir: Path, what: str
) -> None:
    """The kernel finds no page at the address of the semaphore, and says so to us."""
    stream = make_stream("cam", (4, 4), np.uint16, nbsem=2)
    path = shm_dir / "cam.im.shm"
    if what == "post":
        # Somebody sleeps on each semaphore, by its own account: a post has to wake them.
        table = isio_format.section_table((4, 4), stream.datatype, nbkw=stream.nbkw, nbsem=2)
        with open(path, "r+b") as file:
            for k in range(2):
                file.seek(table["semfile"].offset + 32 * k + 4)
                file.write(struct.pack("<I", 1))
    child: Child = spawn(CUT, what, path)
    code, said, error = child.finish()
    if said == "not here\n":
        pytest.skip("processes may not be traced here")
    assert (code, error, said) == (0, "", "damaged\n")


def test_waiter_of_a_semaphore_that_is_made_anew(make_stream: Any, shm_dir: Path, spawn: Any) -> None:
    """A process that initialises it again knows of no waiters: the account does not fall below zero."""
    stream: Stream = make_stream("cam", (4, 4), np.uint16, nbsem=1)
    child: Child = spawn(
        """
from pymilk._core import Stream
stream = Stream.attach("cam")
print("ready", flush=True)
print(stream.sem_wait(0, 0.2), flush=True)
"""
    )
    child.expect("ready")
    table = isio_format.section_table((4, 4), stream.datatype, nbkw=stream.nbkw, nbsem=1)
    words = np.memmap(shm_dir / "cam.im.shm", "<u4", "r+", offset=table["semfile"].offset, shape=(4,))
    while words[1] != 1:
        assert child.process.poll() is None
    words[1] = 0
    child.expect("False")
    assert child.finish() == (0, "", "")
    assert words[:3].tolist() == [0, 0, 128]
