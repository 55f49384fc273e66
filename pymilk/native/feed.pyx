"""`FrameFeed`: slots that one thread fills while another publishes them; protocol/pacing.pxd states when."""

cimport cython
from libc.stdint cimport int32_t, uint64_t

from .._isio cimport __ATOMIC_ACQUIRE, __ATOMIC_RELEASE, atomic_load_u64, atomic_store_i32, atomic_store_u64
from ..protocol.flags cimport raise_flag
from .checks cimport index_argument, whole_number
from .memory cimport anonymous

import math

import numpy as np

from ..arguments import check_count, shown
from ..errors import StreamArgumentError

__all__ = ["FrameFeed"]


@cython.final
@cython.auto_pickle(False)
cdef class FrameFeed:
    """Slots through which one thread hands frames to another, which publishes each at its time.

    The first thread fills slots in turn and hands them over. The second is in `Stream.publish_feed`, without the GIL
    from the first frame to the last.

    Parameters
    ----------
    depth : int
        Slots, 1 or more.
    shape : tuple of int
        Of a frame of the stream.
    dtype : dtype
    slack_ns : int or None
        None publishes each frame as soon as it is handed over. Otherwise each waits for its time, and a frame that
        is late by more than this many nanoseconds delays the frames after it: there are no bursts.

    Attributes
    ----------
    slots : ndarray, shape (depth, *shape)
        To fill; pre-faulted.
    steps : ndarray of int64, shape (depth,)
        To fill: for each slot, nanoseconds from the frame before to this one. The first one has no effect.
    dues, moments : ndarray of int64, shape (depth,)
        When the frame of each slot was due, and when it was published: nanoseconds of CLOCK_MONOTONIC. Valid
        for frames that are done, until their slots are handed over again.

    Raises
    ------
    StreamArgumentError, CaptureMemoryError
    """

    def __cinit__(self, depth, shape, dtype, slack_ns):
        count = check_count("depth", depth, below=2**62)
        slack = 0 if slack_ns is None else whole_number(slack_ns)
        if slack is None or not 0 <= slack < 2**62:
            raise StreamArgumentError(
                f"slack_ns is nanoseconds, 0 or more, or None, not {shown(slack_ns)}",
                argument="slack_ns", found=slack_ns)
        kind = np.dtype(dtype)
        nbytes = math.prod(shape) * kind.itemsize
        self._frames = anonymous(
            count * nbytes, f"a feed of {count} frames {tuple(shape)} of {kind}", "take a smaller depth")
        self.slots = np.ndarray((count, *shape), kind, self._frames.region(0, count * nbytes, True))
        self._steps = self.steps = np.zeros(count, np.int64)
        self._dues = self.dues = np.zeros(count, np.int64)
        self._moments = self.moments = np.zeros(count, np.int64)
        self.feed.slots = self._frames.base
        self.feed.depth = count
        self.feed.nbytes = nbytes
        self.feed.dues = &self._dues[0]
        self.feed.moments = &self._moments[0]
        if slack_ns is not None:
            self.feed.steps = &self._steps[0]
            self.feed.slack = slack_ns

    @property
    def ready(self):
        """Frames handed over so far."""
        return self.feed.ready

    @property
    def done(self):
        """Frames published so far."""
        return atomic_load_u64(&self.feed.done, __ATOMIC_ACQUIRE)

    @property
    def starved(self):
        """Of these, the ones that were not handed over yet when they were due."""
        return self.feed.starved

    def hand_over(self, count):
        """Hand over the next `count` slots, after those that are ready.

        Raises
        ------
        StreamArgumentError
            Not so many slots are free.
        """
        room = self.feed.depth - (self.feed.ready - self.done)
        added = index_argument("", "count", count, room + 1)
        # Release: pairs with the acquire load in publish_feed, which then sees the frames.
        atomic_store_u64(&self.feed.ready, self.feed.ready + <uint64_t>added, __ATOMIC_RELEASE)

    def end(self):
        """Announce that no frame follows those that are ready: publishing ends with them."""
        # Release: pairs with the acquire load in publish_feed, which then sees all that was handed over.
        atomic_store_i32(<int32_t *>&self.feed.over, 1, __ATOMIC_RELEASE)

    def stop(self):
        """End the publishing now, within 50 ms."""
        raise_flag(&self.feed.stopped, 1)
