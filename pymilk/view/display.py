"""`Display`: one frame with the choices of its user, drawn as a picture or as text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._types import Array
from ..arguments import check_choice, check_number
from ..axes import Orientation, check_symcode
from ..errors import StreamArgumentError
from .blocks import half_blocks, letters
from .caption import captioned
from .colours import COLOURS, colour_table, paint
from .curve import braille, dots, stars
from .histogram import bars
from .levels import (
    check_levels,
    check_percentile,
    fractions,
    real_values,
    saturation_of,
    span,
    summary,
)
from .picture import REDUCTIONS, Window, fit, resample

__all__ = ["MODES", "Display"]

#: Modes of text: half blocks in true colour or in 256 colours, or ASCII letters.
MODES = ("true", "256", "ascii")

#: Percentile that the key selects if none was given.
_PERCENTILE = 99.5

#: Largest zoom, and most drawn pixels for one pixel of the image.
_MAX_ZOOM = 4096.0

#: Columns to the left of a curve, for its levels.
_MARGIN = 11

#: Colour of the cursor, which no map here has, and its letter.
_CURSOR = (0, 255, 60)
_CURSOR_LETTER = "X"

#: Sizes of a picture file: the longer side of an enlarged image, and that of a curve.
_PICTURE = 512
_CURVE = (320, 640)

#: Most pixels of a picture.
_MOST_PIXELS = 250_000_000


@dataclass(frozen=True)
class _Drawn:
    """Values computed once for each frame and change of choices."""

    image: Array  # two axes, as the user sees it; only the row of a curve
    summary: dict[str, Any]
    whole: tuple[float, float] | None  # levels from the least to the largest pixel


class Display:
    """Show frames of a stream, with choices that can be changed at any time.

    Parameters
    ----------
    levels : (float, float), optional
        Values that are darkest and brightest. None: chosen for the visible part.
    percentile : float, optional
        Percentage of pixels between the levels. None: from the least to the largest.
    log : bool, default False
        Logarithmic brightness.
    colours : str, default "gray"
        See `pymilk.view.colours.colour_table`.
    reduction : {"peak", "mean", "nearest"}
        How several pixels become one: see `pymilk.view.picture.REDUCTIONS`.
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
    histogram : bool, default False
        Show how many pixels have which value.
    saturation : float, optional
        Pixels of this value and above, before the dark is subtracted, are saturated. Default: the largest
        value of an integer type; pixels of other types are never saturated.

    Attributes
    ----------
    levels, percentile, log, colours, reduction, zoom, centre, symcode, row, dark, histogram, saturation
        As given. They can be set at any time; call `changed` afterwards.
    cursor : (int, int) or None
        Row and column of the pixel whose value is told.
    curve : bool or None
        Draw a curve; None: only for frames with one axis.

    Raises
    ------
    StreamArgumentError, LibraryMissingError
        A choice is not valid.

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
        histogram: bool = False,
        saturation: float | None = None,
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
        self.histogram = histogram
        self.saturation = saturation
        self.cursor: tuple[int, int] | None = None
        self._frame: Array | None = None
        self._seen: _Drawn | None = None
        self._room: tuple[tuple[int, int], int] = (_CURVE, 1)  # of what was drawn last
        self._window: Window | None = None

    # -- the visible part ----------------------------------------------------------------------

    def show(self, frame: Array) -> None:
        """Set the frame to draw.

        Parameters
        ----------
        frame : ndarray, one or two axes
            In C order of the stream, as `Feed.take` gives it. Kept, not copied.

        Raises
        ------
        StreamArgumentError
            The frame does not have the shape of the dark frame, or has no such row.
        """
        if self.dark is not None and self.dark.shape != frame.shape:
            raise StreamArgumentError(
                f"the dark frame has shape {self.dark.shape}, the frames of the stream {frame.shape}",
                argument="dark",
                found=self.dark.shape,
            )
        self._frame = frame
        self.changed()
        self._keep_cursor()
        if self.row is not None and frame.ndim == 2:
            rows = self.rows_of(frame)
            if not 0 <= self.row < rows:
                raise StreamArgumentError(
                    f"the frame has rows 0 to {rows - 1}, no row {self.row}", argument="row", found=self.row
                )

    def changed(self) -> None:
        """Discard computed values after attributes were set."""
        self._seen = self._window = None

    def rows_of(self, frame: Array) -> int:
        """Return the number of rows of the frame in this orientation; a frame with one axis is a row."""
        return self._turned(frame).shape[0] if frame.ndim == 2 else 1

    def _turned(self, frame: Array) -> Array:
        return Orientation(frame.shape, self.symcode).view(frame) if frame.ndim == 2 else frame

    def _work(self) -> _Drawn:
        if self._seen is None:
            if self._frame is None:
                raise StreamArgumentError("there is no frame yet: show() one", argument="frame", found=None)
            raw = self._turned(self._frame)
            image = real_values(raw, self._dark_turned())
            if image.ndim == 2 and self.draws_curve:
                self.row = min(self.row or 0, len(image) - 1)
                raw, image = raw[self.row], image[self.row]
            numbers = summary(image)
            limit = saturation_of(raw.dtype) if self.saturation is None else self.saturation
            size = np.abs(raw) if raw.dtype.kind == "c" else raw
            numbers["saturated"] = None if limit is None else int(np.count_nonzero(size >= limit))
            whole = None if numbers["min"] is None else (numbers["min"], numbers["max"])
            self._seen = _Drawn(np.atleast_2d(image), numbers, whole)
        return self._seen

    def _dark_turned(self) -> Array | None:
        return None if self.dark is None else self._turned(self.dark)

    @property
    def draws_curve(self) -> bool:
        """Whether a curve is drawn: for frames with one axis, unless chosen otherwise."""
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
        """Return the visible part, for the room that was drawn last."""
        return self._fit(*self._room) if self._window is None else self._window

    def _fit(self, room: tuple[int, int], tall: int = 1) -> Window:
        shape = self._work().image.shape
        if self.draws_curve:
            # One row as wide as the room, or a part of it.
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

    # -- drawing -------------------------------------------------------------------------------

    def picture(self, room: tuple[int, int] | None = None) -> Array:
        """Draw the frame as an RGB picture.

        Parameters
        ----------
        room : (int, int), optional
            Largest height and width in pixels. Default: images are not reduced, but enlarged by a whole
            number so that the longer side has at least 512 pixels; curves have 320 x 640.

        Returns
        -------
        ndarray, uint8, shape (height, width, 3)
            The first row is the top: the last row of the frame.

        Raises
        ------
        StreamArgumentError
            The picture would have more than 250 million pixels, and more than the frame.
        """
        shape = self._work().image.shape
        table = colour_table(self.colours)
        if self.draws_curve or self.histogram:
            height, width = room or _CURVE
            _check_size(height, width, 0)
            raster = self._bars(height, width)[0] if self.histogram else self._dots(height, width)
            return table[np.where(raster, 255, 0)]
        if room is None:
            factor = -(-_PICTURE // max(shape))
            room = (shape[0] * factor, shape[1] * factor)
        window = self._fit(room)
        _check_size(window.height, window.width, shape[0] * shape[1])
        return paint(self._parts(window), table)

    def captioned(self, lines: Sequence[str], room: tuple[int, int] | None = None) -> Array:
        """Draw the frame as an RGB picture with a scale of its colours, and lines of text below.

        Parameters
        ----------
        lines : sequence of str
        room : (int, int), optional
            As for `picture`, of the frame alone.

        Returns
        -------
        ndarray, uint8, shape (height, width, 3)
            Curves and histograms have no scale.

        Raises
        ------
        StreamArgumentError
            As `picture`.
        LibraryMissingError
            Pillow is not installed (``pip install Pillow``; it comes with matplotlib).
        """
        drawn = self.picture(room)
        levels = None if self.draws_curve or self.histogram else self.chosen_levels()
        return captioned(drawn, colour_table(self.colours), levels, lines)

    def _parts(self, window: Window) -> Array:
        """Brightness of each drawn pixel, the top row first."""
        part = self._part(window)
        drawn = resample(part, window.height, window.width, self.reduction)
        return fractions(drawn[::-1], self._levels_of(part), log=self.log)

    def _dots(self, height: int, width: int) -> Array:
        window = self._fit((height, width))
        part = self._part(window)[0]
        raster = dots(fractions(part, self._levels_of(part), log=self.log), height, width)
        mark = self._mark(window)
        if mark is not None:
            raster[::2, (mark[1].start + mark[1].stop) // 2] = True
        return raster

    def _bars(self, height: int, width: int) -> tuple[Array, int]:
        part = self._part(self._seen_window())
        return bars(part, self._levels_of(part), height, width)

    def _mark(self, window: Window) -> tuple[slice, slice] | None:
        """Return where the pixel under the cursor is drawn, the top row first; None if it is not in sight."""
        if self.cursor is None:
            return None
        places = []
        at = (0 if self.draws_curve else self.cursor[0], self.cursor[1])
        for place, part, drawn in zip(
            at, (window.rows, window.columns), (window.height, window.width), strict=True
        ):
            count, behind = part.stop - part.start, place - part.start
            if not 0 <= behind < count:
                return None
            begin = behind * drawn // count
            places.append((begin, max(begin + 1, (behind + 1) * drawn // count)))
        (low, high), (left, right) = places
        return slice(window.height - high, window.height - low), slice(left, right)

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
        if self.histogram:
            return self._histogram_text(lines, columns, ascii_only=mode == "ascii")
        if self.draws_curve:
            return self._curve_text(lines, columns, ascii_only=mode == "ascii")
        if mode == "ascii":
            # In shades of gray: maps with two bright ends would not be unique.
            window = self._fit((lines, columns), tall=2)
            drawn = letters(self._parts(window))
            mark = self._mark(window)
            if mark is not None:
                line, at = drawn[mark[0].start], mark[1].start
                drawn[mark[0].start] = line[:at] + _CURSOR_LETTER + line[at + 1 :]
        else:
            window = self._fit((2 * lines, columns))
            rgb = paint(self._parts(window), colour_table(self.colours))
            mark = self._mark(window)
            if mark is not None:
                _outline(rgb[mark])
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

    def _histogram_text(self, lines: int, columns: int, *, ascii_only: bool) -> list[str]:
        """Draw bars, and below them the values at both ends."""
        tall = max(1, lines - 1)
        raster, most = self._bars(tall, columns) if ascii_only else self._bars(4 * tall, 2 * columns)
        drawn = stars(raster) if ascii_only else braille(raster)
        levels = self.chosen_levels()
        if lines < 2 or levels is None:
            return drawn
        left, middle, right = f"{levels[0]:.6g}", f"highest bar {most} pixels", f"{levels[1]:.6g}"
        room = columns - len(left) - len(right)
        return [*drawn, f"{left}{middle if len(middle) < room else '':^{max(0, room)}}{right}"[:columns]]

    def chosen_levels(self) -> tuple[float, float] | None:
        """Return the levels of the visible part; None if no pixel of it is finite."""
        return self._levels_of(self._part(self._seen_window()))

    def statistics(self) -> dict[str, Any]:
        """Return numbers about the visible part, for the room that was drawn last.

        Returns
        -------
        dict
            ``min``, ``max``, ``mean``, ``std``, ``peak`` (``[row, column]``; ``[column]`` of a curve),
            ``saturated`` (pixels; before the dark is subtracted; None where no value means that) and
            ``not_finite`` of the whole frame, or of the row that is drawn as a curve; of amplitudes if it is
            complex, after the dark is subtracted. ``cursor`` and ``value`` (of the pixel that it is on; None
            without one). ``levels``, ``log``, ``colours``, ``symcode``, ``dark`` (whether one is
            subtracted), ``row`` (None if an image is drawn); ``rows`` and ``columns`` (the part in sight,
            first and behind the last one), ``scale`` (drawn pixels for each of the frame) and ``reduction``
            (None if no pixel is left out).
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
            "cursor": None if self.cursor is None else list(self.cursor[1:] if curve else self.cursor),
            "value": self.value(),
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
        """Return these numbers in one line, the most important first."""
        told = self.statistics()
        words = []
        if told["cursor"] is not None:
            value = "not finite" if told["value"] is None else f"{told['value']:.6g}"
            words.append(f"[{', '.join(map(str, told['cursor']))}] = {value}")
        if told["levels"] is not None:
            how = "fixed" if self.levels else "auto" if self.percentile is None else f"{self.percentile:g} %"
            words.append("levels {:.6g} to {:.6g}".format(*told["levels"]) + f" {how}")
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
            if told["std"] is not None:
                words.append(f"std {told['std']:.4g}")
        if told["saturated"]:
            words.append(f"{told['saturated']} saturated")
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
        """Execute the command of a key.

        Parameters
        ----------
        key : str
            A letter, or "up", "down", "left", "right", which move the part in sight; or the cursor, if there
            is one, which "pageup", "pagedown", "home" and "end" move as well.

        Returns
        -------
        bool
            False if the key has no command.
        """
        action = (_CURSOR_KEYS.get(key) if self.cursor is not None else None) or _KEYS.get(key)
        if action is None:
            return False
        action(self)
        if key in _MOVES:
            self._window = None  # the frame is unchanged
        else:
            self.changed()
        return True

    def value(self) -> float | None:
        """Return the value of the pixel under the cursor; None without a cursor, or if it is not finite."""
        if self.cursor is None:
            return None
        image = self._work().image
        value = float(image[0 if self.draws_curve else self.cursor[0], self.cursor[1]])
        return value if np.isfinite(value) else None

    def _toggle_cursor(self) -> None:
        if self.cursor is not None:
            self.cursor = None
            return
        window = self._seen_window()
        row, column = ((part.start + part.stop) // 2 for part in (window.rows, window.columns))
        self.cursor = (self.row or 0 if self.draws_curve else row, column)

    def _point(self, rows: int, columns: int) -> None:
        """Move the cursor by so many drawn pixels; what is in sight follows it over the edge."""
        if self.draws_curve and rows:
            self._pan(rows, 0)
            return
        assert self.cursor is not None
        step = max(1, round(1 / self._seen_window().scale))
        self.cursor = (self.cursor[0] + step * rows, self.cursor[1] + step * columns)
        self._keep_cursor()
        assert self.cursor is not None
        window = self._seen_window()
        if self._mark(window) is None:
            row = self.cursor[0]
            if self.draws_curve:
                row = 0 if self.centre is None else round(self.centre[0])
            self.centre = (float(row), float(self.cursor[1]))

    def _keep_cursor(self) -> None:
        """Keep the cursor within the frame, which may have another shape now."""
        if self.cursor is not None:
            shape = self._work().image.shape
            row = self.cursor[0] if self.draws_curve else min(max(0, self.cursor[0]), shape[0] - 1)
            self.cursor = (row, min(max(0, self.cursor[1]), shape[1] - 1))

    def _toggle_histogram(self) -> None:
        self.histogram = not self.histogram

    def _toggle_log(self) -> None:
        self.log = not self.log

    def _auto(self) -> None:
        self.levels = self.percentile = None

    def _cut(self) -> None:
        self.levels = None
        self.percentile = _PERCENTILE if self.percentile is None else None

    def _fix(self) -> None:
        """Fix the present levels, or release them."""
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
        # At most until one pixel fills the room.
        window = self._seen_window()
        if window.columns.stop - window.columns.start > 1 or window.rows.stop - window.rows.start > 1:
            self.zoom = min(2 * self.zoom, _MAX_ZOOM)

    def _smaller(self) -> None:
        self.zoom = max(1.0, self.zoom / 2)

    def _whole(self) -> None:
        self.zoom, self.centre = 1.0, None

    def _pan(self, rows: int, columns: int) -> None:
        """Move by a quarter of the visible part; for a curve of a matrix, to the next row."""
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
            # Stop when the edge of the image is the edge of the picture.
            begin = part.start + step * max(1, count // 4)
            begin = min(max(0, begin), shape[axis] - count)
            middle.append(begin + (count - 1) / 2)
        if self.draws_curve and self.centre is not None:
            middle[0] = self.centre[0]  # keep the row of the image for later
        self.centre = (middle[0], middle[1])


def _outline(cell: Array) -> None:
    """Draw the edge of a drawn pixel in the colour of the cursor; all of it if it is small."""
    inner = cell[1:-1, 1:-1].copy()
    cell[:] = _CURSOR
    if min(cell.shape[:2]) > 2:
        cell[1:-1, 1:-1] = inner


def _check_size(height: int, width: int, pixels: int) -> None:
    """Raise if a picture has too many pixels, and more than the frame."""
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
    "h": Display._toggle_histogram,
    "x": Display._toggle_cursor,
    "+": Display._larger,
    "=": Display._larger,
    "-": Display._smaller,
    "0": Display._whole,
    "up": lambda display: display._pan(1, 0),
    "down": lambda display: display._pan(-1, 0),
    "left": lambda display: display._pan(0, -1),
    "right": lambda display: display._pan(0, 1),
}

#: Keys that do something else while there is a cursor.
_CURSOR_KEYS: dict[str, Callable[[Display], None]] = {
    "up": lambda display: display._point(1, 0),
    "down": lambda display: display._point(-1, 0),
    "left": lambda display: display._point(0, -1),
    "right": lambda display: display._point(0, 1),
    "pageup": lambda display: display._point(10, 0),
    "pagedown": lambda display: display._point(-10, 0),
    "home": lambda display: display._point(0, -10),
    "end": lambda display: display._point(0, 10),
}

#: Keys that choose the part in sight.
_MOVES = ("+", "=", "-", "0", "x", "h", *_CURSOR_KEYS)
