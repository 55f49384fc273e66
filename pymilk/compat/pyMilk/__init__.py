"""Installed as ``pyMilk``, so that scripts written for it run unchanged. Everything is in `pymilk`."""

#: Scripts ask which wrapper is at work; `pymilk.image` behaves as the second.
NB_MILK1 = "NANOBIND-MILK1"
PY11_MILK1 = "PYBIND11-MILK1"
IMPLEMENTATION = PY11_MILK1
