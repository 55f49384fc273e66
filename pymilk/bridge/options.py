"""What a receiver may ask for: done once at the sender for all that ask the same."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace

import numpy as np

from .._types import Array
from ..arguments import bad_argument, check_choice, check_count, check_number, shown
from ..errors import StreamArgumentError, StreamUnsupportedError
from ..native.formats import dtype_name
from ..streams.binning import shrunk
from .codecs import CODECS
from .disbelief import json_in
from .keys import FRAMES

__all__ = ["Options"]

#: Most frames of the past, and largest block of pixels that become one.
_HISTORY_MOST, _BIN_MOST = 1 << 20, 1024

_NAMES = ("rate", "newest", "bin", "compress")


@dataclass(frozen=True)
class Options:
    """What a receiver asks its sender for.

    Parameters
    ----------
    rate : float, optional
        Most frames per second, the newest each time; the others are left out.
    newest : bool, default False
        The newest frame whenever the sender can send one; the others are left out. `rate` says so as well.
    bin : int, default 1
        Send the mean of blocks of so many rows by so many columns. Of frames with three axes the last two
        are binned, of those with one that one. float16 becomes float32.
    compress : {"blosc2"}, optional
        Compress pixels on the way, without loss.
    history : int, default 0
        Begin with so many frames of the past, those of them that the ring of the source still has; a stream
        without a ring in shared memory has none. Not together with `rate` or `newest`.

    Raises
    ------
    StreamArgumentError
    """

    rate: float | None = None
    newest: bool = False
    bin: int = 1
    compress: str | None = None
    history: int = 0

    def __post_init__(self) -> None:
        if self.rate is not None:
            wanted = "a number of frames per second, 0.001 to 1e6"
            object.__setattr__(self, "rate", check_number("rate", self.rate, wanted, 0.001, 1e6))
        if not isinstance(self.newest, bool):
            raise bad_argument("newest", self.newest, "True or False")
        check_count("bin", self.bin, "rows and columns", below=_BIN_MOST + 1)
        if self.compress is not None:
            check_choice("compress", self.compress, tuple(CODECS.values()))
        check_count("history", self.history, least=0, below=_HISTORY_MOST + 1)
        if self.history and self.decimated:
            raise StreamArgumentError(
                "history goes with every frame, not with rate or newest: what they leave out would be the "
                "past of what they keep",
                argument="history",
                found=self.history,
            )

    @classmethod
    def read(cls, question: bytes) -> Options:
        """Check what a receiver asks for.

        Raises
        ------
        StreamArgumentError
            It is not known here, or not valid.
        """
        given = json_in(question)
        if not isinstance(given, dict):
            raise bad_argument("options", question[:60], "an object in JSON")
        unknown = sorted(name for name in given if name not in _NAMES)
        if unknown:
            raise StreamArgumentError(
                f"{shown(', '.join(unknown), 60)} is not known here; this pymilk knows {', '.join(_NAMES)}",
                argument="options",
                found=unknown,
            )
        return cls(**given)

    @property
    def decimated(self) -> bool:
        """Whether frames are left out on purpose."""
        return self.newest or self.rate is not None

    @property
    def special(self) -> bool:
        """Whether frames are others than those of the stream."""
        return self.decimated or self.bin > 1 or self.compress is not None

    @property
    def line(self) -> Options:
        """What concerns the sending of frames, in one way for all who ask the same."""
        return replace(self, newest=self.decimated, history=0)

    @property
    def question(self) -> bytes:
        """How a sender is asked."""
        asked = {name: value for name, value in asdict(self.line).items() if name in _NAMES}
        return json.dumps({name: value for name, value in asked.items() if value != _PLAIN[name]}).encode()

    @property
    def last(self) -> str:
        """Last part of the key of the frames."""
        return ",".join([FRAMES, *self._words()])

    def _words(self) -> list[str]:
        found = asdict(self.line)
        given = [name for name in sorted(_NAMES) if found[name] != _PLAIN[name]]
        return [name if found[name] is True else f"{name}={found[name]}" for name in given]

    def __str__(self) -> str:
        return ", ".join(self._words())

    def kind_of(
        self, shape: tuple[int, ...], dtype: np.dtype[np.generic]
    ) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
        """Return shape and dtype of frames of a stream, as they are sent.

        Raises
        ------
        StreamUnsupportedError
            Events have no mean.
        """
        if self.bin > 1 and dtype.names:
            raise StreamUnsupportedError(f"bin: events ({dtype_name(dtype)}) have no mean; receive them all")
        made = self.made_of(np.zeros((1, *(min(size, self.bin) for size in shape)), dtype))
        binned = 1 if len(shape) == 1 else 2
        small = tuple(math.ceil(size / self.bin) for size in shape[-binned:])
        return (*shape[:-binned], *small), made.dtype

    def made_of(self, frames: Array) -> Array:
        """Return frames as they are sent: a copy in C order; the frames themselves if nothing is to be done.

        Parameters
        ----------
        frames : ndarray, shape (n, ...), C order
        """
        if self.bin == 1:
            return frames
        if frames.ndim == 2:
            return shrunk(frames, 1, self.bin, "mean")[0]
        rows, columns = frames.shape[-2:]
        small = (math.ceil(rows / self.bin), math.ceil(columns / self.bin))
        if rows % self.bin == 0:  # then no block crosses the end of an image
            made = shrunk(frames.reshape(-1, columns), self.bin, self.bin, "mean")[0]
        else:
            planes = frames.reshape(-1, rows, columns)
            made = np.stack([shrunk(plane, self.bin, self.bin, "mean")[0] for plane in planes])
        return made.reshape(*frames.shape[:-2], *small)


#: What a receiver gets that asks for nothing.
_PLAIN = asdict(Options())
