"""FITS files of the xaosim interface."""

from __future__ import annotations

import os

import numpy as np
import pytest

from pymilk.axes import Which3DState
from pymilk.errors import StreamNotFoundError, StreamUnsupportedError
from pymilk.fits import multi_read
from support.xaosims import SHAPES, ramp


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64, np.float32])
def test_save_as_fits(make, tmp_path, shape, dtype):
    fits = pytest.importorskip("astropy.io.fits")
    s = make("cam", data=ramp(shape, dtype))
    path = str(tmp_path / "cam.fits")
    for k in range(2):  # the second one overwrites
        s.set_data(ramp(shape, dtype, first=k))
        assert s.save_as_fits(path) == 0
        with fits.open(path) as file:
            # As it is, so that [0, 0] is at the lower left: x runs first in the file.
            assert file[0].header["NAXIS1"] == shape[-1]
            assert file[0].data.tolist() == ramp(shape, dtype, first=k).tolist()
            assert file[0].data.dtype.newbyteorder("=") == dtype
        back = multi_read(path, 4, Which3DState.FRONT2LAST)
        assert back.tolist() == s.get_data().tolist()


@pytest.mark.parametrize("dtype", [np.complex64, np.float16])
def test_pixels_that_fits_has_not(make, tmp_path, dtype):
    pytest.importorskip("astropy")
    s = make("cam", data=ramp((3, 4), dtype))
    with pytest.raises(StreamUnsupportedError, match=np.dtype(dtype).name):
        s.save_as_fits(str(tmp_path / "cam.fits"))
    with pytest.raises(StreamNotFoundError, match="missing"):
        make("other", data=ramp((3, 4))).save_as_fits(tmp_path / "missing" / "cam.fits")
    assert not os.listdir(tmp_path)
