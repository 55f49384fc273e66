"""Static checks of everything compiled: each .pyx of the package, and the C headers that are ours.

    python tests/build/check_c.py        # in the checkout; needs Cython and gcc

Cython gives no hint, gcc has no warning about what Cython makes of a file, and no function in it is beyond
the limited API; gcc and clang have no warning about our headers, and cppcheck finds nothing in them. clang
and cppcheck are left out where they are not installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent

#: Our headers are included by their path below ``pymilk``.
INCLUDES = ["-I.", "-Ipymilk", "-Ipymilk/include"]

STRICT = ["-D_GNU_SOURCE", "-std=c11", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Wno-unused-function"]

#: Conversions are Cython's own affair.
GENERATED = ["-D_GNU_SOURCE", '-DPYMILK_HEADER="bundled"', '-DPYMILK_CYTHON="any"', "-O1", "-Wall", "-Wextra"]

#: The limited API, in which a wheel for later versions of Python is built. With buffers since 3.11.
LIMITED = [*GENERATED[:3], "-DPy_LIMITED_API=0x030b0000", "-Werror=implicit-function-declaration"]

CYTHONIZE = """
import sys
from Cython.Build import cythonize
cythonize(sys.argv[2:], build_dir=sys.argv[1], language_level=3, force=True, quiet=True)
"""

CPPCHECK = [
    *("-q", "--enable=warning,performance,portability", "--std=c11", "--platform=unix64"),
    *("--error-exitcode=1", "-D_GNU_SOURCE", "-D__BYTE_ORDER__=1234", "-D__ORDER_LITTLE_ENDIAN__=1234"),
    *("-D__GLIBC__=2", "-D__SSE2__", "-D__x86_64__", "-D__GLIBC_PREREQ(a,b)=1"),
]


def said(*command: object) -> str:
    """Run a command in the checkout; return what it has to say if it failed or said anything."""
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    words_of_it = (done.stdout + done.stderr).strip()
    if done.returncode or words_of_it:
        return f"{' '.join(words)} ended with {done.returncode}:\n{words_of_it}\n"
    return ""


def make_c(modules: list[Path], folder: Path) -> str:
    """Have Cython make C of all modules; return its hints. In one process: what they include is read once."""
    names = [str(module.relative_to(ROOT)) for module in modules]
    return said(sys.executable, "-c", CYTHONIZE, folder, *names)


def check_module(source: Path, folder: Path) -> str:
    """Return what gcc has to say about the C of one .pyx."""
    made = folder / source.relative_to(ROOT).with_suffix(".c")
    rest = ["-fsyntax-only", *INCLUDES, f"-I{sysconfig.get_path('include')}", made]
    wrong = said("gcc", *GENERATED, "-Werror", *rest)
    return wrong or (said("gcc", *LIMITED, *rest) if sys.version_info >= (3, 11) else "")


def own_headers() -> list[str]:
    """Return our headers, as they are included; the one that others stand on comes first."""
    headers = [path for path in (ROOT / "pymilk").rglob("*.h") if path.parent.name != "include"]
    names = [str(path.relative_to(ROOT / "pymilk")) for path in sorted(headers)]
    return sorted(names, key=lambda name: Path(name).stem.strip("_") != "port")


def check_headers(folder: Path) -> Iterator[str]:
    """Check our headers with each compiler that is there, and with cppcheck."""
    source = folder / "own.c"
    source.write_text("".join(f'#include "{name}"\n' for name in own_headers()))
    for compiler in ("gcc", "clang"):
        if shutil.which(compiler):
            yield said(compiler, *STRICT, "-Werror", "-fsyntax-only", *INCLUDES, source)
    if shutil.which("cppcheck"):
        yield said("cppcheck", *CPPCHECK, *INCLUDES, source)


def main() -> int:
    """Check everything; print what is wrong, and return the exit code."""
    modules = sorted((ROOT / "pymilk").rglob("*.pyx"))
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(os.cpu_count()) as pool:
        folder = Path(name)
        hints = pool.submit(make_c, modules, folder)
        wrong = [*check_headers(folder), hints.result()]
        if not hints.result():
            wrong += pool.map(lambda source: check_module(source, folder), modules)
    print("".join(wrong) or f"{len(modules)} compiled modules and {len(own_headers())} headers are well")
    return 1 if any(wrong) else 0


if __name__ == "__main__":
    sys.exit(main())
