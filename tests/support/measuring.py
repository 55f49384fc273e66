"""What the page of `pymilk web` says of pixels, and what NumPy says."""

from __future__ import annotations

import urllib.parse

import numpy as np
import pytest

from .browsing import Look, place
from .waiting import becomes

COLUMNS = ("n", "min", "max", "mean", "median", "std", "sum")


def measured(look: Look, row: int) -> dict[str, float]:
    """Return what the table says of a region, once it has numbers."""
    titles = look.until(
        "((titles) => titles[0] && Number.isFinite(Number(titles[0])) && titles)([..."
        f"(document.querySelector('.regions').rows[{row + 1}]?.cells ?? [])"
        "].slice(1, 8).map((each) => each.title))"
    )
    return dict(zip(COLUMNS, map(float, titles), strict=True))


def measures(look: Look, row: int, values: np.ndarray, **tolerance: float) -> None:
    """Wait until the table says of a region what NumPy says of its pixels."""
    becomes(lambda: measured(look, row), pytest.approx(expected(values), **tolerance))


def expected(values: np.ndarray) -> dict[str, float]:
    values = values[np.isfinite(values)].astype("f8")
    return dict(
        n=values.size, min=values.min(), max=values.max(), mean=values.mean(), median=np.median(values),
        std=values.std(), sum=values.sum(),
    )  # fmt: skip


def hover(look: Look, shape: tuple[int, int], x: float, y: float) -> None:
    box = look.page.locator(".stage canvas").bounding_box()
    across, down = place((box["width"], box["height"]), shape, x, y)
    look.page.mouse.move(box["x"] + across, box["y"] + down)


def under(look: Look) -> tuple[int, int]:
    """Return column and row that the pointer is said to be on, once the page has heard where it is."""
    look.painted()
    found = "document.querySelector('.pointer').textContent.match(/^x (\\d+), y (\\d+)/)"
    x, y = look.until(f"{found}?.slice(1).map(Number)")
    return x, y


def settings_of(look: Look) -> dict[str, str]:
    """Return the settings of the first view as the address has them; `page.url` hears of it later."""
    view = urllib.parse.parse_qs(look.page.evaluate("location.hash.slice(1)"))["view"][0]
    return dict(each.split(":", 1) for each in view.split(",")[1:])
