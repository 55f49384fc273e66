"""Ctrl-C and signal handlers during waits; a child after fork."""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np
import pytest

from support.foreign import PRELUDE, SHAPE, owners
from support.waiting import until

# -- fork ---------------------------------------------------------------------------------------------

FORKING = (
    PRELUDE
    + """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # fork with threads, from Python 3.12
shm = SHM("cam")
mine = shm.semID
capture = shm.capture(1, timeout=30, background=True) if sys.argv[1] == "capture" else None
ears, mouth = os.pipe()
pid = os.fork()
if pid == 0:
    try:
        os.write(mouth, f"{shm.semID}\\n".encode())
        frame = shm.get_data(check=True, timeout=30)
        os.write(mouth, f"{frame[0, 0]}\\n".encode())
        shm.close()
        del shm, capture
        gc.collect()
    except BaseException as error:
        os.write(mouth, f"{error!r}\\n".encode())
    os._exit(0)
os.close(mouth)
with os.fdopen(ears) as pipe:
    theirs = pipe.readline().strip()
    say(mine, theirs, os.getpid(), pid)
    input()
    say(pipe.readline().strip())
os.waitpid(pid, 0)
say(shm.semID)
if capture:
    say(capture.join().frames[0, 0, 0])
input()
"""
)


@pytest.mark.parametrize("mode", ["plain", "capture"])
def test_child_after_fork_takes_its_own_semaphore(spawn, make_stream, mode):
    stream = make_stream("cam", SHAPE, np.uint32)
    parent = spawn(FORKING, mode)
    mine, theirs, parent_pid, child_pid = parent.hear().split()
    assert mine != theirs
    assert owners(stream)[int(mine)] == int(parent_pid)
    assert owners(stream)[int(theirs)] == int(child_pid)
    published = threading.Event()

    def publish() -> None:
        # The child may not wait yet: frames come until it has seen one.
        while not published.wait(0.01):
            stream.publish(np.full(SHAPE, 7, np.uint32))

    writer = threading.Thread(target=publish)
    writer.start()
    parent.tell()
    parent.expect("7")
    published.set()
    writer.join()
    parent.expect(mine)
    if mode == "capture":
        parent.expect("7")
    assert owners(stream)[int(mine)] == int(parent_pid)
    assert owners(stream)[int(theirs)] == -1
    parent.tell()
    assert parent.finish() == (0, "", "")


# -- Ctrl-C -------------------------------------------------------------------------------------------

INTERRUPTED = (
    PRELUDE
    + """
call, how = sys.argv[1:]
shm = SHM("cam")
stream = Stream.attach("cam")
stopped = threading.Event()

def busy():
    while not stopped.is_set():
        sum(range(1000))

def interrupt_myself():
    input()
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)
    stopped.wait()

thread = threading.Thread(target={"busy": busy, "other": interrupt_myself}.get(how, lambda: None))
thread.start()
frame = np.full((1, 32, 32), 3, np.uint32)
calls = {
    "get_data": lambda: shm.get_data(check=True, timeout=None),
    "capture": lambda: shm.capture(1000, timeout=None),
    "capture-spin": lambda: shm.capture(1000, timeout=None, wait="spin"),
    "join": lambda: shm.capture(1000, timeout=None, background=True).join(),
    "publish_many": lambda: stream.publish_many(frame, 10**12),
    "publish_slowly": lambda: stream.publish_many(frame, 10**12, interval_ns=10**8),
    "publish_rarely": lambda: stream.publish_many(frame, 10**12, interval_ns=10**12),
    "sem_wait": lambda: stream.sem_wait(stream.sem_index, None),
}
try:
    say("ready")
    calls[call]()
except KeyboardInterrupt:
    say(time.monotonic())
stopped.set()
thread.join()
# The stream is as usable as before.
shm.set_data(frame[0])
none = shm.get_data(check=True, timeout=0.01, return_none_on_timeout=True)
say(int(shm.get_data()[0, 0]), stream.write, none)
shm.close()
stream.close()
"""
)


@pytest.mark.parametrize(
    ("call", "how"),
    [
        ("get_data", "quiet"),
        ("get_data", "busy"),
        ("get_data", "other"),
        ("capture", "quiet"),
        ("capture", "busy"),
        ("capture", "other"),
        ("capture-spin", "quiet"),
        ("join", "quiet"),
        ("publish_many", "quiet"),
        ("publish_many", "busy"),
        ("publish_many", "other"),
        ("publish_slowly", "quiet"),
        ("publish_rarely", "quiet"),
        ("sem_wait", "quiet"),
    ],
)
def test_interrupt(spawn, make_stream, call, how):
    stream = make_stream("cam", SHAPE, np.uint32)
    child = spawn(INTERRUPTED, call, how)
    child.expect("ready")
    if call.startswith("publish"):
        until(lambda: stream.counter > 0)
    else:
        until(lambda: child.pid in owners(stream))
    sent = time.monotonic()
    if how == "other":
        child.tell()
    else:
        os.kill(child.pid, signal.SIGINT)
    took = float(child.hear()) - sent  # the clock is the same in all processes
    print(f"\n{call}, {how}: interrupted after {took * 1e3:.1f} ms")
    assert took < 1
    child.expect("3 0 None")
    assert child.finish() == (0, "", "")
    assert set(owners(stream)) == {-1}


def test_signal_handler_that_returns_does_not_end_a_wait(spawn, make_stream):
    stream = make_stream("cam", SHAPE, np.uint32)
    child = spawn(
        PRELUDE
        + """
count = 0
def handler(number, stack):
    global count
    count += 1
    say("handled")
signal.signal(signal.SIGUSR1, handler)
shm = SHM("cam")
began = time.monotonic()
none = shm.get_data(check=True, timeout=0.5, return_none_on_timeout=True)
say(none, time.monotonic() - began >= 0.5, count)
shm.close()
"""
    )
    until(lambda: child.pid in owners(stream))
    os.kill(child.pid, signal.SIGUSR1)
    child.expect("handled")
    child.expect("None True 1")
    assert child.finish() == (0, "", "")
