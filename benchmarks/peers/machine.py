"""What the numbers were measured on."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

import numpy as np

import pymilk
from pymilk._core import build_info

from . import reference
from .measure import Cores


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _cpu_name() -> str:
    for line in _read("/proc/cpuinfo").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _caches() -> str:
    found = []
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        if _read(f"{index}/type") != "Instruction":
            found.append(f"L{_read(f'{index}/level')} {_read(f'{index}/size')}")
    return ", ".join(found) or "not known"


def _compiler() -> str:
    if reference.missing():
        return reference.missing()
    answer = subprocess.run([*reference.compiler().split(), "--version"], capture_output=True, text=True)
    return answer.stdout.splitlines()[0] if answer.stdout else reference.compiler()


def describe(cores: Cores) -> dict[str, str]:
    """Return the facts, by what they are called."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    virtual = "hypervisor" in _read("/proc/cpuinfo")
    return {
        "processor": _cpu_name() + (" (virtual machine)" if virtual else ""),
        "cores": f"{os.cpu_count()}; writer on {cores.writer}, reader on {cores.reader}",
        "caches of a core": _caches(),
        "memory": f"{memory:.0f} GiB",
        "kernel": f"Linux {platform.release()}",
        "frequency governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or "not known",
        "isolated cores": _read("/sys/devices/system/cpu/isolated") or "none",
        "load before the run": "{:.2f} {:.2f} {:.2f}".format(*os.getloadavg()),
        "Python, NumPy": f"{platform.python_version()}, {np.__version__}",
        "pymilk": f"{pymilk.__version__}, Cython {build_info().get('cython', 'not known')}",
        "C compiler": f"{_compiler()}, {' '.join(reference.FLAGS[:1])}",
    }
