"""A GIF file that was cut between two of its pictures has not come to its end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pymilk.errors import StreamFormatError
from pymilk.playback.footage import open_footage

Image = pytest.importorskip("PIL.Image", reason="extra video")
pytest.importorskip("imageio", reason="extra video")


def played(path: Path) -> np.ndarray:
    footage = open_footage(path)
    return np.concatenate([np.array(frames) for frames, _ in footage.pieces(2)])


@pytest.mark.parametrize("mode", ["L", "P"])
def test_cut_anywhere(mode: str, tmp_path: Path) -> None:
    values = np.random.default_rng(3).integers(0, 256, (3, 4, 5), np.uint8)
    pictures = [Image.fromarray(each).convert(mode) for each in values]
    path, cut = tmp_path / "film.gif", tmp_path / "cut.gif"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], loop=0, comment=b"c" * 300)
    whole = played(path)
    assert whole.shape == (3, 4, 5)
    content = path.read_bytes()
    assert content[-1:] == b";"
    between = [at for at in range(len(content)) if content[at : at + 2] == b"!\xf9"]  # before each picture
    for length in (*range(0, len(content), 97), *between[1:], len(content) - 1):
        cut.write_bytes(content[:length])
        with pytest.raises(StreamFormatError):
            played(cut)
    cut.write_bytes(content + b"what others append")
    np.testing.assert_array_equal(played(cut), whole)


def test_message(tmp_path: Path) -> None:
    picture = Image.fromarray(np.zeros((4, 5), np.uint8))
    picture.save(tmp_path / "cut.gif")
    (tmp_path / "cut.gif").write_bytes((tmp_path / "cut.gif").read_bytes()[:-1])
    with pytest.raises(StreamFormatError, match="it ends early: there is no end mark behind its 1 pictures"):
        played(tmp_path / "cut.gif")
