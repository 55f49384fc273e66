"""Facts about the machine that matter for timing: cores, governors, load, kernel."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np

from .._version import __version__

__all__ = ["CpuClock", "describe", "file_system_of", "huge_pages", "in_memory"]

#: File systems that have no disk behind them.
_IN_MEMORY = ("tmpfs", "ramfs", "hugetlbfs", "devtmpfs")


def _read(path: str) -> str:
    """Return the content of a file of the kernel, or "" where there is none."""
    try:
        return Path(path).read_text(errors="replace").strip()
    except OSError:
        return ""


def _cpu_model() -> str:
    for line in _read("/proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model"):
            return value.strip()
    return platform.machine()


def _governors() -> list[str]:
    """Return the frequency governors of the cores that this process may use, each once."""
    found = (
        _read(f"/sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor")
        for core in os.sched_getaffinity(0)
    )
    return sorted({governor for governor in found if governor})


def _cores(ranges: str) -> list[int]:
    """Read a list of cores as the kernel writes it: ``1-3,6``."""
    cores: list[int] = []
    for part in filter(None, ranges.split(",")):
        first, _, last = part.partition("-")
        cores += range(int(first), int(last or first) + 1)
    return cores


def _rt_taken_us() -> int:
    """Return how much of each second the kernel keeps from real-time processes, in microseconds."""
    runtime = int(_read("/proc/sys/kernel/sched_rt_runtime_us") or -1)
    period = int(_read("/proc/sys/kernel/sched_rt_period_us") or 0)
    return round((period - runtime) / period * 1e6) if runtime >= 0 and period > 0 else 0


def file_system_of(folder: str | os.PathLike[str]) -> str:
    """Return the type of the file system that a directory is on, for example ``tmpfs``; "" if not known."""
    device = os.stat(folder).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in _read("/proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        if before.split()[2] == wanted:
            return after.split()[0]
    return ""


def in_memory(file_system: str) -> bool:
    """Return whether a file system of this type has no disk behind it."""
    return file_system in _IN_MEMORY


def huge_pages() -> str:
    """Return when the kernel gives huge pages to processes: always, madvise, never; "" if not known."""
    return _read("/sys/kernel/mm/transparent_hugepage/enabled").partition("[")[2].partition("]")[0]


def describe() -> dict[str, Any]:
    """Return the facts that belong beside every measured time, ready for JSON.

    Returns
    -------
    dict
        ``cpu``, ``cores`` (those that this process may use), ``isolated`` (those that the scheduler leaves
        alone), ``governors``, ``rt_taken_us`` (microseconds of each second that the kernel keeps from
        real-time processes), ``virtual`` (whether this is a virtual machine), ``load`` (of the last minute),
        ``kernel``, and the versions of ``python``, ``numpy`` and ``pymilk``.
    """
    return {
        "cpu": _cpu_model(),
        "cores": sorted(os.sched_getaffinity(0)),
        "isolated": _cores(_read("/sys/devices/system/cpu/isolated")),
        "governors": _governors(),
        "rt_taken_us": _rt_taken_us(),
        "virtual": " hypervisor" in _read("/proc/cpuinfo"),
        "load": round(os.getloadavg()[0], 2),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "pymilk": __version__,
    }


class CpuClock:
    """Processor time of the whole machine since this object was made.

    The kernel counts it in ticks of a few milliseconds: not for spans below some tenths of a second.
    """

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._then = self._now()

    @staticmethod
    def _now() -> tuple[float, float]:
        """Return the seconds that all cores together were busy, and that a hypervisor took."""
        fields = _read("/proc/stat").partition("\n")[0].split()[1:]
        ticks = [int(field) for field in fields] + [0] * 8
        user, nice, system, _idle, _wait, irq, softirq, stolen = ticks[:8]
        per_second = os.sysconf("SC_CLK_TCK")
        return (user + nice + system + irq + softirq) / per_second, stolen / per_second

    def shares(self) -> tuple[float, float]:
        """Return how many cores were busy on average, and how many a hypervisor took away."""
        took = max(time.monotonic() - self._began, 1e-9)
        busy, stolen = (now - then for now, then in zip(self._now(), self._then, strict=True))
        return busy / took, stolen / took
