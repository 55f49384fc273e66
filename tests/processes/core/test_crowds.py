"""Some readers, some writers and some creators at once."""

from __future__ import annotations

import pytest

from support.crowds import many_writers, one_writer_many_readers, storm

# -- one writer, many readers -------------------------------------------------------------------------


def test_one_writer_and_some_readers(spawn, make_stream):
    """More readers than semaphores would need more processes than a short test can start."""
    one_writer_many_readers(spawn, make_stream, 4, 400, 2000)


# -- many writers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [{}, {"cb_size": 5}], ids=["plain", "fast"])
def test_four_writers(spawn, make_stream, how):
    many_writers(spawn, make_stream, 200, **how)


# -- storms -------------------------------------------------------------------------------------------


def test_storm_of_creators(spawn, shm_dir):
    storm(spawn, shm_dir, 4, 0.4)
