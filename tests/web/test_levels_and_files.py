"""Limits, contrast, colours and zoom, by value; the files that are saved; the age of the frame."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pymilk.web
from pymilk import SHM, load
from pymilk.view.levels import zscale
from support.browsing import Browser, looking, place
from support.measuring import hover, settings_of
from support.waiting import becomes

WIDE = np.arange(256, dtype="u1").reshape(8, 32)


def test_contrast_and_colours(browser: Browser, shm_dir: Any) -> None:
    spots = [(0, 0), (5, 3), (31, 7), (16, 4), (9, 2)]
    with SHM("cam", WIDE), looking(browser, "cam") as look:
        size = look.size()
        places = [place(size, WIDE.shape, *spot) for spot in spots]
        values = [int(WIDE[y, x]) for x, y in spots]
        becomes(lambda: [each[0] for each in look.pixels(places)], values)
        tables = look.page.evaluate(
            "import('./stretch.js').then(({ COLOURS, colourTable }) =>"
            " Object.fromEntries(Object.keys(COLOURS).map((name) => [name, [...colourTable(name)]])))"
        )
        assert tables["inverted"][4 * 20 : 4 * 20 + 3] == [235] * 3
        assert len(tables) == 6
        for name, table in tables.items():
            look.choose("Colour map", name)
            wanted = [table[4 * value : 4 * value + 3] for value in values]
            becomes(lambda: look.pixels(places), wanted)
        look.choose("Colour map", "grey")
        hover(look, WIDE.shape, 16, 4)
        look.page.keyboard.down("Shift")
        look.page.mouse.down()
        box = look.page.locator(".stage canvas").bounding_box()
        x, y = box["x"] + box["width"] / 2 + 80, box["y"] + box["height"] / 2 - 60
        start = place((box["width"], box["height"]), WIDE.shape, 16, 4)
        look.page.mouse.move(x, y)
        look.page.mouse.up()
        look.page.keyboard.up("Shift")
        right, up = x - box["x"] - start[0], start[1] - (y - box["y"])
        factor, bias = math.exp(up / 200), 0.5 + right / size[0]
        wanted = [min(255, max(0, round(255 * ((value / 255 - bias) * factor + 0.5)))) for value in values]
        becomes(lambda: [each[0] for each in look.pixels(places)], pytest.approx(wanted, abs=2))
        assert wanted != values
        look.press("r")
        becomes(lambda: [each[0] for each in look.pixels(places)], values)


def test_rules_for_limits(browser: Browser, shm_dir: Any) -> None:
    image = np.random.default_rng(11).normal(1000, 30, (20, 40)).astype("f4")
    image[3, 4], image[5, 6], image[7, 8] = 9000, -4000, np.nan
    values = np.sort(image[np.isfinite(image)])
    with SHM("cam", image), looking(browser, "cam") as look:
        found = {}
        for rule in ("99.5", "99", "95", "zscale", "minmax"):
            look.choose("Limits", rule)
            chosen = settings_of(look)
            found[rule] = [float(chosen["low"]), float(chosen["high"])]
        assert found["minmax"] == [-4000, 9000]
        for rule in ("99.5", "99", "95"):
            share = (100 - float(rule)) / 200
            places = np.floor(np.array([share, 1 - share]) * (len(values) - 1) + 0.5).astype(int)
            assert found[rule] == values[places].tolist()
        assert found["zscale"] == pytest.approx(zscale(image), rel=0.03)


def test_fits_of_every_dtype(browser: Browser, tmp_path: Path) -> None:
    """The module that writes them alone: nothing is looked at."""
    images = {}
    for dtype in ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8"):
        bounds = np.iinfo(dtype)
        rows = [[bounds.min, bounds.max, 1], [0, bounds.max // 2, bounds.min + 1]]
        images[dtype] = np.array(rows, dtype)
    for dtype in ("f4", "f8"):
        images[dtype] = np.array([[0.1, -2.5, np.inf], [1e-30, 3, -0.0]], dtype)
    source = Path(pymilk.web.__file__).parent.joinpath("static", "fits.js").read_text()
    browser.page.goto("about:blank")
    made = browser.page.evaluate(
        "([source, images]) => import('data:text/javascript,' + encodeURIComponent(source))"
        ".then(({ fitsOf }) =>"
        " images.map(([sent, bytes]) => [...new Uint8Array("
        "fitsOf({ raw: Uint8Array.from(bytes), sent }, [3, 2], { CNT0: 7 }, 'a'.repeat(99)))]))",
        [source, [[str(image.dtype), list(image.tobytes())] for image in images.values()]],
    )
    for (dtype, image), content in zip(images.items(), made, strict=True):
        file = tmp_path / f"{dtype}.fits"
        file.write_bytes(bytes(content))
        with load(file) as saved:
            assert saved.frames.dtype.newbyteorder("=") == image.dtype
            assert np.array_equal(np.squeeze(saved.frames), image)


def test_the_wheel_and_what_is_saved(browser: Browser, shm_dir: Any, tmp_path: Path) -> None:
    picture = pytest.importorskip("PIL.Image")
    image = np.arange(60 * 80, dtype="u2").reshape(60, 80)
    with SHM("cam", image) as cam, looking(browser, "cam", ",colour:heat") as look:
        look.until("document.querySelector('.account').textContent.match(/, age [0-9.]+ m?s, source/)")
        look.press("x")
        cam.set_data(image[::-1])  # it is the frame that is seen that is saved
        with look.page.expect_download() as caught:
            look.page.click("text=FITS")
        file = tmp_path / "cam.fits"
        caught.value.save_as(file)
        with load(file) as saved:
            assert np.array_equal(np.squeeze(saved.frames), image)
        with look.page.expect_download() as caught:
            look.page.click("text=PNG")
        saved = picture.open(io.BytesIO(Path(caught.value.path()).read_bytes())).convert("RGB")
        size = look.size()
        assert saved.size == (max(size[0], 360), size[1] + 46)
        for spot in ((0, 0), (79, 59), (40, 20)):
            where = place(size, image.shape, *spot)
            assert list(saved.getpixel(tuple(map(int, where)))) == look.pixel(*where)
        look.press("x")
        look.shows(2)
        # The pixel under the pointer stays there.
        hover(look, image.shape, 10, 20)
        look.says(".pointer", f"x 10, y 20: {image[39, 10]}")
        zoom = min(size[0] / 80, size[1] / 60)
        look.page.mouse.wheel(0, -500 * math.log(4))
        becomes(lambda: float(settings_of(look).get("zoom", 0)), pytest.approx(4 * zoom, rel=1e-4))
        hover(look, image.shape, 10.01, 20)
        look.says(".pointer", f"x 10, y 20: {image[39, 10]}")
        hover(look, image.shape, 14, 20)
        look.says(".pointer", f"x 11, y 20: {image[39, 11]}")


@pytest.mark.parametrize("dtype", ["c8", "c16"])
@pytest.mark.parametrize("shape", [(5, 7), (900, 1300), (9,)])
def test_fits_of_complex_pixels(
    browser: Browser, shm_dir: Any, tmp_path: Path, dtype: str, shape: tuple[int, ...]
) -> None:
    """Real and imaginary parts, one image after the other; the server refused to make any."""
    parts = np.random.default_rng(8).normal(size=(2, *shape))
    image = (parts[0] + 1j * parts[1]).astype(dtype)
    with SHM("cam", image), looking(browser, "cam") as look:
        with look.page.expect_download() as download:
            look.page.click("text=FITS")
        file = tmp_path / "cam.fits"
        download.value.save_as(file)
    with load(file) as saved:
        found = np.squeeze(saved.frames)
        assert np.array_equal(found[0], image.real)
        assert np.array_equal(found[1], image.imag)
