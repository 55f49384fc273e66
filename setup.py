"""Build of the compiled modules. Everything that does not need a compiler is in pyproject.toml.

Environment
-----------
PYMILK_ISIO
    Which ImageStruct.h to compile against: ``bundled`` (default, pymilk's own), ``system`` (found with
    pkg-config), or the prefix of an ImageStreamIO installation. Only struct definitions are used; no
    library is linked.
PYMILK_LIMITED_API
    ``1`` compiles against the part of Python's C interface that later versions keep (from 3.12 on): one
    wheel, ``cp312-abi3``, for all of them. It is slower; see docs/decisions/wheels.md.
PYMILK_DEBUG
    ``1`` builds with bounds checks and assertions.
PYMILK_SANITIZE
    What to give to the compiler's ``-fsanitize``, for example ``address,undefined``: the core then checks
    each access to memory, and each calculation, and ends the process at the first one that is wrong. With
    ``thread`` it reports what threads do at once. Python itself is not built so: it has to be started with
    the runtime of the sanitizer in ``LD_PRELOAD``. See docs/reliability.md.
CC, CFLAGS, PKG_CONFIG
    As usual.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext as _build_ext

ROOT = Path(__file__).parent
OWN_INCLUDE = ROOT / "pymilk" / "include"

PACKAGE = ROOT / "pymilk"

#: Every .pyx of the package is an extension module of the same name. What a folder needs beyond common flags
#: stands here: its path below pymilk, and arguments of `Extension`.
FOLDERS: dict[str, dict[str, list[str]]] = {}

#: Struct members that the core uses; a header without one of them is named before the compiler fails.
MEMBERS = {
    "IMAGE_METADATA": (
        "version name naxis size nelement datatype imagetype creationtime lastaccesstime atime "
        "writetime creatorPID ownerPID shared inode location status flag logflag sem NBproctrace "
        "cnt0 cnt1 cnt2 write NBkw CBsize CBindex CBcycle imdatamemsize cudaMemHandle"
    ),
    "IMAGE_KEYWORD": "name type value cnt comment",
    "SEMFILEDATA": "semdata",
    "STREAM_PROC_TRACE": (
        "triggermode procwrite_PID trigger_inode ts_procstart ts_streamupdate trigsemindex "
        "triggerstatus cnt0"
    ),
    "CBFRAMEMD": "cnt0 cnt1 atime writetime",
    "FRAMEWRITEMD": "cnt0 wpid writetime",
}


#: The limited API of this version is the first one with all that Cython makes of the core.
FIRST_LIMITED = (3, 12)


def stop(message: str) -> None:
    """End the build with a message instead of a traceback."""
    sys.exit(f"\npymilk: {message}\n")


def pkg_config(*arguments: str) -> list[str]:
    """Ask pkg-config about ImageStreamIO."""
    command = [os.environ.get("PKG_CONFIG", "pkg-config"), *arguments, "ImageStreamIO"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True)
    except FileNotFoundError:
        stop("PYMILK_ISIO=system needs pkg-config; install it, or give the prefix: PYMILK_ISIO=/usr/local")
    except subprocess.CalledProcessError as error:
        stop(
            "PYMILK_ISIO=system, but pkg-config does not know ImageStreamIO:\n"
            f"{error.stderr.strip()}\nAdd the directory of ImageStreamIO.pc to PKG_CONFIG_PATH, or give "
            "the prefix: PYMILK_ISIO=/usr/local"
        )
    return shlex.split(answer.stdout)


def find_header(choice: str) -> tuple[str, list[str], list[str]]:
    """Find the ImageStruct.h to use: what to call it, its include directories, further flags."""
    if choice == "bundled":
        return "bundled", [str(OWN_INCLUDE)], []
    if choice == "system":
        flags = pkg_config("--cflags")
        roots = [flag[2:] for flag in flags if flag.startswith("-I")] or ["/usr/include"]
        other = [flag for flag in flags if not flag.startswith("-I")]
    else:
        roots, other = [os.path.join(choice, "include"), choice], []
    tried = []
    for root in roots:
        for folder in (os.path.join(root, "ImageStreamIO"), root):
            header = os.path.join(folder, "ImageStruct.h")
            tried.append(header)
            if os.path.isfile(header):
                # Our own directory comes last: it holds ImageStructCheck.h, and an ImageStruct.h that
                # must not be found first.
                return header, [folder, root, str(OWN_INCLUDE)], other
    stop(f"PYMILK_ISIO={choice}: no ImageStruct.h there; looked for " + ", ".join(tried))
    raise AssertionError


def compiles(source: str, includes: list[str], flags: list[str]) -> tuple[bool, str]:
    """Tell whether a piece of C compiles, and what the compiler said."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "probe.c")
        path.write_text(source)
        # To an object: not every compiler (Zig's) can look at syntax alone.
        command = [*shlex.split(os.environ.get("CC", "cc")), "-D_GNU_SOURCE", "-c", *flags]
        command += [f"-I{include}" for include in includes] + [str(path), "-o", f"{path}.o"]
        try:
            answer = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            stop(f"no C compiler ({command[0]}); on Debian and Ubuntu: apt install gcc python3-dev")
    return answer.returncode == 0, answer.stderr


