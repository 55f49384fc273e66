"""What notebooks show of an object: a small table, and a picture if there is a library for it.

Nothing here waits, and there is no script. Every text is escaped, because names and keywords of streams are
written by others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ._types import Array

__all__ = ["as_html", "picture_of", "set_finder", "table_html", "upstairs"]

#: Finds what is on higher floors, by its name in `pymilk.view` or `pymilk.web`. Set by the face of the
#: package, which alone may know them.
_finder: list[Callable[[str], Any]] = []

_STYLE = "display:flex;gap:1em;align-items:flex-start"


def upstairs(name: str) -> Any:
    """Return a function of `pymilk.view`, or ``live`` of `pymilk.web`."""
    return _finder[0](name)


def set_finder(finder: Callable[[str], Any]) -> None:
    """Tell how `upstairs` finds functions."""
    _finder[:] = [finder]


def _escaped(text: object) -> str:
    import html  # here, so that `import pymilk` does not load it

    return html.escape(str(text), quote=True)


def picture_of(frame: Array) -> str:
    """Return a frame as a small picture in HTML, row 0 at the bottom; empty without Pillow.

    Parameters
    ----------
    frame : ndarray
        Of any shape; of a cube, its first plane.
    """
    png = upstairs("thumbnail")(frame)
    if png is None:
        return ""
    import base64  # here, as html above

    return f'<img alt="frame" src="data:image/png;base64,{base64.b64encode(png).decode("ascii")}">'


def as_html(title: str, rows: Sequence[tuple[str, object]], picture: str = "") -> str:
    """Return a title, (label, text) pairs and perhaps a picture as HTML.

    Parameters
    ----------
    title : str
    rows : sequence of (str, object)
        Escaped here, like the title.
    picture : str
        As `picture_of` gives it.
    """
    lines = "".join(
        f'<tr><th style="text-align:left">{_escaped(label)}</th>'
        f'<td style="text-align:left">{_escaped(text)}</td></tr>'
        for label, text in rows
    )
    table = f"<table>{lines}</table>" if lines else ""
    return f'<div><b>{_escaped(title)}</b><div style="{_STYLE}">{picture}{table}</div></div>'


def table_html(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table with a line of titles as HTML; everything is escaped."""
    head = "".join(f"<th>{_escaped(column)}</th>" for column in columns)
    lines = "".join(
        "<tr>" + "".join(f'<td style="text-align:left">{_escaped(cell)}</td>' for cell in row) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"
