"""Streams of one axis, and arrows from keywords."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from pymilk import SHM
from support.browsing import Browser, looking, place
from support.measuring import hover, measures
from support.waiting import becomes


def test_spectra(browser: Browser, shm_dir: Any) -> None:
    samples = np.random.default_rng(7).normal(5, 1, 1000)
    wave = (0.25 * np.sin(2 * math.pi * 150 * np.arange(1000) / 2000) + 3).astype("f4")
    with SHM("tel", wave), looking(browser, "tel", ",tool:spectrum,fs:2000") as look:
        look.until(
            "document.querySelector('.report').textContent.includes("
            "'spectrum from 0 to 1000 Hz, peak at 150 Hz with amplitude 0.25;')"
        )
        for length in (1, 2, 3, 64, 255, 1000):
            found = look.page.evaluate(
                "(values) => import('./fft.js').then(({ transform, amplitudes }) =>"
                " [...transform(values), amplitudes(values)].map((each) => [...each]))",
                samples[:length].tolist(),
            )
            correct = np.fft.fft(samples[:length])
            assert np.array(found[0]) + 1j * np.array(found[1]) == pytest.approx(correct, abs=1e-9)
            peaks = np.abs(np.fft.rfft(samples[:length])) / length
            peaks[1 : (length + 1) // 2] *= 2
            assert found[2] == pytest.approx(peaks, abs=1e-12)


def test_a_curve_of_100_000_points(browser: Browser, shm_dir: Any) -> None:
    values = np.zeros(100_000, "f4")
    values[77_777] = 5
    with SHM("tel", values), looking(browser, "tel") as look:
        look.until("document.querySelector('.report').textContent === 'frame 1; 100000 values; from 0 to 5'")
        # The one point that is not 0 is seen: column 398 of 512.
        painted = look.page.evaluate(
            "(({ data }) => [...Array(512).keys()].filter((column) => data[4 * (200 * 512 + column) + 3]))"
            "(document.querySelector('.plot').getContext('2d').getImageData(0, 0, 512, 400))"
        )
        assert painted
        assert set(painted) <= {397, 398, 399}


def test_history_of_one_value(browser: Browser, shm_dir: Any) -> None:
    with SHM("tel", np.zeros(3, "f8")) as tel, looking(browser, "tel", ",tool:history,element:1") as look:
        for k in range(2, 12):
            tel.set_data(np.array([100.0, k * k, -100.0]))
            look.shows(k)
        look.until(
            "document.querySelector('.report').textContent === "
            "'value 1 of the last 11 frames shown, now 121; from 0 to 121'"
        )
        look.page.locator(".plot").press("t")
        look.until("document.querySelector('.report').textContent.startsWith('frame 11; spectrum from 0 to')")
        kept = look.page.evaluate(
            "import('./history.js').then(({ History }) => { const history = new History();"
            " for (let k = 0; k < 310_000; k++) history.add(k, k + 1);"
            " const { values } = history; return [values.length, values[0], values[99_999]]; })"
        )
        assert kept == [100_000, 210_000, 309_999]


@pytest.mark.parametrize("kind", ["mask", "numbers"])
def test_commands_on_the_grid_of_actuators(browser: Browser, shm_dir: Any, kind: str) -> None:
    y, x = np.mgrid[:6, :6]
    there = np.hypot(x - 2.5, y - 2.5) < 3
    commands = np.random.default_rng(8).normal(0, 0.1, there.sum()).astype("f4")
    numbers = np.where(there, np.cumsum(there).reshape(6, 6) - 1, -1)
    if kind == "numbers":
        numbers = numbers[:, ::-1].T
    grid = np.where(numbers < 0, np.nan, commands[numbers])
    chart = there.astype("u1") if kind == "mask" else numbers.astype("i4")
    settings = ",map:map,tool:statistics,regions:box 3 3 6 6"
    with (
        SHM("dm", commands) as dm, SHM("map", chart), SHM("wrong", np.full((2, 2), 99, "i2")),
        looking(browser, "dm", settings) as look,
    ):  # fmt: skip
        measures(look, 0, grid)  # once the map has come
        becomes(lambda: look.pixel(*place(look.size(), (6, 6), 0, 0)), [190, 0, 190])
        for spot in ((2, 0), (5, 3)):
            hover(look, (6, 6), *spot)
            look.until(f"{look.of('.pointer')}.textContent.startsWith('x {spot[0]}, y {spot[1]}: ')")
            value = float(look.page.inner_text(".pointer").split(": ")[1])
            assert np.float32(value) == np.float32(grid[spot[1], spot[0]])
        dm.set_data(-commands)
        look.until("document.querySelector('.regions').dataset.frame === '2'")
        measures(look, 0, -grid)
        look.page.fill("input[title^='Stream with the map']", "wrong")
        look.page.keyboard.press("Tab")
        look.until(
            "document.querySelector('.trouble').textContent.includes("
            f"'no map: the map has 100 actuators, the stream {commands.size} values')"
        )


def arrows(look: Any) -> dict[str, list[float]]:
    """Return the directions of the arrows, right and up."""
    look.until("document.querySelectorAll('.overlay [data-to]').length === 2")
    return look.page.evaluate(
        "Object.fromEntries([...document.querySelectorAll('.overlay [data-to]')].map((each) =>"
        " [each.dataset.to,"
        " [each.x2.baseVal.value - each.x1.baseVal.value, each.y1.baseVal.value - each.y2.baseVal.value]"
        ".map((length) => length / 36)]))"
    )


def test_north_and_east(browser: Browser, shm_dir: Any) -> None:
    angle = math.radians(30)
    turned = {"north": [math.sin(angle), math.cos(angle)], "east": [-math.cos(angle), math.sin(angle)]}
    scale = 1e-5
    # A camera with east to the left, its upper side 30 degrees from north through east.
    matrix = {
        "CD1_1": -scale * math.cos(angle), "CD1_2": scale * math.sin(angle),
        "CD2_1": scale * math.sin(angle), "CD2_2": scale * math.cos(angle),
    }  # fmt: skip
    with SHM("cam", np.zeros((4, 4), "u1"), nbkw=8) as cam, looking(browser, "cam", ",north:1") as look:
        look.until("document.querySelector('.trouble').textContent.includes('no north')")
        cam.set_keywords({"PA": 30.0})
        look.press("n", "n")
        wanted = {name: pytest.approx(each, abs=1e-6) for name, each in turned.items()}
        becomes(lambda: arrows(look), wanted)
        cam.set_keywords({"PA": 0.0, **matrix})
        look.press("n", "n", "o")
        # The matrix counts, and the view is turned by 90 degrees.
        right = {name: pytest.approx([each[1], -each[0]], abs=1e-6) for name, each in turned.items()}
        becomes(lambda: arrows(look), right)
