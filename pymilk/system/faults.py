"""What ends a thread although nobody foresaw it: in words, and as an error of pymilk."""

from __future__ import annotations

from ..errors import StreamError

__all__ = ["fault_of", "words_of_fault"]


def words_of_fault(error: BaseException) -> str:
    """Return what went wrong, in words: errors of pymilk and of the system have their own."""
    if isinstance(error, (StreamError, OSError)):
        return str(error)
    if isinstance(error, MemoryError):
        return "there is no memory for it"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def fault_of(error: BaseException, what: str, kind: type[StreamError] = StreamError) -> StreamError:
    """Return the error for those who wait for a thread that was ended by another one, which is its cause.

    Parameters
    ----------
    error : BaseException
        Errors of pymilk are returned as they are.
    what : str
        What the thread did, for the message.
    kind : type of StreamError
    """
    if isinstance(error, StreamError):
        return error
    made = kind(
        f"{what} was ended by a fault that pymilk did not foresee: {words_of_fault(error)}. Start it again; "
        "if it comes again, please report it"
    )
    made.__cause__ = error
    return made
