"""``pymilk kw``: list, read and set keywords of a stream."""

from __future__ import annotations

import click

from ..._core import Stream
from ...streams.keywords import Keywords, value_of_text
from ..exits import clean_exit
from ..output import clean, print_json, print_table, table_of

__all__ = ["kw"]


@click.command()
@click.argument("name")
@click.argument("keys", nargs=-1, metavar="[KEY[=VALUE]]...")
@click.option("--comment", help="Comment of the keywords that are set. Default: the one they have.")
@click.option("--text", "as_text", is_flag=True, help="Store values as text, even if they are numbers.")
@click.option("--json", "as_json", is_flag=True, help="Print keywords as JSON, with their comments.")
def kw(name: str, keys: tuple[str, ...], comment: str | None, as_text: bool, as_json: bool) -> None:
    """List the keywords of stream NAME, print some, or set some.

    Without KEY: all. KEY: print its value. KEY=VALUE: set it, as a number if VALUE is one. If one cannot be
    set, none is. Printed values are read after setting.

    Exit code 1 if a keyword is missing or cannot be stored.

    Example: pymilk kw cam0 GAIN=2.5 --comment "electrons per count"
    """
    changes: dict[str, tuple[int | float | str, str | None]] = {}
    wanted: list[str] = []
    for given in keys:
        key, sign, value = given.partition("=")
        if not key:
            raise click.BadParameter(f"{given!r} has no keyword before the equals sign", param_hint="KEY")
        if sign:
            changes[key] = (value if as_text else value_of_text(value), comment)
        else:
            wanted.append(key)
    if not changes and (comment is not None or as_text):
        raise click.UsageError("--comment and --text are for KEY=VALUE; none is given")
    with clean_exit():
        with Stream.attach(name, writable=bool(changes), prefault=False) as stream:
            keywords = Keywords(stream)
            if changes:
                keywords.merge(changes)
            if changes and not wanted and not as_json:
                return
            found = keywords.named()
            for key in wanted:
                keywords[key]  # raises if there is no such keyword
            shown = [found[key] for key in wanted or (changes or found)]
        if as_json:
            print_json(
                [{"name": str(each.name), "value": each.value, "comment": each.comment} for each in shown]
            )
        elif wanted:
            for each in shown:
                click.echo(clean(str(each.value)))
        elif shown:
            rows = [(each.name, str(each.value), each.comment) for each in shown]
            print_table(table_of(("keyword", "value", "comment"), rows))
