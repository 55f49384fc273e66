"""Tools on the frame as it is shown: what they say is compared with NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk import SHM
from support.browsing import Browser, Look, looking, place
from support.measuring import hover, measures, settings_of, under
from support.waiting import becomes


def drag(look: Look, shape: tuple[int, int], start: tuple[float, float], end: tuple[float, float]) -> None:
    hover(look, shape, *start)
    look.page.mouse.down()
    hover(look, shape, *end)
    look.page.mouse.up()


def test_statistics_in_box_circle_and_line(browser: Browser, shm_dir: Any) -> None:
    image = np.random.default_rng(1).normal(1000, 50, (40, 60)).astype("f4")
    image[12, 21] = np.nan
    y, x = np.mgrid[:40, :60]
    # In coordinates of the page: the middle of pixel (0, 0) is (0.5, 0.5).
    regions = "box 20 12 8 6;circle 40.5 20.5 7.3;line 5.5 30.5 15.5 30.5;line 50.5 2.5 54.5 10.5"
    with SHM("cam", image), looking(browser, "cam", f",tool:statistics,regions:{regions}") as look:
        parts = [
            image[9:15, 16:24], image[np.hypot(x - 40, y - 20) <= 7.3], image[30, 5:16],
            image[np.arange(2, 11), np.floor(50.5 + np.arange(9) / 2).astype(int)],
        ]  # fmt: skip
        for row, part in enumerate(parts):
            measures(look, row, part, rel=1e-12)


def test_statistics_at_full_resolution_where_the_screen_has_fewer_pixels(
    browser: Browser, shm_dir: Any
) -> None:
    image = np.random.default_rng(2).integers(0, 2**62, (1500, 2000), "i8")
    with (
        SHM("cam", image) as cam,
        looking(browser, "cam", ",tool:statistics,regions:box 1000 700 31 17") as look,
    ):
        # Middles of pixels that lie on the left and lower side are within.
        measures(look, 0, image[691:708, 984:1015], rel=1e-12)
        hover(look, image.shape, 700, 300)
        x, y = under(look)
        look.until(f"document.querySelector('.pointer').textContent === 'x {x}, y {y}: {image[y, x]}'")
        cam.set_data(image[::-1])
        look.until(f"document.querySelector('.pointer').textContent === 'x {x}, y {y}: {image[1499 - y, x]}'")
        look.press("x")
        cam.set_data(image)
        look.page.wait_for_timeout(100)
        # The frame that is seen, although the server has sent the next one.
        hover(look, image.shape, 900, 500)
        x, y = under(look)
        look.until(f"document.querySelector('.pointer').textContent === 'x {x}, y {y}: {image[1499 - y, x]}'")


def test_regions_are_drawn_saved_deleted_and_loaded(browser: Browser, shm_dir: Any, tmp_path: Path) -> None:
    image = np.arange(24 * 32, dtype="u2").reshape(24, 32)
    with SHM("cam", image), looking(browser, "cam") as look:
        look.press("b")
        drag(look, image.shape, (3, 4), (7, 9))
        look.press("i")
        drag(look, image.shape, (20, 10), (24, 10))
        measures(look, 0, image[4:10, 3:8])
        with look.page.expect_download() as caught:
            look.page.click("text=Save regions")
        saved = Path(caught.value.path()).read_text().splitlines()
        # The middle of the first pixel is (1, 1).
        assert saved[1:3] == ["image", "box(6,7.5,5,6,0)"]
        assert saved[3].startswith("circle(")
        assert [float(each) for each in saved[3][7:-1].split(",")] == pytest.approx([21, 11, 4], abs=0.1)
        look.press("Delete", "Delete")
        becomes(look.page.locator(".regions tr").count, 1)
        file = tmp_path / "some.reg"
        file.write_text(
            "# Region file format: DS9 version 4.1\nglobal color=green\n"
            "physical\nbox(6,7.5,5,6,0) # text={a}\n"
            "image;-circle 21 11 4.0\nline(2,3,9,3) # line=0 0\nbox(5,5,2,2,30)\nfk5\ncircle(1,2,3)\n"
        )
        with look.page.expect_file_chooser() as chooser:
            look.page.click("text=Load regions")
        chooser.value.set_files(file)
        look.until("document.querySelectorAll('.regions tr').length === 4")
        look.until("document.querySelector('.trouble').textContent.includes('2 regions were left out')")
        assert settings_of(look)["regions"] == "box 5.5 7 5 6;circle 20.5 10.5 4;line 1.5 2.5 8.5 2.5"
        measures(look, 2, image[2, 1:9])
        look.page.locator(".regions button", has_text="Delete").nth(1).click()
        becomes(lambda: settings_of(look)["regions"], "box 5.5 7 5 6;line 1.5 2.5 8.5 2.5")
        look.page.locator(".regions button", has_text="Limits").first.click()
        look.until("location.hash.includes('high')")
        found = settings_of(look)
        assert [float(found["low"]), float(found["high"])] == [image[4, 3], image[9, 7]]


def radial(image: np.ndarray, within: np.ndarray, edge: np.ndarray) -> tuple[float, float, float, float]:
    """Return centroid, full width at half maximum and background of a star."""
    y, x = np.nonzero(within)
    values = image[within].astype("f8")
    background = np.median(image[edge].astype("f8"))
    cx, cy = (np.average(each, weights=values - background) for each in (x, y))
    distance = np.hypot(x - cx, y - cy)
    rings = distance.astype(int)
    numbers = np.bincount(rings)
    kept = numbers > 0
    radii = np.bincount(rings, distance)[kept] / numbers[kept]
    means = np.bincount(rings, values)[kept] / numbers[kept]
    half = (means[0] + background) / 2
    k = int(np.argmax(means <= half))
    step = (means[k - 1] - half) / (means[k - 1] - means[k])
    return cx, cy, 2 * (radii[k - 1] + step * (radii[k] - radii[k - 1])), float(background)


@pytest.mark.parametrize("region", ["box 31 21 24 24", "circle 31 21 12"])
def test_radial_profile(browser: Browser, shm_dir: Any, region: str) -> None:
    y, x = np.mgrid[:48, :64]
    star = 5000 * np.exp(-((x - 30.3) ** 2 + (y - 20.8) ** 2) / (2 * 2.5**2))
    image = (star + np.random.default_rng(3).normal(100, 3, star.shape)).astype("f4")
    right, up = x + 0.5 - 31, y + 0.5 - 21
    inside = 12 - (np.hypot(right, up) if "circle" in region else np.maximum(abs(right), abs(up)))
    with SHM("cam", image), looking(browser, "cam", f",tool:profile,regions:{region}") as look:
        look.until("Boolean(document.querySelector('.report').dataset.fwhm)")
        told = look.page.evaluate("({...document.querySelector('.report').dataset})")
        found = [float(told[name]) for name in ("x", "y", "fwhm", "background")]
        assert found == pytest.approx(radial(image, inside >= 0, (inside >= 0) & (inside < 1)), rel=1e-9)
        assert found[:2] == pytest.approx([30.3, 20.8], abs=0.1)
        assert found[2] == pytest.approx(2.3548 * 2.5, rel=0.05)


def test_row_and_column_under_the_pointer(browser: Browser, shm_dir: Any) -> None:
    image = np.random.default_rng(4).integers(0, 9999, (1600, 1200), "u2")
    with SHM("cam", image), looking(browser, "cam", ",tool:cuts") as look:
        hover(look, image.shape, 400, 900)
        x, y = under(look)
        both = np.concatenate([image[y], image[:, x]])
        look.until(
            "document.querySelector('.report').textContent.includes("
            f"'row {y} (blue) and column {x} (orange), from {both.min()} to {both.max()}')"
        )


def test_saturated_pixels_have_their_colour(browser: Browser, shm_dir: Any) -> None:
    image = np.array([[0, 100], [254, 255]], "u1")
    with SHM("cam", image), looking(browser, "cam") as look:
        full = place(look.size(), (2, 2), 1, 1)
        look.turns(full, [255, 255, 255])
        look.press("S")
        look.turns(full, [255, 60, 20])
        look.turns(place(look.size(), (2, 2), 0, 1), [254, 254, 254])


def test_levels_are_dragged_in_the_histogram(browser: Browser, shm_dir: Any) -> None:
    image = np.arange(1001, dtype="u2").reshape(7, 143)
    with SHM("cam", image), looking(browser, "cam", ",tool:histogram,low:0,high:1000") as look:
        look.until("!document.querySelector('.plot').hidden")
        box = look.page.locator(".plot").bounding_box()
        for start, end in ((0.1, 0.25), (0.9, 0.6)):
            look.page.mouse.move(box["x"] + start * box["width"], box["y"] + 20)
            look.page.mouse.down()
            look.page.mouse.move(box["x"] + end * box["width"], box["y"] + 30)
            look.page.mouse.up()
        levels = lambda found: [float(found["low"]), float(found["high"])]  # noqa: E731
        becomes(lambda: levels(settings_of(look)), pytest.approx([250, 600], abs=1))


def test_phase_of_complex_numbers(browser: Browser, shm_dir: Any) -> None:
    phases = np.linspace(-3, 3, 12).reshape(3, 4)
    image = ((1 + np.arange(12).reshape(3, 4)) * np.exp(1j * phases)).astype("c16")
    settings = ",tool:statistics,regions:box 2 1.5 4 3"
    with SHM("cam", image), looking(browser, "cam", settings) as look:
        measures(look, 0, np.abs(image))
        look.press("P")
        measures(look, 0, phases, abs=1e-12)
        places = [place(look.size(), (3, 4), x, y) for y in range(3) for x in range(4)]
        levels = np.rint(255 * (phases + 3) / 6).ravel()
        becomes(lambda: [each[0] for each in look.pixels(places)], pytest.approx(levels, abs=1))
        hover(look, (3, 4), 1, 2)
        told = f"phase {float(f'{phases[2, 1]:.6g}')}"
        look.until(f"document.querySelector('.pointer').textContent.endsWith('{told}')")
