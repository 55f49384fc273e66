"""Addresses and names of the bridge."""

from __future__ import annotations

import pytest

from pymilk.bridge import Links
from pymilk.bridge.connections import Connections
from pymilk.bridge.keys import FRAMES, key_fitting, key_like, key_of, names_in, source_of
from pymilk.bridge.probing import why_not
from pymilk.bridge.zenoh import _words
from pymilk.errors import BridgeAddressError, BridgeUnreachableError


@pytest.mark.parametrize("address", ["tcp/127.0.0.1:1", "tcp/localhost:7447", "tcp/[::1]:65535"])
def test_this_machine_needs_no_permission(address):
    assert Links(listen=(address,)).listen == (address,)


@pytest.mark.parametrize(
    "address", ["tcp/0.0.0.0:7447", "tcp/[::]:7447", "tcp/rtc:7447", "tcp/10.0.0.1:1", "tcp/localhost.evil:1"]
)
@pytest.mark.parametrize("where", ["listen", "connect"])
def test_others_do(address, where):
    with pytest.raises(BridgeAddressError, match="leaves this machine") as caught:
        Links(**{where: (address,)})
    assert caught.value.address == address
    assert getattr(Links(**{where: (address,)}, insecure=True), where) == (address,)


@pytest.mark.parametrize(
    "address",
    ["", "127.0.0.1:7447", "udp/127.0.0.1:7447", "tcp/127.0.0.1", "tcp/127.0.0.1:0", "tcp/127.0.0.1:65536",
     "tcp/127.0.0.1:1#iface=lo", "tcp/127.0.0.1:1,tcp/10.0.0.1:1", "tcp/127.0.0.1:1\n",
     "tcp/...:1", "tcp/a..b:1", "tcp/[:]:1", "tcp/[127.0.0.1]:1", "tcp/[1::2::3]:1"],
)  # fmt: skip
def test_what_is_no_address(address):
    with pytest.raises(BridgeAddressError, match="tcp/HOST:PORT"):
        Links(connect=(address,), insecure=True)


@pytest.mark.parametrize("where", ["listen", "connect"])
def test_an_address_is_said_once(where):
    address = "tcp/127.0.0.1:7447"
    with pytest.raises(BridgeAddressError, match=f"{where}: {address} is said twice"):
        Links(**{where: (address, "tcp/127.0.0.1:1", address)})


@pytest.mark.parametrize("name", ["*", "wfs", "a b", "x*", "$dm#1?", "ä", "100%", "a~b", "..x", "\udcff"])
def test_names_in_keys(name):
    key = key_of("rtc-1.site", name, FRAMES)
    assert not set(key) & set("*$#? ~")
    assert names_in(key) == ("rtc-1.site", name)


@pytest.mark.parametrize("key", ["pymilk/2/a/b/c", "pymilk/1/a/b", "pymilk/1/a/b%2Fc/x", "pymilk/1/%00/b/x"])
def test_keys_of_others(key):
    assert names_in(key) is None


@pytest.mark.parametrize("text", ["wfs", "/wfs", "rtc/", "rtc/a/b", ""])
def test_what_is_no_source(text):
    with pytest.raises(BridgeAddressError, match="HOST/STREAM"):
        source_of(text)


@pytest.mark.parametrize(
    ("source", "key"),
    [("rtc/wfs*", "rtc/wfs%"), ("*/*", "*/*"), ("r*c/a b**", "r%c/a%20b%"), ("rtc/$1", "rtc/%241")],
)
def test_keys_that_rules_are_about(source, key):
    assert key_like(source, "%") == f"pymilk/1/{key}"


@pytest.mark.parametrize(
    ("pattern", "part"),
    [
        ("wfs*", "wfs$*"), ("*", "*"), ("**", "*"), ("w?s[12]", "w$*s$*"), ("a[!]b]?c", "a$*c"),
        ("[x", "%5Bx"), ("wfs", "wfs"), ("[*]", "*"),
    ],
)  # fmt: skip
def test_keys_of_patterns(pattern, part):
    assert key_fitting("r*c", pattern, FRAMES) == f"pymilk/1/r%2Ac/{part}/frames"


def test_a_host_that_cannot_be_asked_for():
    assert why_not(f"tcp/{'a' * 70}:1", None) == f"no machine is called {'a' * 70}"


def test_an_address_that_this_program_itself_listens_on(wires):
    address = "tcp/127.0.0.1:7447"
    with pytest.raises(BridgeUnreachableError, match="this program itself listens there"):
        Connections(Links(listen=(address,), connect=(address,)), wires).check()


def test_errors_of_the_engine_have_no_places_of_its_source():
    place = "/root/.cargo/git/checkouts/zenoh-9c599d5ef3e0480e/cc83980/io/zenoh-link-commons/src/lib.rs:62."
    told = f"Can not listen: [127.0.0.1:1: Address in use (os error 98) at {place}]"
    assert _words(ValueError(told)) == "Can not listen: [127.0.0.1:1: Address in use (os error 98)]"
    assert _words(ValueError(f"Name not known at {place}")) == "Name not known"