def check_header(name: str, includes: list[str], flags: list[str]) -> None:
    """Stop with a list of what the header lacks, rather than with pages of compiler output."""
    start = "#include <stddef.h>\n#include <ImageStruct.h>\n"
    ok, said = compiles(start + "#include <ImageStructCheck.h>\n", includes, flags)
    if ok:
        return
    lacking = [
        f"{struct}.{member}"
        for struct, members in MEMBERS.items()
        for member in members.split()
        if not compiles(f"{start}size_t at = offsetof({struct}, {member});\n", includes, flags)[0]
    ]
    if lacking:
        stop(
            f"{name} lacks {', '.join(lacking)}.\nIt is not the header of ImageStreamIO 2; use "
            "PYMILK_ISIO=bundled (the default), which writes streams that ImageStreamIO 2.00 reads."
        )
    stop(f"{name} does not describe structure version 2.00:\n{said}")


def sanitizer_flags(choice: str) -> tuple[list[str], list[str]]:
    """Return what compiler and linker need for the sanitizers of this name; nothing for no name."""
    if not choice:
        return [], []
    flag = f"-fsanitize={choice}"
    if not compiles("int nothing;\n", [], [flag])[0]:
        stop(
            f"PYMILK_SANITIZE={choice}: the compiler does not accept {flag}; gcc and clang know "
            "address, undefined and others"
        )
    # The first finding ends the process, as AddressSanitizer's do anyway. -g: reports name lines.
    return [flag, "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-g"], [flag]


def asked_for(name: str) -> bool:
    """Tell whether this variable of the environment asks for something."""
    return os.environ.get(name, "") not in ("", "0")


def limited_api() -> bool:
    """Tell whether to compile for all versions of Python from `FIRST_LIMITED` on."""
    if not asked_for("PYMILK_LIMITED_API"):
        return False
    if sys.version_info < FIRST_LIMITED:
        first = ".".join(map(str, FIRST_LIMITED))
        stop(f"PYMILK_LIMITED_API=1 needs Python {first} or later; this is {sys.version.split()[0]}")
    return True


