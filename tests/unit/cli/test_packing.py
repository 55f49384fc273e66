"""--compress with a word, without one, and before the name of a stream."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from pymilk.cli.packing import PackingCommand, packing_of


@click.command(cls=PackingCommand)
@click.argument("names", nargs=-1)
@click.option("--compress", default=None, callback=packing_of)
@click.option("-n", type=int)
def echo(names: tuple[str, ...], compress: bool | str, n: int | None) -> None:
    click.echo(f"{list(names)} {compress} {n}")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("cam", "['cam'] False None"),
        ("cam --compress", "['cam'] True None"),
        ("--compress cam", "['cam'] True None"),
        ("--compress -n 3 cam", "['cam'] True 3"),
        ("cam --compress fast", "['cam'] fast None"),
        ("--compress small cam", "['cam'] small None"),
        ("--compress=small cam", "['cam'] small None"),
        ("-- --compress cam", "['--compress', 'cam'] False None"),
    ],
)
def test_compress(arguments: str, said: str) -> None:
    result = CliRunner().invoke(echo, arguments.split())
    assert (result.exit_code, result.output.strip()) == (0, said)


def test_another_word() -> None:
    result = CliRunner().invoke(echo, ["--compress=tiny", "cam"])
    assert result.exit_code == 2
    assert "'tiny' is not one of fast, small" in result.output
