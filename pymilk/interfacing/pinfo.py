"""`ProcessInfo` under the path that existing scripts import it from."""

from ..parameters.familiar import processinfo, timespec

__all__ = ["ProcessInfo", "processinfo", "timespec"]


class ProcessInfo(processinfo):
    """Process information of this process (`create`) or of another one (`link`)."""
