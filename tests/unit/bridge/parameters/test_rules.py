"""Who may do what with parameters: what can be said, and what the engine is told of it."""

from __future__ import annotations

import pytest

from pymilk.bridge import Allow, Links, ParameterOffer, Sender, Tls, links_of, offer_of, zenoh
from pymilk.bridge.keys import names_in, parameter_key, parameter_key_like, parameter_names
from pymilk.errors import StreamArgumentError

zenoh_library = pytest.importorskip("zenoh", reason="needs eclipse-zenoh, the extra net")


def test_an_offer():
    offer = ParameterOffer(("loop*", "dm"), set=("loop/g*n", "x/*"), command=("loop?/run*",))
    assert [offer.offers(each) for each in ("loop", "loop2", "dm", "dm2")] == [True, True, True, False]
    assert [offer.may_set(*each) for each in (("loop", "gain"), ("loop", "mode"), ("loop2", "gain"))] == [
        True, False, False
    ]  # fmt: skip
    assert not offer.may_set("x", "gain")  # is not offered
    assert offer.may_command("loop2", "runstop")
    assert not offer.may_command("loop2", "confstop")
    assert not offer.may_command("loop2", "runaway")
    assert not offer.may_command("loop", "runstop")
    assert not ParameterOffer(("*",)).may_set("loop", "gain")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"fps": ()}, "--params"),
        ({"fps": "loop"}, "list of names"),
        ({"fps": ("",)}, "list of names"),
        ({"fps": ("a",), "set": ("gain",)}, "FPS/NAME"),
        ({"fps": ("a",), "set": ("/gain",)}, "FPS/NAME"),
        ({"fps": ("a",), "command": ("a/start",)}, "known are confstart, confstop, runstart, runstop"),
    ],
)
def test_offers_that_are_none(given, said):
    with pytest.raises(StreamArgumentError, match=said):
        ParameterOffer(**given)


def test_a_sender_has_streams_or_parameters():
    with pytest.raises(StreamArgumentError, match="or parameters"):
        Sender(())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "a rule says who"),
        ({"read": ("rtc",)}, "HOST/FPS, not 'rtc'"),
        ({"read": ("rtc/loop/gain",)}, "HOST/FPS, not"),
        ({"offer": ("rtc/",)}, "HOST/FPS, not"),
        ({"set": ("rtc/loop",)}, "HOST/FPS/NAME, not"),
        ({"command": ("rtc//runstop",)}, "HOST/FPS/NAME, not"),
        ({"set": ("rtc/loop/gai?",)}, "the only letter"),
        ({"read": "rtc/loop"}, "read is a list"),
    ],
)
def test_rules_that_are_none(given, said):
    with pytest.raises(StreamArgumentError, match=said):
        Allow(("me",), **given)


def test_both_from_a_file(tmp_path):
    path = tmp_path / "rtc.toml"
    path.write_text(
        "passwords = 'users'\n[params]\nfps = ['loop*']\nset = ['loop/gain']\n"
        "[[allow]]\nwho = ['desk']\nread = ['rtc/*']\nset = ['rtc/loop/gain']\ncommand = ['rtc/loop/*']\n"
    )
    assert offer_of(str(path)) == ParameterOffer(("loop*",), set=("loop/gain",))
    assert links_of(str(path)).allow == (
        Allow(("desk",), read=("rtc/*",), set=("rtc/loop/gain",), command=("rtc/loop/*",)),
    )
    path.write_text("listen = []\n")
    assert offer_of(str(path)) is None
    path.write_text("[params]\nset = ['loop/gain']\n")
    with pytest.raises(StreamArgumentError, match="has to be offered first"):
        offer_of(str(path))
    path.write_text("[params]\nsets = ['loop/gain']\n")
    with pytest.raises(StreamArgumentError, match=r"\[params\] 'sets' is not known"):
        offer_of(str(path))


