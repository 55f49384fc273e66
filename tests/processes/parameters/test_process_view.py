"""``pymilk ps`` on a terminal: the live table and its keys."""

from __future__ import annotations

import sys
import time

import pytest

from pymilk.parameters.process_layout import Control, LoopState
from pymilk.parameters.processinfo import ProcessInfo
from support.screen import Screen
from support.terminals import View

LOOP = """
import sys
from pymilk.parameters.processinfo import ProcessInfo
with ProcessInfo.create(sys.argv[1], message="working") as process:
    print("ready")
    for number in process.loop(period=0.001):
        pass
"""


@pytest.fixture
def view(spawn):
    for name in ("alpha", "beta"):
        spawn(LOOP, name).expect("ready")
    command = [sys.executable, "-m", "pymilk", "ps", "alpha", "beta", "--interval", "0.1"]
    opened = View(command, lines=20, columns=130)
    yield opened
    opened.close()


def until(condition) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_live_table_and_keys(view):
    view.until_words("> alpha")
    view.until(lambda screen: "running" in screen.words() and "working" in screen.words())
    with ProcessInfo.attach("alpha") as alpha, ProcessInfo.attach("beta") as beta:
        view.press("\x1b[B")
        view.until_words("> beta")
        view.press("p")
        until(lambda: beta.loop_state == LoopState.PAUSE)
        view.until_words("paused")
        count = beta.loop_count
        view.press("s")
        until(lambda: beta.loop_count == count + 1)
        view.press("r")
        until(lambda: beta.loop_count > count + 10)
        view.press("x")
        view.until_words("x again stops beta")
        view.press("p")  # another key: it is not stopped
        until(lambda: beta.control == Control.PAUSE)
        view.press("x")
        view.until_words("x again stops beta")
        view.press("x")
        until(lambda: beta.state == "gone" or beta.loop_state == LoopState.STOP)
        view.until(lambda screen: "beta" not in screen.words() or "stop: beta" in screen.words())
        assert alpha.control is Control.RUN
    view.press("q")
    assert view.ended() == (0, "")
    assert view.restored()


@pytest.mark.parametrize(("lines", "columns"), [(5, 40), (3, 20), (40, 200)])
def test_any_size(view, lines, columns):
    view.until_words("alpha")
    view.resize(lines, columns)
    view.screen = Screen(max(lines, 20), max(columns, 130))  # it may be drawn in either size now
    view.press("\x1b[B")
    view.press("q")
    assert view.ended() == (0, "")
