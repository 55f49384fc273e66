"""Plots by matplotlib, levels by zscale, and videos."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pymilk
from pymilk import SHM, load
from pymilk.errors import LibraryMissingError, StreamArgumentError, StreamError, StreamFormatError
from pymilk.view.levels import zscale
from support.recordings import images, recorded


@pytest.fixture
def plots() -> Iterator[Any]:
    """matplotlib without a screen."""
    matplotlib: Any = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    pyplot: Any = pytest.importorskip("matplotlib.pyplot")
    yield pyplot
    pyplot.close("all")


@pytest.fixture
def cam(make: Callable[..., SHM]) -> SHM:
    return make("cam", ((5, 7), np.uint16), ring=256)


# -- levels ------------------------------------------------------------------------------------------


def test_zscale_cuts_a_star_and_keeps_the_noise() -> None:
    random = np.random.default_rng(1)
    image = random.normal(100.0, 5.0, (200, 300))
    image[50:53, 60:63] = 1e6
    low, high = zscale(image) or (0.0, 0.0)
    assert 60 < low < 95
    assert 105 < high < 200


def test_zscale_of_a_ramp_is_all_of_it() -> None:
    assert zscale(np.arange(1000.0)) == (0.0, 999.0)
    assert zscale(np.arange(1000, dtype=np.uint16).reshape(8, 125)) == (0.0, 999.0)


@pytest.mark.parametrize(
    ("image", "wanted"),
    [
        (np.full((4, 4), 7.0), (7.0, 7.0)),
        (np.array([[1.0, 2.0]]), (1.0, 2.0)),
        (np.full((3, 3), np.nan), None),
        (np.array([3.0, np.nan, np.inf, 5.0]), (3.0, 5.0)),
        (np.array([0] * 990 + [5] * 10, np.uint8), (0.0, 5.0)),
    ],
)
def test_zscale_of_odd_images(image: np.ndarray, wanted: Any) -> None:
    assert zscale(image) == wanted


# -- plots -------------------------------------------------------------------------------------------


def test_plot_of_a_frame(plots: Any) -> None:
    frame = np.arange(35.0).reshape(5, 7)
    ax = pymilk.plot(frame, title="dark")
    [image] = ax.images
    assert image.origin == "lower"
    np.testing.assert_array_equal(image.get_array(), frame)
    assert image.get_clim() == (0.0, 34.0)
    assert ax.get_title() == "dark"
    assert ax.yaxis_inverted() is False or ax.get_ylim()[0] < ax.get_ylim()[1]
    other = pymilk.plot(frame, ax=plots.figure().gca(), levels=(3, 9), cmap="viridis")
    assert other.images[0].get_clim() == (3.0, 9.0)
    assert pymilk.plot(frame, levels="minmax").images[0].get_clim() == (0.0, 34.0)


def test_plot_of_a_stream_a_curve_and_complex_pixels(plots: Any, cam: SHM) -> None:
    cam.set_data(images(1)[0])
    np.testing.assert_array_equal(pymilk.plot(cam).images[0].get_array(), images(1)[0])
    [line] = pymilk.plot(np.arange(9.0)).lines
    np.testing.assert_array_equal(line.get_ydata(), np.arange(9.0))
    assert pymilk.plot(np.full((2, 2), 3 + 4j)).images[0].get_array().max() == 5.0


def test_plot_of_a_capture_and_a_recording(plots: Any, cam: SHM, tmp_path: Path) -> None:
    frames = images(6)
    capture = cam.capture(6, background=True)
    cam.set_many(frames)
    capture.join()
    picture, intervals = capture.plot(levels="minmax")
    np.testing.assert_array_equal(picture.images[0].get_array(), frames[5])
    assert picture.get_title() == "cam, frame 5"
    assert len(intervals.lines) == 1
    with recorded(cam, tmp_path / "x.npy", frames)[0] as recording:
        recording.info["lost"][4] = 3
        picture, intervals = recording.plot("mean")
        np.testing.assert_allclose(picture.images[0].get_array(), frames.mean(axis=0))
        assert intervals.get_title() == "3 lost in 1 gaps"
        assert intervals.lines[1].get_xdata()[0] == recording.info["cnt0"][4]
    np.save(tmp_path / "cube.npy", frames)
    with load(tmp_path / "cube.npy") as cube:
        [only] = cube.plot(0)
        np.testing.assert_array_equal(only.images[0].get_array(), frames[0])


def test_what_cannot_be_drawn(plots: Any) -> None:
    for frame in (np.zeros((2, 3, 4)), np.zeros(()), np.zeros((0, 3))):
        with pytest.raises(StreamFormatError, match="cannot be drawn"):
            pymilk.plot(frame)
    for levels in ("auto", (3, 2), 5, (1, 2, 3)):
        with pytest.raises(StreamArgumentError, match="levels"):
            pymilk.plot(np.zeros((2, 2)), levels=levels)  # type: ignore[arg-type]


def test_plot_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(LibraryMissingError, match="matplotlib"):
        pymilk.plot(np.zeros((2, 2)))


# -- videos ------------------------------------------------------------------------------------------


def decoded(path: Path) -> tuple[list[np.ndarray], float]:
    av: Any = pytest.importorskip("av")
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        return pictures, float(stream.average_rate)


def red(picture: np.ndarray) -> bool:
    """Whether the bar of a gap is there."""
    top = picture[1:4].reshape(-1, 3).mean(axis=0)
    return bool(top[0] > 180 and top[1] < 120)


@pytest.fixture
def film(cam: SHM, tmp_path: Path) -> Iterator[Any]:
    pytest.importorskip("av")
    pytest.importorskip("PIL")
    frames = np.zeros((10, 5, 7), np.uint16)
    frames[:, 0, 6] = 1000  # at the bottom, right
    with recorded(cam, tmp_path / "x.npy", frames)[0] as recording:
        recording.info["lost"][4] = 3
        yield recording


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi"])
def test_video(suffix: str, film: Any, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    path = tmp_path / f"x.{suffix}"
    assert film.to_video(path, rate=50, progress=lambda *step: told.append(step)) == 10
    assert told[-1] == (10, 10)
    pictures, rate = decoded(path)
    assert len(pictures) == 10
    assert rate == 50
    assert [red(picture) for picture in pictures] == [row == 4 for row in range(10)]
    height, width = 5 * 91, 7 * 91
    assert pictures[0][height - 40, width - 40].min() > 180  # the bright pixel
    assert pictures[0][40, 40].max() < 60
    assert pictures[0][height + 4 :].max() > 150  # text
    assert sorted(each.name for each in tmp_path.iterdir() if each.suffix == f".{suffix}") == [path.name]


def test_video_of_some_frames_marks_gaps_between_them(film: Any, tmp_path: Path) -> None:
    assert film.to_video(tmp_path / "x.mp4", step=3, levels=(0, 1000)) == 4
    assert [red(picture) for picture in decoded(tmp_path / "x.mp4")[0]] == [False, False, True, False]


def test_video_of_a_capture_of_curves(make: Callable[..., SHM], tmp_path: Path) -> None:
    pytest.importorskip("av")
    pytest.importorskip("PIL")
    shm = make("curve", ((97,), np.float32), ring=16)
    capture = shm.capture(3, background=True)
    shm.set_many(images(3, (97,), np.float32))
    capture.join()
    assert capture.to_video(tmp_path / "x.mp4") == 3
    assert len(decoded(tmp_path / "x.mp4")[0]) == 3


def test_videos_that_cannot_be_made(film: Any, tmp_path: Path) -> None:
    for options in ({"rate": 0}, {"rate": 1e6}, {"step": 0}, {"levels": (2, 1)}):
        with pytest.raises(StreamArgumentError):
            film.to_video(tmp_path / "x.mp4", **options)
    with pytest.raises(StreamArgumentError, match=r"x\.nothing.*suffix"):
        film.to_video(tmp_path / "x.nothing")
    with pytest.raises(StreamArgumentError, match=r"x\.gif.*suffix"):  # a format of other codecs
        film.to_video(tmp_path / "x.gif")
    with pytest.raises(StreamError, match="folder"):
        film.to_video(tmp_path / "folder/x.mp4")
    np.save(tmp_path / "cube.npy", images(2, (2, 3, 4)))
    with load(tmp_path / "cube.npy") as cube, pytest.raises(StreamFormatError, match="make no video"):
        cube.to_video(tmp_path / "x.mp4")
    assert not list(tmp_path.glob("*x.*mp4"))


def test_video_that_is_interrupted_leaves_nothing(film: Any, tmp_path: Path) -> None:
    def enough(done: int, pictures: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        film.to_video(tmp_path / "x.mp4", progress=enough)
    assert {each.suffix for each in tmp_path.iterdir()} <= {".npy", ".json"}
