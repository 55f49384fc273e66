"""Wait by hand: semaphores, the wrapper's object, threads."""

import threading
import time

from pyMilk.errors import AutoRelinkError
from pyMilk.interfacing.isio_shmlib import SHM
from pyMilk.util.threadHandler import ThreadHandler

cam = SHM("camera")
cam._checkGrabSemaphore()
cam.IMAGE.semflush(cam.semID)
cam.IMAGE.semflush(-1)
while cam.IMAGE.semtrywait(cam.semID):
    time.sleep(0.001)
assert cam.IMAGE.semwait(cam.semID) == 0
while not cam.check_sem_timedwait(0.001):
    pass
assert cam.non_block_wait_semaphore() == 0
assert cam.non_block_wait_semaphore(0.001) == 0
assert cam.non_block_wait_until_recreation(0.001) is cam
assert isinstance(cam.check_sem_value(), int)

first = True
for _ in range(10):
    frame = cam.get_data(check=True, checkSemAndFlush=first, timeout=None)
    first = False
assert cam.get_data(True, timeout=0.05, checkSemAndFlush=False, copy=False) is not None
assert issubclass(AutoRelinkError, Exception)


class Reader(ThreadHandler):
    """Counts frames in the background."""

    def __init__(self):
        self.count = 0
        self.enough = threading.Event()
        super().__init__(sleep_ms=1)

    def threadCall(self):
        SHM("camera").get_data(True)
        self.count += 1
        if self.count == 5:
            self.enough.set()


reader = Reader()
reader.threadRun()
assert reader.enough.wait(20)
reader.threadPause()
print("done")
