"""Drive many damaged files, each told by a number: what the targets of this folder do when they are run."""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["LIMIT", "drive_many", "run"]

#: Longest time that one file may take, in seconds.
LIMIT = 2.0


def drive_many(one: Callable[[Path, random.Random], None], description: str | None) -> None:
    """Do something in a folder of streams as often as asked for, or as often as there is time for."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    end = time.monotonic() + options.seconds
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        os.environ["MILK_SHM_DIR"] = folder
        done = 0
        while done < options.count and time.monotonic() < end:
            try:
                one(Path(folder), random.Random(f"{options.seed} {done}"))
            except BaseException:
                print(f"seed {options.seed}, number {done}", flush=True)
                raise
            done += 1
    print(f"{done} files")


def run(
    file: str,
    damaged: Callable[[random.Random], bytes],
    drive: Callable[[Path, bytes], None],
    description: str | None,
) -> None:
    """Drive damaged files of one name."""
    drive_many(lambda folder, choice: drive(folder / file, damaged(choice)), description)
