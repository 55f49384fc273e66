"""``pymilk top`` in a terminal: it scrolls, filters, opens what is chosen, and comes back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("click", reason="extra cli")

pytest.importorskip("rich", reason="extra cli")

from support.commands import COMMAND
from support.screen import Screen
from support.terminals import View


@pytest.fixture
def top() -> Iterator[Callable[..., View]]:
    views: list[View] = []

    def start(*arguments: object, **options: Any) -> View:
        views.append(View([*COMMAND, "top", *map(str, arguments)], **options))
        return views[-1]

    yield start
    for each in views:
        each.close()


def rows(screen: Screen) -> list[str]:
    return [screen.line(at).split(" ")[0] for at in range(1, screen.lines - 1)]


def test_a_small_terminal_with_many_streams(make_stream, top):
    for number in range(200):
        make_stream(f"s{number:03}", (3, 4), "u2")
    view = top("--sort", "name", "--interval", 3600, lines=20, columns=60)
    view.until_words("1-18 of 200")
    assert rows(view.screen) == [f"s{number:03}" for number in range(18)]
    view.press("\x1b[F")  # end
    view.until(lambda screen: rows(screen)[-1] == "s199")
    view.press("\x1b[5~")  # page up: the chosen one is the first now, one above those that were seen
    view.until(lambda screen: rows(screen)[0] == "s181")
    view.press("/19")
    view.until(lambda screen: screen.line(19).startswith("/19_"))
    assert [name for name in rows(view.screen) if name] == ["s019", *(f"s{each}" for each in range(119, 200)
                                                            if "19" in str(each))]  # fmt: skip
    view.press("\n")
    view.until_words("/19  q quit")
    view.press("\x1b")
    view.until_words("of 200")
    view.press("q")
    assert view.ended() == (0, "")
    assert view.restored()


def test_it_opens_show_and_info_and_comes_back(writer, make_stream, top):
    make_stream("zed", (3, 4), "u2")
    view = top("--sort", "name", "--interval", 0.2, lines=20, columns=80)
    view.until_words("zed")
    view.press("\n")
    view.until_words("cam  12x16 uint16  frame ")
    view.press("q")
    view.until_words("by name")
    view.press("\x1b[B")
    view.press("i")
    view.until(lambda screen: screen.line(0).startswith("stream      zed, "))
    view.press("\x1b[F")
    view.until(lambda screen: "stream      zed" not in screen.line(0))
    assert "q back" in view.screen.line(19)
    view.press("q")
    view.until_words("by name")
    assert view.screen.entered == 5
    view.press("q")
    assert view.ended() == (0, "")
    assert view.restored()


COLOURS = pytest.mark.parametrize("variables", [{}, {"NO_COLOR": "1"}], ids=["colours", "NO_COLOR"])


def drawn(command: str, variables: dict[str, str]) -> str:
    """What a command writes on a terminal."""
    view = View([*COMMAND, command], **variables)
    said: list[str] = []
    feed = view.screen.feed
    view.screen.feed = lambda text: (said.append(text), feed(text))  # type: ignore[method-assign]
    try:
        assert view.ended()[1] == ""
    finally:
        view.close()
    return "".join(said)


@COLOURS
def test_colours_say_who_is_alive(make_stream, variables):
    make_stream("cam", (3, 4), "u2")
    said = drawn("ls", variables)
    assert "cam" in said
    assert ("\x1b[32m" in said) == (not variables)
    assert "\x1b[1mname" in said


@COLOURS
def test_colours_say_what_is_grave(shm_dir, variables):
    (shm_dir / "bad.im.shm").write_bytes(b"x")
    said = drawn("doctor", variables)
    assert "bad.im.shm" in said
    assert ("\x1b[31mproblem" in said or "\x1b[33mnote" in said) == (not variables)
    assert bool(re.search(r"\x1b\[3[0-9]m", said)) == (not variables)
