"""The xaosim interface without astropy."""

from __future__ import annotations

from support.xaosims import READER, ramp


def test_fits_without_astropy(make, tmp_path, spawn):
    make("cam", data=ramp((3, 4)))
    child = spawn(
        READER
        + """
sys.modules["astropy"] = None
try:
    s.save_as_fits(sys.argv[1])
except ImportError as error:
    say(error)
s.close()
""",
        tmp_path / "cam.fits",
    )
    assert "pip install astropy" in child.hear()
    assert child.finish() == (0, "", "")
