"""The orders that the models assume are those of the sources, and none is left out."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pymilk
from support import frame_protocol, ring_cases
from support.orders import ALIKE, ORDERS, sites
from support.short_programs import SHORT, sites_of
from support.weak_memory import Order

SOURCES = Path(pymilk.__file__).parent


def test_the_models_assume_what_the_sources_say() -> None:
    found: defaultdict[str, set[Order]] = defaultdict(set)
    for site, order in sites(SOURCES):
        found[ALIKE.get(site, site)].add(order)
    # Numbers that Python stores in a header, beside the load of the same name.
    assert found["counter_of: cnt0"] == {Order.ACQUIRE, Order.RELEASE}
    found["counter_of: cnt0"].remove(Order.RELEASE)
    assert dict(found) == {site: {order} for site, order in ORDERS.items()}


def test_every_order_is_taken_away_in_one_of_the_models() -> None:
    tried = {*frame_protocol.SITES, *ring_cases.SITES}
    tried.update(*map(sites_of, SHORT.values()))
    assert tried == set(ORDERS)
