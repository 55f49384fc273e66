"""Machines as network namespaces, with cables between them. Needs root and ``ip``."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

#: Begins code of a second process that shall run on the machine argv[1]; the other arguments follow.
ON_MACHINE = """
import ctypes, os, sys
descriptor = os.open(f"/run/netns/{sys.argv.pop(1)}", os.O_RDONLY)
assert ctypes.CDLL(None, use_errno=True).setns(descriptor, 0x40000000) == 0, os.strerror(ctypes.get_errno())
os.close(descriptor)
"""


def _ip(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False, timeout=60)


class Network:
    """Makes machines and cables; all are gone at the end of the with block.

    The test is skipped where that is not allowed.
    """

    def __init__(self) -> None:
        self._machines: list[str] = []
        self._cables = 0

    def __enter__(self) -> Network:
        if os.getuid() != 0 or shutil.which("ip") is None:
            pytest.skip("needs root and ip, to make network namespaces")
        return self

    def machine(self, name: str) -> str:
        """Make a machine; returns the name of its namespace."""
        made = f"pymilk{os.getpid()}{name}"
        done = _ip("netns", "add", made)
        if done.returncode:
            self.__exit__()
            pytest.skip(f"no network namespaces can be made here: {done.stderr.strip()}")
        self._machines.append(made)
        self._must("-n", made, "link", "set", "lo", "up")
        return made

    def cable(self, one: str, other: str) -> tuple[str, str, str]:
        """Connect two machines; returns the address of each, and the name of the first one's end."""
        self._cables += 1
        number = self._cables
        ends = f"pm{number}a", f"pm{number}b"
        made = _ip(
            "link", "add", ends[0], "netns", one, "type", "veth", "peer", "name", ends[1], "netns", other
        )
        if made.returncode:
            self.__exit__()
            pytest.skip(f"no cable can be laid here: {made.stderr.strip()}")
        addresses = f"10.77.{number}.1", f"10.77.{number}.2"
        for machine, end, address in zip((one, other), ends, addresses, strict=True):
            self._must("-n", machine, "address", "add", f"{address}/24", "dev", end)
            self._must("-n", machine, "link", "set", end, "up")
        return *addresses, ends[0]

    def pull(self, machine: str, end: str) -> None:
        self._must("-n", machine, "link", "set", end, "down")

    def plug(self, machine: str, end: str) -> None:
        self._must("-n", machine, "link", "set", end, "up")

    def _must(self, *arguments: str) -> None:
        done = _ip(*arguments)
        assert done.returncode == 0, done.stderr

    def __exit__(self, *exc: object) -> None:
        machines, self._machines = self._machines, []
        for each in machines:
            _ip("netns", "delete", each)
