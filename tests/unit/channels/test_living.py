"""Who has a channel attached, by the locks of those that live: in whatever order they were taken."""

from __future__ import annotations

import os

from pymilk.channels import CommandQueue
from pymilk.channels.files import life_of
from pymilk.channels.listing import users_of
from pymilk.system.locks import take_lock


def test_all_locks_of_the_living_are_found():
    queue = CommandQueue.create("queue")
    path = queue.path
    queue.close()
    files = [os.open(path, os.O_RDWR) for _ in range(5)]
    for fd, owner in zip(files, (5, 3, 9, 1, 7), strict=True):
        take_lock(fd, start=life_of(owner))
    assert len(users_of(path)) == 5
    for fd in files:
        os.close(fd)
    assert users_of(path) == []
