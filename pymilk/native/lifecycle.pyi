# lifecycle.pyx offers nothing to Python: see lifecycle.pxd.
