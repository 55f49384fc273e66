"""Hand-overs, semaphores and cut files in weak memory: orders suffice, and each of them is needed."""

from __future__ import annotations

import pytest

from support.orders import ORDERS
from support.short_programs import FOREIGN, SHORT, Short, claim, sites_of
from support.weak_memory import Order, Orders, run_reordered, run_views

ALL = ORDERS | FOREIGN

#: Orders that a program names, and that matter to another one only.
ELSEWHERE = {
    "doorbell of a stream": {
        "close_frame_by: cnt0",
        "pymilk_sem_post: words",
        "pymilk_sem_wait_until: words",
    },
    "doorbell of a private ring": {
        "hand_over: done",
        "pymilk_sem_post: words",
        "pymilk_sem_wait_until: words",
    },
    "claim": {"pymilk_sem_post: words", "pymilk_sem_wait_until: words"},
    "end of a feed": {"hand_over: ready", "publish_feed: ready"},
}

NEEDED = [
    (name, site)
    for name, short in SHORT.items()
    for site in sorted(sites_of(short) - ELSEWHERE.get(name, set()))
]


def goes_wrong(short: Short, orders: Orders) -> bool:
    """Tell whether it can go wrong in one of the two models."""
    return any(
        short.wrong_at(outcome)
        for run in (run_views, run_reordered)
        for outcome in run(short.words, short.programs, orders)
    )


@pytest.mark.parametrize("name", SHORT)
def test_nothing_goes_wrong(name: str) -> None:
    assert not goes_wrong(SHORT[name], ALL)


@pytest.mark.parametrize(("name", "site"), NEEDED)
def test_each_order_is_needed(name: str, site: str) -> None:
    assert goes_wrong(SHORT[name], {key: order for key, order in ALL.items() if key != site})


def test_a_claim_in_two_steps_has_two_owners() -> None:
    assert goes_wrong(claim(in_one_step=False), ALL)


@pytest.mark.parametrize("name", SHORT)
def test_x86_needs_the_full_fences_of_writers_only(name: str) -> None:
    orders = dict.fromkeys(("post_all: fence", "hand_over: fence", "kernel: mmap"), Order.FULL)
    short = SHORT[name]
    outcomes = run_reordered(short.words, short.programs, orders, x86=True)
    assert not any(short.wrong_at(outcome) for outcome in outcomes)
