"""Where a GIF file ends: Pillow takes one that was cut between two pictures for a whole one."""

from __future__ import annotations

from typing import BinaryIO

__all__ = ["check_gif"]

#: Bytes that begin an extension and a picture, and the byte that ends the file.
_EXTENSION, _PICTURE, _END = b"!", b",", b";"


def check_gif(path: str) -> None:
    """Raise ValueError if a file ends before its end mark.

    Parameters
    ----------
    path : str
        Of a GIF file whose pictures were read. Blocks of data are passed over, not read.
    """
    with open(path, "rb") as file:
        file.seek(10)
        _pass_colours(file)
        file.seek(2, 1)
        pictures = 0
        while (kind := file.read(1)) in (_EXTENSION, _PICTURE):
            if kind == _EXTENSION:
                file.seek(1, 1)
            else:
                file.seek(8, 1)
                _pass_colours(file)
                file.seek(1, 1)
                pictures += 1
            while length := file.read(1)[:1]:
                if length == b"\0":
                    break
                file.seek(length[0], 1)
        if kind != _END:
            raise ValueError(f"it ends early: there is no end mark behind its {pictures} pictures")


def _pass_colours(file: BinaryIO) -> None:
    """Read the byte that says how long a table of colours is, and pass over the table.

    That of the file stands behind two more bytes, which does not matter for where it ends.
    """
    told = file.read(1) or b"\0"
    if told[0] & 0x80:
        file.seek(3 << (told[0] & 7) + 1, 1)
