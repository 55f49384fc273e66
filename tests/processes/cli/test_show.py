"""``pymilk show``, as a user runs it: in a pseudo-terminal beside a live process, and in a pipe."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from support.paths import TESTS
from support.screen import F_ROWS, Screen, letter_f, read_png, seen
from support.terminals import View, environment

pytest.importorskip("click", reason="extra cli")

pytest.importorskip("rich", reason="extra cli")

from pymilk import SHM
from pymilk._core import Stream
from support.calling import done

COMMAND = [sys.executable, "-m", "pymilk", "show"]

#: Publishes an F of growing brightness 500 times a second, until it is killed or told to end.
WRITER = """
import sys, select, numpy as np
sys.path.insert(0, sys.argv[2])
from support.paths import TESTS
from support.screen import letter_f
from pymilk import Stream
stream = Stream.create(sys.argv[1], (8, 6), "u2")
block = np.stack([letter_f() * k for k in range(1, 11)])
stream.publish(block[0])
print("ready", flush=True)
while not select.select([sys.stdin], [], [], 0)[0]:
    stream.publish_many(block, interval_ns=2_000_000)
stream.destroy()
"""


@pytest.fixture
def writer(spawn):
    child = spawn(WRITER, "cam", TESTS)
    child.expect("ready")
    return child


@pytest.fixture
def open_view() -> Iterator[Callable[..., View]]:
    views: list[View] = []

    def start(*arguments: object, command: list[str] = COMMAND, **options: object) -> View:
        views.append(View([*command, *map(str, arguments)], **options))
        return views[-1]

    yield start
    for each in views:
        each.close()


def cut(screen: Screen, height: int, width: int, top: int = 4) -> np.ndarray:
    """The picture of a screen: half cells below the lines of text, from the middle of the columns."""
    left = (screen.columns - width) // 2
    return screen.pixels()[top : top + height, left : left + width]


def run(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=100,
        stdin=subprocess.DEVNULL,
        env=environment(**variables),
    )


# --- live ----------------------------------------------------------------------------------------


def test_live_picture_keys_and_quit(open_view, writer):
    view = open_view("cam", "--rate", 20, lines=23, columns=130)
    # Two lines of text, two of keys: 38 half cells are room for 8 rows of 4 pixels.
    screen = view.until(lambda screen: screen.line(21).startswith("q quit") and screen.line(22) != "")
    assert screen.line(0).startswith("cam  8x6 uint16  frame ")
    assert screen.line(1).startswith("levels")
    view.until(lambda screen: seen(cut(screen, 32, 24)[1::4, 1::4]) == F_ROWS)
    # Frames come, and most of them are not drawn.
    first = int(screen.line(0).split("frame ")[1].split()[0])
    view.until(lambda screen: int(screen.line(0).split("frame ")[1].split()[0]) > first + 50)
    view.until(lambda screen: re.search(r"drawn (1\d|2\d) of (3|4|5)\d\d/s", screen.line(0)) is not None)
    with Stream.attach("cam", writable=False) as cam:
        assert not [pid for pid in cam.section("sem_read_pid") if pid > 0]
    view.press("l")
    view.until_words(" log ")
    view.press("c")
    view.until_words("heat")
    view.press("ssss")
    view.until_words("symcode 0")
    # The frame as stored: its first axis, now upwards, is the one that ran to the right.
    stored = ["".join(line[at] for line in F_ROWS[::-1]) for at in range(6)][::-1]
    view.until(lambda screen: seen(cut(screen, 36, 48)[1::6, 1::6]) == stored)
    view.press("ssss")
    view.until(lambda screen: "symcode" not in screen.line(1))
    view.press(" ")
    view.until(lambda screen: screen.line(0).startswith("PAUSED"))
    view.press("d")
    view.until_words("dark subtracted")
    view.press("D+")
    view.until_words("part [")
    before = view.until_words("part [").line(1)
    view.press("\x1b[")  # an arrow may come in two pieces
    view.press("A")
    view.until(lambda screen: screen.line(1) != before and "part [" in screen.line(1))
    view.press("r")
    view.until_words("row 0")
    view.press("q")
    assert view.ended() == (0, "")
    assert view.restored()


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [
        (signal.SIGINT, 130, "pymilk: interrupted\n"),
        (signal.SIGTERM, -signal.SIGTERM, ""),
        (signal.SIGHUP, -signal.SIGHUP, ""),
    ],
)
def test_signals_give_the_terminal_back(open_view, make, number, code, words):
    make("cam", letter_f())
    view = open_view("cam")
    view.until_words("q quit")
    view.process.send_signal(number)
    assert view.ended() == (code, words)
    assert view.restored()


#: Gets SIGTERM at the first line of what gives the terminal back.
ON_THE_WAY_OUT = """
import os, signal, sys, time
from pymilk.cli.terminal import Terminal

def trace(frame, event, argument):
    if frame.f_code is getattr(Terminal, sys.argv[1]).__code__:
        sys.settrace(None)
        os.kill(os.getpid(), signal.SIGTERM)

