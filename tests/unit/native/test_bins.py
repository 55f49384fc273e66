"""Images made smaller: blocks of pixels that become one, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from pymilk.native.bins import bin_complex, bin_image

WHOLE = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8"]


def numbers(shape: tuple[int, int], dtype: str) -> np.ndarray:
    random = np.random.default_rng(7)
    if np.dtype(dtype).kind == "f":
        return random.normal(size=shape).astype(dtype)
    bounds = np.iinfo(dtype)
    # Sums of 64-bit integers are those of float64: small ones are exact there, too.
    low, high = (max(bounds.min, -(2**40)), min(bounds.max, 2**40))
    return random.integers(low, high, shape, dtype, endpoint=True)


def blocks(image: np.ndarray, down: int, across: int) -> list[list[np.ndarray]]:
    return [
        [image[y : y + down, x : x + across] for x in range(0, image.shape[1], across)]
        for y in range(0, image.shape[0], down)
    ]


def binned(image: np.ndarray, down: int, across: int, how: str) -> np.ndarray:
    out = np.empty((-(-image.shape[0] // down), -(-image.shape[1] // across)), image.dtype)
    (bin_complex if image.dtype.kind == "c" else bin_image)(image, out, down, across, how)
    return out


def rounded(block: np.ndarray) -> int:
    """Return the mean of integers, halves away from zero, by whole numbers alone."""
    total, count = int(block.astype(object).sum()), block.size
    sign = 1 if total >= 0 else -1
    return sign * ((2 * abs(total) + count) // (2 * count))


@pytest.mark.parametrize("dtype", WHOLE)
@pytest.mark.parametrize(("down", "across"), [(1, 1), (2, 2), (4, 3), (1, 4), (3, 5), (7, 1), (20, 30)])
def test_whole_numbers(dtype: str, down: int, across: int) -> None:
    image = numbers((13, 17), dtype)
    parts = blocks(image, down, across)
    assert binned(image, down, across, "max").tolist() == [[int(part.max()) for part in row] for row in parts]
    assert binned(image, down, across, "mean").tolist() == [[rounded(part) for part in row] for row in parts]
    assert binned(image, down, across, "first").tolist() == image[::down, ::across].tolist()


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_floating_point(dtype: str) -> None:
    image = numbers((9, 12), dtype)
    image[0, :3] = np.nan
    image[4, 4] = np.inf
    image[6:9, 8:12] = np.nan
    parts = blocks(image, 3, 4)
    wanted = np.array([[np.nan if np.isnan(part).all() else np.nanmean(part, dtype="f8") for part in row]
                       for row in parts])  # fmt: skip
    assert np.allclose(binned(image, 3, 4, "mean"), wanted.astype(dtype), equal_nan=True)
    most = [[np.nan if np.isnan(part).all() else np.nanmax(part) for part in row] for row in parts]
    assert np.array_equal(binned(image, 3, 4, "max"), np.array(most, dtype), equal_nan=True)


@pytest.mark.parametrize("dtype", ["c8", "c16"])
@pytest.mark.parametrize(("down", "across"), [(1, 1), (2, 2), (4, 3), (20, 30)])
def test_complex_numbers(dtype: str, down: int, across: int) -> None:
    """Of amplitudes that are the same the first one; of two phases the mean has the smaller amplitude."""
    random = np.random.default_rng(3)
    image = (random.integers(-9, 9, (13, 17)) + 1j * random.integers(-9, 9, (13, 17))).astype(dtype)
    image = image.T[::-1]  # any strides
    parts = blocks(image, down, across)
    most = [[part.flat[np.argmax(np.abs(part))] for part in row] for row in parts]
    assert np.array_equal(binned(image, down, across, "max"), np.array(most))
    means = np.array([[part.mean(dtype="c16") for part in row] for row in parts])
    assert np.allclose(binned(image, down, across, "mean"), means, rtol=1e-6 if dtype == "c8" else 1e-14)
    assert np.array_equal(binned(image, down, across, "first"), image[::down, ::across])


@pytest.mark.parametrize("dtype", ["c8", "c16"])
def test_complex_numbers_that_are_not_finite(dtype: str) -> None:
    gone = complex(np.nan, 1)
    rows = [[gone, 3 - 4j, 4, complex(0, np.nan)], [gone, gone, gone, gone], [np.inf, 1, 2j, 0]]
    image = np.array(rows, dtype)
    found = binned(image, 1, 4, "max")[:, 0]
    assert found[0] == 3 - 4j
    assert np.isnan(found[1].real)
    assert np.isnan(found[1].imag)
    assert found[2] == np.inf
    means = binned(image[:2], 1, 4, "mean")[:, 0]
    assert means[0] == 3.5 - 2j
    assert np.isnan(means[1])
    # Amplitudes whose squares are no doubles.
    tiny, huge = (1e-200, 1e200) if dtype == "c16" else (1e-30, 1e30)
    image = np.array([[tiny, 3j * tiny, -2 * tiny, 0], [huge, 3j * huge, -2 * huge, 0]], dtype)
    assert np.array_equal(binned(image, 1, 4, "max")[:, 0], image[:, 1])


def test_infinities() -> None:
    image = np.array([[-np.inf, -np.inf, np.inf, -np.inf, 1, -np.inf]], "f4")
    assert binned(image, 1, 2, "max").tolist() == [[-np.inf, np.inf, 1]]
    assert np.array_equal(binned(image, 1, 2, "mean"), [[-np.inf, np.nan, -np.inf]], equal_nan=True)


@pytest.mark.parametrize("dtype", ["u1", "i2", "u4"])
def test_blocks_of_very_many_pixels(dtype: str) -> None:
    image = numbers((200, 300), dtype)  # in blocks of 30 000 and of 40 000
    for across in (150, 200):
        (parts,) = blocks(image, 200, across)
        assert binned(image, 200, across, "mean").tolist() == [[rounded(part) for part in parts]]
        assert binned(image, 200, across, "max").tolist() == [[int(part.max()) for part in parts]]


def test_halves_are_rounded_away_from_zero_for_every_sum() -> None:
    sums = np.arange(4 * 256)
    image = np.stack([sums // 4 + (sums % 4 > place) for place in range(4)], axis=1)
    wanted = [(2 * total + 4) // 8 for total in sums.tolist()]
    assert binned(image.astype("u2"), 1, 4, "mean")[:, 0].tolist() == wanted
    assert (-binned(-image.astype("i2"), 1, 4, "mean")[:, 0]).tolist() == wanted


@pytest.mark.parametrize("dtype", ["u8", "i8", "u4", "i1"])
def test_means_of_the_largest_numbers(dtype: str) -> None:
    bounds = np.iinfo(dtype)
    for value in (bounds.max, bounds.min):
        assert binned(np.full((4, 4), value, dtype), 2, 2, "mean").tolist() == [[value] * 2] * 2


def test_any_strides_and_read_only() -> None:
    image = numbers((12, 16), "u2")
    view = image[::-1, ::2].T
    view.setflags(write=False)
    assert np.array_equal(binned(view, 2, 3, "max"), binned(np.ascontiguousarray(view), 2, 3, "max"))


@pytest.mark.parametrize(
    ("shape", "down", "across", "how"),
    [((2, 2), 2, 2, "sum"), ((3, 2), 2, 2, "mean"), ((2, 2), 0, 2, "mean")],
)
def test_what_does_not_fit_is_refused(shape: tuple[int, int], down: int, across: int, how: str) -> None:
    out = np.zeros(shape, "u2")
    with pytest.raises(ValueError, match=r"how is|do not make"):
        bin_image(np.ones((4, 4), "u2"), out, down, across, how)
    assert not out.any()
