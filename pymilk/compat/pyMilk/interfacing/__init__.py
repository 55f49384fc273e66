"""Installed as ``pyMilk.interfacing``."""
