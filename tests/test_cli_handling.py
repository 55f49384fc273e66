"""Commands that list, describe, make and remove streams: as a user runs them, beside a live process."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import Child, heed_interrupts

pytest.importorskip("click", reason="extra cli")
pytest.importorskip("rich", reason="extra cli")

import click

from pymilk import SHM
from pymilk._core import Stream
from pymilk.cli.app import app
from pymilk.cli.commands import familiar
from pymilk.inspection import measure_stream, processes_using
from screen import Screen
from terminals import View

COMMAND = [sys.executable, "-m", "pymilk"]

#: Publishes 2000 frames a second until it is killed; or none, with 0.
WRITER = """
import sys, numpy as np
from pymilk import Stream
name, ring, rate = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
stream = Stream.create(name, (12, 16), "u2", cb_size=ring)
stream.publish(np.zeros((12, 16), "u2"))
print("ready", flush=True)
block = np.zeros((20, 12, 16), "u2")
while rate:
    stream.publish_many(block, interval_ns=10**9 // rate)
sys.stdin.readline()
"""

#: Holds a semaphore of a stream until it is told to end.
READER = """
import sys
from pymilk import Stream
stream = Stream.attach(sys.argv[1])
print(stream.sem_index, flush=True)
sys.stdin.readline()
"""

#: Has a stream mapped, without a semaphore.
WATCHER = """
import sys
from pymilk import Stream
stream = Stream.attach(sys.argv[1], writable=False)
print("ready", flush=True)
sys.stdin.readline()
"""


def run(*arguments: object, command: list[str] = COMMAND) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "PYTHONSAFEPATH": "1", "COLUMNS": "100"},
    )


def call(*arguments: object, command: click.Command = app) -> subprocess.CompletedProcess[str]:
    """Do the same within this process, for what needs many commands: starting Python takes its time."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            command.main([str(each) for each in arguments], prog_name="pymilk")
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    return subprocess.CompletedProcess(list(arguments), code, out.getvalue(), err.getvalue())


def done(*arguments: object, function: Callable[..., subprocess.CompletedProcess[str]] = call) -> str:
    """Do a command that must end well; returns what it prints."""
    said = function(*arguments)
    assert (said.returncode, said.stderr) == (0, "")
    return said.stdout


def listed(*options: object) -> dict[str, dict[str, Any]]:
    return {entry["name"]: entry for entry in json.loads(done("ls", "--json", *options, function=run))}


@pytest.fixture
def writer(spawn) -> Child:
    child = spawn(WRITER, "cam", 8, 2000)
    child.expect("ready")
    return child


# --- ls ------------------------------------------------------------------------------------------


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


def test_ls_says_what_files_are_that_are_no_streams(make_stream, shm_dir):
    stream = make_stream("good", (12, 20), "u2")
    raw = Path(stream.path).read_bytes()
    files = {
        "cut": (raw[:-100], "the file was cut"),
        "long": (raw + b"x", "the file was extended"),
        "isio1": (b"1.00".ljust(32, b"\0") + raw[32:], "stream of ImageStreamIO 1.00"),
        "oldest": (b"0.0.2".ljust(32, b"\0") + raw[32:], "stream of ImageStreamIO 0.0.2"),
        "newer": (b"3.00".ljust(32, b"\0") + raw[32:], "newer than this pymilk"),
        "xaosim": (b"xaosim".ljust(32, b"\0") + raw[32:], "written by xaosim"),
        "noise": (np.random.default_rng(3).bytes(40000), "version is not text"),
        "zeros": (bytes(4000), "still being created, or its creator died"),
        "empty": (b"", "file size is 0"),
    }
    for name, (content, _) in files.items():
        (shm_dir / f"{name}.im.shm").write_bytes(content)
    (shm_dir / "folder.im.shm").mkdir()
    os.mkfifo(shm_dir / "pipe.im.shm")
    (shm_dir / "null.im.shm").symlink_to("/dev/null")
    (shm_dir / "gone.im.shm").symlink_to("nowhere")
    (shm_dir / "loop.im.shm").symlink_to("loop.im.shm")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(shm_dir / "sock.im.shm"))
    said = dict(line.split(".im.shm: ") for line in done("ls").splitlines()[2:])
    wanted = {name: words for name, (_, words) in files.items()}
    wanted |= {"folder": "is a directory", "pipe": "is a FIFO", "null": "is a device", "sock": "is a socket",
               "gone": "a link to nowhere, where nothing is", "loop": "a link to loop.im.shm"}  # fmt: skip
    assert set(said) == set(wanted)
    for name, words in wanted.items():
        assert words in said[name]


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


