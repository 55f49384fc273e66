"""Names with an underscore in front that the original's documents list, and that scripts and tests call.

They take no lock: who calls them holds it, or is alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .words import BufferOverflow, BufferUnderflow, as_time

__all__ = ["Indexed", "VideoNames"]

#: Where the numbers are in a segment of indices.
_READ, _WRITE, _COUNT = slice(0, 8), slice(8, 16), slice(16, 24)


class Indexed:
    """A ring whose read index, write index and count of what is unread are in a segment.

    Attributes
    ----------
    _idx_buf : memoryview
        Of that segment.
    """

    _idx_buf: memoryview

    @property
    def _turn(self) -> int:
        """What the read and write index are modulo of."""
        raise NotImplementedError

    def _get_read_index(self) -> int:
        return int.from_bytes(self._idx_buf[_READ], "big")

    def _get_write_index(self) -> int:
        return int.from_bytes(self._idx_buf[_WRITE], "big")

    def _get_count_index(self) -> int:
        return int.from_bytes(self._idx_buf[_COUNT], "big")

    def _set_read_index(self, value: int) -> None:
        self._idx_buf[_READ] = int(value % self._turn).to_bytes(8, "big")

    def _set_write_index(self, value: int) -> None:
        self._idx_buf[_WRITE] = int(value % self._turn).to_bytes(8, "big")

    def _set_count_index(self, value: int) -> None:
        self._idx_buf[_COUNT] = int(value).to_bytes(8, "big")


class VideoNames(Indexed):
    """The further ones of a VideoBuffer."""

    n_total_images: int
    _times: npt.NDArray[np.float64]

    @property
    def _turn(self) -> int:
        return self.n_total_images

    def _check_read(self, value: int) -> None:
        """Raise BufferUnderflow unless so many images are unread."""
        count = self._get_count_index()
        if value > count:
            raise BufferUnderflow(f"{count} images are unread, not {value}")

    def _check_write(self, value: int) -> None:
        """Raise BufferOverflow unless there is room for so many images."""
        room = self.n_total_images - self._get_count_index()
        if value > room:
            raise BufferOverflow(f"there is room for {room} images, not {value}")

    def _get_timestamps(self, read: int, length: int) -> npt.NDArray[np.float64]:
        """Return a view of the times from a slot on."""
        if not 0 <= read <= read + length <= self.n_total_images:
            raise TypeError(f"times {read} to {read + length} are not all in 0 to {self.n_total_images}")
        return self._times[read : read + length]

    def _set_timestamp(self, write: int, timestamp: Any) -> None:
        """Store the time of a slot."""
        if not 0 <= write < self.n_total_images:
            raise ValueError(f"slot {write} is not in 0 to {self.n_total_images - 1}")
        self._times[write] = as_time(timestamp)
