"""A video that was cut within its last frame does not have it: neither missing nor damaged without a word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pymilk.errors import StreamFormatError
from pymilk.playback.footage import open_footage
from support.foreign_files import write_video

av = pytest.importorskip("av", reason="extra video")

FRAMES = list(np.random.default_rng(4).integers(0, 256, (6, 64, 64), np.uint8))


def count(path: Path) -> int:
    return sum(len(frames) for frames, _ in open_footage(path).pieces(8))


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("f.avi", "ffv1", "gray"),
        ("m.avi", "mjpeg", "yuvj420p"),
        ("f.mkv", "ffv1", "gray"),
        ("v.webm", "libvpx", "yuv420p"),
        ("p.mpg", "mpeg2video", "yuv420p"),
    ],
)
def test_cut_within_the_last_frame(name: str, codec: str, pixels: str, tmp_path: Path) -> None:
    path, short = tmp_path / name, tmp_path / f"cut_{name}"
    write_video(path, FRAMES, pixels, codec)
    assert count(path) == 6
    with av.open(str(path)) as container:
        last = [packet for packet in container.demux(video=0) if packet.size][-1]
        middle = last.pos + last.size // 2
    short.write_bytes(path.read_bytes()[:middle])
    with pytest.raises(StreamFormatError, match=f"cut_{name[0]}"):
        count(short)
