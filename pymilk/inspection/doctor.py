"""Find problems of the streams in a directory and of this machine, with advice."""

from __future__ import annotations

import os
import resource
import shutil
import time
from typing import Any

from .._core import Stream, free_memory, header_behind
from ..errors import StreamError, StreamPermissionError, StreamStorageError
from ..names import SUFFIX, stream_directory
from ..reports import COUNTER_SET
from ..streams.directory import find_stale, remove_stale
from ..system.findings import MAKE_AGAIN, PERMIT_READING, Finding, finding
from ..system.machine import describe, file_system_of, huge_pages, in_memory
from ..system.mappings import Deserted, deserted_files
from ..system.processes import named_processes
from ..times import tai_offset
from .describe import survey
from .installed import DISTRIBUTION, rivals

__all__ = ["examine", "fix"]

#: Seconds without a frame after which a stream of a dead writer counts as stale.
_QUIET = 1.0

#: Number of stale streams that are named.
_NAMED = 8

#: Seconds for which the counters of deleted files are watched.
_WATCH = 0.1

#: What to do about a process that writes where nobody looks, and why it does.
_CAUSES = (
    "restart that process. Usual causes: a script made the stream anew (SHM(name, data) replaces it; "
    "replace='if-free' or PYMILK_REPLACE=if-free does not), somebody removed it, or systemd-logind did when "
    "its user logged out (RemoveIPC=no in /etc/systemd/logind.conf, or a system user, keeps /dev/shm)"
)

#: Bytes below which room is reported as scarce: a stream with a good ring needs some hundred megabytes.
_SCARCE = 500_000_000

#: Limit of open files that is reported as low: attaching a stream needs one for a moment, a ring reader one.
_FEW_FILES = 256


def examine() -> list[Finding]:
    """Look at the stream directory, its streams, and what the machine permits.

    Returns
    -------
    list of dict
        ``topic``, ``level`` ("ok", "note" for what may matter, "problem"), ``found``, and ``todo``, which is
        empty if there is nothing to do.

    Raises
    ------
    StreamNotFoundError, StreamPermissionError
        There is no stream directory, or it cannot be listed.
    """
    folder = stream_directory()
    return [*_directory(folder), *_streams(folder), *_machine(), *_installation()]


def fix() -> list[str]:
    """Remove the temporary files of creators that died; nothing else is safe to do without asking.

    Returns
    -------
    list of str
        Paths of the removed files. Streams are never among them.

    Raises
    ------
    StreamNotFoundError
        There is no stream directory.
    """
    return remove_stale()


def _directory(folder: str) -> list[Finding]:
    kind = file_system_of(folder)
    chosen = "MILK_SHM_DIR" if "MILK_SHM_DIR" in os.environ else "the default, as MILK_SHM_DIR is not set"
    findings = [
        finding(
            "directory",
            f"{folder} ({chosen}), on {kind or 'a file system of unknown type'}",
            ""
            if not kind or in_memory(kind)
            else "the kernel writes streams to a disk now and then, which holds up writers: mount a tmpfs "
            "there, or set MILK_SHM_DIR to a directory in /dev/shm",
        )
    ]
    if not os.access(folder, os.W_OK | os.X_OK):
        findings.append(
            finding("permission", f"this user cannot create streams in {folder}",
                     "to create some, have its group or mode changed; reading needs nothing", "problem")
        )  # fmt: skip
    room = shutil.disk_usage(folder)
    findings.append(
        finding("room", f"{room.free / 1e6:.0f} of {room.total / 1e6:.0f} MB free for streams",
                 "remove streams with 'pymilk rm', or enlarge the file system" if room.free < _SCARCE else "",
                 "problem" if room.free < _SCARCE / 10 else "note")
    )  # fmt: skip
    memory = free_memory()
    findings.append(
        finding("memory", f"{memory / 1e6:.0f} MB available to this process",
                 "end other programs, or raise the limit of the container" if memory < _SCARCE else "")
    )  # fmt: skip
    return findings


def _streams(folder: str) -> list[Finding]:
    entries = survey(folder)
    findings = []
    good = [entry for entry in entries if "error" not in entry]
    findings.append(finding("streams", f"{len(good)} usable"))
    for entry in entries:
        findings += [_unusable(entry)] if "error" in entry else _troubles(entry)
    findings += _stale([entry["name"] for entry in good if _is_stale(entry)])
    findings += _hidden([entry["name"] for entry in good if _is_hidden(entry)])
    findings += _deserted(folder)
    for path in find_stale(folder):
        findings.append(
            finding("left over", f"{path}, of a creator that died", "remove it: pymilk doctor --fix")
        )
    return findings


def _unusable(entry: dict[str, Any]) -> Finding:
    advice = MAKE_AGAIN
    try:
        Stream.attach(entry["path"], writable=False, prefault=False).close()
    except StreamPermissionError:
        advice = PERMIT_READING
    except StreamStorageError:
        advice = "raise the limits of this process"
    except StreamError:
        pass
    return finding("file", entry["error"], advice)


def _quiet(entry: dict[str, Any]) -> bool:
    """Return whether no frame came recently; a recent frame shows that some writer is alive."""
    return entry["age"] is None or entry["age"] > _QUIET


