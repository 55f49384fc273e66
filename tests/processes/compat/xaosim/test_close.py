"""Closing objects of the xaosim interface while other processes use the stream."""

from __future__ import annotations

import os

import pytest

from pymilk.errors import StreamClosedError, StreamReplacedError
from support.children import REPLACES
from support.xaosims import ramp


def test_close_leaves_what_another_process_has_put_there(make, spawn, shm_dir):
    one, two = make("cam", data=ramp((3, 4))), make("cam")
    child = spawn(REPLACES + "import numpy as np, pymilk; pymilk.SHM('cam', np.ones((3, 4), 'f4')).close()")
    assert child.finish() == (0, "", "")
    assert one.close() == 0
    with pytest.raises(StreamReplacedError, match="not deleted"):
        two.close(erase_file=True)
    with pytest.raises(StreamClosedError):
        two.get_counter()
    assert make("cam").get_data()[0, 0] == 1


def test_close_does_not_own_a_stream_that_was_followed(make, spawn):
    s = make("cam", data=ramp((3, 4)))
    child = spawn(REPLACES + "import numpy as np, pymilk; pymilk.SHM('cam', np.ones((3, 4), 'f4')).close()")
    assert child.finish() == (0, "", "")
    assert s.get_data()[0, 0] == 1
    s.close()
    assert not make("cam").empty


def test_close_by_a_child_after_fork_keeps_the_stream(spawn, shm_dir):
    parent = spawn("""
import os
import numpy as np
from pymilk.compat.xaosim import shm
s = shm("cam", data=np.zeros((3, 4)))
pid = os.fork()
if pid == 0:
    os._exit(s.close())
print(os.waitpid(pid, 0)[1], os.path.exists(os.environ["MILK_SHM_DIR"] + "/cam.im.shm"))
print(s.close(), os.listdir(os.environ["MILK_SHM_DIR"]))
""")
    assert parent.finish() == (0, "0 True\n0 []\n", "")


def test_exit_without_closing_is_silent(spawn, shm_dir):
    child = spawn("""
import numpy as np
from pymilk.compat.xaosim import shm
s = shm("cam", data=np.zeros((3, 4)), nosem=False)
s.catch_up_with_sem(5)
s.get_data(check=1, timeout=0)
""")
    assert child.finish() == (0, "", "")
    assert os.listdir(shm_dir) == ["cam.im.shm"]
