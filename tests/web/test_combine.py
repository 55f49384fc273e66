"""Dark, mean, difference and blinking: the values that are seen are compared with NumPy."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk import SHM
from support.browsing import Browser, Look, looking
from support.measuring import hover, measures
from support.pages import views
from support.waiting import until

BOX = ",tool:statistics,regions:box 5 4 6 4"
#: The pixels of that box.
PART = np.s_[2:6, 2:8]
SHAPE = (10, 12)


def images(count: int) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 60000, (count, *SHAPE), "u2")


def agrees(look: Look, image: np.ndarray, counter: int, said: str = "") -> None:
    """Wait until the table is of a frame, and of what is said, and compare it."""
    look.until(
        f"document.querySelector('.regions').dataset.frame === '{counter}' && "
        f"document.querySelector('.report').textContent.includes('{said}')"
    )
    measures(look, 0, image[PART], rel=1e-6)


def choose_file(look: Look, button: str, file: Path) -> None:
    with look.page.expect_file_chooser() as chooser:
        look.page.click(f"text={button}")
    chooser.value.set_files(file)


def test_dark_of_averaged_frames(browser: Browser, shm_dir: Any) -> None:
    frames = images(5)
    with SHM("cam", frames[0]) as cam, looking(browser, "cam", BOX) as look:
        look.page.click("summary")
        look.page.fill("input[title='Frames of the dark']", "3")
        look.page.click("text=Take")
        for k in (1, 2, 3):
            cam.set_data(frames[k])
            look.shows(k + 1)
        look.until("document.querySelector('.report').textContent.includes('minus dark of 3 frames')")
        cam.set_data(frames[4])
        agrees(look, frames[4] - frames[:3].mean(0), 5, "minus dark")
        seen = frames[4] - frames[:3].mean(0)
        look.press("a")
        look.until(f"location.hash.includes('low%3A{round(float(seen.min()))}')")
        look.press("D")
        look.until("!document.querySelector('.report').textContent.includes('minus')")
        agrees(look, frames[4], 5)


def test_dark_of_another_stream_and_at_full_resolution(browser: Browser, shm_dir: Any) -> None:
    dark, image = np.random.default_rng(6).integers(0, 999, (2, 900, 1300), "u2")
    with (
        SHM("cam", image), SHM("dark", dark),
        looking(browser, "cam", ",tool:statistics,regions:box 700 400 300 200") as look,
    ):  # fmt: skip
        look.page.click("summary")
        look.until("[...document.querySelectorAll('option')].some((each) => each.value === 'dark')")
        look.choose("Dark from a stream", "dark")
        look.until("document.querySelector('.report').textContent.includes('minus dark of dark')")
        measures(look, 0, image[300:500, 550:850].astype("f8") - dark[300:500, 550:850])


def test_dark_of_a_file(browser: Browser, shm_dir: Any, tmp_path: Path) -> None:
    pytest.importorskip("astropy")
    dark, image, other = images(3)
    with SHM("dark", dark) as shm:
        shm.save_as_fits(str(tmp_path / "dark.fits"))
    np.save(tmp_path / "dark.npy", dark)
    np.save(tmp_path / "big.npy", dark.astype(">f8"))
    np.save(tmp_path / "cube.npy", np.stack([dark, other]))
    wide = dark.astype("f8")
    with SHM("cam", image), looking(browser, "cam", BOX) as look:
        look.page.click("summary")
        for name, taken in (
            ("dark.fits", wide), ("cube.npy", (wide + other) / 2), ("dark.npy", wide), ("big.npy", wide)
        ):  # fmt: skip
            choose_file(look, "From a file", tmp_path / name)
            agrees(look, image - taken, 1, f"minus dark of {name}")


BAD_FILES = {
    b"\x93NUMPY": "ends before its header", b"\x93NUMPY\1\0\x90\1": "ends before its header",
    b"": "neither NPY nor FITS", b"SIMPLE  =                    T" + b" " * 50: "no end",
    b"shape": "3x4 pixels, the image has 10x12",
}  # fmt: skip


def test_files_that_are_no_dark(browser: Browser, shm_dir: Any, tmp_path: Path) -> None:
    with SHM("cam", images(1)[0]), looking(browser, "cam") as look:
        look.page.click("summary")
        for number, (content, why) in enumerate(BAD_FILES.items()):
            file = tmp_path / f"{number}.npy"
            if content == b"shape":
                np.save(file, np.zeros((3, 4)))
            else:
                file.write_bytes(content)
            choose_file(look, "From a file", file)
            look.until(f"document.querySelector('.trouble').textContent.includes('dark from {number}.npy')")
            assert why in look.page.inner_text(".trouble")


def test_mean_of_the_last_frames(browser: Browser, shm_dir: Any) -> None:
    frames = images(4)
    with SHM("cam", frames[0]) as cam, looking(browser, "cam", f"{BOX},mean:3") as look:
        for k in (1, 2, 3):
            cam.set_data(frames[k])
            look.shows(k + 1)
        agrees(look, frames[1:].mean(0), 4, "mean of 3")
        hover(look, SHAPE, 3, 4)
        look.until("document.querySelector('.pointer').textContent.startsWith('x 3, y 4: ')")
        value = float(look.page.inner_text(".pointer").split(": ")[1].split(" ")[0])
        assert value == pytest.approx(frames[1:, 4, 3].mean(), rel=1e-5)


def test_a_frame_that_comes_once_more_is_once_in_the_mean(browser: Browser, shm_dir: Any) -> None:
    """As one does for a window of another size."""
    frames = images(3)
    with SHM("cam", frames[0]) as cam, looking(browser, "cam", f"{BOX},mean:3") as look:
        cam.set_data(frames[1])
        agrees(look, frames[:2].mean(0), 2, "mean of 2")
        before = views(look.server)[0]["nbytes"]
        look.page.set_viewport_size({"width": 1200, "height": 600})  # what is asked for has other sizes
        try:
            until(lambda: views(look.server)[0]["nbytes"] > before)
            cam.set_data(frames[2])
            agrees(look, frames.mean(0), 3, "mean of 3")
        finally:
            look.page.set_viewport_size({"width": 1200, "height": 800})


def test_difference_of_two_streams_and_to_a_held_frame(browser: Browser, shm_dir: Any) -> None:
    frames = images(3)
    with (
        SHM("cam", frames[0]) as cam, SHM("other", frames[1].astype("f4")) as other,
        looking(browser, "cam", f"{BOX},second:other") as look,
    ):  # fmt: skip
        agrees(look, frames[0] - frames[1].astype("f8"), 1, "minus other (frame 1)")
        other.set_data(frames[2].astype("f4"))
        agrees(look, frames[0] - frames[2].astype("f8"), 1, "minus other (frame 2)")
        look.press("d", "d")
        cam.set_data(frames[1])
        agrees(look, frames[1] - frames[0].astype("f8"), 2, "minus held frame (frame 1)")


def test_blinking_with_another_stream(browser: Browser, shm_dir: Any) -> None:
    dim, bright = np.zeros((2, 2), "u2"), np.full((2, 2), 1000, "f4")
    with (
        SHM("cam", dim), SHM("other", bright),
        looking(browser, "cam", ",second:other,act:blink,low:0,high:1000") as look,
    ):  # fmt: skip
        middle = [each / 2 for each in look.size()]
        seen: set[tuple[bool, int]] = set()
        deadline = time.monotonic() + 30
        while not seen >= {(True, 255), (False, 0)}:
            assert time.monotonic() < deadline, seen
            seen.add(("seen: other (frame 1)" in look.page.inner_text(".trouble"), look.pixel(*middle)[0]))
