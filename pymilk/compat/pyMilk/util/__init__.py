"""Installed as ``pyMilk.util``."""