def test_a_look_maps_no_pages_of_a_ring(make_stream):
    stream = make_stream("cam", (64, 64), "f4", cb_size=500)

    def mapped(prefault: bool) -> int:
        with Stream.attach("cam", writable=False, prefault=prefault):
            lines = Path("/proc/self/smaps").read_text().split("\n")
            at = next(at for at, line in enumerate(lines) if "r--s" in line and line.endswith(stream.path))
            return next(int(line.split()[1]) for line in lines[at:] if line.startswith("Rss:"))

    assert mapped(True) >= 64 * 64 * 4 * 500 // 1024
    assert mapped(False) <= 64


def test_ls_sorts(make_stream):
    frames = {"a": 2, "b": 0, "c": 5}
    for name, count in frames.items():
        stream = make_stream(name, (2, 2 + count), "u1")
        for _ in range(count):
            stream.publish(np.zeros(stream.shape, "u1"))

    def order(*options: object) -> str:
        return "".join(entry["name"] for entry in json.loads(done("ls", "--json", *options)))

    assert order() == "abc"
    assert order("--reverse") == "cba"
    assert order("--sort", "counter") == "cab"
    assert order("--sort", "age") == "cab"  # the newest first, and what has no age last
    assert order("--sort", "age", "--reverse") == "acb"
    assert order("--sort", "shape") == "bac"


def test_ls_of_nothing(shm_dir):
    assert done("ls") == ""
    assert done("ls", "--json") == "[]\n"


@pytest.mark.parametrize("options", [["--watch"], ["--sort", "rate"], ["--sort", "colour"], ["--rate", "0"]])
def test_ls_wrong_usage(options):
    said = call("ls", *options)
    assert said.returncode == 2
    assert "Error" in said.stderr


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


@contextlib.contextmanager
def terminal(*arguments: object, columns: int = 120) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run a command in a pseudo-terminal; gives its process, and where to read what it draws."""
    ours, its = pty.openpty()
    child = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdin=its,
        stdout=its,
        stderr=its,
        env={**os.environ, "TERM": "xterm", "COLUMNS": str(columns), "LINES": "30"},
        preexec_fn=heed_interrupts,
    )
    os.close(its)
    try:
        yield child, ours
    finally:
        child.kill()
        child.wait()
        os.close(ours)


def read_until(source: int, word: bytes, count: int = 1, seconds: float = 60) -> bytes:
    """Read what is drawn until a word has come so many times."""
    said, end = b"", time.monotonic() + seconds
    while said.count(word) < count:
        ready, _, _ = select.select([source], [], [], end - time.monotonic())
        assert ready, said
        said += os.read(source, 65536)
    return said


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
    view.press(">>")
    view.until_words("by dtype")
    view.press("q")
    assert view.ended() == (0, "")
    assert view.restored()


def test_a_live_table_that_is_longer_than_the_terminal(make_stream, live):
    for number in range(40):
        make_stream(f"s{number:02}", (3, 4), "u2")
    view = live("ls", "--watch", "--rate", 3600, lines=30)
    screen = view.until_words("12 more")
    assert "q quit" in screen.line(29)  # 30 lines: headings, 28 streams, keys
    assert screen.line(28).startswith("s27")
    view.press("r")
    assert view.until_words("by name, reversed").line(28).startswith("s12")
    view.resize(10, 60)
    view.screen = Screen(10, 60)
    screen = view.until_words("more")
    assert [screen.line(at)[:3] for at in range(1, 9)] == [f"s{number}" for number in range(39, 31, -1)]
    assert "32 more" in screen.line(9)
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


# --- info ----------------------------------------------------------------------------------------


def test_info_of_a_live_stream(writer, spawn):
    reader = spawn(READER, "cam")
    index = int(reader.hear())
    told = json.loads(done("info", "cam", "--measure", 0.2, "--json", function=run))
    assert told["measured"]["frames"] > 0
    assert told["measured"]["seconds"] >= 0.2
    assert told["measured"]["rate"] == pytest.approx(told["measured"]["frames"] / told["measured"]["seconds"])
    assert told["measured"]["intervals"] > 0
    assert told["measured"]["min_us"] <= told["measured"]["mean_us"] <= told["measured"]["max_us"]
    assert told["measured"]["writes"] == 0 or (
        0 < told["measured"]["write_p50_us"] <= told["measured"]["write_max_us"]
        and told["measured"]["write_error_us"] > 0
    )
    assert told["used_by"] == sorted([writer.pid, reader.pid])
    semaphores = told["semaphores"]
    assert [each["index"] for each in semaphores] == list(range(10))
    assert (semaphores[index]["owner_pid"], semaphores[index]["owner_alive"]) == (reader.pid, True)
    assert semaphores[index]["poster_pid"] == writer.pid
    assert semaphores[index - 1]["owner_pid"] is None
    with Stream.attach("cam", writable=False) as stream:
        assert told["metadata"]["crtime_ns"] == stream.creation_time_ns
        owners = [int(pid) for pid in stream.section("sem_read_pid")]
    assert owners.count(reader.pid) == 1  # info took none
    assert sum(pid > 0 for pid in owners) == 1


#: Holds every frame open for 3 ms.
SLOW_WRITER = """
import sys, time
from pymilk import Stream
stream = Stream.create("cam", (2, 2), "u2")
print("ready", flush=True)
while True:
    with stream.claim() as pixels:
        time.sleep(0.003)
    time.sleep(0.003)
