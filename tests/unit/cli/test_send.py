"""``pymilk send``, and what ``ls``, ``info`` and ``rm`` say of command queues."""

from __future__ import annotations

import json
import threading

from pymilk.channels import CommandQueue
from support.calling import call, done


def test_send(shm_dir):
    with CommandQueue.create("cam", size=64) as queue:

        def answer(data: bytes | str) -> str:
            if data == "bad":
                raise ValueError("no such command")
            return f"did {data}"

        thread = threading.Thread(target=queue.serve, args=(answer,))
        thread.start()
        try:
            assert done("send", "cam", "go") == "did go\n"
            found = json.loads(done("send", "cam", "go", "--json"))
            assert found == {"state": "done", "data": "did go", "error": False}
            said = call("send", "cam", "bad")
            assert (said.returncode, said.stderr) == (1, "ValueError: no such command\n")
            line = "cam.cmd.shm: command queue, 0 waiting, 0 started, 3 sent so far, attached 1 times"
            assert done("ls").startswith(line)
            said = call("rm", "cam.cmd.shm")
            assert (said.returncode, "1 handles have it attached" in said.stderr) == (1, True)
        finally:
            done("rm", "--force", "cam.cmd.shm")
            thread.join(10)
        assert not thread.is_alive()


def test_nobody_takes_it():
    with CommandQueue.create("cam"):
        said = call("send", "cam", "go", "--timeout", 0.01)
        assert (said.returncode, said.stderr) == (3, "cam: not started\n")
    assert json.loads(done("info", "cam.cmd.shm", "--json"))["slots"] == 64
    done("rm", "cam.cmd.shm")
    assert call("send", "cam", "go").returncode == 1
