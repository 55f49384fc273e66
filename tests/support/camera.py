"""A writer in a thread of this process."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from pymilk._core import Stream


class Camera:
    """A writer in the background: frame number k has k in every pixel (as far as the dtype goes)."""

    def __init__(self, name: str, interval: float = 0.001) -> None:
        self.stream = Stream.attach(name)
        self.interval = interval
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self.ended.wait(self.interval):
            value = np.array(self.stream.counter + 1).astype(self.stream.dtype)
            self.stream.publish(np.full(self.stream.shape, value))

    def __enter__(self) -> Camera:
        self.thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.ended.set()
        self.thread.join()
        self.stream.close()


def numbers(shape: tuple[int, ...], dtype: Any = np.float32) -> np.ndarray:
    return np.arange(1, np.prod(shape) + 1).reshape(shape).astype(dtype)
