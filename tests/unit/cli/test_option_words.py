"""One word for each option, over all commands; older words go on working, and are not shown."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("click", reason="extra cli")

pytest.importorskip("rich", reason="extra cli")

import click

from pymilk import Stream
from pymilk.cli.parameters import AliasedOption
from support.calling import call, done, walk

COMMANDS = {name: command for name, command in walk() if not isinstance(command, click.Group)}

#: Each option that is shown: the command, its words, the parameter.
OPTIONS = [
    (name, word, option)
    for name, command in COMMANDS.items()
    for option in command.params
    if isinstance(option, click.Option) and not option.hidden
    for word in option.opts
]

#: Words of which each means the same in all commands: how its value is called.
WORDS = {
    "--rate": ("HZ", "HZ,..."),
    "--shape": ("HEIGHTxWIDTH",),
    "--dtype": ("DTYPE",),
    "--ring": ("SLOTS",),
    "--plot": ("FILE.png",),
    "--frames": ("N",),
    "--seconds": ("SECONDS",),
    "--timeout": ("SECONDS",),
    "--interval": ("SECONDS",),
    "--measure": ("SECONDS",),
    "--stats": ("SECONDS",),
    "--cpu": ("CORE",),
}

#: Older words of the same things, and those of other English.
OLD = {
    "bench": ["--rates", "--depth"],
    "create": ["--type"],
    "demo": ["--picture", "--no-picture"],
    "ls": ["--rate"],
    "record": ["--depth"],
    "relay": ["--depth"],
    "show": ["--colors", "--center"],
}


def test_all_commands_are_walked() -> None:
    assert {"ls", "show", "bench", "fps ls", "record", "simulate"} <= set(COMMANDS)
    assert len(OPTIONS) > 100
    assert {word for _, word, _ in OPTIONS} >= set(WORDS)


@pytest.mark.parametrize("word", WORDS)
def test_a_word_means_the_same_everywhere(word: str) -> None:
    found = {name: option.metavar for name, each, option in OPTIONS if each == word}
    assert {name: kind for name, kind in found.items() if kind not in WORDS[word]} == {}


def test_the_same_thing_has_the_same_word() -> None:
    # By the name of the parameter: dtype is --dtype everywhere.
    words: dict[str, set[str]] = {}
    for _, word, option in OPTIONS:
        if word.startswith("--") and option.name is not None:
            words.setdefault(option.name, set()).add(word)
    several = {name: found for name, found in words.items() if len(found) > 1}
    assert several == {}


@pytest.mark.parametrize("name", OLD)
def test_older_words_work_and_are_not_shown(name: str) -> None:
    command = COMMANDS[name]
    context = click.Context(command)
    parser = command.make_parser(context)
    told = command.get_help(context)
    for word in OLD[name]:
        assert word in parser._long_opt
        assert f" {word} " not in told.replace("\n", " ")
        assert word not in [each for other, each, _ in OPTIONS if other == name]


def test_each_older_word_is_in_the_table() -> None:
    found = {
        (name, word)
        for name, command in COMMANDS.items()
        for option in command.params
        if isinstance(option, AliasedOption)
        for word in option.aliases
    }
    assert found == {(name, word) for name, words in OLD.items() for word in words} - {("create", "--type")}


def test_words_of_american_english() -> None:
    for name, word, option in OPTIONS:
        if "colour" in word or "centre" in word:
            assert isinstance(option, AliasedOption), (name, word)
            assert word.replace("colour", "color").replace("centre", "center") in option.aliases


def test_older_words_do_what_they_did(shm_dir: object) -> None:
    done("create", "old", 3, 4, "--type", "u8")
    done("create", "new", "--shape", "3x4", "--dtype", "uint8")
    done("create", "row", "--shape", "7")
    for name, shape, dtype in (("old", (3, 4), "u1"), ("new", (3, 4), "u1"), ("row", (7,), "f4")):
        with Stream.attach(name) as stream:
            assert (stream.shape, stream.dtype) == (shape, np.dtype(dtype))
    assert done("ls", "--rate", 0.001).splitlines()[0] == done("ls", "--measure", 0.001).splitlines()[0]
    assert "/s" in done("ls", "--rate", 0.001)
    assert done("show", "new", "--once", "--colors", "heat").endswith("heat\n")
    assert "no_such" in call("show", "new", "--once", "--colors", "no_such").stderr
    done("show", "new", "--once", "--zoom", 2, "--center", 1, 1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["create", "a"], "the shape of a frame is needed"),
        (["create", "a", "3", "--shape", "3x4"], "the shape of a frame is needed, once"),
        (["create", "a", "--shape", "3x4x5x6"], "3x4x5x6"),
        (["create", "a", "3", "--type", "u8", "--dtype", "uint8"], "give one of them"),
        (["create", "a", "3", "--dtype", "u16"], "not a NumPy dtype"),
        (["create", "a", "3", "--dtype", "U3"], "integer, float or complex"),
        (["ls", "--interval", "1"], "--interval goes with --watch"),
    ],
)
def test_wrong_usage(shm_dir: object, arguments: list[str], words: str) -> None:
    said = call(*arguments)
    assert said.returncode == 2
    assert words in " ".join(said.stderr.split())