"""


def test_info_times_writes_by_their_flag(spawn):
    spawn(SLOW_WRITER).expect("ready")
    told: dict[str, Any] = {"writes": 0}
    with Stream.attach("cam", writable=False) as stream:
        for _ in range(50):  # where cores are busy, looks are apart now and then
            told = measure_stream(stream, 0.4)
            if told["writes"]:
                break
    assert told["write_max_us"] >= told["write_p50_us"] >= 2900
    assert 0 < told["write_error_us"] <= told["write_max_us"] / 10


@pytest.mark.parametrize(
    ("found", "words"),
    [({"writes": 0}, "not seen"),
     ({"writes": 3, "write_p50_us": 1.23, "write_max_us": 4.5, "write_error_us": 0.06},
      "1.2 us with the flag set, 4.5 us at most, 3 frames, to within 0.06 us")],
)  # fmt: skip
def test_info_says_how_long_writes_take(make_stream, monkeypatch, found, words):
    make_stream("cam", (2, 2), "u2")
    told = {"rate": 0.0, "frames": 0, "seconds": 1.0, "intervals": 0, **found}
    monkeypatch.setattr("pymilk.cli.commands.info.measure_stream", lambda *_: told)
    assert words in done("info", "cam")


def test_clock_write_sees_whole_writes_only(make_stream):
    from pymilk.errors import StreamArgumentError

    stream = make_stream("cam", (2, 2), "u2")
    assert stream.clock_write(0.001) is None
    with stream.claim():
        assert stream.clock_write(0.001) is None  # it began before
    for wrong in (None, -1, 2, "soon"):
        with pytest.raises(StreamArgumentError, match="timeout"):
            stream.clock_write(wrong)


def test_info_sections_are_where_the_file_has_them(make_stream):
    stream = make_stream("cam", (3, 5), "u2", cb_size=4, nbkw=3)
    stream.publish(np.arange(15, dtype="u2").reshape(3, 5))
    stream.write_keywords([("GAIN", 2.5, "of the camera")])
    raw = Path(stream.path).read_bytes()
    told = json.loads(done("info", "cam", "--measure", 0, "--json"))
    assert told["measured"] is None
    places = {each["name"]: (each["offset"], each["nbytes"]) for each in told["sections"]}

    def part(name: str) -> bytes:
        offset, nbytes = places[name]
        return raw[offset : offset + nbytes]

    assert part("pixels") == stream.view().tobytes()
    assert part("keywords").startswith(b"GAIN\0")
    for name in ("keywords", "sem_read_pid", "sem_write_pid", "trace", "ring_records", "ring_slots"):
        assert part(name) == stream.section(name).tobytes()
    assert places["metadata"] == (0, 384)
    ends = [offset + nbytes for offset, nbytes in places.values()]
    begins = [offset for offset, _ in places.values()]
    assert all(0 <= begin - end < 8 for begin, end in zip(begins[1:], ends, strict=False))
    assert 0 <= len(raw) - ends[-1] < 8
    assert told["keywords"] == [{"name": "GAIN", "value": 2.5, "comment": "of the camera"}]


@pytest.mark.parametrize(
    "options",
    [
        {"location": 0},
        {"layout": "dao"},
        {"layout": "writehistory", "cb_size": 3},
        {"layout": "dao+writehistory"},
        {"nbkw": 0, "nbsem": 0},
    ],
    ids=str,
)
def test_info_of_other_layouts(make_stream, options):
    stream = make_stream("cam", (3, 5), "u2", **options)
    raw = Path(stream.path).read_bytes()
    told = json.loads(done("info", "cam", "--measure", 0, "--json"))
    places = {each["name"]: raw[each["offset"] :][: each["nbytes"]] for each in told["sections"]}
    assert ("pixels" in places) == ("location" not in options)
    assert ("history" in places) == ("writehistory" in options.get("layout", ""))
    for name, content in places.items():
        if name not in ("metadata", "pixels", "semaphores"):
            assert content == stream.section(name).tobytes()
    assert "sections of the file" in done("info", "cam", "--measure", 0)
    assert done("ls").splitlines()[1].startswith("cam")


@pytest.mark.parametrize("seed", range(4))
def test_damaged_files_never_stop_the_commands(make_stream, seed):
    stream = make_stream("cam", (3, 5), "u2", nbkw=3, cb_size=2)
    stream.publish(np.zeros((3, 5), "u2"))
    stream.write_keywords([("A", 1, "c"), ("B", "text", "c"), ("C", 2.0, "")])
    raw, random = Path(stream.path).read_bytes(), np.random.default_rng(seed)
    stream.close()
    refused = 0
    for _ in range(25):
        damaged = bytearray(raw)
        for at in random.integers(0, 384 if random.random() < 0.5 else len(raw), 3):
            damaged[at] = random.choice([0, 127, 128, 255])
        Path(stream.path).write_bytes(damaged)
        done("ls")
        [entry] = json.loads(done("ls", "--json"))
        said = call("info", "cam", "--measure", 0)
        assert said.returncode == ("error" in entry)
        refused += "error" in entry
    assert refused < 25


@pytest.mark.parametrize(
    ("shape", "file", "user"),
    [
        ((7,), "x = 7;", "shape (7,), indices [x]"),
        ((3, 5), "x = 5, y = 3;", "shape (3, 5), indices [y, x]"),
        ((2, 3, 5), "x = 5, y = 3, z = 2;", "shape (3, 5, 2), indices [y, x, z]"),
        ((2, 1, 5), "x = 5, y = 1, z = 2;", "shape (2, 5), indices [z, x]"),
        ((3, 1), "x = 1, y = 3;", "shape (3,), indices [y]"),
        ((1, 1), "x = 1, y = 1;", "shape (), indices []"),
    ],
)
def test_info_orientation_is_that_of_the_data(make_stream, shape, file, user):
    from pymilk.inspection import stream_details

    stream = make_stream("cam", shape, "u1")
    lines = stream_details(stream)["orientation"]
    assert lines[0].startswith(f"file: {file}")
    assert user in lines[-1]
    with SHM("cam") as shm:
        assert f"shape {shm.shape}," in lines[-1]
        # Where the words say that z, y, x are, there the values are.
        content = np.arange(np.prod(shape), dtype="u1").reshape(shape)
        stream.publish(content)
        names = "xyz"[: len(shape)][::-1]
        kept = lines[-1].partition("indices [")[2].partition("]")[0].replace(", ", "")
        dropped = "".join(name for name in names if name not in kept)
        moved = content.transpose([names.index(name) for name in kept + dropped])
        np.testing.assert_array_equal(shm.get_data(), moved.reshape(shm.shape))


def test_info_as_text(make_stream):
    stream = make_stream("cam", (3, 5), "u2", nbkw=3)
    stream.write_keywords([("GAIN", 2.5, "a\x1b[31m comment")])
    stream.publish(np.zeros((3, 5), "u2"))
    text = done("info", "cam", "--measure", 0.01)
    for words in (stream.path, "3x5 uint16", "counter     1", f"by process {os.getpid()} alive", "GAIN",
                  "a?[31m comment", "indices [y, x]", "rate        0.0/s", "sem_write_pid",
                  "crPID"):  # fmt: skip
        assert words in text


def test_info_without_keywords_and_of_a_temporal_ring(make):
    make("bare", np.zeros((4, 6), np.float32), nbkw=0)
    make("cube", ((4, 6), np.float32), ring=9, ring_kind="temporal")
    assert "keywords: none" in done("info", "bare", "--measure", 0)
    told = json.loads(done("info", "cube", "--measure", 0, "--json"))
    assert (told["ring"], told["ring_kind"], told["frame_shape"]) == (9, "temporal", [4, 6])
    assert any("ring of 9 frames" in line for line in told["orientation"])
    assert "temporal 9" in done("ls")


def test_info_of_nothing(shm_dir):
    said = run("info", "cam")
    assert said.returncode == 1
    assert "no stream 'cam'" in said.stderr


def test_info_ends_with_ctrl_c(make_stream):
    from pymilk.inspection import processes_using

    stream = make_stream("cam", (2, 2), "u1")
    child = subprocess.Popen(
        [*COMMAND, "info", "cam", "--measure", "100"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,
    )
    while child.pid not in processes_using(stream) and child.poll() is None:
        pass
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, out, err) == (130, "", "pymilk: interrupted\n")


# --- kw ------------------------------------------------------------------------------------------


def test_kw_sets_lists_and_reads(make_stream):
    stream = make_stream("cam", (2, 2), "u1", nbkw=6)
    assert done("kw", "cam") == ""
    assert done("kw", "cam", "GAIN=2.5", "N=7", "OBJ=HD 1", "--comment", "first", function=run) == ""
    assert done("kw", "cam", "CODE=12", "--text") == ""
    assert [(each.name, each.value, each.comment) for each in stream.read_keywords()] == [
        ("GAIN", 2.5, "first"), ("N", 7, "first"), ("OBJ", "HD 1", "first"), ("CODE", "12", ""),
    ]  # fmt: skip
    assert done("kw", "cam", "OBJ", "N") == "HD 1\n7\n"
    assert done("kw", "cam", "N=-8", "N") == "-8\n"
    assert stream.read_keywords()[1][:3] == ("N", -8, "first")
    lines = done("kw", "cam").splitlines()
    assert lines[0].split() == ["keyword", "value", "comment"]
    assert [line.split()[0] for line in lines[1:]] == ["GAIN", "N", "OBJ", "CODE"]
    [shown] = json.loads(done("kw", "cam", "GAIN", "--json"))
    assert shown == {"name": "GAIN", "value": 2.5, "comment": "first"}


def test_json_has_no_words_that_are_not_json(make_stream):
    make_stream("cam", (2, 2), "u1").write_keywords([("A", float("nan")), ("B", float("inf")), ("C", 1.5)])

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    told = json.loads(done("kw", "cam", "--json"), parse_constant=refuse)
    assert [each["value"] for each in told] == [None, None, 1.5]
    everything = json.loads(done("info", "cam", "--measure", 0, "--json"), parse_constant=refuse)
    assert everything["keywords"] == told
    assert done("kw", "cam", "B") == "inf\n"


def test_kw_failures(make_stream):
    stream = make_stream("cam", (2, 2), "u1", nbkw=1)
    stream.write_keywords([("A", 1, "")])
    missing = run("kw", "cam", "A", "B")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert "no keyword 'B'" in missing.stderr
    full = call("kw", "cam", "A=2", "B=3")
    assert full.returncode == 1
    assert stream.read_keywords()[0].value == 1  # all or nothing
    assert call("kw", "cam", "=3").returncode == 2
    assert call("kw", "cam", "A", "--comment", "x").returncode == 2
    assert call("kw", "nowhere").returncode == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [("7", 7), ("-7", -7), ("2.5", 2.5), ("1e3", 1000.0), ("1_000", "1_000"), ("text", "text"), ("", ""),
     (str(2**63 - 1), 2**63 - 1), (str(2**63), float(2**63))],
)  # fmt: skip
def test_values_of_text(text, value):
    from pymilk.streams.keywords import value_of_text

    found = value_of_text(text)
    assert (type(found), found) == (type(value), value)


# --- create and rm -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [("u8", "u1"), ("u16", "u2"), ("u32", "u4"), ("u64", "u8"), ("i8", "i1"), ("i16", "i2"), ("i32", "i4"),
     ("i64", "i8"), ("f16", "f2"), ("f32", "f4"), ("f64", "f8"), ("c64", "c8"), ("c128", "c16")],
)  # fmt: skip
def test_names_of_pixel_types(kind, dtype, shm_dir):
    from pymilk.cli.commands.streams import TYPES

    assert len(TYPES) == 13
    done("create", "cam", 2, 3, "--type", kind)
    with Stream.attach("cam") as stream:
        assert (stream.dtype, stream.shape) == (np.dtype(dtype), (2, 3))


def test_create(shm_dir):
    assert done("create", "cam", 12, 20, "--type", "u16", "--ring", 5, "--kw", 7, function=run) == ""
    with Stream.attach("cam") as stream:
        assert (stream.shape, stream.size, stream.dtype) == ((12, 20), (20, 12), np.uint16)
        assert (stream.cb_size, stream.nbkw, stream.counter) == (5, 7, 0)
        inode = stream.inode
        refused = call("create", "cam", 4, 4)
        assert refused.returncode == 1
        assert "exists" in refused.stderr
        assert not stream.replaced()
    done("create", "cam", 4, 5, 3, "--type", "c128", "--force")
    with SHM("cam") as shm:
        assert (shm.shape, shm.nptype) == ((4, 5, 3), np.complex128)
        assert shm.shape_c == (5, 4, 3)
        assert os.stat(shm.FILEPATH).st_ino != inode


def test_create_a_temporal_ring(shm_dir):
    done("create", "cam", 12, 20, "--type", "u16", "--ring", 5, "--temporal", "--kw", 3)
    with Stream.attach("cam") as stream:
        assert (stream.temporal, stream.shape, stream.frame_shape) == (True, (5, 12, 20), (12, 20))
        assert (stream.nbkw, stream.counter) == (3, 0)
    with SHM("cam") as shm:
        shm.set_data(np.full((12, 20), 7, np.uint16))
        assert shm.get_data().max() == 7
    assert call("create", "cube", 2, 3, 4, "--ring", 5, "--temporal").returncode == 1


@pytest.mark.parametrize(
    "arguments",
    [["cam"], ["cam", "0"], ["cam", "4", "--type", "f128"], ["cam", "4", "4", "--temporal"], ["cam", "x"]],
)
def test_create_wrong_usage(arguments, shm_dir):
    assert call("create", *arguments).returncode == 2
    assert list(shm_dir.iterdir()) == []


def test_create_what_cannot_be(shm_dir):
    for code, arguments in (
        (1, ["a/b", "4"]), (1, ["cam", "2", "2", "2", "2"]),
        (2, ["cam", "4", "--kw", "70000"]), (2, ["cam", "4", "--ring", "5000000000"]),
    ):  # fmt: skip
        said = call("create", *arguments)
        assert said.returncode == code
        assert "Traceback" not in said.stderr
    assert list(shm_dir.iterdir()) == []


@pytest.mark.parametrize(
    ("code", "arguments"), [(WRITER, ["cam", 0, 0]), (READER, ["cam"]), (WATCHER, ["cam"])]
)
def test_rm_refuses_while_somebody_uses_the_stream(spawn, shm_dir, code, arguments):
    if code != WRITER:
        done("create", "cam", 4, 4)
    user = spawn(code, *arguments)
    user.hear()
    said = run("rm", "cam")
    assert said.returncode == 1
    assert f"process {user.pid} (" in said.stderr
    assert (shm_dir / "cam.im.shm").exists()
    user.kill()
    done("rm", "cam")
    assert list(shm_dir.iterdir()) == []


def test_errors_cannot_speak_to_the_terminal(spawn, make_stream):
    """Every process chooses its own name."""
    stream = make_stream("cam", (2, 2), "u1")
    name = "import ctypes; ctypes.CDLL(None).prctl(15, b'\\x1b[31mred\\x07', 0, 0, 0)\n"
    watcher = spawn(name + WATCHER, "cam")
    watcher.expect("ready")
    said = call("rm", "cam")
    assert said.returncode == 1
    assert f"in use by process {watcher.pid} (?[31mred?)" in said.stderr
    assert not stream.deleted


def test_rm_force_and_several(writer, shm_dir):
    done("create", "one", 4)
    done("create", "two", 4)
    (shm_dir / "text.im.shm").write_text("hello" * 1000)
    said = run("rm", "one", "missing", "cam", "text", "two")
    assert said.returncode == 1
    assert sorted(path.name for path in shm_dir.iterdir()) == ["cam.im.shm", "text.im.shm"]
    assert said.stderr.count("pymilk: ") == 3
    done("rm", "--force", "cam")
    assert [path.name for path in shm_dir.iterdir()] == ["text.im.shm"]
    assert writer.process.poll() is None


def test_rm_dead_removes_temporary_files_only(spawn, shm_dir):
    gone = spawn("")
    gone.finish()
    done("create", "cam", 4)
    left = shm_dir / f".cam.{gone.pid}.0123abcd.new"
    alive = shm_dir / f".cam.{os.getpid()}.0123abcd.new"
    left.write_bytes(b"x")
    alive.write_bytes(b"x")
    assert done("rm", "--dead") == f"removed {left}\n"
    assert sorted(path.name for path in shm_dir.iterdir()) == [alive.name, "cam.im.shm"]
    alive.unlink()
    assert call("rm").returncode == 2
    assert call("rm", "--dead", "cam").returncode == 2
    assert (shm_dir / "cam.im.shm").exists()


def test_users_of_a_stream_that_is_deleted_meanwhile(make_stream, spawn, monkeypatch):
    stream = make_stream("cam", (2, 2), "u1")
    watcher = spawn(WATCHER, "cam")
    watcher.expect("ready")
    os.unlink(stream.path)
    monkeypatch.setattr(os.path, "exists", lambda path: True)  # it was there a moment ago
    assert processes_using(stream) == [watcher.pid]


def test_remove_stream_does_not_count_this_process(make_stream, shm_dir):
    from pymilk import remove_stream

    stream = make_stream("cam", (2, 2), "u1")
    assert stream.sem_index is not None
    remove_stream("cam")
    assert stream.deleted
    assert list(shm_dir.iterdir()) == []


# --- commands of existing scripts ----------------------------------------------------------------


def script(name: str) -> list[str]:
    path = Path(sys.executable).with_name(name)
    assert path.exists(), f"the script {name} is not installed"
    return [str(path)]


def test_creashmim(shm_dir):
    arguments = ("cam", 4, 6, "--type=i16", "--kw=3")
    said = run(*arguments, command=script("creashmim"))
    assert (said.returncode, said.stderr) == (0, "")

    def again(*options: str) -> None:
        assert call(*arguments, *options, command=familiar.creashmim).returncode == 0

    with SHM("cam") as shm:
        assert (shm.shape, shm.nptype) == ((4, 6), np.int16)
        shm.set_data(np.full((4, 6), 5, np.int16))
        again()
        assert shm.get_data().min() == 5  # kept as it was
        again("-z")
        assert shm.get_data().max() == 0
        inode = os.stat(shm.FILEPATH).st_ino
        for option in ("--force", "--del"):
            again(option)
            assert os.stat(shm.FILEPATH).st_ino != inode
            inode = os.stat(shm.FILEPATH).st_ino
    assert call("cam", command=familiar.creashmim).returncode == 2


def test_updatekw(make_stream):
    stream = make_stream("cam", (2, 2), "u1", nbkw=3)
    said = run("cam", "GAIN", "2", command=script("updatekw"))
    assert (said.returncode, said.stderr) == (0, "")
    for key, value in (("GAIN", "-3"), ("OBJ", "HD 1")):
        assert call("cam", key, value, command=familiar.updatekw).returncode == 0
    first, second = stream.read_keywords()
    assert (first[:2], type(first.value)) == (("GAIN", -3.0), float)
    assert second[:2] == ("OBJ", "HD 1")
    assert call("nowhere", "A", "1", command=familiar.updatekw).returncode == 1


def test_commands_beside_a_live_writer_leave_it_alone(writer):
    """All at once, each in a process of its own."""
    with Stream.attach("cam") as stream:
        inode, before = stream.inode, stream.counter
        commands = [
            [*COMMAND, "kw", "cam", "GAIN=2.5", "GAIN"],
            [*COMMAND, "create", "other", "4", "5"],
            [*COMMAND, "doctor", "--json"],
            [*script("creashmim"), "cam", "12", "16", "--type=u16"],
        ]
        children = [
            subprocess.Popen(each, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for each in commands
        ]
        said = [(*child.communicate(timeout=100), child.returncode) for child in children]
        assert said[0] == ("2.5\n", "", 0)
        assert said[1] == said[3] == ("", "", 0)
        topics = {finding["topic"] for finding in json.loads(said[2][0])}
        assert not topics & {"writer", "semaphores", "left over", "stale"}
        assert stream.wait(10.0) > before
        assert stream.inode == inode
        assert not stream.replaced()
        assert [each[:2] for each in stream.read_keywords()] == [("GAIN", 2.5)]
    assert writer.process.poll() is None


@pytest.mark.parametrize(
    "command", ["ls", "info", "kw", "create", "rm", "doctor", "top", "play", "capture"]
)
def test_help_has_an_example(command):
    assert f"Example: pymilk {command}" in done(command, "--help")


@pytest.mark.parametrize("arguments", [
    ["ls", "--rate", "nan"], ["top", "--interval", "nan"], ["info", "cam", "--measure", "nan"],
    ["show", "cam", "--rate", "nan"], ["show", "cam", "--zoom", "nan", "--once"],
    ["record", "cam", "-o", "cam.npy", "--seconds", "nan"], ["play", "cam.npy", "--rate", "nan"],
    ["capture", "cam", "-n", "1", "-o", "cam.npy", "--timeout", "inf"], ["demo", "--rate", "nan"],
    ["bench", "--seconds", "nan"], ["relay", "cam", "other", "--stats", "nan"],
])  # fmt: skip
def test_no_number_is_wrong_usage(make_stream, arguments):
    make_stream("cam", (2, 2), "u1")
    said = call(*arguments)
    assert said.returncode == 2
    assert "is not a finite number" in said.stderr


@pytest.mark.parametrize("after", range(6))
def test_ctrl_c_while_it_begins(shm_dir, after):
    """From the moment on in which the package takes over from Python: quiet, at once, and never an error."""
    process = subprocess.Popen(
        [*COMMAND, "ls", "--rate", "60"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
        preexec_fn=heed_interrupts,
    )
    try:
        # Python catches the signal from its start on, and the package gives it up while it imports.
        while not catches_interrupts(process.pid):
            assert process.poll() is None
        end = time.monotonic() + 2
        while catches_interrupts(process.pid) and time.monotonic() < end:  # or we were too slow to see it
            pass
        time.sleep(after * 0.03)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert (process.returncode, out, err) in [
        (-signal.SIGINT, "", ""), (130, "", "pymilk: interrupted\n")
    ]


def catches_interrupts(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt")).split()[1]
    return bool(int(caught, 16) >> signal.SIGINT - 1 & 1)


def test_scripts_of_others_are_interrupted_as_ever():
    code = (
        "import signal; before = signal.getsignal(signal.SIGINT); "
        "import pymilk; print(signal.getsignal(signal.SIGINT) is before)"
    )
    for argv0 in ("script.py", "pymilk"):
        said = run("-c", f"import sys; sys.argv[0] = {argv0!r}; {code}", command=[sys.executable])
        assert (said.stdout, said.stderr) == ("True\n", "")


@pytest.mark.parametrize("words", [["ls"], ["info", "cam", "--measure", "0"], ["kw", "cam"],
                                   ["doctor", "--json"], ["show", "cam", "--once"]])
def test_output_that_finds_no_room(make_stream, words):
    stream = make_stream("cam", (3, 4), "u2")
    stream.write_keywords([("GAIN", 1)])
    with open("/dev/full", "w") as full:
        said = subprocess.run(
            [*COMMAND, *words], stdout=full, stderr=subprocess.PIPE, text=True, timeout=100,
            env={**os.environ, "PYTHONSAFEPATH": "1"},
        )  # fmt: skip
    assert said.returncode == 1
    assert said.stderr == "pymilk: what there is to say cannot be written: No space left on device\n"


@pytest.mark.parametrize("words", [["ls"], ["info", "cam", "--measure", "0"], ["kw", "cam"],
                                   ["show", "cam", "--once"], ["create", "new", "3", "4"]])
def test_closed_output_goes_nowhere(make_stream, shm_dir, words):
    """Least of all into a stream that is opened next, and would have the number of the output."""
    make_stream("cam", (3, 4), "u2")
    script = f"exec {sys.executable} -P -m pymilk {' '.join(words)} >&- 2>&-"
    before = (shm_dir / "cam.im.shm").read_bytes()
    assert subprocess.run(["sh", "-c", script], timeout=100).returncode == 0
    assert (shm_dir / "cam.im.shm").read_bytes() == before


def test_missing_library_is_named():
    code = "import sys; sys.modules['rich'] = None; from pymilk.cli import updatekw; updatekw()"
    said = run("-c", code, command=[sys.executable])
    assert said.returncode == 1
    assert "pip install 'pymilk[cli]'" in said.stderr
