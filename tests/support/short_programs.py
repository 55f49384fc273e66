"""What threads and processes hand over to one another besides frames, as short programs.

Each says what must not happen. Names of sites are those of `orders.py`. Orders in `FOREIGN` belong to
others: to a system call, or to a program that relies on the format of the file alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from support.weak_memory import (
    Change,
    Fence,
    Load,
    Order,
    Outcome,
    Program,
    Registers,
    Step,
    Store,
    Word,
)

Memory = dict[Word, Any]

#: Orders that others keep.
FOREIGN = {
    "kernel: mmap": Order.FULL,
    "reader: load": Order.ACQUIRE,
    "reader: fence": Order.ACQUIRE,
    "writer: store": Order.RELEASE,
}


class Short(NamedTuple):
    """Programs of a few steps, a list of them for each thread."""

    words: Memory
    programs: Sequence[Program]
    #: Sees the registers of all threads, by name, and the memory at the end.
    wrong: Callable[[Registers, Memory], bool]

    def wrong_at(self, outcome: Outcome) -> bool:
        """Tell whether a run ended in what must not happen."""
        threads, memory = outcome
        return self.wrong({name: r[name] for r in threads for name in r}, memory)


def holds(register: str, value: Any) -> dict[str, Any]:
    """Do a step only where a register has this value."""
    return {"when": lambda r: r[register] == value, "needs": (register,)}


def added(amount: int) -> Callable[[Any, Registers], Any]:
    return lambda old, _: old + amount


def swapped(expected: int, new: int) -> Callable[[Any, Registers], Any]:
    """Compare and exchange."""
    return lambda old, _: new if old == expected else None


def taken(old: int, _: Registers) -> int | None:
    """What sem_trywait makes of the value of a semaphore."""
    return old - 1 if old > 0 else None


# --------------------------------------------------------------------------------------------------
# One side fills, then says so; the other one sees that, then reads
# --------------------------------------------------------------------------------------------------


def announced(store: str, load: str, fence: str = "") -> Short:
    """Data, a fence if there is one, and the word that announces the data."""
    return Short(
        {"data": 0, "word": 0},
        [
            [Store("data", 1), *([Fence(fence)] if fence else []), Store("word", 1, store)],
            [Load("word", load, "word"), Load("data", "", "data")],
        ],
        lambda r, _: r["word"] == 1 and r["data"] == 0,
    )


# --------------------------------------------------------------------------------------------------
# Semaphores
# --------------------------------------------------------------------------------------------------


def semaphore() -> Short:
    """What was stored before a post is there behind the wait that took it: PrivateRing.end and wait."""
    return Short(
        {"over": 0, "value": 0},
        [
            [Store("over", 1), Change("value", added(1), "pymilk_sem_post: words")],
            [
                Change("value", taken, "pymilk_sem_wait_until: words", "value"),
                Load("over", "", "over"),
            ],
        ],
        lambda r, _: r["value"] == 1 and r["over"] == 0,
    )


def doorbell(counter: str, bell: str, sleeper: str) -> Short:
    """A post is left out at the cap of 1 only if the reader, who empties the semaphore, sees the counter."""
    return Short(
        {"counter": 0, "value": 1},
        [
            [
                Store("counter", 1, counter),
                Fence(bell),
                Load("value", "", "rung"),
                Change("value", added(1), "pymilk_sem_post: words", **holds("rung", 0)),
            ],
            [
                Change("value", taken, "pymilk_sem_wait_until: words", "taken"),
                Fence(sleeper),
                Load("counter", "", "counter"),
            ],
        ],
        # It sleeps, nobody wakes it, and there is a frame.
        lambda r, memory: r["taken"] == 1 and r["counter"] == 0 and memory["value"] == 0,
    )


def claim(in_one_step: bool = True) -> Short:
    """Semaphore 0 goes from process 1 to one of two others; whoever gets it takes the posts that are left."""

    def claimed(pid: int) -> list[Step]:
        if in_one_step:
            swap: list[Step] = [Change("owner", swapped(-1, pid), "_take: owners", f"owner {pid}")]
        else:
            swap = [
                Load("owner", "_take: owners", f"owner {pid}"),
                Change("owner", lambda _, __: pid, "", **holds(f"owner {pid}", -1)),
            ]
        return [
            *swap,
            Load("value", "", f"left {pid}"),
            Change(
                "value",
                lambda old, r: 0 if old else None,
                "pymilk_sem_wait_until: words",
                when=lambda r: r[f"owner {pid}"] == -1 and r[f"left {pid}"] > 0,
                needs=(f"owner {pid}", f"left {pid}"),
            ),
        ]

    def wrong(r: Registers, memory: Memory) -> bool:
        owners = [pid for pid in (2, 3) if r[f"owner {pid}"] == -1]
        # Two were posted, one was taken before the semaphore was given back: the other one is old.
        return len(owners) > 1 or (bool(owners) and r["had"] == 2 and memory["value"] > 0)

    return Short(
        {"owner": 1, "value": 0},
        [
            [Change("value", added(1), "pymilk_sem_post: words")] * 2,
            [
                Change("value", taken, "pymilk_sem_wait_until: words", "had"),
                Change("owner", swapped(1, -1), "_give_back: _owners"),
            ],
            claimed(2),
            claimed(3),
        ],
        wrong,
    )


# --------------------------------------------------------------------------------------------------
# Files that are cut
# --------------------------------------------------------------------------------------------------


def cut() -> Short:
    """Zeros that the handler for SIGBUS of another thread put there are not taken for pixels."""
    return Short(
        {"flag": 0, "pixel": 1},
        [
            [Change("flag", added(1)), Fence("kernel: mmap"), Store("pixel", 0)],
            [Load("pixel", "", "pixel"), Fence("damaged: fence"), Load("flag", "", "flag")],
        ],
        lambda r, _: r["pixel"] == 0 and r["flag"] == 0,
    )


def guard_entry() -> Short:
    """The handler takes base and size of one mapping, not of two that had the entry one behind the other."""
    return Short(
        {"turn": 0, "base": 1, "nbytes": 1},
        [
            [
                Store("turn", 1),
                Fence("pymilk_guard_set: fence"),
                Store("base", 2),
                Store("nbytes", 2),
                Store("turn", 2, "pymilk_guard_set: turn"),
            ],
            [
                Load("turn", "pymilk_guard_replace: turn", "before"),
                Load("base", "", "base"),
                Load("nbytes", "", "nbytes"),
                Fence("pymilk_guard_replace: fence"),
                Load("turn", "", "behind"),
            ],
        ],
        lambda r, _: r["before"] == r["behind"] and r["before"] % 2 == 0 and r["base"] != r["nbytes"],
    )


# --------------------------------------------------------------------------------------------------
# Slots that are used again
# --------------------------------------------------------------------------------------------------


def record() -> Short:
    """A slot of a fast ring, read by its record alone: the same number around the pixels, and not 0."""
    slot = [Store("left", 2), Store("right", 2)]
    return Short(
        {"record": 1, "left": 1, "right": 1},
        [
            [
                Store("record", 0),
                Fence("fill_ring_slot: fence"),
                *slot,
                Store("record", 2, "fill_ring_slot: cnt0"),
            ],
            [
                Load("record", "reader: load", "before"),
                Load("left", "", "left"),
                Load("right", "", "right"),
                Fence("reader: fence"),
                Load("record", "", "behind"),
            ],
        ],
        lambda r, _: 0 < r["before"] == r["behind"] and {r["left"], r["right"]} != {r["before"]},
    )


def feed() -> Short:
    """A slot of a feed is filled again only once it was published, and its times are readable then."""
    return Short(
        {"slot": 0, "ready": 0, "done": 0, "moment": 0},
        [
            [
                Store("slot", 1),
                Store("ready", 1, "hand_over: ready"),
                Load("done", "done: done", "done"),
                Load("moment", "", "moment"),
                Store("slot", 2, **holds("done", 1)),
            ],
            [
                Load("ready", "publish_feed: ready", "ready"),
                Load("slot", "", "slot"),
                Store("moment", 1, **holds("ready", 1)),
                Store("done", 1, "publish_feed: done", **holds("ready", 1)),
            ],
        ],
        lambda r, _: (r["ready"] == 1 and r["slot"] != 1) or (r["done"] == 1 and r["moment"] == 0),
    )


def feed_end() -> Short:
    """A reader that is told that a feed is over sees all that was handed over before."""
    return Short(
        {"ready": 0, "over": 0},
        [
            [
                Store("ready", 1, "hand_over: ready"),
                Store("over", 1, "end: over"),
            ],
            [
                Load("over", "publish_feed: over", "over"),
                Load("ready", "publish_feed: ready", "ready"),
            ],
        ],
        lambda r, _: r["over"] == 1 and r["ready"] == 0,
    )


SHORT: dict[str, Short] = {
    "history": announced("note_history: index", "reader: load"),
    "keyword": announced("store_keyword: cnt", "reader: load"),
    "new stream": announced("", "reader: load", "write_header: fence"),
    "received frames": announced("hand_over: done", "received: done"),
    "relayed frames": announced("pass_on: done", "received: done"),
    "private ring": announced("hand_over: done", "written: written"),
    "doubt": announced("flag_likely: until", "flag_doubtful: until"),
    "doubt, counted": announced("flag_likely: until", "settle_likely: until"),
    "guards": announced("pymilk_guard_add: pymilk_guards", "pymilk_guard_replace: pymilk_guards"),
    "semaphore": semaphore(),
    "doorbell of a stream": doorbell("close_frame_by: cnt0", "post_all: fence", "sleep_for_frame: fence"),
    "doorbell of a private ring": doorbell("hand_over: done", "hand_over: fence", "wait: fence"),
    "claim": claim(),
    "cut": cut(),
    "guard entry": guard_entry(),
    "record": record(),
    "feed": feed(),
    "end of a feed": feed_end(),
}


def sites_of(short: Short) -> set[str]:
    """The sites of our own code in a short program."""
    sites = {step.site for program in short.programs for step in program}
    return sites - {""} - set(FOREIGN)
