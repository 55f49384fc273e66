"""A terminal on paper, as far as the commands use one; a frame to be seen on it; PNG files."""

from __future__ import annotations

import io
import re

import numpy as np
from PIL import Image

_SEQUENCE = re.compile(r"\x1b(?:\[([?0-9;]*)([@-~])|[^\[])")

#: Colours of the first 16 are different on each terminal: no program here may use them.
_DEFAULT = (-1, -1, -1)


def colour_256(code: int) -> tuple[int, int, int]:
    """Tell red, green and blue of the colours that all terminals with 256 of them have."""
    assert 16 <= code <= 255
    if code >= 232:
        return (8 + 10 * (code - 232),) * 3
    steps = (0, 95, 135, 175, 215, 255)
    code -= 16
    return steps[code // 36], steps[code // 6 % 6], steps[code % 6]


class Screen:
    """Letters and colours of each cell; `feed` takes what a program writes."""

    def __init__(self, lines: int, columns: int) -> None:
        self.lines, self.columns = lines, columns
        self.modes: dict[str, bool] = {}
        self.entered = self.left = 0
        self._rest = ""
        self.main: tuple | None = None
        self._clear()

    def _clear(self) -> None:
        self.text = np.full((self.lines, self.columns), " ")
        self.above = np.full((self.lines, self.columns, 3), -1)  # colours of the upper and the lower half
        self.below = np.full((self.lines, self.columns, 3), -1)
        self.at = [0, 0]
        self.front = self.back = _DEFAULT

    def feed(self, text: str) -> None:
        text, self._rest = self._rest + text, ""
        while text:
            if text[0] == "\x1b":
                match = _SEQUENCE.match(text)
                if match is None:
                    again = text.find("\x1b", 1)
                    if again < 0:
                        self._rest = text
                        return
                    # Its end was thrown away on the way; as in a real terminal the next one begins anew.
                    text = text[again:]
                    continue
                if match[2]:
                    self._obey(match[1], match[2])
                text = text[match.end() :]
            else:
                self._put(text[0])
                text = text[1:]

    def _obey(self, numbers: str, order: str) -> None:
        if order in "hl":
            self._mode(numbers, order == "h")
        elif order == "H":
            line, column = (int(each) - 1 for each in numbers.split(";")) if numbers else (0, 0)
            self.at = [line, column]
        elif order == "K":
            assert numbers in ("", "0", "2")
            self.text[self.at[0], 0 if numbers == "2" else self.at[1] :] = " "
        elif order == "C":
            self.at[1] += int(numbers or 1)
        elif order == "A":
            self.at[0] -= int(numbers or 1)
        elif order == "J":
            assert numbers == "2"
            at = self.at
            self._clear()
            self.at = at
        elif order == "m":
            self._colour([int(each or 0) for each in numbers.split(";")])
        else:
            raise AssertionError(f"this terminal does not know ESC[{numbers}{order}")

    def _mode(self, mode: str, on: bool) -> None:
        self.modes[mode] = on
        if mode == "?1049" and on:
            self.entered += 1
            self.main = (self.text, self.above, self.below, self.at)
            self._clear()
        elif mode == "?1049" and self.main is not None:
            self.left += 1
            self.text, self.above, self.below, self.at = self.main
            self.main = None

    def _colour(self, codes: list[int]) -> None:
        while codes:
            code = codes.pop(0)
            if code == 0:
                self.front = self.back = _DEFAULT
            elif code == 49:
                self.back = _DEFAULT
            elif code == 39:
                self.front = _DEFAULT
            elif code in (38, 48):
                if codes.pop(0) == 2:
                    rgb = tuple(codes[:3])
                    del codes[:3]
                else:
                    rgb = colour_256(codes.pop(0))
                if code == 38:
                    self.front = rgb
                else:
                    self.back = rgb

    def _put(self, letter: str) -> None:
        if letter == "\n" and self.at[0] + 1 == self.lines:
            for cells in (self.text, self.above, self.below):
                cells[:-1] = cells[1:]
                cells[-1] = " " if cells is self.text else -1
        elif letter == "\n":
            self.at[0] += 1
        elif letter == "\b":
            self.at[1] -= 1
        elif letter == "\r":
            self.at[1] = 0
        elif letter >= " ":
            if self.at[1] == self.columns and self.modes.get("?7", True):
                self._put("\r")
                self._put("\n")
            line, column = self.at
            assert line < self.lines, "drawn below the screen"
            assert column < self.columns, "drawn beyond the right edge"
            self.text[line, column] = letter
            self.above[line, column] = self.front if letter == "▀" else self.back
            self.below[line, column] = self.back
            self.at[1] += 1

    def line(self, at: int) -> str:
        return "".join(self.text[at]).rstrip()

    def words(self) -> str:
        return "\n".join(self.line(at) for at in range(self.lines))

    def pixels(self) -> np.ndarray:
        """Half cells, shape (2 * lines, columns, 3); -1 is the background."""
        return np.stack([self.above, self.below], axis=1).reshape(2 * self.lines, self.columns, 3)


#: An F: no turn and no flip of it looks the same. Row 0 is at the bottom.
F_ROWS = [
    "......",
    ".####.",
    ".#....",
    ".###..",
    ".#....",
    ".#....",
    ".#....",
    "......",
]


def letter_f(dtype: str = "u2") -> np.ndarray:
    """The F as a frame: its first row is the last line above."""
    return np.array([[100 * (each == "#") for each in line] for line in F_ROWS[::-1]], dtype)


def seen(picture: np.ndarray) -> list[str]:
    """Bright pixels of an RGB picture, or of half blocks on a screen, as the lines above have them."""
    return ["".join("#" if pixel[0] > 128 else "." for pixel in line) for line in picture]


def read_png(content: bytes) -> np.ndarray:
    """Read a PNG file."""
    with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
        assert picture.mode == "RGB"
        return np.asarray(picture)


def on_screen(lines: list[str], columns: int) -> Screen:
    """The screen after these lines."""
    screen = Screen(len(lines), columns)
    screen.feed("\r\n".join(lines))
    return screen
