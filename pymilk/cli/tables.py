"""`Table`: lines of text in columns, fast for thousands of rows."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size

from .colour import Meaning, paint

__all__ = ["Table", "clean", "cut"]

#: Between two columns.
_GAP = "  "

#: End of a text that was cut.
_CUT = "…"


def clean(text: str) -> str:
    """Replace control characters, and others that a terminal cannot show, in text from streams and files."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def cut(text: str, width: int) -> str:
    """Cut a text to a width in cells; one that is cut ends with an ellipsis."""
    if _width(text) <= width:
        return text
    return set_cell_size(text, width - 1) + _CUT if width > 0 else ""


def _width(text: str) -> int:
    return len(text) if text.isascii() else cell_len(text)


class Table:
    """A table without lines.

    Parameters
    ----------
    headings : sequence of str
    rows : sequence of sequence of str
        A text that is a `Meaning` is drawn in its style where colours are wanted.
    right : sequence of str, optional
        Headings of numbers.

    Attributes
    ----------
    width : int
        Cells of the longest line.
    """

    def __init__(
        self, headings: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()
    ) -> None:
        self._headings = list(headings)
        self._rows = [[clean(cell) for cell in row] for row in rows]
        self._right = [heading in right for heading in headings]
        self._widths = [_width(heading) for heading in headings]
        for row in self._rows:
            for at, cell in enumerate(row):
                width = _width(cell)
                if width > self._widths[at]:
                    self._widths[at] = width
        self.width = self._whole(self._widths)

    @staticmethod
    def _whole(widths: list[int]) -> int:
        return sum(widths) + len(_GAP) * max(0, len(widths) - 1)

    def lines(self, room: int, *, styles: bool = False, colours: bool = False) -> list[str]:
        """Return the heading and a line for each row.

        Parameters
        ----------
        room : int
            Cells at most; the widest columns are cut to fit.
        styles : bool, default False
            With the codes of a terminal.
        colours : bool, default False
            Colours too.
        """
        widths = list(self._widths)
        while self._whole(widths) > room and max(widths, default=0) > 1:
            widths[widths.index(max(widths))] -= 1
        heads = [Meaning(each, "head") if styles else each for each in self._headings]
        return [self._line(row, widths, styles, colours) for row in (heads, *self._rows)]

    def _line(self, row: Sequence[str], widths: list[int], styles: bool, colours: bool) -> str:
        pieces = []
        for cell, width, right in zip(row, widths, self._right, strict=True):
            text = cut(cell, width)
            blank = " " * (width - _width(text))
            if styles and isinstance(cell, Meaning):
                text = paint(text, cell.style, colours=colours)
            pieces.append(blank + text if right else text + blank)
        return _GAP.join(pieces).rstrip()
