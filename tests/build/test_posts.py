"""To which frames the posts of a semaphore belong (protocol/posts.pxd), with posts and counts of the test."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from support.compiling import compiled, needs_compiler

pytestmark = needs_compiler

MODULE = """
from libc.stdint cimport uint64_t
from libc.string cimport memset
from pymilk.protocol.posts cimport Posts, lapse, note_post, settle_posts

cdef class Account:
    cdef Posts posts
    def __init__(self):
        memset(&self.posts, 0, sizeof(Posts))
        self.posts.owed = 1     # that of the newest frame, as when a capture begins
    def post(self):
        note_post(&self.posts)
    def frame(self, uint64_t advance=1):
        settle_posts(&self.posts, advance)
        return self.posts.excess
    def sleep(self, bint doubtful):
        lapse(&self.posts, doubtful)
    @property
    def repeated(self):
        return self.posts.repeated
"""


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    return compiled(tmp_path_factory.mktemp("posts"), "account", MODULE)


@pytest.fixture
def account(module: ModuleType) -> Any:
    """A reader that has slept once without a post, and received a frame."""
    account = module.Account()
    account.sleep(doubtful=False)
    account.post()
    assert account.frame() == 0
    return account


def test_each_frame_has_its_post(account: Any) -> None:
    for _ in range(20):
        account.post()
        assert account.frame() == 0
    for advance in (3, 1, 7):  # frames that were lost were posted, too
        for _ in range(advance):
            account.post()
        assert account.frame(advance) == 0
    assert account.repeated == 0


def test_a_post_that_announces_nothing(account: Any) -> None:
    account.post()
    account.sleep(doubtful=False)
    account.post()
    assert account.frame() == 1
    account.post()
    account.post()
    account.post()
    assert account.frame() == 2
    assert account.repeated == 3


@pytest.mark.parametrize("quiet", [True, False])
def test_a_post_that_was_owed_and_seen_late(account: Any, quiet: bool) -> None:
    """The reader saw a frame before its post, and got the processor a while after that post."""
    assert account.frame() == 0
    account.sleep(doubtful=True)
    account.post()
    if quiet:  # no frame comes for long: the post was no sign of one
        account.sleep(doubtful=False)
    for _ in range(3):
        account.post()
        assert account.frame() == 0
    assert account.repeated == 0
    # It is said of the next one that announces nothing.
    account.post()
    account.post()
    assert account.frame() == 1


def test_only_one_post_is_in_doubt(account: Any) -> None:
    for _ in range(3):
        assert account.frame() == 0
        account.sleep(doubtful=True)
    for _ in range(3):
        account.post()
    assert account.frame() == 1