with Terminal() as terminal:
    terminal.draw(["drawn"])
    terminal.wait(time.monotonic() + 60)
    sys.settrace(trace)
"""


@pytest.mark.parametrize("function", ["__exit__", "_leave"])
def test_a_signal_on_the_way_out_waits_for_the_terminal(open_view, function):
    view = open_view(ON_THE_WAY_OUT, function, command=[sys.executable, "-c"])
    view.until_words("drawn")
    view.press("x")
    assert view.ended() == (-signal.SIGTERM, "")
    assert view.restored()


def test_ctrl_c_typed(open_view, make):
    make("cam", letter_f())
    view = open_view("cam")
    view.until_words("q quit")
    view.press("\x03")
    assert view.ended()[0] == 130
    assert view.restored()


def test_a_stopped_terminal_does_not_keep_the_command(open_view, writer):
    view = open_view("cam", "--rate", 60)
    view.until_words("q quit")
    view.press("\x13")  # Ctrl-S: what is drawn now waits
    while select.select([view.ours], [], [], 0.3)[0]:
        view.read(0)
    view.process.send_signal(signal.SIGTERM)
    assert view.ended() == (-signal.SIGTERM, "")
    assert view.restored()


def test_a_terminal_that_is_gone_ends_it(make):
    make("cam", letter_f())
    view = View([*COMMAND, "cam"])
    try:
        view.until_words("q quit")
        os.close(view.its)
        os.close(view.ours)
        assert view.process.wait(timeout=60) in (0, -signal.SIGHUP)
        assert b"Traceback" not in view.process.stderr.read()
    finally:
        view.its, view.ours = os.pipe()
        view.close()


def test_a_new_size_is_drawn_at_once(open_view, make):
    make("cam", letter_f())
    view = open_view("cam", lines=23, columns=80)
    view.until(lambda screen: screen.line(21).startswith("q quit"))
    view.screen = Screen(12, 50)
    view.screen.entered = 1
    view.screen.main = (view.screen.text, view.screen.above, view.screen.below, [0, 0])
    view.resize(12, 50)
    view.until(lambda screen: screen.line(11).startswith("q quit"))
    view.until(lambda screen: seen(cut(screen, 16, 12)[::2, ::2]) == F_ROWS)
    view.press("q")
    assert view.ended() == (0, "")


def test_stop_and_continue_in_a_shell(open_view, make):
    if not shutil.which("bash"):
        pytest.skip("needs bash")
    make("cam", letter_f())
    view = open_view("--norc", "--noprofile", "-i", command=["bash"], errors=subprocess.STDOUT, PS1="ready> ")

    def plain(screen: Screen, words: str) -> bool:
        return screen.main is None and words in screen.words()

    view.until(lambda screen: plain(screen, "ready>"))
    view.press(f"{' '.join(COMMAND)} cam\n")
    view.until(lambda screen: screen.main is not None and "q quit" in screen.words())
    view.press("\x1a")  # Ctrl-Z
    view.until(lambda screen: plain(screen, "Stopped"))
    view.press("fg\n")
    view.until(lambda screen: screen.entered == 2 and seen(cut(screen, 40, 30)[2::5, 2::5]) == F_ROWS)
    view.press("q")
    view.until(lambda screen: screen.left == 2)
    view.press("echo code=$?\n")
    view.until(lambda screen: plain(screen, "code=0"))
    view.press("exit\n")
    assert view.ended()[0] == 0


def test_continued_it_draws_everything_again(open_view, make):
    make("cam", letter_f())
    view = open_view("cam", lines=23)
    view.until(lambda screen: screen.line(21).startswith("q quit"))
    view.process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, view.process.pid, os.WSTOPPED)
    termios.tcsetattr(view.its, termios.TCSANOW, view.before)  # as a shell does
    view.screen._clear()
    view.process.send_signal(signal.SIGCONT)
    view.until(lambda screen: screen.line(21).startswith("q quit"))
    view.until(lambda screen: seen(cut(screen, 32, 24)[1::4, 1::4]) == F_ROWS)
    view.press("q")  # read without Return: the terminal is as it was
    assert view.ended() == (0, "")


@pytest.mark.parametrize(("lines", "columns"), [(1, 1), (3, 10), (4, 200)])
def test_terminals_of_any_size(open_view, make, lines, columns):
    make("cam", letter_f())
    view = open_view("cam", lines=lines, columns=columns)
    said = "cam  8x6 uint16  frame 1  drawn 0 of 0/s"[:columns].rstrip()
    view.until(lambda screen: screen.line(0) == said)
    view.press("q")
    assert view.ended() == (0, "")


def test_troubles_are_said_and_the_stream_is_followed(open_view, writer):
    view = open_view("cam", "--rate", 20, columns=120)
    view.until_words("frame ")
    writer.tell("end")
    view.until_words("** deleted")
    with SHM("cam", np.full((4, 9), 7.0, np.float32)) as again:
        view.until_words("recreated as 4x9 float32")
        view.until_words("4x9 float32  frame 1")
        view.press("q")
        assert view.ended() == (0, "")
        again.destroy()


def test_a_stream_that_is_cut_keeps_its_last_frame(open_view, make):
    shm = make("cam", letter_f())
    view = open_view("cam", lines=23, columns=120)
    view.until(lambda screen: screen.line(21).startswith("q quit"))
    os.truncate(shm.FILEPATH, 0)
    view.until_words("** its file was cut or overwritten, this is its last frame")
    assert seen(cut(view.screen, 32, 24)[1::4, 1::4]) == F_ROWS
    view.press("[l")
    view.until_words(" log ")
    view.press("q")
    assert view.ended() == (0, "")


def test_a_dead_writer_is_named(open_view, writer):
    view = open_view("cam", columns=120)
    view.until_words("frame ")
    writer.kill()
    view.until_words(f"the writer, process {writer.pid}, is dead")


def test_slices_are_stepped(open_view, make_stream):
    stream = make_stream("cube", (3, 4, 5), "u2")
    stream.publish(np.arange(60, dtype="u2").reshape(3, 4, 5))
    view = open_view("cube", columns=120)
    view.until_words("slice 0 of 3")
    view.press("[")
    view.until_words("slice 2 of 3")
    view.until_words("min 40  max 59")
    view.press(" ]")  # also while it is paused
    view.until_words("slice 0 of 3")
    stream.cnt1 = 1
    view.press("n")
    view.until_words("slice 1 of 3")


@pytest.mark.parametrize(
    ("variables", "kind"),
    [
        ({"COLORTERM": "truecolor"}, "38;2;"),
        ({"COLORTERM": ""}, "8;5;"),
        ({"COLORTERM": "", "TERM": "xterm"}, "@@"),
        ({"NO_COLOR": "1"}, "@@"),
        ({"PYTHONIOENCODING": "ascii"}, "@@"),
    ],
)
def test_colours_by_environment(open_view, make, variables, kind):
    make("cam", letter_f() * 3)
    view = open_view("cam", **variables)
    said = ""
    while kind not in said or "q quit" not in said:
        assert view.process.poll() is None
        ready, _, _ = select.select([view.ours], [], [], 60)
        assert ready
        said += os.read(view.ours, 1 << 16).decode()
    if kind == "@@":
        assert not re.search(r"\x1b\[[0-9;]*[1-9][0-9;]*m", said)
        assert "▀" not in said
    if kind == "8;5;":
        assert "8;2;" not in said


def test_the_first_frame_is_drawn(open_view, writer):
    screen = open_view("cam", "--rate", 0.1).until_words("q quit")
    assert re.search(r"frame [1-9]\d*  drawn - of -/s", screen.line(0))


# --- once ----------------------------------------------------------------------------------------


def test_once_in_a_terminal_has_colours(open_view, make):
    make("cam", letter_f())
    view = open_view("cam", "--once", "--height", 8)
    assert view.ended() == (0, "")
    assert seen(cut(view.screen, 16, 12, top=0)[::2, ::2]) == F_ROWS
    assert view.screen.line(8).startswith("cam  8x6 uint16  frame 1")
    assert view.screen.entered == 0


def test_once_in_a_pipe_is_plain_text(make):
    make("cam", letter_f())
    lines = done("cam", "--once", "--height", 8, "--width", 12, function=run).splitlines()
    wide = [line.replace(".", "  ").replace("#", "@@").rstrip() for line in F_ROWS]
    assert lines[:8] == wide
    assert lines[8] == "cam  8x6 uint16  frame 1"
    assert lines[9].startswith("levels 0 to 100 auto  min 0  max 100 at ")


def test_png_without_a_terminal(make, writer, tmp_path):
    path = tmp_path / "out.png"
    assert f"picture: {path}, 384x512 pixels" in done(
        "cam", "--once", "--png", path, "--bare", function=run
    )
    assert seen(read_png(path.read_bytes())[32::64, 32::64]) == F_ROWS
    done("show", "cam", "--png", path, "--bare", "--height", 16, "--levels", 0, 1, "--colours", "ice")
    picture = read_png(path.read_bytes())
    assert picture.shape == (16, 12, 3)
    assert seen(picture[::2, ::2, ::-1]) == F_ROWS
    assert {tuple(pixel) for pixel in picture.reshape(-1, 3).tolist()} == {(0, 0, 0), (255, 255, 255)}
    make("dark", letter_f() * 100)
    told = json.loads(done("show", "cam", "--png", path, "--dark", "dark", "--json"))
    assert (told["dark"], told["max"]) == (True, 0.0)
    assert told["min"] < 0
    assert told["png"] == str(path)


def test_a_closed_pipe_ends_it_quietly(make):
    make("cam", letter_f())
    reading, writing = os.pipe()
    os.close(reading)
    child = subprocess.Popen(
        [*COMMAND, "cam", "--once"], stdout=writing, stderr=subprocess.PIPE, text=True, env=environment()
    )
    os.close(writing)
    _, said = child.communicate(timeout=60)
    assert said == ""
    assert child.returncode in (0, 1)
