"""``pymilk show --once`` and its live picture, without a terminal."""

from __future__ import annotations

import json
import os
import signal
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from support.screen import letter_f

pytest.importorskip("click", reason="extra cli")

pytest.importorskip("rich", reason="extra cli")

from pymilk.cli.terminal import Terminal
from support.calling import call, done

# --- live ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("late", [False, True])
def test_terminal_is_taken_over_once_when_it_is_continued(monkeypatch, late):
    """However late the signal that continued it shows: another thread of the process may have taken it."""
    end = SimpleNamespace(fileno=lambda: 0, encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", end)
    monkeypatch.setattr(sys, "stdout", end)
    terminal = Terminal()
    taken: list[str] = []
    monkeypatch.setattr(terminal, "_screen", lambda: taken.append("screen"))
    monkeypatch.setattr(terminal, "_measure", lambda: taken.append("size"))
    monkeypatch.setattr(terminal, "_restore", lambda: None)
    monkeypatch.setattr(os, "kill", lambda *_: None if late else terminal._note(signal.SIGCONT, None))
    before = signal.getsignal(signal.SIGTSTP)
    try:
        terminal._note(signal.SIGTSTP, None)
        terminal._tend()
        assert taken == ["screen"]
        if late:
            terminal._note(signal.SIGCONT, None)
            terminal._note(signal.SIGWINCH, None)
            terminal._tend()
            assert taken == ["screen", "size"]
        terminal._note(signal.SIGCONT, None)  # of somebody who stopped it with SIGSTOP
        terminal._tend()
        assert taken == ["screen", *["size"] * late, "screen"]
    finally:
        signal.signal(signal.SIGTSTP, before)


def test_the_stream_is_read_once_for_each_turn(make):
    from pymilk.cli.viewer import Viewer
    from pymilk.view import Display, Feed

    shm = make("cam", letter_f())
    with Feed("cam") as feed:
        viewer = Viewer(feed, Display(), (None, None), "ascii", None)
        viewer.update()
        for turn in range(3):
            for _ in range(4):
                shm.set_data(letter_f())
            before = feed.counter
            for key in "lcsr0":  # drawn anew after each of them
                viewer.press(key)
                assert len(viewer.lines(24, 80)) == 24
                assert feed.counter == before
            viewer.update()
            assert (feed.counter, feed.lost) == (1 + 4 * (turn + 1), 3 * (turn + 1))
        viewer.press(" ")
        shm.set_data(letter_f())
        viewer.update()
        assert feed.counter == 13  # paused: nothing is read


@pytest.mark.parametrize(("shape", "symcode", "rows"), [((30, 4), 4, 30), ((4, 30), 0, 30), ((30, 4), 0, 4)])
def test_the_row_stays_when_frames_come(make, shape, symcode, rows):
    from pymilk.cli.viewer import Viewer
    from pymilk.view import Display, Feed

    shm = make("cam", np.zeros(shape, "u2"))
    with Feed("cam") as feed:
        viewer = Viewer(feed, Display(symcode=symcode, row=rows - 1), (None, None), "ascii", None)
        for _ in range(3):
            viewer.update()
            assert viewer.display.row == rows - 1
            shm.set_data(np.ones(shape, "u2"))


# --- once ----------------------------------------------------------------------------------------


def test_once_as_json(make):
    make("cam", letter_f())
    told = json.loads(done("show", "cam", "--once", "--json", "--row", 6))
    assert (told["name"], told["shape"], told["dtype"], told["counter"]) == ("cam", [8, 6], "uint16", 1)
    assert (told["row"], told["peak"], told["levels"]) == (6, [1], [0, 100])
    assert told["mean"] == pytest.approx(400 / 6)
    assert (told["slice"], told["torn"], told["trouble"], told["png"]) == (None, False, "", None)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "needs a terminal"),
        (["--json"], "--json goes with --once"),
        (["--once", "--levels", "1", "2", "--percentile", "9"], "exclude each other"),
        (["--once", "--symcode", "8"], "symcode"),
        (["--once", "--rate", "1000"], "rate"),
    ],
)
def test_wrong_usage(make, options, words):
    make("cam", letter_f())
    said = call("show", "cam", *options)
    assert (said.returncode, said.stdout) == (2, "")
    assert words in said.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["nothing"], "nothing"),
        (["cam", "--row", "8"], "no row 8"),
        (["cam", "--slice", "1"], "no slice 1"),
        (["cam", "--dark", "none.npy"], "no dark frame none.npy"),
        (["cam", "--colours", "no_such_map"], "no_such_map"),
        (["cam", "--png", "no/such/folder.png"], "cannot be saved"),
    ],
)
def test_errors_are_a_line(make, options, words):
    make("cam", letter_f())
    said = call("show", *options, "--once")
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr.startswith("pymilk: ")
    assert words in said.stderr
    assert len(said.stderr.splitlines()) == 1


def test_help_has_an_example():
    assert "Example: pymilk show cam0" in done("show", "--help")
