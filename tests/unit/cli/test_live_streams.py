"""The live table of streams, the pages and the keys behind it, without a terminal."""

from __future__ import annotations

import re
import time
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("click", reason="extra cli")

pytest.importorskip("rich", reason="extra cli")

from pymilk.cli import livestreams
from pymilk.cli.colour import Meaning
from pymilk.cli.livestreams import LiveStreams
from pymilk.cli.pager import read_lines
from pymilk.cli.scroll import Scroll
from pymilk.cli.tables import Table, cut
from pymilk.cli.terminal import Terminal
from support.calling import done


def plain(lines: list[str]) -> list[str]:
    return [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line).rstrip() for line in lines]


def chosen(lines: list[str]) -> str:
    """The line that is drawn reversed."""
    (found,) = [line for line in lines if "\x1b[7m" in line]
    return plain([found])[0].split()[0]


@pytest.fixture
def live(make_stream):
    for number in range(50):
        make_stream(f"s{number:02}", (3, 4), "u2")
    return LiveStreams("name", False, 3600.0, ())


def test_scrolling(live):
    assert chosen(live.lines(20, 60)) == "s00"
    for key, wanted in (("down", "s01"), ("pagedown", "s19"), ("end", "s49"), ("down", "s49"), ("up", "s48"),
                        ("pageup", "s30"), ("home", "s00"), ("up", "s00")):  # fmt: skip
        assert live.press(key)
        drawn = live.lines(20, 60)
        assert chosen(drawn) == wanted
        assert len(drawn) == 20
        assert max(map(len, plain(drawn))) <= 60
    assert "1-18 of 50" in plain(live.lines(20, 60))[-1]


def test_what_is_chosen_stays_chosen_in_another_order(live):
    live.lines(20, 60)
    live.press("down")
    live.press("r")
    assert chosen(live.lines(20, 60)) == "s01"
    assert "32-49 of 50" in plain(live.lines(20, 60))[-1]
    # At the top it is the table that is followed.
    live.press("home")
    live.press("r")
    assert chosen(live.lines(20, 60)) == "s00"


def test_filter(live):
    def press(*keys: str) -> list[str]:
        assert all(live.press(key) for key in keys)
        return plain(live.lines(20, 60))

    assert press("/")[-1].startswith("/_")
    drawn = press("S", "4", "q")  # q is a letter now
    assert drawn[-1].startswith("/S4q_")
    assert drawn[1] == ""
    drawn = press("\x7f", "\r")
    assert [line.split()[0] for line in drawn[1:11]] == [f"s{number}" for number in range(40, 50)]
    assert drawn[11] == ""
    assert "/S4  q quit" in drawn[-1]
    assert "of 50" in press("escape")[-1]
    assert len([line for line in press("/", "*", "3", "\n") if line.startswith("s")]) == 5
    assert "of 50" in press("/", "\x15", "\n")[-1]
    assert not live.press("q")


def test_what_is_opened(live, monkeypatch):
    seen = []
    monkeypatch.setattr(livestreams, "view_stream", lambda name: seen.append(("show", name)))
    live.lines(20, 60)
    live.press("down")
    live.press("\n")
    assert live.opening is not None
    live.open()
    assert seen == [("show", "s01")]
    assert live.opening is None


def test_a_stream_that_went_away_is_a_line(live, shm_dir):
    live.lines(20, 60)
    (shm_dir / "s00.im.shm").unlink()
    live.press("i")
    live.open()
    assert "s00" in plain(live.lines(20, 200))[-1]
    assert "q quit" not in plain(live.lines(20, 200))[-1]


def test_info_of_a_stream_is_a_page(live, monkeypatch):
    pages = []
    monkeypatch.setattr(livestreams, "_WATCHED", 0.01)
    monkeypatch.setattr(livestreams, "read_lines", pages.append)
    live.press("i")
    live.open()
    ((first, *_),) = pages
    assert first.startswith("stream      s00, ")
    assert any(line.startswith("metadata as stored:") for line in pages[0])
    assert done("info", "s00", "--measure", 0).splitlines()[0] == first


