"""Installed as ``pyMilk.visual``: viewers, which are ``pymilk show`` here."""
