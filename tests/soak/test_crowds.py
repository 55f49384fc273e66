"""Crowds: 32 readers, four writers for long, eight creators."""

from __future__ import annotations

import os

import pytest

from support.crowds import many_writers, one_writer_many_readers, storm

# -- one writer, many readers -------------------------------------------------------------------------


def test_one_writer_and_32_readers(spawn, make_stream):
    """10 of them sleep on a semaphore each, 22 watch the counter."""
    one_writer_many_readers(spawn, make_stream, 32, 4000, 1000)


# -- many writers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [{}, {"cb_size": 5}], ids=["plain", "fast"])
def test_four_writers_for_long(spawn, make_stream, how):
    many_writers(spawn, make_stream, 100_000, **how)


# -- storms -------------------------------------------------------------------------------------------


def test_storm_of_8_creators(spawn, shm_dir):
    storm(spawn, shm_dir, 8, float(os.environ.get("PYMILK_STORM_SECONDS", "5")))
