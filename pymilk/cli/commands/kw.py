"""``pymilk kw``: list, read, set and delete keywords of a stream."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import click

from ..._core import Keyword, Stream
from ...streams.keywords import Keywords, kind_of_value
from ..exits import clean_exit
from ..naming import complete_streams
from ..output import clean, print_json, print_table, table_of
from ..parameters import parts_of_assignment, typed_value

__all__ = ["keyword_named", "kw", "say_new_types"]


@click.command()
@click.argument("name", shell_complete=complete_streams)
@click.argument("keys", nargs=-1, metavar="[KEY[=VALUE]]...")
@click.option("--comment", metavar="TEXT",
              help="Comment of the keywords that are set. Default: the one they have.")
@click.option("--text", "as_text", is_flag=True, help="Store values as text, even if they are numbers.")
@click.option("--delete", is_flag=True, help="Delete the keywords KEY.")
@click.option("--json", "as_json", is_flag=True, help="Print keywords as JSON, with their comments.")
def kw(
    name: str, keys: tuple[str, ...], comment: str | None, as_text: bool, delete: bool, as_json: bool
) -> None:
    """List the keywords of stream NAME, print some, set or delete some.

    Without KEY: all. KEY: print its value. KEY=VALUE: set it, as a number if VALUE is one; blanks around the
    equals sign do not count. If one cannot be set or deleted, none is. Printed values are read after setting.
    A keyword whose type changes is named on stderr.

    Exit code 1 if a keyword is missing or cannot be stored.

    Example: pymilk kw cam0 GAIN=2.5 --comment "electrons per count"
    """
    if delete:
        if comment is not None or as_text or as_json or not keys:
            raise click.UsageError("--delete takes the names of keywords, and no other option")
        with clean_exit(), Stream.attach(name, prefault=False) as stream:
            table = Keywords(stream)
            table.delete(keyword_named(key, table) for key in keys)
        return
    changes: dict[str, str] = {}
    wanted: list[str] = []
    for given in keys:
        parts = parts_of_assignment(given)
        if parts is None:
            wanted.append(given)
        else:
            changes[parts[0]] = parts[1]
    if not changes and (comment is not None or as_text):
        raise click.UsageError("--comment and --text are for KEY=VALUE; none is given")
    with clean_exit():
        with Stream.attach(name, writable=bool(changes), prefault=False) as stream:
            keywords = Keywords(stream)
            if changes:
                _store(keywords, changes, comment, as_text)
            if changes and not wanted and not as_json:
                return
            found = keywords.named()
            wanted = [keyword_named(key, found) for key in wanted]
            for key in wanted:
                keywords[key]  # raises if there is no such keyword
            shown = [found[key] for key in wanted or [keyword_named(key, found) for key in changes] or found]
        _show(name, shown, wanted, as_json)


def _store(keywords: Keywords, changes: Mapping[str, str], comment: str | None, as_text: bool) -> None:
    """Set keywords, and say which of them have another type than before."""
    before = keywords.named()
    keywords.merge(
        {
            keyword_named(key, before, new=True): (value if as_text else typed_value(value), comment)
            for key, value in changes.items()
        }
    )
    say_new_types(before, keywords.named())


def _show(stream: str, shown: Iterable[Keyword], wanted: list[str], as_json: bool) -> None:
    rows = [(str(each.name), each.value, each.comment) for each in shown]
    if as_json:
        print_json([{"name": name, "value": value, "comment": comment} for name, value, comment in rows])
    elif wanted:
        for _, value, _ in rows:
            click.echo(clean(str(value)))
    elif rows:
        cells = [(name, str(value), comment) for name, value, comment in rows]
        print_table(table_of(("keyword", "value", "comment"), cells))
    else:
        click.echo(clean(f"stream {stream!r} has no keywords"), err=True)


def keyword_named(given: str, known: Collection[str], *, new: bool = False) -> str:
    """Return the name of a keyword as it is stored: blanks around what was typed do not count.

    Parameters
    ----------
    given : str
    known : collection of str
        Names that are there. Those that other programs made may have blanks.
    new : bool, default False
        It is stored if it is not there: such a name has no blanks in it.
    """
    if given in known:
        return given
    name = given.strip()
    if new and name not in known and name.split() != [name]:
        raise click.BadParameter(f"{given!r} is no name of a keyword: it has blanks in it", param_hint="KEY")
    return name


def say_new_types(before: Mapping[str, Keyword], after: Mapping[str, Keyword]) -> None:
    """Name the keywords that have another type than before on stderr."""
    for name, new in after.items():
        old = before.get(name)
        if old is not None and type(old.value) is not type(new.value):
            was, has = kind_of_value(old.value), kind_of_value(new.value)
            text = f"pymilk: keyword {name!s} was {was} ({old.value}) and is {has} ({new.value}) now"
            click.echo(clean(text), err=True)
