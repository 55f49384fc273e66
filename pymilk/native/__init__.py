"""Compiled rooms below the heart (`pymilk._core`), which none of them imports: streams, rings, readers.

What a room offers to other compiled rooms is in its .pxd, what it offers to Python in its .pyi.
"""

__all__: list[str] = []
