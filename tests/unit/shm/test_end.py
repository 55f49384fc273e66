"""The end of an `SHM`: close, destroy, streams that were replaced."""

from __future__ import annotations

import gc
import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pymilk import SHM
from pymilk.errors import StreamClosedError, StreamNotFoundError, StreamReadOnlyError, StreamReplacedError
from support.camera import Camera, numbers


def test_destroy_removes_the_stream(make, shm_dir):
    shm = make("cam", numbers((2, 2)))
    shm.destroy()
    assert list(shm_dir.iterdir()) == []


def test_destroy_of_a_stream_that_is_gone(make):
    shm = make("cam", numbers((2, 2)))
    os.unlink(shm.FILEPATH)
    with pytest.raises(StreamNotFoundError):
        shm.destroy()
    assert (shm.get_data() == numbers((2, 2))).all()


@pytest.mark.parametrize("shape", [(2, 2), (3, 3)])
def test_destroy_never_deletes_the_stream_of_another(make, shape):
    old = make("cam", numbers((2, 2)))
    new = make("cam", numbers(shape))
    old.destroy()
    assert os.path.exists(new.FILEPATH)
    np.testing.assert_array_equal(make("cam").get_data(), numbers(shape))


def test_writing_to_a_replaced_stream_is_refused(make):
    old = make("cam", numbers((2, 2)))
    new = make("cam", numbers((2, 2)) * 2)
    with pytest.raises(StreamReplacedError, match="autorelink_if_need"):
        old.set_data(numbers((2, 2)) * 3)
    np.testing.assert_array_equal(new.get_data(), numbers((2, 2)) * 2)
    old.set_data(numbers((2, 2)) * 3, autorelink_if_need=True)
    np.testing.assert_array_equal(new.get_data(), numbers((2, 2)) * 3)


def test_reading_on_in_the_old_file(make):
    old = make("cam", numbers((2, 2)))
    new = make("cam", numbers((2, 2)) * 2)
    np.testing.assert_array_equal(old.get_data(autorelink_if_need=False), numbers((2, 2)))
    np.testing.assert_array_equal(old.get_data(), numbers((2, 2)) * 2)
    new.close()


def test_close_twice(make):
    shm = make("cam", numbers((2, 2)))
    shm.close()
    shm.close()
    assert repr(shm) == "<SHM 'cam' closed>"


