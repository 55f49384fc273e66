# semaphores.pyx offers nothing to Python: see semaphores.pxd.

__all__: list[str]