def _is_stale(entry: dict[str, Any]) -> bool:
    """Return whether a stream has frames, but no visible writer or reader."""
    ended = entry["writer_alive"] is False and _quiet(entry) and not entry["writing"]
    return bool(entry["counter"] and ended and not entry["readers"])


def _stale(names: list[str]) -> list[Finding]:
    if not names:
        return []
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return [
        finding("stale", f"{len(names)} whose writers have ended, without readers: "
                 f"{', '.join(names[:_NAMED])}{more}",
                 "start the writers again, or remove what is not needed: pymilk rm NAME")
    ]  # fmt: skip


def _is_hidden(entry: dict[str, Any]) -> bool:
    """Return whether a silent stream has frames of a process that is not visible from here."""
    return bool(entry["counter"] and entry["writer_pid"] and entry["writer_alive"] is None and _quiet(entry))


def _hidden(names: list[str]) -> list[Finding]:
    if not names:
        return []
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return [
        finding("stale", f"{len(names)} silent, whose writers are not visible from here (another container, "
                 f"or ended): {', '.join(names[:_NAMED])}{more}",
                 "ask on the machine itself, outside of containers, which of them live")
    ]  # fmt: skip


def _deserted(folder: str) -> list[Finding]:
    """Return the processes that have a deleted or replaced stream open for writing."""
    files = deserted_files(folder)
    first = {each.content: _counter(each) for each in files}
    if any(counter is not None for counter in first.values()):
        time.sleep(_WATCH)
    findings = []
    for each in files:
        before, after = first[each.content], _counter(each)
        name = os.path.basename(each.path).removesuffix(SUFFIX)
        writes = before is not None and after is not None and after > before
        does = "writes into it" if writes else "has it open for writing"
        what = "replaced by a new file" if os.path.exists(each.path) else "deleted"
        findings.append(
            finding("deserted", f"{name}: its file (inode {each.inode}) was {what}, and "
                     f"{named_processes([each.pid])} still {does}, where nobody sees it", _CAUSES,
                     "problem" if writes else "note")
        )  # fmt: skip
    return findings


def _counter(file: Deserted) -> int | None:
    """Return the counter of a file without a name; None if this user may not look, or it is damaged."""
    try:
        with open(file.content, "rb") as content:
            found: int = header_behind(content.fileno(), file.path)["counter"]
            return found
    except (OSError, StreamError):
        return None


def _troubles(entry: dict[str, Any]) -> list[Finding]:
    name, findings = entry["name"], []
    if entry["writer_alive"] is False and entry["writing"] and _quiet(entry):
        findings.append(
            finding("writer", f"{name}: process {entry['writer_pid']} died within a frame",
                     f"its last frame may be torn; restart the writer, or remove it: pymilk rm {name}",
                     "problem")
        )  # fmt: skip
    if entry["counter_set"]:
        findings.append(
            finding("counter", f"{name}: {COUNTER_SET}",
                     "its number of frames, and what was lost where it was set, are not known")
        )  # fmt: skip
    if entry["dead_readers"]:
        pids = ", ".join(map(str, entry["dead_readers"]))
        findings.append(
            finding("semaphores", f"{name}: {len(entry['dead_readers'])} held by ended processes ({pids})",
                     "nothing if readers get theirs: those of ended processes are given again; "
                     "in another container they may be alive")
        )  # fmt: skip
    return findings


def _installation() -> list[Finding]:
    return [
        finding(
            "installation",
            f"the distribution {name} has files of {DISTRIBUTION}: {', '.join(packages)}; those are in use "
            "that were installed last",
            f"uninstall both, then install one: pip uninstall {name.split()[0]} {DISTRIBUTION}",
            "problem",
        )
        for name, packages in rivals().items()
    ]


def _real_time() -> bool:
    """Return whether this thread may have a real-time priority, by setting one for a moment."""
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except OSError:  # no permission, or not supported in this container
        return False
    os.sched_setscheduler(0, policy, parameters)
    return True


def _machine() -> list[Finding]:
    facts = describe()
    cores = facts["cores"]
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    real_time = _real_time()
    offset, pages = tai_offset(), huge_pages()
    slow = [governor for governor in facts["governors"] if governor == "powersave"]
    return [
        finding("files", f"{'any number of' if files < 0 else files} open files permitted",
                 "raise it: ulimit -n 4096" if 0 <= files < _FEW_FILES else ""),
        finding("cores", f"{len(cores)} for this process",
                 "a writer and a reader that share a core hold each other up" if len(cores) < 2 else ""),
        finding("clock rate", ", ".join(facts["governors"]) or "not told",
                 "cores that sleep wake up late: cpupower frequency-set -g performance" if slow else ""),
        finding("real time", "permitted" if real_time else "not permitted to this user",
                 "" if real_time else "for priority=..., give the user an rtprio in /etc/security/limits.d"),
        finding("time", f"CLOCK_TAI is {offset} s ahead of UTC",
                 "" if offset else "stamps of this machine read UTC, 37 s behind others: have a time service "
                 "set the offset (chrony: leapsectz right/UTC)"),
        finding("huge pages", pages or "not told",
                 "captures fault in more slowly: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled"
                 if pages == "never" else ""),
    ]  # fmt: skip
