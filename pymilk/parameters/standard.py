"""The standard entries of an FPS whose process has process information: names, types, flags and limits.

Measured on a file that milk wrote. The fields of `StandardEntries` are what programs of milk choose
themselves; their defaults are ours, and let a loop run without end at once. docs/parameters.md lists all 16.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

from .records import slot_bytes
from .words import ParameterFlag, ParameterType

__all__ = ["StandardEntries", "standard_slots"]

#: Flags of an entry that the configuration may change, and of one that may change while the process runs too.
_SETTING, _TRIGGER, _LIVE = 402103, 139959, 140023


class StandardEntries(NamedTuple):
    """What the standard entries hold at first.

    Parameters
    ----------
    rt_priority : int, default 20
        Real-time priority of the process, -1 to 49.
    loops : int, default -1
        Iterations after which the process ends; -1: none.
    trigger_mode : int, default 0
        How an iteration is started, -1 or more; 0: at once, 3: by a semaphore of the trigger stream.
    trigger_stream : str, default ''
        Empty: none.
    semaphore : int, default -1
        Of the trigger stream; -1: any.
    trigger_delay : tuple of int, default (0, 0)
        Seconds and nanoseconds.
    trigger_timeout : tuple of int, default (2, 0)
        Seconds and nanoseconds.
    """

    rt_priority: int = 20
    loops: int = -1
    trigger_mode: int = 0
    trigger_stream: str = ""
    semaphore: int = -1
    trigger_delay: tuple[int, int] = (0, 0)
    trigger_timeout: tuple[int, int] = (2, 0)


def standard_slots(name: str, chosen: StandardEntries, nbytes: int) -> list[bytes]:
    """Return the slots of the standard entries, in the order that milk has them; each of `nbytes`."""
    slots = []
    for key, kind, flags, description, initial in _rows(name, chosen):
        slot = slot_bytes(f"{name}{key}", kind, flags, description, initial, fps=name, nbytes=nbytes)
        # A new switch is off, whatever its flags say; milk turns this one on without counting that as a
        # write.
        slots.append(struct.pack("<Q", flags) + slot[8:] if kind is ParameterType.ONOFF else slot)
    return slots


def _rows(
    name: str, chosen: StandardEntries
) -> list[tuple[str, ParameterType, int, str, tuple[Any, ...] | None]]:
    """Return key, type, flags, description and first value of each."""
    kinds = ParameterType
    stream = (chosen.trigger_stream,) if chosen.trigger_stream else None
    return [
        (".conf.timestring", kinds.STRING, _SETTING, "runstart time string", ("undef",)),
        (".conf.label", kinds.STRING, _SETTING, "custom label", ("",)),
        (".conf.datadir", kinds.DIRNAME, _SETTING, "data directory", (f"fps.{name}.datadir",)),
        (".conf.confdir", kinds.DIRNAME, _SETTING, "conf directory", (f"fps.{name}.confdir",)),
        (".conf.archivedir", kinds.DIRNAME, _SETTING, "archive directory", None),
        (".procinfo.RTprio", kinds.INT64, _SETTING, "RTprio", (chosen.rt_priority, -1, 49, 20)),
        (".procinfo.cset", kinds.STRING, _SETTING, "CPUs set", ("system",)),
        (".procinfo.taskset", kinds.STRING, _SETTING, "CPUs mask", ("1-127",)),
        (".procinfo.NBthread", kinds.INT64, _SETTING, "max NB threads", (1, 0, 50, 1)),
        (".procinfo.enabled", kinds.ONOFF, _SETTING | ParameterFlag.ONOFF, "procinfo mode", None),
        (".procinfo.loopcntMax", kinds.INT64, _LIVE, "max loop cnt", (chosen.loops, -1, 5000000, 1)),
        (".procinfo.triggermode", kinds.INT64, _LIVE, "trigger mode", (chosen.trigger_mode, -1, 10, 0)),
        (".procinfo.triggersname", kinds.STREAMNAME, _TRIGGER, "trigger stream name", stream),
        (".procinfo.semindexrequested", kinds.INT64, _TRIGGER, "trigger requested semaphore index",
         (chosen.semaphore, -1, 10, 0)),
        (".procinfo.triggerdelay", kinds.TIMESPEC, _LIVE, "trigger delay", (chosen.trigger_delay,)),
        (".procinfo.triggertimeout", kinds.TIMESPEC, _LIVE, "trigger timeout", (chosen.trigger_timeout,)),
    ]  # fmt: skip
