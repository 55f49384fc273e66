"""Malformed stream files: how they are made, and what pymilk has to do with each of them.

`target.drive` is the fuzz target, `inputs` makes the files, ``python -m fuzz`` runs the one with the other
(from the directory ``tests``, or with it in ``PYTHONPATH``).
"""
