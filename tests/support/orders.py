"""The orders of the protocol: what the models assume, and what the sources say.

A site is a function and the word that it loads or stores there, or "fence".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from support.weak_memory import Order

#: Sites that the models run.
ORDERS: dict[str, Order] = {
    # Publishing a frame.
    "open_frame: fence": Order.RELEASE,
    "close_frame_by: cnt1": Order.RELEASE,
    "close_frame_by: cnt0": Order.RELEASE,
    "close_frame_by: write": Order.RELEASE,
    "abandon_frame: fence": Order.RELEASE,
    "abandon_frame: write": Order.RELEASE,
    "fill_ring_slot: fence": Order.RELEASE,
    "fill_ring_slot: cnt0": Order.RELEASE,
    "fill_ring_slot: CBcycle": Order.RELEASE,
    "fill_ring_slot: CBindex": Order.RELEASE,
    "note_history: index": Order.RELEASE,
    # Receiving a frame.
    "look: write": Order.ACQUIRE,
    "look: fence": Order.ACQUIRE,
    "try_copy: fence": Order.ACQUIRE,
    "steady_stamp_ns: fence": Order.ACQUIRE,
    "counter_of: cnt0": Order.ACQUIRE,
    # Rings of streams.
    "read_fast: cnt0": Order.ACQUIRE,
    "read_fast: CBcycle": Order.ACQUIRE,
    "read_fast: CBindex": Order.ACQUIRE,
    "read_fast: write": Order.ACQUIRE,
    "record_first: cnt0": Order.ACQUIRE,
    "read_temporal: cnt0": Order.ACQUIRE,
    "read_temporal: cnt1": Order.ACQUIRE,
    "read_temporal: cnts": Order.ACQUIRE,
    "read_temporal: write": Order.ACQUIRE,
    "newest_times: fence": Order.ACQUIRE,
    "newest_times: write": Order.ACQUIRE,
    "ring_whole: fence": Order.ACQUIRE,
    "overwritten: fence": Order.ACQUIRE,
    # Frames that one thread hands to others.
    "receive_frame: fence": Order.RELEASE,
    "hand_over: done": Order.RELEASE,
    "flag_likely: until": Order.RELEASE,
    "flag_doubtful: until": Order.ACQUIRE,
    "settle_likely: until": Order.ACQUIRE,
    "pass_on: done": Order.RELEASE,
    "received: done": Order.ACQUIRE,
    "ring_look: written": Order.ACQUIRE,
    "written: written": Order.ACQUIRE,
    # Semaphores.
    "post_all: fence": Order.FULL,
    "sleep_for_frame: fence": Order.FULL,
    "hand_over: fence": Order.FULL,
    "wait: fence": Order.FULL,
    "pymilk_sem_post: words": Order.RELEASE,
    "pymilk_sem_wait_until: words": Order.ACQUIRE,
    "_take: owners": Order.ACQUIRE,
    "_give_back: _owners": Order.RELEASE,
    # Files that are cut.
    "damaged: fence": Order.ACQUIRE,
    "pymilk_guard_add: pymilk_guards": Order.RELEASE,
    "pymilk_guard_replace: pymilk_guards": Order.ACQUIRE,
    "pymilk_guard_set: fence": Order.RELEASE,
    "pymilk_guard_set: turn": Order.RELEASE,
    "pymilk_guard_replace: turn": Order.ACQUIRE,
    "pymilk_guard_replace: fence": Order.ACQUIRE,
    # Feeds, keywords, new streams.
    "hand_over: ready": Order.RELEASE,
    "end: over": Order.RELEASE,
    "publish_feed: over": Order.ACQUIRE,
    "publish_feed: ready": Order.ACQUIRE,
    "publish_feed: done": Order.RELEASE,
    "done: done": Order.ACQUIRE,
    "store_keyword: cnt": Order.RELEASE,
    "write_header: fence": Order.RELEASE,
}

#: Sites that do what another one does.
ALIKE: dict[str, str] = {
    "receive_from_ring: fence": "receive_frame: fence",
    "receive_beside_ring: fence": "receive_frame: fence",
    "receive_posted: fence": "receive_frame: fence",
    "expect: fence": "wait: fence",
    "pymilk_fence_behind_take: fence": "wait: fence",
    # A frame that is counted while it is still being filled: its pixels need not be visible.
    "count_early: cnt0": "close_frame_by: cnt0",
    # Numbers that Python gets, and may read pixels in place by.
    "counter: cnt0": "counter_of: cnt0",
    "counted: cnt0": "counter_of: cnt0",
    "is_open: write": "look: write",
    "copy_frame: fence": "try_copy: fence",
    "look_at_pixels: fence": "try_copy: fence",
    "missing: cnt0": "counter_of: cnt0",
    "get_data: cnt0": "counter_of: cnt0",
    "next_frame: cnt0": "counter_of: cnt0",
    "cnt1: cnt1": "counter_of: cnt0",
    "cnt2: cnt2": "counter_of: cnt0",
    "write: write": "counter_of: cnt0",
    "cb_index: CBindex": "counter_of: cnt0",
    "cb_cycle: CBcycle": "counter_of: cnt0",
}

_CALL = re.compile(r"\b(?:(?:__)?atomic_\w+|pymilk_fence_behind_take)\s*\(")
_FUNCTION = re.compile(r"^[ ]*(?:cdef|cpdef|def|static)\b[^\n=]*?(\w+)\s*\(", re.MULTILINE)


#: Where streams are published and received. Other files in shared memory have other orders.
_ROOMS = ("_core.pyx", "protocol/*", "native/*", "shm/*")

#: Rooms beside them that are about the futexes of channels alone: docs/channels.md states their orders.
_OF_CHANNELS = ("bell",)


def sites(package: Path) -> Iterator[tuple[str, Order]]:
    """Yield each load, store and fence of the sources that has an order: its site, and the order."""
    for path in sorted(path for room in _ROOMS for path in package.glob(room)):
        if path.suffix not in (".pyx", ".pxd", ".h") or path.stem in _OF_CHANNELS:
            continue
        text = path.read_text()
        functions = [(found.start(), found.group(1)) for found in _FUNCTION.finditer(text)]
        for found in _CALL.finditer(text):
            inside = [name for start, name in functions if start < found.start()]
            arguments = _arguments(text, found.end())
            order = _order(arguments)
            if inside and order is not None:
                yield f"{inside[-1]}: {_word(arguments[0])}", order


def _arguments(text: str, start: int) -> list[str]:
    """Return the arguments of a call; start is behind its parenthesis."""
    arguments, depth = [""], 1
    for character in text[start:]:
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(character, 0)
        if depth == 0:
            break
        if character == "," and depth == 1:
            arguments.append("")
        else:
            arguments[-1] += character
    return arguments


def _order(arguments: list[str]) -> Order | None:
    """Return the first order of a call, or None if it is relaxed; the fence behind a take names none."""
    if arguments == [""]:
        return Order.FULL
    named = next((a.strip() for a in arguments if a.strip().startswith("__ATOMIC_")), "")
    return None if named in ("", "__ATOMIC_RELAXED") else Order(named)


def _word(address: str) -> str:
    """Return the last name of an address, outside of brackets. A fence has no address."""
    if not address or "__ATOMIC_" in address:
        return "fence"
    brackets = 1
    while brackets:
        address, brackets = re.subn(r"\[[^\[\]]*\]", "", address)
    words: list[str] = re.findall(r"\w+", re.sub(r"\(\w+\)$", "", address))
    return words[-1]
