"""Values by index and name: epochs, changes, limits, errors."""

from __future__ import annotations

import gc

import pytest

from pymilk.channels import MessageLog, SharedState
from pymilk.compat.pymembus import errc, last_error, memkv


@pytest.fixture
def pair():
    """Make an owner with three named slots, and a peer."""
    owner, peer = memkv(), memkv()
    assert owner.create("/kv", 3, 15, 63, True)
    for index, name in enumerate(("mode", "count", "status")):
        assert owner.setName(index, name)
    assert peer.open("/kv")
    yield owner, peer
    peer.close()
    owner.close()


def test_values_by_index_and_name(pair):
    owner, peer = pair
    assert (owner.existing(), peer.existing(), peer.isOpen()) == (False, True, True)
    assert (peer.count(), peer.maxNameLen(), peer.maxValueLen()) == (3, 15, 63)
    assert peer.getSessionId() == owner.getSessionId() != 0
    assert (peer.getEpoch(), peer.getValue("mode")) == (0, ("", False))
    assert peer.setValue("mode", "auto")
    assert owner.setValue(1, b"42")
    assert (owner.getValue(0), owner.getValue("count")) == (("auto", False), ("42", False))
    assert (peer.getValueString("count"), peer.getValueString(b"mode")) == ("42", "auto")
    assert (peer.findName("status"), peer.findName("none")) == (2, -1)
    assert [peer.getName(index) for index in (0, 2, 3, -1)] == ["mode", "status", "", ""]
    assert peer.getAll() == {"mode": "auto", "count": "42", "status": ""}
    assert peer.getEpoch() == 2


def test_a_slot_is_named_by_idx_or_name(pair):
    owner, peer = pair
    assert owner.setValue(idx=0, value="auto")
    assert owner.setValue(name="count", value="42")
    assert owner.setValue(value="x", key=2)
    assert (peer.getValue(idx=0), peer.getValue(name="count")) == (("auto", False), ("42", False))
    assert (peer.getValueString(idx=2), peer.getValueString(name=b"mode")) == ("x", "auto")
    assert (peer.getValue(idx=3), peer.getValue(name="none")) == (("", True), ("", True))
    for wrong in ({"idx": "mode"}, {"name": 0}, {"idx": 0, "name": "mode"}, {"idx": 0, "key": 0}, {}):
        with pytest.raises(TypeError):
            owner.getValue(**wrong)
        with pytest.raises(TypeError):
            owner.setValue(**wrong, value="y")
    with pytest.raises(TypeError):
        owner.setValue(0, "y", idx=0)
    assert peer.getAll() == {"mode": "auto", "count": "42", "status": "x"}


def test_changes_since_an_epoch(pair):
    owner, peer = pair
    assert peer.setValue("mode", "auto")
    epoch = peer.getEpoch()
    assert owner.setValue("status", "ready")
    changed, epoch = peer.getChanged(epoch)
    assert (changed, epoch) == ({"status": "ready"}, 2)
    assert peer.getChanged(epoch) == ({}, 2)
    assert peer.getChanged(0) == ({"mode": "auto", "status": "ready"}, 2)
    assert owner.setAll({"mode": "a", "count": "b", "none": "c", "status": "x" * 64})
    assert peer.getChanged(5, epoch) == ({"mode": "a", "count": "b"}, 3)
    assert peer.waitForChange(0, 2) == (True, 3)
    assert owner.setAll({"none": "c"})
    assert peer.waitForChange(2, 3) == (False, 3)
    assert last_error() == errc.timeout
    assert peer.getChanged(wait_ms=0, epoch=3) == ({}, 3)
    for wrong in ((), (1, 2, 3), ("x",)):
        with pytest.raises(TypeError):
            peer.getChanged(*wrong)


def test_naming_keeps_the_epoch_and_the_values(pair):
    owner, peer = pair
    owner.setValue(0, "v")
    assert owner.setName(0, "renamed")
    assert (peer.getEpoch(), peer.getValue("renamed"), peer.getValue("mode")) == (1, ("v", False), ("", True))
    memkv()  # the error is ok now
    for index, name in ((3, "a"), (-1, "a"), (0, "x" * 16)):
        assert not owner.setName(index, name)
        assert last_error() == errc.ok


def test_slots_without_a_name_share_one():
    owner = memkv()
    assert owner.create("/kv", 2, 7, 7)
    assert owner.setValue(1, "last")
    assert owner.getAll() == {"": "last"}
    owner.close()


def test_text_ends_at_nul(pair):
    owner, peer = pair
    assert owner.setValue(0, "ab\0cd")
    assert peer.getValueString(0) == "ab"
    assert owner.setValue(0, b"\xff")
    with pytest.raises(UnicodeDecodeError):
        peer.getValue(0)


