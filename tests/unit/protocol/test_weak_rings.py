"""Rings in weak memory: the orders that there are suffice, and each of them is needed."""

from __future__ import annotations

from typing import Any

import pytest

from support.orders import ORDERS
from support.ring_cases import FAST, PRIVATE, SITES, TEMPORAL, check_all_is_read
from support.ring_exploration import explored_weakly
from support.ring_protocol import Case, Patient, Protocol

#: Rings of two and three slots, from the first frame on or filled before.
CASES: list[tuple[Case, type[Protocol]]] = [
    (PRIVATE._replace(frames=4), Protocol),
    (PRIVATE._replace(frames=6, gaps=True), Protocol),
    (PRIVATE._replace(depth=3, frames=5), Protocol),
    (FAST, Protocol),
    (FAST._replace(before=2), Protocol),
    (FAST._replace(records=""), Protocol),
    (FAST._replace(depth=3, frames=4), Protocol),
    (FAST._replace(frames=4, gaps=True), Patient),
    (TEMPORAL, Protocol),
    (TEMPORAL._replace(before=2), Protocol),
    (TEMPORAL._replace(depth=3, frames=4), Protocol),
    # First looks at these must not come into a frame.
    (FAST._replace(offset=7), Patient),
    (TEMPORAL._replace(offset=7, before=2), Patient),
    (TEMPORAL._replace(records="before", before=2), Patient),
]

#: What a reader must never be told; the rest are frames that it does not get.
SILENT = {"mixed", "number", "time", "order", "account"}


@pytest.mark.parametrize(("case", "protocol"), CASES, ids=lambda value: _shown(value))
def test_nothing_wrong_is_read(case: Case, protocol: type[Protocol]) -> None:
    check_all_is_read(case, protocol, ORDERS)


@pytest.mark.parametrize("site", SITES)
def test_each_order_is_needed(site: str) -> None:
    weaker = {name: order for name, order in ORDERS.items() if name != site}
    reads = "take" if site == "overwritten: fence" else "copy"
    assert SILENT & explored_weakly(SITES[site], weaker, reads, until=SILENT).wrong.keys()


@pytest.mark.parametrize("case", [FAST, TEMPORAL._replace(frames=2)], ids=lambda value: _shown(value))
def test_writers_without_fences_are_not_safe(case: Case) -> None:
    """As those of the C library, which relies on the order of x86."""
    writer = ("open_frame", "close_frame_by", "fill_ring_slot")
    orders = {name: order for name, order in ORDERS.items() if not name.startswith(writer)}
    assert "mixed" in explored_weakly(case, orders, until={"mixed"}).wrong


def _shown(value: Any) -> str:
    if not isinstance(value, Case):
        return value.__name__
    changed = {k: v for k, v in value._asdict().items() if v != Case._field_defaults.get(k)}
    return "-".join(str(v) if k == "kind" else f"{k}={v}" for k, v in changed.items())
