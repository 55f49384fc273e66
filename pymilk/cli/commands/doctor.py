"""``pymilk doctor``: find problems, with advice."""

from __future__ import annotations

import sys

import click

from ...inspection.doctor import examine, fix
from ...parameters.findings import process_findings
from ...parameters.survey import fps_findings
from ..colour import paint, wants_colours
from ..exits import clean_exit
from ..output import clean, print_json

__all__ = ["doctor"]

#: How grave a finding is, in colours.
_STYLES = {"problem": "bad", "note": "doubtful", "ok": "good"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON, and nothing else.")
@click.option("--fix", "mend", is_flag=True,
              help="First remove temporary files that creators left when they died. No stream is touched.")
def doctor(as_json: bool, mend: bool) -> None:
    """Find problems of the streams and of this machine, and print advice.

    Exit code 1 if there is a problem; notes do not count.

    Example: pymilk doctor
    """
    with clean_exit():
        removed = fix() if mend else []
        findings = [
            {"topic": "left over", "level": "ok", "found": f"removed {path}", "todo": ""} for path in removed
        ] + examine() + process_findings() + fps_findings()
        if as_json:
            print_json(findings)
        else:
            colours = wants_colours(sys.stdout)
            for finding in findings:
                level = f"{finding['level']:<8}"
                if colours:
                    level = paint(level, _STYLES[finding["level"]])
                click.echo(f"{level} " + clean(f"{finding['topic']:<11} {finding['found']}"))
                if finding["todo"]:
                    click.echo(clean(f"{'':<20} -> {finding['todo']}"))
    if any(finding["level"] == "problem" for finding in findings):
        sys.exit(1)
