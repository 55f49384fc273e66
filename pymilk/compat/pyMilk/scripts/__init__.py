"""Installed as ``pyMilk.scripts``: commands, each with its ``main``."""
