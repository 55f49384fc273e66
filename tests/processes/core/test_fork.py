"""A child after fork that uses objects of its parent."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pymilk import SHM
from support.children import Child
from support.timed_calls import PRELUDE

Spawn = Callable[..., Child]

#: Runs something in a forked process.
FORK = """
def in_child(work):
    pid = os.fork()
    if not pid:
        code = 9
        try:
            work()
            code = 0
        except BaseException as error:
            os.write(2, f"{error!r}".encode())
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

def refused(call, what):
    try:
        call()
    except StreamForkedError as error:
        assert error.pid == os.getppid() and error.stream == "cam", vars(error)
        assert f"this {what} goes on in process {os.getppid()}" in str(error), str(error)
        return error
    raise AssertionError("nothing was raised")
"""

FORKED = {
    "capture": """
capture = shm.capture(3, timeout=None, background=True)
shm.set_data(frame(1))
while capture.received < 1:
    time.sleep(0.001)
def work():
    assert capture.done and capture.received == 1 and capture.frames[0, 0, 0] == 1
    refused(capture.join, "capture")
    assert isinstance(capture.error, StreamForkedError)
    assert capture.report.received == 1
    capture.stop()
    with SHM("cam") as other:
        own = other.capture(1, timeout=30, background=True)
        shm.set_data(frame(2))  # the child may write, too
        assert own.join().frames[0, 0, 0] == 2
    shm.close()
in_child(work)
while capture.received < 2:
    time.sleep(0.001)
shm.set_data(frame(3))
say(capture.join().frames[:, 0, 0].tolist(), capture.report.lost)
""",
    "turned capture": """
shm = SHM("cam", symcode=1)
out = np.zeros((2, *shm.shape), np.uint32)
capture = shm.capture(2, out, timeout=None, background=True)
shm.set_data(np.full(shm.shape, 1, np.uint32))
while capture.received < 1:
    time.sleep(0.001)
in_child(lambda: np.testing.assert_array_equal(capture.frames, np.full((1, *shm.shape), 1)))
shm.set_data(np.full(shm.shape, 2, np.uint32))
say(capture.join().frames[:, 0, 0].tolist(), capture.report.lost, (out[1] == 2).all())
""",
    "finished capture": """
capture = shm.capture(1, timeout=None, background=True)
shm.set_data(frame(1))
capture.join()
in_child(lambda: capture.join().frames[0, 0, 0] == 1 or 1 / 0)
say(capture.received)
""",
    "capture not begun": """
capture = pymilk.Capture(shm._stream, 1, timeout=30, held=True)
def work():
    capture.begin()
    capture.armed()
    shm.set_data(frame(1))
    assert capture.join().frames[0, 0, 0] == 1
in_child(work)
work()
say("both")
""",
    "captures of several": """
second = SHM("second", ((2,), np.uint8))
many = pymilk.capture_many({"cam": 2, "second": 1}, timeout=None, background=True)
second.set_data(np.array([7], np.uint8).repeat(2))
while not many["second"].done:
    time.sleep(0.001)
def work():
    assert many.done and many["second"].join().frames[0, 0] == 7
    try:
        many.join()
    except pymilk.errors.MultiCaptureError as error:
        assert list(error.errors) == ["cam"]
        assert isinstance(error.errors["cam"], StreamForkedError)
    else:
        1 / 0
in_child(work)
for number in (1, 2):
    shm.set_data(frame(number))
    while many["cam"].received < number:
        time.sleep(0.001)
say(len(many.join()), many.errors)
""",
    "collector": """
ring = shm.ring_reader(8)
for number in (1, 2):
    shm.set_data(frame(number))
    while ring.lag < number:
        time.sleep(0.001)
bell = ring.fileno()
def work():
    # What was collected is readable; nothing comes any more.
    assert ring.latest()[0, 0] == 2
    assert ring.read(2).frames[:, 0, 0].tolist() == [1, 2]
    for timeout in (None, 0, 5):
        refused(lambda: ring.read(1, timeout=timeout), "collector")
        refused(lambda: next(ring.blocks(timeout=timeout)), "collector")
        refused(lambda: pymilk.wait_any([ring], timeout), "collector")
    import select
    assert select.select([ring], [], [], 30)[0]  # readable: there is the error to raise
    refused(lambda: ring.read(1), "collector")
    ring.close()
in_child(work)
import select
assert select.select([bell], [], [], 30)[0]
say(ring.read(2).frames[:, 0, 0].tolist(), ring.lost)
""",
    "reader in another thread": """
ring = shm.ring_reader(8)
got = []
thread = threading.Thread(target=lambda: got.append(ring.read(1, timeout=None).frames[0, 0, 0]))
thread.start()
while not ring._turn.locked():
    time.sleep(0.001)
def work():
    refused(lambda: ring.read(1, timeout=None), "collector")  # and not: another thread is reading
    ring.close()
in_child(work)
shm.set_data(frame(5))
thread.join()
say(got)
""",
    "asyncio": """
import asyncio
async def main():
    ring = shm.ring_reader(8)
    task = asyncio.ensure_future(anext(ring.ablocks(timeout=None)))
    while ring._executor is None:
        await asyncio.sleep(0.001)
    in_child(lambda: refused(lambda: ring.read(1), "collector"))
    shm.set_data(frame(4))
    say((await task).frames[0, 0, 0])
    ring.close()
asyncio.run(main())
""",
    "relay": """
relay = pymilk.Relay("cam", "cam_ring", 8)
with SHM("cam_ring") as target:
    def work():
        refused(relay.tend, "relay")
        with relay:
            pass
        assert os.path.exists(target.FILEPATH)
    in_child(work)
    shm.set_data(frame(6))
    while target.get_counter() < shm.get_counter():
        time.sleep(0.001)
    relay.tend()
    say(target.get_data()[0, 0])
relay.close()
""",
    "follower": """
# Another thread is just going over to a new file.
warnings.filterwarnings("ignore", "stream .* is replaced")
shm._lock.acquire()
SHM("cam", frame(8)).close()
in_child(lambda: shm.get_data()[0, 0] == 8 or 1 / 0)
shm._lock.release()
say(shm.get_data()[0, 0])
""",
    "camera": """
from pymilk.simulate import SimulatedCamera
with SimulatedCamera("sim") as camera:
    in_child(lambda: camera.__exit__())
    with SHM("sim") as sim:
        sim.get_data(check=True, timeout=30)
    say("alive")
""",
    "keywords, views and semaphores": """
view = shm.get_data(copy=False)
index = shm.semID
def work():
    shm.set_data(frame(9))
    shm.keywords["A"] = 1
    assert shm.semID != index
    assert view[0, 0] == 9
in_child(work)
say(view[0, 0], dict(shm.keywords), shm.semID == index)
""",
}

ANSWERS = {
    "capture": "[1, 2, 3] 0",
    "turned capture": "[1, 2] 0 True",
    "captures of several": "2 {}",
    "capture not begun": "both",
    "collector": "[1, 2] 0",
    "reader in another thread": "[5]",
    "asyncio": "4",
    "relay": "6",
    "follower": "8",
    "camera": "alive",
    "keywords, views and semaphores": "9 {'A': 1} True",
}


@pytest.mark.parametrize("what", FORKED)
def test_fork(cam: SHM, spawn: Spawn, what: str) -> None:
    child = spawn(PRELUDE + FORK + 'shm = SHM("cam")\n' + FORKED[what])
    said = child.hear().replace("np.uint32(5)", "5")
    assert said == ANSWERS.get(what, said)
    code, rest, errors = child.finish()
    assert (code, rest, errors) == (0, "", "")
