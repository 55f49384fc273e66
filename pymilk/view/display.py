"""One frame as people look at it: the choices they made, and the picture or text that comes of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._types import Array
from ..arguments import check_choice, check_number
from ..axes import Orientation, check_symcode
from ..errors import StreamArgumentError
from .blocks import half_blocks, letters
from .colours import COLOURS, colour_table, paint
from .curve import braille, dots, stars
from .levels import check_levels, check_percentile, fractions, real_values, span, summary
from .picture import REDUCTIONS, Window, fit, resample

__all__ = ["MODES", "Display"]

#: How text shows a picture: half blocks in true colour or in 256 colours, or ASCII letters.
MODES = ("true", "256", "ascii")

#: Percentile that the key chooses where none was given.
_PERCENTILE = 99.5

#: Largest enlargement against the whole image, and drawn pixels for one of the image.
_MAX_ZOOM = 4096.0

#: Columns to the left of a curve, for its levels.
_MARGIN = 11

#: Sizes of a picture file: the longer side of an enlarged image, and that of a curve.
_PICTURE = 512
_CURVE = (320, 640)

#: Pixels that a picture may have.
_MOST_PIXELS = 250_000_000


@dataclass(frozen=True)
class _Drawn:
    """What the frame is with the choices made: worked out once for each frame and change."""

    image: Array  # two axes, as the user sees it; a curve has its row alone
    summary: dict[str, Any]
    whole: tuple[float, float] | None  # levels from the least to the largest pixel


class Display:
    """Show frames of a stream, with choices that can be changed at any time.

    Parameters
    ----------
    levels : (float, float), optional
        Values that are darkest and brightest. None: those that fit the part that is seen.
    percentile : float, optional
        So many percent of the pixels are between the levels. None: from the least to the largest.
    log : bool, default False
        Logarithmic brightness.
    colours : str, default "gray"
        See `pymilk.view.colours.colour_table`.
    reduction : {"peak", "mean", "nearest"}
        What a drawn pixel shows of several: see `pymilk.view.picture.REDUCTIONS`.
    zoom : float, default 1
        1 is the whole frame.
    centre : (float, float), optional
        Row and column in the middle. Default: those of the frame.
    symcode : int, default 4
        Orientation, as that of `pymilk.SHM`.
    row : int, optional
        Show this row of the frame as a curve.
    dark : ndarray, one or two axes, optional
        Subtracted from frames; in C order of the stream.

    Attributes
    ----------
    levels, percentile, log, colours, reduction, zoom, centre, symcode, row, dark
        As given; to be set again at any time, followed by `changed`.
    curve : bool or None
        A curve is drawn; None: only of frames that have one axis.

    Raises
    ------
    StreamArgumentError, LibraryMissingError
        One of the choices cannot be.

    Notes
    -----
    Row 0 is at the bottom, column 0 at the left. Rows and columns are those of the frame in this
    orientation.
    """

    def __init__(
        self,
        *,
        levels: tuple[float, float] | None = None,
        percentile: float | None = None,
        log: bool = False,
        colours: str = "gray",
        reduction: str = "peak",
        zoom: float = 1.0,
        centre: tuple[float, float] | None = None,
        symcode: int = 4,
        row: int | None = None,
        dark: Array | None = None,
    ) -> None:
        colour_table(colours)
        check_choice("reduction", reduction, REDUCTIONS)
        if centre is not None and not np.isfinite(centre).all():
            raise StreamArgumentError(
                f"centre is a row and a column, not {centre[0]:g} and {centre[1]:g}",
                argument="centre",
                found=centre,
            )
        check_number("zoom", zoom, f"1 (the whole frame) to {_MAX_ZOOM:g}", 1.0, _MAX_ZOOM)
        self.levels = check_levels(levels)
        self.percentile = check_percentile(percentile)
        self.log = log
        self.colours = colours
        self.reduction = reduction
        self.zoom = zoom
        self.centre = centre
        self.symcode = check_symcode(symcode)
        self.row = row
        self.curve: bool | None = None if row is None else True
        self.dark = dark
        self._frame: Array | None = None
        self._seen: _Drawn | None = None
        self._room: tuple[tuple[int, int], int] = (_CURVE, 1)  # of what was drawn last
        self._window: Window | None = None

    # -- what is seen --------------------------------------------------------------------------

    def show(self, frame: Array) -> None:
        """Take a frame to be drawn.

        Parameters
        ----------
        frame : ndarray, one or two axes
            In C order of the stream, as `Feed.take` gives it. Kept, not copied.

        Raises
        ------
        StreamArgumentError
            It does not have the shape of the dark frame, or not the row.
        """
        if self.dark is not None and self.dark.shape != frame.shape:
            raise StreamArgumentError(
                f"the dark frame has shape {self.dark.shape}, the frames of the stream {frame.shape}",
                argument="dark",
                found=self.dark.shape,
            )
        self._frame = frame
        self.changed()
        if self.row is not None and frame.ndim == 2:
            rows = self.rows_of(frame)
            if not 0 <= self.row < rows:
                raise StreamArgumentError(
                    f"the frame has rows 0 to {rows - 1}, no row {self.row}", argument="row", found=self.row
                )

    def changed(self) -> None:
        """Have everything worked out anew, after attributes were set."""
        self._seen = self._window = None

    def rows_of(self, frame: Array) -> int:
        """Return how many rows a frame has in this orientation; one with one axis is a row."""
        return self._turned(frame).shape[0] if frame.ndim == 2 else 1

    def _turned(self, frame: Array) -> Array:
        return Orientation(frame.shape, self.symcode).view(frame) if frame.ndim == 2 else frame

    def _work(self) -> _Drawn:
        if self._seen is None:
            if self._frame is None:
                raise StreamArgumentError("there is no frame yet: show() one", argument="frame", found=None)
            image = real_values(self._turned(self._frame), self._dark_turned())
            if image.ndim == 2 and self.draws_curve:
                self.row = min(self.row or 0, len(image) - 1)
                image = image[self.row]
            numbers = summary(image)
            whole = None if numbers["min"] is None else (numbers["min"], numbers["max"])
            self._seen = _Drawn(np.atleast_2d(image), numbers, whole)
        return self._seen

    def _dark_turned(self) -> Array | None:
        return None if self.dark is None else self._turned(self.dark)

    @property
    def draws_curve(self) -> bool:
        """Whether it is a curve that is drawn: of frames with one axis, unless chosen otherwise."""
        return self.curve if self.curve is not None else self._frame is not None and self._frame.ndim == 1

    def _part(self, window: Window) -> Array:
        return self._work().image[window.rows, window.columns]

    def _levels_of(self, part: Array) -> tuple[float, float] | None:
        if self.levels is not None:
            return self.levels
        seen = self._work()
        if self.percentile is None and part.size == seen.image.size:
            return seen.whole
        return span(part, self.percentile)

    def _seen_window(self) -> Window:
        """Return which part is in sight, in a room like that of what was drawn last."""
        return self._fit(*self._room) if self._window is None else self._window

    def _fit(self, room: tuple[int, int], tall: int = 1) -> Window:
        shape = self._work().image.shape
        if self.draws_curve:
            # One row, as wide as the room; zoomed, a part of it.
            count = max(1, int(shape[1] / self.zoom))
            middle = shape[1] / 2 if self.centre is None else self.centre[1] + 0.5
            begin = min(max(0, round(middle - count / 2)), shape[1] - count)
            window = Window(
                slice(0, 1), slice(begin, begin + count), room[0], room[1], room[1] / count
            )
        else:
            window = fit((shape[0], shape[1]), room, zoom=self.zoom, centre=self.centre, tall=tall)
        self._room, self._window = (room, tall), window
        return window

    # -- what comes of it ----------------------------------------------------------------------

    def picture(self, room: tuple[int, int] | None = None) -> Array:
        """Draw the frame as an RGB picture.

        Parameters
        ----------
        room : (int, int), optional
            Largest height and width in pixels. Default: images are not reduced, and enlarged by a whole
            number so that their longer side has at least 512 pixels; curves have 320 x 640.

        Returns
        -------
        ndarray, uint8, shape (height, width, 3)
            The first row is the top: the last row of the frame.

        Raises
        ------
        StreamArgumentError
            It would have more than 250 million pixels, and more than the frame.
        """
        shape = self._work().image.shape
        table = colour_table(self.colours)
        if self.draws_curve:
            height, width = room or _CURVE
            _check_size(height, width, 0)
            raster = self._dots(height, width)
            return table[np.where(raster, 255, 0)]
        if room is None:
            factor = -(-_PICTURE // max(shape))
            room = (shape[0] * factor, shape[1] * factor)
        window = self._fit(room)
        _check_size(window.height, window.width, shape[0] * shape[1])
        return paint(self._parts(window), table)

    def _parts(self, window: Window) -> Array:
        """Brightness of each drawn pixel, the top row first."""
        part = self._part(window)
        drawn = resample(part, window.height, window.width, self.reduction)
        return fractions(drawn[::-1], self._levels_of(part), log=self.log)

    def _dots(self, height: int, width: int) -> Array:
        part = self._part(self._fit((height, width)))[0]
        return dots(fractions(part, self._levels_of(part), log=self.log), height, width)

    def text(self, lines: int, columns: int, mode: str = "true") -> list[str]:
        """Draw the frame as text.

        Parameters
        ----------
        lines, columns : int
            Room in a terminal, at least 1.
        mode : {"true", "256", "ascii"}
            Half blocks in true colour or 256 colours, or letters without colours. Curves are of braille
            dots, or of stars.

        Returns
        -------
        list of str
            At most `lines` lines, each exactly `columns` cells wide, without line feeds.
        """
        if self.draws_curve:
            return self._curve_text(lines, columns, ascii_only=mode == "ascii")
        if mode == "ascii":
            # In shades of gray: maps with two bright ends would make one of both.
            window = self._fit((lines, columns), tall=2)
            drawn = letters(self._parts(window))
        else:
            window = self._fit((2 * lines, columns))
            rgb = paint(self._parts(window), colour_table(self.colours))
            drawn = half_blocks(rgb, true_colour=mode == "true")
        left = (columns - window.width) // 2
        right = columns - window.width - left
        return [" " * left + line + " " * right for line in drawn]

    def _curve_text(self, lines: int, columns: int, *, ascii_only: bool) -> list[str]:
        margin = _MARGIN if columns >= 3 * _MARGIN else 0
        width = columns - margin
        drawn = stars(self._dots(lines, width)) if ascii_only else braille(self._dots(4 * lines, 2 * width))
        if not margin:
            return drawn
        labels = [""] * lines
        levels = self.chosen_levels()
        if levels is not None:
            labels[-1], labels[0] = f"{levels[0]:.5g}", f"{levels[1]:.5g}"
        return [f"{label:>{margin - 1}} {line}" for label, line in zip(labels, drawn, strict=True)]

    def chosen_levels(self) -> tuple[float, float] | None:
        """Return the levels of what is in sight; None if no pixel of it is finite."""
        return self._levels_of(self._part(self._seen_window()))

    def statistics(self) -> dict[str, Any]:
        """Return the numbers about what is in sight, in a room like that of what was drawn last.

        Returns
        -------
        dict
            ``min``, ``max``, ``mean``, ``peak`` (``[row, column]``; ``[column]`` of a curve) and
            ``not_finite`` of the whole frame, or of the row that is drawn as a curve; of amplitudes if it is
            complex, after the dark is subtracted. ``levels``, ``log``, ``colours``, ``symcode``, ``dark``
            (whether one is subtracted), ``row`` (None if an image is drawn); ``rows`` and ``columns`` (the
            part in sight, first and behind the last one), ``scale`` (drawn pixels for each of the frame) and
            ``reduction`` (None if no pixel is left out).
        """
        numbers = dict(self._work().summary)
        window = self._seen_window()
        curve = self.draws_curve
        if numbers["peak"] is not None and curve:
            numbers["peak"] = numbers["peak"][-1:]
        levels = self.chosen_levels()
        reduced = window.scale < 1 or window.height < window.rows.stop - window.rows.start
        return {
            **numbers,
            "levels": None if levels is None else list(levels),
            "log": self.log,
            "colours": self.colours,
            "symcode": self.symcode,
            "dark": self.dark is not None,
            "row": self.row if curve else None,
            "rows": [window.rows.start, window.rows.stop],
            "columns": [window.columns.start, window.columns.stop],
            "scale": window.scale,
            "reduction": self.reduction if reduced and not curve else None,
        }

    def describe(self) -> str:
        """Return the same in a line, the most important first."""
        told = self.statistics()
        words = []
        if told["levels"] is not None:
            how = "fixed" if self.levels else "auto" if self.percentile is None else f"{self.percentile:g} %"
            words = ["levels {:.6g} to {:.6g}".format(*told["levels"]) + f" {how}"]
            if self.log:
                words.append("log")
        if self.dark is not None:
            words.append("dark subtracted")
        if self.symcode != 4:
            words.append(f"symcode {self.symcode}")
        if told["peak"] is None:
            words.append("no pixel is finite")
        else:
            at = ", ".join(map(str, told["peak"]))
            words.append(f"min {told['min']:.6g}  max {told['max']:.6g} at [{at}]")
            if told["mean"] is not None:
                words.append(f"mean {told['mean']:.6g}")
        if told["not_finite"]:
            words.append(f"{told['not_finite']} not finite")
        if told["row"] is not None and self._frame is not None and self._frame.ndim == 2:
            words.append(f"row {told['row']}")
        if told["reduction"]:
            words.append(f"1:{1 / told['scale']:.3g} {told['reduction']}")
        elif not self.draws_curve:
            words.append(f"{told['scale']:g}:1")
        if self.zoom > 1:
            seen = "{}:{}, {}:{}".format(*told["rows"], *told["columns"])
            words.append(f"part [{seen}]")
        words.append(self.colours)
        return "  ".join(words)

    # -- choices by key ------------------------------------------------------------------------

    def press(self, key: str) -> bool:
        """Do what a key stands for.

        Parameters
        ----------
        key : str
            A letter, or "up", "down", "left", "right".

        Returns
        -------
        bool
            False if it stands for nothing here.
        """
        action = _KEYS.get(key)
        if action is None:
            return False
        action(self)
        if key in _MOVES:
            self._window = None  # the frame is what it was
        else:
            self.changed()
        return True

    def _toggle_log(self) -> None:
        self.log = not self.log

    def _auto(self) -> None:
        self.levels = self.percentile = None

    def _cut(self) -> None:
        self.levels = None
        self.percentile = _PERCENTILE if self.percentile is None else None

    def _fix(self) -> None:
        """Keep the levels of now, or let them go."""
        levels = None if self.levels else self.chosen_levels()
        self.levels = levels if levels and levels[0] < levels[1] else None

    def _next_colours(self) -> None:
        names = list(COLOURS)
        at = names.index(self.colours) + 1 if self.colours in names else 0
        self.colours = names[at % len(names)]

    def _next_reduction(self) -> None:
        self.reduction = REDUCTIONS[(REDUCTIONS.index(self.reduction) + 1) % len(REDUCTIONS)]

    def _next_symcode(self) -> None:
        self.symcode = (self.symcode + 1) % 8

    def _dark_now(self) -> None:
        self.dark = self._frame

    def _no_dark(self) -> None:
        self.dark = None

    def _toggle_curve(self) -> None:
        self.curve = not self.draws_curve

    def _larger(self) -> None:
        # Not beyond one pixel that fills the room.
        window = self._seen_window()
        if window.columns.stop - window.columns.start > 1 or window.rows.stop - window.rows.start > 1:
            self.zoom = min(2 * self.zoom, _MAX_ZOOM)

    def _smaller(self) -> None:
        self.zoom = max(1.0, self.zoom / 2)

    def _whole(self) -> None:
        self.zoom, self.centre = 1.0, None

    def _pan(self, rows: int, columns: int) -> None:
        """Move by a quarter of what is seen; of a matrix that is drawn as a curve, to the next row."""
        if self.draws_curve and rows:
            if self._frame is not None and self._frame.ndim == 2:
                last = self.rows_of(self._frame) - 1
                self.row = min(max(0, (self.row or 0) + rows), last)
                self.changed()
            return
        window, shape = self._seen_window(), self._work().image.shape
        middle = []
        for axis, (part, step) in enumerate(((window.rows, rows), (window.columns, columns))):
            count = part.stop - part.start
            # No further than where the edge of the image is the edge of the picture.
            begin = part.start + step * max(1, count // 4)
            begin = min(max(0, begin), shape[axis] - count)
            middle.append(begin + (count - 1) / 2)
        if self.draws_curve and self.centre is not None:
            middle[0] = self.centre[0]  # that of the image, for when it is seen again
        self.centre = (middle[0], middle[1])


def _check_size(height: int, width: int, pixels: int) -> None:
    """Raise if a picture is to be larger than a frame of so many pixels, and too large for anything."""
    if height * width > max(_MOST_PIXELS, pixels):
        raise StreamArgumentError(
            f"the picture would have {width}x{height} pixels, more than {_MOST_PIXELS / 1e6:g} million; ask "
            "for less room",
            argument="room",
            found=(height, width),
        )


_KEYS: dict[str, Callable[[Display], None]] = {
    "l": Display._toggle_log,
    "a": Display._auto,
    "p": Display._cut,
    "f": Display._fix,
    "c": Display._next_colours,
    "m": Display._next_reduction,
    "s": Display._next_symcode,
    "d": Display._dark_now,
    "D": Display._no_dark,
    "r": Display._toggle_curve,
    "+": Display._larger,
    "=": Display._larger,
    "-": Display._smaller,
    "0": Display._whole,
    "up": lambda display: display._pan(1, 0),
    "down": lambda display: display._pan(-1, 0),
    "left": lambda display: display._pan(0, -1),
    "right": lambda display: display._pan(0, 1),
}

#: Keys that choose the part in sight.
_MOVES = ("+", "=", "-", "0", "up", "down", "left", "right")
