"""A child after fork that stays while its parent goes on, and ends what it had begun before the fork."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.children import Child
from support.timed_calls import PRELUDE

Spawn = Callable[..., Child]

#: Forks a process that does something, then stays until `leave`; what is raised in it is said by `leave`.
STAY = """
def stay(work=lambda: None):
    here, there = os.pipe(), os.pipe()
    pid = os.fork()
    if not pid:
        os.close(here[1])
        code = 9
        try:
            work()
            code = 0
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}".encode())
        os.write(there[1], b"x")
        os.read(here[0], 1)
        os._exit(code)
    os.close(here[0])
    os.read(there[0], 1)
    def leave():
        os.close(here[1])
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    return leave

def raised(call):
    try:
        call()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")
"""

#: What is begun before the fork, and ends while the child is there.
STAYING = {
    "a camera ends": """
from pymilk.simulate import SimulatedCamera
camera = SimulatedCamera("sim", kind="ramp", rate=100).start()
leave = stay()
ended = camera.stop().ended
say(ended, os.path.exists(os.path.join(os.environ["MILK_SHM_DIR"], "sim.im.shm")))
leave()
""",
    "a camera is seen": """
from pymilk.simulate import SimulatedCamera
camera = SimulatedCamera("sim", kind="ramp", rate=100).start()
pid = camera.pid
def work():
    assert camera.running and camera.pid == pid and camera.report.ended == "running"
    assert camera.wait(0.05).ended == "running"
    assert "runs already" in str(raised(camera.start))
    assert camera.stop().ended == "running" and camera.running
    with SHM("sim") as sim:
        sim.get_data(check=True, timeout=30)
stay(work)()
ended = camera.stop().ended
def after():
    assert camera.report.ended == "stopped" and camera.pid == pid
stay(after)()
say(ended)
""",
    "a handler of a thread": """
from pymilk.util.threadHandler import ThreadHandler
class Worker(ThreadHandler):
    calls = 0
    def threadCall(self):
        self.calls += 1
worker = Worker()
worker.threadRun()
def work():
    error = raised(worker.threadRun)
    assert isinstance(error, StreamForkedError) and error.pid == os.getppid(), error
    worker.threadPause()
    worker.close()
def in_lock():
    worker.threadPause()
    assert isinstance(raised(worker.threadRun), StreamForkedError)
stay(work)()
taken, free = threading.Event(), threading.Event()
def hold():
    with worker._orders.lock:
        taken.set()
        free.wait()
holder = threading.Thread(target=hold)
holder.start()
taken.wait()
leave = stay(in_lock)
free.set()
holder.join()
leave()
before = worker.calls
while worker.calls == before:
    time.sleep(0.001)
worker.close()
say("goes on")
""",
    "the process of an FPS": """
from pymilk.parameters import FPS
with FPS.create("loop", standard=True, directories=False) as fps, fps.running() as run:
    def work():
        assert not run.going
        error = raised(run.wait)
        assert isinstance(error, StreamForkedError) and error.pid == os.getppid(), error
        run.__exit__(None, None, None)
    stay(work)()
    say(run.going, fps.run_state, run.wait(0))
""",
    "process information": """
from pymilk.parameters import ProcessInfo
with ProcessInfo.create("loop", message="all is well") as process:
    def work():
        try:
            with process:
                raise OSError("of the child")
        except OSError:
            pass
    stay(work)()
    say(process.message, process.loop_state.name)
""",
    "locks that another thread holds": """
from pymilk.compat import xaosim
from pymilk.compat.pymembus import memvid, video_format
from pymilk.recording.elsewhere import frames_elsewhere
warnings.filterwarnings("ignore", "stream .* is replaced")
plain = os.path.join(os.environ["MILK_SHM_DIR"], "plain.npy")
np.save(plain, np.stack([frame(3), frame(4)]))
files = frames_elsewhere([(plain, 2)], (4, 6), np.dtype(np.uint32), pymilk.load, 2)
shm.close()
old, video = xaosim.shm("cam"), memvid()
assert video.open("/video", True, 4, 2, video_format.gray8, 25, 2)
SHM("cam", frame(8)).close()  # which `old` has to follow
taken, free = threading.Event(), threading.Event()
def hold():
    with old._lock, video._turn, files._parts[0][0]._lock:
        taken.set()
        free.wait()
holder = threading.Thread(target=hold)
holder.start()
taken.wait()
def work():
    assert old.get_data().max() == 8
    assert video.next(1) == 1
    assert files[1].max() == 4
leave = stay(work)
free.set()
holder.join()
leave()
say(video.close(), old.close())
""",
    "changes of an FPS": """
import asyncio
from pymilk.parameters import FPS
with FPS.create("loop", 20, directories=False) as fps:
    fps.add_param("gain", default=0.5)
    watch = fps.watch(timeout=30)
    async def change():
        asyncio.get_running_loop().call_later(0.05, lambda: fps.set("gain", fps["gain"] + 1))
        return (await anext(watch)).value
    asyncio.run(change())
    def work():
        assert asyncio.run(change()) == 2.5
    stay(work)()
    watch.close()
    async def after():
        return await anext(watch, "none")
    say(asyncio.run(after()))
""",
}

ANSWERS = {
    "a camera ends": "stopped False",
    "a camera is seen": "stopped",
    "a handler of a thread": "goes on",
    "the process of an FPS": "True running False",
    "process information": "all is well INIT",
    "locks that another thread holds": "None 0",
    "changes of an FPS": "none",
}


@pytest.mark.parametrize("what", STAYING)
def test_parent_goes_on(what: str, spawn: Spawn) -> None:
    child = spawn(PRELUDE + STAY + "shm = SHM('cam', frame(0))\n" + STAYING[what])
    assert child.hear() == ANSWERS[what]
    code, rest, errors = child.finish()
    assert (code, rest, errors) == (0, "", "")
