"""``pymilk doctor``: find problems, with advice."""

from __future__ import annotations

import sys
import textwrap

import click

from ...channels.findings import channel_findings
from ...inspection.doctor import examine, fix
from ...parameters.findings import process_findings
from ...parameters.survey import fps_findings
from ..colour import paint, wants_colours
from ..exits import clean_exit
from ..output import clean, print_json, width_of_stdout

__all__ = ["doctor"]

#: How grave a finding is, in colours.
_STYLES = {"problem": "bad", "note": "doubtful", "ok": "good"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON, and nothing else.")
@click.option("--fix", "mend", is_flag=True,
              help="First remove temporary files that creators left when they died. No stream is touched.")
def doctor(as_json: bool, mend: bool) -> None:
    """Find problems of streams, channels and this machine, and print advice.

    Exit code 1 if there is a problem; notes do not count.

    Example: pymilk doctor
    """
    with clean_exit():
        removed = fix() if mend else []
        findings = [
            {"topic": "left over", "level": "ok", "found": f"removed {path}", "todo": ""} for path in removed
        ] + examine() + channel_findings() + process_findings() + fps_findings()
        if as_json:
            print_json(findings)
        else:
            colours = wants_colours(sys.stdout)
            for finding in findings:
                level = f"{finding['level']:<8}"
                if colours:
                    level = paint(level, _STYLES[finding["level"]])
                click.echo(f"{level} " + _fitted(f"{finding['topic']:<11} {finding['found']}", 9, 21))
                if finding["todo"]:
                    click.echo(_fitted(f"{'':<20} -> {finding['todo']}", 0, 24))
    if any(finding["level"] == "problem" for finding in findings):
        sys.exit(1)


def _fitted(text: str, before: int, under: int) -> str:
    """Break a text where the terminal ends.

    Parameters
    ----------
    text : str
    before : int
        Columns that stand before it.
    under : int
        Column under which further lines begin.
    """
    first, wide = clean(text), width_of_stdout()
    if before + len(first) <= wide or wide < 2 * under:
        return first
    lines = textwrap.wrap(
        first, wide - before, subsequent_indent=" " * (under - before), drop_whitespace=True,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    return f"\n{'':<{before}}".join(lines)