def test_what_cannot_be_set(pair):
    owner, peer = pair
    assert owner.setValue(0, "x" * 63)
    assert not owner.setValue(0, "x" * 64)
    assert last_error() == errc.message_too_large
    for index in (3, -1):
        assert not owner.setValue(index, "x")
        assert last_error() == errc.invalid_argument
        assert owner.getValue(index) == ("", True)
    memkv()
    assert not owner.setValue("none", "x")
    assert last_error() == errc.ok
    assert peer.getEpoch() == 1
    for wrong in (
        lambda: owner.setValue(0, 1),
        lambda: owner.setValue(0.5, ""),
        lambda: owner.setAll([("mode", "x")]),
    ):
        with pytest.raises(TypeError):
            wrong()
    assert owner.setValue(1, "goes on")


@pytest.mark.parametrize(
    ("numbers", "error"),
    [((3, 16, 64), errc.invalid_layout), ((3, 0, 6), errc.invalid_layout), ((0, 0, 6), errc.invalid_layout),
     ((0, 15, 63), errc.invalid_argument), ((-1, 15, 63), errc.invalid_argument),
     ((2**31 - 1, 15, 63), errc.create_failed)],
)  # fmt: skip
def test_schemas_that_cannot_be(numbers, error):
    share = memkv()
    assert not share.create("/kv", *numbers)
    assert (last_error(), share.isOpen()) == (error, False)
    assert not memkv().open("/kv")
    assert last_error() == errc.open_failed


def test_create_attaches_what_is_there(pair):
    owner, _peer = pair
    owner.setValue("mode", "kept")
    other = memkv()
    assert other.create("/kv", 3, 15, 63)
    assert (other.existing(), other.getValueString("mode")) == (True, "kept")
    assert not other.create("/kv", 4, 15, 63)
    assert last_error() == errc.size_mismatch
    assert other.create("/kv", 4, 15, 63, True)
    assert (other.existing(), other.count(), other.getEpoch()) == (False, 4, 0)
    assert owner.setValue("mode", "without a name")
    assert _peer.getValue("mode") == ("without a name", False)
    assert (other.getEpoch(), owner.getEpoch()) == (0, 2)
    owner.close()  # the name is that of another share by now
    assert memkv().open("/kv")
    other.close()
    assert not memkv().open("/kv")


@pytest.mark.parametrize("how", ["the maker closes", "removed"])
def test_handles_go_on_without_a_name(pair, shm_dir, how):
    owner, peer = pair
    other = memkv()
    assert other.open("/kv")
    if how == "removed":
        assert memkv.remove("/kv")
    else:
        owner.close()
    assert list(shm_dir.iterdir()) == []
    assert peer.setValue("mode", "on")
    assert other.getChanged(1000, 0) == ({"mode": "on"}, 1)
    assert other.setName(1, "renamed")
    assert (peer.findName("renamed"), peer.isOpen(), peer.existing()) == (1, True, True)
    assert not memkv().open("/kv")
    assert last_error() == errc.open_failed


def test_closed():
    share = memkv()
    assert (share.isOpen(), share.count(), share.getSessionId(), share.getEpoch()) == (False, 0, 0, -1)
    assert (share.getValue(0), share.getAll()) == (("", True), {})
    assert (share.getName(0), share.findName("a")) == ("", -1)
    assert (share.waitForChange(0, 0), share.getChanged(0)) == ((False, -1), ({}, -1))
    for call in (lambda: share.setValue(0, "x"), lambda: share.setName(0, "x"), lambda: share.setAll({})):
        memkv()
        assert not call()
        assert last_error() == errc.not_open
    share.close()
    assert repr(share) == "<memkv closed>"


def test_other_files_are_refused(shm_dir):
    with SharedState.create("kv", {"a": 1}):
        assert not memkv().open("/kv")
        assert last_error() == errc.invalid_layout
        assert not memkv().create("/kv", 3, 15, 63)
        assert last_error() == errc.invalid_layout
    assert memkv.remove("/kv")
    assert not memkv.remove("/kv")
    with MessageLog.create("kv") as log:
        log.append("x")
        (shm_dir / "kv.msg.shm").rename(shm_dir / "kv.state.shm")
        assert not memkv().open("/kv")
        assert last_error() == errc.invalid_layout
    assert not memkv().open("no/name")


def test_the_name_goes_with_the_maker():
    owner = memkv()
    assert owner.create("/kv", 1, 7, 7)
    del owner
    gc.collect()
    assert not memkv().open("/kv")
