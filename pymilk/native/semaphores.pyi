# semaphores.pyx offers nothing to Python: see semaphores.pxd.