def test_keys():
    key = parameter_key("r/c", "lo op", "set", "conf.*")
    assert key == "pymilk/fps/1/r%2Fc/lo%20op/set/conf.%2A"
    assert parameter_names(key) == ("r/c", "lo op", "conf.*")
    assert parameter_names("pymilk/fps/1/rtc/loop/set/*") is None
    assert parameter_names("pymilk/fps/1/rtc/loop/set") is None
    assert parameter_names("pymilk/1/rtc/loop/set/a/b") is None
    assert names_in(key) is None
    assert parameter_key_like("rtc/l*p") == "pymilk/fps/1/rtc/l$*p/**"
    assert parameter_key_like("*/loop", "read") == "pymilk/fps/1/*/loop/read/*"
    assert parameter_key_like("rtc/loop/g*", "set") == "pymilk/fps/1/rtc/loop/set/g$*"
    assert parameter_key_like("rtc/loop/*", "set") == "pymilk/fps/1/rtc/loop/set/*"


def allowed(rules, flow, message, key) -> bool:
    """Tell whether rules let a message pass, as the engine decides: a rule has to include the key whole."""
    expression = zenoh_library.KeyExpr(key)
    return any(
        flow in rule["flows"] and message in rule["messages"]
        and any(zenoh_library.KeyExpr(each).includes(expression) for each in rule["key_exprs"])
        for rule in rules
    )  # fmt: skip


@pytest.fixture
def rules():
    """Rules of a machine, by name of those who connect to it."""
    given = {
        "rtc": Allow(("rtc",), offer=("rtc/*",)),
        "viewer": Allow(("viewer",), receive=("*/*",), send=("*/*",)),
        "desk": Allow(("desk",), read=("rtc/l*",)),
        "operator": Allow(("operator",), set=("rtc/loop/ga*", "rtc/dm/*"), command=("rtc/loop/run*",)),
    }
    tls = Tls("ca.pem", "a.pem", "a.key")
    access = zenoh._access(Links(tls=tls, allow=tuple(given.values())), frozenset())
    assert access["default_permission"] == "deny"
    ids = {each["id"]: each for each in access["rules"]}
    return {
        name: [ids[each] for each in policy["rules"]]
        for name, policy in zip(given, access["policies"], strict=True)
    }


BEGIN = "pymilk/fps/1/rtc/loop"


@pytest.mark.parametrize(
    ("who", "what", "may"),
    [
        ("desk", "read/table", True), ("desk", "read/about", True), ("desk", "turn/new", False),
        ("desk", "set/gain", False), ("desk", "set/*", False), ("desk", "command/runstop", False),
        ("desk", "**", False),
        ("operator", "read/table", True), ("operator", "turn/new", True), ("operator", "set/gain", True),
        ("operator", "set/mode", False), ("operator", "set/*", False),
        ("operator", "command/runstop", True), ("operator", "command/confstop", False),
        ("viewer", "read/table", False), ("viewer", "set/gain", False), ("viewer", "turn/new", False),
        ("rtc", "read/table", False), ("rtc", "set/gain", False),
    ],
)  # fmt: skip
def test_questions_that_come_in(rules, who, what, may):
    assert allowed(rules[who], "ingress", "query", f"{BEGIN}/{what}") is may


def test_what_else_comes_in_and_goes_out(rules):
    assert allowed(rules["operator"], "ingress", "query", "pymilk/fps/1/rtc/dm/set/any")
    assert not allowed(rules["operator"], "ingress", "query", "pymilk/fps/1/rtc/other/read/table")
    for who in ("desk", "operator"):
        assert allowed(rules[who], "ingress", "query", "pymilk/fps/1/*/*/read/about")
        assert allowed(rules[who], "ingress", "declare_subscriber", f"{BEGIN}/read/changes")
        assert not allowed(rules[who], "ingress", "put", f"{BEGIN}/read/changes")
        assert not allowed(rules[who], "ingress", "declare_queryable", f"{BEGIN}/set/*")
        assert allowed(rules[who], "egress", "declare_queryable", f"{BEGIN}/set/*")
        assert allowed(rules[who], "egress", "reply", f"{BEGIN}/read/table")
        assert not allowed(rules[who], "egress", "reply", "pymilk/fps/1/hub/loop/read/table")
    assert allowed(rules["rtc"], "ingress", "declare_queryable", f"{BEGIN}/set/*")
    assert allowed(rules["rtc"], "ingress", "put", f"{BEGIN}/read/changes")
    assert allowed(rules["rtc"], "egress", "query", f"{BEGIN}/set/gain")
    assert not allowed(rules["rtc"], "ingress", "put", "pymilk/fps/1/hub/loop/read/changes")
    assert not allowed(rules["viewer"], "ingress", "put", f"{BEGIN}/read/changes")