def common_options(cython_version: str) -> dict[str, list]:
    """Return what all extension modules are compiled with, as arguments of `Extension`."""
    debug = asked_for("PYMILK_DEBUG")
    checks, libraries = sanitizer_flags(os.environ.get("PYMILK_SANITIZE", ""))
    choice = os.environ.get("PYMILK_ISIO") or "bundled"
    name, includes, flags = find_header(choice)
    check_header(name, includes, flags)
    kind = ("debug" if debug else "release") + (f" build, {' '.join(libraries)}" if libraries else " build")
    print(f"pymilk: header {name}; Cython {cython_version}; {kind}")
    macros: list[tuple[str, str | None]] = [
        ("_GNU_SOURCE", None),
        ("PYMILK_HEADER", f'"{name}"'),
        ("PYMILK_CYTHON", f'"{cython_version}"'),
    ]
    if debug:
        macros.append(("PYMILK_DEBUG", None))
    if limited_api():
        macros.append(("Py_LIMITED_API", f"0x{FIRST_LIMITED[0]:02x}{FIRST_LIMITED[1]:02x}0000"))
    symbols = debug or checks
    # A debugger stops at each line as it is written, and a report of the sanitizers names it. What these add
    # takes several times as long to optimize as all tests with it last, and they get no faster.
    level = ["-O0", "-g"] if symbols else ["-O3", "-g0"]
    return {
        # Headers of ours are included by their path in the package: protocol/ has a semaphore.h, which must
        # not be found instead of the one of the system.
        "include_dirs": [str(ROOT), str(PACKAGE), *includes],
        "define_macros": macros,
        "undef_macros": ["NDEBUG"] if debug else [],
        # Python's own flags have -g; the later option wins.
        "extra_compile_args": [*flags, *level, *checks],
        "extra_link_args": [*libraries, *([] if symbols else ["-Wl,--strip-debug"])],
    }


def headers_of(files: set[Path], includes: list[str]) -> set[Path]:
    """Return the C headers of ours that these files include, and those that the headers include."""
    found: set[Path] = set()
    waiting = list(files)
    while waiting:
        file = waiting.pop()
        for name in re.findall(r'(?:extern from|#\s*include) [<"]([^">]+)[>"]', file.read_text()):
            for folder in (file.parent, *map(Path, includes)):
                header = (folder / name).resolve()
                if header.is_file() and header.is_relative_to(PACKAGE) and header not in found:
                    found.add(header)
                    waiting.append(header)
    return found


def sources_of(module: Path, tree: Any) -> set[Path]:
    """Return the files of ours that Cython reads for a module: its .pyx, and declarations."""
    reached = {Path(file).resolve() for file in tree.all_dependencies(str(module))}
    return {file for file in reached if file.is_relative_to(PACKAGE)}


