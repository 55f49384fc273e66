"""`Alone`: what one thread at a time does with an object."""

from ..errors import StreamBusyError

cimport cython

__all__ = ["Alone"]


@cython.final
@cython.auto_pickle(False)
cdef class Alone:
    """A block that one thread at a time is in; another one, or a signal handler within it, gets an error.

    It is compiled because Python handles no signal within its methods: an exception of a handler comes before the
    block is entered or within it, and never leaves it taken.

    Parameters
    ----------
    what : str
        The object, as the message begins.
    stream : str
        For the error.
    """

    cdef str what
    cdef str stream
    cdef bint busy

    def __init__(self, str what not None, str stream not None):
        self.what = what
        self.stream = stream

    def __enter__(self):
        # The GIL is held from the test to the store.
        if self.busy:
            raise StreamBusyError(
                f"{self.what}: another thread is reading from it, or another task, or a signal handler interrupted a "
                "read; give each one of its own", stream=self.stream)
        self.busy = True

    def __exit__(self, kind, error, trace):
        self.busy = False

    def locked(self):
        """Tell whether a thread is in the block."""
        return self.busy

    def after_fork(self):
        """Forget a thread of the parent that is in the block."""
        self.busy = False
