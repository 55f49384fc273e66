"""The metadata of a stream as a dict of plain values."""

from __future__ import annotations

from typing import Any

from .._core import Stream

__all__ = ["metadata_of"]


def metadata_of(stream: Stream) -> dict[str, Any]:
    """Read the metadata of a stream.

    Parameters
    ----------
    stream : Stream

    Returns
    -------
    dict
        ``size`` is in the order of the file, fastest axis first. Times are integer nanoseconds of CLOCK_TAI.

    Raises
    ------
    StreamDamagedError, StreamClosedError
    """
    axes = (*stream.size, 0, 0)
    found = {
        "version": stream.version,
        "imname": stream.stored_name,
        "naxis": stream.naxis,
        "size": stream.size,
        "x": axes[0],
        "y": axes[1],
        "z": axes[2],
        "nel": stream.nelement,
        "atype": stream.datatype,
        "imtype": stream.imagetype,
        "crtime_ns": stream.creation_time_ns,
        "latime_ns": stream.last_access_time_ns,
        "atime_ns": stream.acquisition_time_ns,
        "wtime_ns": stream.write_time_ns,
        "crPID": stream.creator_pid,
        "owPID": stream.owner_pid,
        "shared": stream.shared,
        "inode": stream.inode,
        "loc": stream.location,
        "status": stream.status,
        "flag": stream.flag,
        "logflag": stream.logflag,
        "sem": stream.nbsem,
        "nbproctrace": stream.nbproctrace,
        "cnt0": stream.counter,
        "cnt1": stream.cnt1,
        "cnt2": stream.cnt2,
        "write": stream.write,
        "nbkw": stream.nbkw,
        "cbsize": stream.cb_size,
        "cbindex": stream.cb_index,
        "cbcycle": stream.cb_cycle,
    }
    stream.check_whole()
    return found
