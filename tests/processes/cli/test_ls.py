"""``pymilk ls`` and ``pymilk top``: who writes and reads a stream, and live tables in a terminal."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("click", reason="extra cli")

pytest.importorskip("rich", reason="extra cli")

from pymilk._core import Stream
from support.calling import call, done
from support.commands import COMMAND, READER, read_until, run, terminal
from support.screen import Screen
from support.terminals import View


def listed(*options: object) -> dict[str, dict[str, Any]]:
    return {entry["name"]: entry for entry in json.loads(done("ls", "--json", *options, function=run))}


def test_ls_tells_who_writes_and_who_reads(writer, spawn):
    reader = spawn(READER, "cam")
    index = int(reader.hear())
    with Stream.create("old", (5, 3), "c8") as stream, Stream.attach("cam", writable=False) as cam:
        assert cam.section("sem_read_pid")[index] == reader.pid
        found = listed("--rate", 0.1)
        assert cam.counter >= found["cam"]["counter"] > 0
        assert stream.inode == found["old"]["inode"]
    cam_entry = found["cam"]
    assert cam_entry["readers"] == [reader.pid]
    assert (cam_entry["writer_pid"], cam_entry["writer_alive"]) == (writer.pid, True)
    assert (cam_entry["shape"], cam_entry["dtype"]) == ([12, 16], "uint16")
    assert (cam_entry["ring"], cam_entry["ring_kind"]) == (8, "fast")
    assert cam_entry["nbytes"] == os.path.getsize(cam_entry["path"])
    assert cam_entry["rate"] > 0
    assert cam_entry["age"] >= 0
    old = found["old"]
    assert (old["counter"], old["age"], old["rate"], old["ring_kind"]) == (0, None, 0.0, None)
    assert (old["writer_pid"], old["writer_alive"]) == (os.getpid(), True)

    table = done("ls").splitlines()
    headings = ["name", "dtype", "shape", "counter", "age", "writer", "readers", "ring", "size"]
    assert table[0].split() == headings
    cells = table[1].split()
    assert cells[:3] == ["cam", "uint16", "12x16"]
    assert cells[6:10] == [str(writer.pid), "alive", "1", "8"]
    assert table[2].split()[:5] == ["old", "complex64", "5x3", "0", "-"]

    writer.kill()
    reader.kill()
    cam_entry = listed()["cam"]
    assert (cam_entry["writer_pid"], cam_entry["writer_alive"]) == (writer.pid, False)
    assert cam_entry["readers"] == []
    assert "rate" not in cam_entry
    assert f"{writer.pid} dead" in done("ls")


def test_ls_names_files_that_are_not_streams(make_stream, shm_dir):
    make_stream("good", (2, 2), "u1")
    (shm_dir / "empty.im.shm").touch()
    (shm_dir / "text.im.shm").write_text("hello" * 1000)
    (shm_dir / "folder.im.shm").mkdir()
    (shm_dir / "gone.im.shm").symlink_to(shm_dir / "nowhere")
    os.mkfifo(shm_dir / "pipe.im.shm")
    (shm_dir / os.fsdecode(b"wei\xffrd\x1b[31m.im.shm")).write_bytes(b"x")
    said = done("ls", "--rate", 0.01, function=run).splitlines()
    assert said[1].split()[0] == "good"
    lines = "\n".join(said[2:])
    for words in ("empty.im.shm: not a usable stream", "text.im.shm: not a usable stream", "folder.im.shm: ",
                  "gone.im.shm: ", "pipe.im.shm: ", "wei?rd?[31m.im.shm: "):  # fmt: skip
        assert words in lines
    assert "error" in listed()["text"]


def test_ls_of_files_that_may_not_be_read(make_stream, shm_dir):
    os.chmod(make_stream("secret", (2, 2), "u1").path, 0)
    make_stream("good", (2, 2), "u1")
    shm_dir.chmod(0o755)
    code = (
        # Once before the user changes: the other one may not be able to read what is imported on the way.
        "import contextlib, io, os, pymilk.cli.app as a\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        "    a.app(['ls'], prog_name='pymilk', standalone_mode=False)\n"
        "os.getuid() == 0 and os.setuid(65534)\n"
        "a.app(['ls'], prog_name='pymilk')"
    )
    said = run("-c", code, command=[sys.executable])
    assert said.returncode == 0, said.stderr
    assert "secret.im.shm: no permission to open it for reading" in said.stdout
    assert said.stdout.splitlines()[1].startswith("good")


def test_ls_without_a_directory(monkeypatch):
    monkeypatch.setenv("MILK_SHM_DIR", "/nowhere/at/all")
    said = run("ls")
    assert said.returncode == 1
    assert "MILK_SHM_DIR" in said.stderr
    assert "Traceback" not in said.stderr


@pytest.mark.parametrize("arguments", [["ls"], ["info", "cam", "--measure", "0"], ["kw", "cam"]])
def test_closed_pipe_ends_quietly(make_stream, arguments):
    make_stream("cam", (2, 2), "u1", nbkw=3).write_keywords([("A", 1, "first")])
    reading, writing = os.pipe()
    os.close(reading)
    child = subprocess.Popen([*COMMAND, *arguments], stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    _, said = child.communicate(timeout=60)
    assert said == ""
    assert child.returncode in (0, 1)


@pytest.fixture
def live() -> Iterator[Callable[..., View]]:
    """Run a command that draws, in a terminal of its own."""
    views: list[View] = []

    def start(*arguments: object, **options: Any) -> View:
        command = options.pop("command", COMMAND)
        views.append(View([*command, *map(str, arguments)], **options))
        return views[-1]

    yield start
    for each in views:
        each.close()


def order_of(screen: Screen, *names: str) -> list[str]:
    """Tell in which order streams are listed."""
    first = [screen.line(at).partition(" ")[0] for at in range(screen.lines)]
    return [name for name in first if name in names]


def test_keys_of_a_live_table(writer, make_stream, live):
    make_stream("zed", (3, 4), "u2")
    view = live("top", "--sort", "name", "--interval", 3600)
    assert order_of(view.until_words("by name  "), "zed", "cam") == ["cam", "zed"]
    view.press("r")
    assert order_of(view.until_words("by name, reversed"), "zed", "cam") == ["zed", "cam"]
    view.press("<")
    view.until_words("by size")
    view.press(">>>")
    view.until_words("by dtype")
    view.press("q")
    assert view.ended() == (0, "")
    assert view.restored()


def test_a_live_table_that_is_longer_than_the_terminal(make_stream, live):
    for number in range(40):
        make_stream(f"s{number:02}", (3, 4), "u2")
    view = live("ls", "--watch", "--rate", 3600, lines=30)
    screen = view.until_words("1-28 of 40")
    assert "q quit" in screen.line(29)  # 30 lines: headings, 28 streams, keys
    assert screen.line(28).startswith("s27")
    view.press("r")
    assert view.until_words("by name, reversed").line(28).startswith("s12")
    view.resize(10, 60)
    view.screen = Screen(10, 60)
    screen = view.until_words("of 40")
    assert [screen.line(at)[:3] for at in range(1, 9)] == [f"s{number}" for number in range(39, 31, -1)]
    assert "1-8 of 40" in screen.line(9)
    view.press("q")
    assert view.ended()[0] == 0


@pytest.mark.parametrize("command", [["ls", "--watch", "--rate", "0.1"], ["top", "--interval", "0.1"]])
def test_a_live_table_is_drawn_again_until_interrupted(writer, live, command):
    view = live(*command, columns=130)
    counts = set()

    def moved(screen: Screen) -> bool:
        words = screen.line(1).split()
        counts.update(words[3:4])
        return "/s" in screen.line(1) and len(counts) > 3

    assert "readers" in view.until(moved).line(0)
    view.press("\x03")
    assert view.ended() == (0, "")
    assert view.restored()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_signals_that_end_a_live_table_give_the_terminal_back(make_stream, live, number):
    make_stream("cam", (3, 4), "u2")
    view = live("top")
    view.until_words("q quit")
    view.process.send_signal(number)
    assert view.ended() == (-number, "")
    assert view.restored()


def test_a_live_table_is_stopped_and_continued_in_a_shell(make_stream, live):
    if not shutil.which("bash"):
        pytest.skip("needs bash")
    make_stream("cam", (3, 4), "u2")
    view = live("--norc", "--noprofile", "-i", command=["bash"], errors=subprocess.STDOUT, PS1="ready> ")
    view.until_words("ready>")
    view.press(f"{' '.join(COMMAND)} top --interval 3600\n")
    view.until(lambda screen: screen.main is not None and "q quit" in screen.words())
    view.press("\x1a")  # Ctrl-Z
    view.until(lambda screen: screen.main is None and "Stopped" in screen.words())
    assert view.screen.modes["?25"]  # the cursor is seen again
    view.press("fg\n")
    view.until(lambda screen: screen.entered == 2 and "q quit" in screen.words())
    view.press("q")
    view.until(lambda screen: screen.left == 2)
    view.press("exit\n")
    assert view.ended()[0] == 0


def test_top_has_the_fastest_first(writer, make_stream, live):
    make_stream("always", (2, 2), "u1")
    view = live("top", "--interval", 0.1)
    view.until(lambda screen: order_of(screen, "always", "cam") == ["cam", "always"])
    assert "by rate" in view.screen.words()
    view.press("q")
    assert view.ended() == (0, "")
    assert call("top").returncode == 2
    assert call("top", "--sort", "colour").returncode == 2


def test_ls_leaves_out_what_a_narrow_terminal_has_no_room_for(make_stream):
    make_stream("camera_with_a_long_name", (120, 120), "u2")
    with terminal("ls", "--sort", "size", columns=66) as (child, screen):
        drawn = read_until(screen, b"no room for").decode()
        assert child.wait(timeout=60) == 0
    headings = drawn.splitlines()[0]
    assert "camera_with_a_long_name" in drawn
    assert "size" in headings  # it is sorted by that
    assert "ring" not in headings