def test_files_that_are_no_streams_can_be_chosen(make_stream, shm_dir):
    make_stream("good", (3, 4), "u2")
    (shm_dir / "bad.im.shm").write_bytes(b"x")
    live = LiveStreams("name", False, 3600.0, ())
    live.lines(20, 60)
    live.press("down")
    assert chosen(live.lines(20, 60)) == "bad.im.shm:"
    live.press("\n")
    live.open()
    assert "bad" in plain(live.lines(20, 200))[-1]


def test_no_stream(shm_dir):
    live = LiveStreams("name", False, 3600.0, ())
    for key in ("down", "end", "\n", "i", "home"):
        assert live.press(key)
    assert len(live.lines(20, 60)) == 20
    assert live.opening is None


def test_keys_are_noticed_while_many_streams_are_read(live, monkeypatch):
    entries = live._streams[:1] * 200

    def slowly():
        for entry in entries:
            end = time.monotonic() + 0.001
            while time.monotonic() < end:
                pass
            yield dict(entry)

    monkeypatch.setattr(livestreams, "each_stream", slowly)
    live.due = 0.0
    begin = time.process_time()
    live.update()
    assert time.process_time() - begin < 0.15  # of 0.2 s: it goes on next time
    assert live.due == 0.0
    assert len(live._streams) == 50
    while live.due == 0.0:
        live.update()
    assert len(live._streams) == 200


# --- the rooms below -----------------------------------------------------------------------------


def test_scroll_in_a_list_that_became_shorter():
    scroll = Scroll()
    scroll.press("end", 100, 10)
    assert scroll.sight(100, 10) == slice(90, 100)
    assert scroll.sight(5, 10) == slice(0, 5)
    assert scroll.at == 4
    assert scroll.sight(0, 10) == slice(0, 0)
    assert not scroll.press("x", 5, 10)


def test_keys_of_a_terminal(monkeypatch):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(fileno=lambda: 0))
    monkeypatch.setattr("sys.stdout", SimpleNamespace(fileno=lambda: 1))
    terminal = Terminal()
    keys = terminal._keys(b"\x1b[5~\x1b[6~\x1b[H\x1b[F\x1bOH\x1bOF\x1b[1~\x1b[4~\x1b[3~\x1b[1;5Aa\x1b[")
    assert keys == ["pageup", "pagedown", "home", "end", "home", "end", "home", "end", "up", "a"]
    assert terminal._keys(b"6") == []
    assert terminal._keys(b"~") == ["pagedown"]


def test_a_page_scrolls_to_its_end(monkeypatch):
    drawn = []
    keys = iter([["end"], ["down"], ["pageup"], ["home"], ["q"]])

    class Paper:
        lines, columns = 5, 12

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return False

        def draw(self, lines):
            drawn.append(plain(lines)[:4])

        def wait(self, until):
            return next(keys)

    monkeypatch.setattr("pymilk.cli.pager.Terminal", Paper)
    read_lines([f"line {number}" for number in range(10)])
    assert [page[0] for page in drawn] == ["line 0", "line 6", "line 6", "line 2", "line 0"]
    assert drawn[1] == ["line 6", "line 7", "line 8", "line 9"]


def test_table():
    table = Table(("name", "n"), [("a", "1"), ("日本", "22"), ("b\x1b", "3")], right=("n",))
    assert table.lines(100) == ["name   n", "a      1", "日本  22", "b?     3"]
    assert table.width == 8
    assert table.lines(7) == ["na…   n", "a     1", "日…  22", "b?    3"]
    assert Table(("a",), []).lines(10) == ["a"]
    assert cut("abcdef", 4) == "abc…"
    assert cut("abc", 0) == ""


def test_meaning_is_drawn_only_where_it_is_wanted():
    table = Table(("w", "x"), [(Meaning("dead", "bad"), "y")])
    assert table.lines(20) == ["w     x", "dead  y"]
    assert table.lines(20, styles=True, colours=True)[1] == "\x1b[31mdead\x1b[0m  y"
    assert table.lines(20, styles=True) == ["\x1b[1mw\x1b[0m     \x1b[1mx\x1b[0m", "dead  y"]
    assert np.array_equal(Meaning("dead", "bad"), "dead")
