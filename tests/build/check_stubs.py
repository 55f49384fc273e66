"""Compare the stub of each compiled module with the module: ``python tests/build/check_stubs.py``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def modules() -> list[str]:
    """Return the compiled modules that have a stub."""
    stubs = [path for path in (ROOT / "pymilk").rglob("*.pyi") if path.with_suffix(".pyx").exists()]
    return [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in sorted(stubs)]


if __name__ == "__main__":
    command = [sys.executable, "-m", "mypy.stubtest", "--concise", "--ignore-disjoint-bases"]
    command += ["--allowlist", "tests/build/stubs-allowed.txt", "--ignore-unused-allowlist"]
    sys.exit(subprocess.run([*command, *modules()], cwd=ROOT, check=False).returncode)
