"""``pymilk state --watch``: what changes in a shared state, until it is removed or Ctrl-C."""

from __future__ import annotations

import json
import signal
import subprocess

import pytest

from pymilk.channels import SharedState
from support.commands import COMMAND


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_watching(as_json):
    with SharedState.create("cam", {"count": 3, "filter": "R"}) as state:
        command = [*COMMAND, "state", "cam", "--watch", *(["--json"] if as_json else [])]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            found = [child.stdout.readline() for _ in range(1 if as_json else 2)]
            state.update(count=4, gain=1.5)
            found += [child.stdout.readline() for _ in range(1 if as_json else 2)]
            del state["filter"]
            found.append(child.stdout.readline())
            if as_json:
                state.remove()
            else:
                child.send_signal(signal.SIGINT)
            found.append(child.stdout.read())
    assert child.returncode == (0 if as_json else 130)
    if as_json:
        assert found.pop() == ""
        assert [json.loads(line) for line in found] == [
            {"epoch": 1, "values": {"count": 3, "filter": "R"}, "removed": []},
            {"epoch": 2, "values": {"count": 4, "gain": 1.5}, "removed": []},
            {"epoch": 3, "values": {}, "removed": ["filter"]},
        ]
    else:
        lines = ["1  count = 3", "1  filter = R", "2  count = 4", "2  gain = 1.5", "3  filter was removed"]
        assert [line.strip() for line in found] == [*lines, ""]
