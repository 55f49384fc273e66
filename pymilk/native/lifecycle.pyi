# lifecycle.pyx offers nothing to Python: see lifecycle.pxd.

__all__: list[str]
