"""A writer of a shared state, killed behind each of its stores, and what others find then."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator

from pymilk.channels import SharedState
from pymilk.channels.file import HEADER_NBYTES
from support.killing import content_of, count_deaths, kill_at_each_store

BEFORE = {"a": 1, "text": "long enough to be moved", "b": 2, "gone": 5}

#: Keys of a step. Single steps take long: there is a small one, for every day.
STEPS = {
    "small": {"text": "short", "new": 3},
    "large": {"a": 7, "text": "short", "b": 8, "new": b"x" * 40},
}


def deaths(step: dict[str, object], every: int, first: int) -> Iterator[int]:
    """Kill a writer while it sets several keys."""
    with SharedState.create("state", BEFORE, HEADER_NBYTES + 2048) as state:
        path = state.path
        state["gone"] = 6
    content = content_of(path)
    kept, before = content[:], {**BEFORE, "gone": 6}
    after = {**before, **step}

    def prepare() -> SharedState:
        state = SharedState.attach("state")
        state._lock()  # opens the file for the lock: not in single steps
        state._unlock()
        return state

    victims = kill_at_each_store(
        prepare,
        lambda state: state._set(step.items()) and None,
        lambda: content[:],
        every,
        first,
    )
    with SharedState.attach("state") as reader:
        for stores in victims:
            began = time.monotonic()
            epoch = reader.epoch
            assert epoch in (2, 3)
            assert reader.as_dict() == (after if epoch == 3 else before)
            assert reader["text"] == ("short" if epoch == 3 else before["text"])
            assert set(reader.changed_since(2).values) == (set(step) if epoch == 3 else set())
            with SharedState.attach("state") as other:
                assert other.update({"c": 3}) == epoch + 1
                # Its first store says that it begins.
                assert other.abandoned == reader.abandoned == 3 - epoch
            assert reader.as_dict() == {**(after if epoch == 3 else before), "c": 3}
            assert time.monotonic() - began < 1
            yield stores
            content[:] = kept
    os.unlink(path)


def main() -> None:
    count_deaths(lambda: deaths(STEPS[sys.argv[1]], *(int(number) for number in sys.argv[2:])))
