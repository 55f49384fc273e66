"""`VideoBuffer`: a ring of images with times, for one writer and one consumer."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from .locking import Locked
from .segments import Segment, array_of, roll_back
from .underscored import VideoNames
from .words import (
    BufferOverflow,
    BufferUnderflow,
    InfoWords,
    as_time,
    int_to_uint_dtype,
    need_segment,
    positive,
)

__all__ = ["VideoBuffer"]

#: Read index, write index, count of unread images.
_INDEX = struct.Struct(">3Q")

#: Images of this size and more are copied without the GIL.
_RELEASE_NBYTES = 512 * 1024

_Locks = dict[str, Any]


class VideoBuffer(VideoNames, Locked):
    """Images and their times in shared memory, in the order of writing.

    Parameters
    ----------
    create : bool
        Make the segments; False attaches, and takes all numbers from there.
    locks : dict
        Has the lock under ``"VideoBuffer"``.
    n_stacks, n_images : int
        Stacks, and images of each.
    width, height : int
        Of an image, pixels.
    bits : int
        Of a pixel: 8, 16, 32 or 64, unsigned.

    Attributes
    ----------
    n_total_images : int
        Capacity: n_stacks * n_images.
    image_shape, stack_shape : tuple of int
        (width, height), and (width, height, n_images).
    dtype : type
        Scalar type of a pixel.
    itemsize, image_size, stack_size, buffer_size : int
        Bytes.

    Raises
    ------
    KeyError
        There is no lock of that name.
    ValueError
        A number is missing or impossible; or segments are smaller than they say. Nothing stays behind.
    FileExistsError, FileNotFoundError
        There are segments of that name already, or not yet.
    """

    name = "VideoBuffer"

    def __init__(
        self,
        *,
        create: bool,
        locks: _Locks,
        n_stacks: int | None = None,
        width: int | None = None,
        height: int | None = None,
        n_images: int | None = None,
        bits: int | None = None,
    ) -> None:
        self.lock = locks[self.name]
        if create:
            numbers = n_stacks, width, height, n_images, bits
            if None in numbers:
                raise ValueError(
                    "VideoBuffer misconfigured: create needs n_stacks, width, height, n_images and bits"
                )
            names = ("n_stacks", "width", "height", "n_images", "bits")
            self._size_up(*map(positive, names, numbers))
            self._make(*map(int, numbers))  # type: ignore[arg-type]
        else:
            self._attach()
        self._buf, self._ts_buf, self._idx_buf = self._shm.memory, self._ts_shm.memory, self._idx_shm.memory
        width, height = self.image_shape
        shape = (self.n_total_images, height, width)
        self._images = array_of(self._shm, self.dtype, shape)
        self._flat = array_of(self._shm, np.uint8, (self.n_total_images, self.image_size))
        self._times = array_of(self._ts_shm, np.float64, (self.n_total_images,))
        # Single times are stored and read in half the time of an array.
        self._each_time = self._ts_buf[: 8 * self.n_total_images].cast("d")

    def _size_up(self, n_stacks: int, width: int, height: int, n_images: int, bits: int) -> None:
        """Set what follows from the numbers."""
        self.dtype = int_to_uint_dtype(bits)
        self.itemsize = bits // 8
        self.n_stacks, self.n_images = n_stacks, n_images
        self.n_total_images = n_stacks * n_images
        self.image_shape, self.stack_shape = (width, height), (width, height, n_images)
        self.image_size = width * height * self.itemsize
        self.stack_size = self.image_size * n_images
        self.buffer_size = self.stack_size * n_stacks

    def _make(self, *numbers: int) -> None:
        with roll_back() as made:
            for suffix, nbytes in (
                (" Info", 40),
                ("", self.buffer_size),
                (" Timestamps", 8 * self.n_total_images),
                (" Index", 24),
            ):
                made.append(Segment(self.name + suffix, nbytes))
            self._shm_info, self._shm, self._ts_shm, self._idx_shm = made
            InfoWords(self._shm_info, 5).put(*numbers)

    def _attach(self) -> None:
        self._shm_info = Segment(f"{self.name} Info")
        n_stacks, width, height, n_images, bits = InfoWords(self._shm_info, 5).all()
        self._size_up(n_stacks, width, height, n_images, bits)
        self._shm, self._ts_shm, self._idx_shm = (
            Segment(self.name + suffix) for suffix in ("", " Timestamps", " Index")
        )
        need_segment(self._shm, self.buffer_size)
        need_segment(self._ts_shm, 8 * self.n_total_images)
        need_segment(self._idx_shm, 24)

    # -- how full it is

    def _count(self) -> int:
        with self._guard:
            return _INDEX.unpack_from(self._idx_buf)[2]  # type: ignore[no-any-return]

    def get_level(self) -> float:
        """Return which part of the capacity is unread."""
        return self._count() / self.n_total_images

    def get_unread_stack_count(self) -> int:
        """Return how many whole stacks are unread."""
        return self._count() // self.n_images

    def check_read_stack(self) -> bool:
        """Tell whether a whole stack is unread."""
        return self._count() >= self.n_images

    # -- reading

    def peak_image(self) -> tuple[int, memoryview]:
        """Return the newest image without the lock: it may be half written.

        Returns
        -------
        index : int
            Of its slot; the last slot where nothing was written yet.
        pixels : memoryview
            Its bytes in shared memory, flat and writable.
        """
        newest = (_INDEX.unpack_from(self._idx_buf)[1] - 1) % self.n_total_images
        return newest, self._buf[newest * self.image_size : (newest + 1) * self.image_size]

    def peak_stack(self) -> tuple[npt.NDArray[Any], npt.NDArray[np.float64]]:
        """Return the next unread stack, and leave it unread.

        Returns
        -------
        stack : ndarray, shape `stack_shape`
        times : ndarray of float64, shape (n_images,)
            Both are writable views of shared memory.

        Raises
        ------
        BufferUnderflow
            No whole stack is unread.
        TypeError
            The stack goes over the end of the ring, which happens after `read_image` only: then there is no
            view of it. Read single images up to the end.
        """
        with self._guard:
            read, _, count = _INDEX.unpack_from(self._idx_buf)
        if count < self.n_images:
            raise BufferUnderflow(f"{count} images are unread; a stack has {self.n_images}")
        end = read + self.n_images
        if end > self.n_total_images:
            raise TypeError(
                f"the next stack begins at image {read} of {self.n_total_images} and goes over the end of "
                "the ring, so that it has no view; call read_image until the end"
            )
        return self._images[read:end].T, self._times[read:end]

    def read_stack_no_return(self) -> None:
        """Take a stack away unread: its slots may be written again.

        Raises
        ------
        BufferUnderflow
            No whole stack is unread.
        """
        with self._guard:
            read, write, count = _INDEX.unpack_from(self._idx_buf)
            if count < self.n_images:
                raise BufferUnderflow(f"{count} images are unread; a stack has {self.n_images}")
            read = (read + self.n_images) % self.n_total_images
            _INDEX.pack_into(self._idx_buf, 0, read, write, count - self.n_images)

    def read_image(self) -> tuple[npt.NDArray[Any], np.float64]:
        """Take the next unread image.

        Returns
        -------
        image : ndarray, shape `image_shape`
            A writable view of its slot, which may be written again from now on.
        time : numpy.float64

        Raises
        ------
        BufferUnderflow
            None is unread.
        """
        with self._guard:
            read, write, count = _INDEX.unpack_from(self._idx_buf)
            if count == 0:
                raise BufferUnderflow("no image is unread")
            image, time = self._images[read].T, self._times[read]
            _INDEX.pack_into(self._idx_buf, 0, (read + 1) % self.n_total_images, write, count - 1)
        return image, time

    # -- writing

    def write_timestamp(self, timestamp: float) -> None:
        """Write a time with the pixels that are in its slot.

        Raises
        ------
        BufferOverflow
            All slots are unread.
        struct.error
            It is no number. Nothing was written.
        """
        if type(timestamp) is not float:
            timestamp = as_time(timestamp)
        with self._guard:
            read, write, count = _INDEX.unpack_from(self._idx_buf)
            if count >= self.n_total_images:
                raise self._full()
            self._each_time[write] = timestamp
            _INDEX.pack_into(self._idx_buf, 0, read, (write + 1) % self.n_total_images, count + 1)

    def write_image_and_timestamp(self, image: Any, timestamp: float) -> None:
        """Write an image and its time.

        Parameters
        ----------
        image : bytes-like
            1-D, `image_size` unsigned bytes: the pixels in C order of (height, width).
        timestamp : float
            Seconds.

        Raises
        ------
        BufferOverflow
            All slots are unread.
        ValueError
            The image has another length, shape or type of item.
        TypeError
            It is not bytes-like.
        struct.error
            The time is no number.

        Notes
        -----
        Where an error is raised nothing was written. Images from 512 KiB are copied without the GIL.
        """
        if type(timestamp) is not float:
            timestamp = as_time(timestamp)
        size = self.image_size
        with self._guard:
            read, write, count = _INDEX.unpack_from(self._idx_buf)
            if count >= self.n_total_images:
                raise self._full()
            if size < _RELEASE_NBYTES:
                self._buf[write * size : write * size + size] = image
            else:
                self._copy_large(write, image)
            self._each_time[write] = timestamp
            _INDEX.pack_into(self._idx_buf, 0, read, (write + 1) % self.n_total_images, count + 1)

    def _copy_large(self, slot: int, image: Any) -> None:
        given = memoryview(image)
        if given.shape == (self.image_size,) and given.format == "B":
            np.copyto(self._flat[slot], given)
        else:  # raises what a small image would
            self._buf[slot * self.image_size : (slot + 1) * self.image_size] = given

    def _full(self) -> BufferOverflow:
        return BufferOverflow(f"all {self.n_total_images} images are unread")