def readme() -> str:
    """Return README.md as it is shown elsewhere: links to files of ours lead to the repository."""
    (home,) = re.findall('^Repository = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)

    def absolute(link: re.Match[str]) -> str:
        kind = "raw" if link[1].endswith((".png", ".svg", ".gif")) else "blob"
        return f"]({home}/{kind}/main/{link[1]}"

    return re.sub(r"\]\((?!https?:|mailto:|#)([^)\s]+)", absolute, (ROOT / "README.md").read_text())


def modules() -> list[Extension]:
    """Name the compiled modules: one for each .pyx of the package."""
    sources = [source.relative_to(ROOT) for source in sorted(PACKAGE.rglob("*.pyx"))]
    return [
        Extension(".".join(source.with_suffix("").parts), [str(source)], py_limited_api=limited_api())
        for source in sources
    ]


def described() -> list[Extension]:
    """Describe how the compiled modules are made."""
    from Cython import __version__ as cython_version
    from Cython.Build.Dependencies import create_dependency_tree

    options = common_options(cython_version)
    tree = create_dependency_tree(quiet=True)
    found = []
    for module in modules():
        place = Path(module.sources[0])
        own = FOLDERS.get(str(place.parent.relative_to("pymilk")), {})
        headers = headers_of(sources_of(place, tree), options["include_dirs"])
        found.append(
            Extension(
                module.name,
                module.sources,
                # A declaration or header that changed recompiles those modules alone that reach it.
                depends=sorted(str(file.relative_to(ROOT)) for file in headers),
                py_limited_api=limited_api(),
                **{key: [*value, *own.get(key, [])] for key, value in options.items()},
            )
        )
    return found


def generated() -> dict[Path, tuple[bytes, int]]:
    """Return what Cython made before, and when."""
    return {
        file: (hashlib.sha256(file.read_bytes()).digest(), file.stat().st_mtime_ns)
        for file in PACKAGE.rglob("*.c")
    }


def keep_times(before: dict[Path, tuple[bytes, int]]) -> None:
    """Give files that came out the same their old time, so that they are not compiled again.

    pip installs Cython anew for each build: its own declarations are then newer than all that was made. What
    was made before one of its own sources changed keeps its new time, or Cython would make it again each
    time.
    """
    from Cython.Build.Dependencies import create_dependency_tree

    tree = create_dependency_tree(quiet=True)
    now = generated()
    for module in modules():
        source = Path(module.sources[0])
        file = (ROOT / source).with_suffix(".c")
        digest, time_ns = before.get(file, (b"", 0))
        changed_ns = max(each.stat().st_mtime_ns for each in sources_of(source, tree))
        if changed_ns < time_ns and file in now and now[file][0] == digest:
            os.utime(file, ns=(time_ns, time_ns))


#: What `described` and Cython say of an extension module.
MADE = ("sources", "depends", "include_dirs", "define_macros", "undef_macros", "extra_compile_args",
        "extra_link_args", "language")  # fmt: skip


class build_ext(_build_ext):
    """Compile several modules at once, and all of them anew if they were compiled in another way before."""

    def finalize_options(self) -> None:
        """Choose how many compilers run at once, and where objects are kept."""
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count() or 1
        if self.editable_mode:
            # Not in a temporary directory, as pip has it: the next installation compiles what changed.
            folder = f"{sysconfig.get_platform()}-{sys.implementation.cache_tag}"
            self.build_lib = str(ROOT / "build" / f"lib.{folder}")
            self.build_temp = str(ROOT / "build" / f"temp.{folder}")

    def build_extensions(self) -> None:
        """Compile what changed, or everything if header, compiler, options or Cython changed."""
        self.make_sources()
        first = self.extensions[0]
        chosen = [first.include_dirs, first.define_macros, first.undef_macros, first.extra_compile_args]
        chosen += [first.extra_link_args, [os.environ.get(name, "") for name in ("CC", "CFLAGS", "LDSHARED")]]
        note = Path(self.build_temp, "options.txt")
        if not note.is_file() or note.read_text() != repr(chosen):
            self.force = True
        super().build_extensions()
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(repr(chosen))

    def make_sources(self) -> None:
        """Have Cython make the C; only here, not when pip asks for metadata, which it does twice before."""
        from Cython.Build import cythonize

        before = generated()
        made = cythonize(
            described(),
            nthreads=os.cpu_count() or 1,
            compiler_directives={
                "language_level": "3",
                # Python objects keep their bounds checks: hot code works on C pointers.
                "cdivision": True,
                "embedsignature": True,
                # Sub-interpreters are refused (pymilk/_interpreter.py says so in words), and a free-threaded
                # Python takes the GIL back when it loads the core: handles rely on it.
                "subinterpreters_compatible": "no",
                "freethreading_compatible": False,
            },
        )
        keep_times(before)
        for extension in self.extensions:
            (ours,) = [each for each in made if each.name == extension.name]
            for key in MADE:
                setattr(extension, key, getattr(ours, key))


def main() -> None:
    """Run setuptools."""
    if not sys.platform.startswith("linux"):
        stop(f"Linux only (futex-based semaphores, CLOCK_TAI, /dev/shm); this is {sys.platform}")
    os.chdir(ROOT)
    tag = f"cp{FIRST_LIMITED[0]}{FIRST_LIMITED[1]}"
    setup(
        options={"bdist_wheel": {"py_limited_api": tag}} if limited_api() else {},
        long_description=readme(),
        long_description_content_type="text/markdown",
        cmdclass={"build_ext": build_ext},
        ext_modules=modules(),
    )


if __name__ == "__main__":
    main()
