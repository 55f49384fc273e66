"""Feeds of a stream whose writer died; what the import brings."""

from __future__ import annotations

import os
import subprocess
import sys

from pymilk.view import Feed


def test_nothing_optional_is_imported():
    optional = ("matplotlib", "PIL", "astropy", "click", "rich")
    code = f"import sys, pymilk.view; print([name for name in {optional} if name in sys.modules])"
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-c", code]
    said = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=100)
    assert (said.stdout, said.stderr) == ("[]\n", "")


def test_feed_says_that_the_writer_is_dead(spawn):
    code = "import sys, numpy as np\nfrom pymilk import Stream\ns = Stream.create('cam', (2, 2), 'u1')\n"
    writer = spawn(code + "s.publish(np.ones((2, 2), 'u1')); print('ready', flush=True); sys.stdin.read()")
    writer.expect("ready")
    with Feed("cam") as feed:
        feed.look()
        assert feed.trouble == ""
        writer.kill()
        feed._next_writer = 0.0  # a second has passed
        feed.look()
        assert feed.trouble == f"the writer, process {writer.pid}, is dead"