USES: dict[str, Callable[[SHM], Any]] = {
    "get_data": lambda shm: shm.get_data(),
    "check": lambda shm: shm.get_data(check=True),
    "view": lambda shm: shm.get_data(copy=False),
    "old file": lambda shm: shm.get_data(autorelink_if_need=False),
    "old file, check": lambda shm: shm.get_data(check=True, autorelink_if_need=False),
    "multi_recv_data": lambda shm: shm.multi_recv_data(2),
    "capture": lambda shm: shm.capture(2),
    "held_capture": lambda shm: shm.held_capture(2, None, 5.0, "auto"),
    "live": lambda shm: shm.live(),
    "live_source": lambda shm: shm.live_source(),
    "background": lambda shm: shm.capture(2, background=True),
    "set_data": lambda shm: shm.set_data(numbers((2, 2))),
    "set_data, follow": lambda shm: shm.set_data(numbers((2, 2)), autorelink_if_need=True),
    "set_many": lambda shm: shm.set_many(numbers((2, 2))[None]),
    "set_many, follow": lambda shm: shm.set_many(numbers((2, 2))[None], autorelink_if_need=True),
    "claim": lambda shm: shm.claim().__enter__(),
    "claim, follow": lambda shm: shm.claim(autorelink_if_need=True).__enter__(),
    "ring_reader": lambda shm: shm.ring_reader(),
    "repost": lambda shm: shm.repost(),
    "repost, follow": lambda shm: shm.repost(autorelink_if_need=True),
    "check_sem_trywait": lambda shm: shm.check_sem_trywait(),
    "check_sem_value": lambda shm: shm.check_sem_value(),
    "check_sem_timedwait": lambda shm: shm.check_sem_timedwait(0),
    "non_block_wait_semaphore": lambda shm: shm.non_block_wait_semaphore(),
    "non_block_wait_until_recreation": lambda shm: shm.non_block_wait_until_recreation(),
    "IMAGE": lambda shm: shm.IMAGE,
    "md": lambda shm: shm.md,
    "print_meta_data": lambda shm: shm.print_meta_data(),
    "read_meta_data": lambda shm: shm.read_meta_data(),
    "save_as_fits": lambda shm: shm.save_as_fits(os.devnull),
    "get_expt": lambda shm: shm.get_expt(),
    "get_fps": lambda shm: shm.get_fps(),
    "get_ndr": lambda shm: shm.get_ndr(),
    "get_crop": lambda shm: shm.get_crop(),
    "get_counter": lambda shm: shm.get_counter(),
    "semID": lambda shm: shm.semID,
    "mtdata": lambda shm: shm.mtdata,
    "get_keywords": lambda shm: shm.get_keywords(),
    "get_keyword": lambda shm: shm.get_keyword("A"),
    "set_keywords": lambda shm: shm.set_keywords({"A": 1}),
    "reset_keywords": lambda shm: shm.reset_keywords({}),
    "update_keyword": lambda shm: shm.update_keyword("A", 1),
    "item": lambda shm: shm["A"],
    "pixel": lambda shm: shm[0, 0],
    "asarray": lambda shm: np.asarray(shm),
    "from_dlpack": lambda shm: np.from_dlpack(shm),
    "rows": lambda shm: list(shm),
    "contains": lambda shm: 1 in shm,
    "set item": lambda shm: shm.__setitem__("A", 1),
    "keywords": lambda shm: len(shm.keywords),
    "with": lambda shm: shm.__enter__(),
}


@pytest.mark.parametrize("use", USES)
def test_use_after_close(make, use):
    shm = make("cam", numbers((2, 2)))
    shm.close()
    with pytest.raises(StreamClosedError) as caught:
        USES[use](shm)
    assert caught.value.stream == "cam"
    assert isinstance(caught.value, ValueError)


def test_every_public_method_is_tried_after_close():
    given_up = {"rename_img", "select_dtype", "select_atype", "create_keyword_list"}
    given_up |= {f"{verb}_keyword{s}" for verb in ("read", "write") for s in ("", "s")}
    silent = {"close", "destroy", "FNAME", "timeouts"}
    silent |= {"dtype", "ndim", "size", "nbytes"}  # facts like `shape`, which stay
    public = {name for name in dir(SHM) if not name.startswith("_")} - silent - given_up
    assert public <= {use.split(",")[0] for use in USES}


def test_forgotten_close_warns_where_asked(make):
    make("cam", numbers((2, 2)))
    with pytest.warns(ResourceWarning, match=r"unclosed.*SHM 'cam'"):
        SHM("cam")
    shm = SHM("cam")
    shm.close()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del shm
        gc.collect()
    # Others may have left something for the collector.
    assert [each for each in caught if "SHM" in str(each.message)] == []


def test_repr(make):
    shm = make("cam", numbers((2, 3), np.uint16))
    assert repr(shm) == "<SHM 'cam' shape=(2, 3) dtype=uint16>"


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everything")
def test_read_only_file(make):
    writer = make("cam", numbers((2, 3)))
    os.chmod(writer.FILEPATH, 0o444)
    reader = make("cam")
    assert "read-only" in repr(reader)
    np.testing.assert_array_equal(reader.get_data(), numbers((2, 3)))
    assert reader.semID is None
    with pytest.raises(StreamReadOnlyError):
        reader.set_data(numbers((2, 3)))
    with Camera("cam"):
        assert reader.get_data(check=True) is not None
