"""Methods of `SHM` for existing scripts. New code has a better call for each of them."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar, overload

import numpy as np

from .._core import Stream, checked_timeout
from .._types import Array
from ..capture import Capture
from ..errors import StreamChangedError, StreamNotFoundError, StreamNotReadyError
from ..system.notices import printable
from .making import wait_limit

if TYPE_CHECKING:
    from ..image import Image, Image_md

__all__ = ["FamiliarCalls"]

_Self = TypeVar("_Self", bound="FamiliarCalls")

#: Shortest sleep of a polling loop, in seconds.
_SHORTEST = 0.001

#: Text of errors for calls that no longer exist; scripts may look for it.
_GIVEN_UP = "This function is not used in pyMilk. Use get_keywords/set_keywords."


class FamiliarCalls:
    """Base class of `SHM`: the older interface, built on the newer one."""

    FNAME: str
    _image: Image | None = None
    #: Whether this object created its stream.
    _made = False

    if TYPE_CHECKING:  # SHM has these

        def _live(self) -> Stream: ...

        def live_source(self) -> tuple[Stream, object]: ...  # noqa: D102

        def capture(self, frames: int, *, timeout: float | None = 5.0) -> Capture: ...  # noqa: D102

        def _semaphore(self) -> tuple[Stream, int]: ...

        def _again(self: _Self) -> _Self: ...

    # -- the wrapper's object ------------------------------------------------------------------

    @property
    def IMAGE(self) -> Image:
        """The stream as an `Image` of ImageStreamIOWrap, over the same memory.

        It follows a replaced stream at each of its calls, as this object does, and so does its metadata: with
        another shape or dtype they raise `StreamChangedError`. Closing one closes both.
        """
        stream = self._live()
        if self._image is None:
            from ..image import image_over  # here, because few scripts need it

            self._image = image_over(stream, self._made, owner=self)
        return self._image

    @property
    def md(self) -> Image_md:
        """The metadata, each field read at each access: see `pymilk.image.Image_md`.

        A replaced stream is followed, as by `IMAGE`.
        """
        return self.IMAGE.md

    def _attempt_autorelink_if_needed(self) -> None:
        """Follow a replaced stream to its new file; scripts call it although its name is private."""
        self._live()

    def print_meta_data(self) -> None:
        """Print the metadata, a field a line."""
        print(printable(str(self.md)))

    def read_meta_data(self, verbose: bool = True) -> None:
        """Print the metadata if `verbose`; `mtdata` and `md` are always up to date."""
        if verbose:
            self.print_meta_data()

    # -- frames --------------------------------------------------------------------------------

    @overload
    def multi_recv_data(
        self,
        n: int,
        output_as_cube: Literal[False] = ...,
        monitorCount: bool = ...,
        timeout: float | None = ...,
    ) -> list[Array]: ...
    @overload
    def multi_recv_data(
        self,
        n: int,
        output_as_cube: int = ...,
        monitorCount: bool = ...,
        timeout: float | None = ...,
        *,
        outputFormat: int | None = ...,
    ) -> Any: ...
    def multi_recv_data(
        self,
        n: int,
        output_as_cube: int = False,
        monitorCount: bool = False,
        timeout: float | None = 5.0,
        *,
        outputFormat: int | None = None,
    ) -> Any:
        """Receive the next n frames.

        Parameters
        ----------
        n : int
        output_as_cube : bool, default False
            True gives one array (n, *shape), False a list of n frames.
        monitorCount : bool, default False
            Print what was irregular: see Notes.
        timeout : float or None, default 5.0
            Longest wait for one frame, in seconds; None, 0 and negative wait without limit.
        outputFormat : int, optional
            Older spelling of `output_as_cube`: 0 is a list, anything else a cube.

        Returns
        -------
        list of ndarray, or ndarray

        Raises
        ------
        StreamTimeoutError
            A frame did not come in time; its `capture` holds those that did.

        Notes
        -----
        The lines that `monitorCount` prints count, for all frames but the first, how often the counter
        of the stream moved by less and by more than 1. "Less" is always 0 here: no frame is delivered
        twice. "post" repeats "pre", since both are read as one; "pre/post diff" counts torn frames.
        `capture` returns the same as numbers.
        """
        cube = bool(output_as_cube if outputFormat is None else outputFormat)
        result = self.capture(n, timeout=wait_limit(timeout, self.FNAME))
        if monitorCount:
            skips = int(np.count_nonzero(result.info["lost"][1:]))
            torn = result.report.torn
            print("Irregularities:")
            print(f"0 < 1, {skips} > 1 deltas in pre.")
            print(f"0 < 1, {skips} > 1 deltas in post.")
            print(f"0 < 1, {torn} > 1 pre/post diff.")
        return result.frames if cube else list(result.frames)

    # -- semaphores ----------------------------------------------------------------------------

    def _checkGrabSemaphore(self) -> None:
        """Take a semaphore if none is held yet; scripts call it although its name is private."""
        self._semaphore()

    def non_block_wait_semaphore(self, sleep_time: float = 0.1, *, sleeptime: float | None = None) -> int:
        """Wait, without a time limit, for a post of this object's semaphore that comes after the call.

        Parameters
        ----------
        sleep_time : float, default 0.1
            Seconds between two looks for a new file of the stream. The GIL is released; a post ends the
            wait at once.
        sleeptime : float, optional
            Older spelling of `sleep_time`.

        Returns
        -------
        int
            0.

        Raises
        ------
        StreamChangedError
            The stream was recreated with another shape or dtype; one that fits is followed.
        SemaphoresExhaustedError
            Every semaphore belongs to another reader.
        StreamReadOnlyError, StreamClosedError, StreamArgumentError
        """
        stream, index = self._semaphore()
        stream.flush(index)
        self._wait_for_post(None, sleep_time if sleeptime is None else sleeptime)
        return 0

    def _wait_for_post(self, timeout: float | None, interval: float = 0.1) -> bool:
        """Wait for a post of this object's semaphore, and take it.

        Every `interval` seconds it looks for a new file. The first frame there was posted before this
        object took a semaphore of that file: it is counted as a post.
        """
        limit = checked_timeout(timeout, self.FNAME)
        deadline = None if limit is None else time.monotonic() + limit
        first, index = stream, index = self._semaphore()
        while True:
            rest = interval if deadline is None else max(0.0, min(interval, deadline - time.monotonic()))
            posted = stream.sem_wait(index, rest)
            # A writer that replaces a stream posts its semaphores once more, so that readers look for it.
            if posted and not stream.replaced():
                return True
            with contextlib.suppress(StreamNotFoundError, StreamNotReadyError):  # the new file is on its way
                stream, index = self._semaphore()
            if stream is not first and stream.counter:
                stream.flush(index)
                return True
            if deadline is not None and time.monotonic() >= deadline:
                return False
            if interval < _SHORTEST:
                time.sleep(_SHORTEST)  # 0 asks for no rest at all; leave the core to the others

    def non_block_wait_until_recreation(
        self: _Self, sleep_time: float = 0.1, *, sleeptime: float | None = None
    ) -> _Self:
        """Wait for a post, as `non_block_wait_semaphore`, and accept any new file of the stream.

        Returns
        -------
        SHM
            This object, or, if the stream was recreated with another shape or dtype, a new object with the
            same orientation.
        """
        try:
            self.non_block_wait_semaphore(sleep_time, sleeptime=sleeptime)
        except StreamChangedError:
            return self._again()
        return self

    # -- not supported -------------------------------------------------------------------------

    def rename_img(self, newname: str) -> NoReturn:
        """Raise NotImplementedError: the name of a stream is that of its file."""
        raise NotImplementedError(
            f"a stream cannot be renamed to {newname!r}: other programs find it by its file; create another"
        )

    def select_dtype(self) -> NoReturn:
        """Raise NotImplementedError: the pixel type is `nptype`."""
        raise NotImplementedError("the pixel type of a stream is fixed; it is in nptype")

    def select_atype(self) -> NoReturn:
        """Raise NotImplementedError: the code of the pixel type is in `mtdata`."""
        raise NotImplementedError("the pixel type of a stream is fixed; its code is mtdata['atype']")

    def create_keyword_list(self) -> NoReturn:
        """Raise DeprecationWarning: see `get_keywords`."""
        raise DeprecationWarning(_GIVEN_UP)

    def read_keywords(self) -> NoReturn:
        """Raise DeprecationWarning: see `get_keywords`."""
        raise DeprecationWarning(_GIVEN_UP)

    def write_keywords(self) -> NoReturn:
        """Raise DeprecationWarning: see `set_keywords`."""
        raise DeprecationWarning(_GIVEN_UP)

    def read_keyword(self, ii: int) -> NoReturn:
        """Raise DeprecationWarning: see `get_keyword`."""
        raise DeprecationWarning(_GIVEN_UP)

    def write_keyword(self, ii: int) -> NoReturn:
        """Raise DeprecationWarning: see `update_keyword`."""
        raise DeprecationWarning(_GIVEN_UP)
